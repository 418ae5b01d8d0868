"""Reading records in Postgres, always within one tenant, and for whom they are.

Always: a statement holds the conditions that were asked for and no others, so that each is planned for its own indexes.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from carillon_cdr.adapters.postgres_ledger import acquired
from carillon_cdr.domain.ledger import CallKey
from carillon_cdr.ports import RecordFilter
from carillon_contracts.record import CallRecorded
from carillon_contracts.rights import Names

#: Whether a row with a `call_id` is of one of the names; of a user's since the line was handed over, of a department's since it is this.
SHARED = """exists (
  select from call_record_of o
   where o.tenant = $1 and o.call_id = {row}.call_id and o.whose = any({names}::text[]) {more}
     and o.started_at > coalesce((
       select reset_at from line_reset where tenant = $1 and user_id = regexp_replace(o.whose, '^user/', '')), '-infinity'))"""
#: A NUL that a caller's phone has sent is no text of Postgres.
_RUNG = r"""exists (
  select from json_array_elements(replace(r.data::text, '\u0000', '\ufffd')::json -> 'legs') leg
   where leg ->> 'party' = {} and leg ->> 'leg_id' like 'b%')"""


class PostgresRecords:
    """`Records` on a pool whose search path is the service's schema; every statement has `timeout` seconds."""

    def __init__(self, pool: "asyncpg.Pool[Any]", timeout: float = 10.0) -> None:
        self._pool = pool
        self._timeout = timeout

    async def get(self, call: CallKey, reached: Names | None) -> CallRecorded | None:
        """See the port."""
        found = await self._fetch(call.tenant, [("r.call_id = {}", call.call_id), *_shared(reached)], 1)
        return found[0] if found else None

    async def list(
        self, tenant: str, where: RecordFilter, reached: Names | None, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[CallRecorded]:
        """See the port."""
        conditions = [*_conditions(where), *_shared(reached)]
        if after is not None:
            conditions += [("(r.started_at, r.call_id) < ({0}, {1})", after)]
        return await self._fetch(tenant, conditions, limit)

    async def _fetch(self, tenant: str, conditions: Sequence[tuple[str, Any]], limit: int) -> Sequence[CallRecorded]:
        """Each condition has a value for its `{}`, or several for `{0}`, `{1}`."""
        values: list[Any] = [tenant]
        wheres = ["r.tenant = $1"]
        for condition, value in conditions:
            own = value if isinstance(value, tuple) else (value,)
            wheres.append(condition.format(*(f"${len(values) + place}" for place in range(1, len(own) + 1))))
            values += own
        query = (
            f"select r.data::text from call_record r where {' and '.join(wheres)} order by r.started_at desc, r.call_id desc limit {limit}"
        )
        async with acquired(self._pool, self._timeout) as connection:
            rows = await connection.fetch(query, *values, timeout=self._timeout)
        return [CallRecorded.model_validate_json(row["data"]) for row in rows]


def _conditions(where: RecordFilter) -> Iterator[tuple[str, Any]]:
    if where.after is not None:
        yield "r.started_at >= {}", where.after
    if where.before is not None:
        yield "r.started_at < {}", where.before
    if where.status is not None:
        yield "r.status = {}", where.status
    if where.direction is not None:
        yield "r.direction = {}", where.direction
    if where.party is not None:
        yield "{} in (r.caller, r.dialled, r.answered_by)", where.party
    if where.rung_user_id is not None:
        yield _RUNG, where.rung_user_id
    for user_id in {where.rung_user_id, where.user_id} - {None}:
        yield from _shared(frozenset({f"user/{user_id}"}))
    yield from _shared(where.whose)


def _shared(names: Names | None) -> Iterator[tuple[str, Any]]:
    if names is not None:
        yield SHARED.format(row="r", names="{}", more=""), sorted(names)
