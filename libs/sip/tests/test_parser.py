"""Parsing: messages as odd as RFC 4475 has them, valid and not; streams; limits; and nothing but ParseError, whatever comes."""

import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carillon_sip import InviteReceived, ParseError, Request, RequestReceived, Response
from carillon_sip.parser import Limits, StreamFramer, parse_message
from carillon_sip.testing import Stranger, request_text

pytestmark = pytest.mark.feature("M-1")

WSINV = (
    "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\nTO :\r\n"
    " sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n"
    'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\nMaX-fOrWaRdS: 0068\r\n'
    "Call-ID: wsinv.ndaksdj@192.0.2.1\r\nContent-Length   : 4\r\ncseq: 0009\r\n  INVITE\r\n"
    "Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\ns :\r\n"
    "NewFangledHeader:   newfangled value\r\n continued newfangled value\r\nUnknownHeaderWithUnusualValue: ;;,,;;,;\r\n"
    "Content-Type: application/sdp\r\nRoute:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n"
    "v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n"
    " SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n"
    'm:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33\r\n\r\nbody'
)


def parsed(text: str | bytes) -> Request:
    message = parse_message(text.encode() if isinstance(text, str) else text)
    assert isinstance(message, Request)
    return message


def test_a_short_tortuous_invite() -> None:
    """RFC 4475 section 3.1.1.1: folding, odd spaces, odd cases, escapes; all of it valid."""
    request = parsed(WSINV)
    assert request.from_tag == "98asjd8"
    assert request.from_.display_name == 'J Rosenberg \\"'
    assert request.to_tag == "1918181833n"
    assert (request.cseq.number, request.cseq.method, request.max_forwards) == (9, "INVITE", 68)
    assert (request.via_top.transport, request.via_top.host, request.via_top.branch) == ("UDP", "192.0.2.2", "390skdjuw")
    assert len(request.headers.all("Via")) == 3
    assert request.contacts[0].display_name == 'Quoted string ""'
    assert request.contacts[0].parameter("q") == "0.33"
    assert request.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert request.headers.get("Subject") == ""
    assert request.body == b"body"


def _without(header: str) -> str:
    return "".join(line + "\r\n" for line in request_text("OPTIONS").split("\r\n")[:-2] if not line.startswith(header)) + "\r\n"


def _with(extra: str, method: str = "OPTIONS") -> str:
    return request_text(method, extra=extra)


VALID: dict[str, Callable[[], str | bytes]] = {
    "wide range of characters in the method": lambda: request_text("!interesting-Method0123456789_*+`.%indeed'~"),
    "escaped nulls in a URI": lambda: request_text("REGISTER", uri="sip:null-%00-null@example.com"),
    "percent in an unknown method": lambda: request_text("RE%47IST%45R", uri="sip:registrar.example.com"),
    "no space between name and <": lambda: request_text("OPTIONS").replace("From: <", "From: caller<"),
    "long values": lambda: request_text("OPTIONS", extra=f"Unknown-{'Long' * 20}: {'x' * 2000}\r\n"),
    "an unusual transport in Via": lambda: request_text("OPTIONS", via="SIP/2.0/UNKNOWN 192.0.2.9"),
    "parameters in every address": lambda: request_text("OPTIONS", uri="sip:a;b=c:d@example.com:5060;transport=udp;x"),
    "semicolons in the user part": lambda: request_text("OPTIONS", uri="sip:user;par=u%40example.net@example.com"),
    "compact forms": lambda: (
        request_text("OPTIONS")
        .replace("Via:", "v:")
        .replace("From:", "f:")
        .replace("To:", "t:")
        .replace("Call-ID:", "i:")
        .replace("Content-Length:", "L:")
    ),
    "leading empty lines": lambda: "\r\n\r\n" + request_text("OPTIONS"),
    "bytes after the body": lambda: request_text("OPTIONS") + "INVITE trailing garbage",
    "UTF-8 in a display name": lambda: request_text("OPTIONS").replace("From: <", 'From: "\u00c9lise \u263a" <'),
    "Latin-1 in a display name": lambda: request_text("OPTIONS").encode().replace(b"From: <", b'From: "\xc9lise" <'),
    "tel URI": lambda: request_text("OPTIONS", uri="tel:+41225550100;phone-context=ch"),
    "IPv6 Via": lambda: request_text("OPTIONS", via="SIP/2.0/UDP [2001:db8::9]:5060"),
    "no Max-Forwards": lambda: _without("Max-Forwards"),
    "no Content-Length": lambda: _without("Content-Length"),
    "comma in a quoted display name of Contact": lambda: _without("Contact").replace(
        "\r\n\r\n", '\r\nContact: "a, b" <sip:x@y>, <sip:z@y>\r\n\r\n'
    ),
}

