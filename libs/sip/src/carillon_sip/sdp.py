"""Session descriptions (RFC 8866): the lines as they are, and a view of the audio stream.

Invariant: lines that this module does not understand are kept and written again; parsing raises only ParseError.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

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
    """The first audio stream: where to send RTP, with what. Port 0: refused. `telephone_event`: payload type of RFC 4733."""

    address: str
    port: int
    codecs: tuple[Codec, ...]
    direction: Direction = "sendrecv"
    telephone_event: int | None = None
    ptime: int | None = None


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
        """Read; raises ParseError."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """Write with CRLF."""
        raise NotImplementedError

    @property
    def audio(self) -> AudioStream | None:
        """The first m=audio over RTP/AVP, or None."""
        raise NotImplementedError

    @classmethod
    def for_audio(cls, stream: AudioStream, *, session_id: int, version: int = 1, name: str = "-") -> "SessionDescription":
        """A description of one audio stream; raise `version` by one whenever it changes (RFC 3264 section 8)."""
        raise NotImplementedError
