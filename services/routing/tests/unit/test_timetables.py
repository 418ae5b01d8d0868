"""Ring groups as timetables."""

from typing import Any

import pytest

from carillon_routing.domain.facts import Ring, RingResult, TrunkTarget
from carillon_routing.testing import SimulatedCall, small_company, to_plan

ALL = [{"user_id": "anna"}, {"user_id": "ben"}, {"user_id": "carl"}]
MOBILE = {"external_number": "+41791234567"}


def group(strategy: str, members: list[dict[str, Any]], timeout: int = 45, **fields: Any) -> dict[str, Any]:
    return {"id": "g", "strategy": strategy, "members": members, "timeout_seconds": timeout, **fields}


def ringing(strategy: str, members: list[dict[str, Any]], timeout: int = 45, **changes: Any) -> SimulatedCall:
    """A call from outside to the group."""
    config = small_company(
        ring_groups=[group(strategy, members, timeout)],
        numbers=[{"id": "+41215550100", "destination": {"ring_group_id": "g"}}, {"id": "+41215550101", "destination": {"user_id": "anna"}}],
        **changes,
    )
    return SimulatedCall.from_outside(config, "+41215550100", "2026-01-06 10:00")


@pytest.mark.feature("R-6")
def test_in_parallel_all_ring_until_the_groups_time_is_over() -> None:
    assert ringing("parallel", ALL, 30).rings == [("anna", 0, 30), ("ben", 0, 30), ("carl", 0, 30)]


@pytest.mark.feature("R-7")
def test_in_sequence_each_rings_after_the_other_stopped() -> None:
    members: list[dict[str, Any]] = [{"user_id": "anna", "ring_seconds": 10}, {"user_id": "ben", "ring_seconds": 15}, {"user_id": "carl"}]
    assert ringing("sequential", members).rings == [("anna", 0, 10), ("ben", 10, 25), ("carl", 25, 30)]


@pytest.mark.feature("R-8")
def test_in_progression_each_joins_those_that_ring() -> None:
    members: list[dict[str, Any]] = [{"user_id": "anna", "ring_seconds": 10}, {"user_id": "ben", "ring_seconds": 15}, {"user_id": "carl"}]
    assert ringing("progressive", members).rings == [("anna", 0, 45), ("ben", 10, 45), ("carl", 25, 45)]


@pytest.mark.feature("R-7")
def test_a_member_that_does_not_say_rings_5_seconds_inside_and_20_outside() -> None:
    members = [{"user_id": "anna"}, MOBILE, {"user_id": "carl"}]
    assert ringing("sequential", members).rings == [("anna", 0, 5), ("+41791234567@carrier", 5, 25), ("carl", 25, 30)]


@pytest.mark.feature("R-7")
def test_the_groups_time_cuts_the_last_and_leaves_out_who_would_come_after() -> None:
    members = [{"user_id": name, "ring_seconds": 20} for name in ("anna", "ben", "carl")]
    call = ringing("sequential", members, 40)
    assert call.rings == [("anna", 0, 20), ("ben", 20, 40)]
    assert "- ring_group/g member 3: user/carl would ring from 40 s, after the group's 40 s" in call.trace()
    assert ringing("sequential", members, 30).rings == [("anna", 0, 20), ("ben", 20, 30)]


def test_a_members_own_number_rings_the_user_without_a_carrier() -> None:
    assert ringing("parallel", [{"external_number": "+41215550101"}]).rings == [("anna", 0, 45)]


@pytest.mark.feature("R-24")
def test_who_cannot_be_rung_is_left_out_and_said() -> None:
    abroad = [{"id": "abroad", "address": "192.0.2.2", "prefixes": ["+33"]}]
    call = ringing("parallel", [{"user_id": "gone"}, MOBILE, {"user_id": "ben"}, {"user_id": "ben"}], trunks=abroad)
    assert call.rings == [("ben", 0, 45)]
    assert call.trace()[1:5] == [
        "- ring_group/g member 1: user/gone does not exist",
        "- trunk/abroad: +41791234567 begins with none of +33",
        "- ring_group/g member 2: no trunk takes +41791234567",
        "- ring_group/g member 4: ben rings already",
    ]


