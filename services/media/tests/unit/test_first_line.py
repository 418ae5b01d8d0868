"""Messages told apart by their first bytes."""

import pytest

from carillon_media.domain.first_line import Kind, beginnings, kind_of

pytestmark = pytest.mark.feature("P-3")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"INVITE sip:102@dupont.example SIP/2.0\r\n", Kind.OUTSIDE),
        (b"INVITE sip:112@dupont.example SIP/2.0\r\n", Kind.HELP),
        (b"INVITE sips:144@dupont.example SIP/2.0\r\n", Kind.HELP),
        (b"INVITE tel:112 SIP/2.0\r\n", Kind.HELP),
        (b"INVITE sip:112;phone-context=+41@dupont.example SIP/2.0\r\n", Kind.HELP),
        (b"INVITE sip:1120@dupont.example SIP/2.0\r\n", Kind.OUTSIDE),
        (b"INVITE sip:dupont.example SIP/2.0\r\nX: sip:112@", Kind.OUTSIDE),
        (b"INVITE 112@x SIP/2.0\r\nTo: <sip:112@x>", Kind.OUTSIDE),
        (b"REGISTER sip:dupont.example SIP/2.0\r\n", Kind.OUTSIDE),
        (b"invite sip:112@x SIP/2.0\r\n", Kind.OUTSIDE),
        (b"\xff\xfe", Kind.OUTSIDE),
        (b"", Kind.OUTSIDE),
        (b"SIP/2.0 200 OK\r\n", Kind.WITHIN),
        (b"BYE sip:x@y SIP/2.0\r\n", Kind.WITHIN),
        (b"\r\n\r\n", Kind.WITHIN),
    ],
)
def test_kinds(data: bytes, kind: Kind) -> None:
    assert kind_of(data, frozenset({"CH"})) is kind


@pytest.mark.parametrize(("number", "country"), [("911", "US"), ("000", "AU"), ("110", "DE"), ("1414", "CH"), ("119", "FR")])
def test_help_is_what_it_is_in_the_countries_of_the_tenants_and_sites(number: str, country: str) -> None:
    data = f"INVITE sip:{number}@dupont.example SIP/2.0\r\n".encode()
    assert kind_of(data, frozenset({"JP", country})) is Kind.HELP
    assert kind_of(data, frozenset({"NZ"})) is Kind.OUTSIDE


@pytest.mark.parametrize("user", [b"\xff\xfe\xfd", b"112\0", b"11\xc2\xb2", b"", b"%31%31%32"])
def test_what_is_no_number_is_no_help(user: bytes) -> None:
    assert kind_of(b"INVITE sip:" + user + b"@x SIP/2.0\r\n", frozenset({"CH"})) is Kind.OUTSIDE


def test_requests_of_a_chunk_are_counted_and_what_belongs_to_calls_is_not() -> None:
    invite = b"INVITE sip:a@b SIP/2.0\r\nCSeq: 1 INVITE\r\nAllow: INVITE, ACK, OPTIONS, BYE\r\n\r\n"
    within = b"ACK sip:a@b SIP/2.0\r\nCSeq: 1 ACK\r\n\r\nSIP/2.0 200 OK\r\nCSeq: 9 INVITE\r\n\r\nBYE sip:a@b SIP/2.0\r\n\r\n"
    assert beginnings(invite * 3 + within + b"REGISTER sip:b SIP/2.0\r\n") == 4
    assert beginnings(within) == 0
