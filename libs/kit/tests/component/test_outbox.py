"""What waits in the outbox is published and forgotten, whatever the bus does."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from carillon_kit.bus import MemoryBus, Outgoing, StreamSpec
from carillon_kit.outbox import Outbox
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.testing import eventually

Pool = asyncpg.Pool


class MoodyBus(MemoryBus):
    """Refuses these ids, or everything, once."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()
        self.away = False
        self.sent: list[str] = []

    async def publish_many(self, stream: str, items: Sequence[Outgoing], timeout: float = 5.0) -> list[str]:
        if self.away:
            self.away = False
            raise ConnectionError("away")
        failed = [item.message_id for item in items if item.message_id in self.refused]
        self.refused = set()
        taken = [item for item in items if item.message_id not in failed]
        self.sent += [item.message_id for item in taken]
        return failed + await super().publish_many(stream, taken)


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator["Pool[Any]"]:
    made = await open_pool(postgres_dsn)
    await migrate(made)
    await made.execute("truncate outbox")
    yield made
    await made.close()


@pytest.fixture
async def bus() -> MoodyBus:
    made = MoodyBus()
    await made.ensure_stream(StreamSpec("RECORDS", ("carillon.>",)))
    return made


async def put(pool: "Pool[Any]", count: int) -> list[str]:
    ids = [UUID(int=number) for number in range(1, count + 1)]
    for message_id in ids:
        await pool.execute("insert into outbox (message_id, stream, subject, payload) values ($1, 'RECORDS', 'carillon.x', '')", message_id)
    return [str(message_id) for message_id in ids]


@pytest.mark.feature("P-10")
async def test_what_is_refused_stays_and_goes_next_time(pool: "Pool[Any]", bus: MoodyBus) -> None:
    ids = await put(pool, 5)
    bus.refused = {ids[2]}
    outbox = Outbox(pool, bus)
    assert [await outbox.publish_some() for _ in range(3)] == [4, 1, 0]
    assert sorted(bus.sent) == ids
    assert await pool.fetchval("select count(*) from outbox") == 0


async def test_several_replicas_share_the_work(pool: "Pool[Any]", bus: MoodyBus) -> None:
    ids = await put(pool, 60)
    outboxes = [Outbox(pool, bus, batch=7) for _ in range(4)]
    while sum(await asyncio.gather(*(outbox.publish_some() for outbox in outboxes))):
        pass
    assert sorted(bus.sent) == ids


async def test_while_the_bus_is_away_nothing_is_lost(pool: "Pool[Any]", bus: MoodyBus) -> None:
    ids = await put(pool, 3)
    bus.away = True
    outbox = Outbox(pool, bus, batch=2, poll_seconds=0.01)
    running = asyncio.create_task(outbox.run())
    await eventually(lambda: pool.fetchval("select count(*) = 0 from outbox"))
    running.cancel()
    assert bus.sent == ids
