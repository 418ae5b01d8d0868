"""The ledger in Postgres: batches by `unnest`, one round trip a statement whatever the number of events.

Always: writers of one call come one after another (advisory lock per call, taken in one order), so the one that fills the last gap
sees all the others' events and makes the record.
"""

import hashlib
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg

from carillon_cdr.domain.ledger import CallKey, Entry
from carillon_cdr.domain.whose import Span
from carillon_cdr.ports import LedgerTransaction, LedgerUnavailable, Made, Place
from carillon_contracts.envelope import Event
from carillon_contracts.streams import RECORDS, record_subject
from carillon_kit import outbox
from carillon_kit.postgres import UNAVAILABLE

#: Of one call, when it is listed.
MOST_EVENTS = 10_000

_LOCK = "select count(pg_advisory_xact_lock(k)) from unnest($1::bigint[]) k"
_INSERT = """
insert into call_event (tenant, call_id, seq, event_id, type, at, body)
select * from unnest($1::text[], $2::text[], $3::int[], $4::uuid[], $5::text[], $6::timestamptz[], $7::bytea[])
    on conflict (tenant, call_id, seq) do nothing
returning tenant, call_id, seq"""
_BODIES = """
select e.tenant, e.call_id, e.seq, e.body
  from unnest($1::text[], $2::text[], $3::int[]) t(tenant, call_id, seq) join call_event e using (tenant, call_id, seq)"""
_FLAG = """
insert into call_event_conflict (tenant, call_id, seq, digest, event_id, body)
select * from unnest($1::text[], $2::text[], $3::int[], $4::bytea[], $5::uuid[], $6::bytea[])
    on conflict do nothing"""
_ENDED = """
select e.tenant, e.call_id, e.body
  from unnest($1::text[], $2::text[]) t(tenant, call_id) join call_event e using (tenant, call_id)
 where exists (select from call_event d where d.tenant = t.tenant and d.call_id = t.call_id and d.type = 'carillon.call.ended.v1')
   and not exists (select from call_record r where r.tenant = t.tenant and r.call_id = t.call_id)"""
_RECORD = """
insert into call_record (tenant, call_id, started_at, direction, status, caller, dialled, answered_by, data)
select tenant, call_id, started_at, direction, status, caller, dialled, answered_by, data::json
  from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
       r(tenant, call_id, started_at, direction, status, caller, dialled, answered_by, data)"""
_SHARES = """
insert into call_record_of (tenant, call_id, whose, started_at, talked)
select tenant, call_id, whose, started_at, talked::tstzmultirange
  from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[]) s(tenant, call_id, whose, started_at, talked)
    on conflict (tenant, call_id, whose) do update set talked = call_record_of.talked + excluded.talked"""
_COMPLETE = """
select t.tenant, t.call_id
  from unnest($1::text[], $2::text[], $3::int[]) t(tenant, call_id, last_seq)
  join call_event e on e.tenant = t.tenant and e.call_id = t.call_id and e.seq <= t.last_seq
 group by t.tenant, t.call_id, t.last_seq having count(*) = t.last_seq"""
_EVENTS = "select body from call_event where tenant = $1 and call_id = $2 order by seq limit $3"


@asynccontextmanager
async def acquired(pool: "asyncpg.Pool[Any]", timeout: float) -> AsyncIterator[Any]:
    """A connection, waited for at most `timeout` seconds; the server's absence, here or in the block, is `LedgerUnavailable`."""
    try:
        async with pool.acquire(timeout=timeout) as connection:
            yield connection
    except UNAVAILABLE as error:
        raise LedgerUnavailable(f"the ledger is away: {error or type(error).__name__}") from error


class PostgresLedger:
    """`Ledger` on a pool whose search path is the service's schema; every statement has `timeout` seconds."""

    def __init__(self, pool: "asyncpg.Pool[Any]", timeout: float = 10.0) -> None:
        self._pool = pool
        self._timeout = timeout

    def transaction(self) -> AbstractAsyncContextManager[LedgerTransaction]:
        """See the port."""
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[LedgerTransaction]:
        async with acquired(self._pool, self._timeout) as connection, connection.transaction():
            yield PostgresLedgerTransaction(connection, self._timeout)

    async def complete(self, calls: Mapping[CallKey, int]) -> set[CallKey]:
        """See the port."""
        async with acquired(self._pool, self._timeout) as connection:
            rows = await connection.fetch(_COMPLETE, *_names(calls), list(calls.values()), timeout=self._timeout)
        return {CallKey(row["tenant"], row["call_id"]) for row in rows}

    async def events(self, call: CallKey) -> list[bytes]:
        """See the port."""
        async with acquired(self._pool, self._timeout) as connection:
            rows = await connection.fetch(_EVENTS, call.tenant, call.call_id, MOST_EVENTS, timeout=self._timeout)
        return [row["body"] for row in rows]


