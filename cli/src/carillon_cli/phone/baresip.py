"""baresip as an independent phone: a process with its own configuration, driven over its control socket.

Always: it plays a tone of its own, records what it hears, and is ended by `stop`; only the process started here is signalled.
"""

import asyncio
import contextlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from carillon_cli.phone import g711, tones, wav
from carillon_kit.embedded import free_port

BINARY = Path("/usr/bin/baresip")
MODULES = ("/usr/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules", "/usr/lib/aarch64-linux-gnu/baresip/modules")
#: The end of the tone's file would hang up: it is longer than any test call.
TONE_SECONDS = 60
#: At this rate baresip speaks Opus, which it takes from two channels.
OPUS_RATE = 48_000
START_SECONDS = 20.0
START_ATTEMPTS = 3
STOP_SECONDS = 20.0
#: Until a call that was hung up is closed.
CLOSE_SECONDS = 5.0
EVENT_SECONDS = 30.0


class BaresipError(Exception):
    """baresip did not do what it was told in time."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who the phone is at a registrar, and how it gets there."""

    user: str
    password: str
    domain: str
    registrar: tuple[str, int]
    transport: Literal["udp", "tcp", "tls"] = "udp"
    #: In the order of its liking, as baresip writes them.
    codecs: str = "PCMA/8000/1,PCMU/8000/1"
    #: SRTP: `srtp` (if the other side wants), `srtp-mand` (or no call); empty: none.
    encryption: Literal["", "srtp", "srtp-mand"] = ""

    @property
    def outbound(self) -> str:
        """The registrar as baresip's outbound proxy."""
        ip, port = self.registrar
        host = f"[{ip}]" if ":" in ip else ip
        return f"sip:{host}:{port}" + (f";transport={self.transport}" if self.transport != "udp" else "")


def available() -> bool:
    """Whether baresip is installed."""
    return BINARY.exists() and any(Path(folder).is_dir() for folder in MODULES)


def configuration(folder: Path, control_port: int, ip: str, authority: Path | None = None) -> str:
    """baresip's `config`: G.711, G.722 and Opus, tone from a file, both directions recorded. `authority`: PEM trusted over TLS."""
    modules = next(path for path in MODULES if Path(path).is_dir())
    return "\n".join(
        [
            "poll_method epoll",
            f"sip_listen {ip}:0",
            f"net_interface {ip}",
            "call_max_calls 4",
            f"audio_source aufile,{folder / 'tone.wav'}",
            "audio_player aubridge,player",
            "audio_alert aubridge,alert",
            "audio_srate 8000",
            "audio_channels 1",
            f"snd_path {folder}",
            # Above the ports of the media plane, which sends no audio to a port of its own.
            "rtp_ports 33000-59999",
            f"ctrl_tcp_listen {ip}:{control_port}",
            f"module_path {modules}",
            *([f"sip_cafile {authority}", "sip_verify_server yes"] if authority is not None else []),
            *(f"module {name}.so" for name in ("g711", "g722", "opus", "srtp", "aufile", "aubridge", "sndfile")),
            *(f"module_app {name}.so" for name in ("account", "contact", "menu", "ctrl_tcp")),
            "",
        ]
    )


