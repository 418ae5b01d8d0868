"""Drafts become plans, plans become what they were: with tests that hold or do not, and changes that come between."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from carillon_contracts.config import PastCallsBound, Plan
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.checks import MOST_TESTS
from carillon_directory.domain.commands import Asked, Bounds, UpdateResource
from carillon_directory.domain.outcomes import Conflict, Forbidden, Invalid, Missing, Stale
from carillon_directory.handlers import Directory, Executed, TenantStates
from carillon_directory.looking_back import Page
from carillon_directory.plan_lives import USUAL_CALLS, Changed, Failing, NotTested, PlanLives, TooManyElsewhere
from carillon_directory.ports import ComparedCalls, GateAway, RanTest, RanTests
from carillon_directory.testing import MemoryTenantLog, company_command
from carillon_kit.clock import ManualClock
from carillon_kit.ids import SequenceIds

pytestmark = pytest.mark.feature("R-1", "R-25")
ASKED = Asked(actor="ann", reason="for the summer")
COMPANY: dict[str, Any] = {
    "tenant": {"id": "acme", "realm": "acme.example"},
    "departments": [{"id": "sales", "display_name": "Sales"}],
    "users": [{"id": "anna", "last_name": "A"}, {"id": "ben", "last_name": "B"}],
    "plans": [{"id": "main", "display_name": "Main", "department_id": "sales", "entry": "ring", "nodes": [
        {"id": "ring", "destination": {"destination": {"user_id": "anna"}}},
    ]}],
    "numbers": [{"id": "+41215550100", "destination": {"plan_id": "main"}}],
    "plan_drafts": [{"id": "summer", "plan_id": "main", "entry": "say", "nodes": [
        {"id": "say", "announcement": {"announcements": [{"language": "en", "text": "Hello"}], "next": "ring"}},
        {"id": "ring", "destination": {"destination": {"user_id": "ben"}}},
    ]}],
    "plan_tests": [{"id": "t", "plan_id": "main", "dialled": "+41215550100", "at": "2026-03-02T10:15", "reaches": {"user_id": "ben"}}],
}  # fmt: skip


@dataclass
class Gate:
    """Says of every plan what it is told to; `before` runs while the tests do."""

    tests: tuple[RanTest, ...] = (RanTest("t", True, ("user/ben",)),)
    away: bool = False
    asked: list[tuple[Plan, int]] = field(default_factory=list)
    before: Callable[[], Any] | None = None
    progress: tuple[RanTests, ...] = ()
    #: What a comparison tells.
    compared: tuple[ComparedCalls, ...] = (ComparedCalls(9, 4, 2, 1), ComparedCalls(9, 9, 6, 2, done=True))
    wanted: list[int] = field(default_factory=list)

    async def compare(self, tenant_id: str, plan: Plan, version: int, max_calls: int) -> AsyncGenerator[ComparedCalls, None]:
        self.wanted.append(max_calls)
        for each in self.compared:
            yield each
        if not self.compared:
            raise GateAway("cdr is away")

    async def run(self, tenant_id: str, plan: Plan, version: int) -> AsyncGenerator[RanTests, None]:
        self.asked.append((plan, version))
        if self.before is not None:
            await self.before()
        if self.away:
            raise GateAway("nobody is there")
        for each in self.progress:
            yield each
        if self.tests is not None:
            yield RanTests(len(self.tests), len(self.tests), self.tests)


class World:
    def __init__(self) -> None:
        log = MemoryTenantLog(ManualClock(datetime(2026, 1, 5, 9, tzinfo=UTC)), SequenceIds())
        self.directory = Directory(log, TenantStates(log))
        self.gate = Gate()
        self.lives = PlanLives(self.directory, self.gate)

    async def config(self) -> TenantConfig:
        found = await self.directory.read("acme")
        assert isinstance(found, TenantConfig)
        return found

    async def steps(
        self, asked: Asked = ASKED, etag: str = "", *, draft: str = "summer", tenant: str = "acme", **options: Any
    ) -> list[Any]:
        return [step async for step in self.lives.activate(tenant, asked, draft, etag, **options)]

    async def activate(self, asked: Asked = ASKED, etag: str = "", **options: Any) -> Any:
        return (await self.steps(asked, etag, **options))[-1]

    async def roll_back(self, version: int = 0, *, dry_run: bool = False) -> Any:
        return await self.lives.roll_back("acme", ASKED, "main", "", version, dry_run=dry_run)

    async def change(self, kind: str, name: str, path: str, value: Any) -> None:
        command = UpdateResource(actor="bob", kind=kind, resource_id=name, document={path: value}, paths=(path,))
        assert isinstance(await self.directory.execute("acme", command), Executed)


@pytest.fixture
async def world() -> World:
    made = World()
    assert isinstance(await made.directory.execute("acme", company_command(COMPANY)), Executed)
    return made


async def test_a_draft_whose_tests_pass_takes_its_plans_place_in_one_change(world: World) -> None:
    before = await world.config()
    done = await world.activate()
    assert isinstance(done, Changed)
    after = await world.config()
    assert after.seq == before.seq + 1 == done.version
    assert (after.plans["main"].entry, after.plans["main"].display_name, after.plans["main"].department_id) == ("say", "Main", "sales")
    assert done.nodes == (("say", "created"), ("ring", "updated"))
    assert done.gate.passed
    tested, version = world.gate.asked[0]
    assert (tested.entry, tested.nodes, version) == ("say", done.plan.nodes, before.seq)
    assert "summer" in after.plan_drafts
    past = await world.directory.history("acme", None, 1)
    assert isinstance(past, Page)
    (last,) = past.changes
    assert (last.change.actor, last.change.reason) == ("ann", "draft summer activated: for the summer")


async def test_a_failing_test_or_a_gate_that_is_away_holds_the_draft_up(world: World) -> None:
    before = (await world.config()).seq
    world.gate.tests = (RanTest("t", False, ("user/anna",)),)
    assert await world.activate() == Failing(world.gate.tests)
    world.gate.away = True
    assert isinstance(await world.activate(), NotTested)
    assert (await world.config()).seq == before


async def test_how_far_the_tests_are_is_told_and_tests_that_end_early_hold_the_draft_up(world: World) -> None:
    world.gate.progress = (RanTests(3, 1), RanTests(3, 2))
    steps = await world.steps()
    assert (steps[:2], type(steps[2])) == (list(world.gate.progress), Changed)
    world.gate.tests = None  # type: ignore[assignment]
    assert await world.activate() == NotTested("the tests ended early")


async def test_a_plan_has_as_many_tests_as_every_activation_can_run(world: World) -> None:
    tests = [{**COMPANY["plan_tests"][0], "id": f"t{number}"} for number in range(MOST_TESTS - 1)]
    ordered = await world.directory.execute("acme", company_command({**COMPANY, "plan_tests": tests}))
    assert isinstance(ordered, Executed)
    one_more = await world.directory.execute("acme", company_command({**COMPANY, "plan_tests": [*tests, {**tests[0], "id": "more"}]}))
    assert isinstance(one_more, Invalid)
    ((path, text),) = {(each.field, each.reason) for each in one_more.violations}
    assert (path.split(".")[-1], text) == ("plan_id", "plan 'main' has 200 tests already, which is the most")
    # What is there already may change.
    await world.change("plan_test", "t7", "display_name", "Seven")


async def test_tests_of_other_plans_that_lead_to_a_plan_are_none_of_its_own(world: World) -> None:
    plan, test = COMPANY["plans"][0], COMPANY["plan_tests"][0]
    others = [{**test, "id": f"t{number}", "plan_id": "other", "reaches": {"plan_id": "main"}} for number in range(MOST_TESTS)]
    company = {**COMPANY, "plans": [plan, {**plan, "id": "other"}], "plan_tests": [*others, test]}
    assert isinstance(await world.directory.execute("acme", company_command(company)), Executed)
    one_more = {**company, "plan_tests": [*others, test, {**test, "id": "more"}]}
    assert isinstance(await world.directory.execute("acme", company_command(one_more)), Executed)


async def test_past_calls_hold_a_draft_up_when_more_would_go_elsewhere_than_may(world: World) -> None:
    before = (await world.config()).seq
    steps = await world.steps(past_calls=PastCallsBound(max_calls=9, max_elsewhere=1))
    assert steps == [*world.gate.compared, TooManyElsewhere("main", world.gate.compared[-1], 1)]
    assert (await world.config()).seq == before
    done = await world.activate(past_calls=PastCallsBound(max_elsewhere=2))
    assert (done.gate.passed, done.gate.compared) == (True, world.gate.compared[-1])
    assert world.gate.wanted == [9, USUAL_CALLS]
    assert (await world.config()).plans["main"].entry == "say"


async def test_what_the_plan_wants_of_past_calls_counts_whatever_the_request_says(world: World) -> None:
    await world.change("plan", "main", "past_calls", {"max_calls": 500, "max_elsewhere": 1})
    assert isinstance(await world.activate(), TooManyElsewhere)
    assert isinstance(await world.activate(past_calls=PastCallsBound(max_calls=9, max_elsewhere=5)), TooManyElsewhere)
    assert world.gate.wanted == [500, 500]
    dry = await world.activate(dry_run=True)
    assert (dry.gate.passed, dry.gate.compared) == (False, world.gate.compared[-1])
    done = await world.activate(force=True)
    assert (done.gate.compared, (await world.config()).plans["main"].past_calls.max_calls) == (None, 500)  # type: ignore[union-attr]


async def test_past_calls_that_cannot_be_read_to_the_end_hold_the_draft_up(world: World) -> None:
    for told in ((), (ComparedCalls(9, 4),)):
        world.gate.compared = told
        assert isinstance(await world.activate(past_calls=PastCallsBound()), NotTested)
    world.gate.tests = (RanTest("t", False, ()),)
    assert isinstance(await world.activate(past_calls=PastCallsBound()), Failing)
    assert len(world.gate.wanted) == 2


async def test_who_leaves_during_the_comparison_has_changed_nothing(world: World) -> None:
    before = (await world.config()).seq
    async with aclosing(world.lives.activate("acme", ASKED, "summer", "", past_calls=PastCallsBound())) as steps:
        assert await anext(steps) == world.gate.compared[0]
    assert (await world.config()).seq == before


async def test_force_passes_over_tests_with_a_reason_and_the_right(world: World) -> None:
    world.gate.away = True
    assert isinstance(await world.activate(Asked(actor="ann"), force=True), Invalid)
    department = Asked(actor="ann", reason="now", bounds=Bounds(department="sales"))
    assert isinstance(await world.activate(department, force=True), Missing)
    profile = Asked(actor="ann", reason="now", bounds=Bounds(rights_profile="none"))
    assert isinstance(await world.activate(profile, force=True), Missing | Forbidden)
    done = await world.activate(force=True)
    assert isinstance(done, Changed)
    assert not done.gate.passed
    assert (await world.config()).plans["main"].entry == "say"


async def test_a_dry_run_tells_what_would_be_and_changes_nothing(world: World) -> None:
    before = await world.config()
    world.gate.tests = (RanTest("t", False, ()),)
    done = await world.activate(dry_run=True)
    assert (done.plan.entry, done.gate.passed, done.version) == ("say", False, before.seq)
    assert (await world.config()).seq == before.seq


@pytest.mark.parametrize(
    ("kind", "name", "path", "value"),
    [("plan", "main", "display_name", "X"), ("plan_draft", "summer", "display_name", "X"), ("plan_test", "t", "caller", "+41791112233")],
)
async def test_what_changes_while_the_tests_run_refuses_the_draft(world: World, kind: str, name: str, path: str, value: str) -> None:
    world.gate.before = lambda: world.change(kind, name, path, value)
    refused = await world.activate()
    assert isinstance(refused, Conflict)
    assert refused.conflicts[0][0] == f"{kind}/{name}"
    assert (await world.config()).plans["main"].entry == "ring"


async def test_drafts_that_are_not_there_or_not_the_one_meant_are_refused(world: World) -> None:
    assert await world.activate(draft="winter") == Missing("plan_draft", "winter")
    assert isinstance(await world.activate(etag="0"), Stale)
    assert isinstance(await world.activate(tenant="nobody"), Missing)


async def test_rolling_back_is_one_call_and_can_be_taken_back(world: World) -> None:
    first = (await world.config()).seq
    await world.activate()
    world.gate.away = True
    done = await world.roll_back()
    assert isinstance(done, Changed)
    assert (await world.config()).plans["main"].entry == "ring"
    assert done.gate.away
    await world.roll_back()
    assert (await world.config()).plans["main"].entry == "say"
    await world.roll_back(first)
    assert (await world.config()).plans["main"].entry == "ring"


async def test_a_plan_without_an_earlier_version_stays(world: World) -> None:
    refused = await world.roll_back()
    assert refused == Conflict((("plan/main", "there is no earlier one"),))
    assert isinstance(await world.roll_back(1), Conflict)
    assert isinstance(await world.roll_back(10_000), Invalid)
