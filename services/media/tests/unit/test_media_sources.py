"""Where a leg's audio may come from."""

import pytest

from carillon_media.domain.addresses import networks
from carillon_media.domain.media_sources import ANYBODY, MediaSources, edges

EDGE = "203.0.113.1"
SOURCES = MediaSources(networks("198.51.100.0/28, 2001:db8::/64"), edges(networks(EDGE), lambda ip: ip == "203.0.113.2"))
NODE_WIDE = ("198.51.100.0/28",)


@pytest.mark.feature("M-1")
@pytest.mark.parametrize(
    ("described", "sip", "of_trunk", "expected"),
    [
        pytest.param("192.0.2.7", "192.0.2.7", (), NODE_WIDE, id="a phone on a public address"),
        pytest.param("192.168.1.5", "192.0.2.7", (), ("192.0.2.7", *NODE_WIDE), id="a phone behind a NAT"),
        pytest.param("192.168.1.5", "::ffff:192.0.2.7", (), ("192.0.2.7", *NODE_WIDE), id="IPv4 in IPv6's clothes"),
        pytest.param("8.8.8.8", EDGE, (), NODE_WIDE, id="a phone behind an edge that describes where it is"),
        pytest.param("10.0.0.1", EDGE, (), ANYBODY[4], id="a phone behind an edge and a NAT"),
        pytest.param("10.0.0.1", "203.0.113.2", (), ANYBODY[4], id="a phone behind another node and a NAT"),
        pytest.param("10.0.0.1", "2001:db8::7", (), ANYBODY[4], id="SIP over IPv6, audio over IPv4 from behind a NAT"),
        pytest.param("8.8.8.8", "2001:db8::7", (), NODE_WIDE, id="SIP over IPv6, audio over IPv4"),
        pytest.param("192.0.2.8", "192.0.2.7", ("10.1.0.0/16",), ("192.0.2.7", "10.1.0.0/16", *NODE_WIDE), id="a carrier"),
        pytest.param("10.0.0.1", EDGE, ("10.1.0.0/16",), ("10.1.0.0/16", *NODE_WIDE), id="a carrier behind an edge"),
        pytest.param("pbx.example", "192.0.2.7", (), (), id="no address"),
    ],
)
def test_sources(described: str, sip: str, of_trunk: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert SOURCES.of(described, sip, of_trunk) == expected
