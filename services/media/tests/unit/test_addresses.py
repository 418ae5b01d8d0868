"""Where we send at all."""

import pytest

from carillon_media.domain.addresses import Addresses, Reach, is_inside, networks

pytestmark = pytest.mark.feature("P-3")

REFUSED = networks("10.0.0.0/8, 2001:db8::/32 192.0.2.77")


@pytest.mark.parametrize(
    "ip",
    [
        *("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"),
        *("169.254.169.254", "fe80::1", "fe80::1%eth0", "::ffff:169.254.1.1"),
        *("224.0.1.75", "239.255.255.250", "ff02::1", "255.255.255.255", "240.0.0.1"),
        *("0.0.0.0", "0.1.2.3", "::"),
        *("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::5", "192.0.2.77"),
        *("localhost", "", "1.2.3", "192.0.2.1:5060"),
    ],
)
def test_nothing_is_sent_there(ip: str) -> None:
    assert not Addresses(Reach(loopback=False, refused=REFUSED)).allows(ip, 5060)


@pytest.mark.parametrize("ip", ["192.0.2.78", "198.51.100.1", "192.168.1.20", "2a00:1450::1", "::ffff:198.51.100.1"])
def test_phones_and_carriers_are_reached(ip: str) -> None:
    assert Addresses(Reach(loopback=False, refused=REFUSED)).allows(ip, 5060)


def test_loopback_is_for_those_who_listen_there() -> None:
    assert Addresses(Reach(loopback=True)).allows("127.0.0.5", 5060)


def test_never_to_ourselves_nor_to_port_zero() -> None:
    one = Addresses(Reach(loopback=True))
    one.listening_at({("127.0.0.1", 5060)}, {("127.0.0.1", 5061)})
    assert not one.allows("127.0.0.1", 5060)
    assert not one.allows("127.0.0.1", 5061, stream=True)
    assert one.allows("127.0.0.1", 5062)
    assert not one.allows("127.0.0.1", 0)


def test_a_port_of_ours_for_streams_may_be_a_phone_s_for_datagrams_and_the_reverse() -> None:
    one = Addresses(Reach(loopback=True))
    one.listening_at({("127.0.0.1", 5060)}, {("127.0.0.1", 5061)})
    assert one.allows("127.0.0.1", 5061)
    assert one.allows("127.0.0.1", 5060, stream=True)


def test_networks_of_settings() -> None:
    assert is_inside("::ffff:10.0.0.1", REFUSED)
    assert not is_inside("no address", REFUSED)
    with pytest.raises(ValueError):
        networks("10.0.0.0/99")
