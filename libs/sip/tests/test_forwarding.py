"""An edge passes messages on: one Via more, its own Route taken out, and the answer finds its way back."""

import pytest

from carillon_sip import Flow, InviteReceived, ParseError, Request, Response, Send, UserAgent, UserAgentSettings
from carillon_sip.forwarding import TooManyHops, forward_request, forward_response, token_of_via, tokens_of_routes
from carillon_sip.parser import parse_message
from carillon_sip.testing import request_text

pytestmark = pytest.mark.feature("M-1")

NODE = Flow("udp", ("192.0.2.2", 5060), ("192.0.2.1", 5060))
PHONE = Flow("tcp", ("192.0.2.2", 5060), ("198.51.100.9", 40000))
RECORD = "<sip:token@192.0.2.2:5060;lr>"
ROUTE = "Route: <sip:token@192.0.2.2:5060;lr>, <sip:other@192.0.2.3;lr>\r\n"


def request(method: str = "INVITE", extra: str = ROUTE, **options: object) -> Request:
    parsed = parse_message(request_text(method, extra=extra, **options).encode())  # type: ignore[arg-type]
    assert isinstance(parsed, Request)
    return parsed


def forwarded(one: Request) -> Request:
    passed = parse_message(forward_request(one, NODE, PHONE, routes_of_ours=1, back="back-token", record_routes=[RECORD]))
    assert isinstance(passed, Request)
    return passed


def test_our_route_is_taken_out_and_our_via_put_on_top() -> None:
    one = request()
    assert tokens_of_routes(one) == ["token", "other"]
    passed = forwarded(one)
    assert (passed.method, passed.uri, passed.body) == (one.method, one.uri, one.body)
    assert passed.headers.all("route") == ["<sip:other@192.0.2.3;lr>"]
    assert passed.headers.all("record-route") == [RECORD]
    assert passed.max_forwards == 69
    top, below = passed.headers.all("via")
    assert top.startswith("SIP/2.0/TCP 192.0.2.2:5060;branch=z9hG4bK")
    assert "received=192.0.2.1" in below


def test_within_a_dialog_nothing_is_recorded() -> None:
    inside = request("BYE").to_bytes().replace(b"To: <sip:bob@example.com>", b"To: <sip:bob@example.com>;tag=x")
    parsed = parse_message(inside)
    assert isinstance(parsed, Request)
    assert parsed.to_tag == "x"
    assert "record-route" not in forwarded(parsed).headers


def test_a_cancel_and_a_retransmission_get_the_branch_of_their_invite() -> None:
    branches = {forwarded(request(method)).via_top.branch for method in ("INVITE", "INVITE", "CANCEL", "ACK")}
    assert len(branches) == 1


def test_the_answer_goes_back_without_our_via() -> None:
    passed = forwarded(request())
    lines = [f"Via: {via}" for via in passed.headers.all("via")]
    answer = "\r\n".join(["SIP/2.0 200 OK", *lines, "From: <sip:a@b>;tag=1", "To: <sip:c@d>;tag=2", "Call-ID: x", "CSeq: 1 INVITE", "", ""])
    response = parse_message(answer.encode())
    assert isinstance(response, Response)
    assert token_of_via(response) == "back-token"
    back = parse_message(forward_response(response))
    assert isinstance(back, Response)
    assert len(back.headers.all("via")) == 1
    assert back.via_top.parameter("received") == "192.0.2.1"


def test_a_response_that_is_not_ours_has_no_token() -> None:
    lines = ["SIP/2.0 200 OK", "Via: SIP/2.0/UDP a;branch=z9hG4bKx;back=t", "From: <sip:a@b>;tag=1", "To: <sip:c@d>", "Call-ID: x"]
    answer = "\r\n".join([*lines, "CSeq: 1 BYE", "", ""])
    response = parse_message(answer.encode())
    assert isinstance(response, Response)
    assert token_of_via(response) == ""
    with pytest.raises(ParseError):
        forward_response(response)


def test_hops_run_out() -> None:
    text = request_text(extra=ROUTE).replace("Max-Forwards: 70", "Max-Forwards: 0")
    one = parse_message(text.encode())
    assert isinstance(one, Request)
    with pytest.raises(TooManyHops):
        forwarded(one)


def test_folded_lines_of_what_is_taken_out_go_with_it() -> None:
    one = request(extra="Route: <sip:token@192.0.2.2:5060;lr>,\r\n <sip:other@192.0.2.3;lr>\r\nSubject: two\r\n lines\r\n")
    passed = forwarded(one)
    assert passed.headers.all("route") == ["<sip:other@192.0.2.3;lr>"]
    assert passed.headers.get("subject") == "two lines"


def test_a_user_agent_asks_before_it_takes_a_message() -> None:
    agent = UserAgent(UserAgentSettings(), lambda: "t" * 20)
    agent.pass_on(lambda message, flow: Send(PHONE, b"on") if "route" in message.headers else None)
    agent.receive(request().to_bytes(), NODE, 0.0)
    assert agent.drain() == [Send(PHONE, b"on")]
    agent.receive(request(extra="").to_bytes(), NODE, 0.0)
    assert isinstance(agent.drain()[-1], InviteReceived)
    agent.pass_on(lambda message, flow: 403)
    agent.receive(request("OPTIONS").to_bytes(), NODE, 0.0)
    (refused,) = agent.drain()
    assert isinstance(refused, Send)
    assert refused.data.startswith(b"SIP/2.0 403 ")
