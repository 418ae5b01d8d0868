"""What is odd about menus, groups, queues and number groups, by themselves and in the nodes that use them."""

from typing import Any

import pytest

from carillon_contracts.config import RESOURCES, Plan
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.findings import findings
from carillon_directory.domain.group_findings import findings_of

pytestmark = pytest.mark.feature("R-2")
PROMPT = [{"text": "x"}]
END = {"id": "z", "hang_up": {}}
MEMBERS = [{"user_id": "anna"}]


def config(**resources: Any) -> TenantConfig:
    everything: dict[str, Any] = {"tenant": [{"id": "acme", "realm": "acme.example"}], **resources}
    return TenantConfig("acme", 1, {k: {each["id"]: RESOURCES[k].model_validate(each) for each in many} for k, many in everything.items()})


def odd(kind: str, name: str, **resources: Any) -> list[tuple[str, str]]:
    """Kind and field of each finding of a resource."""
    known = config(**resources)
    return [(each.kind, each.path) for each in findings_of(known, known.resources[kind][name])]


def menu(name: str, to: str = "", **fields: Any) -> dict[str, Any]:
    """Whose one key leads to another menu, or ends the call."""
    destination = {"menu_id": to} if to else {"hang_up": "normal"}
    return {"id": name, "prompt": PROMPT, "keys": [{"key": "1", "destination": destination}], **fields}


def menus(*each: dict[str, Any]) -> list[tuple[str, str]]:
    """Of the first one."""
    return odd("menu", each[0]["id"], menu=list(each))


def test_menus_that_lead_only_to_one_another_cannot_be_left() -> None:
    shut = [("menus_no_way_out", "keys")]
    assert menus(menu("a", "b"), menu("b", "c"), menu("c", "a")) == shut
    assert menus(menu("a", "b"), menu("b", "b")) == shut
    assert menus(menu("a", "a")) == [("menu_no_way_out", "keys")]
    assert menus(menu("a", "b"), menu("b", "c"), menu("c")) == []
    assert menus(menu("a", "b"), menu("b", "a", no_choice={"mailbox_id": "box"})) == []
    assert menus(menu("a", "b"), menu("b", "a", timed_out={"hang_up": "normal"})) == []
    assert menus(menu("a", "b"), menu("b", "a", extension_dialling=True)) == []
    assert menus(menu("a", "b"), menu("b", "a", redirect={"user_id": "anna"})) == []
    assert menus(menu("a", "b", redirect={"menu_id": "b"}), menu("b", "b")) == [("menus_no_way_out", "redirect")]


def test_menus_that_send_callers_round_are_told() -> None:
    assert menus(menu("a", redirect={"menu_id": "b"}), menu("b", redirect={"menu_id": "a"})) == [("menu_round", "redirect")]
    assert menus(menu("a", redirect={"menu_id": "a"})) == [("menu_round", "redirect")]
    # It comes to a circle that it is no part of.
    assert menus(menu("a"), menu("b", redirect={"menu_id": "b"})) == []
    day = {"schedule_id": "day"}
    assert menus(menu("a", **day)) == [("menu_closed_ends", "out_of_hours")]
    assert menus(menu("a", **day, out_of_hours={"menu_id": "a"})) == [("menu_round", "out_of_hours")]
    closed = menu("b", **day, out_of_hours={"menu_id": "a"})
    assert menus(menu("a", **day, out_of_hours={"menu_id": "b"}), closed) == [("menu_round", "out_of_hours")]
    # The other one goes by hours of its own.
    assert menus(menu("a", **day, out_of_hours={"menu_id": "b"}), {**closed, "schedule_id": "night"}) == []


def node(value: dict[str, Any]) -> Plan:
    return Plan.model_validate({"id": "p", "entry": "a", "nodes": [{"id": "a", **value}, END]})


def in_plan(value: dict[str, Any], **resources: Any) -> list[tuple[str, str]]:
    plan = node(value)
    known = config(plan=[plan.model_dump()], **resources)
    return [(each.kind, each.path) for each in findings(known, plan)]


