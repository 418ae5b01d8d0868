"""The queues and counters of the service, put together as soon as the database is there; calls that need none do not wait for it."""

import asyncio
from contextlib import AsyncExitStack

from carillon_contracts.streams import CALLS, QUEUES
from carillon_kit.bus import Bus
from carillon_kit.clock import SystemClock
from carillon_kit.dead_letters import DeadLetters
from carillon_kit.event_store import PostgresEventStore
from carillon_kit.ids import SystemIds
from carillon_kit.lifecycle import Tasks
from carillon_kit.logs import get_logger
from carillon_kit.outbox import Outbox
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.relay import Relay
from carillon_routing import erasures
from carillon_routing.adapters.attendance import PostgresAttendance
from carillon_routing.adapters.call_facts import CallFactsWriter
from carillon_routing.adapters.call_orders import PostgresOrders
from carillon_routing.adapters.emergency_notices import CONSUMER as EMERGENCIES_CONSUMER
from carillon_routing.adapters.emergency_notices import EmergencyNotices
from carillon_routing.adapters.floor_log import PostgresFloors
from carillon_routing.adapters.postgres_facts import PostgresFacts
from carillon_routing.adapters.queue_events import QueuePublisher
from carillon_routing.handlers.call_orders import CallOrders
from carillon_routing.handlers.floors import Floors, FloorsWhenUp
from carillon_routing.ports import CallBack
from carillon_routing.projections.configuration import Configuration
from carillon_routing.settings import RoutingSettings
from carillon_routing.subscribers import CONSUMER, CallSubscriber, retire_former

_log = get_logger(__name__)


async def run_queues(
    settings: RoutingSettings,
    bus: Bus,
    configuration: Configuration,
    up: FloorsWhenUp,
    facts: PostgresFacts,
    attendance: PostgresAttendance,
    kept: PostgresOrders,
    orders: CallOrders,
    call_back: CallBack | None = None,
) -> None:
    """Wait for the database, then let time pass on the floors until cancelled."""
    ids = SystemIds()
    async with AsyncExitStack() as stack:
        while True:
            try:
                pool = await open_pool(settings.postgres_dsn)
                break
            except ConnectionError as error:
                _log.warning("queues wait for the database", error=str(error))
        stack.push_async_callback(pool.close)
        await migrate(pool, "carillon_routing.migrations")
        log = PostgresFloors(pool, ids)
        start = (await stack.enter_async_context(Tasks())).start
        floors = Floors(
            log,
            configuration.current,
            SystemClock(),
            f"{settings.node}-{ids.token()}",
            call_back,
            start=start,
            without_line=orders.without_line,
        )
        facts.adopt(pool)
        attendance.adopt(pool)
        kept.adopt(pool)
        up.adopt(floors)
        for stream in (CALLS, QUEUES):
            await bus.ensure_stream(stream)
        consumer = await bus.consume(CONSUMER, CallSubscriber(floors, CallFactsWriter(pool)).handle, DeadLetters(pool))
        stack.push_async_callback(consumer.stop)
        notices = EmergencyNotices(bus, configuration.current, SystemClock(), kept)
        emergencies = await bus.consume(EMERGENCIES_CONSUMER, notices.handle, DeadLetters(pool))
        stack.push_async_callback(emergencies.stop)
        outbox = Outbox(pool, bus)
        stack.push_async_callback((await erasures.obey(pool, bus, outbox.wake)).stop)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(outbox.run())
            tasks.create_task(erasures.forget(bus, floors.forget))
            tasks.create_task(retire_former(bus))
            tasks.create_task(floors.run())
            tasks.create_task(orders.run())
            tasks.create_task(facts.sweep())
            tasks.create_task(Relay(PostgresEventStore(pool), pool, QueuePublisher(bus), name="queues").run())


async def wait_a_moment(up: FloorsWhenUp, seconds: float) -> None:
    """For the database, but not for ever."""
    try:
        async with asyncio.timeout(seconds):
            await up.ready.wait()
    except TimeoutError:
        return
