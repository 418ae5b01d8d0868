"""E-mail jobs in Postgres, leased by the database's clock so that a worker with a wrong clock harms nobody.

Always: a job is in one worker's hands until its lease ends; a failure that a worker reports after it was overtaken changes nothing.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import asyncpg

from carillon_contracts.envelope import Event
from carillon_contracts.streams import MAILBOXES, mailbox_subject
from carillon_kit import outbox
from carillon_voicemail.adapters.postgres import acquired
from carillon_voicemail.adapters.postgres_messages import MESSAGE_COLUMNS, read_message
from carillon_voicemail.domain.message import Addressing
from carillon_voicemail.ports import MailJob

_CLAIM = f"""
with due as (
  select message_id from mail_job
   where (state = 'pending' and next_attempt_at <= clock_timestamp()) or (state = 'sending' and leased_until <= clock_timestamp())
   order by next_attempt_at limit $1 for update skip locked),
taken as (
  update mail_job j set state = 'sending', attempts = attempts + 1, leased_until = clock_timestamp() + $2::interval
    from due where due.message_id = j.message_id returning j.*)
select {MESSAGE_COLUMNS}, j.state, j.recipients, j.mailbox_name, j.language, j.time_zone, j.attempts,
       clock_timestamp() - j.created_at as age
  from taken j join message m using (message_id) order by j.next_attempt_at"""
_OURS = "where message_id = $1 and state = 'sending' and attempts = $2"
#: Whoever holds the lease by now: the mail is out.
_SENT = """
update mail_job set state = 'sent', finished_at = clock_timestamp(), leased_until = null, last_error = ''
 where message_id = $1 and state in ('pending', 'sending')"""
_AGAIN = f"""
update mail_job set state = 'pending', next_attempt_at = clock_timestamp() + $4::interval, leased_until = null, last_error = $3 {_OURS}"""
_FAILED = f"update mail_job set state = 'failed', finished_at = clock_timestamp(), leased_until = null, last_error = $3 {_OURS}"
_NEXT_DUE = """
select min(case state when 'sending' then leased_until else next_attempt_at end) - clock_timestamp() from mail_job
 where state in ('pending', 'sending')"""
_LONGEST_ERROR = 500


class PostgresMailJobs:
    """`MailJobs` on a pool whose search path is the service's schema; every statement has `timeout` seconds."""

    def __init__(self, pool: "asyncpg.Pool[Any]", timeout: float = 10.0) -> None:
        self._pool = pool
        self._timeout = timeout

    async def claim(self, limit: int, lease: timedelta) -> Sequence[MailJob]:
        """See the port."""
        async with acquired(self._pool, self._timeout) as connection:
            rows = await connection.fetch(_CLAIM, limit, lease, timeout=self._timeout)
        return [_job(row) for row in rows]

    async def sent(self, job: MailJob, event: Event) -> bool:
        """See the port."""
        async with acquired(self._pool, self._timeout) as connection, connection.transaction():
            done = await connection.execute(_SENT, job.message.message_id, timeout=self._timeout)
            if str(done) != "UPDATE 1":
                return False
            subject = mailbox_subject(job.message.tenant, job.message.mailbox_id, "message_mailed")
            await outbox.put(connection, MAILBOXES.name, [(event.id, subject, event.to_json())])
        return True

    async def again(self, job: MailJob, error: str, delay: timedelta) -> None:
        """See the port."""
        async with acquired(self._pool, self._timeout) as connection:
            await connection.execute(_AGAIN, job.message.message_id, job.attempt, _short(error), delay, timeout=self._timeout)

    async def failed(self, job: MailJob, error: str) -> None:
        """See the port."""
        async with acquired(self._pool, self._timeout) as connection:
            await connection.execute(_FAILED, job.message.message_id, job.attempt, _short(error), timeout=self._timeout)

    async def next_due(self) -> timedelta | None:
        """See the port."""
        async with acquired(self._pool, self._timeout) as connection:
            due = await connection.fetchval(_NEXT_DUE, timeout=self._timeout)
        return due if isinstance(due, timedelta) else None


def _job(row: Any) -> MailJob:
    to = Addressing(tuple(row["recipients"]), row["mailbox_name"], row["language"], row["time_zone"])
    return MailJob(read_message(row), to, row["attempts"], row["age"])


def _short(error: str) -> str:
    """As Postgres takes it: what a mail server says need not be UTF-8, and reaches us with lone surrogates."""
    return error.replace("\x00", " ").encode(errors="backslashreplace").decode()[:_LONGEST_ERROR]
