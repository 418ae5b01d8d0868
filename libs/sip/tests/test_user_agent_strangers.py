"""What a user agent answers to messages written by hand: rules of RFC 3261 that our own stack would never break."""

from collections.abc import Callable

import pytest

from carillon_sip import (
    CloseFlow,
    Flow,
    InviteReceived,
    RequestReceived,
    SessionAcked,
    SessionCancelled,
    SessionEnded,
    SessionRequest,
    UserAgent,
    UserAgentSettings,
)
from carillon_sip.parser import parse_message
from carillon_sip.testing import SDP, Stranger, Tokens, request_text

pytestmark = pytest.mark.feature("M-1")


def invited(stranger: Stranger, **changes: str) -> str:
    stranger.send(request_text(**changes))  # type: ignore[arg-type]
    event = stranger.last(InviteReceived)
    assert isinstance(event, InviteReceived)
    return event.session


def answered(stranger: Stranger) -> str:
    session = invited(stranger)
    stranger.agent.answer(session, SDP, now=stranger.now)
    stranger.collect()
    stranger.send(request_text("ACK", branch="z9hG4bKack", to_tag=session))
    assert isinstance(stranger.last(SessionAcked), SessionAcked)
    return session


def test_a_retransmitted_invite_gets_the_last_answer_again(stranger: Stranger) -> None:
    session = invited(stranger)
    assert stranger.statuses(stranger.send(request_text())) == [100]
    stranger.agent.ring(session, now=0.0)
    stranger.collect()
    assert stranger.statuses(stranger.send(request_text())) == [180]
    assert len(stranger.events) == 1


def test_a_refusal_is_repeated_until_its_ack(stranger: Stranger) -> None:
    stranger.agent.reject(invited(stranger), 404, now=0.0)
    assert stranger.statuses(stranger.collect()) == [404]
    assert stranger.statuses(stranger.wait(2.0)) == [404, 404]
    tag = parse_message(stranger.sent[-1]).to_tag
    stranger.send(request_text("ACK", to_tag=tag))
    assert stranger.wait(60.0) == []
    assert stranger.agent.counts()[:3] == (0, 0, 0)


def test_replies_copy_vias_and_record_routes_and_say_where_it_came_from(stranger: Stranger) -> None:
    vias = "Via: SIP/2.0/UDP 10.0.0.7:5070;branch=z9hG4bKb\r\nRecord-Route: <sip:p2@192.0.2.50;lr>, <sip:p1@192.0.2.51;lr>\r\n"
    session = invited(stranger, extra=vias, via="SIP/2.0/UDP edge.example.com:5999;rport")
    stranger.agent.answer(session, SDP, now=0.0)
    ok = parse_message(stranger.collect()[0])
    assert ok.headers.raw("Via") == [
        "SIP/2.0/UDP edge.example.com:5999;branch=z9hG4bK1;rport=5060;received=192.0.2.9",
        "SIP/2.0/UDP 10.0.0.7:5070;branch=z9hG4bKb",
    ]
    assert ok.headers.all("Record-Route") == ["<sip:p2@192.0.2.50;lr>", "<sip:p1@192.0.2.51;lr>"]
    assert ok.to_tag == session
    assert ok.contact is not None
    assert str(ok.contact.uri) == "sip:192.0.2.2:5060"
    stranger.send(request_text("ACK", branch="z9hG4bKack", to_tag=session))
    stranger.agent.bye(session, now=0.0)
    bye = parse_message(stranger.collect()[0])
    assert bye.headers.all("Route") == ["<sip:p2@192.0.2.50;lr>", "<sip:p1@192.0.2.51;lr>"]
    assert repr(bye) == "<Request BYE sip:st@192.0.2.9:5060>"


def test_a_strict_router_gets_the_request_uri(stranger: Stranger) -> None:
    session = invited(stranger, extra="Record-Route: <sip:strict@192.0.2.50>\r\n")
    stranger.agent.answer(session, SDP, now=0.0)
    stranger.send(request_text("ACK", branch="z9hG4bKack", to_tag=session))
    stranger.agent.bye(session, now=0.0)
    bye = parse_message(stranger.collect()[0])
    assert repr(bye) == "<Request BYE sip:strict@192.0.2.50>"
    assert bye.headers.all("Route") == ["<sip:st@192.0.2.9:5060>"]


