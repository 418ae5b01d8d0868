"""A draft becomes the plan that decides calls, and a plan becomes again what it was.

Always: what changes is one resource, in one change; it is refused when the plan, the draft or a test of the plan was changed after the
tests were run.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from carillon_contracts.config import PastCallsBound, Plan, PlanDraft, PlanTest
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.bounds import Reach
from carillon_directory.domain.commands import Asked, PutBack
from carillon_directory.domain.documents import dump
from carillon_directory.domain.outcomes import Conflict, Forbidden, Invalid, Missing, Refused, Stale, Violation
from carillon_directory.handlers import Directory, Executed
from carillon_directory.ports import ComparedCalls, GateAway, PlanGate, RanTest, RanTests

#: Newest calls that are followed where nobody says how many.
USUAL_CALLS = 100_000


@dataclass(frozen=True, slots=True)
class Gate:
    """What the tests said, and past calls where they were wanted; `away`: why that could not be found out, or empty."""

    tests: tuple[RanTest, ...] = ()
    away: str = ""
    compared: ComparedCalls | None = None
    #: Calls that may go elsewhere; None: any number.
    max_elsewhere: int | None = None

    @property
    def passed(self) -> bool:
        """Every test was run and passed, and no more calls would go elsewhere than may."""
        return not self.away and all(test.passed for test in self.tests) and not self.too_many

    @property
    def too_many(self) -> bool:
        """More calls would go elsewhere than may."""
        return self.compared is not None and self.max_elsewhere is not None and self.compared.elsewhere > self.max_elsewhere


@dataclass(frozen=True, slots=True)
class Changed:
    """The plan as it is, or would be, what becomes of its nodes, what its tests say, and the version of the configuration."""

    plan: Plan
    nodes: tuple[tuple[str, str], ...]
    gate: Gate
    version: int


@dataclass(frozen=True, slots=True)
class NotTested:
    """The tests could not be run, so the plan does not change."""

    why: str


@dataclass(frozen=True, slots=True)
class Failing:
    """These tests hold the draft up."""

    tests: tuple[RanTest, ...]


@dataclass(frozen=True, slots=True)
class TooManyElsewhere:
    """Past calls hold the draft up."""

    plan_id: str
    compared: ComparedCalls
    max_elsewhere: int


#: How an activation ends.
Activated = Changed | Refused | NotTested | Failing | TooManyElsewhere


class PlanLives:
    """Of all tenants."""

    def __init__(self, directory: Directory, gate: PlanGate) -> None:
        self._directory = directory
        self._gate = gate

    async def activate(
        self,
        tenant_id: str,
        asked: Asked,
        draft_id: str,
        etag: str,
        *,
        force: bool = False,
        dry_run: bool = False,
        past_calls: PastCallsBound | None = None,
    ) -> AsyncGenerator[RanTests | ComparedCalls | Activated, None]:
        """How far the tests are, and the comparison where one is wanted, and last how it ended. Raises `TooBusy`.

        In a dry run what would refuse the draft, or cannot be found out, is told and refuses nothing."""
        config = await self._directory.read(tenant_id)
        if not isinstance(config, TenantConfig):
            yield config
            return
        draft = config.plan_drafts.get(draft_id)
        if draft is None:
            yield Missing(PlanDraft.KIND, draft_id)
            return
        if (unfit := self._unfit(config, draft, asked, etag, force=force)) is not None:
            yield unfit
            return
        reason = f"draft {draft_id} activated{' by force' if force else ''}{': ' if asked.reason else ''}{asked.reason}"
        plan = draft.plan(config.plans.get(draft.plan_id))
        expected = {(PlanDraft.KIND, draft_id): draft.etag}
        change = await self._change(config, replace(asked, reason=reason), plan, expected)
        if isinstance(change, Refused):
            yield change
            return
        gate = Gate()
        async with aclosing(self._run(tenant_id, plan, config.seq)) as tests:
            async for ran in tests:
                if isinstance(ran, RanTests):
                    yield ran
                else:
                    gate = ran
        wanted = _wanted(past_calls, None if force else plan.past_calls)
        if wanted is not None and (dry_run or force or gate.passed):
            async with aclosing(self._compared(config, plan, gate, wanted)) as comparison:
                async for found in comparison:
                    if isinstance(found, ComparedCalls):
                        yield found
                    else:
                        gate = found
        held = None if force or dry_run else _held_up(plan, gate)
        yield held or await self._done(config, change, plan, gate, dry_run)

    def _unfit(self, config: TenantConfig, draft: PlanDraft, asked: Asked, etag: str, *, force: bool) -> Refused | None:
        """Why the draft cannot be activated whatever its tests say."""
        if not Reach.of(config, asked.bounds).covers(draft):
            return Missing(PlanDraft.KIND, draft.id)
        if etag and etag != draft.etag:
            return Stale(PlanDraft.KIND, draft.id, draft.etag)
        if force and not asked.reason:
            return Invalid((Violation("reason", "is required when tests are passed over"),))
        if force and not asked.bounds.whole:
            return Forbidden("tests are passed over only by who may change the whole tenant")
        return None

    async def _compared(
        self, config: TenantConfig, plan: Plan, gate: Gate, wanted: PastCallsBound
    ) -> AsyncGenerator[ComparedCalls | Gate, None]:
        """The progress, and last the gate with what was found."""
        last = ComparedCalls()
        try:
            async with aclosing(self._gate.compare(config.tenant_id, plan, config.seq, wanted.max_calls)) as comparison:
                async for last in comparison:
                    yield last
        except GateAway as away:
            yield replace(gate, away=str(away))
            return
        done = replace(gate, compared=last, max_elsewhere=wanted.max_elsewhere)
        yield done if last.done else replace(gate, away="the comparison of past calls ended early")

    async def roll_back(self, tenant_id: str, asked: Asked, plan_id: str, etag: str, version: int, *, dry_run: bool) -> Changed | Refused:
        """To what the plan was at a version, or (0) before its last change. Raises `TooBusy`."""
        config = await self._directory.read(tenant_id)
        if not isinstance(config, TenantConfig):
            return config
        now = config.plans.get(plan_id)
        if now is None or not Reach.of(config, asked.bounds).covers(now):
            return Missing(Plan.KIND, plan_id)
        if etag and etag != now.etag:
            return Stale(Plan.KIND, plan_id, now.etag)
        then = await self._before(config, now, version)
        if not isinstance(then, Plan):
            return then
        reason = f"rolled back{f' to version {version}' if version else ''}{': ' if asked.reason else ''}{asked.reason}"
        change = await self._change(config, replace(asked, reason=reason), then, {})
        if isinstance(change, Refused):
            return change
        async with aclosing(self._run(tenant_id, then, config.seq)) as tests:
            gate = [each async for each in tests if isinstance(each, Gate)][-1]
        return await self._done(config, change, then, gate, dry_run)

    async def _before(self, config: TenantConfig, now: Plan, version: int) -> Plan | Refused:
        if version:
            past = await self._directory.read(config.tenant_id, version)
            if not isinstance(past, TenantConfig):
                return past
            found = past.plans.get(now.id)
        else:
            last = await self._directory.history(config.tenant_id, None, 1, Plan.KIND, now.id)
            if isinstance(last, Refused):
                return last
            before = last.changes[0].change.before if last.changes else None
            found = Plan.model_validate(before) if before is not None else None
        why = f"it did not exist at version {version}" if version else "there is no earlier one"
        return found or Conflict(((f"plan/{now.id}", why),))

    async def _change(self, config: TenantConfig, asked: Asked, plan: Plan, expected: dict[tuple[str, str], str]) -> PutBack | Refused:
        """The command, after a look at whether it would be taken."""
        now = config.plans.get(plan.id)
        tests = {(PlanTest.KIND, test.id): test.etag for test in config.plan_tests.values() if test.plan_id == plan.id}
        command = PutBack(
            actor=asked.actor,
            reason=asked.reason,
            bounds=asked.bounds,
            then={(Plan.KIND, plan.id): dump(plan)},
            expected={(Plan.KIND, plan.id): now.etag if now is not None else "", **expected, **tests},
        )
        tried = await self._directory.execute(config.tenant_id, command, dry_run=True)
        return tried if isinstance(tried, Refused) else command

    async def _run(self, tenant_id: str, plan: Plan, version: int) -> AsyncGenerator[RanTests | Gate, None]:
        """The progress, and last the gate with what was found."""
        last = RanTests()
        try:
            async with aclosing(self._gate.run(tenant_id, plan, version)) as tests:
                async for last in tests:
                    if last.results is None:
                        yield last
        except GateAway as away:
            yield Gate(away=str(away))
            return
        yield Gate(away="the tests ended early") if last.results is None else Gate(last.results)

    async def _done(self, config: TenantConfig, command: PutBack, plan: Plan, gate: Gate, dry_run: bool) -> Changed | Refused:
        nodes = _node_changes(config.plans.get(plan.id), plan)
        if dry_run:
            return Changed(plan, nodes, gate, config.seq)
        executed = await self._directory.execute(config.tenant_id, command)
        if not isinstance(executed, Executed):
            return executed
        return Changed(executed.config.plans[plan.id], nodes, gate, executed.config.seq)


def _wanted(*bounds: PastCallsBound | None) -> PastCallsBound | None:
    """What satisfies all of them; None: nothing is wanted."""
    given = [bound for bound in bounds if bound is not None]
    narrow = [bound.max_elsewhere for bound in given if bound.max_elsewhere is not None]
    most = max((bound.max_calls or USUAL_CALLS for bound in given), default=0)
    return PastCallsBound(max_calls=most, max_elsewhere=min(narrow, default=None)) if given else None


def _held_up(plan: Plan, gate: Gate) -> NotTested | Failing | TooManyElsewhere | None:
    if gate.away:
        return NotTested(gate.away)
    if failing := tuple(test for test in gate.tests if not test.passed):
        return Failing(failing)
    if gate.too_many and gate.compared is not None:
        return TooManyElsewhere(plan.id, gate.compared, gate.max_elsewhere or 0)
    return None


def _node_changes(before: Plan | None, after: Plan) -> tuple[tuple[str, str], ...]:
    """(node, `created`, `updated` or `deleted`), in the order of the plans."""
    old = {node.id: node for node in before.nodes} if before is not None else {}
    new = {node.id: node for node in after.nodes}
    kept = [(name, "created" if name not in old else "updated") for name, node in new.items() if old.get(name) != node]
    return (*kept, *((name, "deleted") for name in old if name not in new))
