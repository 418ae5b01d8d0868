"""Session descriptions (RFC 8866): the lines as they are, and a view of the audio stream.

Invariant: lines that this module does not understand are kept and written again; parsing raises only ParseError.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Literal, TypeAlias

from carillon_sip.errors import ParseError
from carillon_sip.sdes import Crypto, parse_crypto

Direction: TypeAlias = Literal["sendrecv", "sendonly", "recvonly", "inactive"]


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type of a stream: RTP number, encoding name (upper case as registered), clock rate in Hz, fmtp text."""

    payload_type: int
    name: str
    clock_rate: int = 8000
    fmtp: str = ""


@dataclass(frozen=True, slots=True)
class AudioStream:
    """The first audio stream: where to send RTP, with what. Port 0: refused.

    `telephone_event` is the payload type of RFC 4733 at 8000 Hz, `telephone_event_48k` the one at 48000 Hz (for Opus). `crypto`: the keys
    that its sender sends under, those lines that we can follow. `rtcp_port`: None is `port` + 1.
    """

    address: str
    port: int
    codecs: tuple[Codec, ...]
    direction: Direction = "sendrecv"
    telephone_event: int | None = None
    ptime: int | None = None
    telephone_event_48k: int | None = None
    protocol: str = "RTP/AVP"
    crypto: tuple[Crypto, ...] = ()
    rtcp_port: int | None = None
    rtcp_mux: bool = False
    #: Extended reports that its sender wants, by name (RFC 3611 section 5.1): `stat-summary`, `voip-metrics`.
    rtcp_xr: tuple[str, ...] = ()
    #: Its sender takes comfort noise (RFC 3389) under payload type 13.
    comfort_noise: bool = False

    @property
    def secure(self) -> bool:
        """SRTP and nothing else."""
        return self.protocol in SECURE_PROTOCOLS


@dataclass(frozen=True, slots=True)
class Media:
    """One m= section: its line's parts and the lines below it as (letter, value)."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    lines: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description: session lines as (letter, value), then the media sections in order."""

    lines: tuple[tuple[str, str], ...]
    media: tuple[Media, ...]

    @classmethod
    def parse(cls, data: bytes) -> "SessionDescription":
        """Read; raises ParseError. CRLF or LF ends a line; at most 64 KiB, 2,000 lines, 64 media sections of 256 formats."""
        if len(data) > _MAX_BYTES:
            raise ParseError("the session description is too large")
        found = [line.removesuffix("\r") for line in data.decode("utf-8", "surrogateescape").split("\n") if line.strip("\r")]
        if _NO_LINE.search("\n".join(found)):
            raise ParseError("a carriage return or NUL where none may be")
        if not found or found[0] != "v=0":
            raise ParseError("a session description starts with v=0")
        if len(found) > _MAX_LINES:
            raise ParseError("the session description has too many lines")
        session: list[tuple[str, str]] = []
        media: list[tuple[str, list[tuple[str, str]]]] = []
        for line in found:
            letter, equals, value = line.partition("=")
            if not equals or len(letter) != 1 or not letter.isalpha():
                raise ParseError("a line of a session description is not letter=value")
            if letter == "m":
                media.append((value, []))
            else:
                (media[-1][1] if media else session).append((letter, value))
        if len(media) > _MAX_MEDIA:
            raise ParseError("the session description has too many streams")
        return cls(tuple(session), tuple(_media(value, lines) for value, lines in media))

    def to_bytes(self) -> bytes:
        """Write with CRLF."""
        lines = [f"{letter}={value}" for letter, value in self.lines]
        for media in self.media:
            lines.append(f"m={media.kind} {media.port} {media.protocol} {' '.join(media.formats)}")
            lines += [f"{letter}={value}" for letter, value in media.lines]
        return ("\r\n".join(lines) + "\r\n").encode("utf-8", "surrogateescape")

    @property
    def audio_index(self) -> int | None:
        """Which media section is the first m=audio over RTP or SRTP, or None."""
        return next(iter(self.audio_indices), None)

    @property
    def audio_indices(self) -> tuple[int, ...]:
        """Which media sections are m=audio over RTP or SRTP; a phone that can do both may offer one of each."""
        return tuple(index for index, media in enumerate(self.media) if media.kind == "audio" and media.protocol in AUDIO_PROTOCOLS)

    @property
    def audio(self) -> AudioStream | None:
        """The first m=audio over RTP or SRTP, or None. Raises ParseError."""
        index = self.audio_index
        return None if index is None else self.audio_at(index)

    def audio_at(self, index: int) -> AudioStream:
        """The audio stream of a media section. Raises ParseError."""
        return _audio(self.media[index], self.lines)

    @classmethod
    def for_audio(cls, stream: AudioStream, *, session_id: int, version: int = 1, name: str = "-") -> "SessionDescription":
        """A description of one audio stream; raise `version` by one whenever it changes (RFC 3264 section 8)."""
        return cls(session_lines(stream.address, session_id, version, name), (audio_media(stream),))


