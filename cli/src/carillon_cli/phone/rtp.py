"""One RTP port of a test phone: sends a tone in G.711 every 20 ms, keys by RFC 4733, and keeps what it hears.

Always: packets leave on an absolute schedule; what comes in is kept as 16 bit samples, bounded, with pauses as silence.
"""

import asyncio
import random
import struct
from array import array
from collections import deque
from dataclasses import dataclass
from typing import Self, cast

from carillon_cli.phone import g711, tones

FRAME = g711.RATE // 50
FRAME_SECONDS = 0.02
HEADER = struct.Struct("!BBHII")
#: RFC 4733 section 2.3.1: event, E bit and volume, duration.
EVENT = struct.Struct("!BBH")
KEYS = "0123456789*#ABCD"
PAYLOAD_TYPES = {0: "PCMU", 8: "PCMA"}
MAX_HEARD = 600 * g711.RATE
#: A pause up to this long is kept as silence; a longer jump of the time stamp is another source.
MAX_PAUSE = 10 * g711.RATE
KEY_FRAMES, KEY_ENDS, KEY_PAUSE = 5, 3, 4


@dataclass(frozen=True, slots=True)
class Packet:
    """The parts of an RTP packet that a phone looks at."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes

    @classmethod
    def parse(cls, data: bytes) -> "Packet | None":
        """None for what is no RTP (RFC 3550 section 5.1); padding and extensions are cut off."""
        if len(data) < HEADER.size:
            return None
        first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
        start = HEADER.size + 4 * (first & 0x0F)
        if first >> 6 != 2 or len(data) < start:
            return None
        if first & 0x10:
            if len(data) < start + 4:
                return None
            start += 4 + 4 * struct.unpack_from("!H", data, start + 2)[0]
        end = len(data) - (data[-1] if first & 0x20 else 0)
        return cls(second & 0x7F, bool(second & 0x80), sequence, timestamp, ssrc, data[start:end])

    def to_bytes(self) -> bytes:
        return HEADER.pack(0x80, self.payload_type | (0x80 if self.marker else 0), self.sequence, self.timestamp, self.ssrc) + self.payload


def key_payloads(key: str) -> list[bytes]:
    """The payloads of one key press: growing durations every 20 ms, then the end three times (RFC 4733 section 2.5.1)."""
    event = KEYS.index(key)
    growing = [EVENT.pack(event, 10, FRAME * count) for count in range(1, KEY_FRAMES + 1)]
    return growing + [EVENT.pack(event, 0x80 | 10, FRAME * KEY_FRAMES)] * KEY_ENDS


class Ear:
    """Puts the samples of one source in order of time and notes the keys it sends."""

    def __init__(self) -> None:
        self.samples = array("h")
        self.keys = ""
        self.packets = 0
        self._next: tuple[int, int] | None = None
        self._key: tuple[int, int] | None = None

    def packet(self, packet: Packet, telephone_event: int | None) -> None:
        """One packet as it arrived; late and repeated ones are dropped."""
        self.packets += 1
        if packet.payload_type == telephone_event:
            self._keys(packet)
        elif packet.payload_type in PAYLOAD_TYPES and len(self.samples) < MAX_HEARD:
            self._audio(packet, g711.decode(PAYLOAD_TYPES[packet.payload_type], packet.payload))

    def _audio(self, packet: Packet, samples: list[int]) -> None:
        if self._next is not None and self._next[0] == packet.ssrc:
            ahead = (packet.timestamp - self._next[1] + 2**31) % 2**32 - 2**31
            if -MAX_PAUSE < ahead < 0:
                return
            if 0 < ahead <= MAX_PAUSE:
                self.samples.extend([0] * ahead)
        self.samples.extend(samples)
        self._next = packet.ssrc, (packet.timestamp + len(samples)) % 2**32

    def _keys(self, packet: Packet) -> None:
        if len(packet.payload) < EVENT.size:
            return
        event, flags, _ = EVENT.unpack_from(packet.payload)
        if flags & 0x80 and event < len(KEYS) and self._key != (packet.ssrc, packet.timestamp):
            self._key = packet.ssrc, packet.timestamp
            self.keys += KEYS[event]


class AudioPort(asyncio.DatagramProtocol):
    """The socket and the sender of one call. Made by `open`; `talk` starts sending; `close` ends."""

    def __init__(self, tone_hz: int) -> None:
        self.ear = Ear()
        self.telephone_event: int | None = None
        self.speaking = True
        self._tone_hz = tone_hz
        self._remote: tuple[str, int] | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._sender: asyncio.Task[None] | None = None
        self._keys: deque[bytes | None] = deque(maxlen=2_000)
        chance = random.SystemRandom()
        self._sequence, self._timestamp, self._ssrc = chance.getrandbits(16), chance.getrandbits(32), chance.getrandbits(32)

    @classmethod
    async def open(cls, ip: str, tone_hz: int) -> Self:
        """Bind a free port. The tone is a whole number of Hz, so that one second of it can be repeated."""
        _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(lambda: cls(tone_hz), local_addr=(ip, 0))
        return protocol

    @property
    def port(self) -> int:
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if (packet := Packet.parse(data)) is not None:
            self.ear.packet(packet, self.telephone_event)

    def error_received(self, exc: Exception) -> None:
        """The far end's port is closed: calls end by signalling, not by ICMP."""

    def talk(self, remote: tuple[str, int], codec: str, telephone_event: int | None) -> None:
        """Send to `remote` from now on, or change where and how."""
        self._remote, self.telephone_event = remote, telephone_event
        if self._sender is not None:
            self._sender.cancel()
        self._sender = asyncio.create_task(self._send(codec), name=f"rtp {self.port}")

    def press(self, keys: str) -> None:
        """Queue key presses, 160 ms each with a pause of 80 ms. Raises ValueError for what is no key."""
        for key in keys:
            self._keys.extend(key_payloads(key))
            self._keys.extend([None] * KEY_PAUSE)

    def heard(self) -> tones.Heard:
        """What came in so far."""
        return tones.hear(self.ear.samples)

    def close(self) -> None:
        if self._sender is not None:
            self._sender.cancel()
        if self._transport is not None:
            self._transport.close()

    async def _send(self, codec: str) -> None:
        payload_type = next(number for number, name in PAYLOAD_TYPES.items() if name == codec)
        second = g711.encode(codec, tones.tone(self._tone_hz, g711.RATE))
        quiet = g711.encode(codec, [0.0] * FRAME)
        loop = asyncio.get_running_loop()
        due, frame, key_started = loop.time(), 0, 0
        while True:
            key = self._keys.popleft() if self._keys else None
            if key is not None:
                first = key[2:] == FRAME.to_bytes(2, "big")
                key_started = self._timestamp if first else key_started
                self._put(self.telephone_event or 101, first, key_started, key)
            else:
                at = frame % 50 * FRAME
                self._put(payload_type, frame == 0, self._timestamp, second[at : at + FRAME] if self.speaking else quiet)
            frame, self._timestamp = frame + 1, (self._timestamp + FRAME) % 2**32
            due += FRAME_SECONDS
            await asyncio.sleep(max(0.0, due - loop.time()))

    def _put(self, payload_type: int, marker: bool, timestamp: int, payload: bytes) -> None:
        packet = Packet(payload_type, marker, self._sequence, timestamp, self._ssrc, payload)
        self._sequence = (self._sequence + 1) % 2**16
        if self._transport is not None and self._remote is not None:
            self._transport.sendto(packet.to_bytes(), self._remote)
