"""Messages that a consumer gave up: kept with their original bytes, listed, and replayed on demand.

Invariant: a dead letter is forgotten only after its handler took it. A replay goes to the consumer that failed, and to nobody
else: nothing is published again, so followers and subscribers see every message once.
"""

import builtins
from dataclasses import replace
from typing import Any

import asyncpg

from carillon_kit.bus.api import DeadLetter, Delivered
from carillon_kit.clock import Clock, SystemClock
from carillon_kit.errors import NotFound

#: Replays handed to a consumer at a time.
_REPLAYS = 16
_LONGEST_ERROR = 4000
_COLUMNS = "id, durable, stream, stream_seq, subject, data, headers, message_id, error, deliveries, stored_at, died_at, replaying"
_ADD = """
insert into dead_letter (durable, stream, stream_seq, subject, data, headers, message_id, error, deliveries, stored_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (durable, stream, stream_seq, stored_at)
do update set error = excluded.error, deliveries = excluded.deliveries, replaying = false, died_at = excluded.died_at
"""
_LIST = f"select {_COLUMNS} from dead_letter where $1::text is null or durable = $1 order by id limit $2"
_REPLAY = "update dead_letter set replaying = true where id = $1"
_REPLAYING = f"select {_COLUMNS} from dead_letter where durable = $1 and replaying order by id limit $2"
_RESOLVE = "delete from dead_letter where id = $1"


class DeadLetters:
    """Dead letters in the service's own schema (table `dead_letter`)."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool

    async def add(self, durable: str, stream: str, message: Delivered, error: str) -> None:
        """Keep the original; once per (durable, message), a repetition updates error and deliveries."""
        await self._pool.execute(
            _ADD,
            durable,
            stream,
            message.stream_seq,
            message.subject,
            message.data,
            dict(message.headers),
            message.message_id,
            error[:_LONGEST_ERROR].replace("\0", ""),
            message.deliveries,
            message.stored_at,
        )

    async def list(self, durable: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """The oldest `limit` letters, of one consumer or of all."""
        return [DeadLetter(**row) for row in await self._pool.fetch(_LIST, durable, limit)]

    async def replay(self, letter_id: int) -> None:
        """Ask the consumer that failed to try again (it looks every second); raises `NotFound`."""
        if not (await self._pool.execute(_REPLAY, letter_id)).endswith(" 1"):
            raise NotFound(f"dead letter {letter_id}")

    async def replays(self, durable: str) -> "builtins.list[DeadLetter]":
        """What was asked to be tried again, oldest first, at most 16."""
        return [DeadLetter(**row) for row in await self._pool.fetch(_REPLAYING, durable, _REPLAYS)]

    async def resolve(self, letter_id: int) -> None:
        """The replay went through: forget it."""
        await self._pool.execute(_RESOLVE, letter_id)


class MemoryDeadLetters:
    """The twin in memory."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._letters: dict[int, DeadLetter] = {}
        self._last_id = 0

    async def add(self, durable: str, stream: str, message: Delivered, error: str) -> None:
        """As `DeadLetters.add`."""
        key = (durable, stream, message.stream_seq, message.stored_at)
        for letter in self._letters.values():
            if (letter.durable, letter.stream, letter.stream_seq, letter.stored_at) == key:
                letter_id = letter.id
                break
        else:
            self._last_id = letter_id = self._last_id + 1
        self._letters[letter_id] = DeadLetter(
            letter_id,
            durable,
            stream,
            message.stream_seq,
            message.subject,
            message.data,
            dict(message.headers),
            message.message_id,
            error[:_LONGEST_ERROR].replace("\0", ""),
            message.deliveries,
            message.stored_at,
            self._clock.now(),
        )

    async def list(self, durable: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """As `DeadLetters.list`."""
        return [letter for _, letter in sorted(self._letters.items()) if durable in (None, letter.durable)][:limit]

    async def replay(self, letter_id: int) -> None:
        """As `DeadLetters.replay`."""
        if letter_id not in self._letters:
            raise NotFound(f"dead letter {letter_id}")
        self._letters[letter_id] = replace(self._letters[letter_id], replaying=True)

    async def replays(self, durable: str) -> "builtins.list[DeadLetter]":
        """As `DeadLetters.replays`."""
        letters = await self.list(durable, len(self._letters))
        return [letter for letter in letters if letter.replaying][:_REPLAYS]

    async def resolve(self, letter_id: int) -> None:
        """As `DeadLetters.resolve`."""
        self._letters.pop(letter_id, None)
