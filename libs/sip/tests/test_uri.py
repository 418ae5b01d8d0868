"""URIs and addresses: read, written again, compared as RFC 3261 section 19.1.4 says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_sip import NameAddr, ParseError, Uri
from carillon_sip.uri import address_uri, quote


@pytest.mark.parametrize(
    "text",
    [
        "sip:alice@example.com",
        "sip:alice:secret@example.com:5061;transport=tcp;lr?Subject=x&Priority=urgent",
        "sips:example.com",
        "sip:+41225550100;phone-context=x@gw.example.com;user=phone",
        "sip:[2001:db8::1]:5060",
        "sip:a%20b@example.com",
        "sip:192.0.2.1",
        "tel:+41225550100;ext=12",
        "mailto:someone@example.com",
    ],
)
def test_a_uri_is_written_as_it_was_read(text: str) -> None:
    assert str(Uri.parse(text)) == text


def test_the_parts_of_a_uri() -> None:
    uri = Uri.parse("sip:j%C3%B6rg;x:pw@Example.COM:5070;transport=TCP;lr?a=b")
    assert (uri.scheme, uri.user, uri.password, uri.host, uri.port, uri.headers) == ("sip", "jörg;x", "pw", "Example.COM", 5070, "a=b")
    assert (uri.parameter("transport"), uri.parameter("lr"), uri.parameter("maddr")) == ("TCP", "", None)
    assert uri.address_of_record == "sip:j%C3%B6rg;x@example.com"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "sip:",
        "sip:@x",
        "sip:a b@x",
        "sip:a@",
        "sip:a@x:port",
        "sip:a@x:70000",
        "1:x",
        "sip:a@x\r\nEvil",
        "sip:a@x<y",
        "sip:[::1",
    ],
)
def test_what_is_no_uri(text: str) -> None:
    with pytest.raises(ParseError):
        Uri.parse(text)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", True),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", True),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5", True),
        ("sip:biloxi.com;transport=tcp;method=REGISTER", "sip:biloxi.com;method=REGISTER;transport=tcp", True),
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", False),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", False),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next", False),
    ],
)
def test_the_examples_of_comparison_in_rfc_3261(left: str, right: str, same: bool) -> None:
    assert Uri.parse(left).same_as(Uri.parse(right)) is same
    assert Uri.parse(right).same_as(Uri.parse(left)) is same


@pytest.mark.parametrize(
    ("text", "name", "uri", "tag"),
    [
        ('"A. G. Bell, inc" <sip:agb@bell.com> ;tag=a48s', "A. G. Bell, inc", "sip:agb@bell.com", "a48s"),
        ("sip:+1212@phone2net.com;tag=887s", "", "sip:+1212@phone2net.com", "887s"),
        ("Anonymous <sip:c8@privacy.org;x=y>;a=b;tag=hyh8", "Anonymous", "sip:c8@privacy.org;x=y", "hyh8"),
        ('"a\\"<b>" <sip:x@y>', 'a"<b>', "sip:x@y", ""),
        ("<sip:x@y>;+sip.instance=\"<urn:uuid:1>\";expires=60", "", "sip:x@y", ""),
    ],
)  # fmt: skip
def test_addresses(text: str, name: str, uri: str, tag: str) -> None:
    address = NameAddr.parse(text)
    assert (address.display_name, str(address.uri), address.tag) == (name, uri, tag)
    assert address_uri(text) == uri
    assert NameAddr.parse(str(address)) == address


@pytest.mark.parametrize("text", ["", "<sip:x@y", '"open <sip:x@y>', "sip:x@y?a=b", "<>", '"x" sip:x@y', "<sip:x@y> tail"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ParseError):
        NameAddr.parse(text)


def test_a_tag_is_replaced() -> None:
    assert str(NameAddr.parse("<sip:x@y>;tag=1;a=b").with_tag("2")) == "<sip:x@y>;a=b;tag=2"


@given(st.text(max_size=40))
def test_no_display_name_smuggles_in_a_header(name: str) -> None:
    text = str(NameAddr.of("sip:x@y", name))
    assert "\r" not in text
    assert "\n" not in text
    assert str(NameAddr.parse(text).uri) == "sip:x@y"
    assert quote(name)[0] == quote(name)[-1] == '"'


@given(st.text(max_size=60))
def test_any_text_is_a_uri_or_a_parse_error(text: str) -> None:
    for parse in (Uri.parse, NameAddr.parse, address_uri):
        try:
            parse(text)
        except ParseError:
            continue
