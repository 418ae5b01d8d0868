"""What tests of the plane and of its users need: a plane process, a UDP endpoint that speaks RTP, tones and their detection.

Nothing here sleeps: whoever waits, waits for a packet or an event with a deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import socket
import struct
import sys
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from carillon_rtp._core import lib
from carillon_rtp.client import PlaneClient
from carillon_rtp.srtp import SrtpStream
from carillon_rtp.values import SRTP_KEY_LENGTHS, AudioCodec, Codec, Event, MediaAddress, Remote, SrtpKeys, SrtpSuite, Statistics

DEADLINE = 20.0  # seconds
FRAME = 160  # samples of 20 ms

_LOCKS = Path("/proc/locks")

E = TypeVar("E", bound=Event)

_ENCODE: dict[Codec, Callable[[int], int]] = {"PCMA": lib.g711_alaw_encode, "PCMU": lib.g711_ulaw_encode}
_DECODE: dict[Codec, list[int]] = {
    "PCMA": [lib.g711_alaw_decode(code) for code in range(256)],
    "PCMU": [lib.g711_ulaw_decode(code) for code in range(256)],
}
PAYLOAD_TYPE: dict[Codec, int] = {"PCMU": 0, "PCMA": 8}


def sine(hertz: float, milliseconds: int, amplitude: int = 8000) -> list[int]:
    """Linear samples of a tone at 8 kHz."""
    return [round(amplitude * math.sin(2 * math.pi * hertz * n / 8000)) for n in range(8 * milliseconds)]


def encode(samples: Sequence[int], codec: Codec) -> bytes:
    law = _ENCODE[codec]
    return bytes(law(sample) for sample in samples)


def decode(audio: bytes, codec: Codec) -> list[int]:
    law = _DECODE[codec]
    return [law[code] for code in audio]


def tone(hertz: float, milliseconds: int, codec: Codec) -> bytes:
    """A tone as G.711."""
    return encode(sine(hertz, milliseconds), codec)


def share_of(samples: Sequence[int], hertz: float) -> float:
    """The part of the samples' energy that is the tone (Goertzel): about 1 for the pure tone, about 0 without it."""
    energy = sum(sample * sample for sample in samples)
    if not energy:
        return 0.0
    coefficient = 2 * math.cos(2 * math.pi * hertz / 8000)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + coefficient * last - before
    power = before * before + last * last - coefficient * before * last
    return 2 * power / (len(samples) * energy)


def srtp_keys(suite: SrtpSuite) -> SrtpKeys:
    """Keys of chance."""
    length = SRTP_KEY_LENGTHS[suite]
    return SrtpKeys(suite, os.urandom(length), os.urandom(length))