@pytest.mark.parametrize(
    ("via", "port"),
    [
        ("SIP/2.0/UDP 192.0.2.9:5999", 5999),
        ("SIP/2.0/UDP 192.0.2.9", 5060),
        ("SIP/2.0/UDP 10.1.1.1:7000;rport", 5060),
        ("SIP/2.0/UDP host:7000", 7000),
    ],
)
def test_where_replies_go(stranger: Stranger, via: str, port: int) -> None:
    """RFC 3261 section 18.2.2 and RFC 3581."""
    stranger.send(request_text("OPTIONS", via=via))
    event = stranger.last(RequestReceived)
    assert isinstance(event, RequestReceived)
    stranger.agent.respond(event.transaction, 200, now=0.0)
    stranger.collect()
    assert stranger.flows[-1].remote == ("192.0.2.9", port)


def test_cancel_that_fits_no_invite_is_481(stranger: Stranger) -> None:
    assert stranger.statuses(stranger.send(request_text("CANCEL"))) == [481]


def test_cancel_after_our_answer_changes_nothing(stranger: Stranger) -> None:
    session = invited(stranger)
    stranger.agent.answer(session, SDP, now=0.0)
    stranger.collect()
    assert stranger.statuses(stranger.send(request_text("CANCEL"))) == [200]
    assert stranger.agent.counts().sessions == 1


def test_cancel_of_a_reinvite_is_487_and_the_call_goes_on(stranger: Stranger) -> None:
    session = answered(stranger)
    stranger.send(request_text(branch="z9hG4bK2", cseq=2, to_tag=session, body="hold", extra="Content-Type: application/sdp\r\n"))
    assert stranger.statuses(stranger.send(request_text("CANCEL", branch="z9hG4bK2", cseq=2, to_tag=session))) == [200, 487]
    stranger.agent.accept_reinvite(session, b"late", now=0.0)
    assert stranger.collect() == []
    assert stranger.agent.counts().sessions == 1


def test_bye_before_the_answer_ends_the_invite_with_487(stranger: Stranger) -> None:
    session = invited(stranger)
    assert stranger.statuses(stranger.send(request_text("BYE", branch="z9hG4bK2", cseq=2, to_tag=session))) == [200, 487]
    assert isinstance(stranger.last(SessionCancelled), SessionCancelled)


def test_bye_for_an_unknown_dialog_is_481(stranger: Stranger) -> None:
    assert stranger.statuses(stranger.send(request_text("BYE", to_tag="nobody"))) == [481]
    session = answered(stranger)
    assert stranger.statuses(stranger.send(request_text("BYE", branch="z9hG4bK3", cseq=5, to_tag=session, from_tag="other"))) == [481]
    assert stranger.statuses(stranger.send(request_text("BYE", branch="z9hG4bK4", cseq=5, to_tag=session, call_id="other"))) == [481]
    assert not [e for e in stranger.events if isinstance(e, SessionEnded)]


def test_requests_out_of_order_are_500(stranger: Stranger) -> None:
    session = answered(stranger)
    stranger.send(request_text("INFO", branch="z9hG4bK5", cseq=5, to_tag=session))
    assert isinstance(stranger.last(SessionRequest), SessionRequest)
    assert stranger.statuses(stranger.send(request_text("BYE", branch="z9hG4bK4", cseq=4, to_tag=session))) == [500]
    assert stranger.statuses(stranger.send(request_text("BYE", branch="z9hG4bK6", cseq=6, to_tag=session))) == [200]


def test_a_second_invite_while_the_first_is_unanswered_is_500_with_retry_after(stranger: Stranger) -> None:
    session = invited(stranger)
    (reply,) = stranger.send(request_text(branch="z9hG4bK2", cseq=2, to_tag=session))
    response = parse_message(reply)
    assert stranger.statuses([reply]) == [500]
    assert 0 <= int(response.headers.get("Retry-After") or "-1") <= 10


def test_merged_requests_are_482(stranger: Stranger) -> None:
    invited(stranger)
    assert stranger.statuses(stranger.send(request_text(branch="z9hG4bKother"))) == [482]
    assert len(stranger.events) == 1


def test_max_forwards_zero_is_483(stranger: Stranger) -> None:
    assert stranger.statuses(stranger.send(request_text(max_forwards=0))) == [483]


