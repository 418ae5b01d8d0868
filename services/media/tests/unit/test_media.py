"""What a leg agrees to send and hear."""

from typing import Any

import pytest

from carillon_media.domain.media import LegMedia, offered_codecs
from carillon_rtp.values import AudioCodec, Remote
from carillon_sip.errors import ParseError
from carillon_sip.offer_answer import G722, OPUS, PCMA, PCMU, NotAcceptable, make_offer
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
    assert (agreed.codec, agreed.remote) == ("PCMA", Remote("192.0.2.1", 4000, "PCMA", 101, xr_summary=True, xr_voip=True))


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


# -- SRTP and codecs ----------------------------------------------------------------------------------------------------


def secure(secrecy: Any, secret: bytes = b"ours" * 8) -> LegMedia:
    return LegMedia("192.0.2.9", 20_000, session_id=7, secrecy=secrecy, secret=secret)


def phone(secrecy: Any = "required") -> LegMedia:
    return LegMedia("192.0.2.1", 4000, session_id=1, secrecy=secrecy, secret=b"yours" * 6)


@pytest.mark.feature("M-7")
@pytest.mark.parametrize("secrecy", ["offered", "required"])
def test_both_ends_hold_each_others_keys(secrecy: Any) -> None:
    ours = secure(secrecy).offering()
    theirs = phone().answering(ours.body)
    ours = ours.answered(theirs.body)
    assert ours.remote is not None
    assert theirs.remote is not None
    assert ours.remote.crypto is not None
    assert theirs.remote.crypto is not None
    assert ours.srtp == theirs.srtp != ""
    assert (ours.remote.crypto.local_key, ours.remote.crypto.remote_key) == (
        theirs.remote.crypto.remote_key,
        theirs.remote.crypto.local_key,
    )
    for key in (ours.remote.crypto.local_key, ours.secret):
        assert repr(key) not in repr(ours)
    assert "inline:" not in repr(ours)


@pytest.mark.feature("M-7")
@pytest.mark.parametrize(
    ("ours", "theirs", "suite"),
    [
        ("none", "offered", False),
        ("answered", "offered", True),
        ("none", "required", None),
        ("required", "none", None),
        ("offered", "none", False),
    ],
)
def test_who_speaks_srtp_with_whom(ours: Any, theirs: Any, suite: bool | None) -> None:
    body = phone(theirs).offering().body
    assert bool(offered_codecs(body, ours)) is (suite is not None)
    if suite is None:
        with pytest.raises(NotAcceptable):
            secure(ours).answering(body)
    else:
        assert bool(secure(ours).answering(body).srtp) is suite


@pytest.mark.feature("M-7")
def test_keys_in_use_stay_in_use_since_the_same_time_and_new_ones_meet_a_new_one() -> None:
    first = phone("offered").offering()
    leg = secure("answered").answering(first.body).agreed_at(100.0)
    same = leg.answering(first.body.replace(b"a=sendrecv", b"a=sendonly"))
    assert leg.remote is not None
    assert same.remote is not None
    assert same.remote.crypto is not None
    assert leg.remote.crypto == same.remote.crypto == same.agreed_at(200.0).remote.crypto  # type: ignore[union-attr]
    assert same.remote.crypto.agreed_at == 100.0
    new = leg.answering(LegMedia("192.0.2.1", 4000, session_id=1, secrecy="offered", secret=b"other" * 6).offering().body)
    assert new.remote is not None
    assert new.remote.crypto is not None
    assert new.remote.crypto.agreed_at is None
    assert new.remote.crypto.local_key != same.remote.crypto.local_key
    again = leg.offering()
    assert again.body.count(b"a=crypto") == 1
    assert again.answered(phone("answered").answering(again.body).body).srtp == leg.srtp


@pytest.mark.feature("M-7")
def test_one_codec_is_answered_the_other_legs_if_it_is_there() -> None:
    body = offer(codecs=(G722, PCMU, PCMA))
    assert offered_codecs(body) == ("G722", "PCMU", "PCMA")
    assert b"RTP/AVP 9 101\r\n" in LEG.answering(body).body
    assert b"RTP/AVP 8 101\r\n" in LEG.answering(body, "PCMA").body
    assert LEG.answering(body, "OPUS").codec == "G722"
    assert b"RTP/AVP 9 0 8 101\r\n" in LEG.offering(offered_codecs(body)).body
    agreed = LEG.answering(body).remote
    assert agreed is not None
    assert agreed.codec == AudioCodec("G722", 9)


@pytest.mark.feature("M-7")
def test_opus_keeps_its_clock_and_its_digits() -> None:
    leg = LEG.answering(LEG.offering(("OPUS",)).body)
    assert leg.remote is not None
    assert leg.remote.codec == AudioCodec("OPUS", 107, 48_000)
    assert (leg.remote.telephone_event, leg.remote.telephone_event_rate) == (110, None)
    narrow = make_offer("192.0.2.1", 4000, session_id=1, codecs=(OPUS,)).to_bytes()
    remote = LEG.answering(narrow).remote
    assert remote is not None
    assert (remote.telephone_event, remote.telephone_event_rate) == (101, 8000)


@pytest.mark.feature("M-7")
def test_reports_go_where_the_far_end_wants_them() -> None:
    for line, port in ((b"a=rtcp:4500", 4500), (b"a=rtcp-mux", 4000), (b"a=x", None)):
        remote = LEG.answering(offer() + line + b"\r\n").remote
        assert remote is not None
        assert remote.rtcp_port == port
