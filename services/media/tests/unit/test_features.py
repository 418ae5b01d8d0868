"""Park, pickup, supervision, paging and doors, as the call machine sees them."""

from typing import Any

import pytest

from carillon_contracts import call as events
from carillon_contracts.config import DoorPhone
from carillon_media.domain import control, inputs, outputs
from carillon_media.domain.steps import (
    HangUp,
    Page,
    PageOutcome,
    Park,
    ParkOutcome,
    PickUp,
    PickUpOutcome,
    Play,
    Ring,
    RingTarget,
    Speech,
    Supervise,
    SuperviseOutcome,
)

BOB = RingTarget("t1", "bob", 0, 20_000)
PARK = Park(("701", "702"), 60_000, (Speech("Parked at {slot}", "en"),))
CAROL_TAKES = inputs.PickedUp("", "carols", "carol", "103", "PCMA", "c2")

pytestmark = pytest.mark.feature("M-5")


@pytest.fixture
def talking(bench: Any) -> Any:
    """Anne (a) called Bob (b1)."""
    return bench.arrive().decide(Ring((BOB,), "100", "Anne")).feed(inputs.LegProgressed("b1", 180), inputs.LegAccepted("b1", "PCMA"))


@pytest.fixture
def parked(talking: Any) -> Any:
    """Bob has sent Anne to the parking lot, and heard where she is."""
    talking.feed(inputs.LegRefers("b1", "*7")).decide(PARK)
    return talking.feed(inputs.PlayFinished(talking.did(outputs.PlayTo)[-1].play_id, 900))


# -- park -------------------------------------------------------------------------------------------------------------


def test_who_parks_hears_the_slot_and_is_let_go_while_the_other_hears_music(talking: Any) -> None:
    talking.feed(inputs.LegRefers("b1", "*7")).decide(PARK)
    assert talking.event(events.CallParked) == events.CallParked(slot="701", parked_by="bob")
    said = talking.did(outputs.PlayTo)[-1]
    assert (said.leg_id, said.prompts) == ("b1", (Speech("Parked at 7, 0, 1", "en"),))
    assert talking.music() == {"a"}
    assert "b1" not in talking.closed()
    talking.feed(inputs.PlayFinished(said.play_id, 900))
    assert talking.closed() == {"b1": "bye"}
    assert talking.did(outputs.ReportTransfer)[-1] == outputs.ReportTransfer("b1", 200)


def test_a_phone_on_hold_is_let_go_at_once_because_it_hears_nothing(talking: Any) -> None:
    talking.feed(inputs.LegReoffered("b1", True), inputs.LegRefers("b1", "*7")).decide(PARK)
    assert talking.closed() == {"b1": "bye"}


def test_who_parks_may_hang_up_before_the_slot_is_spoken(talking: Any) -> None:
    talking.feed(inputs.LegRefers("b1", "*7")).decide(PARK).feed(inputs.LegLeft("b1"))
    assert not talking.call.over
    assert talking.event(events.TransferEnded).result == "answered"


def test_the_first_free_slot_is_taken(talking: Any) -> None:
    talking.world.taken = {"701"}
    talking.feed(inputs.LegRefers("b1", "*7")).decide(PARK)
    assert talking.event(events.CallParked).slot == "702"


def test_without_a_free_slot_the_application_says_what_to_do(talking: Any) -> None:
    talking.world.taken = {"701", "702"}
    talking.feed(inputs.LegRefers("b1", "*7")).decide(PARK)
    assert talking.asked().outcome == ParkOutcome("no_slot")
    talking.decide(HangUp(17, 486))
    assert talking.event(events.TransferEnded).result == "returned"
    assert talking.did(outputs.BridgeLegs)[-1] == outputs.BridgeLegs("a", "b1")


def test_another_user_takes_the_call_back(parked: Any) -> None:
    parked.feed(CAROL_TAKES)
    assert parked.did(outputs.AdoptLeg) == [outputs.AdoptLeg("b2", "carols")]
    assert parked.did(outputs.BridgeLegs)[-1] == outputs.BridgeLegs("a", "b2")
    assert parked.did(outputs.AnswerLeg) == [outputs.AnswerLeg("b2")]
    assert parked.event(events.ParkEnded) == events.ParkEnded(slot="701", result="retrieved", by="carol")
    assert parked.music() == set()
    parked.feed(inputs.LegLeft("b2"))
    assert parked.call.over


