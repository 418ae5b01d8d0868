"""The life of a plan in the running system: a draft is held up by a test, mended, activated, decides, and is rolled back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from strangers.reflection import Reflected
from strangers.system import System

pytestmark = pytest.mark.feature("R-1", "R-25")
NUMBER = "+41215559901"


def ringing(user: str) -> dict[str, Any]:
    return {"id": "ring", "destination": {"destination": {"user_id": user}}}


class Admin:
    def __init__(self, system: System) -> None:
        token = system.run["admin_token"]
        self.directory = Reflected(system.run["grpc"]["directory"], token)
        self.routing = Reflected(system.run["grpc"]["routing"], token)

    def do(self, method: str, body: dict[str, Any]) -> Any:
        return self.directory.call(f"carillon.directory.v1.{method}", body)

    def reached(self) -> set[str]:
        body = {"caller": "+41791112233", "dialled": NUMBER}
        answer = self.routing.call("carillon.routing.v1.RoutingService/Simulate", body)
        return {line["next"] for turn in answer["turns"] for line in turn["trace"] if line.get("next")}


@pytest.fixture
def admin(system: System) -> Iterator[Admin]:
    """With a plan of its own, that a number leads to, a test of it, and a draft that fails the test."""
    made = Admin(system)
    made.do("PlanService/CreatePlan", {"plan": {"id": "life", "entry": "ring", "nodes": [ringing("alain")]}})
    made.do("NumberService/CreateNumber", {"number": {"id": NUMBER, "destination": {"plan_id": "life"}}})
    test = {"id": "life", "plan_id": "life", "dialled": NUMBER, "at": "2026-03-02T10:15", "reaches": {"user_id": "alain"}}
    made.do("PlanTestService/CreatePlanTest", {"plan_test": test})
    draft = {"id": "life", "plan_id": "life", "entry": "ring", "nodes": [ringing("bernard")]}
    made.do("PlanDraftService/CreatePlanDraft", {"plan_draft": draft})
    yield made
    for service in ("PlanTest", "PlanDraft"):
        made.do(f"{service}Service/Delete{service}", {"id": "life"})
    made.do("NumberService/DeleteNumber", {"id": NUMBER})
    made.do("PlanService/DeletePlan", {"id": "life"})


def test_a_draft_is_held_up_by_a_test_activated_by_another_and_rolled_back(admin: Admin) -> None:
    with pytest.raises(grpc.RpcError) as held:
        admin.do("PlanService/ActivatePlan", {"plan_draft_id": "life"})
    assert held.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "plan_test/life: fails: the call came by plan/life, node ring, user/bernard" in str(held.value.details())
    changed = {"plan_test": {"id": "life", "reaches": {"user_id": "bernard"}}, "update_mask": "reaches"}
    admin.do("PlanTestService/UpdatePlanTest", changed)
    # What was stored just now counts: routing answers when it knows it.
    done = admin.do("PlanService/ActivatePlan", {"plan_draft_id": "life", "reason": "a new voice"})
    assert done["gate"]["passed"]
    assert [change["node_id"] for change in done["changes"]] == ["ring"]
    tested = {"plan_id": "life", "config_seq": done["config_seq"]}
    assert admin.routing.call("carillon.routing.v1.RoutingService/TestPlan", tested)["passed"]
    assert "user/bernard" in admin.reached()
    back = admin.do("PlanService/RollBackPlan", {"id": "life", "reason": "not so good"})
    assert not back["gate"].get("passed")
    assert not admin.routing.call("carillon.routing.v1.RoutingService/TestPlan", tested | {"config_seq": back["config_seq"]}).get("passed")
    assert "user/alain" in admin.reached()


@pytest.mark.feature("R-21")
def test_a_draft_is_compared_over_the_calls_so_far(admin: Admin, system: System) -> None:
    # Nobody has called the plan's own number: all calls are read, and none goes elsewhere.
    shown = system.carillon("plan", "compare", "life", "--tenant", "dupont")
    assert "0 of 0 calls by the plan would go elsewhere" in shown


@pytest.mark.feature("R-2", "R-5")
def test_what_is_odd_about_a_plan_is_told_when_it_is_saved_and_before(admin: Admin, system: System, tmp_path: Path) -> None:
    admin.do("ScheduleService/CreateSchedule", {"schedule": {"id": "odd", "exceptions": [{"date": "2026-12-25"}]}})
    try:
        entries = [{"schedule_id": "odd", "next": "ring"}]
        node = {"id": "hours", "calendar": {"entries": entries, "otherwise": "ring"}}
        whole = {"id": "odd", "plan_id": "life", "entry": "hours", "nodes": [node, ringing("bernard")]}
        saved = admin.do("PlanDraftService/CreatePlanDraft", {"plan_draft": whole})
        try:
            assert "calendar_never_open" in [each["kind"] for each in saved["warnings"]]
            shown = system.carillon("plan", "check", "odd", "--draft", "--language", "de", "--tenant", "dupont")
            assert "warning  node hours  nodes[0].calendar.entries[0].schedule_id\n    Zeitplan odd hat keine Zeiten" in shown
        finally:
            admin.do("PlanDraftService/DeletePlanDraft", {"id": "odd"})
        wrong = {"plan": {"id": "life", "entry": "hours", "nodes": [node]}}
        told = admin.do("PlanService/CheckPlan", wrong)["findings"]
        assert [(each["severity"], each["node_id"], each["field"]) for each in told] == [
            ("FINDING_SEVERITY_ERROR", "hours", "nodes[0].calendar.entries[0].next"),
            ("FINDING_SEVERITY_ERROR", "hours", "nodes[0].calendar.otherwise"),
        ]
        file = tmp_path / "company.yaml"
        plans = [{"id": "life", "entry": "hours", "nodes": [node, ringing("alain")]}]
        file.write_text(json.dumps({"tenant": {"id": "dupont", "realm": "x.example"}, "plans": plans}))
        assert "warning  node hours" in system.carillon("plan", "check", "life", "--file", str(file), "--tenant", "dupont")
    finally:
        admin.do("ScheduleService/DeleteSchedule", {"id": "odd"})
