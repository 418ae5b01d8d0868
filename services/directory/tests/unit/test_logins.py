"""Locks, passwords and codes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.access import Access
from carillon_directory.adapters.postgres_logins import StoredLogin
from carillon_directory.domain.logins import (
    LONGEST_LOCK,
    TRIES,
    Login,
    Tries,
    authenticator_uri,
    base32,
    code_at,
    password_fits,
    recovery_hash,
    step_of,
    without_recovery,
)
from carillon_directory.people import People
from carillon_directory.testing import given as company
from carillon_kit.clock import ManualClock

NOW = datetime(2026, 11, 27, 12, 0, 15, tzinfo=UTC)
#: RFC 6238 appendix B: the secret of its SHA-1 vectors.
SECRET = b"12345678901234567890"


@pytest.mark.feature("P-3")
@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    assert code_at(SECRET, seconds // 30) == code


@pytest.mark.feature("P-3")
def test_a_code_counts_once_and_a_step_either_way() -> None:
    step = int(NOW.timestamp()) // 30
    assert step_of(SECRET, code_at(SECRET, step), NOW, 0) == step
    assert step_of(SECRET, code_at(SECRET, step), NOW, step) is None
    assert step_of(SECRET, code_at(SECRET, step - 1), NOW, 0) == step - 1
    assert step_of(SECRET, code_at(SECRET, step + 2), NOW, 0) is None
    assert step_of(SECRET, "", NOW, 0) is None
    assert step_of(SECRET, "é" * 6, NOW, 0) is None


@pytest.mark.feature("P-3")
def test_locks_grow_and_end() -> None:
    tries, lengths = Tries(), []
    for _ in range(10):
        for _ in range(TRIES):
            assert not tries.locked(NOW) or tries.locks
            tries = tries.failed(NOW)
        assert tries.locked_until is not None
        lengths.append(tries.locked_until - NOW)
    assert lengths[0] == timedelta(minutes=1)
    assert lengths == sorted(lengths)
    assert lengths[-1] == LONGEST_LOCK
    assert not tries.locked(NOW + LONGEST_LOCK)


@given(st.integers(0, 200))
def test_at_most_five_wrong_tries_between_locks(count: int) -> None:
    tries = Tries()
    for _ in range(count):
        tries = tries.failed(NOW)
    assert tries.failures < TRIES
    assert tries.locks == count // TRIES


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaa", "alain.dupont.dupont", "x" * 300, "twelve\0chars!!"])
def test_passwords_that_do_not_do(password: str) -> None:
    assert not password_fits(password, "alain.dupont.dupont")


def test_a_long_password_does() -> None:
    assert password_fits("correct horse battery", "alain")


def test_recovery_codes_are_good_once() -> None:
    hashes = [recovery_hash("ABCD-EFGH-IJKL-MNOP"), recovery_hash("other")]
    left = without_recovery(hashes, "abcdefghijklmnop ")
    assert left == [recovery_hash("other")]
    assert without_recovery(left, "abcd-efgh-ijkl-mnop") is None


def test_logins_are_taken_apart() -> None:
    assert Login.of(" Alain@Dupont.example ") == Login("alain", "dupont.example")
    assert Login.of("root") == Login("root", "")
    assert Login.of("a@b@c.example") == Login("a@b", "c.example")


def test_an_authenticator_reads_the_uri() -> None:
    uri = authenticator_uri(SECRET, "alain@dupont.example")
    assert uri.startswith("otpauth://totp/Carillon:alain%40dupont.example?secret=")
    assert base32(SECRET) in uri


@pytest.mark.feature("P-3")
async def test_logins_are_listed_by_one_version_of_the_configuration_however_many_there_are() -> None:
    users = [{"id": name, "last_name": name} for name in ("ann", "bob")]
    versions = [company({"tenant": {"id": "acme", "realm": "acme.example"}, "users": users[:most]}) for most in (1, 2)]

    class Directory:
        """Somebody is made between two questions."""

        async def read(self, tenant: str) -> TenantConfig:
            return versions.pop(0)

    class Store:
        async def logins(self, tenant: str, after: str, limit: int) -> list[StoredLogin]:
            return [StoredLogin(tenant, name, "") for name in ("ann", "bob", "gone") if name > after]

    others: Any = None
    people: Any = Directory()
    parts: Any = (People(people, others, others), Store(), others, ManualClock(NOW), others)
    listed = await Access(*parts).logins("acme", lambda config: lambda person: True, False, "", 50)
    assert [(person.login, stored.user_id) for person, stored in listed] == [("ann@acme.example", "ann")]
    assert len(versions) == 1
