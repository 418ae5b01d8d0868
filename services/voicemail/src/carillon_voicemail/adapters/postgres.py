"""Reaching Postgres: a connection with a deadline, and the server's absence as one error."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from carillon_kit.postgres import UNAVAILABLE
from carillon_voicemail.ports import StoreUnavailable


@asynccontextmanager
async def acquired(pool: "asyncpg.Pool[Any]", timeout: float) -> AsyncIterator[Any]:
    """A connection, waited for at most `timeout` seconds; the server's absence, here or in the block, is `StoreUnavailable`."""
    try:
        async with pool.acquire(timeout=timeout) as connection:
            yield connection
    except UNAVAILABLE as error:
        raise StoreUnavailable(f"the store is away: {error or type(error).__name__}") from error
