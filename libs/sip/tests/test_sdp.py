"""Session descriptions and offer/answer for audio."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_sip import ParseError
from carillon_sip.offer_answer import PCMA, PCMU, NotAcceptable, answer_offer, is_hold, make_offer, read_answer
from carillon_sip.sdp import Codec, SessionDescription

PHONE = (
    "v=0\r\no=- 3 1 IN IP4 192.0.2.7\r\ns=phone\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\na=tool:x\r\n"
    "m=video 5000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    "m=audio 4000 RTP/AVP 9 0 8 97 96\r\nc=IN IP4 192.0.2.8\r\na=rtpmap:9 G722/8000\r\na=rtpmap:97 telephone-event/8000\r\n"
    "a=fmtp:97 0-15\r\n"
    "a=rtpmap:96 opus/48000/2\r\na=ptime:20\r\na=sendrecv\r\n"
)


def described(text: str) -> SessionDescription:
    return SessionDescription.parse(text.encode())


def test_the_audio_stream_of_a_phone() -> None:
    audio = described(PHONE).audio
    assert audio is not None
    assert (audio.address, audio.port, audio.direction, audio.telephone_event, audio.ptime) == ("192.0.2.8", 4000, "sendrecv", 97, 20)
    assert audio.codecs == (Codec(9, "G722"), Codec(0, "PCMU"), Codec(8, "PCMA"), Codec(96, "OPUS", 48000))


def test_a_description_is_written_as_it_was_read() -> None:
    assert described(PHONE).to_bytes().decode() == PHONE
    assert described(PHONE.replace("\r\n", "\n")).to_bytes().decode() == PHONE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "v=1\r\n",
        "v=0\r\nx\r\n",
        "v=0\r\nm=audio\r\n",
        "v=0\r\nm=audio x RTP/AVP 0\r\n",
        "v=0\r\nm=audio 99999 RTP/AVP 0\r\n",
        "v=0\r\n" + "m=audio 1 RTP/AVP 0\r\n" * 100,
        "v=0\r\n" + "a=x\r\n" * 3000,
        "v=0\r\n" + "a=" + "x" * 70000,
    ],
)
def test_what_is_no_description(text: str) -> None:
    with pytest.raises(ParseError):
        described(text)


def test_an_answer_keeps_the_offers_order_and_numbers_and_refuses_the_video() -> None:
    result = answer_offer(described(PHONE), "198.51.100.1", 20000, session_id=7)
    assert result.codec == PCMU
    assert (result.telephone_event, result.send, result.receive) == (97, True, True)
    assert (result.remote.address, result.remote.port) == ("192.0.2.8", 4000)
    text = result.local.to_bytes().decode()
    assert "m=video 0 RTP/AVP 96\r\nm=audio 20000 RTP/AVP 0 8 97\r\n" in text
    assert "c=IN IP4 198.51.100.1" in text
    assert "a=rtpmap:97 telephone-event/8000" in text


@pytest.mark.feature("M-3")
@pytest.mark.parametrize(
    ("offered", "wanted", "answered", "send", "receive"),
    [
        ("sendrecv", "sendrecv", "sendrecv", True, True),
        ("sendonly", "sendrecv", "recvonly", False, True),
        ("recvonly", "sendrecv", "sendonly", True, False),
        ("inactive", "sendrecv", "inactive", False, False),
        ("sendrecv", "sendonly", "sendonly", True, False),
        ("sendonly", "sendonly", "inactive", False, False),
    ],
)
def test_directions_are_mirrored(offered: str, wanted: str, answered: str, send: bool, receive: bool) -> None:
    offer = described(PHONE.replace("a=sendrecv", f"a={offered}"))
    result = answer_offer(offer, "198.51.100.1", 20000, session_id=7, direction=wanted)  # type: ignore[arg-type]
    assert result.local.audio is not None  # it is the second stream, the first is refused
    assert (result.local.audio.direction, result.send, result.receive) == (answered, send, receive)


def test_hold_old_and_new() -> None:
    old = described(PHONE.replace("c=IN IP4 192.0.2.8", "c=IN IP4 0.0.0.0")).audio
    new = described(PHONE.replace("a=sendrecv", "a=sendonly")).audio
    plain = described(PHONE).audio
    assert old is not None
    assert new is not None
    assert plain is not None
    assert (is_hold(old), is_hold(new), is_hold(plain)) == (True, True, False)


@pytest.mark.parametrize(
    "text",
    [
        PHONE.replace("m=audio 4000", "m=audio 0"),
        PHONE.replace("9 0 8 97 96", "9 96"),
        PHONE.replace("m=audio", "m=text"),
        PHONE.replace("c=IN IP4 192.0.2.8\r\n", "").replace("c=IN IP4 192.0.2.7\r\n", ""),
        PHONE.replace("m=audio 4000 RTP/AVP ", "m=audio 4000 RTP/SAVP "),
    ],
)
def test_offers_that_cannot_be_accepted(text: str) -> None:
    with pytest.raises(NotAcceptable):
        answer_offer(described(text), "198.51.100.1", 20000, session_id=7)


def test_what_an_answer_means_for_the_one_who_offered() -> None:
    offer = make_offer("198.51.100.1", 20000, session_id=1)
    answer = answer_offer(SessionDescription.parse(offer.to_bytes()), "192.0.2.8", 4000, session_id=2, codecs=(PCMU,))
    result = read_answer(offer, SessionDescription.parse(answer.local.to_bytes()))
    assert (result.codec, result.telephone_event, result.remote.address, result.remote.port) == (PCMU, 101, "192.0.2.8", 4000)
    assert PCMA in offer.audio.codecs  # type: ignore[union-attr]


def test_ipv6_is_named_as_such() -> None:
    assert b"c=IN IP6 2001:db8::1\r\n" in make_offer("2001:db8::1", 20000, session_id=1).to_bytes()


@given(
    st.one_of(
        st.binary(max_size=200), st.text(alphabet="vomac=0123 IN4.:/rtpmapudi\r\n", max_size=200).map(lambda t: b"v=0\r\n" + t.encode())
    )
)
def test_any_bytes_are_a_description_or_an_error_of_ours(data: bytes) -> None:
    with suppress(ParseError, NotAcceptable):
        answer_offer(SessionDescription.parse(data), "198.51.100.1", 20000, session_id=7)
