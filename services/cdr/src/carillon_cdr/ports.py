"""What the handlers need from outside: the ledger, the records and what is published.

Always: everything done in one `LedgerTransaction` is kept together or not at all.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from carillon_cdr.domain.ledger import CallKey, Entry
from carillon_cdr.domain.whose import Share
from carillon_contracts.envelope import Event
from carillon_contracts.record import CallRecorded
from carillon_contracts.rights import Names
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.errors import Unavailable

Place = tuple[str, str, int]


class LedgerUnavailable(Unavailable):
    """The database is away or too busy; the same again later. `reason`, and what `str` gives, is for the log: clients are not told."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class Configurations(Protocol):
    """The tenants' configurations of now."""

    def of(self, tenant: str) -> TenantConfig:
        """A tenant's; version 0 when nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Made:
    """A record, the event that publishes it, and whose it is."""

    record: CallRecorded
    event: Event
    shares: Sequence[Share]


class LedgerTransaction(Protocol):
    """One unit of writing; nobody else writes to the locked calls meanwhile."""

    async def lock(self, calls: Collection[CallKey]) -> None:
        """Wait for and keep the right to write to these calls; deadlock-free when done once, first."""

    async def insert(self, entries: Sequence[Entry]) -> set[Place]:
        """Store what is new; returns the places that were free."""

    async def bodies(self, places: Sequence[Place]) -> Mapping[Place, bytes]:
        """What lies at these places."""

    async def flag(self, conflicts: Sequence[Entry]) -> None:
        """Keep entries whose place was taken by another content; the same one twice is kept once."""

    async def ended(self, calls: Collection[CallKey]) -> Mapping[CallKey, Sequence[Event]]:
        """Of these calls, those that have an end and no record, with all their events."""

    async def save(self, records: Sequence[Made]) -> None:
        """Store the records with whose they are, and their events for publication."""


class Ledger(Protocol):
    """Where call events are kept."""

    def transaction(self) -> AbstractAsyncContextManager[LedgerTransaction]:
        """Begin; commits at the end of the block, rolls back when it raises. Raises `LedgerUnavailable`."""

    async def complete(self, calls: Mapping[CallKey, int]) -> set[CallKey]:
        """Which of the calls have every event from 1 to the given seq."""

    async def events(self, call: CallKey) -> list[bytes]:
        """A call's events by seq, at most 10,000."""


@dataclass(frozen=True, slots=True)
class CallDecisions:
    """An ended call and its events `routing_decided` by seq."""

    call_id: str
    started_at: datetime
    events: tuple[bytes, ...]


class Decisions(Protocol):
    """Where the decisions of many calls are read."""

    async def count(self, tenant: str, after: datetime | None, before: datetime | None, limit: int) -> int:
        """How many ended calls there are, at most `limit`."""

    async def page(
        self, tenant: str, after: datetime | None, before: datetime | None, last: tuple[datetime, str] | None, limit: int
    ) -> Sequence[CallDecisions]:
        """Newest call first; `last` is (started_at, call_id) of the last one that was read."""


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Every filter that is set must hold; `after` is inclusive, `before` exclusive, on `started_at`."""

    after: datetime | None = None
    before: datetime | None = None
    status: str | None = None
    direction: str | None = None
    #: Caller, dialled or answered_by.
    party: str | None = None
    #: A phone of this user was rung.
    rung_user_id: str | None = None
    #: This user called, was rung, or has the mailbox that the call came to.
    user_id: str | None = None
    #: It is of one of these, as `rights.whose` names them.
    whose: Names | None = None


class Records(Protocol):
    """Where the records are read."""

    async def get(self, call: CallKey, reached: Names | None) -> CallRecorded | None:
        """One record, for who reaches these names (`rights.reach`)."""

    async def list(
        self, tenant: str, where: RecordFilter, reached: Names | None, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[CallRecorded]:
        """Newest first, for who reaches these names; `after` is (started_at, call_id) of the last one that was read."""


#: Says that something waits in the outbox.
Wake = Callable[[], None]
