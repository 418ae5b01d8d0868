"""A called phone's 302: who is called instead, in whose name, and what becomes of the others that ring."""

from typing import Any

import pytest

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs
from carillon_media.domain.facts import Limits
from carillon_media.domain.steps import Entered, HangUp, Play, Ring, RingTarget, Speech, TrunkTarget

pytestmark = pytest.mark.feature("M-4")
BOB = RingTarget("t1", "bob", 0, 20_000)
ALICE = RingTarget("t2", "alice", 0, 20_000)
OUT = RingTarget("t3", TrunkTarget("carrier", "+41791234567"), 0, 20_000)


def ring(*targets: RingTarget) -> Ring:
    return Ring(targets, "101", "Bob")


def deflect(leg_id: str = "b1") -> inputs.LegDeflected:
    return inputs.LegDeflected(leg_id, 302, "103")


def answer(bench: Any, step: Any) -> None:
    question = bench.did(outputs.Ask)[-1].question
    bench.feed(inputs.Decided(question, step, b"cur2", (), 7, {}))


def test_what_the_phone_names_is_asked_for_in_its_users_name(bench: Any) -> None:
    bench.arrive().decide(ring(BOB)).feed(deflect())
    asked = bench.asked()
    assert (asked.application, asked.cursor, asked.outcome) == ("routing", b"", Entered({"deflected_by": "bob"}))
    assert (asked.facts.caller_user_id, asked.facts.dialled, asked.facts.direction) == ("bob", "103", "from_user")
    assert bench.event(events.LegDeflected, "b1").destination == "103"
    assert bench.event(events.LegEnded, "b1").cause == "deflected"


def test_alone_it_takes_the_place_of_the_whole_step(bench: Any) -> None:
    bench.arrive().decide(ring(BOB)).feed(deflect())
    answer(bench, ring(ALICE))
    shown = bench.did(outputs.OfferLeg)[-1]
    assert (shown.contact.party, shown.caller_number, shown.caller_name) == ("alice", "100", "Anne Dumas")
    bench.feed(inputs.LegAccepted("b2"))
    assert bench.did(outputs.BridgeLegs) == [outputs.BridgeLegs("a", "b2")]
    assert bench.call.state.answered_by == "alice"


def test_alone_it_may_lead_to_a_mailbox(bench: Any) -> None:
    bench.arrive().decide(ring(BOB)).feed(deflect())
    answer(bench, Play((Speech("Hello", "en"),)))
    assert bench.did(outputs.PlayTo)


def test_a_carrier_sees_the_number_of_who_deflected(bench: Any) -> None:
    bench.arrive().decide(ring(BOB)).feed(deflect())
    answer(bench, ring(OUT))
    assert bench.did(outputs.OfferLeg)[-1].caller_number == "101"


def test_beside_others_that_ring_it_is_rung_in_the_phones_place(bench: Any) -> None:
    bench.arrive().decide(ring(BOB, OUT)).feed(deflect())
    answer(bench, ring(ALICE))
    assert bench.closed() == {"b1": "gone"}
    assert [o.leg_id for o in bench.did(outputs.OfferLeg)] == ["b1", "b2", "b3"]
    bench.feed(inputs.LegAccepted("b3"))
    assert bench.closed()["b2"] == "cancel"
    assert bench.event(events.RingEnded).targets["t1"] == "answered"


@pytest.mark.parametrize("step", [HangUp(1), Play((Speech("Hello", "en"),))], ids=["refused", "mailbox"])
def test_beside_others_what_cannot_be_rung_is_left_out(bench: Any, step: Any) -> None:
    bench.arrive().decide(ring(BOB, ALICE)).feed(deflect())
    answer(bench, step)
    assert bench.call.doing == "ringing"
    bench.feed(inputs.LegAccepted("b2"))
    assert bench.call.doing == "talking"


def test_a_destination_that_is_refused_goes_back_to_who_rang_the_phone(bench: Any) -> None:
    bench.arrive().decide(ring(BOB), cursor=b"first").feed(deflect())
    answer(bench, HangUp(1))
    assert (bench.asked().cursor, bench.asked().outcome.result) == (b"first", "rejected")


def test_an_answer_that_comes_when_somebody_else_has_answered_is_nothing(bench: Any) -> None:
    bench.arrive().decide(ring(BOB, ALICE)).feed(deflect(), inputs.LegAccepted("b2"))
    answer(bench, ring(BOB))
    assert bench.last == []


def test_the_timetable_stops_what_is_still_asked_about(bench: Any) -> None:
    bench.arrive().decide(ring(BOB)).feed(deflect()).pass_time(20.1)
    assert bench.asked().outcome.result in ("no_answer", "unreachable")


def test_phones_do_not_send_a_call_round_in_circles(make_bench: Any) -> None:
    bench = make_bench(limits=Limits(max_deflections=2)).arrive().decide(ring(BOB))
    for leg_id in ("b1", "b2"):
        bench.feed(deflect(leg_id))
        answer(bench, ring(BOB))
    bench.feed(deflect("b3"))
    assert not isinstance(bench.asked().outcome, Entered)
    bench.check()


def test_nobody_says_where_it_leads(bench: Any) -> None:
    bench.arrive().decide(ring(BOB)).feed(deflect()).feed(inputs.Undecided(2))
    assert bench.asked().outcome.result == "congested"


def test_a_carriers_302_is_a_refusal(bench: Any) -> None:
    bench.arrive().decide(ring(OUT)).feed(deflect())
    assert not isinstance(bench.asked().outcome, Entered)
