"""Who holds a caller that another user waits for is reminded as long as it holds, and no longer."""

from typing import Any

import pytest

from carillon_media.domain import inputs, outputs
from carillon_media.domain.reminding import REMINDER
from carillon_media.domain.steps import HoldReminder, Ring, RingTarget, Speech

pytestmark = pytest.mark.feature("R-27")
WORDS = (Speech("A caller is waiting for the boss.", "en"),)


def talk(bench: Any, *, reminded: bool = True) -> Any:
    reminder = HoldReminder(40_000, WORDS) if reminded else None
    step = Ring((RingTarget("t", "bob", 0, 20_000),), "+41791112233", "Paul", reminder=reminder)
    bench.arrive().decide(step)
    return bench.feed(inputs.LegAccepted("b1"))


def runs(bench: Any) -> bool:
    return REMINDER in bench.call.state.timers


def test_phones_ring_again_and_again_while_the_secretary_holds(bench: Any) -> None:
    talk(bench)
    assert not runs(bench)
    bench.feed(inputs.LegReoffered("b1", True))
    assert bench.call.state.timers[REMINDER] == bench.call.state.now + 40
    for _ in range(2):
        bench.feed(inputs.TimerFired(REMINDER))
        assert [output for output in bench.last if isinstance(output, outputs.Remind)] == [
            outputs.Remind("bob", WORDS, "+41791112233", "Paul")
        ]
        assert runs(bench)
    bench.feed(inputs.LegReoffered("b1", False))
    assert not runs(bench)


def test_nobody_is_reminded_of_what_nobody_holds_or_by_a_step_that_wants_no_reminder(bench: Any, make_bench: Any) -> None:
    talk(bench).feed(inputs.LegReoffered("a", True))
    assert not runs(bench)
    plain = talk(make_bench(), reminded=False).feed(inputs.LegReoffered("b1", True))
    assert not runs(plain)


@pytest.mark.parametrize("end", ["transfer", "hang up", "by request"])
def test_it_ends_with_the_hold_however_that_ends(bench: Any, end: str) -> None:
    talk(bench)
    if end == "by request":
        bench.feed(inputs.HoldRequested("admin", "b1", True))
        assert runs(bench)
        bench.feed(inputs.HoldRequested("admin", "b1", False))
    else:
        bench.feed(inputs.LegReoffered("b1", True))
        bench.feed(inputs.LegRefers("b1", "103") if end == "transfer" else inputs.LegLeft("b1", "bye"))
    bench.feed(inputs.TimerFired(REMINDER))
    assert not bench.did(outputs.Remind)
    assert bench.call.over or not runs(bench)
