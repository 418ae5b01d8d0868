"""Looks at what callers type at conference rooms. Wrong tries are counted in Postgres by the database's clock, so that a lock survives
restarts and holds for all replicas.

Invariant: while a caller or a room is locked nothing is compared; a right PIN forgets the caller's failures, never the room's.
"""

import asyncio
from typing import Any

import asyncpg
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from carillon_contracts.config import ConferenceRoom
from carillon_voicemail.adapters.postgres import acquired
from carillon_voicemail.domain.conference import Verdict, wants_creator

CALLER_TRIES, ROOM_TRIES = 5, 30
LOCK = "15 minutes"
#: Failures are forgotten after that long without another.
_FORGET = "1 hour"
_LOCKED = """
select true from conference_tries
 where tenant = $1 and room_id = $2 and caller = any($3) and locked_until > clock_timestamp() limit 1"""
#: Old failures, and those that were locked for, begin anew.
_COUNT = f"""
case when t.last_at < clock_timestamp() - interval '{_FORGET}' or t.locked_until < clock_timestamp() then 1 else t.failures + 1 end"""
_FAIL = f"""
insert into conference_tries as t (tenant, room_id, caller, failures) values ($1, $2, $3, 1)
on conflict (tenant, room_id, caller) do update set
  failures = {_COUNT},
  locked_until = case when ({_COUNT}) >= $4 then clock_timestamp() + interval '{LOCK}' end,
  last_at = clock_timestamp()"""
_FORGIVE = "delete from conference_tries where tenant = $1 and room_id = $2 and caller = $3"
_ROOM = "*"


class ConferenceDoor:
    """On a pool whose search path is the service's schema; every statement has `timeout` seconds."""

    def __init__(self, pool: "asyncpg.Pool[Any]", timeout: float = 0.2) -> None:
        self._pool = pool
        self._timeout = timeout
        self._hasher = PasswordHasher()

    async def look(self, tenant: str, room: ConferenceRoom, caller: str, digits: str) -> Verdict:
        """What the digits are; nothing typed is neither right nor wrong. Raises StoreUnavailable."""
        if not digits:
            return ""
        caller = caller or "withheld"
        async with acquired(self._pool, self._timeout) as connection:
            if await connection.fetchval(_LOCKED, tenant, room.id, [caller, _ROOM], timeout=self._timeout):
                return "locked"
            verdict = await self._compare(room, digits)
            if verdict == "wrong":
                await connection.execute(_FAIL, tenant, room.id, caller, CALLER_TRIES, timeout=self._timeout)
                await connection.execute(_FAIL, tenant, room.id, _ROOM, ROOM_TRIES, timeout=self._timeout)
            elif verdict:
                await connection.execute(_FORGIVE, tenant, room.id, caller, timeout=self._timeout)
        return verdict

    async def _compare(self, room: ConferenceRoom, digits: str) -> Verdict:
        if digits.startswith("*"):
            return "creator" if await self._is(room.creator_pin_hash, wants_creator(digits)) else "wrong"
        if not room.participant_password_hash:
            return ""
        return "participant" if await self._is(room.participant_password_hash, digits) else "wrong"

    async def _is(self, kept: str, typed: str) -> bool:
        if not kept or not typed:
            return False
        try:
            return await asyncio.to_thread(self._hasher.verify, kept, typed)
        except (Argon2Error, InvalidHashError):
            return False