@pytest.mark.parametrize(
    ("method", "extra", "status", "header", "value"),
    [
        ("INVITE", "Require: 100rel, foo\r\n", 420, "Unsupported", "100rel, foo"),
        ("SUBSCRIBE", "", 405, "Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO"),
        ("DANCE", "", 501, "Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO"),
        ("INVITE", "Content-Type: text/plain\r\n", 415, "Accept", "application/sdp"),
        ("OPTIONS", "Content-Encoding: gzip\r\n", 415, "Accept-Encoding", "identity"),
    ],
)
def test_what_we_do_not_understand_is_refused_and_explained(
    stranger: Stranger, method: str, extra: str, status: int, header: str, value: str
) -> None:
    (reply,) = stranger.send(request_text(method, extra=extra, body="x"))
    assert stranger.statuses([reply]) == [status]
    assert parse_message(reply).headers.get(header) == value
    assert not stranger.events


def test_an_unknown_uri_scheme_is_416(stranger: Stranger) -> None:
    assert stranger.statuses(stranger.send(request_text(uri="nobodyKnowsThisScheme:totallyopaquecontent"))) == [416]


def test_an_invite_without_contact_is_400_and_leaves_nothing(stranger: Stranger) -> None:
    text = request_text().replace("Contact: <sip:st@192.0.2.9:5060>\r\n", "")
    assert stranger.statuses(stranger.send(text)) == [400]
    stranger.wait(60.0)
    assert stranger.agent.counts()[:3] == (0, 0, 0)


@pytest.mark.parametrize("method", ["BYE", "INFO"])
def test_dialog_methods_outside_a_dialog_are_481(stranger: Stranger, method: str) -> None:
    assert stranger.statuses(stranger.send(request_text(method))) == [481]


def test_an_ack_for_nothing_and_a_response_for_nothing_are_dropped(stranger: Stranger) -> None:
    assert stranger.send(request_text("ACK", to_tag="x")) == []
    assert stranger.send(request_text().replace("INVITE sip:bob@192.0.2.2 SIP/2.0", "SIP/2.0 200 OK")) == []
    assert not stranger.events


def test_an_rfc_2543_client_without_branch_cookie_is_told_apart_by_its_call(stranger: Stranger) -> None:
    invited(stranger, branch="1")
    assert stranger.statuses(stranger.send(request_text(branch="1"))) == [100]
    stranger.send(request_text(branch="1", call_id="call-2"))
    assert len(stranger.events) == 2


def flooded(**limits: int) -> Stranger:
    return Stranger(UserAgent(UserAgentSettings(**limits), Tokens("bob")))  # type: ignore[arg-type]


def test_above_the_cap_new_calls_get_503_and_the_old_one_goes_on() -> None:
    stranger = flooded(max_transactions=3, retry_after_seconds=7)
    session = answered(stranger)
    for number in range(2):
        stranger.send(request_text("OPTIONS", branch=f"z9hG4bKo{number}", call_id=f"o{number}"))
    (reply,) = stranger.send(request_text(branch="z9hG4bKnew", call_id="new"))
    assert stranger.statuses([reply]) == [503]
    assert parse_message(reply).headers.get("Retry-After") == "7"
    assert stranger.agent.counts().transactions == 3
    assert stranger.statuses(stranger.send(request_text("BYE", branch="z9hG4bK9", cseq=9, to_tag=session))) == [200]


def test_above_the_cap_of_sessions_calls_get_503_but_other_requests_pass() -> None:
    stranger = flooded(max_sessions=1)
    answered(stranger)
    assert stranger.statuses(stranger.send(request_text(branch="z9hG4bKnew", call_id="new"))) == [503]
    stranger.send(request_text("OPTIONS", branch="z9hG4bKo", call_id="o"))
    assert isinstance(stranger.last(RequestReceived), RequestReceived)


TCP = Flow("tcp", ("192.0.2.2", 5060), ("192.0.2.9", 40000))


def test_a_stream_is_cut_into_messages_and_pings_are_answered(stranger: Stranger) -> None:
    stranger.flow = TCP
    text = request_text(via="SIP/2.0/TCP 192.0.2.9:40000").encode()
    out = stranger.send(b"\r\n\r\n" + text[:50])
    assert out == [b"\r\n"]
    assert stranger.statuses(stranger.send(text[50:] + text)) == [100, 100]
    assert len(stranger.events) == 1
    assert stranger.agent.counts().streams == 1


