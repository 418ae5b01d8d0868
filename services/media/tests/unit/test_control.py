"""What people and programs ask of a call, and calls that are made for a user."""

from typing import Any

import pytest

from carillon_contracts import call as events
from carillon_media.domain import control, inputs, outputs
from carillon_media.domain.steps import Entered, HangUp, Play, Ring, RingTarget, Speech, TrunkTarget

pytestmark = pytest.mark.feature("M-12")
HELLO = (Speech("Hello", "en"),)


@pytest.fixture
def talking(bench: Any) -> Any:
    return bench.arrive().decide(Ring((RingTarget("t1", "bob"),), "100")).feed(inputs.LegAccepted("b1", "PCMA"))


def refused(bench: Any, given: Any) -> str:
    """The reason; what is refused must change nothing."""
    reason = control.refusal(bench.call.state, given)
    if reason:
        bench.feed(given)
        assert bench.last == []
    return reason


def test_hang_up_ends_a_call_whatever_it_does(make_bench: Any) -> None:
    for begun in (make_bench().arrive(), make_bench().arrive().decide(Play(HELLO)), make_bench().originate(2)):
        begun.feed(inputs.HangUpRequested("admin", "call_rejected"))
        ended = begun.event(events.CallEnded)
        assert (ended.cause, ended.by) == ("call_rejected", "system")
        told = begun.event(events.CallControlled)
        assert (told.action, told.requested_by, told.details) == ("hang_up", "admin", {"cause": "call_rejected"})
        begun.check()
        assert refused(begun, inputs.HangUpRequested("admin", "call_rejected")) == "the call is over"


def test_hold_by_request_is_like_hold_by_a_phone_and_no_phone_can_end_it(talking: Any) -> None:
    talking.feed(inputs.HoldRequested("admin", "b1", True))
    assert talking.music() == {"a"}
    assert outputs.UnbridgeLeg("b1") in talking.last
    assert talking.call.doing == "held"
    talking.feed(inputs.LegReoffered("b1", False))
    assert talking.music() == {"a"}
    assert "holds already" in refused(talking, inputs.HoldRequested("admin", "b1", True))
    talking.feed(inputs.HoldRequested("admin", "b1", False))
    assert talking.music() == set()
    assert talking.did(outputs.BridgeLegs)[-1] == outputs.BridgeLegs("a", "b1")
    assert [kind for kind, leg in talking.events() if leg == "b1"][-4:] == ["controlled", "leg_held", "controlled", "leg_resumed"]


def test_what_a_phone_holds_only_the_phone_resumes(talking: Any) -> None:
    talking.feed(inputs.LegReoffered("b1", True))
    assert "not on hold by request" in refused(talking, inputs.HoldRequested("admin", "b1", False))


def test_a_transfer_by_request_lets_the_other_one_go_at_once_and_rings_it_again_if_nobody_answers(talking: Any) -> None:
    talking.feed(inputs.TransferRequested("admin", "a", "103"))
    assert talking.closed() == {"b1": "bye"}
    assert (talking.asked().facts.caller_user_id, talking.asked().facts.dialled) == ("bob", "103")
    talking.decide(Ring((RingTarget("t", "nobody"),))).decide(HangUp(20))
    assert talking.did(outputs.OfferLeg)[-1].contact.party == "bob"


def test_a_call_between_two_carriers_is_nobodys_to_transfer(bench: Any) -> None:
    bench.arrive().decide(Ring((RingTarget("t1", TrunkTarget("carrier", "+4179")),))).feed(inputs.LegAccepted("b1"))
    assert "no user" in refused(bench, inputs.TransferRequested("admin", "a", "103"))
    assert refused(bench, inputs.TransferRequested("admin", "b1", "103")) == ""


def test_digits_are_heard_and_not_written_down(talking: Any) -> None:
    talking.feed(inputs.DigitsRequested("admin", "b1", "4711"))
    assert [(o.leg_id, o.digits) for o in talking.did(outputs.SendDigits)] == [("b1", "4711")]
    assert talking.event(events.CallControlled).details == {"count": "4"}
    assert "4711" not in repr(talking.did(outputs.Journal))


def test_a_text_is_spoken_to_one_or_both(talking: Any) -> None:
    talking.feed(inputs.PlayRequested("admin", "", HELLO), inputs.PlayRequested("admin", "b1", HELLO))
    assert [o.leg_id for o in talking.did(outputs.PlayTo)] == ["a", "b1", "b1"]
    talking.feed(inputs.LegReoffered("a", True))
    assert "on hold" in refused(talking, inputs.PlayRequested("admin", "b1", HELLO))


