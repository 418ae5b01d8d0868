"""For tests: the log in memory, which passes the same contract suite as the one on Postgres, and tenants made of documents."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime
from typing import Any

from carillon_contracts.config import RESOURCES, ConfigChanged, Resource, Tenant
from carillon_contracts.tenant_config import TenantConfig, evolve
from carillon_directory.domain.claims import Claim, claim_changes
from carillon_directory.domain.commands import EVERYTHING, ApplyCompany, Bounds, Command
from carillon_directory.domain.decide import decide
from carillon_directory.domain.outcomes import Accepted
from carillon_directory.ports import Message, Outrun, Recorded
from carillon_kit.clock import Clock
from carillon_kit.ids import Ids

SPARE_PASSWORD = "made-by-the-directory"


class MemoryTenantLog:
    """`TenantLog` in memory."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids
        self._logs: dict[str, list[Recorded]] = {}
        self._holders: dict[Claim, str] = {}
        self._ends: dict[str, list[int]] = {}

    async def load(self, tenant_id: str, after: int = 0, up_to: int | None = None) -> list[Recorded]:
        """As the protocol."""
        return self._logs.get(tenant_id, [])[after:up_to]

    async def append(self, tenant_id: str, expected: int, changes: Sequence[ConfigChanged], news: Sequence[Message] = ()) -> None:
        """As the protocol; `news` go nowhere."""
        log = self._logs.get(tenant_id, [])
        moved = claim_changes(changes)
        if len(log) != expected or await self.taken_elsewhere(tenant_id, moved.taken):
            raise Outrun(f"{tenant_id} is at version {len(log)}, not {expected}, or a claim was taken")
        now = self._clock.now()
        added = [Recorded(expected + index, now, self._ids.uuid7(), change) for index, change in enumerate(changes, start=1)]
        self._logs[tenant_id] = [*log, *added]
        self._ends.setdefault(tenant_id, []).append(expected + len(added))
        for claim in moved.released:
            self._holders.pop(claim, None)
        self._holders |= dict.fromkeys(moved.taken, tenant_id)

    def rewrite(self, tenant_id: str, change: Callable[[ConfigChanged], ConfigChanged]) -> None:
        """Let every change have been another from the beginning."""
        self._logs[tenant_id] = [replace(each, change=change(each.change)) for each in self._logs[tenant_id]]

    async def head(self, tenant_id: str) -> int:
        """As the protocol."""
        return len(self._logs.get(tenant_id, []))

    async def one(self, tenant_id: str, kind: str, resource_id: str, version: int) -> Resource | None:
        """As the protocol."""
        changes = (each.change for each in reversed(await self.load(tenant_id, 0, version)))
        last = next((each for each in changes if (each.resource, each.resource_id) == (kind, resource_id)), None)
        return None if last is None or last.after is None else RESOURCES[kind].model_validate(last.after)

    async def past_of(self, tenant_id: str, kind: str, resource_id: str, before: int, limit: int) -> list[Recorded]:
        """As the protocol."""
        older = reversed(self._logs.get(tenant_id, [])[: before - 1])
        return [each for each in older if (each.change.resource, each.change.resource_id) == (kind, resource_id)][:limit]

    async def version_at(self, tenant_id: str, moment: datetime) -> int:
        """As the protocol."""
        return max((each.version for each in self._logs.get(tenant_id, []) if each.at <= moment), default=0)

    async def whole(self, tenant_id: str, version: int) -> int:
        """As the protocol."""
        return min((end for end in self._ends.get(tenant_id, []) if end >= version > 0), default=version)

    async def tenants(self) -> list[str]:
        """As the protocol."""
        return sorted(self._logs)

    async def taken_elsewhere(self, tenant_id: str, claims: AbstractSet[Claim]) -> frozenset[Claim]:
        """As the protocol."""
        return frozenset(claim for claim in claims if self._holders.get(claim, tenant_id) != tenant_id)


def documents_of(company: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """A company as people write it (`tenant`, `users`, ...) by kind of resource."""
    found = {kind: list(company.get(model.PLURAL, ())) for kind, model in RESOURCES.items() if model is not Tenant}
    return found | {Tenant.KIND: [company["tenant"]]}


def company_command(company: Mapping[str, Any], *, prune: bool = False, bounds: Bounds = EVERYTHING) -> ApplyCompany:
    """The command that applies a company as an operator; credentials without a password get `SPARE_PASSWORD`."""
    spare = {str(each.get("id")): SPARE_PASSWORD for each in company.get("sip_credentials", ())}
    return ApplyCompany(actor="tester", documents=documents_of(company), prune=prune, bounds=bounds, spare_passwords=spare)


def given(company: Mapping[str, Any]) -> TenantConfig:
    """The configuration of a tenant to whom the company was applied."""
    return after(TenantConfig(company["tenant"]["id"]), company_command(company))


def after(config: TenantConfig, command: Command) -> TenantConfig:
    """The configuration that an accepted command makes; raises `AssertionError` with the refusal otherwise."""
    decision = decide(config, command)
    if not isinstance(decision, Accepted):
        raise AssertionError(decision)
    for change in decision.changes:
        config = evolve(config, config.seq + 1, change)
    return config