def write_wav(path: Path, samples: Sequence[int]) -> Path:
    """16-bit 8 kHz mono."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path


@dataclass(frozen=True, slots=True)
class RtpPacket:
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    source: tuple[str, int]


class RtpEndpoint(asyncio.DatagramProtocol):
    """A far end: sends RTP as a phone does and keeps what it receives."""

    def __init__(self, ip: str) -> None:
        self._ip = ip
        self._transport: asyncio.DatagramTransport | None = None
        self._changed = asyncio.Event()
        self.received: list[RtpPacket] = []
        self.wire: list[bytes] = []  # the datagrams as they came
        self.control: list[bytes] = []  # RTCP among them
        self._protection: tuple[SrtpStream, SrtpStream] | None = None  # out, in
        self.ssrc = int.from_bytes(os.urandom(4), "big")
        self.sequence = int.from_bytes(os.urandom(2), "big")
        self.timestamp = int.from_bytes(os.urandom(4), "big")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def secure(self, keys: SrtpKeys, rolled_over: int = 0) -> SrtpKeys:
        """From now on this end speaks SRTP, as in a call whose sequence numbers rolled over so often; gives the keys as the plane sees
        them."""
        outgoing, incoming = SrtpStream(keys.suite, keys.local_key), SrtpStream(keys.suite, keys.remote_key)
        if rolled_over:
            outgoing.start(self.ssrc, rolled_over * 65536 + self.sequence - 1)
            incoming.expect(rolled_over)
        self._protection = outgoing, incoming
        return replace(keys, local_key=keys.remote_key, remote_key=keys.local_key)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.wire.append(data)
        if 192 <= data[1] <= 223:  # RFC 5761 section 4
            self.control.append(data)
            self._changed.set()
            return
        if self._protection is not None:
            data = self._protection[1].unprotect(data)
        head, kind, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
        assert head == 0x80
        self.received.append(RtpPacket(kind & 127, bool(kind >> 7), sequence, timestamp, ssrc, data[12:], (addr[0], addr[1])))
        self._changed.set()

    @property
    def address(self) -> MediaAddress:
        assert self._transport is not None
        ip, port = self._transport.get_extra_info("sockname")[:2]
        return MediaAddress(ip, port)

    def send_bytes(self, data: bytes, to: MediaAddress) -> None:
        if self._protection is not None:
            data = self._protection[0].protect(data)
        self.send_raw(data, to)

    def send_raw(self, data: bytes, to: MediaAddress) -> None:
        """As it is, also where this end speaks SRTP."""
        assert self._transport is not None
        self._transport.sendto(data, (to.ip, to.port))

    def packet(self, payload: bytes, payload_type: int, *, marker: bool = False, timestamp: int | None = None) -> bytes:
        """The next packet of this end's stream; its timestamp moves only when none is given."""
        stamp = self.timestamp if timestamp is None else timestamp
        kind = marker << 7 | payload_type
        data = struct.pack("!BBHII", 0x80, kind, self.sequence % 65536, stamp % 2**32, self.ssrc % 2**32) + payload
        self.sequence += 1
        if timestamp is None:
            self.timestamp += len(payload)
        return data

    def send_audio(self, audio: bytes, codec: Codec, to: MediaAddress) -> None:
        """All of it at once, in packets of 20 ms."""
        for start in range(0, len(audio), FRAME):
            self.send_bytes(self.packet(audio[start : start + FRAME], PAYLOAD_TYPE[codec]), to)

    def event_packets(self, event: int, payload_type: int, updates: int = 5, step: int = FRAME) -> list[bytes]:
        """One key press as RFC 4733 has it: `updates` packets, the end three times. The stream's clock goes on behind it."""
        start = self.timestamp
        packets = []
        for number in range(1, updates + 3):
            duration = min(number, updates) * step
            body = struct.pack("!BBH", event, 0x8A if number >= updates else 0x0A, duration)
            packets.append(self.packet(body, payload_type, marker=number == 1, timestamp=start))
        self.timestamp = start + updates * step
        return packets

    async def changed(self) -> None:
        """Waits for the next datagram."""
        self._changed.clear()
        await self._changed.wait()

    async def wait_for(self, count: int, deadline: float = DEADLINE) -> list[RtpPacket]:
        """The first `count` packets. Raises TimeoutError with what came instead."""
        try:
            async with asyncio.timeout(deadline):
                while len(self.received) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"{len(self.received)} packets came, {count} were expected") from None
        return self.received[:count]

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def hear_each_other(one: RtpEndpoint, one_to: MediaAddress, other: RtpEndpoint, other_to: MediaAddress, *, skip: int = 2) -> None:
    """Each sends a tone to its address, and hears the other's, but for the first packets."""
    for phone in (one, other):
        phone.received.clear()
    one.send_audio(tone(440, 400, "PCMA"), "PCMA", one_to)
    other.send_audio(tone(880, 400, "PCMA"), "PCMA", other_to)
    for phone, hertz in ((one, 880), (other, 440)):
        heard = b"".join(packet.payload for packet in (await phone.wait_for(10 + skip))[skip:])
        assert share_of(decode(heard, "PCMA"), hertz) > 0.9


