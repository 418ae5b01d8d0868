"""Floors in Postgres: a stream of events for each tenant, a snapshot now and then, and the lease of their clock.

Always: a write counts only at the version that it was decided on (the event store's fence), so of two writers one decides again.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
from pydantic import TypeAdapter, ValidationError

from carillon_kit.event_store import NewEvent, PostgresEventStore
from carillon_kit.ids import Ids
from carillon_routing.adapters.postgres_facts import BUSY
from carillon_routing.domain.queues.events import EVENTS, CallerJoined, FloorEvent
from carillon_routing.domain.queues.floor import Floor
from carillon_routing.ports import CallGone

PREFIX = "floor/"
#: Events between two snapshots.
SNAPSHOT_EVERY = 500
_FLOOR = TypeAdapter(Floor)
_SAVE = """
insert into floor_snapshot (tenant, version, state, erasures) values ($1, $2, $3, $4)
    on conflict (tenant) do update set version = excluded.version, state = excluded.state
 where floor_snapshot.version < excluded.version and floor_snapshot.erasures = excluded.erasures"""
_SAVED = "select version, state, erasures from floor_snapshot where tenant = $1"
_LEASE = """
insert into floor_clock (name, holder, until) values ('floors', $1, now() + make_interval(secs => $2))
    on conflict (name) do update set holder = excluded.holder, until = excluded.until
 where floor_clock.holder = excluded.holder or floor_clock.until < now()"""

#: Whose phone's end nobody told of is offered callers again after so long, and says itself whether it is busy.
TALK_SECONDS = 2 * 3600
#: The call's row orders this with the call's end (`call_facts`): whichever comes second sees the other.
_OVER = """
insert into call_seen (tenant, call_id, seen_at) values ($1, $2, clock_timestamp())
    on conflict (tenant, call_id) do update set seen_at = call_seen.seen_at returning ended_at is not null"""


@dataclass(frozen=True, slots=True)
class Turn:
    """Reads and writes one stream, on `connection` where there is one: somebody joins in a transaction of it."""

    store: PostgresEventStore
    ids: Ids
    stream: str
    connection: Any = None

    async def since(self, version: int) -> list[FloorEvent]:
        """As the port."""
        stored = await self.store.load(self.stream, version, connection=self.connection)
        return [EVENTS[event.type].model_validate(event.data) for event in stored]

    async def append(self, version: int, events: Sequence[FloorEvent]) -> None:
        """As the port."""
        new = [NewEvent(event.TYPE, event.model_dump(mode="json"), self.ids.uuid7()) for event in events]
        await self.store.append(self.stream, version, new, self.connection)
        for event in events:
            if isinstance(event, CallerJoined) and await self.connection.fetchval(_OVER, self.stream.removeprefix(PREFIX), event.call_id):
                raise CallGone(event.call_id)

    async def busy(self, user_ids: Sequence[str]) -> frozenset[str]:
        """As the port."""
        return await _busy(self.connection, self.stream.removeprefix(PREFIX), user_ids)


async def _busy(connection: Any, tenant: str, user_ids: Sequence[str]) -> frozenset[str]:
    return frozenset(row["party"] for row in await connection.fetch(BUSY, tenant, list(user_ids), "", TALK_SECONDS))


class PostgresFloors:
    """`ports.FloorLog`. A floor that was begun before an erasure may name the person: it is not kept after it (`erasures.carry_out`)."""

    def __init__(self, pool: "asyncpg.Pool[Any]", ids: Ids) -> None:
        self._pool = pool
        self._store = PostgresEventStore(pool)
        self._ids = ids
        #: By tenant: how many there had been when the floor was begun.
        self._erasures: dict[str, int] = {}

    @asynccontextmanager
    async def turn(self, tenant: str) -> AsyncIterator["Turn"]:
        """As the port: the event store's own lock, held while it is read, decided and written."""
        async with self._pool.acquire() as connection, connection.transaction():
            await self._store.lock(PREFIX + tenant, connection)
            yield Turn(self._store, self._ids, PREFIX + tenant, connection)

    async def start(self, tenant: str) -> tuple[Floor, int]:
        """The newest snapshot that this version of the software can read, and its version; an empty floor before the first."""
        row = await self._pool.fetchrow(_SAVED, tenant)
        self._erasures[tenant] = 0 if row is None else row["erasures"]
        if row is None:
            return Floor(), 0
        try:
            return _FLOOR.validate_python(row["state"]), row["version"]
        except ValidationError:
            return Floor(), 0

    async def since(self, tenant: str, version: int) -> list[FloorEvent]:
        """Events after a version; one of a newer version of the software, which this one does not know, is an error."""
        return await Turn(self._store, self._ids, PREFIX + tenant).since(version)

    async def append(self, tenant: str, version: int, events: Sequence[FloorEvent]) -> None:
        """As the port."""
        if not any(isinstance(event, CallerJoined) for event in events):
            await Turn(self._store, self._ids, PREFIX + tenant).append(version, events)
            return
        async with self._pool.acquire() as connection, connection.transaction():
            await Turn(self._store, self._ids, PREFIX + tenant, connection).append(version, events)

    async def keep(self, tenant: str, floor: Floor, version: int) -> None:
        """A snapshot."""
        await self._pool.execute(_SAVE, tenant, version, _FLOOR.dump_python(floor, mode="json"), self._erasures.get(tenant, 0))

    async def tenants(self) -> list[str]:
        """Who has a floor."""
        return [name.removeprefix(PREFIX) for name in await self._store.streams(PREFIX)]

    async def busy(self, tenant: str, user_ids: Sequence[str]) -> frozenset[str]:
        """As the port, of the last `TALK_SECONDS`."""
        return await _busy(self._pool, tenant, user_ids)

    async def lease(self, holder: str, seconds: float) -> bool:
        """Whether `holder` runs the clock for so long."""
        return str(await self._pool.execute(_LEASE, holder, seconds)).endswith(" 1")