SECURE_PROTOCOLS = ("RTP/SAVP", "RTP/SAVPF")
AUDIO_PROTOCOLS = ("RTP/AVP", "RTP/AVPF", *SECURE_PROTOCOLS)
#: The number of channels that a codec's rtpmap must name (RFC 7587 section 7).
_CHANNELS = {"OPUS": "/2"}
#: What no line may hold (RFC 8866 section 9, byte-string): others would see another line there.
_NO_LINE = re.compile(r"[\r\0]")
_MAX_BYTES = 65_536
_MAX_LINES = 2_000
_MAX_MEDIA = 64
_MAX_FORMATS = 256
_DIRECTIONS: dict[str, Direction] = {"sendrecv": "sendrecv", "sendonly": "sendonly", "recvonly": "recvonly", "inactive": "inactive"}
COMFORT_NOISE = 13
#: What of a report is wanted, where there is a choice.
_XR_FLAGS = {"stat-summary": "stat-summary=loss,dup,jitt"}
#: Static payload types that need no rtpmap (RFC 3551 table 4).
STATIC_CODECS = {0: ("PCMU", 8000), 3: ("GSM", 8000), 4: ("G723", 8000), 8: ("PCMA", 8000), 9: ("G722", 8000), 18: ("G729", 8000)}


def session_lines(address: str, session_id: int, version: int, name: str = "-") -> tuple[tuple[str, str], ...]:
    """The lines above the first m=; `address` is an IP address."""
    kind = "IP6" if ":" in address else "IP4"
    origin = f"{name} {session_id} {version} IN {kind} {address}"
    return (("v", "0"), ("o", origin), ("s", "-"), ("c", f"IN {kind} {address}"), ("t", "0 0"))


def audio_media(stream: AudioStream) -> Media:
    """The m= section of an audio stream."""
    lines: list[tuple[str, str]] = []
    formats: list[str] = []
    for codec in stream.codecs:
        formats.append(str(codec.payload_type))
        lines.append(("a", f"rtpmap:{codec.payload_type} {codec.name}/{codec.clock_rate}{_CHANNELS.get(codec.name.upper(), '')}"))
        if codec.fmtp:
            lines.append(("a", f"fmtp:{codec.payload_type} {codec.fmtp}"))
    for event, clock_rate in ((stream.telephone_event, 8000), (stream.telephone_event_48k, 48000)):
        if event is not None:
            formats.append(str(event))
            lines.append(("a", f"rtpmap:{event} telephone-event/{clock_rate}"))
            lines.append(("a", f"fmtp:{event} 0-16"))
    if stream.comfort_noise:
        formats.append(str(COMFORT_NOISE))
    lines += [("a", f"crypto:{crypto.value}") for crypto in stream.crypto]
    if stream.rtcp_port is not None:
        lines.append(("a", f"rtcp:{stream.rtcp_port}"))
    if stream.rtcp_mux:
        lines.append(("a", "rtcp-mux"))
    if stream.rtcp_xr:
        lines.append(("a", "rtcp-xr:" + " ".join(_XR_FLAGS.get(name, name) for name in stream.rtcp_xr)))
    if stream.ptime is not None:
        lines.append(("a", f"ptime:{stream.ptime}"))
    lines.append(("a", stream.direction))
    return Media("audio", stream.port, stream.protocol, tuple(formats), tuple(lines))


def _media(value: str, lines: list[tuple[str, str]]) -> Media:
    parts = value.split()
    if len(parts) < 4:
        raise ParseError("an m= line is incomplete")
    if len(parts) > 3 + _MAX_FORMATS:
        raise ParseError("an m= line has too many formats")
    # "port/count": several ports are not used for RTP audio.
    port = _number(parts[1].partition("/")[0], 65535, "the port of an m= line")
    return Media(parts[0], port, parts[2], tuple(parts[3:]), tuple(lines))


