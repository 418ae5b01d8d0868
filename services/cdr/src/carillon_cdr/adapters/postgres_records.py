"""Reading records in Postgres, always within one tenant."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from carillon_cdr.adapters.postgres_ledger import acquired
from carillon_cdr.domain.ledger import CallKey
from carillon_cdr.ports import RecordFilter
from carillon_contracts.record import CallRecorded

_GET = "select data::text from call_record where tenant = $1 and call_id = $2"


def _of(user: str, which: str = "") -> str:
    """Whether the user that is parameter `user` had such a leg, since the line was handed over."""
    return f"""
exists (select from json_array_elements(data -> 'legs') leg where leg ->> 'party' = {user}{which})
   and started_at > coalesce((select reset_at from line_reset where tenant = $1 and user_id = {user}), '-infinity')"""


_LIST = f"""
select data::text from call_record
 where tenant = $1
   and ($2::timestamptz is null or started_at >= $2)
   and ($3::timestamptz is null or started_at < $3)
   and ($4::text is null or status = $4)
   and ($5::text is null or direction = $5)
   and ($6::text is null or $6 in (caller, dialled, answered_by))
   and ($7::text is null or {_of("$7", " and leg ->> 'leg_id' like 'b%'")})
   and ($8::text is null or {_of("$8")})
   and ($9::timestamptz is null or (started_at, call_id) < ($9, $10::text))
 order by started_at desc, call_id desc limit $11"""


class PostgresRecords:
    """`Records` on a pool whose search path is the service's schema; every statement has `timeout` seconds."""

    def __init__(self, pool: "asyncpg.Pool[Any]", timeout: float = 10.0) -> None:
        self._pool = pool
        self._timeout = timeout

    async def get(self, call: CallKey) -> CallRecorded | None:
        """See the port."""
        async with acquired(self._pool, self._timeout) as connection:
            data = await connection.fetchval(_GET, call.tenant, call.call_id, timeout=self._timeout)
        return None if data is None else CallRecorded.model_validate_json(data)

    async def list(self, tenant: str, where: RecordFilter, after: tuple[datetime, str] | None, limit: int) -> Sequence[CallRecorded]:
        """See the port."""
        started_at, call_id = after or (None, None)
        filters = (where.after, where.before, where.status, where.direction, where.party, where.rung_user_id, where.user_id)
        async with acquired(self._pool, self._timeout) as connection:
            rows = await connection.fetch(_LIST, tenant, *filters, started_at, call_id, limit, timeout=self._timeout)
        return [CallRecorded.model_validate_json(row["data"]) for row in rows]
