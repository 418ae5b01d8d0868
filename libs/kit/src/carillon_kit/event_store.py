"""Streams of events with expected versions, on Postgres or in memory.

Invariant: versions of a stream are gap-free from 1, and reading by `Cursor` sees the events of a stream in version order and
never skips one that commits late.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import asyncpg

from carillon_kit.clock import Clock, SystemClock


class VersionConflict(Exception):
    """The stream is not at the version that the writer had read."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"{stream} is at version {actual}, not {expected}")
        self.stream, self.expected, self.actual = stream, expected, actual


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to append; `data` and `meta` hold JSON values only."""

    type: str
    data: dict[str, Any]
    event_id: UUID
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the order of all events: transaction, then position in it. `Cursor()` is before the first."""

    xid: int = 0
    position: int = 0


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event of a stream; `cursor` is its place among all events."""

    position: int
    stream: str
    version: int
    event_id: UUID
    type: str
    data: dict[str, Any]
    meta: dict[str, Any]
    at: datetime
    cursor: Cursor = Cursor()


class EventStore(Protocol):
    """Append-only streams."""

    async def append(self, stream: str, expected_version: int, events: Sequence[NewEvent]) -> list[StoredEvent]:
        """Add `events` after `expected_version` (0: a new stream) or raise `VersionConflict`; all or none."""

    async def load(self, stream: str, after_version: int = 0, up_to_version: int | None = None) -> list[StoredEvent]:
        """The stream's events with `after_version` < version <= `up_to_version`, in order."""

    async def streams(self, prefix: str = "") -> list[str]:
        """Names of the streams that begin with `prefix`, sorted."""

    async def read_all(self, after: Cursor = Cursor(), limit: int = 1000) -> list[StoredEvent]:
        """Events of all streams after a cursor, only those that no running transaction can still precede."""


class PostgresEventStore:
    """`EventStore` on the table `event` of the service's schema."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool

    async def append(self, stream: str, expected_version: int, events: Sequence[NewEvent], connection: Any = None) -> list[StoredEvent]:
        """As the protocol; with `connection`, inside the caller's transaction."""
        raise NotImplementedError

    async def load(self, stream: str, after_version: int = 0, up_to_version: int | None = None) -> list[StoredEvent]:
        """As the protocol."""
        raise NotImplementedError

    async def streams(self, prefix: str = "") -> list[str]:
        """As the protocol."""
        raise NotImplementedError

    async def read_all(self, after: Cursor = Cursor(), limit: int = 1000) -> list[StoredEvent]:
        """As the protocol."""
        raise NotImplementedError


class MemoryEventStore:
    """The twin in memory."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    async def append(self, stream: str, expected_version: int, events: Sequence[NewEvent]) -> list[StoredEvent]:
        """As the protocol."""
        raise NotImplementedError

    async def load(self, stream: str, after_version: int = 0, up_to_version: int | None = None) -> list[StoredEvent]:
        """As the protocol."""
        raise NotImplementedError

    async def streams(self, prefix: str = "") -> list[str]:
        """As the protocol."""
        raise NotImplementedError

    async def read_all(self, after: Cursor = Cursor(), limit: int = 1000) -> list[StoredEvent]:
        """As the protocol."""
        raise NotImplementedError
