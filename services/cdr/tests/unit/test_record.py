"""The record of a call, as a fold of its events."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_cdr.domain.record import Incomplete, fold
from carillon_cdr.testing import START, Script
from carillon_contracts.call import CallBridged, LegEnded, LegQuality
from carillon_contracts.envelope import Event
from carillon_contracts.record import CallRecorded


def record(script: Script) -> CallRecorded:
    return fold(script.tenant, script.call_id, script.events)


@pytest.mark.feature("C-1")
def test_an_answered_call_says_who_talked_for_how_long() -> None:
    made = record(Script().talk(12.5))
    assert (made.status, made.direction, made.answered_by) == ("answered", "internal", "bob")
    assert (made.caller, made.dialled, made.cause, made.ended_by) == ("101", "102", "normal_clearing", "caller")
    assert made.talk_seconds == 12.5
    assert made.config_seq == 7
    assert made.ringing_at == START
    assert made.answered_at == START + timedelta(seconds=4)
    assert made.ended_at == START + timedelta(seconds=16.5)
    assert [(leg.leg_id, leg.party, leg.ended_by) for leg in made.legs] == [("a", "alice", "caller"), ("b1", "bob", "caller")]


@pytest.mark.feature("M-7")
def test_a_leg_says_how_its_audio_did() -> None:
    seen = LegQuality(codec="PCMA", packets_received=625, lost=2, jitter_ms=1.5, mos=4.4)
    script = Script().started().decided("ring").rings().connects().after(12.5)
    script.add(LegEnded(cause="normal_clearing", by="callee", quality=seen), "b1")
    assert [leg.quality for leg in record(script.ended()).legs] == [None, seen]


def test_talk_follows_the_monotonic_clock_when_the_wall_clock_jumps() -> None:
    script = Script().started().decided("ring").rings().after(2).connects().after(-3600)
    assert record(script.leg_ended("b1").ended(talk=30)).talk_seconds == 30


def test_talk_after_a_menu_counts_from_the_callee() -> None:
    script = Script().started(dialled="+41215550100", trunk="carrier").decided("gather").answers("a").plays(8)
    script.decided("ring").rings().after(3).connects().after(20).leg_ended("b1", by="callee").ended(by="callee", talk=31)
    assert record(script).talk_seconds == 20


def test_talk_that_ended_before_a_survey_does_not_count_the_survey() -> None:
    script = Script().started().decided("ring").rings().connects().after(20).leg_ended("b1", by="callee")
    script.decided("play").plays(6).ended(by="system", talk=26)
    assert record(script).talk_seconds == 20


def test_talk_falls_back_to_what_was_measured_when_leg_times_make_no_sense() -> None:
    script = Script().started().decided("gather").answers("a").plays(8).decided("ring").rings().connects()
    script.after(-3600).leg_ended("b1").ended(talk=31)
    assert record(script).talk_seconds == 31


@pytest.mark.parametrize(
    ("cause", "by", "result", "status"),
    [
        ("no_answer", "system", "no_answer", "unanswered"),
        ("normal_clearing", "system", "no_answer", "unanswered"),
        ("no_user_responding", "system", None, "unanswered"),
        ("user_busy", "callee", "busy", "busy"),
        ("user_busy", "system", None, "busy"),
        ("caller_gave_up", "caller", None, "cancelled"),
        ("normal_clearing", "caller", None, "cancelled"),
        ("call_rejected", "callee", "rejected", "rejected"),
        ("unallocated_number", "system", None, "failed"),
        ("subscriber_absent", "system", "unreachable", "failed"),
        ("normal_clearing", "system", "congested", "failed"),
        ("node_failure", "system", None, "failed"),
    ],
)
@pytest.mark.feature("C-1")
def test_a_call_that_nobody_answered_has_a_status_of_its_own(cause: str, by: str, result: str | None, status: str) -> None:
    script = Script().started().decided("ring").rings().leg_ended("b1", cause, "system")
    if result:
        script.ring_ended(result)  # type: ignore[arg-type]
    made = record(script.ended(cause, by))  # type: ignore[arg-type]
    assert made.status == status
    assert (made.answered_by, made.answered_at, made.talk_seconds) == ("", None, 0)


def test_a_forked_late_answer_that_was_never_connected_is_not_the_one_who_answered() -> None:
    script = Script().started().decided("ring").rings("b1", "bob").rings("b2", "carol").answers("b1").answers("b2")
    script.answers("a").leg_ended("b1", "answered_elsewhere", "system")
    script.add(CallBridged(legs=("a", "b2"))).after(3).leg_ended("b2").ended(talk=3)
    assert record(script).answered_by == "carol"


@pytest.mark.feature("V-2")
def test_a_message_left_is_a_call_answered_by_the_mailbox() -> None:
    script = Script().started("+41790000001", "+41215550100", trunk="carrier")
    script.decided("delegate", details={"application": "voicemail", "arguments": {"mailbox_id": "main"}})
    script.decided("play", "voicemail").answers("a").plays(3).decided("record", "voicemail").recorded("main").ended(talk=8)
    made = record(script)
    assert (made.status, made.answered_by, made.direction, made.trunk_id) == ("voicemail", "main", "inbound", "carrier")
    assert made.talk_seconds == 8


def test_a_caller_who_hangs_up_during_the_greeting_was_still_answered_by_the_mailbox() -> None:
    script = Script().started().decided("delegate", details={"delegate": {"application": "voicemail", "arguments": {"mailbox_id": "main"}}})
    assert record(script.answers("a").plays(1).ended(talk=1)).answered_by == "main"


def test_a_caller_who_hangs_up_before_the_mailbox_answers_gave_up() -> None:
    script = Script().started().decided("delegate", details={"application": "voicemail", "arguments": {"mailbox_id": "main"}})
    made = record(script.ended("caller_gave_up"))
    assert (made.status, made.answered_by) == ("cancelled", "")


def test_a_call_that_only_a_menu_answered_is_self_service() -> None:
    made = record(Script().started(trunk="carrier").decided("gather").answers("a").plays(4).ended(talk=4))
    assert (made.status, made.talk_seconds) == ("self_service", 4)


@pytest.mark.feature("C-1")
def test_a_call_to_the_carrier_is_outbound_and_answered_by_the_number() -> None:
    script = Script().started(dialled="0791234567").decided("ring").rings("b1", "trunk:carrier", "+41791234567")
    made = record(script.connects().after(2).leg_ended("b1").ended(talk=2))
    assert (made.direction, made.answered_by, made.trunk_id) == ("outbound", "+41791234567", "carrier")


@pytest.mark.parametrize(("dialled", "direction"), [("+41791234567", "outbound"), ("0791234567", "outbound"), ("999", "internal")])
def test_a_call_that_reached_nobody_is_judged_by_what_was_dialled(dialled: str, direction: str) -> None:
    assert record(Script().started(dialled=dialled).decided("hang_up").ended("unallocated_number", "system")).direction == direction


def test_a_call_from_outside_that_is_forwarded_to_a_mobile_stays_inbound() -> None:
    script = Script().started("+41790000001", "+41215550100", trunk="carrier").decided("ring").rings("b1", "trunk:other", "+41791234567")
    made = record(script.connects().leg_ended("b1").ended())
    assert (made.direction, made.answered_by, made.trunk_id) == ("inbound", "+41791234567", "carrier")


def test_a_call_cut_by_a_fault_keeps_who_answered_and_says_the_cause() -> None:
    script = Script().started().decided("ring").rings().connects().after(5).leg_ended("b1", "node_failure", "system")
    made = record(script.ended("node_failure", "system", talk=5))
    assert (made.status, made.cause, made.ended_by) == ("answered", "node_failure", "system")


def test_an_event_that_makes_no_sense_is_passed_over() -> None:
    script = Script().talk()
    good = record(script)
    script.events[4] = script.events[4].model_copy(update={"type": "carillon.call.sparkled.v9"})
    assert record(script).status == "answered"
    script.events[0] = script.events[0].model_copy(update={"data": {"nonsense": 1}})
    assert (record(script).caller, record(script).started_at) == ("", good.started_at)


@pytest.mark.feature("C-10")
@given(st.permutations(Script().talk().events))
def test_the_order_of_arrival_does_not_change_the_record(events: list[Event]) -> None:
    assert fold("dupont", "c1", events) == record(Script().talk())


@given(st.integers(1, len(Script().talk().events)))
def test_a_call_with_a_gap_has_no_record(missing: int) -> None:
    events = [event for event in Script().talk().events if event.seq != missing]
    with pytest.raises(Incomplete) as refused:
        fold("dupont", "c1", events)
    assert refused.value.missing == (missing if missing < len(events) + 1 else 0)


def test_what_comes_after_the_end_changes_nothing() -> None:
    script = Script().talk()
    expected = record(script)
    assert record(script.after(60).leg_ended("b9", "node_failure", "system").ended("node_failure", "system")) == expected
