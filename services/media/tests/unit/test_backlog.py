"""When new calls are refused: while every call waits long, and never because of one."""

import pytest

from carillon_media.domain.backlog import LONGEST, MANY, Backlog

pytestmark = pytest.mark.feature("M-1")


def busy(backlog: Backlog, start: float, stop: float, waited: float) -> None:
    """From `start` to `stop` a call is served every 10 ms, each after it waited so long."""
    for step in range(round((stop - start) * 100)):
        backlog.began(start + step / 100 - waited)
        backlog.served(start + step / 100 - waited, start + step / 100)


def waiting(backlog: Backlog, now: float, calls: int = MANY) -> Backlog:
    for _ in range(calls):
        backlog.began(now)
    return backlog


def test_calls_that_are_served_soon_refuse_nobody() -> None:
    backlog = waiting(Backlog(0.5), 0.0)
    assert not backlog.high(0.0)
    busy(backlog, 0.0, 10.0, waited=0.4)
    assert not backlog.high(10.0)


def test_calls_that_all_wait_long_for_as_long_have_others_refused_until_they_wait_no_more() -> None:
    backlog = waiting(Backlog(0.5), 0.0)
    busy(backlog, 0.1, 0.6, waited=0.6)
    assert not backlog.high(0.6)
    busy(backlog, 0.6, 2.0, waited=0.6)
    assert backlog.high(2.0)
    busy(backlog, 2.0, 2.1, waited=0.1)
    assert not backlog.high(2.1)


def test_calls_served_in_groups_by_a_slow_disk_have_others_refused_between_the_groups_too() -> None:
    backlog = Backlog(0.5)
    for group in range(4):
        waiting(backlog, group * 1.5, 2 * MANY)
        for _ in range(2 * MANY if group else MANY):
            backlog.served(group * 1.5, group * 1.5 + 1.4)
    assert [backlog.high(6.0 - before) for before in (0.09, 0.05, 0.0)] == [True, True, True]


def test_a_machine_that_stood_still_once_refuses_nobody() -> None:
    backlog = Backlog(0.5)
    busy(backlog, 0.0, 2.0, waited=0.01)
    waiting(backlog, 2.0, 100)
    for call in range(100):
        backlog.served(2.0, 7.0 + call / 1000)
        assert not backlog.high(7.0 + call / 1000)


def test_few_calls_that_get_nowhere_refuse_nobody() -> None:
    backlog = waiting(Backlog(0.5), 0.0, MANY - 1)
    assert not backlog.high(60.0)
    busy(backlog, 60.0, 62.0, waited=0.01)
    assert not backlog.high(62.0)


def test_others_are_refused_when_many_wait_and_nothing_goes_on_but_not_for_ever() -> None:
    backlog = waiting(Backlog(0.5), 1.0)
    assert not backlog.high(1.5)
    assert backlog.high(1.6)
    assert not backlog.high(1.0 + LONGEST)


def test_what_was_before_a_pause_is_forgotten() -> None:
    backlog = Backlog(0.5)
    busy(backlog, 0.0, 3.0, waited=2.0)
    waiting(backlog, 60.0)
    busy(backlog, 60.0, 60.4, waited=2.0)
    assert not backlog.high(60.4)
