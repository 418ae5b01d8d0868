"""A durable consumer of orders: each is carried out, and answered, in one transaction; whatever dies when, it is done again or was done.

Carrying out an order must be harmless the second time: there is no inbox, so that an answer that was lost on the way is given again.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

import asyncpg

from carillon_kit import outbox
from carillon_kit.bus import ConsumerSpec, Delivered, Retry
from carillon_kit.postgres import UNAVAILABLE
from carillon_kit.rewriting import patterns_of_bytes

O = TypeVar("O")  # noqa: E741
Counts = dict[str, int]
#: (message id, subject, payload)
Answer = tuple[UUID, str, bytes]
Wake = Callable[[], None]
_WAITING = "select exists (select from outbox where encode(payload, 'escape') ilike any($1::text[]))"


@dataclass(frozen=True, slots=True)
class Orders(Generic[O]):
    """`read` raises ValueError for what is no order, `carry_out` does it on a connection, `answer` puts into words what was done."""

    pool: "asyncpg.Pool[Any]"
    spec: ConsumerSpec
    read: Callable[[Delivered], O]
    carry_out: Callable[[Any, O], Awaitable[Counts]]
    answer: Callable[[O, Counts], Answer]
    #: What of an order must not wait in the outbox any more before it is carried out: it would come up behind it.
    words: Callable[[O], Sequence[str]]
    wake: Wake
    stream: str

    async def handle(self, batch: list[Delivered]) -> None:
        """Raises ValueError for what is no order, `Retry` while the database is away."""
        for delivered in batch:
            order = self.read(delivered)
            try:
                async with self.pool.acquire() as connection, connection.transaction():
                    if await connection.fetchval(_WAITING, patterns_of_bytes(self.words(order))):
                        raise Retry(1.0)
                    counts = await self.carry_out(connection, order)
                    await outbox.put(connection, self.stream, [self.answer(order, counts)])
            except UNAVAILABLE as away:
                raise Retry(1.0) from away
            self.wake()
