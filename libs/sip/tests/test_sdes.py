"""SRTP's keys in offers and answers: RFC 4568."""

from base64 import b64encode

import pytest

from carillon_sip.offer_answer import NotAcceptable, answer_offer, make_offer, read_answer
from carillon_sip.sdes import KEY_LENGTHS, OFFERED, Crypto, parse_crypto
from carillon_sip.sdp import Codec, SessionDescription

pytestmark = pytest.mark.feature("M-7")
KEY = bytes(range(30))
INLINE = b64encode(KEY).decode()
SUITE = "AES_CM_128_HMAC_SHA1_80"


def offered(*lines: str, protocol: str = "RTP/SAVP") -> SessionDescription:
    text = f"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 {protocol} 8\r\n"
    return SessionDescription.parse((text + "".join(f"a={line}\r\n" for line in lines)).encode())


@pytest.mark.parametrize("suite", KEY_LENGTHS)
def test_a_line_is_read_as_it_was_written_and_shows_its_key_to_nobody(suite: str) -> None:
    line = Crypto(3, suite, bytes(KEY_LENGTHS[suite]))
    assert parse_crypto(line.value) == line
    assert "AAAA" not in repr(line)


@pytest.mark.parametrize("value", [f"1 {SUITE} inline:{INLINE}|2^31", f"1 {SUITE} inline:{INLINE}|1048576", f"1  {SUITE} INLINE:{INLINE}"])
def test_a_lifetime_is_taken(value: str) -> None:
    assert parse_crypto(value) == Crypto(1, SUITE, KEY)


@pytest.mark.parametrize(
    "value",
    [
        f"1 {SUITE} inline:{INLINE}|2^20|1:4",
        f"1 {SUITE} inline:{INLINE}|1:4",
        f"1 {SUITE} inline:{INLINE};inline:{INLINE}",
        f"1 {SUITE} inline:{INLINE} UNENCRYPTED_SRTP",
        f"1 {SUITE} inline:{INLINE} WSH=1024",
        f"1 F8_128_HMAC_SHA1_80 inline:{INLINE}",
        f"1 {SUITE} inline:{INLINE[:-4]}",
        f"1 {SUITE} inline:{INLINE[:-1]}!",
        f"x {SUITE} inline:{INLINE}",
        f"1 {SUITE} uri:{INLINE}",
        f"1 {SUITE}",
        "",
    ],
)
def test_what_asks_for_more_than_we_do_is_passed_over(value: str) -> None:
    assert parse_crypto(value) is None
    with pytest.raises(NotAcceptable):
        answer_offer(offered(f"crypto:{value}"), "192.0.2.9", 20_000, session_id=1, local_key=lambda theirs: KEY)


def test_the_first_line_that_we_can_follow_is_answered_under_its_tag_with_our_key() -> None:
    ours = bytes(30)
    offer = offered(f"crypto:1 {SUITE} inline:{INLINE}|1:4", f"crypto:7 {SUITE} inline:{INLINE}")
    agreed = answer_offer(offer, "192.0.2.9", 20_000, session_id=1, local_key=lambda theirs: ours)
    assert agreed.crypto == (Crypto(7, SUITE, ours), Crypto(7, SUITE, KEY))
    text = agreed.local.to_bytes().decode()
    assert "m=audio 20000 RTP/SAVP 8\r\n" in text
    assert text.count("a=crypto:") == 1
    assert f"a=crypto:7 {SUITE} inline:{b64encode(ours).decode()}" in text


def test_without_keys_of_our_own_rtp_is_answered_and_srtp_refused() -> None:
    line = f"crypto:1 {SUITE} inline:{INLINE}"
    plain = answer_offer(offered(line, protocol="RTP/AVP"), "192.0.2.9", 20_000, session_id=1)
    assert plain.crypto is None
    assert b"crypto" not in plain.local.to_bytes()
    with pytest.raises(NotAcceptable):
        answer_offer(offered(line), "192.0.2.9", 20_000, session_id=1)


def test_of_one_stream_of_each_kind_the_first_that_we_can_follow_is_taken() -> None:
    both = SessionDescription.parse(
        offered("crypto:1 UNKNOWN inline:x").to_bytes() + b"m=audio 4002 RTP/AVP 8\r\n",
    )
    agreed = answer_offer(both, "192.0.2.9", 20_000, session_id=1, local_key=lambda theirs: KEY)
    assert (agreed.remote.port, agreed.crypto) == (4002, None)
    assert [(media.port, media.protocol) for media in agreed.local.media] == [(0, "RTP/SAVP"), (20_000, "RTP/AVP")]


@pytest.mark.parametrize(("protocol", "secure"), [("RTP/SAVP", True), ("RTP/AVP", True), ("RTP/AVP", False)])
def test_an_answer_says_which_of_our_keys_holds(protocol: str, secure: bool) -> None:
    lines = [Crypto(tag, suite, bytes([tag]) * KEY_LENGTHS[suite]) for tag, suite in enumerate(OFFERED, 1)]
    offer = make_offer("192.0.2.9", 20_000, session_id=1, crypto=lines, protocol=protocol)
    chosen = Crypto(3, SUITE, KEY)
    answer = offered(*([f"crypto:{chosen.value}"] if secure else []), protocol=protocol)
    assert read_answer(offer, answer).crypto == ((lines[2], chosen) if secure else None)


@pytest.mark.parametrize("answer", [(), (f"crypto:1 {SUITE} inline:{INLINE}",), (f"crypto:9 {SUITE} inline:{INLINE}",)])
def test_an_answer_without_what_was_offered_is_refused(answer: tuple[str, ...]) -> None:
    offer = make_offer("192.0.2.9", 20_000, session_id=1, crypto=[Crypto(3, SUITE, KEY)], protocol="RTP/SAVP")
    with pytest.raises(NotAcceptable):
        read_answer(offer, offered(*answer))


@pytest.mark.parametrize(
    ("lines", "port", "mux"),
    [
        (("rtcp:4100",), 4100, False),
        (("rtcp:4100 IN IP4 192.0.2.7", "rtcp-mux"), 4100, True),
        (("rtcp:4100 IN IP4 192.0.2.8",), None, False),
    ],
)
def test_where_reports_go(lines: tuple[str, ...], port: int | None, mux: bool) -> None:
    offer = offered(*lines, protocol="RTP/AVP")
    assert offer.audio is not None
    assert (offer.audio.rtcp_port, offer.audio.rtcp_mux) == (port, mux)
    assert (b"a=rtcp-mux" in answer_offer(offer, "192.0.2.9", 20_000, session_id=1).local.to_bytes()) is mux


def test_opus_has_two_channels_and_digits_of_its_own_clock() -> None:
    opus = Codec(107, "OPUS", 48000)
    offer = make_offer("192.0.2.9", 20_000, session_id=1, codecs=(opus,), telephone_event_48k=110)
    assert b"a=rtpmap:107 OPUS/48000/2\r\n" in offer.to_bytes()
    agreed = answer_offer(offer, "192.0.2.7", 4000, session_id=2, codecs=(opus,))
    assert (agreed.telephone_event, agreed.telephone_event_rate) == (110, 48000)
    assert b"RTP/AVP 107 110\r\n" in agreed.local.to_bytes()
    back = read_answer(offer, agreed.local)
    assert (back.codec, back.telephone_event, back.telephone_event_rate) == (opus, 110, 48000)
