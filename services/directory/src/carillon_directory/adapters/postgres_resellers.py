"""Resellers in Postgres; who writes one writes under a lock, because a change is checked among all."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import orjson

from carillon_contracts.config import Reseller
from carillon_kit.errors import Aborted, AlreadyExists, NotFound

Resellers = dict[str, Reseller]
_SELLING = "select pg_advisory_xact_lock(hashtextextended(current_schema() || '/selling', 0))"
#: From all resellers to the one to keep; raises what refuses it.
Change = Callable[[Resellers], Reseller]


class PostgresResellers:
    """See the module."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool
        self._one = asyncio.Lock()

    @asynccontextmanager
    async def selling(self) -> AsyncIterator[None]:
        """Nobody else, of whatever replica, makes a tenant somebody's meanwhile: limits hold when two come at once.

        Who waits in this process waits without a connection.
        """
        async with self._one, self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SELLING)
            yield

    async def all(self) -> Resellers:
        """Every reseller by id, in order."""
        return await _all(self._pool)

    async def create(self, change: Change) -> Reseller:
        """Keep a new one. Raises `AlreadyExists`."""
        async with self._pool.acquire() as connection, connection.transaction():
            known = await _locked(connection)
            reseller = change(known)
            if reseller.id in known:
                raise AlreadyExists(f"reseller {reseller.id!r}")
            await connection.execute("insert into reseller (id, document) values ($1, $2)", reseller.id, _document(reseller))
        return reseller.model_copy(update={"etag": "1"})

    async def update(self, reseller_id: str, etag: str, change: Change) -> Reseller:
        """Keep it in place of the one there. Raises `NotFound`, `Aborted`."""
        async with self._pool.acquire() as connection, connection.transaction():
            known = await _locked(connection)
            _expect(known, reseller_id, etag)
            reseller = change(known)
            statement = "update reseller set document = $2, etag = etag + 1 where id = $1 returning etag"
            new: int = await connection.fetchval(statement, reseller_id, _document(reseller))
        return reseller.model_copy(update={"etag": str(new)})

    async def delete(self, reseller_id: str, etag: str, check: Callable[[Resellers], None]) -> None:
        """Raises `NotFound`, `Aborted`, and what `check` raises."""
        async with self._pool.acquire() as connection, connection.transaction():
            known = await _locked(connection)
            _expect(known, reseller_id, etag)
            check(known)
            await connection.execute("delete from api_key where tenant = '' and reseller = $1", reseller_id)
            await connection.execute("delete from reseller where id = $1", reseller_id)


async def _locked(connection: Any) -> Resellers:
    await connection.execute("lock table reseller in share row exclusive mode")
    return await _all(connection)


async def _all(connection: Any) -> Resellers:
    rows = await connection.fetch("select id, etag, document from reseller order by id")
    return {row["id"]: Reseller.model_validate({**orjson.loads(row["document"]), "etag": str(row["etag"])}) for row in rows}


def _document(reseller: Reseller) -> str:
    return reseller.model_dump_json(exclude={"etag"}, exclude_none=True)


def _expect(known: Resellers, reseller_id: str, etag: str) -> None:
    if reseller_id not in known:
        raise NotFound(f"reseller {reseller_id!r}")
    if etag and etag != known[reseller_id].etag:
        raise Aborted(f"reseller {reseller_id!r} was changed meanwhile; its etag is {known[reseller_id].etag}")