def test_a_call_that_nobody_takes_back_is_the_applications_again(parked: Any) -> None:
    parked.pass_time(59)
    assert parked.music() == {"a"}
    parked.pass_time(2)
    assert parked.asked().outcome == ParkOutcome("timed_out", "701")
    assert parked.asked().facts.caller_user_id == "bob"
    assert parked.event(events.ParkEnded).result == "timed_out"
    parked.decide(Ring((BOB,), "", "")).feed(inputs.LegAccepted("b2"))
    assert parked.did(outputs.BridgeLegs)[-1] == outputs.BridgeLegs("a", "b2")


def test_who_is_parked_may_hang_up(parked: Any) -> None:
    parked.feed(inputs.LegLeft("a"))
    assert parked.call.over
    assert parked.event(events.ParkEnded).result == "given_up"


def test_a_new_media_plane_plays_the_music_again(parked: Any) -> None:
    before = len(parked.did(outputs.PlayMusic))
    parked.feed(inputs.MediaRestored())
    assert len(parked.did(outputs.PlayMusic)) == before + 1


def test_parking_by_request_goes_the_way_of_a_transfer(talking: Any) -> None:
    request = inputs.ParkRequested("admin", "a", "701")
    assert control.refusal(talking.call.state, request) == ""
    talking.feed(request)
    assert talking.asked().facts.dialled == "701"
    assert talking.event(events.CallControlled).action == "park"
    talking.decide(Park(("701",), 60_000))
    assert talking.event(events.CallParked).parked_by == "bob"
    assert talking.closed() == {"b1": "bye"}


def test_digits_in_a_talk_park_the_other_side(talking: Any) -> None:
    talking.feed(inputs.DigitPressed("b1", "*")).pass_time(1).feed(inputs.DigitPressed("b1", "7"))
    assert talking.asked().facts.dialled == "*7"
    assert talking.event(events.LegTransferred).kept == "a"


@pytest.mark.parametrize("pause", [5.0])
def test_digits_too_far_apart_are_no_code(talking: Any, pause: float) -> None:
    talking.feed(inputs.DigitPressed("b1", "*")).pass_time(pause).feed(inputs.DigitPressed("b1", "7"))
    assert not talking.did(outputs.ReportTransfer)


def test_digits_of_two_people_are_no_code(talking: Any) -> None:
    talking.feed(inputs.DigitPressed("b1", "*"), inputs.DigitPressed("a", "7"))
    assert not talking.did(outputs.ReportTransfer)


def test_phones_can_be_told_that_a_call_is_parked(talking: Any) -> None:
    step = Park(("701",), 60_000, (), ("carol",), (Speech("Call at {slot}", "en"),))
    talking.feed(inputs.LegRefers("b1", "*7")).decide(step)
    assert talking.did(outputs.Announce) == [outputs.Announce(("carol",), (Speech("Call at 7, 0, 1", "en"),), "701")]


# -- pickup -----------------------------------------------------------------------------------------------------------


def test_the_caller_goes_on_in_the_call_that_it_took_over(bench: Any) -> None:
    bench.arrive().decide(PickUp(("bob",)))
    assert bench.did(outputs.TakeOver) == [outputs.TakeOver("a", ("bob",), "")]
    bench.feed(inputs.TookOver("c2", "picked_up"))
    assert bench.call.over
    assert bench.closed() == {"a": "moved"}
    assert bench.event(events.CallTookOver).other_call_id == "c2"
    assert bench.event(events.CallEnded).cause == "took_over"


@pytest.mark.parametrize("nothing", [True, False], ids=["nothing", "silence"])
def test_without_anything_to_take_the_application_says_what_to_do(bench: Any, nothing: bool) -> None:
    bench.arrive().decide(PickUp((), "701"))
    if nothing:
        bench.feed(inputs.NothingTaken())
    else:
        bench.pass_time(10)
    assert bench.asked().outcome == PickUpOutcome()
    bench.decide(Play((Speech("Nothing there", "en"),)))


def test_a_caller_may_give_up_before_anything_is_found(bench: Any) -> None:
    bench.arrive().decide(PickUp(("bob",))).feed(inputs.CallerCancelled(), inputs.TookOver("c2", "picked_up"))
    assert bench.event(events.CallEnded).cause == "caller_gave_up"


