"""Hosts whose audio is of another IP version than their SIP."""

import pytest

from carillon_media.domain import families
from carillon_media.domain.families import Families

pytestmark = pytest.mark.feature("M-7")


@pytest.mark.parametrize(
    ("host", "version"), [("192.0.2.1", 4), ("2001:db8::1", 6), ("fe80::1%eth0", 6), ("::ffff:192.0.2.1", 4), ("pbx", 4)]
)
def test_audio_is_expected_to_be_of_the_version_of_sip(host: str, version: int) -> None:
    assert Families().expected(host) == version


def test_what_a_host_took_is_expected_until_it_takes_the_other_again() -> None:
    known = Families()
    known.learn("2001:db8::1", 4)
    assert known.expected("2001:db8::1") == 4
    assert known.expected("2001:db8::2") == 6
    known.learn("2001:db8::1", 6)
    assert known.expected("2001:db8::1") == 6


def test_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "MOST", 2)
    known = Families()
    for host in ("2001:db8::1", "2001:db8::2", "2001:db8::1", "2001:db8::3"):
        known.learn(host, 4)
    assert [known.expected(f"2001:db8::{number}") for number in (1, 2, 3)] == [4, 6, 4]
