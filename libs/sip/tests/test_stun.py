"""STUN on the SIP port: keep-alives are answered, everything else is silence."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_sip import stun

pytestmark = pytest.mark.feature("M-1")

ID = bytes(range(12))
PING = stun.binding_request(ID)
#: RFC 5769 section 2.1: SOFTWARE, PRIORITY, ICE-CONTROLLED, USERNAME, MESSAGE-INTEGRITY and a right FINGERPRINT.
RFC5769 = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b151263b36"
    "00060009" + b"evtj:h6vY".hex() + "202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)


@pytest.mark.parametrize("source", [("192.0.2.1", 32853), ("2001:db8:1234:5678:11:2233:4455:6677", 32853), ("fe80::1%eth0", 1)])
def test_a_binding_request_is_told_where_it_came_from(source: tuple[str, int]) -> None:
    reply = stun.answer(PING, source)
    assert reply is not None
    assert stun.mapped_address(reply, ID) == (source[0].partition("%")[0], source[1])
    assert len(reply) <= len(PING) + 28


def test_the_address_is_masked_as_in_the_rfc() -> None:
    """RFC 5769 sections 2.2 and 2.3."""
    transaction = bytes.fromhex("b7e7a701bc34d686fa87dfae")
    reply = stun.answer(stun.binding_request(transaction), ("192.0.2.1", 32853))
    assert reply is not None
    assert reply[20:] == bytes.fromhex("002000080001a147e112a643")
    reply = stun.answer(stun.binding_request(transaction), ("2001:db8:1234:5678:11:2233:4455:6677", 32853))
    assert reply is not None
    assert reply[20:] == bytes.fromhex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9")


def test_a_required_attribute_that_is_not_known_is_420() -> None:
    """The RFC's own message has PRIORITY, which is ICE's and must be understood; its FINGERPRINT is right, so ours is there too."""
    reply = stun.answer(RFC5769, ("192.0.2.1", 5060))
    assert reply is not None
    assert (reply[:2], reply[26:28]) == (b"\x01\x11", b"\x04\x14")
    assert struct.pack("!HHH", 0x000A, 2, 0x0024) in reply
    assert reply[-8:-4] == b"\x80\x28\x00\x04"


@pytest.mark.parametrize(
    "data",
    [
        PING[:-1],
        b"\x00\x11" + PING[2:],
        b"\x01\x01" + PING[2:],
        PING[:4] + b"\0\0\0\0" + PING[8:],
        PING[:2] + b"\x00\x04" + PING[4:],
        RFC5769[:-1] + b"\x00",
        b"OPTIONS sip:x SIP/2.0\r\n\r\n",
        b"\r\n\r\n",
    ],
    ids=["short", "indication", "response", "no cookie", "length", "fingerprint", "sip", "crlf"],
)
def test_anything_else_is_not_answered(data: bytes) -> None:
    assert stun.answer(data, ("192.0.2.1", 5060)) is None


@given(st.binary(max_size=200))
def test_no_bytes_raise(tail: bytes) -> None:
    header = struct.pack("!HHI12s", 1, len(tail), stun.MAGIC_COOKIE, ID)
    stun.answer(header + tail, ("192.0.2.1", 5060))
    stun.mapped_address(b"\x01\x01" + header[2:] + tail, ID)
