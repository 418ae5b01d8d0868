"""Messages that a consumer gave up: kept with their original bytes, listed, and replayed on demand.

Invariant: a dead letter is forgotten only after its handler took it. A replay goes to the consumer that failed, and to nobody
else: nothing is published again.
"""

from typing import Any

import asyncpg

from carillon_kit.bus.api import DeadLetter, Delivered

Pool = asyncpg.Pool


class DeadLetters:
    """Dead letters in the service's own schema (table `dead_letter`)."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool

    async def add(self, durable: str, stream: str, message: Delivered, error: str) -> None:
        """Keep the original; once per (durable, stream, stream_seq), a repetition updates error and deliveries."""
        raise NotImplementedError

    async def list(self, durable: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """The oldest `limit` letters, of one consumer or of all."""
        raise NotImplementedError

    async def replay(self, letter_id: int) -> None:
        """Ask the consumer that failed to try again; raises `NotFound`."""
        raise NotImplementedError

    async def replays(self, durable: str) -> "list[DeadLetter]":
        """What was asked to be tried again, oldest first, at most 16."""
        raise NotImplementedError

    async def resolve(self, letter_id: int) -> None:
        """The replay went through: forget it."""
        raise NotImplementedError


class MemoryDeadLetters:
    """The twin in memory."""

    async def add(self, durable: str, stream: str, message: Delivered, error: str) -> None:
        """As `DeadLetters.add`."""
        raise NotImplementedError

    async def list(self, durable: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """As `DeadLetters.list`."""
        raise NotImplementedError

    async def replay(self, letter_id: int) -> None:
        """As `DeadLetters.replay`."""
        raise NotImplementedError

    async def replays(self, durable: str) -> "list[DeadLetter]":
        """As `DeadLetters.replays`."""
        raise NotImplementedError

    async def resolve(self, letter_id: int) -> None:
        """As `DeadLetters.resolve`."""
        raise NotImplementedError
