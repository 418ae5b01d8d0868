"""Streams that try to be two things at once: nobody may see another message in them than we do."""

import pytest

from carillon_sip import ParseError
from carillon_sip.parser import StreamFramer, parse_message
from carillon_sip.testing import request_text
from carillon_sip.uri import Uri

pytestmark = pytest.mark.feature("M-1")

SMUGGLED = request_text("INVITE", branch="z9hG4bKsmuggled", call_id="smuggled")


@pytest.mark.parametrize(
    "length",
    [
        f"Content-Length: 0\r\nContent-Length: {len(SMUGGLED)}\r\n",
        f"Content-Length: {len(SMUGGLED)}\r\nl: 0\r\n",
        f"Content-Length: {len(SMUGGLED)}\r\nCONTENT-LENGTH : {len(SMUGGLED)}\r\n",
        "Content-Length: 1\r\n 2\r\n",
        "Content-Length: 1 2\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: \u0661\r\n",
        "Content-Length:\r\n",
        "Content-Length: five\r\n",
        "Content-Length: 1234567890\r\n",
        "Content-Length\x0b: 0\r\n",
        "Subject: x\r\n Content-Length: 0\r\n",
    ],
)
def test_a_length_that_can_be_read_in_two_ways_ends_the_stream_and_can_be_answered(length: str) -> None:
    text = request_text("OPTIONS").replace("Content-Length: 0\r\n", length) + SMUGGLED
    with pytest.raises(ParseError) as caught:
        StreamFramer().feed(text.encode())
    assert caught.value.request is not None
    assert caught.value.request.call_id == "call-1"


@pytest.mark.parametrize(
    "length", ["Content-Length:\r\n 3\r\n", "L  :\t3 \r\n", "cOnTeNt-LeNgTh:3\r\n", "Content-Length: 0003\r\n", "l:\r\n\t\r\n 3\r\n"]
)
def test_a_length_that_is_written_oddly_is_the_same_for_stream_and_parser(length: str) -> None:
    text = request_text("OPTIONS").replace("Content-Length: 0\r\n", length) + "abc"
    (message,) = StreamFramer().feed(text.encode())
    assert parse_message(message).body == b"abc"


def test_what_came_whole_before_an_error_is_not_lost() -> None:
    framer = StreamFramer()
    assert framer.feed(SMUGGLED.encode() + b"GET / HTTP/1.1\r\n\r\n") == [SMUGGLED.encode()]
    assert framer.error is not None
    with pytest.raises(ParseError):
        framer.feed(b"")


@pytest.mark.parametrize(
    ("accept", "fits"),
    [
        ("", True),
        ("Accept: application/sdp\r\n", True),
        ("Accept: text/plain, Application/SDP;level=1\r\n", True),
        ("Accept: application/*\r\n", True),
        ("Accept: */*;q=0.1\r\n", True),
        ("Accept: text/plain\r\n", False),
        ("Accept:\r\n", False),
    ],
)
def test_what_may_come_back(accept: str, fits: bool) -> None:
    """RFC 3261 section 20.1: without the header only application/sdp, with an empty one nothing."""
    assert parse_message(request_text(extra=accept).encode()).accepts("application/sdp") is fits


@pytest.mark.parametrize("start", ["OPTIONS sip:\udcff@x SIP/2.0", "OPTIONS sip:%ff@x SIP/2.0"])
def test_a_uri_that_is_no_utf_8_is_refused(start: str) -> None:
    with pytest.raises(ParseError):
        Uri.parse(start.split(" ")[1])


@pytest.mark.parametrize("header", ["Call-ID: \udcff", "Call-ID: \u00e9", "From: <sip:a@b>;tag=\udcff", "To: <sip:a@b>;tag=\u00e9"])
def test_what_tells_dialogs_apart_is_ascii(header: str) -> None:
    name = header.partition(":")[0]
    lines = [header if line.startswith(f"{name}:") else line for line in request_text("OPTIONS").split("\r\n")]
    with pytest.raises(ParseError):
        parse_message("\r\n".join(lines).encode("utf-8", "surrogateescape"))
