"""Records of calls that were sent elsewhere, joined, or made for a user: one each, with what happened noted."""

import pytest

from carillon_cdr.domain.record import fold
from carillon_cdr.testing import Script
from carillon_contracts.call import CallBridged, CallStarted, CallTransferred, LegOffered, LegTransferred, TransferEnded
from carillon_contracts.record import CallRecorded

pytestmark = pytest.mark.feature("C-1", "M-4")


def record(script: Script) -> CallRecorded:
    return fold(script.tenant, script.call_id, script.events)


def talking() -> Script:
    return Script().started().decided("ring").rings().after(4).connects().after(10)


def test_a_blind_transfer_is_noted_and_the_first_to_answer_stays_who_answered() -> None:
    script = talking().add(LegTransferred(kept="a", destination="103", requested_by="phone"), "b1").decided("ring")
    script.rings("b2", "carol", "103").after(2).answers("b2").add(TransferEnded(result="answered", sip_status=200), "b1")
    script.leg_ended("b1", by="system").add(CallBridged(legs=("a", "b2"))).after(20).leg_ended("b2").ended(talk=32)
    made = record(script)
    assert (made.status, made.answered_by, made.talk_seconds) == ("answered", "bob", 32)
    assert [leg.leg_id for leg in made.legs] == ["a", "b1", "b2"]
    (noted,) = made.transfers
    assert (noted.kind, noted.by_leg, noted.by, noted.destination, noted.result) == ("blind", "b1", "bob", "103", "answered")


def test_a_transfer_that_came_back_and_one_that_was_given_up_are_told_apart() -> None:
    script = talking().add(LegTransferred(kept="a", destination="103", requested_by="phone"), "b1")
    script.add(TransferEnded(result="returned", sip_status=486), "b1").add(CallBridged(legs=("a", "b1"))).after(5)
    script.add(LegTransferred(kept="a", destination="104", requested_by="phone"), "b1").add(
        TransferEnded(result="given_up", sip_status=487), "b1"
    )
    made = record(script.leg_ended("b1").ended(talk=15))
    assert [(noted.destination, noted.result) for noted in made.transfers] == [("103", "returned"), ("104", "given_up")]


def test_both_calls_of_an_attended_transfer_name_each_other() -> None:
    goes_on = talking().add(LegOffered(party="carol", number="103"), "b2").answers("b2")
    goes_on.add(CallTransferred(other_call_id="c2", moved="b2", goes_on=True), "a").add(CallBridged(legs=("b1", "b2"))).leg_ended("a")
    goes_on.after(10).leg_ended("b1").leg_ended("b2")
    made = record(goes_on.ended(talk=20))
    assert (made.answered_by, made.talk_seconds) == ("bob", 20)
    assert [(noted.kind, noted.by, noted.other_call_id, noted.goes_on) for noted in made.transfers] == [("attended", "alice", "c2", True)]
    ends = talking().add(CallTransferred(other_call_id="c1", moved="b1", goes_on=False), "a").leg_ended("b1", "transferred")
    made = record(ends.ended(talk=10))
    assert (made.status, made.transfers[0].goes_on, made.legs[1].cause) == ("answered", False, "transferred")


def made_for_alice(device: str) -> Script:
    started = CallStarted(direction="from_user", caller="101", caller_user_id="alice", dialled="102", requested_by="olga")
    script = Script().add(started, "a")
    for leg in ("a", "a2"):
        script.add(LegOffered(party="alice", number="101"), leg)
    return script.after(3).answers(device).leg_ended("a2" if device == "a" else "a", "answered_elsewhere", "system").decided("ring")


@pytest.mark.parametrize("device", ["a", "a2"])
def test_a_call_made_for_a_user_counts_from_the_answer_of_who_was_called(device: str) -> None:
    script = made_for_alice(device).rings().after(6).answers().add(CallBridged(legs=(device, "b1"))).after(20)
    made = record(script.leg_ended("b1").leg_ended(device).ended(talk=26))
    assert (made.status, made.direction, made.answered_by, made.talk_seconds) == ("answered", "internal", "bob", 20)
    assert [leg.leg_id for leg in made.legs] == ["a", "a2", "b1"]


def test_a_call_made_for_a_user_that_reached_nobody_is_not_answered_by_the_user_itself() -> None:
    made = record(made_for_alice("a2").rings().after(6).leg_ended("b1", "no_answer").ring_ended("no_answer").ended("no_answer", "system"))
    assert (made.answered_by, made.status) == ("", "unanswered")
