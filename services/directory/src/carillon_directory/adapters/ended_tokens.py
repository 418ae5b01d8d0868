"""Tells every service whose access tokens count no more, although they have not expired.

Always: who is to be told of stands in the table `ended_token` by the very transaction that ended a login or a key or changed what a
login may, with the time by the database's clock. Whoever gives a token takes its time first (`NOW`), which waits for such transactions,
and reads afterwards what the token says: so one that was issued before the end counts no more, and one that was issued after it was given
with the end known. A row goes when the stream has it.
"""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from carillon_contracts.envelope import Event
from carillon_contracts.keys import TokensEnded
from carillon_contracts.streams import KEYS, ended_tokens_subject
from carillon_kit.bus import Bus, Outgoing, PublishFailed
from carillon_kit.ids import Ids
from carillon_kit.logs import get_logger
from carillon_kit.postgres import UNAVAILABLE

#: Of users by their ids; who has no login has no tokens.
END = """
insert into ended_token (tenant, subject) select tenant, 'user/' || user_id from login where tenant = $1 and user_id = any($2::text[])"""
#: Both in one statement: the lock is free again behind it.
NOW = """
with turn as materialized (select pg_advisory_xact_lock(hashtextextended(current_schema() || '/ended_token', 0)))
select clock_timestamp() from turn"""
_TAKE = "select position, tenant, subject, at from ended_token order by position limit $1 for update skip locked"
_FORGET = "delete from ended_token where position = any($1::bigint[])"
_SOME = 500
_LOOK_SECONDS = 0.25
#: Of difference between the clocks of those that give tokens and those that check them.
_SPARE = timedelta(minutes=1)
_log = get_logger(__name__)


class EndedTokenNews:
    """Run `run` as a task."""

    def __init__(self, pool: "asyncpg.Pool[Any]", bus: Bus, ids: Ids, lifetime: timedelta) -> None:
        self._pool = pool
        self._bus = bus
        self._ids = ids
        self._lifetime = lifetime

    async def run(self) -> None:
        """Publish until cancelled; the database's or the bus's absence only delays."""
        while True:
            try:
                more = await self.publish_some() == _SOME
            except (*UNAVAILABLE, PublishFailed) as error:
                _log.warning("ended tokens could not be published", error=f"{type(error).__name__}: {error}")
                more = False
            if not more:
                await asyncio.sleep(_LOOK_SECONDS)

    async def publish_some(self) -> int:
        """Publish at most `_SOME`, the oldest first; how many. Raises `PublishFailed` and what asyncpg raises."""
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_TAKE, _SOME)
            if rows:
                ends = {(row["tenant"], row["subject"]): row["at"] for row in sorted(rows, key=lambda row: row["at"])}
                if await self._bus.publish_many(KEYS.name, list(self._messages(ends))):
                    raise PublishFailed("the stream of keys refused an end of tokens")
                await connection.execute(_FORGET, [row["position"] for row in rows])
        return len(rows)

    def _messages(self, ends: Mapping[tuple[str, str], datetime]) -> Iterator[Outgoing]:
        for (tenant, subject), at in ends.items():
            ended = TokensEnded(tenant=tenant, subject=subject, before=at, until=at + self._lifetime + _SPARE)
            event = Event(
                id=self._ids.uuid7(),
                source="carillon/directory",
                type=f"carillon.{TokensEnded.TYPE}",
                subject=subject,
                time=at,
                data=ended.model_dump(mode="json"),
                tenantid="_operator",
            )
            yield Outgoing(ended_tokens_subject(), event.to_json(), str(event.id))
