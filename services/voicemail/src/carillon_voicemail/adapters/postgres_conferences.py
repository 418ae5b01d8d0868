"""Who was in which conference, and the summaries that are due, in Postgres.

Always: an event counts once, whatever is delivered how often and in which order; a summary is in one worker's hands until its lease ends,
and is due only while nobody is in its meeting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg

from carillon_contracts.letter import LetterRequested
from carillon_voicemail.adapters.postgres import acquired
from carillon_voicemail.adapters.postgres_letters import put
from carillon_voicemail.domain.conference_summary import Attendance, Joined, Left, Meeting

_JOINED = """
insert into conference_attendance (tenant, call_id, seq, room_id, meeting_id, display_name, party, number, creator, joined_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing"""
#: Of these calls, those that are in a conference: most calls end without having been in one.
_PRESENT = """
select distinct tenant, call_id from conference_attendance
 where left_at is null and (tenant, call_id) in (select * from unnest($1::text[], $2::text[]))"""
#: The call's stays that began before this event.
_LEFT = """
update conference_attendance set left_at = $4
 where tenant = $1 and call_id = $2 and seq < $3 and left_at is null returning meeting_id, room_id"""
_DUE = """
insert into conference_summary as s (tenant, meeting_id, room_id, due_at) values ($1, $2, $3, clock_timestamp() + $4::interval)
on conflict (tenant, meeting_id) do update set due_at = excluded.due_at where s.state = 'pending'"""
_CLAIM = """
update conference_summary s set state = 'sending', attempts = attempts + 1, due_at = clock_timestamp() + $1::interval
 where (tenant, meeting_id) in (
   select tenant, meeting_id from conference_summary d
    where state in ('pending', 'sending') and due_at <= clock_timestamp()
      and not exists (select from conference_attendance a
                       where a.tenant = d.tenant and a.meeting_id = d.meeting_id and a.left_at is null)
    order by due_at limit 1 for update skip locked)
returning tenant, meeting_id, room_id, attempts"""
_STAYS = """
select display_name, party, number, creator, joined_at, left_at from conference_attendance
 where tenant = $1 and meeting_id = $2 order by joined_at, call_id"""
_DONE = """
update conference_summary set state = $4, last_error = $5
 where tenant = $1 and meeting_id = $2 and state = 'sending' and attempts = $3"""


@dataclass(frozen=True, slots=True)
class SummaryJob:
    """A summary that this worker alone may hand over now."""

    meeting: Meeting
    attempt: int


class PostgresConferences:
    """On a pool whose search path is the service's schema; every statement has `timeout` seconds."""

    def __init__(self, pool: "asyncpg.Pool[Any]", pause: timedelta, timeout: float = 10.0) -> None:
        """`pause`: between the last one's leaving and the summary; who comes back within it is in the same one."""
        self._pool = pool
        self._pause = pause
        self._timeout = timeout

    async def keep(self, facts: Sequence[Joined | Left]) -> None:
        """Events in their order, all or none. Raises StoreUnavailable."""
        async with acquired(self._pool, self._timeout) as connection, connection.transaction():
            leaving = [(fact.tenant, fact.call_id) for fact in facts if isinstance(fact, Left)]
            present = {(fact.tenant, fact.call_id) for fact in facts if isinstance(fact, Joined)}
            if leaving:
                present.update(map(tuple, await connection.fetch(_PRESENT, *zip(*leaving, strict=True), timeout=self._timeout)))
            for fact in facts:
                if (fact.tenant, fact.call_id) in present:
                    await self._keep(connection, fact)

    async def _keep(self, connection: Any, fact: Joined | Left) -> None:
        key = (fact.tenant, fact.call_id, fact.seq)
        if isinstance(fact, Joined):
            data = fact.data
            row = (data.room_id, data.meeting_id, data.display_name, data.party, data.number, data.creator, fact.at)
            await connection.execute(_JOINED, *key, *row, timeout=self._timeout)
            return
        for left in await connection.fetch(_LEFT, *key, fact.at, timeout=self._timeout):
            await connection.execute(_DUE, fact.tenant, left["meeting_id"], left["room_id"], self._pause, timeout=self._timeout)

    async def claim(self, lease: timedelta) -> SummaryJob | None:
        """What is due first. Raises StoreUnavailable."""
        async with acquired(self._pool, self._timeout) as connection, connection.transaction():
            job = await connection.fetchrow(_CLAIM, lease, timeout=self._timeout)
            if job is None:
                return None
            rows = await connection.fetch(_STAYS, job["tenant"], job["meeting_id"], timeout=self._timeout)
        stays = tuple(Attendance(r["party"], r["number"], r["creator"], r["joined_at"], r["left_at"]) for r in rows)
        name = rows[-1]["display_name"] if rows else ""
        return SummaryJob(Meeting(job["tenant"], job["meeting_id"], job["room_id"], name, stays), job["attempts"])

    async def hand_over(self, job: SummaryJob, letter: LetterRequested) -> None:
        """The letter is among those to be sent, and the summary is no more; both or neither. Nothing if another worker was faster."""
        meeting = job.meeting
        async with acquired(self._pool, self._timeout) as connection, connection.transaction():
            if await self._done(connection, job, "sent", ""):
                at = meeting.stays[-1].left_at
                await put(connection, meeting.mail_id, meeting.tenant, letter, at, None, timeout=self._timeout)

    async def done(self, job: SummaryJob, state: str, error: str = "") -> None:
        """`nobody` is to be told, or it `failed`."""
        async with acquired(self._pool, self._timeout) as connection:
            await self._done(connection, job, state, error)

    async def _done(self, connection: Any, job: SummaryJob, state: str, error: str) -> bool:
        row = (job.meeting.tenant, job.meeting.meeting_id, job.attempt, state, error[:500])
        return str(await connection.execute(_DONE, *row, timeout=self._timeout)) == "UPDATE 1"