def test_in_sequence_the_same_user_may_ring_twice() -> None:
    call = ringing("sequential", [{"user_id": "ben"}, {"user_id": "carl"}, {"user_id": "ben"}])
    assert [who for who, _, _ in call.rings] == ["ben", "carl", "ben"]
    targets = call.last.step.targets  # type: ignore[union-attr]
    assert len({target.target_id for target in targets}) == 3


def test_a_caller_who_is_a_member_is_not_rung() -> None:
    config = small_company(ring_groups=[group("parallel", ALL)], extensions=[{"id": "200", "destination": {"ring_group_id": "g"}}])
    assert [who for who, _, _ in SimulatedCall.from_user(config, "ben", "200").rings] == ["anna", "carl"]


def test_a_group_that_nobody_can_be_rung_in_is_unreachable_at_once() -> None:
    assert ringing("parallel", [{"user_id": "gone"}]).ends == (20, 480)


def in_plan(result: RingResult, **ways: str) -> SimulatedCall:
    """A node with these ways rings a group whose own way is carl."""
    own = group("parallel", [{"user_id": "anna"}], no_answer={"user_id": "carl"})
    return to_plan(
        {"id": "n", "ring_group": {"ring_group_id": "g", "ways": ways}},
        {"id": "ben", "destination": {"destination": {"user_id": "ben"}}},
        ring_groups=[own],
    ).rang(result)


def test_a_ring_group_nodes_ways_come_before_the_groups_own() -> None:
    assert in_plan("no_answer", no_answer="ben").rings == [("ben", 0, 25)]
    assert in_plan("busy", otherwise="ben").rings == [("ben", 0, 25)]
    assert in_plan("busy", no_answer="ben").rings == [("carl", 0, 25)]
    assert in_plan("no_answer").rings == [("carl", 0, 25)]
    assert in_plan("answered").ends == (16, 480)


def test_a_group_without_a_node_has_its_own_way_and_else_ends() -> None:
    own = group("parallel", ALL, no_answer={"mailbox_id": "main"})
    config = small_company(ring_groups=[own], extensions=[{"id": "200", "destination": {"ring_group_id": "g"}}])
    assert SimulatedCall.from_user(config, "anna", "200").rang("no_answer").mailbox == "main"
    assert ringing("parallel", ALL).rang("no_answer").ends == (19, 480)


def test_a_group_that_rings_outside_shows_a_number_that_carriers_accept() -> None:
    extensions = [{"id": "200", "destination": {"ring_group_id": "g"}}, {"id": "101", "destination": {"user_id": "anna"}}]
    config = small_company(ring_groups=[group("parallel", [{"user_id": "ben"}, MOBILE])], extensions=extensions)
    call = SimulatedCall.from_user(config, "anna", "200")
    assert call.shown == ("101", "Anna")
    assert isinstance(call.last.step, Ring)
    assert [target.caller for target in call.last.step.targets if isinstance(target, TrunkTarget)] == [("+41215550100", "")]
    assert ringing("parallel", [{"user_id": "ben"}, MOBILE]).shown == ("+41791112233", "")


@pytest.mark.feature("R-18")
def test_an_outside_member_may_be_called_by_every_trunk_that_takes_the_number() -> None:
    trunks = [
        {"id": "b", "address": "192.0.2.2", "priority": 1},
        {"id": "a", "address": "192.0.2.1"},
        {"id": "c", "address": "192.0.2.3", "prefixes": ["+33"]},
    ]
    groups = [{"id": "g", "members": [{"external_number": "+41791234567"}]}]
    call = SimulatedCall.from_outside(
        small_company(trunks=trunks, ring_groups=groups, numbers=[{"id": "+41215550105", "destination": {"ring_group_id": "g"}}]),
        "+41215550105",
        "2026-01-06 10:00",
    )
    step = call.last.step
    assert isinstance(step, Ring)
    (target,) = step.targets
    assert isinstance(target, TrunkTarget)
    assert (target.trunk_id, target.further) == ("a", ("b",))
