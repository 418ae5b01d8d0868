"""A call goes on when the application that decides about it is killed at any of its steps and comes back."""

from collections.abc import Callable
from typing import Any

import pytest

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs
from carillon_media.domain.steps import (
    Conference,
    Entered,
    Gather,
    Page,
    Park,
    PickUp,
    Play,
    Record,
    Ring,
    RingTarget,
    Speech,
    Step,
    Supervise,
    Wait,
)
from carillon_media.domain.waiting import BEGINNING_SECONDS, GOING_ON_SECONDS

HELLO = Speech("Hello", "en")
BOB = RingTarget("t1", "bob", 0, 20_000)
pytestmark = pytest.mark.feature("M-13")


def played(bench: Any) -> None:
    bench.feed(inputs.PlayFinished(bench.did(outputs.PlayTo)[-1].play_id, 900))


def talked(bench: Any) -> None:
    bench.feed(inputs.LegAccepted("b1"), inputs.LegLeft("b1"))


def recorded(bench: Any) -> None:
    played(bench)
    recording = bench.did(outputs.RecordFrom)[-1].recording_id
    bench.feed(inputs.RecordingFinished(recording, "sha256-" + "0" * 64, 1000, 8000, "silence"))


#: Each kind of step that is asked about, and what ends it.
STEPS: dict[str, tuple[Step, Callable[[Any], Any]]] = {
    "ring": (Ring((BOB,)), lambda bench: bench.feed(inputs.LegRefused("b1", 486))),
    "ring that times out": (Ring((BOB,)), lambda bench: bench.pass_time(21)),
    "ring, after the talk": (Ring((BOB,), ask_after_answer=True), talked),
    "play": (Play((HELLO,)), played),
    "gather": (Gather((HELLO,), 1), lambda bench: bench.feed(inputs.DigitPressed("a", "1"))),
    "record": (Record(beep=True, max_ms=60_000, silence_ms=5_000, min_ms=0), recorded),
    "wait": (Wait((), "*", 30_000, signalled=True), lambda bench: bench.pass_time(31)),
    "park": (Park(("701",), 60_000), lambda bench: bench.pass_time(61)),
    "pick up": (PickUp(("bob",)), lambda bench: bench.pass_time(61)),
    "supervise": (Supervise("bob", "listen", ("listen",)), lambda bench: bench.pass_time(61)),
    "page": (Page(("bob",), "", "", 5_000), lambda bench: bench.feed(inputs.LegRefused("b1", 486)).pass_time(61)),
    "conference": (Conference("room"), lambda bench: bench.pass_time(61)),
}


@pytest.fixture(params=STEPS)
def asking(bench: Any, request: pytest.FixtureRequest) -> Any:
    """A call whose step has just ended."""
    step, end = STEPS[request.param]
    bench.arrive().decide(step)
    end(bench)
    assert bench.question == 2
    return bench


def test_it_is_asked_the_same_again_until_the_application_is_back(asking: Any) -> None:
    outcome, question = asking.asked().outcome, asking.question
    for _ in range(20):
        asking.feed(inputs.Undecided(asking.question, passing=True)).pass_time(1.2)
        assert asking.asked().outcome == outcome
    assert asking.question == question + 20
    asking.decide(Play((HELLO,)))
    assert asking.call.doing == "playing"


def test_what_would_be_answered_again_is_not_asked_again(bench: Any) -> None:
    """An answer that makes no sense, or that there is no such application."""
    bench.arrive().decide(Play((HELLO,)))
    played(bench)
    bench.feed(inputs.Undecided(bench.question))
    assert bench.event(events.CallEnded).cause == "temporary_failure"


@pytest.mark.parametrize("seconds", [BEGINNING_SECONDS, GOING_ON_SECONDS])
def test_an_application_that_does_not_come_back_ends_the_call(bench: Any, seconds: float) -> None:
    bench.arrive()
    if seconds == GOING_ON_SECONDS:
        bench.decide(Play((HELLO,)))
        played(bench)
    until = bench.now + seconds
    while bench.now < until:
        bench.feed(inputs.Undecided(bench.question, passing=True))
        assert not bench.call.over
        bench.pass_time(1.2)
    bench.feed(inputs.Undecided(bench.question, passing=True))
    assert bench.event(events.CallEnded).cause == "temporary_failure"


def test_a_new_call_to_an_extension_does_not_wait(bench: Any) -> None:
    bench.arrive().feed(inputs.Undecided(bench.question, Ring((BOB,)), passing=True))
    assert bench.call.doing == "ringing"


def test_a_new_call_that_media_cannot_route_alone_waits_for_routing(bench: Any) -> None:
    bench.arrive().feed(inputs.Undecided(bench.question, passing=True)).pass_time(1.2)
    assert bench.asked().outcome == Entered()
    bench.decide(Ring((BOB,)))
    assert bench.call.doing == "ringing"


def test_whoever_hangs_up_meanwhile_has_hung_up(bench: Any) -> None:
    bench.arrive().decide(Ring((BOB,))).feed(inputs.LegRefused("b1", 486), inputs.Undecided(2, passing=True), inputs.CallerCancelled())
    assert bench.call.over
    bench.pass_time(60)
    bench.check()
