"""A fresh schema per module, emptied before each test."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from carillon_cdr.adapters.postgres_ledger import PostgresLedger
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.testing import nats_server, nats_url, postgres_dsn

__all__ = ["nats_server", "nats_url", "postgres_dsn"]

Pool = asyncpg.Pool


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Any]:
    """A pool on the service's own, empty schema."""
    made = await open_pool(postgres_dsn)
    await migrate(made, "carillon_cdr.migrations")
    await made.execute("truncate call_event, call_event_conflict, call_record, call_record_of, recording, outbox, dead_letter")
    yield made
    await made.close()


@pytest.fixture
async def ledger(pool: "Pool[Any]") -> PostgresLedger:
    """The ledger on that schema."""
    return PostgresLedger(pool)
