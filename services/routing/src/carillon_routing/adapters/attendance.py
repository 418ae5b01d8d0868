"""Who is logged in at hunt groups, in Postgres."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from carillon_kit.postgres import UNAVAILABLE
from carillon_routing.ports import AttendanceAway

_SET = """
insert into attendance (tenant, hunt_group_id, user_id, logged_in) select $1, unnest($2::text[]), $3, $4
    on conflict (tenant, hunt_group_id, user_id) do update set logged_in = excluded.logged_in, changed_at = excluded.changed_at
 where attendance.logged_in <> excluded.logged_in"""
_READ = "select hunt_group_id, user_id, logged_in, changed_at from attendance where tenant = $1"


class PostgresAttendance:
    """`ports.Attendance`; knows nothing before `adopt`."""

    def __init__(self) -> None:
        self._pool: asyncpg.Pool[Any] | None = None

    def adopt(self, pool: "asyncpg.Pool[Any]") -> None:
        """The database is up, and its schema as it should be."""
        self._pool = pool

    async def record(self, tenant: str, user_id: str, hunt_group_ids: Sequence[str], *, logged_in: bool, seconds: float) -> None:
        """As the port says."""
        await self._fetch(seconds, _SET, tenant, list(hunt_group_ids), user_id, logged_in)

    async def read(self, tenant: str, seconds: float) -> dict[tuple[str, str], tuple[bool, datetime]]:
        """As the port says."""
        rows = await self._fetch(seconds, _READ, tenant)
        return {(row["hunt_group_id"], row["user_id"]): (row["logged_in"], row["changed_at"]) for row in rows}

    async def _fetch(self, seconds: float, statement: str, *values: object) -> list[Any]:
        if self._pool is None:
            raise AttendanceAway("the database is not there yet, or routing has none")
        try:
            async with asyncio.timeout(seconds):
                return list(await self._pool.fetch(statement, *values))
        except UNAVAILABLE as error:
            raise AttendanceAway(str(error)) from error
