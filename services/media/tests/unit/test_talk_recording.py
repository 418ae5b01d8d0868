"""A talk is recorded as its ring step wants it."""

from typing import Any

import pytest

from carillon_contracts import call as events
from carillon_media.domain import control, inputs, outputs, talk_recording
from carillon_media.domain.steps import Park, RecordingPlan, Ring, RingTarget, Speech

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


ANNOUNCED = RecordingPlan(announcement=(Speech("Recorded", "en"),), labels={"recording_policy_id": "all"})
CAROL = RingTarget("t2", "carol", 0, 20_000)


def begun(bench: Any) -> list[tuple[str, str]]:
    """Leg and sides of each recording that was begun by the last input."""
    return [(output.leg_id, output.sides) for output in bench.last if isinstance(output, outputs.RecordFrom)]


def told(bench: Any) -> list[str]:
    return [output.leg_id for output in bench.last if isinstance(output, outputs.PlayTo) and output.prompts]


def parts(bench: Any) -> list[str]:
    return [o.event.labels["part"] for o in bench.out if isinstance(o, outputs.Journal) and isinstance(o.event, events.RecordingStarted)]


def sent_to_carol(bench: Any, plan: RecordingPlan | None) -> Any:
    bench.feed(inputs.LegRefers("b1", "103")).decide(Ring((CAROL,), recording=plan))
    return bench.feed(inputs.LegAccepted("b2"))


def test_who_talks_after_a_transfer_is_recorded_anew_and_only_who_is_new_is_told(bench: Any) -> None:
    talk(bench, ANNOUNCED)
    bench.feed(inputs.LegRefers("b1", "103"))
    assert [output.leg_id for output in bench.last if isinstance(output, outputs.StopRecording)] == ["a"]
    assert bench.asked().outcome.arguments == {"transferred_by": "bob", "stays": "anne", "recorded_by": "all"}
    bench.decide(Ring((CAROL,), recording=ANNOUNCED)).feed(inputs.LegAccepted("b2"))
    assert (begun(bench), told(bench), parts(bench)) == ([("a", "mix")], ["b2"], ["1", "2"])


@pytest.mark.parametrize("plan", [None, RecordingPlan(never=True), RecordingPlan(on_demand=True, key="*1")])
def test_whom_the_policy_does_not_record_is_not_recorded_after_a_transfer(bench: Any, plan: RecordingPlan | None) -> None:
    talk(bench, ANNOUNCED)
    sent_to_carol(bench, plan)
    assert begun(bench) == []


def test_a_policy_that_only_the_tenant_names_is_not_the_talk_s_own(bench: Any) -> None:
    talk(bench, RecordingPlan(labels={"recording_policy_id": "all"}, from_tenant=True))
    bench.feed(inputs.LegRefers("b1", "103"))
    assert "recorded_by" not in bench.asked().outcome.arguments


def test_what_somebody_wanted_recorded_goes_on_after_a_transfer_unless_it_was_paused(make_bench: Any) -> None:
    demand = RecordingPlan(on_demand=True, key="*1", stereo=True)
    for pressed, goes_on in (("*1", [("a", "stereo")]), ("*1*1", [])):
        one = talk(make_bench(), demand)
        press(one, "b1", pressed)
        assert begun(sent_to_carol(one, demand)) == goes_on
    asked = talk(make_bench(), None).feed(inputs.RecordRequested("olga", {"case": "7"}, 60_000))
    assert begun(sent_to_carol(asked, None)) == [("a", "said"), ("b2", "said")]
    assert begun(sent_to_carol(talk(make_bench(), None).feed(inputs.RecordRequested("olga", {}, 60_000)), RecordingPlan(never=True))) == []


def test_a_transfer_that_comes_back_is_recorded_as_before(bench: Any) -> None:
    talk(bench, ANNOUNCED).feed(inputs.LegRefers("b1", "103"))
    bench.feed(inputs.Undecided(bench.question))
    assert (begun(bench), told(bench), parts(bench)) == ([("a", "mix")], [], ["1", "2"])


def test_who_takes_a_parked_call_back_is_recorded_as_who_parked_it(bench: Any) -> None:
    talk(bench, ANNOUNCED).feed(inputs.LegRefers("b1", "*7")).decide(Park(("701",), 30_000, ()))
    bench.feed(inputs.PickedUp("", "h", "carol", "103", "PCMA"))
    assert (begun(bench), told(bench)) == ([("a", "mix")], ["b2"])


