"""What a leg agrees to send and hear."""

from typing import Any

import pytest

from carillon_media.domain.media import LegMedia, offered_codecs
from carillon_rtp.values import Remote
from carillon_sip.errors import ParseError
from carillon_sip.offer_answer import PCMA, PCMU, NotAcceptable, make_offer
from carillon_sip.sdp import Codec

LEG = LegMedia("192.0.2.9", 20_000, session_id=7)


def offer(direction: Any = "sendrecv", codecs: Any = (PCMU, PCMA), address: str = "192.0.2.1") -> bytes:
    return make_offer(address, 4000, session_id=1, codecs=codecs, direction=direction).to_bytes()


def test_the_callers_first_codec_is_taken_and_offered_on() -> None:
    caller = LEG.answering(offer())
    assert caller.remote == Remote("192.0.2.1", 4000, "PCMU", 101)
    assert offered_codecs(offer()) == ("PCMU", "PCMA")
    callee = LEG.offering((caller.codec,))
    assert b"RTP/AVP 0 8 101" in callee.body


def test_our_address_is_in_what_we_send() -> None:
    for body in (LEG.offering().body, LEG.answering(offer()).body):
        assert b"192.0.2.9" in body
        assert b"m=audio 20000" in body


@pytest.mark.parametrize(("address", "codec"), [("2001:db8::1", ""), ("phone.example", ""), ("0.0.0.0", "PCMU"), ("::", "PCMU")])
def test_audio_where_the_plane_does_not_reach_is_refused_and_hold_is_not(address: str, codec: str) -> None:
    body = offer().replace(b"IN IP4 192.0.2.1", f"IN {'IP6' if ':' in address else 'IP4'} {address}".encode())
    assert next(iter(offered_codecs(body)), "") == codec
    if codec:
        assert LEG.answering(body).remote is not None
        return
    with pytest.raises(NotAcceptable):
        LEG.answering(body)
    with pytest.raises(NotAcceptable):
        LEG.offering().answered(body)


def test_an_answer_is_read() -> None:
    callee = LEG.offering()
    answer = LegMedia("192.0.2.1", 4000, session_id=1).answering(callee.body)
    agreed = callee.answered(answer.body)
    assert (agreed.codec, agreed.remote) == ("PCMA", Remote("192.0.2.1", 4000, "PCMA", 101))


@pytest.mark.feature("M-4")
@pytest.mark.parametrize(
    ("direction", "address", "send", "receive", "ours"),
    [
        ("sendrecv", "192.0.2.1", True, True, b"sendrecv"),
        ("sendonly", "192.0.2.1", False, True, b"recvonly"),
        ("inactive", "192.0.2.1", False, False, b"inactive"),
        ("recvonly", "192.0.2.1", True, False, b"sendonly"),
        ("sendrecv", "0.0.0.0", False, True, None),
    ],
)
def test_hold_as_phones_ask_for_it(direction: str, address: str, send: bool, receive: bool, ours: bytes | None) -> None:
    leg = LEG.answering(offer()).answering(offer(direction, address=address))
    assert leg.remote is not None
    assert (leg.remote.send, leg.remote.receive, leg.remote.ip) == (send, receive, "192.0.2.1")
    assert leg.on_hold is not send
    if ours is not None and ours != b"sendrecv":
        assert ours in leg.body


def test_the_version_rises_with_every_description() -> None:
    first = LEG.answering(offer())
    second = first.answering(offer("sendonly"))
    assert second.version == first.version + 1
    assert first.body.splitlines()[1] != second.body.splitlines()[1]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        offer(codecs=(Codec(18, "G729"),)),
        offer().replace(b"m=audio 4000", b"m=audio 0"),
        offer().replace(b"m=audio", b"m=video"),
    ],
)
def test_unusable_offers(body: bytes) -> None:
    assert offered_codecs(body) == ()
    with pytest.raises((NotAcceptable, ParseError)):
        LEG.answering(body)


def test_an_answer_without_an_offer_is_refused() -> None:
    with pytest.raises(NotAcceptable):
        LEG.answered(offer())
