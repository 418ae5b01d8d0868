"""Calls that routing makes itself, in Postgres: kept, begun and ended in one transaction with the event that tells of it.

Always: an order has one call under way at most, however many replicas look after it, because the row says which; a replica that is killed
between the row and the call leaves one that was never begun, which is tried again.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Literal, get_args
from uuid import UUID

import asyncpg

from carillon_contracts import call_order as published
from carillon_contracts.call_order import Blocked
from carillon_contracts.envelope import EventData, Frozen
from carillon_kit.clock import Clock
from carillon_kit.event_store import NewEvent, PostgresEventStore
from carillon_kit.ids import Ids, SystemIds
from carillon_kit.postgres import UNAVAILABLE
from carillon_routing.adapters.postgres_facts import BUSY, HOLD_SECONDS
from carillon_routing.domain.call_orders import EXPIRES, FIRST_PAUSE, MAX_PER_TENANT, MAX_PER_USER, Kind, Missed, Order, Over, Result
from carillon_routing.domain.limits import MINUTE
from carillon_routing.ports import OrdersAway

#: What one look at all orders may take.
CLOCK_SECONDS = 30.0
#: Stored events of a tenant's orders.
ORDERS = "orders/"
#: By the stored event's type: `call_back.started`.
EVENTS: dict[str, type[EventData]] = {
    kind.TYPE.rpartition(".")[0]: kind for kind in (*published.CALL_BACK_EVENTS, *published.EMERGENCY_NOTICE_EVENTS)
}
_NEW = """
insert into call_order (tenant, order_id, kind, who, number, caused_by, blocked, watched, words, language, asked_at, not_before, expires_at)
select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
 where $3 <> 'call_back' or (
   (select count(*) from call_order where tenant = $1 and who = $4 and kind = 'call_back' and over = '') < $14
   and (select count(*) from call_order where tenant = $1 and kind = 'call_back' and over = '') < $15)
    on conflict do nothing returning order_id"""
_THERE = "select true from call_order where tenant = $1 and who = $2 and number = $3 and kind = 'call_back' and over = ''"
#: Seen is a call of which an event has come: who asks for a place under a limit makes its row before. Notices come first.
_OPEN = """
select o.*, coalesce(c.direction, '') <> '' or c.ended_at is not null as via_seen, c.ended_at is not null as via_ended, exists (
         select from call_leg l where l.tenant = o.tenant and l.call_id = o.via and l.leg_id like 'b%' and l.answered_at is not null
       ) as via_reached
  from call_order o left join call_seen c on c.tenant = o.tenant and c.call_id = o.via and o.via <> ''
 where o.over = '' and ($1 = '' or o.tenant = $1) order by o.kind <> 'emergency_notice', o.asked_at, o.order_id limit 5000"""
_START = """
update call_order set via = $3, via_at = $4 where tenant = $1 and order_id = $2 and via = '' and over = '' returning tries"""
_MISSED = """
update call_order set via = '', via_at = null, via_accepted = false, not_before = $4, tries = tries + $5
 where tenant = $1 and order_id = $2 and via = $3 and over = '' returning true"""
_ACCEPTED = "update call_order set via_accepted = true where tenant = $1 and order_id = $2 and via = $3 and over = ''"
#: What was heard of its call says nothing any more.
_OVER = """
update call_order set over = $3, over_at = $4 where tenant = $1 and order_id = $2 and over = ''
 returning *, false as via_seen, false as via_reached, false as via_ended"""
_ONE = "select kind, over, words, language from call_order where tenant = $1 and order_id = $2"
_FREED = """
select party, max(ended_at) as at from call_leg
 where tenant = $1 and party = any($2::text[]) and party like 'trunk:%' and ended_at > $3
   and leg_id like 'b%' and answered_at is not null group by party"""
_STANDING = """
select counter, count(*) filter (where not ended and held_until > clock_timestamp()) as calls,
       count(*) filter (where taken_at > clock_timestamp() - make_interval(secs => $3)) as starts
  from place where tenant = $1 and counter = any($2::text[])
   and (not ended or taken_at > clock_timestamp() - make_interval(secs => $3)) group by counter"""
_LOCK = "select pg_try_advisory_xact_lock(hashtextextended(current_schema() || '/call orders', 0))"
_SWEEP = "delete from call_order where over <> '' and over_at < now() - interval '2 days'"
_FIELDS = tuple(name for name in Order.__slots__ if name != "order_id")


class Told(Frozen):
    """What a stored event says of itself: whose event it is, and the call that it came from."""

    call_back_id: str = ""
    notice_id: str = ""
    call_id: str


class PostgresOrders:
    """`ports.Orders`; knows nothing before `adopt`."""

    def __init__(self, clock: Clock, ids: Ids | None = None, *, patience: float = 5.0) -> None:
        """`patience`: what the database may take where nobody waits."""
        self._clock = clock
        self._patience = patience
        self._ids = ids or SystemIds()
        self._pool: asyncpg.Pool[Any] | None = None

    def adopt(self, pool: "asyncpg.Pool[Any]") -> None:
        """The database is up, and its schema as it should be."""
        self._pool = pool

    @property
    def up(self) -> bool:
        """Whether orders can be kept."""
        return self._pool is not None

    async def add(
        self,
        tenant: str,
        kind: Kind,
        who: str,
        number: str,
        caused_by: str,
        *,
        seconds: float | None = None,
        blocked: Blocked | Literal[""] = "",
        watched: str = "",
        words: str = "",
        language: str = "",
    ) -> bool:
        """Keep it; True: it is kept, now or before. False: there are too many."""
        now, order_id = self._clock.now(), self._ids.uuid7()
        first = now + (FIRST_PAUSE[blocked] if blocked else timedelta(0))
        # PostgreSQL keeps no NUL.
        words = words.replace("\0", "")
        values = (who, number, caused_by, blocked, watched, words, language, now, first, now + EXPIRES[kind])
        async with self._turn(tenant, seconds) as (connection, store):
            if await connection.fetchval(_NEW, tenant, order_id, kind, *values, MAX_PER_USER, MAX_PER_TENANT) is None:
                return kind != "call_back" or await connection.fetchval(_THERE, tenant, who, number) is not None
            order = Order(tenant, str(order_id), kind, who, number, now, first, now + EXPIRES[kind], caused_by=caused_by)
            await self._tell(store, connection, order, "requested", {"blocked": blocked} if kind == "call_back" else {})
        return True

    async def open(self, tenant: str = "", seconds: float | None = None) -> list[Order]:
        """Those of a tenant (empty: all) that are not over, notices first, then the oldest."""
        async with self._up(seconds) as pool:
            return [_order(row) for row in await pool.fetch(_OPEN, tenant)]

    async def start(self, order: Order, via: str, seconds: float | None = None) -> bool:
        """Its next try is this call, if none is under way."""
        async with self._turn(order.tenant, seconds) as (connection, store):
            tries = await connection.fetchval(_START, order.tenant, UUID(order.order_id), via, self._clock.now())
            if tries is not None:
                await self._tell(store, connection, order, "started", {"via_call_id": via, "tries": tries + 1})
        return tries is not None

    async def accepted(self, order: Order, via: str, seconds: float | None = None) -> None:
        """Media says that it has begun this call."""
        async with self._up(seconds) as pool:
            await pool.execute(_ACCEPTED, order.tenant, UUID(order.order_id), via)

    async def settle(self, found: Missed | Over, seconds: float | None = None) -> bool:
        """As it says, unless another replica was faster."""
        order = found.order
        async with self._turn(order.tenant, seconds) as (connection, store):
            if isinstance(found, Missed):
                counted = int(found.counted)
                done = await connection.fetchval(_MISSED, order.tenant, UUID(order.order_id), order.via, found.again, counted)
                if done:
                    await self._tell(store, connection, order, "missed", {"via_call_id": order.via})
            else:
                done = await self._end(store, connection, order.tenant, UUID(order.order_id), found.result)
        return bool(done)

    async def words(self, tenant: str, order_id: str, seconds: float | None = None) -> tuple[str, str] | None:
        """What a phone is told, and in which language; None: no such notice."""
        async with self._up(seconds) as pool:
            row = await pool.fetchrow(_ONE, tenant, _named(order_id))
        if row is None or row["kind"] != "emergency_notice" or row["over"]:
            return None
        return row["words"], row["language"]

    async def acknowledge(self, tenant: str, order_id: str, seconds: float | None = None) -> bool:
        """Nothing more is done for it; whether that is so because it was acknowledged, now or before."""
        named = _named(order_id)
        async with self._turn(tenant, seconds) as (connection, store):
            if await self._end(store, connection, tenant, named, "acknowledged"):
                return True
            row = await connection.fetchrow(_ONE, tenant, named)
        return row is not None and row["over"] == "acknowledged"

    async def busy(self, tenant: str, user_ids: Iterable[str], seconds: float | None = None) -> set[str]:
        """Who of them talks or is being rung."""
        async with self._up(seconds) as pool:
            return {row["party"] for row in await pool.fetch(BUSY, tenant, list(user_ids), "", HOLD_SECONDS)}

    async def freed(self, tenant: str, trunk_ids: Sequence[str], since: datetime, seconds: float | None = None) -> dict[str, datetime]:
        """When the last answered call out by each of the trunks ended, where one did after `since`."""
        async with self._up(seconds) as pool:
            rows = await pool.fetch(_FREED, tenant, [f"trunk:{trunk_id}" for trunk_id in trunk_ids], since)
        return {row["party"].removeprefix("trunk:"): row["at"] for row in rows}

    async def standing(self, tenant: str, counters: Sequence[str], seconds: float | None = None) -> dict[str, tuple[int, int]]:
        """How many calls hold a place at each of the counters of limits, and how many began there in the last minute."""
        async with self._up(seconds) as pool:
            rows = await pool.fetch(_STANDING, tenant, list(counters), MINUTE)
        return {row["counter"]: (row["calls"], row["starts"]) for row in rows}

    @asynccontextmanager
    async def clock_turn(self) -> AsyncIterator[bool]:
        """Whether this replica looks after all orders while the context is; one does at a time."""
        async with self._up(CLOCK_SECONDS) as pool, pool.acquire() as connection, connection.transaction():
            yield bool(await connection.fetchval(_LOCK))

    async def sweep(self) -> None:
        """Forget what was over long ago."""
        async with self._up(None) as pool:
            await pool.execute(_SWEEP)

    # -- inside -------------------------------------------------------------------------------------------------------

    async def _end(self, store: PostgresEventStore, connection: Any, tenant: str, order_id: UUID | None, result: Result) -> bool:
        row = await connection.fetchrow(_OVER, tenant, order_id, result, self._clock.now())
        if row is not None:
            await self._tell(store, connection, _order(row), "ended", {"result": result})
        return row is not None

    async def _tell(self, store: PostgresEventStore, connection: Any, order: Order, fact: str, more: dict[str, Any]) -> None:
        names = ("call_back_id", "user_id") if order.kind == "call_back" else ("notice_id", "phone")
        told = {names[0]: order.order_id, names[1]: order.who, "number": order.number, "call_id": order.caused_by, **more}
        await store.extend(ORDERS + order.tenant, [NewEvent(f"{order.kind}.{fact}", told, self._ids.uuid7())], connection)

    @asynccontextmanager
    async def _turn(self, tenant: str, seconds: float | None = None) -> AsyncIterator[tuple[Any, PostgresEventStore]]:
        async with self._up(seconds) as pool, pool.acquire() as connection, connection.transaction():
            store = PostgresEventStore(pool)
            # Before the transaction's first write: see the event store.
            await store.lock(ORDERS + tenant, connection)
            yield connection, store

    @asynccontextmanager
    async def _up(self, seconds: float | None = None) -> AsyncIterator["asyncpg.Pool[Any]"]:
        if self._pool is None:
            raise OrdersAway("the database is not there yet, or routing has none")
        try:
            async with asyncio.timeout(self._patience if seconds is None else seconds):
                yield self._pool
        except UNAVAILABLE as error:
            raise OrdersAway(str(error)) from error


def _named(order_id: str) -> UUID | None:
    """None: it is no id, and no row has it."""
    try:
        return UUID(order_id)
    except ValueError:
        return None


def _order(row: Any) -> Order:
    assert row["kind"] in get_args(Kind)
    return Order(order_id=str(row["order_id"]), **{name: row[name] for name in _FIELDS})
