"""The wait step: prompts, music that goes on, what ends it, and patience with an application that is away."""

from typing import Any

import pytest

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs
from carillon_media.domain.steps import Entered, HangUp, Play, Ring, RingTarget, Speech, TargetOutcome, Wait, WaitOutcome
from carillon_media.domain.waiting import PATIENCE_SECONDS

HELLO = Speech("Hello", "en")
BOB = RingTarget("agent:bob", "bob", 0, 15_000)
pytestmark = pytest.mark.feature("R-10")


@pytest.fixture
def waiting(bench: Any) -> Any:
    return bench.arrive().decide(Wait((HELLO,), "*", 30_000, signalled=True))


def heard(bench: Any) -> None:
    """The prompts are over."""
    bench.feed(inputs.PlayFinished(bench.did(outputs.PlayTo)[-1].play_id, 900))


def music(bench: Any) -> int:
    return len(bench.did(outputs.PlayMusic))


def signal(bench: Any) -> None:
    bench.feed(inputs.Signalled(bench.did(outputs.AwaitSignal)[-1].wait_id))


def test_the_caller_is_answered_and_hears_the_prompts_and_then_music(waiting: Any) -> None:
    assert waiting.did(outputs.AnswerCaller)
    assert music(waiting) == 0
    heard(waiting)
    assert music(waiting) == 1
    assert waiting.call.doing == "waiting"


@pytest.mark.feature("R-2")
def test_a_quiet_wait_answers_nobody_and_begins_no_music(bench: Any) -> None:
    bench.arrive().decide(Wait(max_ms=10_100, signalled=True, quiet=True))
    assert bench.did(outputs.RingCaller)
    assert not bench.did(outputs.AnswerCaller)
    assert music(bench) == 0
    bench.feed(inputs.MediaRestored())
    assert music(bench) == 0
    signal(bench)
    assert bench.asked().outcome == WaitOutcome("signalled")
    bench.decide(Ring((BOB,))).feed(inputs.LegProgressed("b1", 180))
    assert len(bench.did(outputs.RingCaller)) == 1, "it rings already"
    bench.feed(inputs.LegAccepted("b1"))
    assert bench.did(outputs.AnswerCaller)


@pytest.mark.feature("R-2")
def test_the_music_of_a_wait_goes_on_in_a_quiet_one_and_who_was_answered_hears_nothing_new(waiting: Any, make_bench: Any) -> None:
    heard(waiting)
    waiting.pass_time(31)
    waiting.decide(Wait(max_ms=10_100, signalled=True, quiet=True))
    assert (music(waiting), waiting.did(outputs.StopPlay)) == (1, [])
    answered = make_bench().arrive().decide(Play((HELLO,)))
    answered.feed(inputs.PlayFinished(answered.did(outputs.PlayTo)[-1].play_id, 900))
    answered.decide(Wait(max_ms=10_100, signalled=True, quiet=True))
    assert (music(answered), answered.did(outputs.RingCaller)) == (0, [])


@pytest.mark.feature("R-2")
def test_who_hangs_up_in_a_quiet_wait_is_gone(bench: Any) -> None:
    bench.arrive().decide(Wait(max_ms=10_100, signalled=True, quiet=True)).feed(inputs.CallerCancelled())
    assert bench.call.over


def test_the_music_goes_on_from_one_wait_to_the_next(waiting: Any) -> None:
    heard(waiting)
    waiting.pass_time(31)
    assert waiting.asked().outcome == WaitOutcome("timed_out")
    waiting.decide(Wait(max_ms=30_000))
    assert music(waiting) == 1
    assert not waiting.did(outputs.StopPlay)


def test_a_digit_that_leaves_ends_the_wait_and_another_does_not(waiting: Any) -> None:
    waiting.feed(inputs.DigitPressed("a", "5"))
    assert not waiting.did(outputs.StopAwaiting)
    waiting.feed(inputs.DigitPressed("a", "*"))
    assert waiting.asked().outcome == WaitOutcome("digit", "*")
    assert waiting.event(events.WaitEnded) == events.WaitEnded(end="digit", digit="*")