#: What is wrong -> the message and the status it is answered with; None: not answered.
INVALID: dict[str, tuple[Callable[[], str | bytes], int | None]] = {
    "no Via": (lambda: _without("Via"), None),
    "no From": (lambda: _without("From"), None),
    "no Call-ID": (lambda: _without("Call-ID"), None),
    "no CSeq": (lambda: _without("CSeq"), None),
    "method of CSeq is another": (lambda: request_text("OPTIONS").replace("1 OPTIONS", "1 INVITE"), 400),
    "CSeq too large": (lambda: request_text("OPTIONS", cseq=2**32), 400),
    "CSeq of 10,000 digits": (lambda: request_text("OPTIONS").replace("CSeq: 1 ", f"CSeq: {'9' * 10000} "), None),
    "negative Content-Length": (lambda: request_text("OPTIONS").replace("Length: 0", "Length: -999"), 400),
    "Content-Length larger than the datagram": (lambda: request_text("OPTIONS").replace("Length: 0", "Length: 9999"), 400),
    "Content-Length of 10,000 digits": (lambda: request_text("OPTIONS").replace("Length: 0", f"Length: {'1' * 5000}"), 400),
    "two Call-IDs": (lambda: _with("Call-ID: another\r\n"), 400),
    "two From": (lambda: _with("f: <sip:other@x>;tag=2\r\n"), 400),
    "spaces within the address of the Request-URI": (lambda: request_text("OPTIONS", uri="sip:user@example.com; lr"), 400),
    "Request-URI in angle brackets": (lambda: request_text("OPTIONS", uri="<sip:user@example.com>"), 400),
    "two spaces in the first line": (lambda: request_text("OPTIONS").replace("OPTIONS sip", "OPTIONS  sip", 1), 400),
    "another version": (lambda: request_text("OPTIONS").replace(" SIP/2.0\r\n", " SIP/7.0\r\n", 1), 505),
    "HTTP": (lambda: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", None),
    "a header line without colon": (lambda: _with("This is no header\r\n"), 400),
    "a header name with a space": (lambda: _with("Bad Name: x\r\n"), 400),
    "an unterminated quoted string in To": (lambda: request_text("OPTIONS").replace("To: <", 'To: "Mr. J. User <'), 400),
    "a Via without protocol": (lambda: request_text("OPTIONS", via="192.0.2.9"), None),
    "a port above 65535 in Via": (lambda: request_text("OPTIONS", via="SIP/2.0/UDP 192.0.2.9:99999"), None),
    "a NUL in a header": (lambda: _with("Subject: a\0b\r\n"), None),
    "a bare line feed": (lambda: _with("Subject: a\nEvil: yes\r\n"), None),
    "a bare carriage return": (lambda: _with("Subject: a\rEvil: yes\r\n"), None),
    "only a first line": (lambda: "OPTIONS sip:x@y SIP/2.0", None),
    "cut in the headers": (lambda: request_text("OPTIONS", extra="Subject: long\r\n")[:-20], 400),
    "10,000 headers": (lambda: _with("X: y\r\n" * 10_000), None),
    "64 KiB and more": (lambda: request_text("OPTIONS", body="x" * 66_000), None),
    "a line of 9,000 bytes": (lambda: _with(f"Subject: {'x' * 9000}\r\n"), None),
    "binary": (lambda: bytes(range(256)) * 4, None),
    "a response of status 4294967301": (
        lambda: request_text().replace("INVITE sip:bob@192.0.2.2 SIP/2.0", "SIP/2.0 4294967301 better"),
        None,
    ),
    "a response of status 099": (lambda: request_text().replace("INVITE sip:bob@192.0.2.2 SIP/2.0", "SIP/2.0 099 x"), None),
    "nothing": (lambda: b"", None),
    "a UDP keep-alive": (lambda: b"\r\n\r\n", None),
}


@pytest.mark.parametrize("name", VALID)
def test_valid_messages_are_read(name: str, stranger: Stranger) -> None:
    made = VALID[name]()
    request = parsed(made)
    assert request.call_id == "call-1"
    replies = stranger.send(made)
    assert stranger.statuses(replies) in ([], [501])
    assert stranger.events or replies


@pytest.mark.parametrize("name", INVALID)
def test_invalid_messages_are_refused_or_dropped_and_leave_nothing(name: str, stranger: Stranger) -> None:
    made, status = INVALID[name][0](), INVALID[name][1]
    if name != "an unterminated quoted string in To":
        with pytest.raises(ParseError):
            parse_message(made.encode() if isinstance(made, str) else made)
    assert stranger.statuses(stranger.send(made)) == ([] if status is None else [status])
    assert not stranger.events
    stranger.wait(60.0)
    assert stranger.agent.counts()[:3] == (0, 0, 0)


def test_torture_between_them_is_no_harm_to_a_call(stranger: Stranger) -> None:
    stranger.send(request_text())
    for made, _ in INVALID.values():
        stranger.send(made())
    event = stranger.last(InviteReceived)
    assert isinstance(event, InviteReceived)
    stranger.agent.reject(event.session, 486, now=0.0)
    assert stranger.statuses(stranger.collect()) == [486]


@pytest.mark.parametrize(
    "bad",
    [
        request_text(extra="X: y\r\n" * 10_000).encode(),
        b"\r\n " * 20_000,
        b"INVITE sip:x@y SIP/2.0\r\nTo: " + b'"\\' * 30_000,
        request_text(extra="Via: " + "," * 8_000 + "\r\n").encode(),
        request_text(extra="Contact: " + "<" * 8_000 + "\r\n").encode(),
        request_text(extra="Contact: " + ";" * 8_000 + "\r\n").encode(),
        b"\r\n" * 32_000,
        request_text(uri="sip:" + "@" * 8_000).encode(),
    ],
)
def test_the_worst_message_costs_little(bad: bytes, stranger: Stranger) -> None:
    """No input holds the others up: bound is generous, quadratic work would take seconds."""
    start = time.process_time()
    for _ in range(3):
        stranger.send(bad)
    assert time.process_time() - start < 1.0


def test_a_response_is_read_with_its_reason() -> None:
    lines = request_text().split("\r\n", 1)[1]
    response = parse_message(f"SIP/2.0 486 Occup\u00e9 ici\r\n{lines}".encode())
    assert isinstance(response, Response)
    assert (response.status, response.reason) == (486, "Occup\u00e9 ici")


def test_what_was_parsed_can_be_written_again() -> None:
    original = request_text(body="v=0", extra="X-Odd: \u00e9\r\n").encode()
    again = parse_message(parse_message(original).to_bytes())
    assert isinstance(again, Request)
    assert again.body == b"v=0"
    assert again.headers.get("X-Odd") == "\u00e9"


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_a_message_or_a_parse_error(data: bytes) -> None:
    with suppress(ParseError):
        assert parse_message(data).headers


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_a_valid_invite_with_anything_changed_never_raises_out_of_the_user_agent(data: st.DataObject) -> None:
    stranger = _fresh()
    message = bytearray(data.draw(st.sampled_from([request_text(body="v=0").encode(), WSINV.encode(), request_text("CANCEL").encode()])))
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, len(message) - 1))
        kind = data.draw(st.sampled_from(["change", "cut", "insert", "double"]))
        if kind == "change":
            message[position] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del message[position : position + data.draw(st.integers(1, 30))]
        elif kind == "insert":
            message[position:position] = data.draw(
                st.sampled_from([b"\r\n", b"\r\n ", b'"', b"<", b">", b";", b",", b"\0", b"%", b"\xff", b":", b"@"])
            )
        else:
            message[position:position] = message[position : position + 40]
        if not message:
            break
    stranger.send(bytes(message))
    for event in stranger.events:
        if isinstance(event, InviteReceived):
            stranger.agent.answer(event.session, b"v=0", now=0.0)
            stranger.agent.bye(event.session, now=0.0)
        elif isinstance(event, RequestReceived):
            stranger.agent.respond(event.transaction, 200, now=0.0)
    stranger.collect()
    stranger.wait(200.0)
    assert stranger.agent.counts()[:3] == (0, 0, 0)


