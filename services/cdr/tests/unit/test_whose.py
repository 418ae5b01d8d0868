"""Whose a record is, and who talked in it from when until when."""

from datetime import timedelta

import pytest

from carillon_cdr.domain.record import fold
from carillon_cdr.domain.whose import Span, shares
from carillon_cdr.testing import START, Script
from carillon_contracts.call import CallPickedUp, ConferenceJoined, ConferenceLeft, TraceLine
from carillon_contracts.config import Department, Mailbox, Queue, Resource, User
from carillon_contracts.tenant_config import TenantConfig

pytestmark = pytest.mark.feature("P-3", "C-1")
MADE: dict[str, list[Resource]] = {
    "department": [Department(id="sales"), Department(id="support")],
    "user": [User(id=name, last_name=name, department_id=where) for name, where in (("alice", "sales"), ("bob", ""), ("carol", "support"))],
    "queue": [Queue(id="help", department_id="support")],
    "mailbox": [Mailbox(id="main", department_id="support")],
}
CONFIG = TenantConfig("dupont").advanced(1, {kind: {each.id: each for each in found} for kind, found in MADE.items()})


def of(script: Script, config: TenantConfig = CONFIG) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """Seconds since the beginning, by call and name."""
    record = fold(script.tenant, script.call_id, script.events)
    return {(each.call_id, each.whose): [_seconds(span) for span in each.talked] for each in shares(config, record, script.events)}


def _seconds(span: Span) -> tuple[float, float]:
    first, last = (moment - START for moment in span)
    return first / timedelta(seconds=1), last / timedelta(seconds=1)


def test_who_called_and_who_answered_talked_and_whose_phone_rang_did_not() -> None:
    script = Script().started().decided("ring").rings("b1", "carol").rings("b2", "bob").after(4).connects("b2").after(10)
    found = of(script.leg_ended("b1").leg_ended("b2").after(2).ended(talk=12))
    assert found == {
        ("c1", "user/alice"): [(4, 16)],
        ("c1", "department/sales"): [(4, 16)],
        ("c1", "user/bob"): [(4, 14)],
        ("c1", "user/carol"): [],
        ("c1", "department/support"): [],
    }


def test_a_queues_department_had_part_in_all_of_it() -> None:
    script = Script().started(caller="+41215550100", trunk="carrier").decided("ring", about=["queue/help", "queue/gone", "plan/help"])
    assert of(script.after(30).ended("caller_gave_up")) == {("c1", "department/support"): [(0, 30)]}


def test_a_message_is_the_mailboxs_departments() -> None:
    script = Script().started(caller="+41215550100", trunk="carrier").decided("delegate", about=["mailbox/main"]).answers("a").recorded()
    assert of(script.ended()) == {("c1", "department/support"): [(0, 5)]}


def test_who_picked_it_up_talked() -> None:
    script = Script().started().decided("ring").rings(party="bob").after(3)
    script.add(CallPickedUp(by="carol", rung="b1", rung_party="bob", other_call_id="c2"), "a").after(5)
    found = of(script.ended(talk=5))
    assert (found["c1", "user/carol"], found["c1", "department/support"], found["c1", "user/bob"]) == ([(3, 8)], [(3, 8)], [])


def test_who_sent_a_caller_on_and_got_them_back_did_not_talk_meanwhile() -> None:
    script = Script().started(caller="+41215550100", trunk="carrier").decided("ring").rings("b1", "alice").connects("b1").after(5)
    script.leg_ended("b1").rings("b2", "bob").connects("b2").after(20).leg_ended("b2").rings("b3", "alice").connects("b3").after(7)
    found = of(script.leg_ended("b3").ended(talk=32))
    assert found["c1", "user/alice"] == found["c1", "department/sales"] == [(0, 5), (25, 32)]
    assert found["c1", "user/bob"] == [(5, 25)]


def test_a_clock_that_was_set_back_makes_no_talk_of_less_than_nothing() -> None:
    script = Script().started().decided("ring").rings("b1", "bob").after(10).connects().after(-20)
    assert of(script.leg_ended("b1").ended())["c1", "user/bob"] == [(10, 10)]


def test_a_conference_is_theirs_who_were_in_it() -> None:
    joined, left = ConferenceJoined(room_id="board", meeting_id="m1"), ConferenceLeft(room_id="board", meeting_id="m1", result="left")
    script = Script().started().answers("a").after(10).add(joined, "a").after(60).add(left, "a").after(5).add(joined, "a").after(20)
    found = of(script.ended(talk=95))
    names = ("user/alice", "department/sales")
    assert found == {("c1", name): [(0, 95)] for name in names} | {("m1", name): [(10, 70), (75, 95)] for name in names}


def test_who_connects_a_caller_to_a_conference_is_not_in_it_nor_is_the_queues_department() -> None:
    script = Script().started(caller="+41215550100", trunk="carrier").decided("ring", about=["queue/help"]).rings("b1", "alice")
    script.connects("b1").after(30).add(ConferenceJoined(room_id="board", meeting_id="m1"), "a").after(1).leg_ended("b1").after(60)
    found = of(script.ended(talk=91))
    assert {call for call, _ in found} == {"c1"}


def test_a_colleague_who_is_connected_to_a_conference_is_in_it() -> None:
    script = Script().started().decided("ring").rings("b1", "carol").connects("b1").after(30)
    script.leg_ended("a").add(ConferenceJoined(room_id="board", meeting_id="m1"), "b1").after(60).leg_ended("b1")
    found = of(script.ended(talk=90))
    assert {name: spans for (call, name), spans in found.items() if call == "m1"} == {
        "user/carol": [(30, 90)],
        "department/support": [(30, 90)],
    }


def test_of_nothing_configured_the_people_remain_and_odd_traces_change_nothing() -> None:
    script = Script().started().decided("ring", about=["queue/help"]).rings(party="bob")
    script.events[1].data["trace"] = [TraceLine(subject="queue/help", matched=True, reason="x").model_dump(), {"subject": 7}, "queue/help"]
    found = of(script.ended("caller_gave_up"), TenantConfig("dupont"))
    assert found == {("c1", "user/alice"): [], ("c1", "user/bob"): []}