def test_a_signal_ends_the_wait_and_the_music_plays_while_the_agent_rings(waiting: Any) -> None:
    heard(waiting)
    signal(waiting)
    assert waiting.asked().outcome == WaitOutcome("signalled")
    waiting.decide(Ring((BOB,), music=True))
    assert music(waiting) == 1
    assert not waiting.did(outputs.StopPlay)
    waiting.feed(inputs.LegAccepted("b1"))
    assert waiting.did(outputs.StopPlay)
    assert waiting.event(events.CallBridged).legs == ("a", "b1")


def test_an_agent_who_does_not_answer_leaves_the_caller_with_the_same_music(waiting: Any) -> None:
    heard(waiting)
    signal(waiting)
    waiting.decide(Ring((BOB,), music=True)).feed(inputs.LegProgressed("b1", 180)).pass_time(16)
    assert waiting.asked().outcome.targets == (TargetOutcome("agent:bob", "no_answer", 180),)
    waiting.decide(Wait(max_ms=30_000))
    assert music(waiting) == 1
    assert not waiting.did(outputs.StopPlay)


def test_a_wait_says_which_music_it_is_and_another_one_begins_at_once(bench: Any, make_bench: Any) -> None:
    def playlists(here: Any) -> list[str]:
        return [each.playlist_id for each in here.did(outputs.PlayMusic)]

    bench.arrive().decide(Wait(music_id="sales", signalled=True))
    signal(bench)
    bench.decide(Ring((BOB,), music=True, music_id="sales")).feed(inputs.LegProgressed("b1", 180)).pass_time(16)
    bench.decide(Wait(music_id="sales"))
    assert playlists(bench) == ["sales"], "it goes on"
    bench.feed(inputs.MediaRestored())
    assert playlists(bench) == ["sales", "sales"]
    bench.pass_time(31).decide(Wait(music_id="support"))
    bench.pass_time(31).decide(Wait())
    assert playlists(bench) == ["sales", "sales", "support", ""]
    at_once = make_bench().arrive().decide(Play((HELLO,)))
    at_once.feed(inputs.PlayFinished(at_once.did(outputs.PlayTo)[-1].play_id, 900)).decide(Ring((BOB,), music=True, music_id="sales"))
    assert playlists(at_once) == ["sales"], "an agent was free"


def test_another_step_ends_the_music(waiting: Any) -> None:
    heard(waiting)
    signal(waiting)
    waiting.decide(Play((HELLO,)))
    assert waiting.did(outputs.StopPlay)


def test_a_signal_of_an_earlier_wait_does_nothing(waiting: Any) -> None:
    first = waiting.did(outputs.AwaitSignal)[-1].wait_id
    waiting.pass_time(31)
    waiting.decide(Wait(max_ms=30_000, signalled=True)).feed(inputs.Signalled(first))
    assert waiting.call.doing == "waiting"


def test_a_caller_waits_on_while_no_application_answers(waiting: Any) -> None:
    heard(waiting)
    signal(waiting)
    for _ in range(20):
        waiting.feed(inputs.Undecided(waiting.question)).pass_time(1.5)
        assert waiting.asked().outcome == WaitOutcome("signalled")
    waiting.decide(Ring((BOB,), music=True))
    assert waiting.call.doing == "ringing"


def test_but_not_for_ever(waiting: Any) -> None:
    signal(waiting)
    waiting.pass_time(PATIENCE_SECONDS + 1).feed(inputs.Undecided(waiting.question))
    assert waiting.call.over


def test_who_was_never_made_to_wait_gets_no_patience(bench: Any) -> None:
    bench.arrive().feed(inputs.Undecided(bench.question))
    assert bench.call.over
    assert bench.asked().outcome == Entered()


def test_a_caller_who_leaves_ends_the_asking(waiting: Any) -> None:
    waiting.feed(inputs.LegLeft("a"))
    assert waiting.did(outputs.StopAwaiting)
    assert waiting.call.over


def test_music_begins_again_with_a_new_media_plane(waiting: Any) -> None:
    heard(waiting)
    waiting.feed(inputs.MediaRestored())
    assert music(waiting) == 2


def test_the_end_of_the_queue_is_an_end_of_the_call(waiting: Any) -> None:
    signal(waiting)
    waiting.decide(HangUp(17, 486))
    assert waiting.event(events.CallEnded).cause == "user_busy"
