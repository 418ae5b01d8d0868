"""Media's tables in Postgres, written behind and read again: nothing that a phone waits for waits long for the database.

Invariant: the service runs while Postgres is away; then what is to be written waits in the tables' own memory, and is written when it is
back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import asyncpg

from carillon_kit.logs import get_logger
from carillon_kit.postgres import UNAVAILABLE, MigrationError, migrate, open_pool

_log = get_logger(__name__)
TURN_SECONDS = 0.25
RETRY_SECONDS = 2.0
#: Between two writes that somebody waits for: thousands of phones are written fifty times a second at most.
GATHER_SECONDS = 0.02
WRITE_SECONDS = 10.0
Pool = asyncpg.Pool


class Table(Protocol):
    """One kind of thing that is kept. Each may raise what Postgres raises; then it is asked again."""

    async def load(self, pool: "Pool[Any]") -> None:
        """The database was reached for the first time."""

    async def turn(self, pool: "Pool[Any]") -> None:
        """Write what waits, read what others wrote."""

    async def hurry(self, pool: "Pool[Any]") -> None:
        """Write what somebody waits for."""

    async def close(self, pool: "Pool[Any]") -> None:
        """The service ends: write what waits."""


class Database:
    """Run `run` as a task; `ready` is set when every table was loaded."""

    def __init__(self, dsn: str, tables: Sequence[Table]) -> None:
        self._dsn = dsn
        self._tables = tables
        self.ready = asyncio.Event()
        self._hurried = asyncio.Event()

    async def run(self) -> None:
        """Connect, load, then turn by turn until cancelled; writes once more at the end."""
        pool = await self._connect()
        self.ready.set()
        loop = asyncio.get_running_loop()
        again = loop.time() + TURN_SECONDS
        try:
            while True:
                if await self._hurries(again):
                    await self._each(lambda table: table.hurry(pool))
                else:
                    well = await self._each(lambda table: table.turn(pool))
                    again = loop.time() + (TURN_SECONDS if well else RETRY_SECONDS)
        finally:
            await asyncio.shield(self._close(pool))

    async def _connect(self) -> "Pool[Any]":
        while True:
            try:
                pool = await open_pool(self._dsn, max_size=2)
                await migrate(pool, "carillon_media.migrations")
                for table in self._tables:
                    await table.load(pool)
                return pool
            except (*UNAVAILABLE, asyncpg.PostgresError, MigrationError) as error:
                _log.warning("registrations are kept in memory only", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    def hurry(self) -> None:
        """Somebody waits for what is to be written: `Table.hurry` soon, once for all that do."""
        self._hurried.set()

    async def _hurries(self, until: float) -> bool:
        """Whether somebody hurries before then; whoever else does meanwhile is gathered."""
        try:
            async with asyncio.timeout_at(until):
                await asyncio.sleep(GATHER_SECONDS)
                await self._hurried.wait()
        except TimeoutError:
            return False
        self._hurried.clear()
        return True

    async def _each(self, does: Callable[[Table], Awaitable[None]]) -> bool:
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                for table in self._tables:
                    await does(table)
        except (*UNAVAILABLE, asyncpg.PostgresError) as error:
            _log.warning("registrations wait for the database", error=str(error))
            return False
        return True

    async def _close(self, pool: "Pool[Any]") -> None:
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                for table in self._tables:
                    await table.close(pool)
        except (*UNAVAILABLE, asyncpg.PostgresError) as error:
            _log.warning("not everything was written to the database", error=str(error))
        pool.terminate()