def prepare(folder: Path, tone_hz: int, config: str, rate: int = g711.RATE) -> None:
    """The folder that baresip reads: configuration, tone at `rate` Hz, no accounts, no contacts."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = [round(sample) for sample in tones.tone(tone_hz * g711.RATE / rate, rate * TONE_SECONDS)]
    (folder / "tone.wav").write_bytes(wav.write(samples, rate, 2 if rate == OPUS_RATE else 1))
    (folder / "config").write_text(config)
    for empty in ("accounts", "contacts"):
        (folder / empty).touch()


class Baresip:
    """One running baresip. Made by `start`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[dict[str, Any]] = []
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        #: Ids of calls that are not closed.
        self._open: set[str] = set()

    @classmethod
    async def start(
        cls,
        folder: Path,
        tone_hz: int,
        *,
        ip: str = "127.0.0.1",
        authority: Path | None = None,
        rate: int = g711.RATE,
    ) -> Self:
        """Start in an empty folder and connect to its control socket. `rate`: the samples of the codec that will be spoken, in Hz.
        Raises `BaresipError`."""
        for _ in range(START_ATTEMPTS):
            # Somebody may take the port before baresip does; it then goes on without a control socket.
            control_port = free_port(ip)
            prepare(folder, tone_hz, configuration(folder, control_port, ip, authority), rate)
            phone = cls(folder)
            with (folder / "baresip.log").open("wb") as log:
                phone._process = await asyncio.create_subprocess_exec(
                    str(BINARY), "-f", str(folder), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            try:
                async with asyncio.timeout(START_SECONDS):
                    await phone._connect(ip, control_port)
            except TimeoutError:
                await phone.stop()
            else:
                return phone
        raise BaresipError(f"baresip did not start; see {folder / 'baresip.log'}")

    async def register(self, account: Account) -> None:
        """Register; REGISTER_OK is waited for. Raises `BaresipError`."""
        address = f"<sip:{account.user}@{account.domain}>"
        own = f'auth_user={account.user};auth_pass={account.password};outbound="{account.outbound}"'
        options = f"{own};regint=600;audio_codecs={account.codecs}" + (f";mediaenc={account.encryption}" if account.encryption else "")
        await self.command("uanew", f"{address};{options}")
        await self.until(lambda event: event.get("type") in ("REGISTER_OK", "REGISTER_FAIL"), "REGISTER_OK")
        if not any(event.get("type") == "REGISTER_OK" for event in self.events):
            raise BaresipError(f"baresip cannot register {account.user}")

    async def command(self, name: str, params: str = "") -> None:
        """Send a command: dial, accept, hangup, hold, resume, transfer, sndcode, ..."""
        body = json.dumps({"command": name, "params": params, "token": name}).encode()
        if self._writer is None:
            raise BaresipError("baresip is not running")
        # A netstring: length, colon, bytes, comma.
        self._writer.write(f"{len(body)}:".encode() + body + b",")
        await self._writer.drain()

    async def until(self, wanted: Callable[[dict[str, Any]], bool], what: str, seconds: float = EVENT_SECONDS) -> dict[str, Any]:
        """The first event that fits, also one that came before. Raises `BaresipError`."""
        try:
            async with asyncio.timeout(seconds), self._news:
                while True:
                    if (found := next(filter(wanted, self.events), None)) is not None:
                        return found
                    await self._news.wait()
        except TimeoutError as error:
            raise BaresipError(f"baresip did not say {what} within {seconds:g} s") from error

    async def until_event(self, kind: str, seconds: float = EVENT_SECONDS) -> dict[str, Any]:
        """Wait for CALL_INCOMING, CALL_ESTABLISHED, CALL_CLOSED, ..."""
        return await self.until(lambda event: event.get("type") == kind, kind, seconds)

    def heard(self) -> tones.Heard:
        """What the last finished call's recording of the other side (`dump-*-dec.wav`) holds."""
        found = sorted(self.folder.glob("dump-*-dec.wav"), key=lambda path: path.stat().st_mtime)
        return tones.hear(wav.read_wide(found[-1].read_bytes()) if found else [])

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Hang up and quit, or be killed after so long: who is killed stays registered."""
        with contextlib.suppress(BaresipError, OSError):
            await self._hang_up()
            await self.command("quit")
        if self._listening is not None:
            self._listening.cancel()
        if self._writer is not None:
            self._writer.close()
        if self._process is not None:
            try:
                await asyncio.wait_for(self._process.wait(), seconds)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    def forget(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _hang_up(self) -> None:
        """Every call, one after the other; one that does not close is left to `quit`."""
        with contextlib.suppress(TimeoutError):
            while self._open:
                before = set(self._open)
                await self.command("hangup")
                async with asyncio.timeout(CLOSE_SECONDS), self._news:
                    await self._news.wait_for(lambda before=before: before != self._open)  # type: ignore[misc]

    async def _connect(self, ip: str, port: int) -> None:
        while self._writer is None:
            try:
                self._reader, self._writer = await asyncio.open_connection(ip, port)
            except OSError:
                await asyncio.sleep(0.05)
        self._listening = asyncio.create_task(self._listen(self._reader), name="baresip events")

    def _follow(self, kind: str, call_id: str) -> None:
        if kind in ("CALL_INCOMING", "CALL_RINGING", "CALL_PROGRESS", "CALL_ESTABLISHED"):
            self._open.add(call_id)
        elif kind == "CALL_CLOSED":
            self._open.discard(call_id)

    async def _listen(self, reader: asyncio.StreamReader | None) -> None:
        if reader is None:
            return
        with contextlib.suppress(asyncio.IncompleteReadError, ValueError, OSError):
            while True:
                size = int((await reader.readuntil(b":"))[:-1])
                body = json.loads(await reader.readexactly(size))
                await reader.readexactly(1)
                async with self._news:
                    self.events.append(body)
                    self._follow(str(body.get("type", "")), str(body.get("id", "")))
                    self._news.notify_all()
