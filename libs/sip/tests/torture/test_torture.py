"""The messages of RFC 4475 and RFC 5118, octet for octet, over UDP and TCP: answered as the RFCs allow, and never any harm."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from carillon_sip import CloseFlow, Flow, InviteReceived, RequestReceived, UserAgent, UserAgentSettings
from carillon_sip.errors import ParseError
from carillon_sip.message import Request, Response
from carillon_sip.offer_answer import NotAcceptable, answer_offer
from carillon_sip.parser import StreamFramer, parse_message
from carillon_sip.sdp import SessionDescription
from carillon_sip.testing import Stranger, Tokens, request_text
from carillon_sip.uri import Uri

pytestmark = pytest.mark.feature("M-1")

HERE = Path(__file__).parent
TCP = Flow("tcp", ("192.0.2.2", 5060), ("192.0.2.9", 40000))
CORPUS: dict[str, dict[str, Any]] = {
    f"{rfc}/{name}": row for rfc in ("rfc4475", "rfc5118") for name, row in tomllib.loads((HERE / rfc / "answers.toml").read_text()).items()
}


def octets(name: str) -> bytes:
    return (HERE / f"{name}.dat").read_bytes()


def parsed(name: str) -> Request | Response:
    return parse_message(octets(name))


def request(name: str) -> Request:
    message = parsed(name)
    assert isinstance(message, Request)
    return message


def agent() -> Stranger:
    return Stranger(UserAgent(UserAgentSettings(), Tokens("bob")))


def answers(stranger: Stranger, data: bytes) -> list[int]:
    """Deliver, and answer what wants to be answered: 200, or 488 when the SDP fits us not. The final statuses; 0 when nothing came."""
    before = len(stranger.events)
    out = stranger.send(data)
    for event in stranger.events[before:]:
        if isinstance(event, RequestReceived):
            stranger.agent.respond(event.transaction, 200, now=stranger.now)
        elif isinstance(event, InviteReceived):
            decide(stranger, event)
        out += stranger.collect()
    return [status for status in stranger.statuses(out) if status >= 200] or [0]


def decide(stranger: Stranger, event: InviteReceived) -> None:
    try:
        local = answer_offer(SessionDescription.parse(event.request.body), "192.0.2.2", 4000, session_id=1).local
    except NotAcceptable:
        stranger.agent.reject(event.session, 488, now=stranger.now)
    else:
        stranger.agent.answer(event.session, local.to_bytes(), now=stranger.now)


def still_answers(stranger: Stranger) -> bool:
    return answers(stranger, request_text("OPTIONS", branch="z9hG4bKnext", call_id="next", via="SIP/2.0/TCP 192.0.2.9:5060").encode()) == [
        200
    ]


def spills(data: bytes) -> bool:
    """Whether a body is longer than its Content-Length says: on a stream the rest would be the beginning of the next message."""
    return bool(data[sum(map(len, StreamFramer().feed(data))) :].strip())


def test_every_message_of_both_rfcs_is_here() -> None:
    assert {f"{path.parent.name}/{path.stem}" for path in HERE.glob("*/*.dat") if path.parent.name.startswith("rfc")} == set(CORPUS)
    assert len([name for name in CORPUS if name.startswith("rfc4475/")]) == 49
    assert len([name for name in CORPUS if name.startswith("rfc5118/")]) == 12


@pytest.mark.parametrize("name", CORPUS)
def test_a_datagram_is_answered_as_the_rfc_allows(name: str) -> None:
    stranger = agent()
    found = answers(stranger, octets(name))
    assert len(found) == 1
    assert found[0] in CORPUS[name]["udp"]
    assert still_answers(stranger)


@pytest.mark.parametrize("name", CORPUS)
def test_a_stream_is_answered_as_the_rfc_allows(name: str) -> None:
    stranger = agent()
    stranger.flow = TCP
    found, allowed = answers(stranger, octets(name)), CORPUS[name].get("tcp", CORPUS[name]["udp"])
    closed = CloseFlow(TCP) in stranger.events
    if allowed == "closed":
        assert closed
    elif allowed == "waits":
        assert found == [0]
        assert not closed
    else:
        assert set(found) <= set(allowed)
        assert spills(octets(name)) or not closed
        assert spills(octets(name)) or still_answers(stranger)
    stranger.flow = TCP._replace(remote=("192.0.2.9", 40001))
    assert still_answers(stranger)


@pytest.mark.parametrize("name", CORPUS)
def test_in_the_end_nothing_is_left(name: str) -> None:
    stranger = agent()
    answers(stranger, octets(name))
    stranger.wait(200.0)
    for session in [event.session for event in stranger.events if isinstance(event, InviteReceived)]:
        stranger.agent.bye(session, now=stranger.now)
    stranger.collect()
    stranger.wait(200.0)
    assert stranger.agent.counts()[:3] == (0, 0, 0)


@pytest.mark.parametrize("name", [name for name, row in CORPUS.items() if row["form"] == "valid"])
def test_valid_messages_are_read(name: str) -> None:
    """Also those that are then refused for what they ask."""
    message = request(name)
    assert message.from_.uri.host.endswith(("example.com", "example.net", "example.org", "10]", "192.0.2.1]"))
    assert message.to.uri.scheme == "sip"
    assert message.cseq.method == message.method
    assert all(contact.uri.scheme == "sip" for contact in message.contacts)


def test_responses_are_read_or_are_a_parse_error() -> None:
    unreason, noreason = parsed("rfc4475/unreason"), parsed("rfc4475/noreason")
    assert isinstance(unreason, Response)
    assert isinstance(noreason, Response)
    assert (unreason.status, unreason.reason) == (200, "= 2**3 * 5**2 но сто девяносто девять - простое")
    assert (noreason.status, noreason.reason) == (100, "")
    for name in ("rfc4475/bigcode", "rfc4475/scalarlg"):
        with pytest.raises(ParseError):
            parsed(name)


def test_a_short_tortuous_invite_means_what_it_means() -> None:
    message = request("rfc4475/wsinv")
    assert (message.from_.display_name, message.from_tag, message.to_tag) == ('J Rosenberg \\"', "98asjd8", "1918181833n")
    assert (message.max_forwards, message.cseq, message.content_type) == (68, (9, "INVITE"), "application/sdp")
    assert message.headers.all("Via")[0].split()[-1] == "192.0.2.2;branch=390skdjuw"
    assert len(message.headers.all("Via")) == 3
    assert (message.via_top.transport, message.via_top.host, message.via_top.branch) == ("UDP", "192.0.2.2", "390skdjuw")
    assert message.contact is not None
    assert message.contact.display_name == 'Quoted string ""'
    assert message.contact.parameters == (("newparam", "newvalue"), ("secondparam", None), ("q", "0.33"))
    assert message.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert message.headers.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert message.headers.get("Subject") == ""
    assert len(message.body) == 150


def test_a_wide_range_of_characters_means_what_it_means() -> None:
    message = request("rfc4475/intmeth")
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert message.from_.display_name == "token1~` token2'+_ token3*%!.-"
    assert message.from_tag == "_token~1'+`*%!-."
    assert message.from_.parameter("fromparam''~+*_!.-%") == '"работающий"'
    assert message.to.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert message.to.display_name == "BEL:  NUL:  DEL: "  # what is no text is a space: nobody behind us stores a NUL
    assert message.via_top.branch == "z9hG4bK-.!%66*_+`'~"
    assert message.headers.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"


def test_escapes_are_undone_once_and_only_where_they_are_escapes() -> None:
    esc01, escnull, esc02 = request("rfc4475/esc01"), request("rfc4475/escnull"), request("rfc4475/esc02")
    assert esc01.to.uri.user == "user"
    assert esc01.from_.uri.user == "I have spaces"
    assert esc01.contact is not None
    assert esc01.contact.uri.user == "caller"
    assert [contact.uri.user for contact in escnull.contacts] == ["\0", "\0\0"]
    assert escnull.to.uri.user == "null-\0-null"
    assert escnull.to.uri.address_of_record == "sip:null-%00-null@example.com"
    assert esc02.from_.display_name == "%Z%45"
    assert [contact.uri.user for contact in esc02.contacts] == ["alias1", "alias3"]


def test_a_binary_multipart_is_framed_by_its_length() -> None:
    message = request("rfc4475/mpart01")
    assert len(message.body) == 553
    assert b"\0" in message.body
    assert message.body.endswith(b"--7a9cbec02ceef655--\r\n")


def test_extra_octets_in_a_datagram_are_no_second_request(stranger: Stranger) -> None:
    assert answers(stranger, octets("rfc4475/dblreq")) == [200]
    (event,) = stranger.events
    assert isinstance(event, RequestReceived)
    assert event.request.body == b""


def test_where_a_parameter_belongs() -> None:
    """A semicolon outside of angle brackets is the header's, one inside is the URI's; in the user part it is neither."""
    header, uri = request("rfc4475/cparam01").contact, request("rfc4475/cparam02").contact
    assert header is not None
    assert uri is not None
    assert (header.parameters, header.uri.parameters) == ((("unknownparam", None),), ())
    assert (uri.parameters, uri.uri.parameters) == ((), (("unknownparam", None),))
    assert Uri.parse(request("rfc4475/semiuri").uri).user == "user;par=u@example.net"
    hidden = request("rfc4475/regescrt").contact
    assert hidden is not None
    assert hidden.uri.headers == "Route=%3Csip:sip.example.com%3E"
    assert "Route" not in request("rfc4475/regescrt").headers


def test_ipv6_references_and_ports() -> None:
    ambiguous, clear = (Uri.parse(request(f"rfc5118/port-{kind}").uri) for kind in ("ambiguous", "unambiguous"))
    assert (ambiguous.host, ambiguous.port) == ("[2001:db8::10:5070]", None)
    assert (clear.host, clear.port) == ("[2001:db8::10]", 5070)
    assert request("rfc5118/via-received-param-with-delim").via_top.parameter("received") == "[2001:db8::9:255]"
    assert request("rfc5118/via-received-param-no-delim").via_top.parameter("received") == "2001:db8::9:255"
    mapped = request("rfc5118/ipv4-mapped-ipv6").via_top
    assert (mapped.host, mapped.port) == ("[::ffff:192.0.2.10]", 19823)
    audio = SessionDescription.parse(request("rfc5118/ipv6-in-sdp").body).audio
    assert audio is not None
    assert audio.address == "2001:db8::20"
    mixed = SessionDescription.parse(request("rfc5118/mult-ip-in-sdp").body)
    assert mixed.audio is not None
    assert (mixed.audio.address, mixed.media[1].lines[0]) == ("192.0.2.1", ("c", "IN IP6 2001:db8::1"))


def test_an_unknown_method_lists_ours(stranger: Stranger) -> None:
    (reply,) = stranger.send(octets("rfc4475/intmeth"))
    assert "INVITE" in parse_message(reply).headers.all("Allow")


def test_every_answer_can_be_read() -> None:
    """All but those that must copy what could not be read."""
    for name, row in CORPUS.items():
        stranger = agent()
        answers(stranger, octets(name))
        for reply in stranger.sent:
            if name != "rfc4475/scalar02":
                message = parse_message(reply)
                assert isinstance(message, Response), name
                assert message.status in (100, *row["udp"]), name
