"""A draft becomes the plan that decides calls, and a plan becomes again what it was.

Always: what changes is one resource, in one change; it is refused when the plan, the draft or a test of the plan was changed after the
tests were run.
"""

from dataclasses import dataclass, replace

from carillon_contracts.config import Plan, PlanDraft, PlanTest
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.bounds import Reach
from carillon_directory.domain.commands import Asked, PutBack
from carillon_directory.domain.documents import dump
from carillon_directory.domain.outcomes import Conflict, Forbidden, Invalid, Missing, Refused, Stale, Violation
from carillon_directory.handlers import Directory, Executed
from carillon_directory.ports import GateAway, PlanGate, RanTest


@dataclass(frozen=True, slots=True)
class Gate:
    """What the tests said; `away`: why they could not be run, or empty."""

    tests: tuple[RanTest, ...] = ()
    away: str = ""

    @property
    def passed(self) -> bool:
        """Every test was run and passed."""
        return not self.away and all(test.passed for test in self.tests)


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


class PlanLives:
    """Of all tenants."""

    def __init__(self, directory: Directory, gate: PlanGate) -> None:
        self._directory = directory
        self._gate = gate

    async def activate(
        self, tenant_id: str, asked: Asked, draft_id: str, etag: str, *, force: bool, dry_run: bool
    ) -> Changed | Refused | NotTested | Failing:
        """Raises `TooBusy`. In a dry run tests that fail, or cannot be run, are told and refuse nothing."""
        config = await self._directory.read(tenant_id)
        if not isinstance(config, TenantConfig):
            return config
        draft = config.plan_drafts.get(draft_id)
        if draft is None or not Reach.of(config, asked.bounds).covers(draft):
            return Missing(PlanDraft.KIND, draft_id)
        if etag and etag != draft.etag:
            return Stale(PlanDraft.KIND, draft_id, draft.etag)
        if force and not asked.reason:
            return Invalid((Violation("reason", "is required when tests are passed over"),))
        if force and not asked.bounds.whole:
            return Forbidden("tests are passed over only by who may change the whole tenant")
        reason = f"draft {draft_id} activated{' by force' if force else ''}{': ' if asked.reason else ''}{asked.reason}"
        plan = draft.plan(config.plans.get(draft.plan_id))
        expected = {(PlanDraft.KIND, draft_id): draft.etag}
        change = await self._change(config, replace(asked, reason=reason), plan, expected)
        if isinstance(change, Refused):
            return change
        gate = await self._run(tenant_id, plan, config.seq)
        if not force and not dry_run:
            if gate.away:
                return NotTested(gate.away)
            if not gate.passed:
                return Failing(tuple(test for test in gate.tests if not test.passed))
        return await self._done(config, change, plan, gate, dry_run)

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
        return await self._done(config, change, then, await self._run(tenant_id, then, config.seq), dry_run)

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
            before = last[0].change.before if last else None
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

    async def _run(self, tenant_id: str, plan: Plan, version: int) -> Gate:
        try:
            return Gate(await self._gate.run(tenant_id, plan, version))
        except GateAway as away:
            return Gate(away=str(away))

    async def _done(self, config: TenantConfig, command: PutBack, plan: Plan, gate: Gate, dry_run: bool) -> Changed | Refused:
        nodes = _node_changes(config.plans.get(plan.id), plan)
        if dry_run:
            return Changed(plan, nodes, gate, config.seq)
        executed = await self._directory.execute(config.tenant_id, command)
        if not isinstance(executed, Executed):
            return executed
        return Changed(executed.config.plans[plan.id], nodes, gate, executed.config.seq)


def _node_changes(before: Plan | None, after: Plan) -> tuple[tuple[str, str], ...]:
    """(node, `created`, `updated` or `deleted`), in the order of the plans."""
    old = {node.id: node for node in before.nodes} if before is not None else {}
    new = {node.id: node for node in after.nodes}
    kept = [(name, "created" if name not in old else "updated") for name, node in new.items() if old.get(name) != node]
    return (*kept, *((name, "deleted") for name in old if name not in new))