def _fresh() -> Stranger:
    from carillon_sip import UserAgent, UserAgentSettings
    from carillon_sip.testing import Tokens

    return Stranger(UserAgent(UserAgentSettings(), Tokens("bob")))


def test_a_stream_cut_anywhere_gives_the_same_messages() -> None:
    one, two = request_text(body="abc").encode(), request_text("OPTIONS").encode()
    stream = b"\r\n\r\n" + one + b"\r\n" + two + b"\r\n\r\n"
    for size in (1, 2, 3, 7, 100, len(stream)):
        framer = StreamFramer()
        found = [m for start in range(0, len(stream), size) for m in framer.feed(stream[start : start + size])]
        assert [m for m in found if m] == [one, two], size
        assert found.count(b"") == 2, size


@given(st.lists(st.binary(max_size=60), max_size=8))
@settings(max_examples=200, deadline=None)
def test_any_stream_gives_messages_or_a_parse_error(chunks: list[bytes]) -> None:
    framer = StreamFramer(Limits(message_bytes=200))
    try:
        for chunk in chunks:
            framer.feed(chunk)
    except ParseError:
        with pytest.raises(ParseError):
            framer.feed(b"more")


@pytest.mark.parametrize(
    "bad",
    [
        request_text().replace("Content-Length: 0\r\n", "").encode(),
        request_text().replace("Length: 0", "Length: 999999").encode(),
        b"x" * 70_000,
        request_text().replace("Length: 0", "Length: -1").encode(),
    ],
)
def test_a_stream_ends_at_the_first_framing_error(bad: bytes) -> None:
    framer = StreamFramer()
    with pytest.raises(ParseError):
        framer.feed(bad)


def test_a_stream_tells_how_many_messages_came_and_how_much_of_the_next_one() -> None:
    framer = StreamFramer()
    whole = request_text("OPTIONS").encode()
    framer.feed(b"\r\n\r\n" + whole + whole[:10])
    assert (framer.messages, framer.pending) == (1, 10)
    framer.feed(whole[10:])
    assert (framer.messages, framer.pending) == (2, 0)