def test_a_stream_that_breaks_the_framing_is_answered_and_closed(stranger: Stranger) -> None:
    stranger.flow = TCP
    text = request_text(via="SIP/2.0/TCP 192.0.2.9:40000").replace("Content-Length: 0\r\n", "")
    assert stranger.statuses(stranger.send(text)) == [400]
    assert stranger.events == [CloseFlow(TCP)]
    assert stranger.agent.counts().streams == 0


def test_what_came_whole_before_the_framing_broke_is_heard(stranger: Stranger) -> None:
    stranger.flow = TCP
    text = request_text("OPTIONS", via="SIP/2.0/TCP 192.0.2.9:40000")
    broken = text.replace("Content-Length: 0\r\n", "").replace("z9hG4bK", "z9hG4bKother")
    assert stranger.statuses(stranger.send(text + broken)) == [400]
    assert [type(event) for event in stranger.events] == [RequestReceived, CloseFlow]
    assert stranger.agent.counts().streams == 0


def test_who_cannot_read_session_descriptions_is_not_called_back_with_one(stranger: Stranger) -> None:
    out = stranger.send(request_text(extra="Accept: text/plain\r\n"))
    assert stranger.statuses(out) == [406]
    assert stranger.events == []


def test_streams_are_counted_and_capped() -> None:
    stranger = flooded(max_stream_flows=1)
    stranger.flow = TCP
    stranger.send(b"\r\n")
    stranger.flow = TCP._replace(remote=("192.0.2.9", 40001))
    stranger.send(b"\r\n")
    assert stranger.events == [CloseFlow(stranger.flow)]
    stranger.agent.flow_failed(TCP, 0.0)
    assert stranger.agent.counts().streams == 0


def test_a_fork_that_answers_twice_is_hung_up_once(stranger: Stranger) -> None:
    """The second 2xx comes from another callee: ACK and BYE it; the first call stays."""
    from carillon_sip import Invite, NameAddr, SessionAnswered

    session = stranger.agent.invite(
        Invite(
            Flow("udp", ("192.0.2.2", 5060), ("192.0.2.9", 5060)),
            "sip:x@192.0.2.9",
            NameAddr.of("sip:bob@x"),
            NameAddr.of("sip:x@x"),
            NameAddr.of("sip:bob@192.0.2.2"),
            SDP,
        ),
        now=0.0,
    )
    invite = parse_message(stranger.collect()[0])

    def ok(tag: str) -> str:
        lines = "".join(f"{name}: {invite.headers.get(name)}\r\n" for name in ("Via", "From", "Call-ID", "CSeq"))
        return f"SIP/2.0 200 OK\r\n{lines}To: <sip:x@x>;tag={tag}\r\nContact: <sip:{tag}@192.0.2.9>\r\nContent-Length: 0\r\n\r\n"

    def methods(messages: list[bytes]) -> list[str]:
        return [m.split(b" ")[0].decode() for m in messages]

    assert methods(stranger.send(ok("one"))) == ["ACK"]
    second = stranger.send(ok("two"))
    assert methods(second) == ["ACK", "BYE"]
    assert all(m.startswith((b"ACK sip:two@", b"BYE sip:two@")) for m in second)
    assert methods(stranger.send(ok("two"))) == ["ACK"]
    assert methods(stranger.send(ok("one"))) == ["ACK"]
    assert [type(e) for e in stranger.events] == [SessionAnswered]
    dialog = stranger.agent.dialog(session)
    assert dialog is not None
    assert dialog.remote_tag == "one"


@pytest.mark.parametrize(
    "made",
    [
        lambda n: request_text("CANCEL", branch=f"z9hG4bKf{n}"),
        lambda n: request_text("BYE", branch=f"z9hG4bKf{n}", to_tag="guess"),
        lambda n: request_text("INVITE", branch=f"z9hG4bKf{n}", call_id=f"c{n}", extra="Require: x\r\n"),
        lambda n: request_text("DANCE", branch=f"z9hG4bKf{n}", call_id=f"c{n}"),
        lambda n: request_text("INVITE", branch=f"z9hG4bKf{n}", to_tag="guess"),
    ],
)
def test_a_flood_of_what_is_refused_fills_no_table(stranger: Stranger, made: Callable[[int], str]) -> None:
    session = answered(stranger)
    for number in range(200):
        assert len(stranger.send(made(number))) == 1
    assert stranger.agent.counts().transactions == 1
    assert stranger.statuses(stranger.send(request_text("BYE", branch="z9hG4bKbye", cseq=9, to_tag=session))) == [200]
