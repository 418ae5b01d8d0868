"""The outbox relay: hands stored events to a publisher, in order, at least once, never skipping a late commit."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from carillon_kit.event_store import PostgresEventStore, StoredEvent

Publish = Callable[[Sequence[StoredEvent]], Awaitable[None]]


class Relay:
    """One relay per name is active at a time, whatever the number of replicas (advisory lock)."""

    def __init__(self, store: PostgresEventStore, pool: "asyncpg.Pool[Any]", publish: Publish, *, name: str = "relay") -> None:
        raise NotImplementedError

    async def run(self) -> None:
        """Relay until cancelled; survives the database's and the publisher's absence."""
        raise NotImplementedError

    async def caught_up(self, timeout: float = 10.0) -> None:
        """Return once everything stored before this call has been published; raises `TimeoutError`."""
        raise NotImplementedError

    async def rebuild(self) -> None:
        """Publish everything again from position 0."""
        raise NotImplementedError
