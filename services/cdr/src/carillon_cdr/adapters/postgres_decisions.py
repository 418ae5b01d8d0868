"""Decisions of many calls out of the ledger, page by page, so that no transaction is held while somebody reads slowly."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from carillon_cdr.adapters.postgres_ledger import acquired
from carillon_cdr.ports import CallDecisions

_WHERE = "tenant = $1 and ($2::timestamptz is null or started_at >= $2) and ($3::timestamptz is null or started_at < $3)"
_COUNT = f"select count(*) from (select 1 from call_record where {_WHERE} limit $4) found"
_PAGE = f"""
select r.call_id, r.started_at,
       array(select e.body from call_event e
              where e.tenant = r.tenant and e.call_id = r.call_id and e.type = 'carillon.call.routing_decided.v1' order by e.seq) as events
  from (select tenant, call_id, started_at from call_record
         where {_WHERE} and ($4::timestamptz is null or (started_at, call_id) < ($4, $5))
         order by started_at desc, call_id desc limit $6) r
 order by r.started_at desc, r.call_id desc"""


class PostgresDecisions:
    """`Decisions` on a pool whose search path is the service's schema; every statement has `timeout` seconds."""

    def __init__(self, pool: "asyncpg.Pool[Any]", timeout: float = 10.0) -> None:
        self._pool = pool
        self._timeout = timeout

    async def count(self, tenant: str, after: datetime | None, before: datetime | None, limit: int) -> int:
        """See the port."""
        async with acquired(self._pool, self._timeout) as connection:
            return int(await connection.fetchval(_COUNT, tenant, after, before, limit, timeout=self._timeout))

    async def page(
        self, tenant: str, after: datetime | None, before: datetime | None, last: tuple[datetime, str] | None, limit: int
    ) -> Sequence[CallDecisions]:
        """See the port."""
        at, call_id = last or (None, None)
        async with acquired(self._pool, self._timeout) as connection:
            rows = await connection.fetch(_PAGE, tenant, after, before, at, call_id, limit, timeout=self._timeout)
        return [CallDecisions(row["call_id"], row["started_at"], tuple(row["events"])) for row in rows]
