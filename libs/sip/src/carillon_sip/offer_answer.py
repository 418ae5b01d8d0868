"""Offer and answer (RFC 3264) for audio: pure functions from descriptions to descriptions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from carillon_sip.errors import ParseError, SipError
from carillon_sip.sdp import AudioStream, Codec, Direction, SessionDescription, audio_media, session_lines

PCMA = Codec(8, "PCMA")
PCMU = Codec(0, "PCMU")


class NotAcceptable(SipError):
    """No codec in common, or no audio at all: answer 488."""


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both ends agreed on: our description, the far end's stream, and the codec as the far end numbers it."""

    local: SessionDescription
    remote: AudioStream
    codec: Codec
    telephone_event: int | None
    send: bool
    receive: bool


#: What a direction is from the other end (RFC 3264 section 6.1).
_MIRROR: dict[Direction, Direction] = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
#: Held: RFC 2543 put the stream on hold with this address (RFC 3264 section 8.4).
_NOWHERE = "0.0.0.0"


def make_offer(
    address: str,
    port: int,
    *,
    session_id: int,
    version: int = 1,
    codecs: Sequence[Codec] = (PCMA, PCMU),
    direction: Direction = "sendrecv",
    telephone_event: int | None = 101,
) -> SessionDescription:
    """An offer of one audio stream at `address:port`."""
    stream = AudioStream(address, port, tuple(codecs), direction, telephone_event, 20)
    return SessionDescription.for_audio(stream, session_id=session_id, version=version)


def answer_offer(
    offer: SessionDescription,
    address: str,
    port: int,
    *,
    session_id: int,
    version: int = 1,
    codecs: Sequence[Codec] = (PCMA, PCMU),
    direction: Direction = "sendrecv",
) -> Negotiated:
    """Answer: the offer's order of codecs, its payload numbers, every other stream refused with port 0; raises NotAcceptable.

    `direction` is what we want; the answer is what both ends allow.
    """
    remote, index = _audio_of(offer)
    known = {(codec.name, codec.clock_rate) for codec in codecs}
    common = tuple(codec for codec in remote.codecs if (codec.name, codec.clock_rate) in known)
    if not common:
        raise NotAcceptable("no codec in common")
    send, receive = _ways(direction, remote)
    ours = AudioStream(address, port, common, _direction(send, receive), remote.telephone_event, 20)
    # "For each "m=" line in the offer, there MUST be a corresponding "m=" line in the answer." (RFC 3264 section 6)
    media = tuple(audio_media(ours) if i == index else replace(m, port=0, lines=()) for i, m in enumerate(offer.media))
    local = SessionDescription(session_lines(address, session_id, version), media)
    return Negotiated(local, remote, common[0], remote.telephone_event, send, receive)


def read_answer(offer: SessionDescription, answer: SessionDescription) -> Negotiated:
    """What the far end's answer to our offer means for us; raises NotAcceptable."""
    local, _ = _audio_of(offer)
    remote, _ = _audio_of(answer)
    known = {(codec.name, codec.clock_rate) for codec in local.codecs}
    common = [codec for codec in remote.codecs if (codec.name, codec.clock_rate) in known]
    if not common:
        raise NotAcceptable("no codec in common")
    send, receive = _ways(local.direction, remote)
    telephone_event = remote.telephone_event if local.telephone_event is not None else None
    return Negotiated(offer, remote, common[0], telephone_event, send, receive)


def is_hold(stream: AudioStream) -> bool:
    """Whether the far end that sent this does not want to hear us."""
    return stream.direction in ("sendonly", "inactive") or stream.address == _NOWHERE


def _audio_of(description: SessionDescription) -> tuple[AudioStream, int]:
    try:
        stream, index = description.audio, description.audio_index
    except ParseError as error:
        raise NotAcceptable(str(error)) from None
    if stream is None or index is None or stream.port == 0:
        raise NotAcceptable("no audio stream")
    return stream, index


def _ways(wanted: Direction, remote: AudioStream) -> tuple[bool, bool]:
    """Whether we send and whether we receive."""
    allowed = _MIRROR[remote.direction]
    send = wanted in ("sendrecv", "sendonly") and allowed in ("sendrecv", "sendonly") and remote.address != _NOWHERE
    return send, wanted in ("sendrecv", "recvonly") and allowed in ("sendrecv", "recvonly")


def _direction(send: bool, receive: bool) -> Direction:
    if send:
        return "sendrecv" if receive else "sendonly"
    return "recvonly" if receive else "inactive"