def test_the_others_stop_ringing_when_a_call_is_picked_up(bench: Any) -> None:
    bench.arrive().decide(Ring((RingTarget("t", "carol", 0, 20_000),)))
    bench.feed(inputs.PickedUp("b1", "bobs", "bob", "102", "PCMA", "c2"))
    assert bench.closed() == {"b1": "cancel", "b2": "cancel"}
    reasons = {output.reason for output in bench.did(outputs.CloseLeg)}
    assert all("elsewhere" in reason for reason in reasons)
    picked = bench.event(events.CallPickedUp)
    assert (picked.by, picked.rung, picked.rung_party, picked.other_call_id) == ("bob", "b1", "carol", "c2")
    assert bench.did(outputs.AnswerLeg) == [outputs.AnswerLeg("b3")]


# -- supervision ------------------------------------------------------------------------------------------------------

LISTEN = Supervise("bob", "listen", ("listen", "whisper"))


def test_a_supervisor_changes_by_digit_to_what_is_allowed(bench: Any) -> None:
    bench.arrive().decide(LISTEN).feed(inputs.TalkFound("c2", "b1"))
    bench.feed(*(inputs.DigitPressed("a", digit) for digit in "5645"))
    assert [output.mode for output in bench.did(outputs.TakePart)] == ["listen", "whisper", "listen", "whisper"]
    assert [output.mode for output in bench.did(outputs.TellSupervised)] == ["listen", "whisper", "listen", "whisper"]
    bench.feed(inputs.TalkEnded())
    assert bench.asked().outcome == SuperviseOutcome(True)
    assert bench.did(outputs.TellSupervised)[-1].mode == "ended"


def test_a_supervisor_who_hangs_up_takes_part_no_more(bench: Any) -> None:
    bench.arrive().decide(LISTEN).feed(inputs.TalkFound("c2", "b1"), inputs.LegLeft("a"))
    assert bench.did(outputs.TellSupervised)[-1].mode == "ended"
    assert bench.call.over


def test_who_does_not_talk_cannot_be_heard(bench: Any) -> None:
    bench.arrive().decide(LISTEN).feed(inputs.TalkFound())
    assert bench.asked().outcome == SuperviseOutcome(False)


@pytest.mark.parametrize("news", [inputs.MediaRestored(), inputs.Resumed(500)], ids=["plane", "process"])
def test_who_listens_goes_on_listening_in_a_new_plane_or_process(bench: Any, news: inputs.Input) -> None:
    bench.arrive().decide(LISTEN).feed(inputs.TalkFound("c2", "b1"), news)
    assert bench.did(outputs.TakePart) == [outputs.TakePart("a", "c2", "b1", "listen")] * 2


def test_the_talk_knows_who_listens(talking: Any) -> None:
    talking.feed(inputs.Supervised("b1", "c9", "eve", "whisper"))
    assert talking.event(events.CallSupervised) == events.CallSupervised(
        supervisor="eve", supervised="bob", mode="whisper", other_call_id="c9"
    )


# -- intercom and paging ----------------------------------------------------------------------------------------------


def test_an_intercom_asks_the_phone_to_answer_by_itself(bench: Any) -> None:
    bench.arrive().decide(Ring((BOB,), "100", "Anne", auto_answer=True))
    assert [output.auto_answer for output in bench.did(outputs.OfferLeg)] == [True]


def test_a_page_is_heard_by_every_phone_that_answers_and_is_free(bench: Any) -> None:
    bench.world.talking = {"alice"}
    bench.arrive().decide(Page(("alice", "bob", "carol", "anne")))
    offered = bench.did(outputs.OfferLeg)
    assert [output.contact.party for output in offered] == ["bob", "carol", "carol"]
    assert all(output.auto_answer for output in offered)
    bench.feed(inputs.LegAccepted("b1"), inputs.LegProgressed("b2", 180), inputs.LegRefused("b3", 486))
    assert bench.did(outputs.Address) == [outputs.Address("a", "b1")]
    bench.pass_time(6)
    assert bench.closed() == {"b2": "cancel", "b3": "gone"}
    bench.feed(inputs.LegLeft("b1"))
    assert bench.event(events.PageEnded).reached == 1
    assert bench.asked().outcome == PageOutcome(1)


def test_a_page_ends_with_who_speaks(bench: Any) -> None:
    bench.arrive().decide(Page(("bob",))).feed(inputs.LegAccepted("b1"), inputs.LegLeft("a"))
    assert bench.closed() == {"a": "gone", "b1": "bye"}
    assert bench.did(outputs.EndPage)


