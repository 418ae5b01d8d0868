"""Administrators of two tenants at three processes at once, in every order that the log may answer in: no update is lost, and what may
stand once stands once."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from typing import Literal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from carillon_contracts.config import ConfigChanged
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.claims import Claim
from carillon_directory.domain.commands import CreateResource, DeleteResource, Document, UpdateResource
from carillon_directory.handlers import Directory, Executed, TenantStates, TooBusy
from carillon_directory.ports import Message, Recorded
from carillon_directory.testing import MemoryTenantLog, company_command
from carillon_kit.clock import ManualClock
from carillon_kit.ids import SequenceIds

from .test_invariants import check

TENANTS = ("acme", "beta")
#: What only one may have: in a tenant the digits, in the installation the number.
WANTED: dict[str, Document] = {
    "extension": {"id": "777", "destination": {"user_id": "ann"}},
    "short_code": {"id": "taxi", "code": "777", "number": "+41215550100"},
    "contact": {"id": "friend", "last_name": "F", "phone": "+41795550100", "short_number": "777"},
    "number": {"id": "+41215550101"},
}


@dataclass(frozen=True)
class Step:
    tenant: str
    what: Literal["count", "take", "give_back"]
    kind: str


STEPS = st.builds(Step, st.sampled_from(TENANTS), st.sampled_from(["count", "take", "take", "give_back"]), st.sampled_from(sorted(WANTED)))


class SlowLog(MemoryTenantLog):
    """Lets others go first, as often as it is told."""

    def __init__(self, turns: Sequence[int]) -> None:
        super().__init__(ManualClock(datetime(2026, 1, 5, 9, tzinfo=UTC)), SequenceIds())
        self._turns = cycle(turns or (0,))
        #: A transaction is under way: nobody comes between its parts.
        self._whole = False

    async def _others(self) -> None:
        for _ in range(next(self._turns)):
            await asyncio.sleep(0)

    async def load(self, tenant_id: str, after: int = 0, up_to: int | None = None) -> list[Recorded]:
        await self._others()
        return await super().load(tenant_id, after, up_to)

    async def append(self, tenant_id: str, expected: int, changes: Sequence[ConfigChanged], news: Sequence[Message] = ()) -> None:
        await self._others()
        self._whole = True
        try:
            await super().append(tenant_id, expected, changes, news)
        finally:
            self._whole = False

    async def taken_elsewhere(self, tenant_id: str, claims: AbstractSet[Claim]) -> frozenset[Claim]:
        if not self._whole:
            await self._others()
        return await super().taken_elsewhere(tenant_id, claims)


async def done(directory: Directory, step: Step) -> bool:
    """Whether it was accepted."""
    if step.what == "count":
        config = await directory.read(step.tenant)
        assert isinstance(config, TenantConfig)
        ann = config.users["ann"]
        seconds = {"ring_seconds": ann.ring_seconds + 1}
        command: UpdateResource | CreateResource | DeleteResource = UpdateResource(
            actor="x", kind="user", resource_id="ann", document=seconds, paths=("ring_seconds",), etag=ann.etag
        )
    elif step.what == "take":
        command = CreateResource(actor="x", kind=step.kind, document=WANTED[step.kind])
    else:
        command = DeleteResource(actor="x", kind=step.kind, resource_id=str(WANTED[step.kind]["id"]))
    try:
        return isinstance(await directory.execute(step.tenant, command), Executed)
    except TooBusy:
        return False


async def played(admins: Sequence[Sequence[Step]], turns: Sequence[int]) -> None:
    log = SlowLog(turns)
    replicas = [Directory(log, TenantStates(log), attempts=3) for _ in range(3)]
    for tenant in TENANTS:
        made = {"tenant": {"id": tenant, "realm": f"{tenant}.example"}, "users": [{"id": "ann", "last_name": "A", "ring_seconds": 20}]}
        assert isinstance(await replicas[0].execute(tenant, company_command(made)), Executed)
    accepted: list[Step] = []

    async def admin(directory: Directory, steps: Sequence[Step]) -> None:
        for step in steps:
            if await done(directory, step):
                accepted.append(step)

    async with asyncio.TaskGroup() as group:
        for place, steps in enumerate(admins):
            group.create_task(admin(replicas[place % 3], steps))
    counted = Counter((step.tenant, step.what) for step in accepted)
    holders = 0
    for tenant in TENANTS:
        config = await Directory(log, TenantStates(log)).read(tenant)
        assert isinstance(config, TenantConfig)
        check(config)
        assert config.users["ann"].ring_seconds == 20 + counted[tenant, "count"]
        have = {kind: len(config.resources.get(kind, {})) for kind in WANTED}
        kept = Counter(step.kind for step in accepted if (step.tenant, step.what) == (tenant, "take"))
        kept.subtract(step.kind for step in accepted if (step.tenant, step.what) == (tenant, "give_back"))
        assert have == {kind: kept[kind] for kind in WANTED}
        assert have["extension"] + have["short_code"] + have["contact"] <= 1
        holders += have["number"]
    assert holders <= 1


@pytest.mark.feature("D-22", "D-4", "P-1")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@for_all(st.lists(st.lists(STEPS, max_size=6), min_size=2, max_size=5), st.lists(st.integers(0, 4), max_size=12))
def test_whoever_is_first_no_update_is_lost_and_nothing_stands_twice(admins: list[list[Step]], turns: list[int]) -> None:
    asyncio.run(played(admins, turns))
