"""Events a consumer has applied, remembered in the transaction that applied them."""

from typing import Any
from uuid import UUID

import asyncpg


class Inbox:
    """Table `inbox` of the service's schema."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool

    async def claim(self, connection: Any, consumer: str, event_id: UUID) -> bool:
        """True: new, and remembered with the caller's transaction on `connection`. False: seen before."""
        raise NotImplementedError


class MemoryInbox:
    """The twin in memory; `connection` is ignored."""

    async def claim(self, connection: Any, consumer: str, event_id: UUID) -> bool:
        """As `Inbox.claim`."""
        raise NotImplementedError
