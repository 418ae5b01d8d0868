"""Resellers in Postgres with what happened to them; who writes one writes under a lock, because a change is checked among all."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from carillon_contracts.config import Reseller
from carillon_directory.adapters.tenant_log import PostgresTenantLog
from carillon_directory.domain.resellers import Changed, folded
from carillon_directory.ports import Appends, Outrun
from carillon_kit.errors import Aborted, AlreadyExists, NotFound

Resellers = dict[str, Reseller]
_SELLING = "select pg_advisory_xact_lock(hashtextextended(current_schema() || '/selling', 0))"
_PUT = """
insert into reseller (id, document) values ($1, $2) on conflict (id) do update set document = $2, etag = reseller.etag + 1 returning etag"""
_TOLD = "insert into reseller_change (actor, reason, reseller_id, before, after) values ($1, $2, $3, $4, $5)"
_CHANGES = """
select seq, at, actor, reason, reseller_id, before, after from reseller_change
where ($1::bigint is null or seq <= $1) and ($2::timestamptz is null or at <= $2) order by seq"""
#: From all resellers to the one to keep; raises what refuses it.
Change = Callable[[Resellers], Reseller]
#: Who, and why.
By = tuple[str, str]
#: A reseller before and after.
Move = tuple[Reseller | None, Reseller | None]


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

    async def all(self, moment: int | datetime | None = None) -> Resellers:
        """Every reseller by id, in order; as of a change or a time."""
        return await _all(self._pool) if moment is None else folded(await self.changes(moment))

    async def changes(self, moment: int | datetime | None = None) -> list[Changed]:
        """What happened, in order, up to a change or a time."""
        seq, at = (moment, None) if isinstance(moment, int) else (None, moment)
        rows = await self._pool.fetch(_CHANGES, seq, at)
        told = ((row, _read(row["before"]), _read(row["after"])) for row in rows)
        return [Changed(row["seq"], row["at"], row["actor"], row["reason"], row["reseller_id"], *pair) for row, *pair in told]

    async def create(self, by: By, change: Change) -> Reseller:
        """Keep a new one. Raises `AlreadyExists`."""
        async with self._pool.acquire() as connection, connection.transaction():
            known = await _locked(connection)
            reseller = change(known)
            if reseller.id in known:
                raise AlreadyExists(f"reseller {reseller.id!r}")
            return await _put(connection, by, None, reseller)

    async def update(self, by: By, reseller_id: str, etag: str, change: Change) -> Reseller:
        """Keep it in place of the one there. Raises `NotFound`, `Aborted`."""
        async with self._pool.acquire() as connection, connection.transaction():
            known = await _locked(connection)
            expect(known, reseller_id, etag)
            return await _put(connection, by, known[reseller_id], change(known))

    async def delete(self, by: By, reseller_id: str, etag: str, check: Callable[[Resellers], None]) -> None:
        """Raises `NotFound`, `Aborted`, and what `check` raises."""
        async with self._pool.acquire() as connection, connection.transaction():
            known = await _locked(connection)
            expect(known, reseller_id, etag)
            check(known)
            await _delete(connection, by, known[reseller_id])

    async def apply(self, by: By, known: Resellers, moves: Sequence[Move], log: PostgresTenantLog, appends: Appends) -> Resellers:
        """Changes of several resellers, from what is `known` of all, and of several tenants, in one transaction.

        Those that are kept, with their new etags. Raises `Outrun`.
        """
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await log.lock(appends, connection)
                if moves and await _locked(connection) != known:
                    raise Outrun("resellers were changed meanwhile")
                kept: Resellers = {}
                for before, after in moves:
                    if after is not None:
                        kept[after.id] = await _put(connection, by, before, after)
                    elif before is not None:
                        await _delete(connection, by, before)
                for tenant_id, (expected, changes) in appends.items():
                    async with log.appending(connection, tenant_id, expected, changes):
                        pass
                return kept
        except asyncpg.DeadlockDetectedError as deadlock:
            raise Outrun("others change the same") from deadlock


async def _put(connection: Any, by: By, before: Reseller | None, reseller: Reseller) -> Reseller:
    """As it is kept; one that stays as it was was not changed."""
    if before is not None and reseller.model_copy(update={"etag": before.etag}) == before:
        return before
    etag: int = await connection.fetchval(_PUT, reseller.id, reseller.model_dump(mode="json", exclude={"etag"}, exclude_none=True))
    kept = reseller.model_copy(update={"etag": str(etag)})
    await connection.execute(_TOLD, *by, reseller.id, _whole(before), _whole(kept))
    return kept


async def _delete(connection: Any, by: By, reseller: Reseller) -> None:
    await connection.execute("delete from api_key where tenant = '' and reseller = $1", reseller.id)
    await connection.execute("delete from reseller where id = $1", reseller.id)
    await connection.execute(_TOLD, *by, reseller.id, _whole(reseller), None)


async def _locked(connection: Any) -> Resellers:
    await connection.execute("lock table reseller in share row exclusive mode")
    return await _all(connection)


async def _all(connection: Any) -> Resellers:
    rows = await connection.fetch("select id, etag, document from reseller order by id")
    return {row["id"]: Reseller.model_validate({**_loaded(row["document"]), "etag": str(row["etag"])}) for row in rows}


def _loaded(document: Any) -> dict[str, Any]:
    """Documents that were written before changes were kept are texts of JSON."""
    found: dict[str, Any] = orjson.loads(document) if isinstance(document, str) else document
    return found


def _read(document: Any) -> Reseller | None:
    return None if document is None else Reseller.model_validate(_loaded(document))


def _whole(reseller: Reseller | None) -> dict[str, Any] | None:
    return None if reseller is None else reseller.model_dump(mode="json", exclude_none=True)


def expect(known: Resellers, reseller_id: str, etag: str) -> None:
    """Raises `NotFound`, `Aborted`."""
    if reseller_id not in known:
        raise NotFound(f"reseller {reseller_id!r}")
    if etag and etag != known[reseller_id].etag:
        raise Aborted(f"reseller {reseller_id!r} was changed meanwhile; its etag is {known[reseller_id].etag}")