def test_a_page_without_listeners_is_over_at_once(bench: Any) -> None:
    bench.arrive().decide(Page(("nobody",)))
    assert bench.asked().outcome == PageOutcome(0)


def test_an_announcement_is_all_that_a_call_made_for_it_does(bench: Any) -> None:
    prompts = (Speech("Call at 701", "en"),)
    contacts = tuple(bench.world.contacts_of_user("dupont", "bob"))
    bench.feed(inputs.Originated(contacts, "", "call/c1", 5.0, auto_answer=True, prompts=prompts), inputs.LegAccepted("a"))
    said = bench.did(outputs.PlayTo)[-1]
    assert said.prompts == prompts
    bench.feed(inputs.PlayFinished(said.play_id, 900))
    assert bench.call.over
    assert not bench.did(outputs.Ask)


# -- answer by request, doors -----------------------------------------------------------------------------------------


def test_a_ringing_phone_is_called_anew_so_that_it_answers_by_itself(bench: Any) -> None:
    bench.arrive().decide(Ring((BOB,), "100", "Anne")).feed(inputs.LegProgressed("b1", 180))
    request = inputs.AnswerRequested("admin", "b1")
    assert control.refusal(bench.call.state, request) == ""
    bench.feed(request)
    assert bench.closed() == {"b1": "cancel"}
    assert [output.auto_answer for output in bench.did(outputs.OfferLeg)] == [False, True]
    bench.feed(inputs.LegRefused("b1", 487), inputs.LegAccepted("b2"))
    assert bench.did(outputs.BridgeLegs) == [outputs.BridgeLegs("a", "b2")]


def test_only_a_phone_that_rings_answers_by_request(talking: Any) -> None:
    assert "no phone that rings" in control.refusal(talking.call.state, inputs.AnswerRequested("admin", "b1"))


@pytest.fixture
def at_the_door(talking: Any) -> Any:
    talking.world.doors = {"bob": DoorPhone(open_digits="*1", lock_digits="99#")}
    return talking


def test_a_code_opens_the_door_and_is_in_no_event(at_the_door: Any) -> None:
    at_the_door.feed(*(inputs.DigitPressed("a", digit) for digit in "*1"))
    assert [(sent.leg_id, sent.digits) for sent in at_the_door.did(outputs.SendDigits)] == [("b1", "99#")]
    assert at_the_door.event(events.DoorOpened, "b1").by == "anne"
    assert "99#" not in repr(at_the_door.did(outputs.Journal))


def test_keys_are_passed_on_whatever_they_mean_unless_somebody_is_on_hold(at_the_door: Any) -> None:
    pressed = (inputs.DigitPressed("a", "*", "tones", 90), inputs.DigitPressed("a", "1"), inputs.DigitPressed("b1", "2", "info"))
    at_the_door.feed(*pressed)
    passed = at_the_door.did(outputs.PassKey)
    assert [(key.by, key.leg_id, key.key, key.heard, key.held_ms) for key in passed] == [
        ("a", "b1", "*", "tones", 90),
        ("a", "b1", "1", "events", 0),
        ("b1", "a", "2", "info", 0),
    ]
    assert len({key.key_id for key in passed}) == 3
    at_the_door.feed(inputs.HoldRequested("admin", "a", True), *pressed)
    assert len(at_the_door.did(outputs.PassKey)) == 3


def test_a_key_after_a_resumption_has_another_name_than_any_before_it(talking: Any) -> None:
    """What is kept of a call is as old as its last event, and no event is of a key."""
    kept = talking.call.state.numbers
    talking.feed(inputs.DigitPressed("a", "1", "tones"))
    talking.call.state.numbers = kept
    talking.feed(inputs.Resumed(500), inputs.DigitPressed("a", "1", "tones"))
    before, after = talking.did(outputs.PassKey)
    assert before.key_id != after.key_id


def test_the_door_phone_itself_opens_nothing(at_the_door: Any) -> None:
    at_the_door.feed(*(inputs.DigitPressed("b1", digit) for digit in "*1"))
    assert not at_the_door.did(outputs.SendDigits)


def test_a_door_is_opened_by_request(at_the_door: Any) -> None:
    at_the_door.feed(inputs.OpenDoorRequested("admin", "b1", "99#"))
    assert [(sent.leg_id, sent.digits) for sent in at_the_door.did(outputs.SendDigits)] == [("b1", "99#")]
    assert at_the_door.event(events.DoorOpened).by == "admin"
