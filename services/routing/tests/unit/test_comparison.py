"""A draft over past calls: who would go elsewhere, and nobody else."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carillon_contracts.config import Plan
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.comparison import Comparison, Counts, Found, course, past_calls, together
from carillon_routing.domain.facts import Gathered, HangUp, Outcome, Rang
from carillon_routing.domain.simulate import with_plan as with_other
from carillon_routing.testing import SimulatedCall, World, kept, with_plan

pytestmark = pytest.mark.feature("R-21")
NODES: tuple[dict[str, Any], ...] = (
    {"id": "ask", "menu": {"menu_id": "m", "keys": [{"key": "1", "next": "anna"}, {"key": "2", "next": "ben"}]}},
    {"id": "anna", "destination": {"destination": {"user_id": "anna"}, "ways": {"busy": "ben", "no_answer": "box"}}},
    {"id": "ben", "destination": {"destination": {"user_id": "ben"}, "ways": {"otherwise": "box"}}},
    {"id": "box", "mailbox": {"mailbox_id": "main"}},
)
MENU = {"id": "m", "prompt": [{"text": "1 or 2", "language": "en"}], "keys": [{"key": "9", "destination": {"hang_up": "busy"}}]}


@cache
def company() -> TenantConfig:
    return with_plan(*NODES, menus=[MENU])


def plan(*nodes: dict[str, Any]) -> Plan:
    return Plan.model_validate({"id": "p", "entry": nodes[0]["id"], "nodes": list(nodes)})


def placed(call_id: str, *outcomes: Outcome, number: str = "+41215550100") -> list[Mapping[str, Any]]:
    """A call as media keeps its decisions."""
    world = World()
    call = SimulatedCall.from_outside(company(), number, "2026-01-06 10:00", world=world, call_id=call_id)
    for outcome in outcomes:
        call.becomes(outcome)
    return list(kept(call, *outcomes))


def compared(other: Plan, calls: Mapping[str, list[Mapping[str, Any]]], shares: int = 1) -> tuple[Counts, Found]:
    """By so many, to whom the calls are dealt out in turn."""
    each = [Comparison(company(), other, samples=2) for _ in range(shares)]
    counts = Counts()
    for place, (call_id, decisions) in enumerate(calls.items()):
        counts += each[place % shares].add(place, call_id, decisions)
    return counts, together([one.found for one in each], 2)


BUSY, NO_ANSWER = Rang("busy", {"user:anna": "busy"}), Rang("no_answer", {"user:anna": "no_answer"})
CALLS = {
    "c1": placed("c1", Gathered("1")),
    "c2": placed("c2", Gathered("1"), BUSY),
    "c3": placed("c3", Gathered("1"), NO_ANSWER),
    "c4": placed("c4", Gathered("2")),
    "c5": placed("c5", Gathered("1"), NO_ANSWER),
    "direct": placed("direct", number="+41215550101"),
}


def test_a_past_call_is_followed_as_it_went() -> None:
    (past,) = past_calls("acme", "c2", CALLS["c2"])
    assert course(past.followed(company())) == ("menu/m", "ring user/anna", "ring user/ben")
    (past,) = past_calls("acme", "c3", CALLS["c3"])
    assert course(past.followed(company())) == ("menu/m", "ring user/anna", "voicemail main")


def test_the_same_plan_sends_nobody_elsewhere_whatever_its_nodes_are_called() -> None:
    renamed = json.loads(json.dumps(NODES).replace('"ben"', '"second"').replace('{"user_id": "second"}', '{"user_id": "ben"}'))
    for other in (plan(*NODES), plan(*renamed)):
        assert compared(other, CALLS) == (Counts(6, 5, 0, 0), Found())


def test_calls_that_would_go_elsewhere_are_grouped_with_both_ways() -> None:
    first = {"id": "anna", "destination": {"destination": {"user_id": "anna"}, "ways": {"otherwise": "ben"}}}
    counts, done = compared(plan(NODES[0], first, *NODES[2:]), CALLS)
    assert (counts.by_plan, counts.elsewhere) == (5, 2)
    (group,) = done.groups
    assert group.now == ("menu/m", "ring user/anna", "voicemail main")
    assert group.then == ("menu/m", "ring user/anna", "ring user/ben")
    assert [sample.call_id for sample in group.samples] == ["c3", "c5"]
    now, then = group.samples[0].now, group.samples[0].then
    assert [turn.config_seq for turn in then] == [company().seq] * 3
    assert any("no_answer" in line.subject for turn in now for line in turn.trace if line.matched)
    assert any("otherwise" in line.subject for turn in then for line in turn.trace if line.matched)


def test_the_largest_group_comes_first_and_what_cannot_be_followed_is_counted() -> None:
    busy = plan({"id": "end", "hang_up": {"reason": "busy"}})
    counts, done = compared(
        busy, {**CALLS, "old": [{"application": "routing", "inputs": None}], "odd": [{"application": "routing", "inputs": {"v": 99}}]}
    )
    assert counts == Counts(8, 5, 5, 2)
    assert [group.calls for group in done.groups] == [2, 1, 1, 1]
    assert all(isinstance(sample.then[-1].step, HangUp) for group in done.groups for sample in group.samples)


@settings(max_examples=40)
@given(st.lists(st.sampled_from(range(len(NODES))), max_size=3, unique=True), st.integers(0, 4))
def test_following_from_the_first_change_is_following_the_whole_call(changed: list[int], shift: int) -> None:
    """What both plans decide alike is decided once; the course is the one of the other plan from the beginning."""
    ends: list[dict[str, Any]] = [{"hang_up": {"reason": "busy"}}, {"destination": {"destination": {"user_id": "ben"}}}]
    nodes = [{"id": node["id"], **ends[(place + shift) % 2]} if place in changed else node for place, node in enumerate(NODES)]
    entry = nodes[shift % len(nodes)]["id"]
    other = Plan.model_validate({"id": "p", "entry": entry, "nodes": nodes})
    counts, done = compared(other, CALLS)
    assert (counts, done) == compared(other, CALLS, shares=3), "who follows which call makes no difference"
    elsewhere = counts.elsewhere
    ways = with_other(company(), other)
    parts = [past for name, decisions in CALLS.items() for past in past_calls("acme", name, decisions)]
    assert elsewhere == sum(course(part.followed(company())) != course(part.followed(ways)) for part in parts)


def test_turns_that_look_at_nothing_changed_are_not_decided_again() -> None:
    (past,) = past_calls("acme", "c3", CALLS["c3"])
    now = past.followed(company())
    assert [("p", "anna") in turn.looked_at for turn in now] == [False, True, True]
    assert all(turn is known for turn, known in zip(past.followed(company(), now[:2]), now[:2], strict=False))
    assert past.followed(company(), now[:2]) == now
