"""Transfers, as the call machine sees them: who stays, who goes, who is told, and who gets the call back."""

from typing import Any

import pytest

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs
from carillon_media.domain.steps import Entered, HangUp, Play, Ring, RingTarget, Speech, TrunkTarget

BOB = RingTarget("t1", "bob", 0, 20_000)
CAROL = RingTarget("t2", "carol", 0, 20_000)
OUT = RingTarget("t3", TrunkTarget("carrier", "+41791234567"), 0, 20_000)

pytestmark = pytest.mark.feature("M-4")


def ring(*targets: RingTarget, **options: Any) -> Ring:
    return Ring(targets, "101", "Bob", **options)


@pytest.fixture
def talking(bench: Any) -> Any:
    """Anne (a) called Bob (b1)."""
    return bench.arrive().decide(ring(BOB)).feed(inputs.LegProgressed("b1", 180), inputs.LegAccepted("b1", "PCMA"))


def statuses(bench: Any) -> list[tuple[str, int]]:
    return [(o.leg_id, o.status) for o in bench.did(outputs.ReportTransfer)]


def test_the_callee_sends_the_caller_to_carol_in_its_own_name(talking: Any) -> None:
    talking.feed(inputs.LegRefers("b1", "103"))
    asked = talking.asked()
    assert (asked.application, asked.cursor, asked.outcome) == ("routing", b"cur", Entered({"transferred_by": "bob", "stays": "anne"}))
    assert (asked.facts.caller_user_id, asked.facts.caller, asked.facts.dialled, asked.facts.direction) == (
        "bob",
        "101",
        "103",
        "from_user",
    )
    talking.decide(ring(CAROL))
    shown = {(o.caller_number, o.caller_name) for o in talking.did(outputs.OfferLeg) if o.contact.party == "carol"}
    assert shown == {("100", "Anne Dumas")}
    talking.feed(inputs.LegProgressed("b2", 180), inputs.LegAccepted("b2", "PCMA"))
    assert statuses(talking) == [("b1", 100), ("b1", 180), ("b1", 200)]
    assert talking.closed() == {"b1": "bye", "b3": "cancel"}
    assert talking.did(outputs.BridgeLegs)[-1] == outputs.BridgeLegs("a", "b2")
    assert talking.event(events.TransferEnded).result == "answered"
    talking.feed(inputs.LegLeft("b2"))
    assert talking.call.over


def test_the_caller_sends_the_callee_to_carol_and_hangs_up(talking: Any) -> None:
    talking.feed(inputs.LegRefers("a", "103"), inputs.LegLeft("a"))
    assert not talking.call.over
    talking.decide(ring(CAROL)).feed(inputs.LegAccepted("b2"))
    assert talking.did(outputs.BridgeLegs)[-1] == outputs.BridgeLegs("b1", "b2")
    talking.feed(inputs.LegLeft("b1"))
    ended = talking.event(events.CallEnded)
    assert (ended.cause, ended.by) == ("normal_clearing", "callee")


def test_who_was_sent_away_hears_it_ring(talking: Any) -> None:
    talking.feed(inputs.LegRefers("a", "103")).decide(ring(CAROL))
    assert [(o.leg_id, o.prompts, o.loop) for o in talking.did(outputs.PlayTo)] == [("b1", (), True)]
    talking.feed(inputs.LegAccepted("b2"))
    assert outputs.StopPlay("b1") in talking.last


def test_a_carrier_is_shown_the_number_of_who_pays(talking: Any) -> None:
    talking.feed(inputs.LegRefers("b1", "0791234567")).decide(ring(OUT))
    assert [o.caller_number for o in talking.did(outputs.OfferLeg)][-1] == "101"


def test_a_destination_that_does_not_answer_gives_the_call_back_to_who_is_still_there(talking: Any) -> None:
    talking.feed(inputs.LegRefers("b1", "103")).decide(ring(CAROL)).feed(inputs.LegRefused("b2", 486), inputs.LegRefused("b3", 486))
    talking.decide(HangUp(17))
    assert statuses(talking)[-1] == ("b1", 486)
    assert talking.did(outputs.BridgeLegs)[-1] == outputs.BridgeLegs("a", "b1")
    assert talking.call.doing == "talking"
    assert talking.event(events.TransferEnded).result == "returned"


def test_who_had_hung_up_is_rung_again_and_shown_who_comes_back(talking: Any) -> None:
    talking.feed(inputs.LegRefers("b1", "103"), inputs.LegLeft("b1")).decide(ring(CAROL)).pass_time(20.1)
    talking.decide(HangUp(19))
    back = talking.did(outputs.OfferLeg)[-1]
    assert (back.contact.party, back.caller_number, back.caller_name) == ("bob", "100", "Anne Dumas")
    assert talking.events()[-2:] == [("routing_decided", None), ("leg_offered", back.leg_id)]
    talking.feed(inputs.LegAccepted(back.leg_id))
    assert talking.call.doing == "talking"
    assert talking.event(events.TransferEnded).result == "returned"
    talking.feed(inputs.LegLeft(back.leg_id))
    assert talking.call.over


