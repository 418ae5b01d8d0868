"""Streams of events with expected versions, on Postgres or in memory.

Invariant: versions of a stream are gap-free from 1, and reading by `Cursor` sees the events of a stream in version order and
never skips one that commits late: identity order is not commit order, so the order of reading is (transaction id, position), and
only transactions before the oldest one that still runs are read.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import asyncpg
import orjson

from carillon_kit.clock import Clock, SystemClock

#: NOTIFY channel that wakes relays; the payload is the schema.
CHANNEL = "carillon_event"

# The lock comes before the transaction's first write, which is what gives it its id: so of two writers of one stream the one
# that commits first has the lower id too, and id order is version order.
_LOCK = "select pg_advisory_xact_lock(hashtextextended(current_schema() || '/' || $1, 0))"
_VERSION = "select coalesce(max(version), 0) from event where stream = $1"
_STORE = """
    insert into event (stream, version, event_id, type, data, meta)
    select $1, $2 + ordinality, event_id, type, data, meta
      from unnest($3::uuid[], $4::text[], $5::text[]::jsonb[], $6::text[]::jsonb[]) with ordinality
           as new (event_id, type, data, meta, ordinality)
     order by ordinality
"""
_NOTIFY = f"select pg_notify('{CHANNEL}', current_schema())"
_INSERT = f"""
with stored as ({_STORE} returning position, version, at),
notified as (select pg_notify('{CHANNEL}', current_schema()))
select stored.* from stored, notified order by version
"""
_LOAD = """
select position, stream, version, event_id, type, data, meta, at from event
 where stream = $1 and version > $2 and ($3::int is null or version <= $3) order by version
"""
_REWRITE = """
update event set data = new.data from unnest($2::int[], $3::text[]::jsonb[]) as new (version, data)
 where event.stream = $1 and event.version = new.version
"""
_STREAMS = "select distinct stream from event where starts_with(stream, $1) order by stream"
_RAW_COLUMNS = "position, xid, stream, version, event_id, type, data::text as data, at"
_READ_RAW = f"""
select {_RAW_COLUMNS} from event
 where (xid, position) > ($1::text::xid8, $2) and xid < pg_snapshot_xmin(pg_current_snapshot())
 order by xid, position limit $3
"""
_LOAD_RAW = f"select {_RAW_COLUMNS} from event where stream = $1 and version > $2 and version <= $3 order by version"
#: What a transaction has of a stream after a version, and whether of others too.
_REST = """
select max(version) filter (where stream = $2) as version, max(position) as position,
       coalesce(bool_or(stream <> $2), false) as others
  from event where xid = $1::text::xid8 and position > $3
"""


class VersionConflict(Exception):
    """The stream is not at the version that the writer had read."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"{stream} is at version {actual}, not {expected}")
        self.stream, self.expected, self.actual = stream, expected, actual


class DuplicateEvent(Exception):
    """An event of that id is stored already: this append was done before, or the id was used twice."""


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
    """An event of a stream; `position` tells it from all others, `at` is aware UTC."""

    position: int
    stream: str
    version: int
    event_id: UUID
    type: str
    data: dict[str, Any]
    meta: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class RawEvent:
    """A stored event as a relay hands it on; `cursor` is its place among all events, `raw` its data as JSON text, which most publishers
    need not read."""

    position: int
    stream: str
    version: int
    event_id: UUID
    type: str
    raw: str
    at: datetime
    cursor: Cursor = Cursor()

    @property
    def data(self) -> dict[str, Any]:
        """What `raw` says, read anew each time."""
        found: dict[str, Any] = orjson.loads(self.raw)
        return found


class EventStore(Protocol):
    """Append-only streams."""

    async def append(self, stream: str, expected_version: int, events: Sequence[NewEvent]) -> list[StoredEvent]:
        """Add `events` after `expected_version` (0: a new stream); all or none.

        Raises `VersionConflict`, or `DuplicateEvent` for an event id that is stored already.
        """

    async def load(self, stream: str, after_version: int = 0, up_to_version: int | None = None) -> list[StoredEvent]:
        """The stream's events with `after_version` < version <= `up_to_version`, in order; none for an unknown stream."""

    async def streams(self, prefix: str = "") -> list[str]:
        """Names of the streams that begin with `prefix`, sorted."""


