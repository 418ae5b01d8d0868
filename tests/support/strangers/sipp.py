"""SIPp as an independent phone or carrier: one process a scenario, ended by its own count of calls or by its process id."""

import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from carillon_cli.phone import g711, tones
from carillon_kit.embedded import free_port

SCENARIOS = Path(__file__).resolve().parents[2] / "integration/sipp"
_TIME_WAIT = "06"
#: What `tone_file` sounds like.
SPOKEN_HZ = 900


def taken(port: int) -> bool:
    """Whether anybody in this network namespace has a socket at the port (proc(5), /proc/net/udp: local address and state, hexadecimal);
    without looking what a bind would find, which could keep out whoever is about to take it."""
    end = f":{port:04X}"
    tables = [Path("/proc/net", name) for name in ("udp", "tcp", "udp6", "tcp6")]
    rows = (line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:])
    return any(row[1].endswith(end) and row[3] != _TIME_WAIT for row in rows)


class Sipp:
    """One SIPp. As a context it is killed at the end if it still runs."""

    def __init__(
        self,
        scenario: str,
        target: tuple[str, int],
        *options: str,
        ip: str = "127.0.0.1",
        port: int | None = None,
        calls: int = 1,
        seconds: float = 60,
        replace: dict[str, str] | None = None,
        **keys: str,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sipp-"))
        text = (SCENARIOS / scenario).read_text()
        host, media_ip = target[0], ip
        if ":" in ip:
            # SIPp would put brackets into the o= and c= lines, and none into the URI of its digest.
            text, host = text.replace("IN IP4 [local_ip]", f"IN IP6 {ip}").replace("IN IP4 [media_ip]", f"IN IP6 {ip}"), f"[{host}]"
            options = ("-auth_uri", f"{host}:{target[1]}", *options)
        for old, new in (replace or {}).items():
            text = text.replace(old, new)
        (self.folder / scenario).write_text(text)
        self.port = port or free_port(ip)
        pairs = [part for key, value in keys.items() for part in ("-key", key, value)]
        command = ["sipp", f"{host}:{target[1]}", "-sf", scenario, "-i", ip, "-mi", media_ip, "-p", str(self.port)]
        command += ["-m", str(calls), "-nostdin", "-trace_err", "-timeout", f"{seconds:g}s", "-timeout_error", *pairs, *options]
        with (self.folder / "out.log").open("wb") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.seconds = seconds
        self._await_port()

    def _await_port(self) -> None:
        """What is sent to it from now on reaches it; one that ended at once says why when it is waited for."""
        deadline = time.monotonic() + 20
        while self.process.poll() is None and not taken(self.port):
            assert time.monotonic() < deadline, f"SIPp does not open port {self.port}: {self.complaint()}"
            time.sleep(0.01)

    def wait(self) -> int:
        """Its exit code: 0 when every call went as the scenario says."""
        return self.process.wait(self.seconds + 10)

    def succeed(self) -> Self:
        """Wait; what SIPp saw instead is in the error."""
        assert self.wait() == 0, self.complaint()
        return self

    def complaint(self) -> str:
        errors = "\n".join(path.read_text(errors="replace")[:3000] for path in self.folder.glob("*_errors.log"))
        return f"{errors}\n{(self.folder / 'out.log').read_text(errors='replace')[-3000:]}"

    def statistics(self) -> dict[str, Any]:
        """Last row of -trace_stat by column."""
        header, *rows = [line.split(";") for line in next(self.folder.glob("*_.csv")).read_text().splitlines() if line]
        return dict(zip(header, rows[-1], strict=False))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def register(
    target: tuple[str, int],
    realm: str,
    user: dict[str, Any],
    *options: str,
    port: int | None = None,
    expires: int = 3600,
    ip: str = "127.0.0.1",
) -> int:
    """Register the user from a free port, or for 0 seconds leave from this one; the port, where a scenario may then answer."""
    keys = {"user": user["sip_user"], "realm": realm, "expires": str(expires)}
    with Sipp("register.xml", target, *options, *credentials(user), ip=ip, port=port, seconds=30, **keys) as sipp:
        return sipp.succeed().port


def credentials(user: dict[str, Any]) -> tuple[str, ...]:
    """SIPp's options for what `[authentication]` in a scenario answers with."""
    return "-au", user["sip_user"], "-ap", user["sip_password"]


def tone_file(folder: Path) -> Path:
    """Ten seconds of tone as raw A-law, as SIPp streams it; 400 samples are 45 whole periods."""
    path = folder / "tone.alaw"
    path.write_bytes(g711.encode("PCMA", tones.tone(SPOKEN_HZ, 400)) * 200)
    return path