def test_when_nobody_wants_the_call_any_more_it_ends(talking: Any) -> None:
    talking.feed(inputs.LegRefers("b1", "103"), inputs.LegLeft("b1")).decide(HangUp(1)).pass_time(30.1)
    assert talking.event(events.CallEnded).cause in ("no_answer", "subscriber_absent")
    assert talking.event(events.TransferEnded).result == "given_up"


def test_a_mailbox_that_answers_is_an_answer(talking: Any) -> None:
    talking.feed(inputs.LegRefers("b1", "103")).decide(Play((Speech("Hello", "en"),)))
    assert statuses(talking)[-1] == ("b1", 200)
    assert talking.closed() == {"b1": "bye"}


def test_an_application_that_is_away_gives_the_call_back(talking: Any) -> None:
    talking.feed(inputs.LegRefers("b1", "103")).feed(inputs.Undecided(talking.question))
    assert talking.did(outputs.BridgeLegs)[-1] == outputs.BridgeLegs("a", "b1")
    talking.feed(inputs.LegRefers("b1", "104")).decide(ring(CAROL))
    assert talking.did(outputs.OfferLeg)[-1].contact.party == "carol"


def test_who_is_sent_away_hangs_up_and_the_phone_that_waits_is_told(talking: Any) -> None:
    talking.feed(inputs.LegRefers("b1", "103")).decide(ring(CAROL)).feed(inputs.LegLeft("a"))
    assert statuses(talking)[-1] == ("b1", 487)
    assert talking.event(events.TransferEnded).result == "given_up"


def test_a_held_party_hears_no_music_once_it_is_sent_away_and_again_when_it_comes_back(talking: Any) -> None:
    talking.feed(inputs.LegReoffered("b1", True), inputs.LegRefers("b1", "103"))
    assert talking.music() == set()
    talking.decide(HangUp(1))
    assert talking.music() == {"a"}


def test_a_carrier_cannot_send_a_call_anywhere(bench: Any) -> None:
    bench.arrive().decide(ring(OUT)).feed(inputs.LegAccepted("b1")).feed(inputs.LegRefers("b1", "103"))
    assert bench.last == []


def test_two_calls_become_one_that_goes_on_and_one_that_ends(make_bench: Any) -> None:
    first = make_bench().arrive().decide(ring(BOB)).feed(inputs.LegAccepted("b1", "PCMA"))
    second = make_bench().arrive().decide(ring(CAROL)).feed(inputs.LegAccepted("b2", "PCMU"))
    second.feed(inputs.LegHandedOver("a", "c1"))
    assert second.call.over
    assert second.closed() == {"b1": "cancel", "b2": "moved", "a": "bye"}
    assert second.event(events.LegEnded, "b2").cause == "transferred"
    there = second.event(events.CallTransferred)
    assert (there.other_call_id, there.moved, there.goes_on) == ("c1", "b2", False)
    first.feed(inputs.LegAdopted("a", "h", "carol", "103", "PCMU", "c2"))
    here = first.event(events.CallTransferred)
    assert (here.other_call_id, here.moved, here.goes_on) == ("c2", "b2", True)
    assert first.did(outputs.BridgeLegs)[-1] == outputs.BridgeLegs("b1", "b2")
    assert first.closed() == {"a": "bye"}
    assert first.events().count(("leg_answered", "b2")) == 1
    first.feed(inputs.LegLeft("b2"))
    for bench in (first, second):
        assert bench.call.over
        bench.check()


def test_the_callee_of_one_call_joins_it_with_its_own_other_call(talking: Any) -> None:
    talking.feed(inputs.LegReoffered("b1", True)).feed(inputs.LegAdopted("b1", "h", "carol", "103", "PCMA", "c2"))
    assert talking.did(outputs.BridgeLegs)[-1] == outputs.BridgeLegs("a", "b2")
    assert talking.music() == set()


@pytest.mark.feature("M-5")
def test_a_colleague_takes_what_rings_at_a_phone(bench: Any) -> None:
    bench.arrive().decide(ring(BOB)).feed(inputs.LegProgressed("b1", 180), inputs.PickedUp("b1", "h", "carol", "103", "PCMA"))
    assert bench.closed() == {"b1": "cancel"}
    assert bench.event(events.LegEnded, "b1").cause == "answered_elsewhere"
    assert bench.did(outputs.BridgeLegs) == [outputs.BridgeLegs("a", "b2")]
    assert bench.did(outputs.AnswerLeg) == [outputs.AnswerLeg("b2")]
    assert bench.call.state.answered_by == "carol"
    assert bench.event(events.RingEnded).targets == {"t1": "answered"}
