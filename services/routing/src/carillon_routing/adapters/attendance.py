"""Who is logged in at hunt groups, in Postgres.

Always: each change is an event too, in the same transaction, which the relay publishes.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg

from carillon_kit.event_store import NewEvent, PostgresEventStore
from carillon_kit.ids import Ids, SystemIds
from carillon_kit.postgres import UNAVAILABLE
from carillon_routing.adapters.queue_events import HUNTING
from carillon_routing.ports import AttendanceAway

_SET = """
insert into attendance (tenant, hunt_group_id, user_id, logged_in) select $1, unnest($2::text[]), $3, $4
    on conflict (tenant, hunt_group_id, user_id) do update set logged_in = excluded.logged_in, changed_at = excluded.changed_at
 where attendance.logged_in <> excluded.logged_in
 returning hunt_group_id, logged_in or xmax <> 0 as changed"""
_READ = "select hunt_group_id, user_id, logged_in, changed_at from attendance where tenant = $1"


class PostgresAttendance:
    """`ports.Attendance`; knows nothing before `adopt`."""

    def __init__(self, ids: Ids | None = None) -> None:
        self._ids = ids or SystemIds()
        self._pool: asyncpg.Pool[Any] | None = None

    def adopt(self, pool: "asyncpg.Pool[Any]") -> None:
        """The database is up, and its schema as it should be."""
        self._pool = pool

    async def record(self, tenant: str, user_id: str, hunt_group_ids: Sequence[str], *, logged_in: bool, seconds: float) -> None:
        """As the port says."""
        async with self._up(seconds) as pool, pool.acquire() as connection, connection.transaction():
            store = PostgresEventStore(pool)
            await store.lock(HUNTING + tenant, connection)
            rows = await connection.fetch(_SET, tenant, list(hunt_group_ids), user_id, logged_in)
            kind = "member_logged_in" if logged_in else "member_logged_out"
            changed = [{"hunt_group_id": row["hunt_group_id"], "user_id": user_id} for row in rows if row["changed"]]
            await store.extend(HUNTING + tenant, [NewEvent(kind, each, self._ids.uuid7()) for each in changed], connection)

    async def read(self, tenant: str, seconds: float) -> dict[tuple[str, str], tuple[bool, datetime]]:
        """As the port says."""
        async with self._up(seconds) as pool:
            rows = await pool.fetch(_READ, tenant)
        return {(row["hunt_group_id"], row["user_id"]): (row["logged_in"], row["changed_at"]) for row in rows}

    @asynccontextmanager
    async def _up(self, seconds: float) -> AsyncIterator["asyncpg.Pool[Any]"]:
        if self._pool is None:
            raise AttendanceAway("the database is not there yet, or routing has none")
        try:
            async with asyncio.timeout(seconds):
                yield self._pool
        except UNAVAILABLE as error:
            raise AttendanceAway(str(error)) from error