def _number(text: str, most: int, what: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) > most:
        raise ParseError(f"{what} is not a number up to {most}")
    return int(text)


#: An offer is looked at when it comes, for what it has in common with others, and when it is answered.
@lru_cache(maxsize=512)
def _audio(media: Media, session: tuple[tuple[str, str], ...]) -> AudioStream:
    maps: dict[int, tuple[str, int]] = {}
    fmtps: dict[int, str] = {}
    direction: Direction = _direction(session) or "sendrecv"
    direction = _direction(media.lines) or direction
    ptime: int | None = None
    crypto: list[Crypto] = []
    rtcp: str = ""
    rtcp_mux = False
    for letter, value in media.lines:
        name, _, rest = value.partition(":") if letter == "a" else ("", "", "")
        number, _, text = rest.partition(" ")
        if name == "rtpmap":
            encoding, _, rate = text.strip().partition("/")
            rate = rate.partition("/")[0]
            if number.isascii() and number.isdigit() and rate.isascii() and rate.isdigit() and len(number) <= 3 and len(rate) <= 6:
                maps[int(number)] = (encoding.upper(), int(rate))
        elif name == "fmtp" and number.isascii() and number.isdigit() and len(number) <= 3:
            fmtps[int(number)] = text.strip()
        elif name == "ptime" and rest.isascii() and rest.isdigit() and len(rest) <= 4:
            ptime = int(rest)
        elif name == "crypto" and (line := parse_crypto(rest)) is not None:
            crypto.append(line)
        elif name == "rtcp":
            rtcp = rest
        elif name == "rtcp-mux":
            rtcp_mux = True
    codecs: list[Codec] = []
    events: dict[int, int] = {}
    for text in media.formats:
        payload_type = _number(text, 127, "a payload type")
        encoding, rate_hz = maps.get(payload_type) or STATIC_CODECS.get(payload_type) or ("", 0)
        if encoding == "TELEPHONE-EVENT":
            events.setdefault(rate_hz, payload_type)
        elif encoding and payload_type != COMFORT_NOISE:
            codecs.append(Codec(payload_type, encoding, rate_hz, fmtps.get(payload_type, "")))
    address = _connection(media.lines) or _connection(session)
    if address is None:
        raise ParseError("no c= line says where the audio goes")
    try:
        ip_address(address)
    except ValueError:
        # A name is allowed (RFC 8866 section 5.7), but we would have to ask others before every call where it leads.
        raise ParseError("the audio goes to no IP address") from None
    return AudioStream(
        address,
        media.port,
        tuple(codecs),
        direction,
        events.get(8000),
        ptime,
        telephone_event_48k=events.get(48000),
        protocol=media.protocol,
        crypto=tuple(crypto),
        rtcp_port=_rtcp_port(rtcp, address),
        rtcp_mux=rtcp_mux,
        rtcp_xr=_extended(media.lines) or _extended(session),
        comfort_noise=str(COMFORT_NOISE) in media.formats,
    )


def _extended(lines: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """The names in an a=rtcp-xr line (RFC 3611 section 5.1), without their parameters."""
    value = next((value for letter, value in lines if letter == "a" and value.startswith("rtcp-xr:")), "")
    return tuple(part.partition("=")[0].lower() for part in value.partition(":")[2].split()[:16])


def _rtcp_port(value: str, address: str) -> int | None:
    """The port of an a=rtcp line (RFC 3605); None if there is none, or if it names another host than the audio's."""
    port, *where = value.split() or [""]
    if not (port.isascii() and port.isdigit()) or len(port) > 5 or not 0 < int(port) < 65_536:
        return None
    return int(port) if not where or where[-1] == address else None


def _direction(lines: tuple[tuple[str, str], ...]) -> Direction | None:
    for letter, value in lines:
        if letter == "a" and value in _DIRECTIONS:
            return _DIRECTIONS[value]
    return None


def _connection(lines: tuple[tuple[str, str], ...]) -> str | None:
    for letter, value in lines:
        if letter == "c":
            parts = value.split()
            if len(parts) != 3 or parts[0] != "IN" or parts[1] not in ("IP4", "IP6"):
                raise ParseError("a c= line is wrong")
            return parts[2].partition("/")[0]
    return None
