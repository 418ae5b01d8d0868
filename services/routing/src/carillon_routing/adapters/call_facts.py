"""Call events written down for `postgres_facts`: who talks, who answered, whose call is over.

Always: events may come twice, in any order and on several replicas: each fills in what it knows, and the end of a call is never undone.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from carillon_contracts.envelope import Event
from carillon_kit.bus import Delivered, Retry
from carillon_kit.postgres import UNAVAILABLE

FACTS = ("started", "leg_offered", "leg_answered", "leg_ended", "transferred", "ended")
_CALLS = """
insert into call_seen (tenant, call_id, direction, caller, caller_user_id, seen_at, ended_at)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[]) order by 1, 2
    on conflict (tenant, call_id) do update set
       direction = coalesce(nullif(excluded.direction, ''), call_seen.direction),
       caller = coalesce(nullif(excluded.caller, ''), call_seen.caller),
       caller_user_id = coalesce(nullif(excluded.caller_user_id, ''), call_seen.caller_user_id),
       ended_at = coalesce(call_seen.ended_at, excluded.ended_at)"""
_LEGS = """
insert into call_leg (tenant, call_id, leg_id, party, number, seen_at, answered_at, ended_at)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[])
 order by 1, 2, 3
    on conflict (tenant, call_id, leg_id) do update set
       party = coalesce(nullif(excluded.party, ''), call_leg.party),
       number = coalesce(nullif(excluded.number, ''), call_leg.number),
       answered_at = coalesce(call_leg.answered_at, excluded.answered_at),
       ended_at = coalesce(call_leg.ended_at, excluded.ended_at)"""
_RELEASE = """
update place set ended = true from unnest($1::text[], $2::text[]) as over (tenant, call_id)
 where place.tenant = over.tenant and place.call_id = over.call_id and not place.ended"""
#: Who came by a limit, and has left what it guards for another call: the place is free. Who called there and lets another call of theirs go
#: on there in their place: that call holds it.
_LEFT = """
update place set ended = true, held_until = clock_timestamp()
  from unnest($1::text[], $2::text[], $3::timestamptz[]) as gone (tenant, call_id, at)
 where place.tenant = gone.tenant and place.call_id = gone.call_id and place.visit > 0 and not place.ended
   and place.taken_at < gone.at"""
_MOVED = """
with moved as (
  update place set ended = true from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[]) as gone (tenant, call_id, at, to_call)
   where place.tenant = gone.tenant and place.call_id = gone.call_id and place.visit > 0 and not place.refused
     and place.held_until > gone.at
  returning place.*, gone.to_call)
