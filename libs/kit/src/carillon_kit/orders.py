"""A durable consumer of orders: each is carried out, and answered, in one transaction; whatever dies when, it is done again or was done.

Carrying out an order must be harmless the second time: there is no inbox, so that an answer that was lost on the way is given again.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import asyncpg

from carillon_kit import outbox
from carillon_kit.bus import Bus, Consumer, ConsumerSpec, Delivered, Retry, StreamLike
from carillon_kit.clock import Clock, SystemClock
from carillon_kit.dead_letters import DeadLetters
from carillon_kit.postgres import UNAVAILABLE
from carillon_kit.rewriting import patterns_of_bytes

O = TypeVar("O")  # noqa: E741
Counts = dict[str, int]
#: (message id, subject, payload)
Answer = tuple[UUID, str, bytes]
Wake = Callable[[], None]
_WAITING = "select exists (select from outbox where encode(payload, 'escape') ilike any($1::text[]))"


class Terms(Protocol[O]):
    """What orders are, and how they are answered."""

    def read(self, subject: str, payload: bytes) -> O:
        """Raises ValueError for what is no order."""

    def answer(self, order: O, counts: Counts, at: datetime) -> Answer:
        """What was done, put into words."""

    def words(self, order: O) -> Sequence[str]:
        """What of an order must not wait in the outbox any more before it is carried out: it would come up behind it."""


@dataclass(frozen=True, slots=True)
class Orders(Generic[O]):
    """`carry_out` does what was ordered on a connection, in its transaction."""

    pool: "asyncpg.Pool[Any]"
    spec: ConsumerSpec
    terms: Terms[O]
    carry_out: Callable[[Any, O], Awaitable[Counts]]
    wake: Wake
    clock: Clock = field(default_factory=SystemClock)

    async def handle(self, batch: list[Delivered]) -> None:
        """Raises ValueError for what is no order, `Retry` while the database is away."""
        for delivered in batch:
            order = self.terms.read(delivered.subject, delivered.data)
            try:
                async with self.pool.acquire() as connection, connection.transaction():
                    if await connection.fetchval(_WAITING, patterns_of_bytes(self.terms.words(order))):
                        raise Retry(1.0)
                    counts = await self.carry_out(connection, order)
                    await outbox.put(connection, self.spec.stream, [self.terms.answer(order, counts, self.clock.now())])
            except UNAVAILABLE as away:
                raise Retry(1.0) from away
            self.wake()

    async def obey(self, bus: Bus, stream: StreamLike) -> Consumer:
        """Start the consumer."""
        await bus.ensure_stream(stream)
        return await bus.consume(self.spec, self.handle, DeadLetters(self.pool), batch=2)
