"""What must be published with a transaction: `put` writes it in the table `outbox`, an `Outbox` publishes it afterwards.

Always: a row is deleted only when its stream has acknowledged it. Each message is published at least once under one id; after a crash
it is the same id and the same bytes, so the stream, or the consumer's inbox, drops the second. Replicas share the work: a row is in one
hand at a time.
"""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

import asyncpg

from carillon_kit.bus import Bus, Outgoing
from carillon_kit.logs import get_logger

_PUT = """
insert into outbox (message_id, stream, subject, payload)
select * from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[])
    on conflict (message_id) do nothing"""
_TAKE = "select position, message_id, stream, subject, payload from outbox order by position limit $1 for update skip locked"
_FORGET = "delete from outbox where position = any($1::bigint[])"
_log = get_logger("outbox")


async def put(connection: Any, stream: str, messages: Sequence[tuple[UUID, str, bytes]], *, timeout: float | None = None) -> None:
    """Have (message id, subject, payload) published if the caller's transaction commits; an id that waits is not added again."""
    if messages:
        ids, subjects, payloads = (list(column) for column in zip(*messages, strict=True))
        await connection.execute(_PUT, ids, [stream] * len(ids), subjects, payloads, timeout=timeout)


class Outbox:
    """Drains the outbox when woken, and every `poll_seconds` for what a killed process left."""

    def __init__(self, pool: "asyncpg.Pool[Any]", bus: Bus, *, batch: int = 256, poll_seconds: float = 1.0) -> None:
        self._pool = pool
        self._bus = bus
        self._batch = batch
        self._poll_seconds = poll_seconds
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something was committed to the outbox."""
        self._woken.set()

    async def run(self) -> None:
        """Publish until cancelled; the database's or the bus's absence only delays."""
        while True:
            self._woken.clear()
            try:
                drained = await self.publish_some() < self._batch
            except Exception as error:  # noqa: BLE001 - the edge: what failed stays in the table and is tried again
                _log.warning("outbox delayed", error=repr(error))
                drained = True
            if drained:
                await self._wait()

    async def publish_some(self) -> int:
        """Publish at most one batch, the oldest first; returns how many were acknowledged and forgotten."""
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_TAKE, self._batch)
            done: list[int] = []
            for stream, of_stream in groupby(rows, key=lambda row: row["stream"]):
                done += await self._publish(stream, list(of_stream))
            if done:
                await connection.execute(_FORGET, done)
        return len(done)

    async def _publish(self, stream: str, rows: list[Any]) -> list[int]:
        items = [Outgoing(row["subject"], row["payload"], str(row["message_id"])) for row in rows]
        failed = set(await self._bus.publish_many(stream, items))
        if failed:
            _log.warning("outbox refused", stream=stream, messages=len(failed))
        return [row["position"] for row in rows if str(row["message_id"]) not in failed]

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._poll_seconds):
                await self._woken.wait()
        except TimeoutError:
            return
