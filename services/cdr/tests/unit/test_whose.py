"""Whose a record is, and who talked in it from when until when."""

from datetime import timedelta

import pytest

from carillon_cdr.domain.record import fold
from carillon_cdr.domain.whose import Share, shares
from carillon_cdr.testing import START, Script
from carillon_contracts.call import CallPickedUp, ConferenceJoined, TraceLine
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


def of(script: Script, config: TenantConfig = CONFIG) -> dict[tuple[str, str], tuple[float, float] | None]:
    """Seconds since the beginning, by call and name."""
    record = fold(script.tenant, script.call_id, script.events)
    return {(each.call_id, each.whose): _seconds(each) for each in shares(config, record, script.events)}


def _seconds(share: Share) -> tuple[float, float] | None:
    if share.talked is None:
        return None
    first, last = (moment - START for moment in share.talked)
    return first / timedelta(seconds=1), last / timedelta(seconds=1)


def test_who_called_and_who_answered_talked_and_whose_phone_rang_did_not() -> None:
    script = Script().started().decided("ring").rings("b1", "carol").rings("b2", "bob").after(4).connects("b2").after(10)
    found = of(script.leg_ended("b1").leg_ended("b2").after(2).ended(talk=12))
    assert found == {
        ("c1", "user/alice"): (4, 16),
        ("c1", "department/sales"): (4, 16),
        ("c1", "user/bob"): (4, 14),
        ("c1", "user/carol"): None,
        ("c1", "department/support"): None,
    }


def test_a_queues_department_had_part_in_all_of_it() -> None:
    script = Script().started(caller="+41215550100", trunk="carrier").decided("ring", about=["queue/help", "queue/gone", "plan/help"])
    assert of(script.after(30).ended("caller_gave_up")) == {("c1", "department/support"): (0, 30)}


def test_a_message_is_the_mailboxs_departments() -> None:
    script = Script().started(caller="+41215550100", trunk="carrier").decided("delegate", about=["mailbox/main"]).answers("a").recorded()
    assert of(script.ended()) == {("c1", "department/support"): (0, 5)}


def test_who_picked_it_up_talked() -> None:
    script = Script().started().decided("ring").rings(party="bob").after(3)
    script.add(CallPickedUp(by="carol", rung="b1", rung_party="bob", other_call_id="c2"), "a").after(5)
    found = of(script.ended(talk=5))
    assert (found["c1", "user/carol"], found["c1", "department/support"], found["c1", "user/bob"]) == ((3, 8), (3, 8), None)


def test_a_conference_is_theirs_who_were_in_it() -> None:
    script = Script().started().answers("a").add(ConferenceJoined(room_id="board", meeting_id="m1"), "a").after(60).ended(talk=60)
    names = {("user/alice"), ("department/sales")}
    assert of(script) == {(call, name): (0, 60) for call in ("c1", "m1") for name in names}


def test_of_nothing_configured_the_people_remain_and_odd_traces_change_nothing() -> None:
    script = Script().started().decided("ring", about=["queue/help"]).rings(party="bob")
    script.events[1].data["trace"] = [TraceLine(subject="queue/help", matched=True, reason="x").model_dump(), {"subject": 7}, "queue/help"]
    found = of(script.ended("caller_gave_up"), TenantConfig("dupont"))
    assert found == {("c1", "user/alice"): None, ("c1", "user/bob"): None}
