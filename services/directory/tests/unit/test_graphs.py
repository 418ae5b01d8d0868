"""A plan's graph: what is refused, where it says so, and what may stay."""

from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from carillon_contracts.config import Plan, RingGroup
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.documents import put
from carillon_directory.domain.graphs import loop_violation, nesting_violation, plan_violations
from carillon_directory.testing import after, company_command, given


def plan(*nodes: dict[str, Any], entry: str = "a", plan_id: str = "p") -> Plan:
    return Plan.model_validate({"id": plan_id, "entry": entry, "nodes": list(nodes)})


def calendar(node: str, then: str, otherwise: str) -> dict[str, Any]:
    return {"id": node, "calendar": {"entries": [{"schedule_id": "day", "next": then}], "otherwise": otherwise}}


def say(node: str, following: str = "") -> dict[str, Any]:
    return {"id": node, "announcement": {"announcements": [{"text": "x"}], "next": following}}


def ring(node: str, **ways: str) -> dict[str, Any]:
    return {"id": node, "ring_group": {"ring_group_id": "team", "ways": ways}}


def send(node: str, destination: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": node, "destination": {"destination": destination, **more}}


END = {"id": "z", "hang_up": {}}


def found(value: Plan) -> list[tuple[str, str]]:
    return [(each.field, each.reason) for each in plan_violations(value)]


def loop(*plans: Plan) -> str:
    """Where the last plan is refused among the others, empty if it is not."""
    config = TenantConfig("acme", 1, {"plan": {each.id: each for each in plans}})
    violation = loop_violation(config, plans[-1])
    return f"{violation.field}: {violation.reason}" if violation else ""


@pytest.mark.feature("R-2")
@pytest.mark.parametrize(
    ("value", "field", "reason"),
    [
        (plan(END, entry="x"), "entry", "the plan has no node 'x'"),
        (plan(calendar("a", "x", "z"), END), "nodes[0].calendar.entries[0].next", "the plan has no node 'x'"),
        (plan(calendar("a", "z", "x"), END), "nodes[0].calendar.otherwise", "the plan has no node 'x'"),
        (plan(ring("a", busy="x")), "nodes[0].ring_group.ways.busy", "the plan has no node 'x'"),
        (
            plan(send("a", {"user_id": "u"}, ways={"no_answer": "x"})),
            "nodes[0].destination.ways.no_answer",
            "the plan has no node 'x'",
        ),
        (plan({"id": "a", "menu": {"menu_id": "m", "no_choice": "x"}}), "nodes[0].menu.no_choice", "the plan has no node 'x'"),
        (plan(say("a", "x")), "nodes[0].announcement.next", "the plan has no node 'x'"),
        (plan(say("a"), END), "nodes[1]", "node 'z' cannot be reached from the entry 'a'"),
        (
            plan(send("a", {"mailbox_id": "m"}, ring_seconds=20)),
            "nodes[0].destination.ring_seconds",
            "counts only for a user or an external number",
        ),
    ],
)
def test_a_plan_is_checked_node_by_node(value: Plan, field: str, reason: str) -> None:
    assert found(value) == [(field, reason)]


@pytest.mark.feature("D-6")
def test_a_fax_box_may_have_a_way_for_who_does_not_reach_it_and_does_not_ring() -> None:
    assert found(plan(send("a", {"fax_box_id": "f"}, ways={"unreachable": "z"}), END)) == []
    ringing = plan(send("a", {"fax_box_id": "f"}, ring_seconds=20))
    assert [field for field, _ in found(ringing)] == ["nodes[0].destination.ring_seconds"]


def test_ways_that_never_count_are_refused() -> None:
    value = plan(send("a", {"menu_id": "m"}, ways={"busy": "z"}), END)
    assert [field for field, _ in found(value)] == ["nodes[0].destination.ways.busy"]


@pytest.mark.feature("R-2")
def test_a_circle_without_a_wait_is_refused() -> None:
    assert loop(plan(calendar("a", "b", "z"), say("b", "a"), END)) == "nodes[0]: loop without a wait: p/a -> p/b -> p/a"
    assert loop(plan(say("a", "a"))) == "nodes[0]: loop without a wait: p/a -> p/a"
    assert loop(plan(send("a", {"plan_id": "p"}))) == "nodes[0]: loop without a wait: p/a -> p/a"


@pytest.mark.feature("R-2")
def test_a_circle_through_another_plan_is_refused_in_the_plan_that_closes_it() -> None:
    other = plan(calendar("a", "z", "b"), send("b", {"plan_id": "p"}), END, plan_id="other")
    closing = plan(calendar("a", "z", "b"), send("b", {"plan_id": "other"}), END)
    assert loop(other, closing) == "nodes[0]: loop without a wait: p/a -> p/b -> other/a -> other/b -> p/a"


def test_a_circle_that_rings_or_asks_may_stay() -> None:
    assert not loop(plan(calendar("a", "b", "z"), ring("b", otherwise="a"), END))
    assert not loop(plan(calendar("a", "b", "z"), {"id": "b", "menu": {"menu_id": "m", "no_choice": "a"}}, END))
    assert not loop(plan(calendar("a", "b", "z"), send("b", {"user_id": "u"}, ways={"busy": "a"}), END))


def test_two_ways_to_one_node_are_no_circle() -> None:
    assert not loop(plan(calendar("a", "b", "c"), say("b", "z"), say("c", "z"), END))


def test_a_number_that_leads_to_itself_is_refused(company: dict[str, Any]) -> None:
    company["numbers"].append({"id": "+41215550901", "destination": {"external_number": "+41215550902"}})
    company["numbers"].append({"id": "+41215550902", "destination": {"external_number": "+41215550901"}})
    with pytest.raises(AssertionError, match=r"numbers\[1\]\.destination.*\+41215550901 -> \+41215550902 -> \+41215550901"):
        given(company)


def test_the_largest_plan_is_checked_without_deep_recursion(company: dict[str, Any]) -> None:
    nodes = [say(f"n{index}", f"n{index + 1}") for index in range(499)]
    company["plans"].append({"id": "long", "entry": "n0", "nodes": [*nodes, say("n499")]})
    config = given(company)
    assert len(config.plans["long"].nodes) == 500
    company["plans"][-1]["nodes"][-1] = say("n499", "n0")
    with pytest.raises(AssertionError, match="loop without a wait"):
        after(config, company_command(company))


def brute_force(value: Plan) -> bool:
    """Whether a calendar or announcement node can come back to itself over such nodes: transitive closure."""
    passing = {node.id: [to for _, to in node.exits()] for node in value.nodes if node.calendar or node.announcement}
    reach = {node: set(onward) for node, onward in passing.items()}
    for _ in reach:
        for onward in reach.values():
            onward |= set().union(*(reach.get(to, set()) for to in onward))
    return any(node in onward for node, onward in reach.items())


NAMES = st.sampled_from("abcdef")


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    nodes: list[dict[str, Any]] = []
    for name in "abcdef":
        first, second = draw(NAMES), draw(NAMES)
        nodes.append(draw(st.sampled_from([calendar(name, first, second), say(name, first), ring(name, busy=first), say(name)])))
    return plan(*nodes)


@for_all(plans())
def test_a_circle_is_found_exactly_when_there_is_one(value: Plan) -> None:
    config = put(TenantConfig("acme", 1), [value])
    assert (loop_violation(config, value) is not None) == brute_force(value)


# -- groups in groups --------------------------------------------------------------------------------------------------


def nested(**members: list[str]) -> str:
    """Where the last group is refused among the others, each with the groups that are its members; empty if it is not."""
    groups = {
        name: RingGroup.model_validate({"id": name, "members": [{"user_id": "ann"}, *({"ring_group_id": each} for each in inside)]})
        for name, inside in members.items()
    }
    violation = nesting_violation(TenantConfig("acme", 1, {"ring_group": groups}), next(reversed(groups.values())))
    return f"{violation.field}: {violation.reason}" if violation else ""


@pytest.mark.feature("R-6", "R-7")
def test_a_group_is_not_inside_itself() -> None:
    assert nested(a=["a"]) == "members[1].ring_group_id: the group would be inside itself: a -> a"
    assert nested(b=["c"], c=["a"], a=["b"]) == "members[1].ring_group_id: the group would be inside itself: a -> b -> c -> a"
    assert nested(d=[], b=["d"], c=["d"], a=["b", "c"]) == "", "one group may stand in two"


@pytest.mark.feature("R-6", "R-7")
def test_groups_are_inside_one_another_so_deep_and_no_deeper() -> None:
    chain = {"e": list[str](), "d": ["e"], "c": ["d"], "b": ["c"]}
    assert nested(**chain, a=["b"]) == ""
    assert nested(f=[], **(chain | {"e": ["f"]}), a=["b"]) == "members[1].ring_group_id: more than 5 groups would be inside one another"
    assert nested(a=["b"], b=["c"], c=["d"], f=[], e=["f"], d=["e"]).endswith("inside one another"), "those above count too"
