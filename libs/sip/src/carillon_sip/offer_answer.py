"""Offer and answer (RFC 3264) for audio: pure functions from descriptions to descriptions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from carillon_sip.errors import ParseError, SipError
from carillon_sip.sdes import Crypto
from carillon_sip.sdp import AudioStream, Codec, Direction, SessionDescription, audio_media, session_lines

PCMA = Codec(8, "PCMA")
PCMU = Codec(0, "PCMU")
G722 = Codec(9, "G722")
OPUS = Codec(107, "OPUS", 48000)
#: Our key for a line of the far end's that we follow.
LocalKey = Callable[[Crypto], bytes]


class NotAcceptable(SipError):
    """No codec in common, no audio at all, or no SRTP where it must be: answer 488."""


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both ends agreed on: our description, the far end's stream, and the codec as the far end numbers it.

    `crypto`: the lines that hold for what we send, and for what we hear; None: RTP.
    """

    local: SessionDescription
    remote: AudioStream
    codec: Codec
    telephone_event: int | None
    send: bool
    receive: bool
    #: Hz; None without telephone-events.
    telephone_event_rate: int | None = None
    crypto: tuple[Crypto, Crypto] | None = None


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
    telephone_event_48k: int | None = None,
    crypto: Sequence[Crypto] = (),
    protocol: str = "RTP/AVP",
    rtcp_xr: tuple[str, ...] = (),
) -> SessionDescription:
    """An offer of one audio stream at `address:port`.

    `rtcp_xr`: extended reports that we want.
    With `crypto` under RTP/AVP the far end may take SRTP or leave it, under RTP/SAVP it must take it.
    """
    stream = AudioStream(
        address,
        port,
        tuple(codecs),
        direction,
        telephone_event,
        20,
        telephone_event_48k=telephone_event_48k,
        protocol=protocol,
        crypto=tuple(crypto),
        rtcp_xr=rtcp_xr,
    )
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
    local_key: LocalKey | None = None,
    rtcp_xr: tuple[str, ...] = (),
    comfort_noise: bool = False,
) -> Negotiated:
    """Answer: the offer's order of codecs, its payload numbers, every other stream refused with port 0; raises NotAcceptable.

    `direction` is what we want; the answer is what both ends allow. With `local_key` SRTP is answered where it is offered, by the
    first line that we can follow (RFC 4568 section 5.1.2); without it, only RTP is acceptable. `rtcp_xr` of the offer's extended
    reports and `comfort_noise` are wanted back where they are offered.
    """
    remote, index = audio_of(offer, secure=local_key is not None)
    known = {(codec.name, codec.clock_rate) for codec in codecs}
    common = tuple(codec for codec in remote.codecs if (codec.name, codec.clock_rate) in known)
    if not common:
        raise NotAcceptable("no codec in common")
    send, receive = _ways(direction, remote)
    crypto = None
    if local_key is not None and remote.crypto:
        theirs = remote.crypto[0]
        crypto = (replace(theirs, key=local_key(theirs)), theirs)
    event, rate = _event(common[0], remote)
    ours = AudioStream(
        address,
        port,
        common,
        _direction(send, receive),
        remote.telephone_event if rate != 48000 or len(common) > 1 else None,
        20,
        telephone_event_48k=remote.telephone_event_48k if rate == 48000 else None,
        protocol=remote.protocol,
        crypto=crypto[:1] if crypto is not None else (),
        rtcp_mux=remote.rtcp_mux,
        rtcp_xr=tuple(name for name in rtcp_xr if name in remote.rtcp_xr),
        comfort_noise=comfort_noise and remote.comfort_noise,
    )
    # "For each "m=" line in the offer, there MUST be a corresponding "m=" line in the answer." (RFC 3264 section 6)
    media = tuple(audio_media(ours) if i == index else replace(m, port=0, lines=()) for i, m in enumerate(offer.media))
    local = SessionDescription(session_lines(address, session_id, version), media)
    return Negotiated(local, remote, common[0], event, send, receive, rate, crypto)


def read_answer(offer: SessionDescription, answer: SessionDescription) -> Negotiated:
    """What the far end's answer to our offer means for us; raises NotAcceptable."""
    local, _ = audio_of(offer, secure=True)
    remote, _ = audio_of(answer, secure=bool(local.crypto))
    known = {(codec.name, codec.clock_rate) for codec in local.codecs}
    common = [codec for codec in remote.codecs if (codec.name, codec.clock_rate) in known]
    if not common:
        raise NotAcceptable("no codec in common")
    send, receive = _ways(local.direction, remote)
    pairs = ((ours, theirs) for theirs in remote.crypto for ours in local.crypto if (ours.tag, ours.suite) == (theirs.tag, theirs.suite))
    crypto = next(pairs, None)
    if crypto is None and (local.secure or remote.secure or (local.crypto and remote.crypto)):
        raise NotAcceptable("no SRTP that was offered")
    event, rate = _event(common[0], remote) if local.telephone_event is not None else (None, None)
    return Negotiated(offer, remote, common[0], event, send, receive, rate, crypto)


def audio_of(description: SessionDescription, *, secure: bool) -> tuple[AudioStream, int]:
    """The first audio stream that we can follow, and which media section it is; `secure`: SRTP too. Raises NotAcceptable."""
    why = "no audio stream"
    for index in description.audio_indices:
        try:
            stream = description.audio_at(index)
        except ParseError as error:
            why = str(error)
            continue
        if stream.port and (not stream.secure or (secure and stream.crypto)):
            return stream, index
    raise NotAcceptable(why)


def _event(codec: Codec, remote: AudioStream) -> tuple[int | None, int | None]:
    """Payload type and clock of telephone-events beside the codec: of its own clock if there are such (RFC 4733 section 2.1)."""
    if codec.clock_rate == 48000 and remote.telephone_event_48k is not None:
        return remote.telephone_event_48k, 48000
    return remote.telephone_event, None if remote.telephone_event is None else 8000


def is_hold(stream: AudioStream) -> bool:
    """Whether the far end that sent this does not want to hear us."""
    return stream.direction in ("sendonly", "inactive") or stream.address == _NOWHERE


def _ways(wanted: Direction, remote: AudioStream) -> tuple[bool, bool]:
    """Whether we send and whether we receive."""
    allowed = _MIRROR[remote.direction]
    send = wanted in ("sendrecv", "sendonly") and allowed in ("sendrecv", "sendonly") and remote.address != _NOWHERE
    return send, wanted in ("sendrecv", "recvonly") and allowed in ("sendrecv", "recvonly")


def _direction(send: bool, receive: bool) -> Direction:
    if send:
        return "sendrecv" if receive else "sendonly"
    return "recvonly" if receive else "inactive"
