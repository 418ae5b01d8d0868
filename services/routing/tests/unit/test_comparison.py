"""A draft over past calls: who would go elsewhere, and nobody else."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st

from carillon_contracts.config import Plan
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.comparison import Comparison, course, past_calls
from carillon_routing.domain.cursor import decode
from carillon_routing.domain.facts import Entered, Gathered, HangUp, Outcome, Rang
from carillon_routing.domain.made_of import MadeOf, as_read, encode
from carillon_routing.domain.simulate import with_plan as with_other
from carillon_routing.grpc_api import step_message
from carillon_routing.testing import SimulatedCall, World, with_plan

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
    given: list[Outcome] = [Entered(), *outcomes]
    kept: list[Mapping[str, Any]] = []
    cursor = None
    for outcome, decision in zip(given, call.advances, strict=True):
        made = MadeOf(call.facts, cursor, outcome, call.at, decision.config_seq, as_read(decision.read))
        step = step_message(decision.step)
        details = MessageToDict(getattr(step, str(step.WhichOneof("kind"))), preserving_proto_field_name=True)
        kept.append({"application": "routing", "inputs": json.loads(encode(made)), "details": details})
        cursor = decode(decision.cursor) if decision.cursor else None
    return kept


def compared(other: Plan, calls: Mapping[str, list[Mapping[str, Any]]]) -> Comparison:
    comparison = Comparison(company(), other, samples=2)
    for call_id, decisions in calls.items():
        comparison.add(call_id, decisions)
    return comparison


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
        done = compared(other, CALLS)
        assert (done.read, done.by_plan, done.elsewhere, done.not_followed, done.groups) == (6, 5, 0, 0, [])


def test_calls_that_would_go_elsewhere_are_grouped_with_both_ways() -> None:
    first = {"id": "anna", "destination": {"destination": {"user_id": "anna"}, "ways": {"otherwise": "ben"}}}
    done = compared(plan(NODES[0], first, *NODES[2:]), CALLS)
    assert (done.by_plan, done.elsewhere) == (5, 2)
    (group,) = done.groups
    assert group.now == ("menu/m", "ring user/anna", "voicemail main")
    assert group.then == ("menu/m", "ring user/anna", "ring user/ben")
    assert [name for name, _, _ in group.samples] == ["c3", "c5"]
    assert [turn.config_seq for turn in group.samples[0][2]] == [company().seq] * 3
    _, now, then = group.samples[0]
    assert any("no_answer" in line.subject for turn in now for line in turn.trace if line.matched)
    assert any("otherwise" in line.subject for turn in then for line in turn.trace if line.matched)


def test_the_largest_group_comes_first_and_what_cannot_be_followed_is_counted() -> None:
    busy = plan({"id": "end", "hang_up": {"reason": "busy"}})
    done = compared(
        busy, {**CALLS, "old": [{"application": "routing", "inputs": None}], "odd": [{"application": "routing", "inputs": {"v": 99}}]}
    )
    assert (done.read, done.elsewhere, done.not_followed) == (8, 5, 2)
    assert [group.calls for group in done.groups] == [2, 1, 1, 1]
    assert all(isinstance(then[-1].step, HangUp) for group in done.groups for _, _, then in group.samples)


@settings(max_examples=40)
@given(st.lists(st.sampled_from(range(len(NODES))), max_size=3, unique=True), st.integers(0, 4))
def test_following_from_the_first_change_is_following_the_whole_call(changed: list[int], shift: int) -> None:
    """What both plans decide alike is decided once; the course is the one of the other plan from the beginning."""
    ends: list[dict[str, Any]] = [{"hang_up": {"reason": "busy"}}, {"destination": {"destination": {"user_id": "ben"}}}]
    nodes = [{"id": node["id"], **ends[(place + shift) % 2]} if place in changed else node for place, node in enumerate(NODES)]
    entry = nodes[shift % len(nodes)]["id"]
    other = Plan.model_validate({"id": "p", "entry": entry, "nodes": nodes})
    elsewhere = compared(other, CALLS).elsewhere
    ways = with_other(company(), other)
    parts = [past for name, decisions in CALLS.items() for past in past_calls("acme", name, decisions)]
    assert elsewhere == sum(course(part.followed(company())) != course(part.followed(ways)) for part in parts)


def test_turns_that_look_at_nothing_changed_are_not_decided_again() -> None:
    (past,) = past_calls("acme", "c3", CALLS["c3"])
    now = past.followed(company())
    assert [("p", "anna") in turn.looked_at for turn in now] == [False, True, True]
    assert all(turn is known for turn, known in zip(past.followed(company(), now[:2]), now[:2], strict=False))
    assert past.followed(company(), now[:2]) == now
