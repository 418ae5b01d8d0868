"""Persons who are erased: the ledger and the records keep what is charged for, under a pseudonym; recordings go or stay as was ordered.

The numbers of others stay, and so do the tenant's own; the person's private number is masked to its country and kind of network.
"""

from typing import Any

import asyncpg

from carillon_cdr.adapters.postgres_recordings import delete_recordings_of
from carillon_contracts.erasure import ORDERED, ErasureOrders, Order
from carillon_contracts.streams import ERASURES
from carillon_kit.bus import Bus, Consumer, ConsumerSpec
from carillon_kit.object_store import ObjectStore
from carillon_kit.orders import Counts, Orders, Wake
from carillon_kit.rewriting import Columns, forget_letters, rewrite_rows

CONSUMER = ConsumerSpec(stream=ERASURES.name, durable="cdr-erasures", subject=ORDERED, ack_wait=120)
_EVENTS = (Columns("call_event", blobs=("body",)), Columns("call_event_conflict", blobs=("body",)))
_RECORDS = Columns("call_record", texts=("caller", "dialled", "answered_by"), documents=("data",), type="json")
_SHARES = Columns("call_record_of", texts=("whose",), in_key=True)
_RESETS = Columns("line_reset", texts=("user_id",), in_key=True)
_RECORDINGS = Columns("recording", texts=("deleted_by",), documents=("labels",))


async def carry_out(connection: Any, order: Order, objects: ObjectStore) -> Counts:
    """In the caller's transaction; the audio goes before it commits, so that nothing is left of it when it has."""
    counts: Counts = {}
    if order.data.recordings == "delete":
        who = (order.data.user_id, order.data.pseudonym)
        counts["recordings_deleted"] = await delete_recordings_of(connection, order.tenant, who, objects)
    counts["events"] = sum([await rewrite_rows(connection, each, order.tenant, order.cleaner) for each in _EVENTS])
    counts["records"] = await rewrite_rows(connection, _RECORDS, order.tenant, order.cleaner)
    await rewrite_rows(connection, _SHARES, order.tenant, order.cleaner)
    await rewrite_rows(connection, _RESETS, order.tenant, order.cleaner)
    counts["recordings"] = await rewrite_rows(connection, _RECORDINGS, order.tenant, order.cleaner)
    counts["dead_letters_deleted"] = await forget_letters(connection, order.tenant, order.cleaner.needles)
    return counts


async def obey(pool: "asyncpg.Pool[Any]", bus: Bus, objects: ObjectStore, wake: Wake) -> Consumer:
    """Start the consumer."""
    terms = ErasureOrders("cdr")
    return await Orders(pool, CONSUMER, terms, lambda connection, order: carry_out(connection, order, objects), wake).obey(bus, ERASURES)
