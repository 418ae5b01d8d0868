"""Persons who are erased: the registrations of their phones go. Calls under way end as they end; their events come by the ledger."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg

from carillon_contracts.erasure import ORDERED, Order, answer_event, read_order
from carillon_contracts.streams import ERASURES
from carillon_kit.bus import Bus, ConsumerSpec, Delivered, Retry
from carillon_kit.clock import SystemClock
from carillon_kit.dead_letters import MemoryDeadLetters
from carillon_kit.postgres import UNAVAILABLE

CONSUMER = ConsumerSpec(stream=ERASURES.name, durable="media-erasures", subject=ORDERED, ack_wait=120)
_THEIRS = "delete from registration where tenant = $1 and (sip_user = any($2::text[]) or user_id = $3)"


class ErasureSubscriber:
    """Carries orders out and answers; without a database there is nothing to do, which is said too."""

    def __init__(self, bus: Bus, pool: "asyncpg.Pool[Any] | None") -> None:
        self._bus = bus
        self._pool = pool
        self._clock = SystemClock()

    async def handle(self, batch: list[Delivered]) -> None:
        """Raises ValueError for what is no order, `Retry` while the database is away."""
        for delivered in batch:
            order = read_order(delivered.subject, delivered.data)
            try:
                counts = {"registrations_deleted": await self._forget(order)}
            except (*UNAVAILABLE, asyncpg.UndefinedTableError) as away:
                raise Retry(1.0) from away
            event_id, subject, payload = answer_event(order, "media", counts, self._clock.now())
            await self._bus.publish(ERASURES.name, subject, payload, str(event_id))

    async def _forget(self, order: Order) -> int:
        if self._pool is None:
            return 0
        gone = await self._pool.execute(_THEIRS, order.tenant, list(order.data.sip_users), order.data.user_id)
        return int(gone.split()[-1])


@asynccontextmanager
async def obeying(bus: Bus, postgres_dsn: str) -> AsyncIterator[None]:
    """Obey while the context is; the database may come later."""
    async with AsyncExitStack() as stack:
        pool = None
        if postgres_dsn:
            pool = await asyncpg.create_pool(postgres_dsn, min_size=0, max_size=1, command_timeout=30)
            stack.push_async_callback(pool.close)
        await bus.ensure_stream(ERASURES)
        consumer = await bus.consume(CONSUMER, ErasureSubscriber(bus, pool).handle, MemoryDeadLetters(), batch=2)
        stack.push_async_callback(consumer.stop)
        yield
