"""What decisions count and look up, in Postgres: counters that are exact across replicas, and what call events told.

Always: the same call and key get the same draw and keep their place; a place is held until it is given back, the call's end is told, or
`HOLD_SECONDS`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
from pydantic import JsonValue

from carillon_kit.logs import get_logger
from carillon_kit.postgres import UNAVAILABLE
from carillon_routing.domain.asks import AnsweredToday, Ask, BusyUsers, CountTry, Draw, FreePlace, LastAgent, LoggedIn, TakePlace
from carillon_routing.domain.facts import CallFacts

_log = get_logger(__name__)
#: A call whose end was never told gives its places back after so long, and its parties count as idle.
HOLD_SECONDS = 24 * 3600
#: What the database may take for one answer: media waits 300 ms for a decision.
DATABASE_SECONDS = 0.2
SWEEP_SECONDS = 600.0
_DRAW = "select draw_number($1, $2, $3, $4)"
_PLACE = "select * from take_place($1, $2, $3, $4, $5, $6, $7, $8)"
_FREE = "select free_place($1, $2, $3, $4)"
_ANSWERED = """
select party, count(*) as calls from call_leg
 where tenant = $1 and party = any($2::text[]) and answered_at >= $3 and answered_at < $4 and leg_id like 'b%' group by party"""
#: Legs that were called for the asking call itself (empty: no call asks) are over, even if their end was not told yet.
BUSY = """
select distinct l.party from call_leg l join call_seen c using (tenant, call_id)
 where l.tenant = $1 and l.party = any($2::text[]) and l.ended_at is null and c.ended_at is null
   and l.seen_at > now() - make_interval(secs => $4) and (l.call_id <> $3 or l.leg_id not like 'b%') order by l.party"""
_LOGGED_IN = "select user_id from attendance where tenant = $1 and hunt_group_id = $2 and logged_in order by user_id"
_LAST = "select user_id from last_talk where tenant = $1 and number = $2 and talked_at > now() - make_interval(days => $3)"
_TRY = "select * from count_try($1, $2, $3, $4, $5, $6, $7)"
_UNLOCK = "update code_block set wrong = 0 where tenant = $1 and user_id = $2 and wrong > 0"
_KEEP = """
insert into slow_answer (tenant, call_id, key, value) values ($1, $2, $3, jsonb_build_object('answer', $4::jsonb)) on conflict do nothing"""
_KEPT = "select value from slow_answer where tenant = $1 and call_id = $2 and key = $3"
_SWEEP = (
    "delete from slow_answer where answered_at < now() - interval '1 hour'",
    "delete from code_try where tried_at < now() - interval '2 days'",
    "delete from draw where drawn_at < now() - interval '2 days'",
    "delete from place where taken_at < now() - interval '2 days'",
    "delete from call_leg where seen_at < now() - interval '2 days'",
    "delete from call_seen where seen_at < now() - interval '2 days'",
    "delete from last_talk where talked_at < now() - interval '366 days'",
)


class PostgresFacts:
    """Knows nothing before `adopt`. `zone`: a tenant's time zone, which says where its days begin."""

    def __init__(self, zone: Callable[[str], ZoneInfo]) -> None:
        self._zone = zone
        self._pool: asyncpg.Pool[Any] | None = None

    def adopt(self, pool: "asyncpg.Pool[Any]") -> None:
        """The database is up, and its schema as it should be."""
        self._pool = pool

    async def find(self, call: CallFacts, ask: Ask) -> JsonValue:
        """As `ports.FactFinder`: None too for what is not kept here."""
        if self._pool is None:
            return None
        try:
            async with asyncio.timeout(DATABASE_SECONDS):
                return await self._find(self._pool, call, ask)
        except UNAVAILABLE as error:
            _log.warning("a fact could not be read", asked=type(ask).__name__, error=repr(error))
        except asyncpg.PostgresError as error:
            _log.error("a fact cannot be read", asked=type(ask).__name__, error=repr(error))
        return None

    async def _find(self, pool: "asyncpg.Pool[Any]", call: CallFacts, ask: Ask) -> JsonValue:
        tenant = call.tenant_id
        match ask:
            case Draw(counter, hop):
                return int(await pool.fetchval(_DRAW, tenant, counter, call.call_id, hop))
            case TakePlace(counter, max_calls, max_starts, per_seconds, visit):
                limits = (max_calls, max_starts, per_seconds, HOLD_SECONDS, visit)
                (row,) = await pool.fetch(_PLACE, tenant, counter, call.call_id, *limits)
                return {"taken": row["taken"], "calls": row["calls"], "starts": row["starts"]}
            case FreePlace(counter, visit):
                await pool.execute(_FREE, tenant, counter, call.call_id, visit)
                return True
            case AnsweredToday(user_ids, day):
                rows = await pool.fetch(_ANSWERED, tenant, user_ids, *_bounds(day, self._zone(tenant)))
                return {row["party"]: row["calls"] for row in rows}
            case BusyUsers(user_ids):
                return [row["party"] for row in await pool.fetch(BUSY, tenant, user_ids, call.call_id, HOLD_SECONDS)]
            case LoggedIn(group_id):
                return [row["user_id"] for row in await pool.fetch(_LOGGED_IN, tenant, group_id)]
            case CountTry(user_id, kind, right, limit, turn):
                (row,) = await pool.fetch(_TRY, tenant, user_id, kind, call.call_id, turn, right, limit)
                return {"accepted": row["accepted"], "wrong": row["wrong"]}
            case LastAgent(number, days):
                return str(await pool.fetchval(_LAST, tenant, number, days) or "")
            case _:
                return None

    async def keep(self, tenant: str, call_id: str, key: str, value: JsonValue) -> None:
        """As `ports.Answers`."""
        await self._quietly(lambda pool: pool.execute(_KEEP, tenant, call_id, key, value))

    async def read(self, tenant: str, call_id: str, key: str) -> tuple[bool, JsonValue]:
        """As `ports.Answers`."""
        row = await self._quietly(lambda pool: pool.fetchrow(_KEPT, tenant, call_id, key))
        return row is not None, None if row is None else row["value"]["answer"]

    async def _quietly(self, ask: Callable[["asyncpg.Pool[Any]"], Awaitable[Any]]) -> Any:
        if self._pool is None:
            return None
        try:
            async with asyncio.timeout(DATABASE_SECONDS):
                return await ask(self._pool)
        except (*UNAVAILABLE, asyncpg.PostgresError) as error:
            _log.warning("a late answer is neither kept nor read", error=repr(error))
            return None

    async def unlock(self, tenant: str, user_id: str) -> None:
        """Forget a user's wrong codes. Raises one of `UNAVAILABLE` while the database is away."""
        if self._pool is None:
            raise OSError("the database is not there yet")
        await self._pool.execute(_UNLOCK, tenant, user_id)

    async def sweep(self) -> None:
        """Drop what no question asks for any more, until cancelled; every replica may."""
        while True:
            try:
                if self._pool is not None:
                    for statement in _SWEEP:
                        await self._pool.execute(statement)
            except (*UNAVAILABLE, asyncpg.PostgresError) as error:
                _log.warning("old facts stay", error=repr(error))
            await asyncio.sleep(SWEEP_SECONDS)


def _bounds(day: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """First moments of the day and of the next one."""
    first = date.fromisoformat(day)
    return datetime.combine(first, time(), zone), datetime.combine(first + timedelta(days=1), time(), zone)