insert into place (tenant, counter, call_id, taken_at, held_until, ended, visit)
select m.tenant, m.counter, m.to_call, m.taken_at, m.held_until, c.ended_at is not null, m.visit
  from moved m left join call_seen c on c.tenant = m.tenant and c.call_id = m.to_call on conflict do nothing"""
#: A user who answered a call from outside, or whose call a trunk's far end answered.
_TALKED = """
insert into last_talk (tenant, number, user_id, talked_at)
select distinct on (tenant, number) tenant, number, user_id, answered_at from (
  select c.tenant, c.caller as number, l.party as user_id, l.answered_at from call_seen c join call_leg l using (tenant, call_id)
   where (c.tenant, c.call_id) in (select * from unnest($1::text[], $2::text[]))
     and c.direction = 'inbound' and l.leg_id like 'b%' and l.party not like 'trunk:%'
  union all
  select c.tenant, l.number, c.caller_user_id, l.answered_at from call_seen c join call_leg l using (tenant, call_id)
   where (c.tenant, c.call_id) in (select * from unnest($1::text[], $2::text[]))
     and c.direction = 'from_user' and l.leg_id like 'b%' and l.party like 'trunk:%'
) as talk where number like '+%' and user_id <> '' and answered_at is not null order by tenant, number, answered_at desc
    on conflict (tenant, number) do update set user_id = excluded.user_id, talked_at = excluded.talked_at
 where last_talk.talked_at < excluded.talked_at"""


@dataclass(slots=True)
class _Call:
    seen_at: datetime
    direction: str = ""
    caller: str = ""
    caller_user_id: str = ""
    ended_at: datetime | None = None
    #: When who was called left, whose other call goes on here.
    left_at: datetime | None = None
    #: When and to which other call who was called went, because the caller let it take the caller's place.
    moved: tuple[datetime, str] | None = None


@dataclass(slots=True)
class _Leg:
    seen_at: datetime
    party: str = ""
    number: str = ""
    answered_at: datetime | None = None
    ended_at: datetime | None = None


class CallFactsWriter:
    """What `subscribers` tells of stream CALLS."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool

    async def handle(self, messages: list[Delivered]) -> None:
        """One transaction for all; raises `Retry` while the database is away, ValueError for what is no event of a call."""
        calls: dict[tuple[str, str], _Call] = {}
        legs: dict[tuple[str, str, str], _Leg] = {}
        for message in messages:
            _fold(calls, legs, message)
        try:
            await self._write(calls, legs)
        except UNAVAILABLE as error:
            raise Retry(1.0) from error

    async def _write(self, calls: dict[tuple[str, str], _Call], legs: dict[tuple[str, str, str], _Leg]) -> None:
        #: Who talked with whom is known from these; what ends says nothing more of it.
        talked = {key for key, call in calls.items() if call.direction}
        talked |= {key[:2] for key, leg in legs.items() if leg.party or leg.answered_at}
        left = [(*key, call.left_at) for key, call in calls.items() if call.left_at is not None]
        moved = [(*key, *call.moved) for key, call in calls.items() if call.moved is not None]
        over = [key for key, call in calls.items() if call.ended_at is not None]
        call_rows = [(*key, c.direction, c.caller, c.caller_user_id, c.seen_at, c.ended_at) for key, c in calls.items()]
        leg_rows = [(*key, leg.party, leg.number, leg.seen_at, leg.answered_at, leg.ended_at) for key, leg in legs.items()]
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_CALLS, *zip(*call_rows, strict=True))
            if leg_rows:
                await connection.execute(_LEGS, *zip(*leg_rows, strict=True))
            if over:
                await connection.execute(_RELEASE, [key[0] for key in over], [key[1] for key in over])
            if left:
                await connection.execute(_LEFT, *zip(*left, strict=True))
            if moved:
                await connection.execute(_MOVED, *zip(*moved, strict=True))
            if talked:
                await connection.execute(_TALKED, *zip(*talked, strict=True))


def _fold(calls: dict[tuple[str, str], _Call], legs: dict[tuple[str, str, str], _Leg], message: Delivered) -> None:
    _, tenant, _, call_id, fact = message.subject.split(".")
    event = Event.received(message.subject, message.data)
    call = calls.setdefault((tenant, call_id), _Call(event.time))
    if fact == "transferred":
        by_caller = (event.legid or "").startswith("a")
        if event.data["goes_on"] and not by_caller:
            call.left_at = event.time
        elif by_caller and not event.data["goes_on"]:
            call.moved = event.time, str(event.data["other_call_id"])
            # Its row orders this with its end, as in `take_place`: whichever comes second sees the other.
            calls.setdefault((tenant, call.moved[1]), _Call(event.time))
        return
    leg_id = "a" if fact == "started" else event.legid
    if fact == "ended":
        call.ended_at = event.time
        return
    if not leg_id:
        raise ValueError(f"no legid in {fact} of call {call_id}")
    leg = legs.setdefault((tenant, call_id, leg_id), _Leg(event.time))
    match fact:
        case "started":
            call.direction, call.caller = str(event.data["direction"]), str(event.data["caller"])
            call.caller_user_id = leg.party = str(event.data.get("caller_user_id") or "")
        case "leg_offered":
            leg.party, leg.number = str(event.data["party"]), str(event.data.get("number", ""))
        case "leg_answered":
            leg.answered_at = event.time
        case _:
            leg.ended_at = event.time
