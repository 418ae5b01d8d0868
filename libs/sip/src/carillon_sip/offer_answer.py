"""Offer and answer (RFC 3264) for audio: pure functions from descriptions to descriptions."""

from collections.abc import Sequence
from dataclasses import dataclass

from carillon_sip.errors import SipError
from carillon_sip.sdp import AudioStream, Codec, Direction, SessionDescription

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
    raise NotImplementedError


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
    """Answer: the offer's order of codecs, its payload numbers, every other stream refused with port 0; raises NotAcceptable."""
    raise NotImplementedError


def read_answer(offer: SessionDescription, answer: SessionDescription) -> Negotiated:
    """What the far end's answer to our offer means for us; raises NotAcceptable."""
    raise NotImplementedError