def test_a_menu_node_counts_the_menus_below() -> None:
    below = [menu("a", "b"), menu("b", "a")]
    here = ("menus_no_way_out", "nodes[0].menu.menu_id")
    assert in_plan({"menu": {"menu_id": "a"}}, menu=below) == [here]
    assert in_plan({"menu": {"menu_id": "a", "keys": [{"key": "1", "next": "z"}]}}, menu=below) == []
    assert in_plan({"menu": {"menu_id": "a", "no_choice": "z"}}, menu=below) == []


def hunt(**fields: Any) -> dict[str, Any]:
    return {"id": "g", "members": MEMBERS, **fields}


def test_a_hunt_group_all_of_whom_are_busy_needs_a_way() -> None:
    both = [("group_no_answer_ends", "no_answer"), ("group_busy_ends", "all_busy")]
    assert odd("hunt_group", "g", hunt_group=[hunt()]) == both
    assert odd("hunt_group", "g", hunt_group=[hunt(all_busy={"hang_up": "busy"})]) == both[:1]
    assert odd("hunt_group", "g", hunt_group=[hunt(no_answer={"hang_up": "busy"})]) == []
    rings: dict[str, Any] = {"hunt_group_id": "g", "ways": {"no_answer": "z"}}
    assert in_plan({"hunt_group": rings}, hunt_group=[hunt()]) == [("no_way_busy", "nodes[0].hunt_group.ways")]
    assert in_plan({"hunt_group": {**rings, "ways": {"no_answer": "z", "busy": "z"}}}, hunt_group=[hunt()]) == []
    assert in_plan({"hunt_group": rings}, hunt_group=[hunt(all_busy={"hang_up": "busy"})]) == []


def test_what_nodes_alone_ring_is_told_with_the_plan() -> None:
    group = {"id": "g", "members": MEMBERS}
    plan = node({"ring_group": {"ring_group_id": "g", "ways": {"otherwise": "z"}}}).model_dump()
    extension = {"id": "200", "destination": {"ring_group_id": "g"}}
    assert odd("ring_group", "g", ring_group=[group]) == [("group_no_answer_ends", "no_answer")]
    assert odd("ring_group", "g", ring_group=[group], plan=[plan]) == []
    assert odd("ring_group", "g", ring_group=[group], plan=[plan], extension=[extension]) == [("group_no_answer_ends", "no_answer")]


def test_a_queue_says_for_whom_it_has_no_way() -> None:
    members = [{"agent_id": "anna"}]
    short: dict[str, Any] = {"id": "q", "members": members, "max_wait_seconds": 60, "leave_without_agents": True, "leave_key": "1"}
    ways = ("full", "no_agents", "waited_too_long", "left_by_key")
    assert odd("queue", "q", queue=[short]) == [(f"queue_{way}_ends", way) for way in ways]
    assert odd("queue", "q", queue=[{**short, **{way: {"hang_up": "busy"} for way in ways}}]) == []
    assert odd("queue", "q", queue=[{"id": "q", "full": {"hang_up": "busy"}}]) == [
        ("queue_empty", "members"),
        ("queue_without_end", "max_wait_seconds"),
    ]
    at = "nodes[0].queue.ways"
    assert in_plan({"queue": {"queue_id": "q"}}, queue=[short]) == [(f"queue_{way}_ends", at) for way in ways]
    assert in_plan({"queue": {"queue_id": "q", "ways": {"full": "z", "otherwise": "z"}}}, queue=[short]) == []


def test_a_number_group_needs_numbers_and_an_operator_where_it_leads_there() -> None:
    group = {"id": "g", "destination": {"operator": True}}
    number = {"id": "+41215550100", "number_group_id": "g"}
    assert odd("number_group", "g", number_group=[group]) == [("number_group_empty", "id"), ("no_operator", "destination.operator")]
    tenant = {"id": "acme", "realm": "acme.example", "operator": {"user_id": "anna"}}
    assert odd("number_group", "g", number_group=[group], number=[number], tenant=[tenant]) == []
