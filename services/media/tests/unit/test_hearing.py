"""Tones in what trunks say: each is an event, a fax machine's leads to where faxes go."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs
from carillon_media.domain.call import Call
from carillon_media.domain.facts import Limits
from carillon_media.domain.steps import Conference, Entered, Gather, Park, Play, Record, Ring, RingTarget, Speech, Step, TrunkTarget, Wait

pytestmark = pytest.mark.feature("M-7")
NUMBER = "+41215550100"
HELLO = Speech("Hello", "en")
CNG = inputs.ToneHeard("a", "cng")
TO_BOB = Ring((RingTarget("t1", "bob", 0, 20_000),), "", "")


@pytest.fixture
def inbound(make_bench: Any) -> Iterator[Any]:
    """A carrier's call to a number that has a fax destination."""
    bench = make_bench()
    bench.call = Call(replace(bench.call.facts, direction="inbound", dialled=NUMBER, caller_user_id=None, trunk_id="carrier"), Limits())
    bench.world.fax_numbers.add(NUMBER)
    bench.arrive()
    yield bench
    bench.check()


def asked_for_fax(bench: Any) -> bool:
    asked = bench.asked()
    return (asked.application, asked.outcome) == ("routing", Entered({"heard": "cng"}))


def test_a_caller_from_a_trunk_is_listened_to_for_its_first_seconds(inbound: Any) -> None:
    inbound.decide(Play((HELLO,)))
    assert inbound.did(outputs.ListenTo) == [outputs.ListenTo("a", ("cng",))]
    inbound.pass_time(16)
    assert inbound.did(outputs.ListenTo)[-1] == outputs.ListenTo("a", ())


def test_a_phone_of_the_house_is_not_listened_to(bench: Any) -> None:
    bench.arrive().decide(Play((HELLO,)))
    assert bench.did(outputs.ListenTo) == []


@pytest.mark.parametrize("tone", ["busy", "ced", "ringback", "sit"])
def test_what_a_called_trunk_says_is_an_event_before_its_answer_too(bench: Any, tone: events.ToneName) -> None:
    bench.arrive().decide(Ring((RingTarget("t1", TrunkTarget("carrier", "+41791234567"), 0, 60_000),), "", ""))
    bench.feed(inputs.LegProgressed("b1", 183, media=True), inputs.ToneHeard("b1", tone))
    assert bench.did(outputs.ListenTo) == [outputs.ListenTo("b1", ("busy", "ced", "ringback", "sit"))]
    assert bench.event(events.ToneDetected, "b1") == events.ToneDetected(tone=tone)
    bench.feed(inputs.LegAccepted("b1"), inputs.LegLeft("b1"))


@pytest.mark.parametrize(
    ("step", "ended"),
    [
        (Play((HELLO,)), "play_ended"),
        (Gather((HELLO,), 1), "digits_gathered"),
        (Wait((HELLO,)), "wait_ended"),
        (Wait(), "wait_ended"),
        (Wait((), signalled=True), "wait_ended"),
    ],
)
def test_a_fax_machine_leaves_whatever_is_said_to_it(inbound: Any, step: Step, ended: str) -> None:
    inbound.decide(step).feed(CNG)
    assert [fact for fact, _ in inbound.events()][-2:] == ["tone_detected", ended]
    assert asked_for_fax(inbound)
    assert inbound.did(outputs.StopPlay, inbound.last)
    inbound.decide(TO_BOB).feed(inputs.LegAccepted("b1"), inputs.LegLeft("a"))


def test_who_answered_a_fax_machine_is_let_go(inbound: Any) -> None:
    inbound.decide(TO_BOB).feed(inputs.LegAccepted("b1"), CNG)
    assert inbound.closed() == {"b1": "bye"}
    assert asked_for_fax(inbound)
    inbound.decide(TO_BOB).feed(inputs.LegAccepted("b2"))
    assert inbound.events()[-1][0] == "bridged"
    inbound.feed(CNG)
    assert inbound.closed() == {"b1": "bye"}, "it was sent to the fax already"


