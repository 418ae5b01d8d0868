"""Digest: the examples of RFC 7616, our nonces, and what attackers try."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_sip import Credentials
from carillon_sip.digest import Algorithm, Authenticator, Authorization, Verdict, answer_challenges, ha1, parse_authorization, response_of

pytestmark = pytest.mark.feature("M-1")

MUFASA = Credentials("Mufasa", "Circle of Life")
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
CHALLENGE = f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=%s, nonce="{NONCE}", opaque="{OPAQUE}"'
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616_section_3_9_1(algorithm: str, response: str) -> None:
    value = answer_challenges([CHALLENGE % algorithm], MUFASA, "GET", "/dir/index.html", CNONCE)
    assert value is not None
    found = parse_authorization(value)
    assert found is not None
    assert (found.username, found.response, found.nc, found.qop) == ("Mufasa", response, "00000001", "auth")
    assert found.opaque == "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"


def test_without_qop_as_rfc_2617_allows() -> None:
    """The example of RFC 2617 section 3.5 computed by the rule of RFC 2069."""
    stored = ha1("Mufasa", "testrealm@host.com", "Circle Of Life", "MD5")
    plain = Authorization("Mufasa", "testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "/dir/index.html", "")
    assert stored == "939e7578ed9e3c518a452acee763bce9"
    assert response_of(stored, "GET", plain, "MD5") == "670fd8c2df070c60b045671b8b24ff02"


def test_of_several_challenges_the_stronger_is_answered() -> None:
    both = [CHALLENGE % "MD5", CHALLENGE % "SHA-256", CHALLENGE % "SHA-512-256"]
    value = answer_challenges(both, MUFASA, "REGISTER", "sip:x", "c")
    assert value is not None
    assert "algorithm=SHA-256," in value
    assert answer_challenges([CHALLENGE % "SHA-512-256", "Basic realm=x", "Digest broken"], MUFASA, "GET", "/", "c") is None
    assert answer_challenges(both, Credentials("a", "b", "other realm"), "GET", "/", "c") is None


class Door:
    """A server with one user."""

    def __init__(self, **options: float) -> None:
        self.guard = Authenticator(b"secret key", **options)  # type: ignore[arg-type]
        self.stored: dict[Algorithm, str] = {"MD5": ha1("bob", "r", "pw", "MD5"), "SHA-256": ha1("bob", "r", "pw", "SHA-256")}

    def knock(
        self, now: float, *, user: str = "bob", password: str = "pw", challenge: str | None = None, count: int = 1, method: str = "REGISTER"
    ) -> str:
        challenge = challenge or self.guard.challenges("r", now)[0]
        value = answer_challenges([challenge], Credentials(user, password), method, "sip:r", "cnonce", count)
        assert value is not None
        return value

    def verdict(self, value: str | list[str], now: float, method: str = "REGISTER", realm: str = "r") -> Verdict:
        values = [value] if isinstance(value, str) else value
        return self.guard.verify(values, method, realm, lambda user: self.stored if user == "bob" else None, now)[0]


def test_right_passwords_pass_wrong_ones_and_unknown_users_do_not() -> None:
    door = Door()
    assert door.verdict(door.knock(100.0), 100.0) is Verdict.OK
    assert door.verdict(door.knock(100.0, challenge=door.guard.challenges("r", 100.0, salt="b")[1]), 100.0) is Verdict.OK
    assert door.verdict(door.knock(100.0, password="guess"), 100.0) is Verdict.WRONG
    assert door.verdict(door.knock(100.0, user="eve"), 100.0) is Verdict.WRONG
    assert door.verdict([], 100.0) is Verdict.NO_CREDENTIALS
    assert door.verdict("Basic Ym9iOnB3", 100.0) is Verdict.NO_CREDENTIALS
    assert door.verdict(door.knock(100.0), 100.0, realm="another") is Verdict.NO_CREDENTIALS
    assert door.verdict(door.knock(100.0, method="INVITE"), 100.0) is Verdict.WRONG


def test_both_challenges_are_offered_stronger_first() -> None:
    md5_and_sha = Door().guard.challenges("r", 1.0, stale=True)
    assert [re.search(r"algorithm=([^,]+)", value)[1] for value in md5_and_sha] == ["SHA-256", "MD5"]  # type: ignore[index]
    assert all(value.endswith("stale=true") for value in md5_and_sha)


def test_a_replay_is_stale_and_a_higher_count_passes() -> None:
    door = Door()
    challenge = door.guard.challenges("r", 100.0)[0]
    value = door.knock(100.0, challenge=challenge)
    assert door.verdict(value, 100.0) is Verdict.OK
    assert door.verdict(value, 101.0) is Verdict.STALE
    assert door.verdict(door.knock(100.0, challenge=challenge, count=2), 101.0) is Verdict.OK
    assert door.verdict(door.knock(100.0, challenge=challenge, count=1), 101.0) is Verdict.STALE


def test_nonces_expire_and_foreign_ones_are_stale_only_for_who_knows_the_password() -> None:
    door = Door(nonce_seconds=60.0)
    value = door.knock(100.0)
    assert door.verdict(value, 161.0) is Verdict.STALE
    foreign = Authenticator(b"another key").challenges("r", 100.0)[0]
    assert door.verdict(door.knock(100.0, challenge=foreign), 100.0) is Verdict.STALE
    assert door.verdict(door.knock(100.0, challenge=foreign, password="x"), 100.0) is Verdict.WRONG
    assert (
        door.verdict(door.knock(100.0, challenge=door.guard.challenges("other", 100.0)[0].replace('"other"', '"r"')), 100.0)
        is Verdict.STALE
    )


def test_the_table_of_counts_is_bounded_and_forgetting_never_lets_a_replay_in() -> None:
    door = Door(max_nonces=10)
    values = [door.knock(100.0 + n, challenge=door.guard.challenges("r", 100.0 + n, salt=str(n))[0]) for n in range(50)]
    assert all(door.verdict(value, 150.0) is Verdict.OK for value in values)
    assert len(door.guard._counts) == 10
    assert all(door.verdict(value, 150.0) is Verdict.STALE for value in values)


@pytest.mark.parametrize(
    "change",
    [("qop=auth", "qop=auth-int"), ("nc=00000001", "nc=00000000"), ("nc=00000001", "nc=1"), ("algorithm=SHA-256", "algorithm=SHA-1")],
)
def test_odd_parameters_are_refused(change: tuple[str, str]) -> None:
    door = Door()
    assert door.verdict(door.knock(100.0).replace(*change), 100.0) is Verdict.WRONG


@given(st.text(max_size=80).map(lambda text: "Digest " + text))
def test_any_text_is_read_or_refused(value: str) -> None:
    assert parse_authorization(value) is None or "username" in value.lower()
    answer_challenges([value], MUFASA, "GET", "/", "c")
