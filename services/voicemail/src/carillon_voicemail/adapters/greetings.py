"""Greetings that were spoken by phone, in Postgres; their audio is in the object store, and goes when another one comes."""

from datetime import datetime
from typing import Any

import asyncpg

from carillon_kit.object_store import ObjectStore
from carillon_voicemail.adapters.postgres import acquired
from carillon_voicemail.adapters.postgres_messages import delete_audio

_GET = "select object from greeting where tenant = $1 and mailbox_id = $2"
_KEEP = """
insert into greeting (tenant, mailbox_id, object) values ($1, $2, $3)
    on conflict (tenant, mailbox_id) do update set object = $3, recorded_at = clock_timestamp()"""
_DROP = """
delete from greeting
 where tenant = $1 and mailbox_id = any($2::text[]) and recorded_at <= coalesce($3::timestamptz, recorded_at) returning object"""


class Greetings:
    """On a pool whose search path is the service's schema; every statement has `timeout` seconds."""

    def __init__(self, pool: "asyncpg.Pool[Any]", objects: ObjectStore, timeout: float = 0.2) -> None:
        self._pool = pool
        self._objects = objects
        self._timeout = timeout

    async def of(self, tenant: str, mailbox_id: str) -> str:
        """The object of the box's greeting; empty: none was spoken. Raises StoreUnavailable."""
        async with acquired(self._pool, self._timeout) as connection:
            return await connection.fetchval(_GET, tenant, mailbox_id, timeout=self._timeout) or ""

    async def keep(self, tenant: str, mailbox_id: str, name: str) -> None:
        """In place of the one before. Raises StoreUnavailable, OSError."""
        async with acquired(self._pool, self._timeout) as connection, connection.transaction():
            before = await connection.fetchval(_GET, tenant, mailbox_id, timeout=self._timeout)
            await connection.execute(_KEEP, tenant, mailbox_id, name, timeout=self._timeout)
            if before and before != name:
                await delete_audio(connection, self._objects, [before], timeout=self._timeout)

    async def drop(self, tenant: str, mailbox_id: str) -> None:
        """That of the configuration is played again. Raises StoreUnavailable, OSError."""
        async with acquired(self._pool, self._timeout) as connection, connection.transaction():
            await drop_greetings(connection, self._objects, tenant, [mailbox_id])


async def drop_greetings(connection: Any, objects: ObjectStore, tenant: str, mailbox_ids: list[str], until: datetime | None = None) -> None:
    """Of these boxes, with their audio, in the caller's transaction; `until`: not those that were spoken later."""
    gone = [row["object"] for row in await connection.fetch(_DROP, tenant, mailbox_ids, until)]
    await delete_audio(connection, objects, gone)
