"""Invitations to conferences in Postgres, changed together with the letters that tell of the change.

Always: of two changes of one invitation the second sees what the first has left.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from carillon_voicemail.adapters.postgres import acquired
from carillon_voicemail.adapters.postgres_letters import put
from carillon_voicemail.domain.conference_invitation import LetterKind
from carillon_voicemail.domain.kept_invitation import Change, KeptInvitation

_COLUMNS = "tenant, invitation_id, room_id, room_name, organizer, emails, starts_at, ends_at, sequence, cancelled, config_seq"
_ALONE = "select pg_advisory_xact_lock(hashtextextended($1, 0))"
_GET = f"select {_COLUMNS} from conference_invitation where tenant = $1 and invitation_id = $2"
_PUT = f"""
insert into conference_invitation ({_COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict (tenant, invitation_id) do update set
  room_name = excluded.room_name, organizer = excluded.organizer, emails = excluded.emails, starts_at = excluded.starts_at,
  ends_at = excluded.ends_at, sequence = excluded.sequence, cancelled = excluded.cancelled, config_seq = excluded.config_seq"""
_UPCOMING = f"""
select {_COLUMNS} from conference_invitation
 where ends_at > $1 and not cancelled and ($2 = '' or tenant = $2) and ($3 = '' or room_id = $3)
   and (ends_at, tenant, invitation_id) > ($4, $5, $6)
 order by ends_at, tenant, invitation_id limit $7"""
_UNSENT = "delete from letter_job where letter_id = any($1::uuid[]) and state = 'pending'"
_FORGET = "delete from conference_invitation where ends_at < $1"
#: How long an invitation is known after its conference.
KEPT_FOR = timedelta(days=30)


class PostgresInvitations:
    """Raises `StoreUnavailable` while the server is away."""

    def __init__(self, pool: "asyncpg.Pool[Any]", timeout: float = 10.0) -> None:
        self._pool = pool
        self._timeout = timeout

    async def change(
        self, tenant: str, invitation_id: str, now: datetime, decide: Callable[[KeptInvitation | None], Change]
    ) -> dict[LetterKind, int]:
        """What `decide` says of what is kept, with its letters; how many of each kind are new. Whatever it raises changes nothing."""
        counts: dict[LetterKind, int] = {}
        async with acquired(self._pool, self._timeout) as connection, connection.transaction():
            await connection.execute(_ALONE, f"{tenant}/{invitation_id}", timeout=self._timeout)
            row = await connection.fetchrow(_GET, tenant, invitation_id, timeout=self._timeout)
            change = decide(None if row is None else _read(row))
            await connection.execute(_PUT, *_row(change.kept), timeout=self._timeout)
            await connection.execute(_UNSENT, list(change.unsent), timeout=self._timeout)
            for letter in change.letters:
                new = await put(connection, letter.letter_id, tenant, letter.content, now, letter.due, timeout=self._timeout)
                counts[letter.kind] = counts.get(letter.kind, 0) + new
        return counts

    async def upcoming(
        self, now: datetime, tenant: str = "", room_id: str = "", after: KeptInvitation | None = None, limit: int = 200
    ) -> Sequence[KeptInvitation]:
        """Those that are not over and not taken back, by their end, then tenant and id; of all tenants, or of one and its room."""
        place = (after.ends_at, after.tenant, after.invitation_id) if after is not None else (now, "", "")
        async with acquired(self._pool, self._timeout) as connection:
            rows = await connection.fetch(_UPCOMING, now, tenant, room_id, *place, limit, timeout=self._timeout)
        return [_read(row) for row in rows]

    async def forget(self, now: datetime) -> None:
        """Those whose conference was long ago."""
        async with acquired(self._pool, self._timeout) as connection:
            await connection.execute(_FORGET, now - KEPT_FOR, timeout=self._timeout)


def _row(kept: KeptInvitation) -> tuple[Any, ...]:
    return tuple(getattr(kept, name) for name in _COLUMNS.split(", "))


def _read(row: Any) -> KeptInvitation:
    fields = dict(row)
    fields["emails"] = tuple(fields["emails"])
    return KeptInvitation(**fields)
