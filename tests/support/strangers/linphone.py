"""Linphone as an independent phone: its daemon in a folder of its own, driven over its socket, ended by its process id.

Always: the daemon has no sound card; it speaks what it is told to play (`speak`).
"""

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest

from carillon_cli.phone import g711, tones, wav
from carillon_kit.embedded import free_port
from strangers.system import System

BINARY = shutil.which("linphone-daemon")
TONE_SECONDS = 60
ANSWER_SECONDS = 30.0
Transport = Literal["udp", "tcp", "tls"]

needs_linphone = pytest.mark.skipif(BINARY is None, reason="linphone-daemon is not installed: tools/setup installs it")


def configuration(system: System, extension: str, transport: Transport, authority: Path | None) -> str:
    """Its `linphonerc`: registers as the extension's user; over TLS with a certificate that `authority` vouches for, and SRTP."""
    user, (host, port) = system.user(extension), system.address(transport)
    if transport == "tls":
        # Its TLS library reads no addresses in certificates.
        host = "localhost"
    over = "" if transport == "udp" else f";transport={transport}"
    trust = f"root_ca={authority}\nverify_server_certs=1\nverify_server_cn=1" if authority else "verify_server_certs=0"
    return f"""[sip]
sip_port={free_port() if transport == "udp" else 0}
sip_tcp_port={-1 if transport == "tcp" else 0}
sip_tls_port={-1 if transport == "tls" else 0}
default_proxy=0
use_ipv6=0
media_encryption={"srtp" if transport == "tls" else "none"}
{trust}
[rtp]
audio_rtp_port=33000-59999
rtcp_xr_enabled=1
rtcp_xr_stat_summary_enabled=1
rtcp_xr_voip_metrics_enabled=1
[auth_info_0]
username={user["sip_user"]}
passwd={user["sip_password"]}
realm={system.tenant["realm"]}
[proxy_0]
reg_proxy=<sip:{host}:{port}{over}>
reg_route=<sip:{host}:{port}{over};lr>
reg_identity=sip:{user["sip_user"]}@{system.tenant["realm"]}
reg_expires=600
reg_sendregister=1
publish=0
[video]
capture=0
display=0
"""


class Linphone:
    """One running daemon. Made by `linphone`."""

    def __init__(self, folder: Path, hz: int, process: asyncio.subprocess.Process, pipe: Path) -> None:
        self.folder = folder
        self.pipe = pipe
        self.process = process
        self.events: list[str] = []
        self._tone = folder / "tone.wav"
        self._tone.write_bytes(wav.write([round(sample) for sample in tones.tone(hz, g711.RATE * TONE_SECONDS)]))
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def connect(self) -> None:
        """To its socket, when it is there."""
        while self._writer is None:
            assert self.process.returncode is None, self.log()
            try:
                self._reader, self._writer = await asyncio.open_unix_connection(self.pipe)
            except OSError:
                await asyncio.sleep(0.05)

    async def command(self, text: str) -> str:
        """Its answer, which it writes in one piece, must begin with Ok."""
        assert self._reader is not None
        assert self._writer is not None
        self._writer.write(text.encode() + b"\n")
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = (await self._reader.read(65_536)).decode(errors="replace")
        assert answer.startswith("Status: Ok"), f"{text}: {answer}\n{self.log()}"
        return answer

    async def until(self, condition: Callable[[str], object], command: str, what: str) -> str:
        """Ask until the answer is as wanted."""
        answer = ""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while not condition(answer := await self.command(command)):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(f"{what}: not within {ANSWER_SECONDS} s; {answer}\n{self.events}\n{self.log()}")
        return answer

    async def until_event(self, state: str, call: int | None = None) -> int:
        """Wait for a state of a call (`IncomingReceived`, `StreamsRunning`, ...) that was not waited for before; the call's number."""

        def fits(event: str) -> bool:
            return f"Event: LinphoneCall{state}\n" in event and (call is None or f"Id: {call}\n" in event)

        def found(answer: str) -> bool:
            if "Event:" in answer:
                self.events.append(answer)
            return any(map(fits, self.events))

        if not any(map(fits, self.events)):
            await self.until(found, "pop-event", state)
        event = next(filter(fits, self.events))
        self.events.remove(event)
        number = re.search(r"^Id: (\d+)$", event, re.MULTILINE)
        assert number is not None
        return int(number[1])

    async def dial(self, uri: str) -> int:
        """Call somebody; the call's number."""
        answer = await self.command(f"call {uri}")
        return int(answer.rpartition("Id: ")[2])

    async def speak(self, call: int) -> None:
        """Say its tone in this call from now on."""
        await self.command(f"incall-player-start {self._tone} {call}")

    async def hears(self) -> None:
        """Wait until its log counts audio that came in, in kbit/s: it has no sound card to hear with."""
        counted = re.compile(r"\| RTP : \[d=([0-9.]+),")

        def received() -> bool:
            return any(float(rate) > 20 for rate in counted.findall((self.folder / "log").read_text(errors="replace")))

        await self.until(lambda answer: received(), "version", "audio comes in")

    async def reports(self, count: int) -> None:
        """Wait until it has sent so many RTCP reports, each with an extended one (RFC 3611) where that was agreed."""

        def sent(answer: str) -> bool:
            return (self.folder / "log").read_text(errors="replace").count("Sending RTCP SR") >= count

        await self.until(sent, "version", "it reports")

    def log(self) -> str:
        """The end of its log."""
        path = self.folder / "log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    async def stop(self) -> None:
        """End it."""
        if self._writer is not None:
            self._writer.close()
        if self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 20)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        with contextlib.suppress(FileNotFoundError):
            self.pipe.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)


@asynccontextmanager
async def linphone(
    system: System, extension: str, hz: int, transport: Transport = "udp", authority: Path | None = None
) -> AsyncIterator[Linphone]:
    """A registered Linphone of the extension's user that says this tone when told to."""
    assert BINARY is not None
    folder = Path(tempfile.mkdtemp(prefix="linphone-"))
    (folder / ".local/share/linphone").mkdir(parents=True)
    (folder / "linphonerc").write_text(configuration(system, extension, transport, authority))
    # It puts its socket into /tmp, whatever TMPDIR says.
    name = f"{folder.name}-ctl"
    command = [BINARY, "--config", str(folder / "linphonerc"), "--pipe", name, "--disable-stats-events", "--log", str(folder / "log")]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "HOME": str(folder)},
        start_new_session=True,
    )
    phone = Linphone(folder, hz, process, Path("/tmp") / name)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await phone.connect()
        await phone.until(lambda answer: "State: LinphoneRegistrationOk" in answer, "register-status ALL", "Linphone registers")
        yield phone
    finally:
        await phone.stop()
