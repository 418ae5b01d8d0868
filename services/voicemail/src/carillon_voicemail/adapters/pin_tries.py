"""Counts wrong PINs in Postgres by the database's clock, so that a lock survives restarts and holds for all replicas.

Invariant: while a caller or the thing that the PIN opens is locked nothing is compared; a right PIN forgets the caller's failures, never
the thing's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from carillon_voicemail.adapters.postgres import acquired

CALLER_TRIES, THING_TRIES = 5, 30
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
insert into conference_tries as t (tenant, room_id, caller, failures, attempt) values ($1, $2, $3, 1, $5)
on conflict (tenant, room_id, caller) do update set
  failures = {_COUNT},
  locked_until = case when ({_COUNT}) >= $4 then clock_timestamp() + interval '{LOCK}' end,
  last_at = clock_timestamp(),
  attempt = $5
where t.attempt <> $5 or $5 = ''"""
_FORGIVE = "delete from conference_tries where tenant = $1 and room_id = $2 and caller = $3"
_EVERYBODY = "*"
#: RFC 9106 section 4, its second choice scaled down, as the directory hashes PINs.
_HASHER = PasswordHasher(time_cost=2, memory_cost=16 * 1024, parallelism=1)
V = TypeVar("V", bound=str)


class PinTries:
    """On a pool whose search path is the service's schema; every statement has `timeout` seconds."""

    def __init__(self, pool: "asyncpg.Pool[Any]", timeout: float = 0.2) -> None:
        self._pool = pool
        self._timeout = timeout

    async def judged(self, tenant: str, thing: str, caller: str, compare: Callable[[], Awaitable[V]], attempt: str = "") -> V | None:
        """What `compare` says, `wrong` counted, once for an `attempt` that is given; None: nobody, or not this caller, may try now.

        Raises StoreUnavailable.
        """
        caller = caller or "withheld"
        async with acquired(self._pool, self._timeout) as connection:
            if await connection.fetchval(_LOCKED, tenant, thing, [caller, _EVERYBODY], timeout=self._timeout):
                return None
            verdict = await compare()
            if verdict == "wrong":
                await connection.execute(_FAIL, tenant, thing, caller, CALLER_TRIES, attempt, timeout=self._timeout)
                await connection.execute(_FAIL, tenant, thing, _EVERYBODY, THING_TRIES, attempt, timeout=self._timeout)
            elif verdict:
                await connection.execute(_FORGIVE, tenant, thing, caller, timeout=self._timeout)
        return verdict


def tried_box(mailbox_id: str) -> str:
    """What a mailbox is called among the things that PINs open."""
    return f"mailbox:{mailbox_id}"


async def is_pin(kept: str, typed: str) -> bool:
    """Whether an argon2 hash is that of what was typed; no other thread waits meanwhile."""
    if not kept or not typed:
        return False
    try:
        return await asyncio.to_thread(_HASHER.verify, kept, typed)
    except (Argon2Error, InvalidHashError):
        return False


async def hash_of(pin: str) -> str:
    """An argon2 hash with a salt of its own."""
    return await asyncio.to_thread(_HASHER.hash, pin)
