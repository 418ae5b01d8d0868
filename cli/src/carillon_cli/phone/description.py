"""The session descriptions of a test phone: G.711 and telephone-event, nothing else. Pure."""

from carillon_cli.phone.rtp import PAYLOAD_TYPES
from carillon_sip.errors import ParseError
from carillon_sip.sdp import AudioStream, Codec, Direction, SessionDescription

TELEPHONE_EVENT = 101
DEFAULT_CODEC = "PCMA"


def audio_of(body: bytes) -> AudioStream | None:
    """The audio that a description offers; None when there is none or it cannot be read."""
    try:
        return SessionDescription.parse(body).audio if body else None
    except ParseError:
        return None


def codec_of(audio: AudioStream | None) -> str:
    """The first G.711 codec of the far end's list."""
    names = [] if audio is None else [codec.name for codec in audio.codecs]
    return next((name for name in names if name in PAYLOAD_TYPES.values()), DEFAULT_CODEC)


def holds(audio: AudioStream | None) -> bool:
    """Whether the far end does not want to hear us (RFC 3264 section 8.4)."""
    return audio is not None and audio.direction in ("sendonly", "inactive")


def offer(ip: str, port: int, direction: Direction, version: int) -> bytes:
    """Both codecs, A-law first."""
    return _describe(ip, port, direction, version, tuple(sorted(PAYLOAD_TYPES, reverse=True)), TELEPHONE_EVENT)


def answer(ip: str, port: int, far: AudioStream, version: int) -> bytes:
    """One codec of the far end's, and its telephone-event."""
    wanted = codec_of(far)
    types = tuple(number for number, name in PAYLOAD_TYPES.items() if name == wanted)
    return _describe(ip, port, "recvonly" if holds(far) else "sendrecv", version, types, far.telephone_event or TELEPHONE_EVENT)


def _describe(ip: str, port: int, direction: Direction, version: int, types: tuple[int, ...], event: int) -> bytes:
    stream = AudioStream(ip, port, tuple(Codec(number, PAYLOAD_TYPES[number]) for number in types), direction, event, 20)
    return SessionDescription.for_audio(stream, session_id=port, version=version).to_bytes()
