"""Persons who are erased: what routing remembers of them is forgotten, and the log of the queues tells of a pseudonym."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote, quote_plus

import asyncpg
from pydantic import ValidationError

from carillon_contracts.envelope import Event
from carillon_contracts.erasure import CARRIED_OUT, ORDERED, ErasureOrders, Order
from carillon_contracts.streams import ERASURES
from carillon_kit.bus import Bus, Consumer, ConsumerSpec
from carillon_kit.orders import Counts, Orders, Wake
from carillon_kit.rewriting import Columns, forget_letters, patterns, rewrite_rows

CONSUMER = ConsumerSpec(stream=ERASURES.name, durable="routing-erasures", subject=ORDERED, ack_wait=120)
#: Facts of a user alone.
_THEIRS = tuple(
    f"delete from {table} where tenant = $1 and user_id = $2" for table in ("attendance", "code_block", "code_try", "last_talk")
)
_ORDERED = (
    "delete from call_order where tenant = $1 and (who = $2 or watched = $2 or concat_ws(' ', who, number, words) ilike any($3::text[]))"
)
#: A question's key holds the address that was asked, with what a call brought written as addresses are; the answer may say anything.
_ANSWERED = "delete from slow_answer where tenant = $1 and (key ilike any($2::text[]) or value::text ilike any($3::text[]))"
#: Replicas that folded the floor before write no snapshot of it any more: see `adapters.floor_log`.
_FENCE = """
insert into floor_snapshot (tenant, version, state, erasures) values ($1, 0, '{}', 1)
    on conflict (tenant) do update set erasures = floor_snapshot.erasures + 1"""
_TALKED = "delete from last_talk where tenant = $1 and number ilike any($2::text[])"
_ROWS = {
    "calls": (Columns("call_seen", texts=("caller", "caller_user_id")), Columns("call_leg", texts=("party", "number"))),
    "queues": (Columns("event", documents=("data",), scope="stream in ('floor/' || $1, 'hunting/' || $1, 'orders/' || $1)"),),
}
_SNAPSHOT = Columns("floor_snapshot", documents=("state",))


async def carry_out(connection: Any, order: Order) -> Counts:
    """In the caller's transaction."""
    gone = [await connection.execute(statement, order.tenant, order.data.user_id) for statement in _THEIRS]
    gone.append(await connection.execute(_TALKED, order.tenant, patterns(order.cleaner.needles)))
    gone.append(await connection.execute(_ORDERED, order.tenant, order.data.user_id, patterns(order.cleaner.needles)))
    needles = order.cleaner.needles
    asked = {*needles, *(form for needle in needles for form in (quote(needle, safe=""), quote_plus(needle)))}
    gone.append(await connection.execute(_ANSWERED, order.tenant, patterns(sorted(asked)), patterns(needles)))
    counts: Counts = {"facts_deleted": sum(int(each.split()[-1]) for each in gone)}
    for what, tables in _ROWS.items():
        counts[what] = sum([await rewrite_rows(connection, each, order.tenant, order.cleaner) for each in tables])
    # Before the snapshot is read: one that is written meanwhile waits for the end of this, and is not written.
    await connection.execute(_FENCE, order.tenant)
    counts["queues"] += await rewrite_rows(connection, _SNAPSHOT, order.tenant, order.cleaner)
    counts["dead_letters_deleted"] = await forget_letters(connection, order.tenant, order.cleaner.needles)
    return counts


async def forget(bus: Bus, forget_floor: Callable[[str], Awaitable[None]]) -> None:
    """Have this replica forget what it has in memory of a tenant whenever one of them has carried out an order; until cancelled."""
    await bus.ensure_stream(ERASURES)
    async for message in bus.follow(ERASURES.name, CARRIED_OUT):
        with suppress(ValidationError):
            event = Event.from_json(message.data)
            if event.data.get("service") == "routing":
                await forget_floor(event.tenantid)


async def obey(pool: "asyncpg.Pool[Any]", bus: Bus, wake: Wake) -> Consumer:
    """Start the consumer."""
    terms = ErasureOrders("routing")
    return await Orders(pool, CONSUMER, terms, carry_out, wake).obey(bus, ERASURES)
