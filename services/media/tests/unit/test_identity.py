"""Who calls whom, as far as it may be believed."""

import pytest

from carillon_media.domain import identity
from carillon_media.domain.numbers import e164
from carillon_sip.errors import ParseError
from carillon_sip.message import Headers, Request


@pytest.mark.parametrize(
    ("uri", "dialled"),
    [
        ("sip:101@dupont.example", "101"),
        ("sip:+41%2021%20555.01-00@x", "+41215550100"),
        ("sip:0041215550100;phone-context=x@x;user=phone", "0041215550100"),
        ("tel:+41-21-555-01-00", "+41215550100"),
        ("sip:*98@x", "*98"),
        ("sip:anne@x", "anne"),
        ("sip:dupont.example", ""),
        ("sip:a%00b@x", ""),
        ("sip:" + "1" * 33 + "@x", "1" * 33),
        ("sip:" + "1" * 65 + "@x", ""),
        ("sip:%C3%A9@x", ""),
    ],
)
def test_what_was_dialled(uri: str, dialled: str) -> None:
    assert identity.dialled(uri) == dialled


def test_a_broken_uri_is_refused() -> None:
    with pytest.raises(ParseError):
        identity.dialled("nonsense")


@pytest.mark.feature("M-2")
@pytest.mark.parametrize(
    ("headers", "caller"),
    [
        ({"From": "<sip:+41791234567@c>;tag=1"}, ("+41791234567", "")),
        ({"From": '"Jean Bon" <sip:0041791234567@c>;tag=1'}, ("0041791234567", "Jean Bon")),
        ({"From": "<sip:x@c>;tag=1", "P-Asserted-Identity": '"Real" <sip:+41791234567@c>'}, ("+41791234567", "Real")),
        ({"From": '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1'}, ("", "")),
        ({"From": "<sip:+41791234567@c>;tag=1", "Privacy": "id;critical"}, ("", "")),
        ({"From": "<sip:nobody@c>;tag=1", "P-Asserted-Identity": "garbage<"}, ("", "")),
        ({"From": '"+41791234567" <sip:+41791234567@c>;tag=1'}, ("+41791234567", "")),
    ],
)
def test_who_calls_from_a_trunk(headers: dict[str, str], caller: tuple[str, str]) -> None:
    request = Request("INVITE", "sip:1@x", Headers.of(headers.items()))
    assert identity.caller_from_trunk(request) == caller


def test_names_cannot_carry_control_characters_or_novels() -> None:
    assert identity.clean_name("a\r\nVia: x") == "a  Via: x"
    assert len(identity.clean_name("x" * 500)) == 80


@pytest.mark.feature("M-2")
@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+41791234567", "+41791234567"),
        ("0041791234567", "+41791234567"),
        ("0791234567", "+41791234567"),
        ("41791234567", "+41791234567"),
        ("118", "118"),
        ("01", "01"),
        ("", ""),
        ("*21", "*21"),
    ],
)
def test_numbers_of_carriers_in_e164(number: str, expected: str) -> None:
    assert e164(number, "CH") == expected
