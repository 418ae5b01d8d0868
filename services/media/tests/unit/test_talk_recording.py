"""A talk is recorded as its ring step wants it."""

from typing import Any

import pytest

from carillon_contracts import call as events
from carillon_media.domain import control, inputs, outputs
from carillon_media.domain.steps import RecordingPlan, Ring, RingTarget, Speech

pytestmark = pytest.mark.feature("M-10")


def talk(bench: Any, plan: RecordingPlan | None) -> Any:
    step = Ring((RingTarget("t", "bob", 0, 20_000),), recording=plan)
    bench.arrive().decide(step)
    return bench.feed(inputs.LegAccepted("b1"))


def actions(bench: Any) -> list[str]:
    """What was asked for and done."""
    return [o.event.action for o in bench.out if isinstance(o, outputs.Journal) and isinstance(o.event, events.CallControlled)]


def press(bench: Any, leg_id: str, digits: str) -> Any:
    return bench.feed(*(inputs.DigitPressed(leg_id, digit) for digit in digits))


def test_always_records_both_sides_into_one_file_and_says_so(bench: Any) -> None:
    talk(bench, RecordingPlan(announcement=(Speech("Recorded", "en"),), tone=True, stereo=True, retention_days=30))
    (tape,) = [output for output in bench.out if isinstance(output, outputs.RecordFrom)]
    assert (tape.leg_id, tape.sides, tape.tone_ms) == ("a", "stereo", 15_000)
    played = [output.leg_id for output in bench.out if isinstance(output, outputs.PlayTo) and output.prompts]
    assert played == ["a", "b1"]
    started = bench.event(events.RecordingStarted, "a")
    assert started.labels["retention_days"] == "30"


@pytest.mark.parametrize("plan", [None, RecordingPlan(on_demand=True, key="*1")])
def test_nothing_is_recorded_unasked(bench: Any, plan: RecordingPlan | None) -> None:
    talk(bench, plan)
    assert not [output for output in bench.out if isinstance(output, outputs.RecordFrom)]


def test_by_request_it_pauses_and_goes_on_once_each(bench: Any) -> None:
    pause, resume = inputs.PauseRecordRequested("olga", True), inputs.PauseRecordRequested("olga", False)
    assert control.refusal(bench.call.state, pause)
    talk(bench, RecordingPlan())
    assert control.refusal(bench.call.state, resume) == "the recording is not paused"
    for given, paused in ((pause, [True]), (pause, []), (resume, [False]), (resume, [])):
        bench.feed(given)
        assert [output.paused for output in bench.last if isinstance(output, outputs.PauseRecording)] == paused
    assert actions(bench) == ["pause_recording", "resume_recording"]


def test_the_key_begins_pauses_and_goes_on(bench: Any) -> None:
    talk(bench, RecordingPlan(on_demand=True, key="*1"))
    press(bench, "b1", "*1")
    assert [output.sides for output in bench.last if isinstance(output, outputs.RecordFrom)] == ["mix"]
    press(bench, "b1", "*1")
    assert [output.paused for output in bench.last if isinstance(output, outputs.PauseRecording)] == [True]
    press(bench, "a", "*1")
    assert [output.paused for output in bench.last if isinstance(output, outputs.PauseRecording)] == [False]
    assert actions(bench) == ["start_recording", "pause_recording", "resume_recording"]