@dataclass(frozen=True, slots=True)
class Report:
    """An RTCP sender or receiver report. `lost` is the cumulative number of its block, all zero when it has none."""

    payload_type: int
    ssrc: int
    ntp: int = 0  # 64 bits, as the sender wrote it
    timestamp: int = 0
    packets: int = 0
    octets: int = 0
    about: int = 0
    fraction: int = 0  # of 256
    lost: int = 0
    highest: int = 0
    jitter: int = 0
    last_sender_report: int = 0
    delay: int = 0  # 1/65536 s
    cname: str = ""
    bye: bool = False
    extended: bytes = b""  # the extended report (RFC 3611), with its header

    @classmethod
    def parse(cls, data: bytes) -> Report:
        """A compound packet as RFC 3550 section 6.1 has it. Raises AssertionError when it is none."""
        assert data[0] >> 6 == 2
        sender, blocks = data[1] == 200, data[0] & 31
        assert data[1] in (200, 201)
        size = 4 + 4 * struct.unpack_from("!H", data, 2)[0]
        assert size == (28 if sender else 8) + 24 * blocks
        (ssrc,) = struct.unpack_from("!I", data, 4)
        info = dict(zip(("ntp", "timestamp", "packets", "octets"), struct.unpack_from("!QIII", data, 8), strict=True)) if sender else {}
        if blocks:
            about, lost, highest, jitter, last, delay = struct.unpack_from("!6I", data, 28 if sender else 8)
            info |= {"about": about, "fraction": lost >> 24, "lost": (lost & 0xFFFFFF) - ((lost & 0x800000) << 1), "highest": highest}
            info |= {"jitter": jitter, "last_sender_report": last, "delay": delay}
        head, kind, length, about, item, name = struct.unpack_from("!BBHIBB", data, size)
        assert (head, kind, about, item) == (0x81, 202, ssrc, 1)
        rest = size + 4 + 4 * length
        extended = b""
        if rest < len(data) and data[rest + 1] == 207:
            extended = data[rest : rest + 4 + 4 * struct.unpack_from("!H", data, rest + 2)[0]]
            rest += len(extended)
        goodbye = rest < len(data)
        assert not goodbye or struct.unpack_from("!BBHI", data, rest) == (0x81, 203, 1, ssrc)
        return cls(data[1], ssrc, **info, cname=data[size + 10 : size + 10 + name].decode(), bye=goodbye, extended=extended)

    def to_bytes(self) -> bytes:
        """With its block, and a CNAME."""
        sender = self.payload_type == 200
        info = struct.pack("!QIII", self.ntp, self.timestamp, self.packets, self.octets) if sender else b""
        loss = self.fraction << 24 | self.lost & 0xFFFFFF
        block = struct.pack("!6I", self.about, loss, self.highest, self.jitter, self.last_sender_report, self.delay)
        head = struct.pack("!BBHI", 0x81, self.payload_type, 1 + (len(info) + len(block)) // 4, self.ssrc)
        return head + info + block + struct.pack("!BBHIBB", 0x81, 202, 3, self.ssrc, 1, 4) + b"test\0\0" + self.extended


class RtcpEndpoint(asyncio.DatagramProtocol):
    """The RTCP side of a far end: keeps the reports it receives; SRTCP where the RTP side has `keys`."""

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport | None = None
        self._changed = asyncio.Event()
        self._protection: tuple[SrtpStream, SrtpStream] | None = None  # out, in
        self.received: list[Report] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def secure(self, keys: SrtpKeys) -> None:
        """From now on SRTCP, with the keys as this far end has them."""
        self._protection = SrtpStream(keys.suite, keys.local_key), SrtpStream(keys.suite, keys.remote_key)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.append(Report.parse(data if self._protection is None else self._protection[1].unprotect_rtcp(data)))
        self._changed.set()

    @property
    def port(self) -> int:
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def send(self, report: Report, to: MediaAddress) -> None:
        """To the RTCP port of a session."""
        data = report.to_bytes()
        assert self._transport is not None
        self._transport.sendto(data if self._protection is None else self._protection[0].protect_rtcp(data), (to.ip, to.port + 1))

    async def wait_for(self, condition: Callable[[Report], bool]) -> Report:
        """The first report that meets the condition. Raises TimeoutError."""
        async with asyncio.timeout(DEADLINE):
            while not (found := [report for report in self.received if condition(report)]):
                self._changed.clear()
                await self._changed.wait()
        return found[0]

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@contextlib.asynccontextmanager
async def rtcp_endpoint(ip: str = "127.0.0.1") -> AsyncIterator[RtcpEndpoint]:
    """An RTCP endpoint on a free port."""
    _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(RtcpEndpoint, local_addr=(ip, 0))
    try:
        yield protocol
    finally:
        protocol.close()


@contextlib.asynccontextmanager
async def rtp_endpoint(ip: str = "127.0.0.1") -> AsyncIterator[RtpEndpoint]:
    """An endpoint on a free port."""
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_datagram_endpoint(lambda: RtpEndpoint(ip), local_addr=(ip, 0))
    try:
        yield protocol
    finally:
        protocol.close()


def free_ports(count: int, ip: str = "127.0.0.1") -> tuple[int, int]:
    """An even-numbered range of `count` UDP ports that are free now."""
    first = 20000 + os.getpid() % 4000 * 2
    for low in range(first, 32000, 64):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(low, low + count):
                    stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind((ip, port))
            except OSError:
                continue
            return low, low + count - 1
    raise OSError("no free range of ports")


class PlaneProcess:
    """A plane of its own for a test: started, killed, started again."""

    def __init__(self, socket_path: Path, ports: tuple[int, int], arguments: Sequence[str] = ()) -> None:
        self.socket = socket_path
        self.ports = ports
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        low, high = self.ports
        busy = ["--most-late", "2"]  # never: a machine that tests has much else to do
        command = ["--socket", str(self.socket), "--listen-ip", "127.0.0.1", "--ports", f"{low}-{high}", *busy, *self._arguments]
        self._process = await asyncio.create_subprocess_exec(sys.executable, "-m", "carillon_rtp", *command)

    def stands_by(self) -> bool:
        """Whether the kernel lists it behind another one's lock."""
        return any(" -> " in line and str(self.pid) in line.split() for line in _LOCKS.read_text().splitlines())

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signals it and waits; the exit code."""
        if self._process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """Waits for its end; the exit code."""
        process, self._process = self._process, None
        assert process is not None
        return await asyncio.wait_for(process.wait(), DEADLINE)


@contextlib.asynccontextmanager
async def plane_process(folder: Path, *arguments: str, ports: int | tuple[int, int] = 200) -> AsyncIterator[PlaneProcess]:
    """A running plane whose socket is in `folder`, with so many free ports or those of a range; ended afterwards."""
    plane = PlaneProcess(folder / "plane.sock", ports if isinstance(ports, tuple) else free_ports(ports), arguments)
    await plane.start()
    try:
        yield plane
    finally:
        await plane.end()


class EventLog:
    """Reads the client's events for all tests of a module; each test waits for its own."""

    def __init__(self, client: PlaneClient) -> None:
        self._client = client
        self._seen: list[Event] = []
        self._changed = asyncio.Event()

    async def read(self) -> None:
        async for event in self._client.events():
            self._seen.append(event)
            self._changed.set()

    def of(self, kind: type[E], session: str | None = None) -> list[E]:
        found = [event for event in self._seen if isinstance(event, kind)]
        return [event for event in found if session is None or getattr(event, "session", None) == session]

    async def wait_for(self, kind: type[E], session: str | None = None, count: int = 1) -> list[E]:
        async with asyncio.timeout(DEADLINE):
            while len(self.of(kind, session)) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.of(kind, session)


class Leg:
    """A session and its far end."""

    def __init__(self, client: PlaneClient, name: str, address: MediaAddress, phone: RtpEndpoint) -> None:
        self._client = client
        self.name = name
        self.address = address
        self.phone = phone
        self.codec: Codec = "PCMA"
        self.event_type: int | None = None

    async def connect(self, codec: Codec = "PCMA", event_type: int | None = None, *, send: bool = True, receive: bool = True) -> None:
        """Tells the plane about this far end."""
        self.codec, self.event_type = codec, event_type
        await self.agree(codec, event_type, send=send, receive=receive)

    async def agree(self, codec: Codec | AudioCodec, event_type: int | None = None, **options: Any) -> None:
        """Tells the plane about this far end, with any field of Remote."""
        here = self.phone.address
        await self._client.set_remote(self.name, Remote(here.ip, here.port, codec, event_type, **options))

    def say(self, audio: bytes) -> None:
        self.phone.send_audio(audio, self.codec, self.address)

    def press(self, packets: list[bytes]) -> None:
        for packet in packets:
            self.phone.send_bytes(packet, self.address)

    def press_event(self, event: int) -> None:
        assert self.event_type is not None
        self.press(self.phone.event_packets(event, self.event_type))

    async def statistics(self) -> Statistics:
        return await self._client.session_statistics(self.name)

    async def taken(self, count: int) -> Statistics:
        """Waits until the plane has dealt with so many packets of this far end. Raises TimeoutError."""
        async with asyncio.timeout(DEADLINE):
            while True:
                statistics = await self.statistics()
                if statistics.packets_in >= count:
                    return statistics


MakeLeg = Callable[..., Awaitable[Leg]]
