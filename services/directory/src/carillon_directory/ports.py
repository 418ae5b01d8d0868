"""What the directory needs of the outside: a log of changes for each tenant, with claims that hold in the whole installation."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from carillon_contracts.config import ConfigChanged, Plan, Resource
from carillon_contracts.envelope import EventData
from carillon_contracts.erasure import PersonErasureOrdered
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.claims import Claim
from carillon_directory.domain.commands import Asked
from carillon_directory.domain.erasing.decide import Erasing


class Outrun(Exception):
    """Another writer was first: the tenant is at another version, or a claim was taken meanwhile. Nothing was stored; decide again."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A stored change; `version` is the configuration's version that it made."""

    version: int
    at: datetime
    event_id: UUID
    change: ConfigChanged


#: By tenant the version that it has, and what is stored after it.
Appends = Mapping[str, tuple[int, Sequence[ConfigChanged]]]


#: What is published with a change: a stream, and as `kit.outbox` has it (message id, subject, payload).
Message = tuple[str, tuple[UUID, str, bytes]]
#: By the configuration before a command, and its changes: what is published with them.
News = Callable[[TenantConfig, Asked, Sequence[ConfigChanged]], Sequence[Message]]


class TenantLog(Protocol):
    """Every tenant's changes, versions gap-free from 1."""

    async def load(self, tenant_id: str, after: int = 0, up_to: int | None = None) -> list[Recorded]:
        """Changes with `after` < version <= `up_to`, in order."""

    async def append(self, tenant_id: str, expected: int, changes: Sequence[ConfigChanged], news: Sequence[Message] = ()) -> None:
        """Store all of the changes after version `expected`, move their claims and have `news` published, in one transaction; raises
        `Outrun`."""

    async def head(self, tenant_id: str) -> int:
        """The newest version; 0 if there is no such tenant."""

    async def one(self, tenant_id: str, kind: str, resource_id: str, version: int) -> Resource | None:
        """One resource as of a version; None if it was not there."""

    async def past_of(self, tenant_id: str, kind: str, resource_id: str, before: int, limit: int) -> list[Recorded]:
        """At most `limit` changes of one resource below version `before`, newest first."""

    async def version_at(self, tenant_id: str, moment: datetime) -> int:
        """The version that was current at a moment; 0 before the tenant existed."""

    async def whole(self, tenant_id: str, version: int) -> int:
        """The last version that was stored together with this one; the version itself if it was not stored."""

    async def tenants(self) -> list[str]:
        """Ids of all tenants that ever were, sorted."""

    async def taken_elsewhere(self, tenant_id: str, claims: AbstractSet[Claim]) -> frozenset[Claim]:
        """Those of the claims that another tenant holds now."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """A person who is being erased, or was; `order` is there until all is done. `counts`: by service, then by what."""

    erasure_id: UUID
    tenant_id: str
    pseudonym: str
    requested_by: str
    requested_at: datetime
    rewritten_at: datetime | None
    #: 0: the log is not rewritten yet.
    round: int
    order: PersonErasureOrdered | None = field(repr=False)
    #: Services that carried this round out.
    answered: frozenset[str]
    counts: Mapping[str, Mapping[str, int]]
    waits_for: str
    done_at: datetime | None


class ErasureLog(Protocol):
    """Where erasures begin."""

    async def begin(self, tenant_id: str, expected: int, erasing: Erasing, by: str, reason: str) -> None:
        """Store the changes after version `expected` and what is to follow, and end the person's login; raises `Outrun`."""


class Realms(Protocol):
    """Whose a realm is."""

    async def tenant_of(self, realm: str) -> str | None:
        """The tenant, or None."""


class Audit(Protocol):
    """The trail of what concerns security."""

    def tell(self, tenant: str, event: EventData, about: str) -> None:
        """Publish soon; never waits. An empty tenant is the operator's."""


class GateAway(Exception):
    """Nobody ran the tests in time; the text says why."""


@dataclass(frozen=True, slots=True)
class RanTest:
    """What became of a plan's test, where its call came by, and what it missed."""

    test_id: str
    passed: bool
    reached: tuple[str, ...]
    missed: str = ""


@dataclass(frozen=True, slots=True)
class MovedCalls:
    """Calls that would go the same other way, step by step, and some of them."""

    now: tuple[str, ...]
    draft: tuple[str, ...]
    calls: int
    call_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ComparedCalls:
    """Past calls followed with a plan of now and with what may take its place: so far, or (`done`) all with the largest groups."""

    total: int = 0
    read: int = 0
    by_plan: int = 0
    elsewhere: int = 0
    not_followed: int = 0
    done: bool = False
    groups: tuple[MovedCalls, ...] = ()
    ungrouped: int = 0
    #: Comparisons that come before.
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class RanTests:
    """How many tests were run, of how many; `results` when all were: of the plan's, and of others that would pass no more."""

    total: int = 0
    ran: int = 0
    results: tuple[RanTest, ...] | None = None


class PlanGate(Protocol):
    """Runs the tests of plans, and follows past calls, on a plan that does not decide calls yet."""

    def run(self, tenant_id: str, plan: Plan, version: int) -> AsyncGenerator[RanTests, None]:
        """With `plan` in its place in that version of the configuration, or a newer one; the last one has `results`. Raises `GateAway`."""
        ...

    def compare(self, tenant_id: str, plan: Plan, version: int, max_calls: int) -> AsyncGenerator[ComparedCalls, None]:
        """The same with past calls: so many of the newest (0: as many as is usual); the last one is `done`. Raises `GateAway`."""
        ...
