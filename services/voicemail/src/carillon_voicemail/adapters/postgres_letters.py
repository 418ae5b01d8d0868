"""Letters in Postgres: taken once by their event, leased to one worker at a time; what they say is forgotten when they are sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from carillon_contracts.letter import LetterRequested
from carillon_voicemail.adapters.postgres import acquired

_TAKE = """
insert into letter_job (letter_id, tenant, body, requested_at, due_at, next_attempt_at)
values ($1, $2, $3, $4, coalesce($5, clock_timestamp()), coalesce($5, clock_timestamp())) on conflict (letter_id) do nothing"""
_CLAIM = """
with due as (
  select letter_id from letter_job
   where (state = 'pending' and next_attempt_at <= clock_timestamp()) or (state = 'sending' and leased_until <= clock_timestamp())
   order by next_attempt_at limit $1 for update skip locked)
update letter_job j set state = 'sending', attempts = attempts + 1, leased_until = clock_timestamp() + $2::interval
  from due where due.letter_id = j.letter_id
returning j.letter_id, j.tenant, j.body, j.requested_at, j.attempts, clock_timestamp() - greatest(j.created_at, j.due_at) as age"""
_DONE = """
update letter_job set state = $2, finished_at = clock_timestamp(), leased_until = null, last_error = $3, body = null
 where letter_id = $1 and state in ('pending', 'sending')"""
_AGAIN = """
update letter_job set state = 'pending', next_attempt_at = clock_timestamp() + $4::interval, leased_until = null, last_error = $3
 where letter_id = $1 and state = 'sending' and attempts = $2"""
_LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class LetterJob:
    """A letter that this worker alone may send now; `attempt` counts from 1, `age` since it was due first."""

    letter_id: UUID
    tenant: str
    letter: LetterRequested
    requested_at: datetime
    attempt: int
    age: timedelta


class PostgresLetters:
    """Raises `StoreUnavailable` while the server is away."""

    def __init__(self, pool: "asyncpg.Pool[Any]", timeout: float = 10.0) -> None:
        self._pool = pool
        self._timeout = timeout

    async def take(
        self, letter_id: UUID, tenant: str, letter: LetterRequested, requested_at: datetime, due: datetime | None = None
    ) -> bool:
        """Keep a letter to be sent, not before it is `due`; False: it was taken before."""
        async with acquired(self._pool, self._timeout) as connection:
            return await put(connection, letter_id, tenant, letter, requested_at, due, timeout=self._timeout)

    async def claim(self, limit: int, lease: timedelta) -> Sequence[LetterJob]:
        """Take what is due."""
        async with acquired(self._pool, self._timeout) as connection:
            rows = await connection.fetch(_CLAIM, limit, lease, timeout=self._timeout)
        return [
            LetterJob(
                row["letter_id"],
                row["tenant"],
                LetterRequested.model_validate(row["body"]),
                row["requested_at"],
                row["attempts"],
                row["age"],
            )
            for row in rows
        ]

    async def sent(self, job: LetterJob) -> None:
        """The mail server has it."""
        await self._done(job, "sent", "")

    async def failed(self, job: LetterJob, error: str) -> None:
        """Given up."""
        await self._done(job, "failed", error)

    async def again(self, job: LetterJob, error: str, delay: timedelta) -> None:
        """Try again after the delay."""
        async with acquired(self._pool, self._timeout) as connection:
            await connection.execute(_AGAIN, job.letter_id, job.attempt, _short(error), delay, timeout=self._timeout)

    async def _done(self, job: LetterJob, state: str, error: str) -> None:
        async with acquired(self._pool, self._timeout) as connection:
            await connection.execute(_DONE, job.letter_id, state, _short(error), timeout=self._timeout)


async def put(
    connection: Any, letter_id: UUID, tenant: str, letter: LetterRequested, requested_at: datetime, due: datetime | None, *, timeout: float
) -> bool:
    """`PostgresLetters.take` within a transaction of the caller's."""
    row = (letter_id, tenant, letter.model_dump(mode="json"), requested_at, due)
    return str(await connection.execute(_TAKE, *row, timeout=timeout)) == "INSERT 0 1"


def _short(error: str) -> str:
    return error.replace("\x00", " ").encode(errors="backslashreplace").decode()[:_LONGEST_ERROR]
