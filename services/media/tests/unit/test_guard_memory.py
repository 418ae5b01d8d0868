"""A guard whose process was killed: the next one bans on where it stopped, and locks nobody out who was not."""

import pytest

from carillon_contracts.audit import SourceBanned
from carillon_media.domain.guard import Guard
from carillon_media.domain.guard_memory import GuardMemory
from carillon_media.domain.limits import GuardSettings

pytestmark = pytest.mark.feature("P-3")

SETTINGS = GuardSettings(failures=5)
#: The process before and the one after have clocks that know nothing of each other.
BEFORE, AFTER, WALL = 5000.0, 7.0, 1_800_000_000.0


def guess(guard: Guard, times: int, now: float, ip: str = "198.51.100.1", account: str = "anne") -> None:
    for _ in range(times):
        guard.failed("udp", ip, account, "REGISTER", now)


def after(guard: Guard, seconds: float, now: float = BEFORE) -> Guard:
    """The guard of the process that starts so long after the last save."""
    data = guard.memory(now, WALL).model_dump_json().encode()
    memory = GuardMemory.read(data)
    assert memory is not None
    fresh = Guard(SETTINGS)
    fresh.remember(memory, AFTER, WALL + seconds)
    return fresh


def test_bans_and_locks_end_when_they_would_have() -> None:
    guard = Guard(SETTINGS)
    guess(guard, 5, BEFORE)
    fresh = after(guard, 20)
    (ban,), (lock,) = fresh.bans(AFTER), fresh.locks(AFTER)
    assert (ban.name, ban.offence, lock.name) == ("198.51.100.1", 1, "anne")
    assert (ban.until - AFTER, lock.until - AFTER) == pytest.approx((40, 40))
    assert after(guard, 61).bans(AFTER) == []


def test_failures_are_counted_on_and_bans_go_on_growing() -> None:
    guard = Guard(SETTINGS)
    guess(guard, 4, BEFORE)
    fresh = after(guard, 1)
    assert not fresh.bans(AFTER)
    guess(fresh, 1, AFTER)
    assert [ban.offence for ban in fresh.bans(AFTER)] == [1]
    second = after(fresh, 120, AFTER)
    guess(second, 5, AFTER)
    seconds = [fact.seconds for fact in second.take_facts() if isinstance(fact, SourceBanned)]
    assert seconds == [SETTINGS.ban_seconds[1]]


def test_owners_are_not_locked_out_by_a_restart() -> None:
    guard = Guard(SETTINGS)
    guard.succeeded("udp", "192.0.2.7", "anne", BEFORE)
    guess(guard, 5, BEFORE)
    fresh = after(guard, 1)
    assert fresh.may_try("192.0.2.7", "anne", AFTER)
    assert not fresh.may_try("192.0.2.8", "anne", AFTER)


@pytest.mark.feature("P-8")
def test_of_an_account_that_is_gone_nothing_is_remembered() -> None:
    guard = Guard(SETTINGS)
    guard.succeeded("udp", "192.0.2.7", "anne", BEFORE)
    guess(guard, 5, BEFORE, ip="203.0.113.5", account="anne")
    guard.lift("203.0.113.5", BEFORE)
    assert "anne" in guard.memory(BEFORE, WALL).model_dump_json()
    guard.forget("anne")
    assert "anne" not in guard.memory(BEFORE, WALL).model_dump_json()


def test_a_clock_that_went_back_makes_no_ban_longer() -> None:
    guard = Guard(SETTINGS)
    guess(guard, 5, BEFORE)
    (ban,) = after(guard, -3600).bans(AFTER)
    assert ban.until - AFTER == pytest.approx(60)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"saved_at": "x"}', b"\xff\xfe"])
def test_what_is_no_memory_is_none(data: bytes) -> None:
    assert GuardMemory.read(data) is None
