"""Persons who are erased: the registrations of their phones go, and what they had spoken. Calls under way end as they end; their events
come by the ledger.

One node answers for all; each takes out of its own files what it keeps: the journal's segments, and audio that it had fetched.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import asyncpg

from carillon_contracts.config import Audio
from carillon_contracts.erasure import ORDERED, Order, answer_event, read_order
from carillon_contracts.streams import ERASURES
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.bus import Bus, ConsumerSpec, Delivered, Retry
from carillon_kit.clock import SystemClock
from carillon_kit.dead_letters import MemoryDeadLetters
from carillon_kit.lifecycle import Tasks
from carillon_kit.logs import get_logger
from carillon_kit.object_store import ObjectNotFound, ObjectStore
from carillon_kit.postgres import UNAVAILABLE
from carillon_media.adapters.journal import Journal, JournalError
from carillon_media.adapters.object_cache import ObjectCache
from carillon_media.domain.accounts import Accounts

CONSUMER = ConsumerSpec(stream=ERASURES.name, durable="media-erasures", subject=ORDERED, ack_wait=120)
_THEIRS = "delete from registration where tenant = $1 and (sip_user = any($2::text[]) or user_id = $3)"
#: Between two looks for calls that have ended since somebody was erased.
PURGE_SECONDS = 60.0
_log = get_logger("erasures")


class ErasureSubscriber:
    """Carries orders out and answers; without a database no registration is kept, which is said too."""

    def __init__(
        self,
        bus: Bus,
        pool: "asyncpg.Pool[Any] | None",
        objects: ObjectStore,
        tenants: Callable[[], "list[TenantConfig]"],
    ) -> None:
        self._bus = bus
        self._pool = pool
        self._objects = objects
        self._tenants = tenants
        self._clock = SystemClock()

    async def handle(self, batch: list[Delivered]) -> None:
        """Raises ValueError for what is no order, `Retry` while the database or the object store is away."""
        for delivered in batch:
            order = read_order(delivered.subject, delivered.data)
            try:
                counts = {"registrations_deleted": await self._forget(order), "audio_deleted": await self._silence(order)}
            except (*UNAVAILABLE, asyncpg.UndefinedTableError, ConnectionError, TimeoutError) as away:
                raise Retry(1.0) from away
            event_id, subject, payload = answer_event(order, "media", counts, self._clock.now())
            await self._bus.publish(ERASURES.name, subject, payload, str(event_id))

    async def _forget(self, order: Order) -> int:
        if self._pool is None:
            return 0
        gone = await self._pool.execute(_THEIRS, order.tenant, list(order.data.sip_users), order.data.user_id)
        return int(gone.split()[-1])

    async def _silence(self, order: Order) -> int:
        """The directory has seen that nobody else of the tenant has these; another tenant may have uploaded the same bytes."""
        elsewhere = {
            name
            for config in self._tenants()
            if config.tenant_id != order.tenant
            for each in config.all(Audio).values()
            for name in (each.object, each.wide_object)
        }
        count = 0
        for name in order.data.objects:
            if name not in elsewhere:
                with suppress(ObjectNotFound):
                    await self._objects.delete(name)
                    count += 1
        return count


async def clear_files(bus: Bus, journal: Journal, cache: ObjectCache, heard: ObjectCache) -> None:
    """Take out of this node's files what is erased, order by order, until cancelled; `purge_journal` what is of calls under way. Whose
    the messages are that were `heard` here is not known: all go."""
    async for message in bus.follow(ERASURES.name, ORDERED):
        try:
            order = read_order(message.subject, message.data)
        except ValueError:
            continue
        for name in order.data.objects:
            cache.forget(name)
        heard.clear()
        try:
            await journal.turn_over()
        except JournalError as error:
            _log.error("the journal keeps what was to be erased", erasure_id=order.data.erasure_id, error=str(error))


async def purge_journal(journal: Journal) -> None:
    """Calls that were under way when somebody was erased have ended since: take out of the files what is of them, until cancelled."""
    while True:
        await asyncio.sleep(PURGE_SECONDS)
        try:
            await journal.purge()
        except JournalError as error:
            _log.error("the journal keeps what was to be erased", error=str(error))


@asynccontextmanager
async def obeying(
    bus: Bus, postgres_dsn: str, objects: ObjectStore, accounts: Accounts, journal: Journal, cache: ObjectCache, heard: ObjectCache
) -> AsyncIterator[None]:
    """Obey while the context is; the database may come later."""
    async with AsyncExitStack() as stack:
        pool = None
        if postgres_dsn:
            pool = await asyncpg.create_pool(postgres_dsn, min_size=0, max_size=1, command_timeout=30)
            stack.push_async_callback(pool.close)
        await bus.ensure_stream(ERASURES)

        def tenants() -> list[TenantConfig]:
            return [config for name in accounts.tenants() if (config := accounts.config(name)) is not None]

        subscriber = ErasureSubscriber(bus, pool, objects, tenants)
        consumer = await bus.consume(CONSUMER, subscriber.handle, MemoryDeadLetters(), batch=2)
        stack.push_async_callback(consumer.stop)
        tasks = await stack.enter_async_context(Tasks())
        tasks.start(clear_files(bus, journal, cache, heard), "erasures in files")
        tasks.start(purge_journal(journal), "erasures in the journal")
        yield