class PostgresLedgerTransaction:
    """`LedgerTransaction` on a connection that is in a transaction."""

    def __init__(self, connection: Any, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout

    async def lock(self, calls: Collection[CallKey]) -> None:
        """See the port."""
        await self._connection.execute(_LOCK, sorted(_lock_key(call) for call in calls), timeout=self._timeout)

    async def insert(self, entries: Sequence[Entry]) -> set[Place]:
        """See the port."""
        rows = await self._connection.fetch(
            _INSERT,
            [entry.tenant for entry in entries],
            [entry.call_id for entry in entries],
            [entry.seq for entry in entries],
            [entry.event_id for entry in entries],
            [entry.type for entry in entries],
            [entry.at for entry in entries],
            [entry.body for entry in entries],
            timeout=self._timeout,
        )
        return {(row["tenant"], row["call_id"], row["seq"]) for row in rows}

    async def bodies(self, places: Sequence[Place]) -> Mapping[Place, bytes]:
        """See the port."""
        columns = [list(column) for column in zip(*places, strict=True)]
        rows = await self._connection.fetch(_BODIES, *columns, timeout=self._timeout)
        return {(row["tenant"], row["call_id"], row["seq"]): row["body"] for row in rows}

    async def flag(self, conflicts: Sequence[Entry]) -> None:
        """See the port."""
        await self._connection.execute(
            _FLAG,
            [entry.tenant for entry in conflicts],
            [entry.call_id for entry in conflicts],
            [entry.seq for entry in conflicts],
            [hashlib.sha256(entry.body).digest() for entry in conflicts],
            [entry.event_id for entry in conflicts],
            [entry.body for entry in conflicts],
            timeout=self._timeout,
        )

    async def ended(self, calls: Collection[CallKey]) -> Mapping[CallKey, Sequence[Event]]:
        """See the port."""
        rows = await self._connection.fetch(_ENDED, *_names(calls), timeout=self._timeout)
        found: dict[CallKey, list[Event]] = {}
        for row in rows:
            found.setdefault(CallKey(row["tenant"], row["call_id"]), []).append(Event.from_json(row["body"]))
        return found

    async def save(self, records: Sequence[Made]) -> None:
        """See the port."""
        if not records:
            return
        made = [each.record for each in records]
        await self._connection.execute(
            _RECORD,
            [record.tenant for record in made],
            [record.call_id for record in made],
            [record.started_at for record in made],
            [record.direction for record in made],
            [record.status for record in made],
            [_text(record.caller) for record in made],
            [_text(record.dialled) for record in made],
            [_text(record.answered_by) for record in made],
            [record.model_dump_json() for record in made],
            timeout=self._timeout,
        )
        await self._share(records)
        await outbox.put(
            self._connection,
            RECORDS.name,
            [(each.event.id, record_subject(each.record.tenant, each.record.fact()), each.event.to_json()) for each in records],
            timeout=self._timeout,
        )

    async def _share(self, records: Sequence[Made]) -> None:
        rows: dict[tuple[str, str, str], tuple[datetime, list[Span]]] = {}
        for made in records:
            for share in made.shares:
                key = (made.record.tenant, _text(share.call_id), _text(share.whose))
                rows.setdefault(key, (made.record.started_at, []))[1].extend(share.talked)
        # In one order, so that those who write of one meeting wait for each other and not in a circle.
        names = sorted(rows)
        tenants, calls, whose = ([name[place] for name in names] for place in range(3))
        begun, talked = [rows[name][0] for name in names], [_ranges(rows[name][1]) for name in names]
        await self._connection.execute(_SHARES, tenants, calls, whose, begun, talked, timeout=self._timeout)


def _names(calls: Collection[CallKey]) -> tuple[list[str], list[str]]:
    return [call.tenant for call in calls], [call.call_id for call in calls]


def _lock_key(call: CallKey) -> int:
    digest = hashlib.blake2b(f"{call.tenant}/{call.call_id}".encode(), digest_size=8, person=b"carillon-cdr").digest()
    return int.from_bytes(digest, signed=True)


def _ranges(spans: Iterable[Span]) -> str:
    """As Postgres reads a multirange."""
    return "{" + ",".join(f"[{begun.isoformat()},{ended.isoformat()})" for begun, ended in spans) + "}"


def _text(value: str) -> str:
    """Postgres text holds no NUL; the record's JSON keeps the value as it was."""
    return value.replace("\x00", "\N{REPLACEMENT CHARACTER}")