def test_phones_that_ring_for_a_fax_machine_ring_no_more(inbound: Any) -> None:
    inbound.decide(Play((HELLO,))).feed(inputs.PlayFinished("play-1", 9)).decide(TO_BOB).feed(inputs.LegProgressed("b1", 180), CNG)
    assert inbound.closed() == {"b1": "cancel"}
    assert asked_for_fax(inbound)
    assert not [name for name in inbound.timers() if name.startswith("ring")]


def test_nothing_of_a_fax_machine_is_kept_as_a_message(inbound: Any) -> None:
    inbound.decide(Record(False, 60_000, 5000, 1000)).feed(CNG)
    (recording,) = inbound.did(outputs.RecordFrom)
    inbound.feed(inputs.RecordingFinished(recording.recording_id, "sha256-x", 9000, 72_000, "stopped"))
    assert "recording_finished" not in [fact for fact, _ in inbound.events()]
    assert asked_for_fax(inbound)


def test_a_tone_while_an_application_thinks_counts_when_it_has_decided(inbound: Any) -> None:
    inbound.decide(Play((HELLO,))).feed(inputs.PlayFinished("play-1", 9), CNG)
    assert not asked_for_fax(inbound)
    inbound.decide(TO_BOB)
    assert asked_for_fax(inbound)
    assert inbound.did(outputs.OfferLeg) == []


@pytest.mark.parametrize("step", [None, Play((HELLO,))])
def test_a_tone_while_the_application_is_away_counts_when_it_is_back(inbound: Any, step: Step | None) -> None:
    if step is not None:
        inbound.decide(step).feed(inputs.PlayFinished("play-1", 9))
    inbound.feed(inputs.Undecided(inbound.asked().question, passing=True), CNG)
    inbound.pass_time(1.5)
    inbound.decide(TO_BOB)
    assert asked_for_fax(inbound)
    assert inbound.did(outputs.OfferLeg) == []


def test_a_tone_while_the_application_of_who_waits_in_a_queue_is_away_counts_when_it_is_back(inbound: Any) -> None:
    inbound.decide(Wait((), signalled=True)).feed(inputs.Signalled("wait-1"))
    inbound.feed(inputs.Undecided(inbound.asked().question, passing=True), CNG)
    inbound.pass_time(1.5)
    inbound.decide(TO_BOB)
    assert asked_for_fax(inbound)
    assert inbound.did(outputs.OfferLeg) == []


def test_nobody_awaits_the_queue_that_a_fax_machine_has_left(inbound: Any) -> None:
    inbound.decide(Wait((), signalled=True)).feed(CNG)
    assert inbound.did(outputs.StopAwaiting) == [outputs.StopAwaiting("wait-1")]
    inbound.feed(inputs.Signalled("wait-1"))
    assert asked_for_fax(inbound)


@pytest.mark.parametrize(
    ("step", "has_fax"),
    [(Play((HELLO,)), False), (Park(("71",), 60_000), True), (Conference("board"), True)],
)
def test_who_is_parked_or_meets_others_or_calls_a_number_without_fax_stays_where_it_is(inbound: Any, step: Step, has_fax: bool) -> None:
    if not has_fax:
        inbound.world.fax_numbers.clear()
    inbound.decide(step).feed(CNG)
    assert inbound.event(events.ToneDetected, "a")
    assert not asked_for_fax(inbound)


def test_a_new_media_plane_listens_for_the_rest_of_the_time(inbound: Any) -> None:
    inbound.decide(Play((HELLO,))).pass_time(5)
    inbound.feed(inputs.MediaRestored())
    assert inbound.did(outputs.ListenTo, inbound.last) == [outputs.ListenTo("a", ("cng",))]
    inbound.pass_time(11)
    assert inbound.did(outputs.ListenTo)[-1] == outputs.ListenTo("a", ())
    inbound.feed(inputs.MediaRestored())
    assert inbound.did(outputs.ListenTo, inbound.last) == []