def test_both_sides_are_recorded_until_it_is_stopped(talking: Any) -> None:
    talking.feed(inputs.RecordRequested("admin", {"case": "7"}, 60_000))
    begun = talking.did(outputs.RecordFrom)
    assert [o.leg_id for o in begun] == ["a", "b1"]
    assert "already" in refused(talking, inputs.RecordRequested("admin", {}, 60_000))
    talking.feed(inputs.StopRecordRequested("admin"))
    assert [o.leg_id for o in talking.did(outputs.StopRecording)] == ["a", "b1"]
    for number, output in enumerate(begun):
        talking.feed(inputs.RecordingFinished(output.recording_id, f"sha256-{number}", 900, 9, "stopped"))
    kept = [o.event for o in talking.did(outputs.Journal) if isinstance(o.event, events.RecordingFinished)]
    assert [(e.object, e.ended_by, e.labels["leg_id"], e.labels["case"]) for e in kept] == [
        ("sha256-0", "stopped", "a", "7"),
        ("sha256-1", "stopped", "b1", "7"),
    ]
    assert "not recorded" in refused(talking, inputs.StopRecordRequested("admin"))


def test_a_call_that_is_recorded_ends_when_both_files_are_there(talking: Any) -> None:
    talking.feed(inputs.RecordRequested("admin", {}, 60_000)).feed(inputs.LegLeft("a"))
    assert not talking.call.over
    for number, output in enumerate(talking.did(outputs.RecordFrom)):
        assert not talking.call.over
        talking.feed(inputs.RecordingFinished(output.recording_id, f"sha256-{number}", 900, 9, "stopped"))
    assert talking.call.over
    assert talking.events()[-3:] == [("recording_finished", "a"), ("recording_finished", "b1"), ("ended", None)]


def test_nothing_but_hanging_up_is_possible_while_nobody_talks(bench: Any) -> None:
    bench.arrive()
    for given in (
        inputs.HoldRequested("admin", "a", True),
        inputs.TransferRequested("admin", "a", "103"),
        inputs.DigitsRequested("admin", "a", "1"),
        inputs.PlayRequested("admin", "", HELLO),
        inputs.RecordRequested("admin", {}, 1),
    ):
        assert refused(bench, given) == control.NOT_TALKING


def test_a_call_made_for_a_user_rings_its_devices_first_and_shows_who_is_called(bench: Any) -> None:
    bench.originate(2)
    assert [(o.leg_id, o.caller_number, o.caller_name) for o in bench.did(outputs.OfferLeg)] == [("a", "101", "Bob"), ("a2", "101", "Bob")]
    assert bench.event(events.CallStarted).requested_by == "admin"
    bench.feed(inputs.LegProgressed("a2", 180), inputs.LegAccepted("a2", "PCMA"))
    assert bench.closed() == {"a": "cancel"}
    assert bench.event(events.LegEnded, "a").cause == "answered_elsewhere"
    assert bench.asked() == outputs.Ask(1, "routing", b"", Entered())
    bench.decide(Ring((RingTarget("t1", "bob"),), "100"))
    assert [o.leg_id for o in bench.did(outputs.PlayTo)] == ["a2"]
    bench.now += 1
    bench.feed(inputs.LegAccepted("b1"))
    assert bench.did(outputs.BridgeLegs) == [outputs.BridgeLegs("a2", "b1")]
    bench.feed(inputs.LegLeft("a2"))
    ended = bench.event(events.CallEnded)
    assert (ended.by, ended.talk_ms) == ("caller", 1000)
    assert bench.did(outputs.AnswerCaller) == []


@pytest.mark.parametrize(("refusals", "cause"), [([486], "user_busy"), ([486, 480], "no_user_responding")])
def test_a_user_who_does_not_want_to_call_is_not_made_to(make_bench: Any, refusals: list[int], cause: str) -> None:
    bench = make_bench().originate(len(refusals))
    for leg_id, status in zip(("a", "a2"), refusals, strict=False):
        bench.feed(inputs.LegRefused(leg_id, status))
    assert bench.event(events.CallEnded).cause == cause
    bench.check()


def test_a_user_who_does_not_pick_up_is_left_in_peace(bench: Any) -> None:
    bench.originate().pass_time(30.1)
    assert bench.event(events.CallEnded).cause == "no_answer"
    assert bench.closed() == {"a": "cancel"}
