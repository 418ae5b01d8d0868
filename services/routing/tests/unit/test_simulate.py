"""A simulation is the call: same steps, same trace; and plans are tested with it."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from carillon_contracts.config import AssumedResult, Plan, PlanDraft
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.assumed import Assumed
from carillon_routing.domain.facts import CallFacts, HangUp, Ring
from carillon_routing.domain.plan_tests import run_test, run_tests
from carillon_routing.domain.simulate import reached, simulate, with_draft
from carillon_routing.domain.simulate import with_plan as with_plan_of
from carillon_routing.testing import SimulatedCall, small_company, with_plan

AT = datetime(2026, 1, 6, 10, tzinfo=ZoneInfo("Europe/Zurich"))
NODES = (
    {"id": "a", "destination": {"destination": {"user_id": "anna"}, "ways": {"busy": "b", "no_answer": "m"}}},
    {"id": "b", "destination": {"destination": {"user_id": "ben"}}},
    {"id": "m", "mailbox": {"mailbox_id": "main"}},
)


def company(**more: Any) -> TenantConfig:
    return with_plan(*NODES, **more)


def follow(config: TenantConfig, **results: Any) -> tuple[str, ...]:
    call = CallFacts(config.tenant_id, "c1", "inbound", "+41215550100", "+41791112233", trunk_id="carrier")
    return reached(simulate(config, call, AT, Assumed(results)))


@pytest.mark.feature("R-21")
def test_the_simulation_of_a_call_is_the_call() -> None:
    config = company()
    live = SimulatedCall.from_outside(config, "+41215550100", "2026-01-06 10:00").rang("busy", 17).rang("no_answer")
    simulated = simulate(config, live.facts, live.at, Assumed({"anna": "busy", "ben": "no_answer"}))
    assert [(turn.step, turn.trace) for turn in simulated] == [(turn.step, turn.trace) for turn in live.advances]
    assert isinstance(simulated[-1].step, HangUp)


@pytest.mark.feature("R-21")
def test_everybody_answers_who_is_not_said_to_do_otherwise() -> None:
    assert "user/anna" in follow(company())
    assert "user/ben" in follow(company(), anna="busy")
    assert "voicemail" in follow(company(), anna="no_answer")


@pytest.mark.feature("R-21", "R-1")
def test_a_draft_decides_in_its_plans_place_and_nothing_else_changes() -> None:
    config = company()
    draft = PlanDraft.model_validate({"id": "d", "plan_id": "p", "entry": "b", "nodes": [NODES[1]]})
    assert "user/anna" not in follow(with_draft(config, draft))
    assert "user/anna" in follow(config)


@pytest.mark.feature("R-25")
@pytest.mark.parametrize(("expected", "passed"), [({"user_id": "ben"}, True), ({"user_id": "carl"}, False)])
def test_a_plan_test_says_whether_its_call_reaches_what_it_must(expected: dict[str, str], passed: bool) -> None:
    test = {"id": "t", "plan_id": "p", "dialled": "+41215550100", "at": "2026-01-06T10:00", "busy_user_ids": ["anna"], "reaches": expected}
    config = company(plan_tests=[test])
    assert run_test(config, config.plan_tests["t"]).passed is passed


@pytest.mark.feature("R-25")
@pytest.mark.parametrize(("mailbox", "passed"), [("main", True), ("other", False)])
def test_a_plan_test_tells_one_mailbox_from_another(mailbox: str, passed: bool) -> None:
    test = {"id": "t", "plan_id": "p", "dialled": "+41215550100", "at": "2026-01-06T10:00", "absent_user_ids": ["anna"]}
    config = company(plan_tests=[test | {"reaches": {"mailbox_id": mailbox}}])
    assert run_test(config, config.plan_tests["t"]).passed is passed


@pytest.mark.feature("R-10", "R-21")
def test_a_queue_is_one_step_with_its_ways_out() -> None:
    queue = {"id": "q", "queue": {"queue_id": "sales", "ways": {"full": "b"}}}
    config = with_plan(queue, NODES[1], queues=[{"id": "sales", "waited_too_long": {"mailbox_id": "main"}}])
    call = CallFacts(config.tenant_id, "c1", "inbound", "+41215550100", "+41791112233")
    assert reached(simulate(config, call, AT, Assumed()))[-1] == "queue/sales"
    assert isinstance(simulate(config, call, AT, Assumed(queue="full"))[-1].step, Ring)
    assert reached(simulate(config, call, AT, Assumed(queue="waited_too_long")))[-1] == "voicemail"
    assert reached(simulate(config, call, AT, Assumed(queue="no_agents")))[-1] == "hang_up"


def ran(config: TenantConfig, plan: dict[str, Any]) -> dict[str, bool]:
    changed = with_plan_of(config, Plan.model_validate(plan))
    return {tested.test_id: tested.passed for tested in run_tests(config, changed, plan["id"]) if tested is not None}


@pytest.mark.feature("R-25")
def test_a_plan_is_held_up_by_its_own_tests_and_by_those_of_others_that_it_would_break() -> None:
    common = {"dialled": "+41215550100", "at": "2026-01-06T10:00"}
    tests = [
        {"id": "own", "plan_id": "sub", "reaches": {"user_id": "anna"}, **common},
        {"id": "others", "plan_id": "p", "reaches": {"user_id": "anna"}, **common},
        {"id": "never", "plan_id": "p", "reaches": {"user_id": "carl"}, **common},
    ]
    sub = {"id": "sub", "entry": "a", "nodes": [NODES[0] | {"destination": {"destination": {"user_id": "anna"}}}]}
    runs = {"id": "p", "entry": "s", "nodes": [{"id": "s", "sub_plan": {"plan_id": "sub"}}]}
    config = small_company(plans=[runs, sub], plan_tests=tests)
    assert ran(config, sub) == {"own": True}
    assert ran(config, {"id": "sub", "entry": "b", "nodes": [NODES[1]]}) == {"own": False, "others": False}


HOURS = {"id": "office", "ranges": [{"weekdays": [1, 2, 3, 4, 5], "start": "08:00", "end": "18:00"}]}
DAY_AND_NIGHT: tuple[dict[str, Any], ...] = (
    {"id": "hours", "calendar": {"entries": [{"schedule_id": "office", "next": "sales"}], "otherwise": "closed"}},
    {"id": "sales", "queue": {"queue_id": "sales", "ways": {"full": "out"}}},
    {"id": "out", "destination": {"destination": {"external_number": "+41791234567"}, "ways": {"otherwise": "engaged"}}},
    {"id": "engaged", "hang_up": {"reason": "busy"}},
    {"id": "closed", "announcement": {"announcements": [{"text": "We are closed until Monday."}], "next": "box"}},
    {"id": "box", "mailbox": {"mailbox_id": "main"}},
)
NIGHT = {"modes": [{"schedule_id": "office", "mode": "night"}]}
FULL = {"queue_result": "full"}
IN_VAIN = {"results": [{"external_number": "+41791234567", "result": "no_answer"}]}


@pytest.mark.feature("R-25")
@pytest.mark.parametrize(
    ("state", "expected", "missed"),
    [
        ({}, {"reaches": {"queue_id": "sales"}}, ""),
        (NIGHT, {"reaches": {"queue_id": "sales"}}, "queue/sales"),
        (NIGHT, {"reaches": {"announcement": {"text": "closed until"}}}, ""),
        (NIGHT, {"reaches": {"announcement": {"text": "on holiday"}}}, "announcement on holiday"),
        (NIGHT, {"reaches": {"mailbox_id": "main"}, "comes_by": ["node closed", "node box"]}, ""),
        (NIGHT, {"reaches": {"mailbox_id": "main"}, "comes_by": ["node box", "node closed"]}, "node closed"),
        (FULL, {"reaches": {"external_number": "+41791234567"}, "comes_by": ["plan/p", "queue/sales", "node out"]}, ""),
        (FULL, {"reaches": {"external_number": "+41791234568"}}, "external_number/+41791234568"),
        (FULL, {"reaches": {"hang_up": "busy"}}, "hang_up 17"),
        ({**FULL, **IN_VAIN}, {"reaches": {"hang_up": "busy"}}, ""),
        ({**FULL, **IN_VAIN}, {"reaches": {"hang_up": "normal"}}, "hang_up 16"),
    ],
)
def test_a_plan_test_says_in_what_state_a_call_must_come_by_what(state: dict[str, Any], expected: dict[str, Any], missed: str) -> None:
    test = {"id": "t", "plan_id": "p", "dialled": "+41215550100", "at": "2026-01-06T10:00", **state, **expected}
    config = with_plan(*DAY_AND_NIGHT, schedules=[HOURS], queues=[{"id": "sales"}], plan_tests=[test])
    ran = run_test(config, config.plan_tests["t"])
    assert (ran.missed, ran.passed) == (missed, not missed)


@pytest.mark.feature("R-25")
@pytest.mark.parametrize(("dialled", "reaches"), [("102", {"user_id": "ben"}), ("0791112233", {"external_number": "+41791112233"})])
def test_a_plan_test_may_be_of_a_call_from_inside(dialled: str, reaches: dict[str, str]) -> None:
    test = {"id": "t", "plan_id": "p", "dialled": dialled, "at": "2026-01-06T10:00", "caller_user_id": "anna", "reaches": reaches}
    config = company(plan_tests=[test])
    ran = run_test(config, config.plan_tests["t"])
    assert (ran.missed, ran.passed) == ("", True)
    outside = config.plan_tests["t"].model_copy(update={"caller_user_id": ""})
    assert not run_test(config, outside).passed


@pytest.mark.feature("R-25", "R-5")
def test_the_clock_of_a_plan_test_goes_on_through_the_end_of_summer() -> None:
    """Anna rings from 02:59, and a minute and a half later it is 02:00 once more."""
    night = {"id": "night", "ranges": [{"weekdays": [7], "start": "02:00", "end": "02:30"}]}
    nodes = (
        {"id": "a", "destination": {"destination": {"user_id": "anna"}, "ring_seconds": 90, "ways": {"no_answer": "hours"}}},
        {"id": "hours", "calendar": {"entries": [{"schedule_id": "night", "next": "b"}], "otherwise": "m"}},
        *NODES[1:],
    )
    test = {"id": "t", "plan_id": "p", "dialled": "+41215550100", "at": "2026-10-25T02:59", "absent_user_ids": ["anna"]}
    config = with_plan(*nodes, schedules=[night], plan_tests=[{**test, "reaches": {"user_id": "ben"}}])
    assert run_test(config, config.plan_tests["t"]).missed == ""


@pytest.mark.parametrize("result", [{"result": "busy"}, {"user_id": "anna", "external_number": "+41791112233", "result": "busy"}])
def test_a_result_is_of_one_user_or_number(result: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="user_id or external_number"):
        AssumedResult.model_validate(result)
