"""Events a consumer has applied, remembered in the transaction that applied them.

Invariant: of any number of deliveries of one event, exactly one transaction that claims it commits.
"""

from typing import Any
from uuid import UUID

import asyncpg

_CLAIM = "insert into inbox (consumer, event_id) values ($1, $2) on conflict do nothing"
_CLAIM_MANY = """
insert into inbox (consumer, event_id) select $1, event_id from unnest($2::uuid[]) as new (event_id) order by event_id
on conflict do nothing returning event_id
"""
_FORGET = "delete from inbox where at < now() - make_interval(secs => $1)"


class Inbox:
    """Table `inbox` of the service's schema."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool

    async def claim(self, connection: Any, consumer: str, event_id: UUID) -> bool:
        """True: new, and remembered with the caller's transaction on `connection`. False: seen before.

        Waits for another transaction that has claimed it and not ended yet.
        """
        return bool((await connection.execute(_CLAIM, consumer, event_id)).endswith(" 1"))

    async def claim_many(self, connection: Any, consumer: str, event_ids: list[UUID]) -> set[UUID]:
        """Of `event_ids`, those that are new; one statement for a batch."""
        return {row["event_id"] for row in await connection.fetch(_CLAIM_MANY, consumer, event_ids)}

    async def forget(self, older_than_seconds: float) -> int:
        """Drop what was claimed longer ago than the streams keep their messages; returns how many."""
        return int((await self._pool.execute(_FORGET, older_than_seconds)).split()[-1])


class MemoryInbox:
    """The twin in memory; `connection` is ignored, nothing is rolled back."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, UUID]] = set()

    async def claim(self, connection: Any, consumer: str, event_id: UUID) -> bool:
        """As `Inbox.claim`."""
        new = (consumer, event_id) not in self._seen
        self._seen.add((consumer, event_id))
        return new

    async def claim_many(self, connection: Any, consumer: str, event_ids: list[UUID]) -> set[UUID]:
        """As `Inbox.claim_many`."""
        return {event_id for event_id in event_ids if await self.claim(connection, consumer, event_id)}
