"""One suite for the inbox on Postgres and for its twin in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from carillon_kit.ids import SystemIds
from carillon_kit.inbox import Inbox, MemoryInbox
from carillon_kit.postgres import migrate, open_pool

IDS = SystemIds()


@dataclass
class Box:
    """An inbox and where its transactions come from."""

    inbox: Inbox | MemoryInbox
    pool: Any = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        if self.pool is None:
            yield None
            return
        async with self.pool.acquire() as connection, connection.transaction():
            yield connection


@pytest.fixture(params=["memory", "postgres"])
async def box(request: pytest.FixtureRequest) -> AsyncIterator[Box]:
    if request.param == "memory":
        yield Box(MemoryInbox())
        return
    pool = await open_pool(request.getfixturevalue("postgres_dsn"))
    await migrate(pool)
    yield Box(Inbox(pool), pool)
    await pool.close()


async def test_an_event_is_claimed_once_per_consumer(box: Box) -> None:
    event_id = IDS.uuid7()
    async with box.transaction() as connection:
        assert await box.inbox.claim(connection, "cdr", event_id)
    async with box.transaction() as connection:
        assert not await box.inbox.claim(connection, "cdr", event_id)
        assert await box.inbox.claim(connection, "voicemail", event_id)
        assert await box.inbox.claim(connection, "cdr", IDS.uuid7())


async def test_of_a_batch_only_the_new_ones_are_claimed(box: Box) -> None:
    old, one, two = (IDS.uuid7() for _ in range(3))
    async with box.transaction() as connection:
        await box.inbox.claim(connection, "cdr", old)
        assert await box.inbox.claim_many(connection, "cdr", [two, old, one]) == {one, two}


async def test_a_claim_goes_with_its_transaction(postgres_dsn: str) -> None:
    pool = await open_pool(postgres_dsn)
    await migrate(pool)
    inbox, event_id = Inbox(pool), IDS.uuid7()
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await inbox.claim(connection, "cdr", event_id)
        await transaction.rollback()
    async with pool.acquire() as connection:
        assert await inbox.claim(connection, "cdr", event_id)
    assert await inbox.forget(3600) == 0
    assert await inbox.forget(-1) > 0
    await pool.close()
