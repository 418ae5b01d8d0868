"""When new calls are refused: when they come faster than they can be served, and never because others are away for a moment."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import pytest

from carillon_media.domain.backlog import AT_FIRST, MANY, Backlog, Stage

pytestmark = pytest.mark.feature("M-1")


@dataclass
class Served:
    """What became of calls: seconds that each waited for us, and how many were refused."""

    waited: list[float] = field(default_factory=list)
    refused: int = 0


def serve(
    rate: float,
    arrivals: float,
    seconds: float,
    *,
    away: tuple[float, float] = (0.0, 0.0),
    still: Sequence[tuple[float, float]] = (),
    seed: int = 1,
) -> Served:
    """A process that does one thing after the other and serves `rate` calls a second: half of the work before it asks routing, half
    after the answer, which comes 20 ms later, or when routing is back. Calls come at random, `arrivals` a second. From one second to
    another of `still` nothing is done: the disk stands still."""
    backlog, random, served = Backlog(), Random(seed), Served()
    work: deque[tuple[float, float, bool]] = deque()
    answers: deque[tuple[float, float]] = deque()
    clock, comes = 0.0, random.expovariate(arrivals)
    while comes < seconds or work or answers:
        if not work:
            clock = max(clock, min(comes if comes < seconds else float("inf"), answers[0][0] if answers else float("inf")))
        while answers and answers[0][0] <= clock:
            at, waited = answers.popleft()
            backlog.returned()
            work.append((at, waited, True))
        while comes <= clock and comes < seconds:
            if backlog.high(comes):
                served.refused += 1
            else:
                backlog.began(comes)
                work.append((comes, 0.0, False))
            comes += random.expovariate(arrivals)
        if not work:
            continue
        came, waited, last = work.popleft()
        clock = max(clock, came)
        clock = next((ends for begins, ends in still if begins <= clock < ends), clock) + random.uniform(0.5, 1.5) / rate / 2
        waited += clock - came
        if last:
            backlog.through("back")
            served.waited.append(waited)
        else:
            backlog.left()
            answers.append((away[1] if away[0] <= clock < away[1] else clock + 0.02, waited))
    return served


@pytest.mark.parametrize("rate", [50, 100, 200, 800])
@pytest.mark.parametrize("load", [0.5, 0.7, 0.9])
def test_nobody_is_refused_while_calls_come_slower_than_they_can_be_served(rate: float, load: float) -> None:
    assert serve(rate, load * rate, 60).refused == 0


@pytest.mark.parametrize("rate", [100, 200, 800])
@pytest.mark.parametrize("load", [1.2, 1.5, 2, 3])
def test_when_calls_come_faster_as_many_are_served_as_can_be_and_none_waits_long(rate: float, load: float) -> None:
    served = serve(rate, load * rate, 30)
    assert served.refused > 0
    assert len(served.waited) >= 0.9 * rate * 30
    assert max(served.waited) < 1.0


def test_a_process_that_is_slower_than_was_believed_learns_it_within_half_a_minute() -> None:
    served = serve(AT_FIRST / 4, AT_FIRST / 2, 60)
    assert len(served.waited) >= 0.9 * 60 * AT_FIRST / 4
    assert max(served.waited[30 * int(AT_FIRST / 4) :]) < 1.2


@pytest.mark.parametrize("rate", [50, 100, 200, 800])
def test_routing_away_for_three_seconds_has_nobody_refused_neither_then_nor_when_all_go_on_at_once(rate: float) -> None:
    served = serve(rate, 0.7 * rate, 60, away=(20.0, 23.0))
    assert served.refused == 0
    assert len(served.waited) > 0.6 * rate * 60


def test_a_disk_that_stood_still_for_long_once_has_nobody_refused_when_it_stands_still_for_a_moment_later() -> None:
    stops = [(10.0, 14.0), *((at, at + 0.9) for at in range(20, 120, 5))]
    at_first, later = serve(150, 50, 18, still=stops[:1]), serve(150, 50, 120, still=stops)
    assert later.refused == at_first.refused > 0
    assert max(later.waited[len(at_first.waited) + 50 :]) < 1.5


def test_a_crowd_that_comes_at_once_is_let_in_as_far_as_it_can_be_served_soon() -> None:
    backlog = Backlog(0.5)
    let_in = 0
    while not backlog.high(1.0):
        backlog.began(1.0)
        let_in += 1
    assert 0.5 * AT_FIRST < let_in < AT_FIRST


def test_few_calls_are_no_crowd_however_long_they_take() -> None:
    backlog = Backlog(0.001)
    for call in range(MANY + 1):
        assert not backlog.high(call * 60.0)
        backlog.began(call * 60.0)


@pytest.mark.parametrize("stages", [("new",), ("new", "away"), ("new", "away", "back")])
def test_who_is_over_counts_no_more_wherever_it_was(stages: tuple[Stage, ...]) -> None:
    backlog = Backlog(0.5)
    for _ in range(1000):
        assert not backlog.high(1.0)
        backlog.began(1.0)
        if len(stages) > 1:
            backlog.left()
        if len(stages) > 2:
            backlog.returned()
        backlog.through(stages[-1])