class PostgresEventStore:
    """`EventStore` on the table `event` of the service's schema."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool

    async def append(self, stream: str, expected_version: int, events: Sequence[NewEvent], connection: Any = None) -> list[StoredEvent]:
        """As the protocol; with `connection`, inside the caller's transaction, which must not have written before."""
        if connection is not None:
            return await self._append(connection, stream, expected_version, events)
        async with self._pool.acquire() as own, own.transaction():
            return await self._append(own, stream, expected_version, events)

    async def lock(self, stream: str, connection: Any) -> None:
        """Nobody else appends to the stream until the transaction of `connection` ends."""
        await connection.execute(_LOCK, stream)

    async def rewrite(self, stream: str, data: Mapping[int, dict[str, Any]], connection: Any) -> None:
        """Let events of a stream (by version) have held this from the beginning: for what must not be kept. Ids, order and times stay.

        In the caller's transaction, which holds the stream's lock.
        """
        bodies = [orjson.dumps(each).decode() for each in data.values()]
        await connection.execute(_REWRITE, stream, list(data), bodies)

    async def extend(self, stream: str, events: Sequence[NewEvent], connection: Any) -> list[StoredEvent]:
        """Add to the end, whatever it is, inside the caller's transaction, which holds the stream's `lock`."""
        return await self._append(connection, stream, await connection.fetchval(_VERSION, stream), events)

    async def load(
        self, stream: str, after_version: int = 0, up_to_version: int | None = None, *, connection: Any = None
    ) -> list[StoredEvent]:
        """As the protocol; with `connection`, as its transaction sees it."""
        return [StoredEvent(**row) for row in await (connection or self._pool).fetch(_LOAD, stream, after_version, up_to_version)]

    async def streams(self, prefix: str = "") -> list[str]:
        """As the protocol."""
        return [row["stream"] for row in await self._pool.fetch(_STREAMS, prefix)]

    async def read_raw(self, after: Cursor, limit: int) -> list[RawEvent]:
        """Events of all streams after a cursor, only those that no running transaction can still precede; with data that is not read."""
        return [_raw_event(row) for row in await self._pool.fetch(_READ_RAW, str(after.xid), after.position, limit)]

    async def load_raw(self, stream: str, after_version: int, up_to_version: int) -> list[RawEvent]:
        """As `load`, with data that is not read."""
        return [_raw_event(row) for row in await self._pool.fetch(_LOAD_RAW, stream, after_version, up_to_version)]

    async def rest_of(self, event: RawEvent) -> tuple[int, Cursor] | None:
        """The last version and the end of the transaction that stored the event; None: nothing follows in it, or what is of other
        streams too."""
        row = await self._pool.fetchrow(_REST, str(event.cursor.xid), event.stream, event.position)
        if row is None or row["version"] is None or row["others"]:
            return None
        return row["version"], Cursor(event.cursor.xid, row["position"])

    async def put(self, stream: str, expected_version: int, events: Sequence[NewEvent], connection: Any) -> None:
        """As `append` inside the caller's transaction; nothing is told of what was stored, which takes a third of the time of many."""
        await self._store(connection, _STORE, stream, expected_version, events)
        await connection.execute(_NOTIFY)

    async def _append(self, connection: Any, stream: str, expected: int, events: Sequence[NewEvent]) -> list[StoredEvent]:
        rows = await self._store(connection, _INSERT, stream, expected, events)
        return [
            StoredEvent(row["position"], stream, row["version"], event.event_id, event.type, event.data, event.meta, row["at"])
            for event, row in zip(events, rows, strict=True)
        ]

    async def _store(self, connection: Any, statement: str, stream: str, expected: int, events: Sequence[NewEvent]) -> list[Any]:
        await self.lock(stream, connection)
        actual = await connection.fetchval(_VERSION, stream)
        if actual != expected:
            raise VersionConflict(stream, expected, actual)
        if not events:
            return []
        try:
            rows: list[Any] = await connection.fetch(
                statement,
                stream,
                expected,
                [event.event_id for event in events],
                [event.type for event in events],
                [orjson.dumps(event.data).decode() for event in events],
                [orjson.dumps(event.meta).decode() for event in events],
            )
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name == "event_event_id_key":
                raise DuplicateEvent(str(error)) from error
            raise VersionConflict(stream, expected, expected + 1) from error
        return rows


class MemoryEventStore:
    """The twin in memory."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._streams: dict[str, list[StoredEvent]] = {}
        self._ids: set[UUID] = set()

    async def append(self, stream: str, expected_version: int, events: Sequence[NewEvent]) -> list[StoredEvent]:
        """As the protocol."""
        # Gives others their turn, as the real one does between reading and writing.
        await asyncio.sleep(0)
        log = self._streams.get(stream, [])
        if len(log) != expected_version:
            raise VersionConflict(stream, expected_version, len(log))
        ids = [event.event_id for event in events]
        if len(set(ids)) < len(ids) or not self._ids.isdisjoint(ids):
            raise DuplicateEvent(f"{stream}: an event id is stored already")
        stored = [self._store(stream, expected_version + number, event) for number, event in enumerate(events, start=1)]
        if stored:
            self._streams.setdefault(stream, []).extend(stored)
            self._ids.update(ids)
        return stored

    async def load(self, stream: str, after_version: int = 0, up_to_version: int | None = None) -> list[StoredEvent]:
        """As the protocol."""
        return self._streams.get(stream, [])[after_version:up_to_version]

    async def streams(self, prefix: str = "") -> list[str]:
        """As the protocol."""
        return sorted(stream for stream in self._streams if stream.startswith(prefix))

    def _store(self, stream: str, version: int, event: NewEvent) -> StoredEvent:
        position = len(self._ids) + version - len(self._streams.get(stream, ()))
        # Through JSON and back, so that what the real store would refuse or change shows here too.
        data, meta = orjson.loads(orjson.dumps(event.data)), orjson.loads(orjson.dumps(event.meta))
        return StoredEvent(position, stream, version, event.event_id, event.type, data, meta, self._clock.now())


def _raw_event(row: Any) -> RawEvent:
    return RawEvent(row["position"], row["stream"], row["version"], row["event_id"], row["type"], row["data"], row["at"], _cursor(row))


def _cursor(row: Any) -> Cursor:
    return Cursor(int(row["xid"]), row["position"])