def test_of_two_talks_that_become_one_the_nearer_policy_counts(make_bench: Any) -> None:
    never, house = RecordingPlan(never=True), RecordingPlan(from_tenant=True, on_demand=True)
    for here, there, goes_on in (
        (ANNOUNCED, house, 1),
        (house, ANNOUNCED, 1),
        (ANNOUNCED, never, 0),
        (None, ANNOUNCED, 1),
        (None, None, 0),
    ):
        first, second = talk(make_bench(), here), talk(make_bench(), there)
        carried = talk_recording.of_talk(second.call.state, second.call.state.phase)
        first.feed(inputs.LegAdopted("b1", "h", "carol", "103", "PCMU", "c2", carried))
        assert len(begun(first)) == goes_on
    key = talk(make_bench(), RecordingPlan(on_demand=True, key="*1"))
    press(key, "b1", "*1")
    carried = talk_recording.of_talk(key.call.state, key.call.state.phase)
    first = talk(make_bench(), None).feed(inputs.LegAdopted("b1", "h", "carol", "103", "PCMU", "c2", carried))
    assert begun(first) == [("a", "mix")]


def test_another_phone_of_who_was_told_is_not_told_again(bench: Any) -> None:
    talk(bench, ANNOUNCED).feed(inputs.PickedUp("b1", "h", "bob", "102", "PCMA"))
    assert (begun(bench), told(bench)) == ([("a", "mix")], [])


def test_a_recording_goes_on_when_the_media_plane_dies_and_stays_paused(bench: Any) -> None:
    talk(bench, RecordingPlan()).feed(inputs.PauseRecordRequested("olga", True))
    (tape,) = bench.did(outputs.RecordFrom)
    bench.feed(inputs.RecordingFinished(tape.recording_id, "sha256-aa", 900, 99, "node_failure"))
    assert (begun(bench), [output.paused for output in bench.last if isinstance(output, outputs.PauseRecording)]) == (
        [("a", "mix")],
        [True],
    )
    assert control.refusal(bench.call.state, inputs.PauseRecordRequested("olga", False)) == ""


def test_a_talk_s_recording_ends_with_it_when_the_application_is_asked_what_comes_next(bench: Any) -> None:
    bench.arrive().decide(Ring((RingTarget("t", "bob", 0, 20_000),), ask_after_answer=True, recording=RecordingPlan()))
    bench.feed(inputs.LegAccepted("b1"), inputs.LegLeft("b1"))
    assert [output.leg_id for output in bench.last if isinstance(output, outputs.StopRecording)] == ["a"]


@pytest.mark.parametrize(("only", "leg_id"), [("caller", "a"), ("called", "b1")])
def test_a_policy_may_want_one_side_alone(bench: Any, only: Any, leg_id: str) -> None:
    talk(bench, RecordingPlan(only=only, stereo=True, tone=True))
    (tape,) = [output for output in bench.out if isinstance(output, outputs.RecordFrom)]
    assert (tape.leg_id, tape.sides, tape.tone_ms) == (leg_id, "said", 15_000)
    assert bench.event(events.RecordingStarted, leg_id).labels["leg_id"] == leg_id


@pytest.mark.parametrize(
    ("sides", "begins"),
    [
        ("said", [("a", "said"), ("b1", "said")]),
        ("mix", [("a", "mix")]),
        ("stereo", [("a", "stereo")]),
        ("caller", [("a", "said")]),
        ("called", [("b1", "said")]),
    ],
)
def test_who_asks_says_which_sides_are_recorded_and_whether_a_tone_tells_so(bench: Any, sides: Any, begins: list[tuple[str, str]]) -> None:
    talk(bench, None)
    bench.feed(inputs.RecordRequested("olga", {}, 60_000, sides, tone=True))
    assert begun(bench) == begins
    assert {output.tone_ms for output in bench.last if isinstance(output, outputs.RecordFrom)} == {15_000}
    assert {"leg_id" in event.labels for event in _started(bench)} == {sides not in ("mix", "stereo")}


def _started(bench: Any) -> list[events.RecordingStarted]:
    return [o.event for o in bench.out if isinstance(o, outputs.Journal) and isinstance(o.event, events.RecordingStarted)]
