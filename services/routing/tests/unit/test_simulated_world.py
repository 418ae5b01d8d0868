"""A simulation is asked for any moment and state: the hand on schedules, who talks, who is there, what the call brings along."""

from datetime import UTC, datetime
from typing import Any

import pytest

from carillon.routing.v1 import routing_pb2 as pb
from carillon_kit.errors import InvalidArgument
from carillon_routing.grpc_simulate import simulated
from carillon_routing.testing import with_plan

pytestmark = pytest.mark.feature("R-21")
NOW = datetime(2026, 1, 6, 9, tzinfo=UTC)
OFFICE = {"id": "office", "ranges": [{"weekdays": [1, 2, 3, 4, 5], "start": "08:00", "end": "18:00"}]}
TEAM = {"id": "team", "strategy": "all_idle", "members": [{"user_id": "anna"}, {"user_id": "ben"}], "timeout_seconds": 30}
NODES: tuple[dict[str, Any], ...] = (
    {"id": "vip", "switch": {"variable": "vip", "entries": [{"value": "yes", "next": "carl"}], "otherwise": "hours"}},
    {"id": "hours", "calendar": {"entries": [{"schedule_id": "office", "next": "team"}], "otherwise": "box"}},
    {"id": "team", "hunt_group": {"hunt_group_id": "team", "ways": {"otherwise": "box"}}},
    {"id": "box", "mailbox": {"mailbox_id": "main"}},
    {"id": "carl", "destination": {"destination": {"user_id": "carl"}, "ways": {"unreachable": "box"}}},
)
CONFIG = with_plan(*NODES, schedules=[OFFICE], hunt_groups=[TEAM])


def steps(**request: Any) -> list[tuple[str, list[str]]]:
    """Kind of each step, and who rings."""
    answer = simulated(CONFIG, pb.SimulateRequest(dialled="+41215550100", caller="+41791112233", **request), NOW)
    return [(str(turn.step.WhichOneof("kind")), [target.user_id for target in turn.step.ring.targets]) for turn in answer.turns]


def test_schedules_set_by_hand_beat_the_clock() -> None:
    assert steps() == [("ring", ["anna", "ben"])]
    assert steps(schedule_modes={"office": "night"}) == [("delegate", [])]
    night = pb.SimulateRequest()
    night.at.FromDatetime(datetime(2026, 1, 6, 21, tzinfo=UTC))
    assert steps(at=night.at) == [("delegate", [])]
    assert steps(at=night.at, schedule_modes={"office": "day"}) == [("ring", ["anna", "ben"])]


def test_who_talks_or_is_logged_out_is_not_rung() -> None:
    assert steps(busy_user_ids=["anna"]) == [("ring", ["ben"])]
    assert steps(logged_out_user_ids=["ben"]) == [("ring", ["anna"])]
    assert steps(busy_user_ids=["anna"], logged_out_user_ids=["ben"]) == [("delegate", [])]


def test_the_call_brings_variables_and_who_has_no_phone_is_unreachable() -> None:
    assert steps(variables={"vip": "yes"}) == [("ring", ["carl"])]
    assert steps(variables={"vip": "yes"}, unregistered_user_ids=["carl"]) == [("ring", ["carl"]), ("delegate", [])]
    # What is said of the outcome counts before the state.
    assert steps(variables={"vip": "yes"}, unregistered_user_ids=["carl"], results={"carl": "answered"}) == [("ring", ["carl"])]


def test_the_state_is_nothing_that_stays() -> None:
    steps(schedule_modes={"office": "night"}, busy_user_ids=["anna"])
    assert steps() == [("ring", ["anna", "ben"])]


@pytest.mark.parametrize(
    ("state", "field"),
    [
        ({"schedule_modes": {"nowhere": "day"}}, "schedule_modes.nowhere"),
        ({"schedule_modes": {"office": "party"}}, "schedule_modes"),
        ({"busy_user_ids": ["nobody"]}, "busy_user_ids"),
        ({"unregistered_user_ids": ["nobody"]}, "unregistered_user_ids"),
        ({"logged_out_user_ids": ["nobody"]}, "logged_out_user_ids"),
        ({"variables": {"caller_number": "1"}}, "variables.caller_number"),
        ({"variables": {"vip": "x" * 201}}, "variables.vip"),
        ({"variables": {f"v{index}": "" for index in range(17)}}, "variables"),
        ({"trunk_id": "nowhere"}, "trunk_id"),
        ({"caller_user_id": "anna", "trunk_id": "carrier"}, "trunk_id"),
        ({"language": "xx"}, "language"),
        ({"results": {"anna": "gone"}}, "results.anna"),
        ({"queue_result": "gone"}, "queue_result"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(state: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        steps(**state)
    assert field in refused.value.violations
