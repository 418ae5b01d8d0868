"""The outbox relay: hands stored events to a publisher, at least once, never skipping a late commit, each stream's in order.

Invariant: the position in the table `relay` moves on only after the publisher returned, and only from where this batch began; so a
killed relay repeats its last batch (the publisher's message ids make that harmless), and a rebuild is never overwritten.

A transaction of thousands of events of one stream holds up no other stream: its rest is set aside and published in turns with what came
after it. Meanwhile the stored position stays with it, so that a killed relay repeats what it published of others since.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
from tenacity import AsyncRetrying, RetryCallState, stop_after_attempt, wait_exponential

from carillon_kit import logs
from carillon_kit.event_store import CHANNEL, Cursor, PostgresEventStore, RawEvent
from carillon_kit.postgres import own_session

Publish = Callable[[Sequence[RawEvent]], Awaitable[None]]

_POLL_SECONDS = 0.2
_FOLLOW_SECONDS = 1.0
_CONNECT_SECONDS = 10
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
_PUBLISH_TRIES = 5
_LAG_ALARM_SECONDS = 10
_LOCK = "select pg_try_advisory_lock(hashtextextended('carillon_kit.relay:' || current_schema() || '/' || $1, 0))"
_BEGIN = "insert into relay (name, xid, position) values ($1, '0'::xid8, 0) on conflict do nothing"
_AT = "select xid, position, rebuilds from relay where name = $1"
_MOVE = """
update relay set xid = $2::text::xid8, position = $3, moved_at = clock_timestamp()
 where name = $1 and xid = $4::text::xid8 and position = $5 and rebuilds = $6
"""
_REBUILD = """
insert into relay (name, xid, position) values ($1, '0'::xid8, 0)
on conflict (name) do update set xid = '0'::xid8, position = 0, rebuilds = relay.rebuilds + 1
"""
_NEWEST = "select xid, position from event order by xid desc, position desc limit 1"
_log = logs.get_logger(__name__)


@dataclass(slots=True)
class _Aside:
    """The rest of a large transaction: published up to `version`, which stands at `cursor`, of those up to `last`."""

    version: int
    cursor: Cursor
    last: int


@dataclass(slots=True)
class _Progress:
    """How far a leader is: everything up to `ahead` is published but for what is set aside, by stream."""

    stored: Cursor
    rebuilds: int
    ahead: Cursor
    aside: dict[str, _Aside] = field(default_factory=dict)

    @property
    def safe(self) -> Cursor:
        """Everything up to it is published."""
        return min((each.cursor for each in self.aside.values()), default=self.ahead)


class Relay:
    """One relay per name is active at a time, whatever the number of replicas (advisory lock)."""

    def __init__(
        self, store: PostgresEventStore, pool: "asyncpg.Pool[Any]", publish: Publish, *, name: str = "relay", batch: int = 500
    ) -> None:
        """`publish` gets up to `batch` events in order; it raises when one of them is not safe, and gets the same ones again."""
        self._store = store
        self._pool = pool
        self._publish = publish
        self._name = name
        self._batch = batch
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Relay until cancelled; survives the database's and the publisher's absence, waiting up to 5 s between tries."""
        failures = 0
        while True:
            try:
                async with own_session(self._pool, _CONNECT_SECONDS) as connection:
                    if await connection.fetchval(_LOCK, self._name):
                        failures = 0
                        await self._lead(connection)
            except Exception as error:  # noqa: BLE001  (a subscriber's edge)
                failures += 1
                _log.warning("relay interrupted", relay=self._name, error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES)) - 1] if failures else _FOLLOW_SECONDS)

    async def caught_up(self, timeout: float = 10.0) -> None:
        """Return once everything stored before this call has been published; raises `TimeoutError`."""
        newest = await self._pool.fetchrow(_NEWEST)
        if newest is None:
            return
        target = _cursor(newest)
        async with asyncio.timeout(timeout):
            while await self.position() < target:  # noqa: ASYNC110  (the active relay may be another process's)
                await asyncio.sleep(_POLL_SECONDS / 10)

    async def position(self) -> Cursor:
        """How far the active relay, wherever it runs, has published."""
        row = await self._pool.fetchrow(_AT, self._name)
        return Cursor() if row is None else _cursor(row)

    async def rebuild(self) -> None:
        """Publish everything again from position 0, by the active relay: after the stream was lost."""
        await self._pool.execute(_REBUILD, self._name)
        self._wake.set()

    async def _lead(self, connection: Any) -> None:
        await connection.add_listener(CHANNEL, self._notified)
        await connection.execute(_BEGIN, self._name)
        # After the last try the lead is given up: another replica may reach what this one cannot.
        insist = AsyncRetrying(
            wait=wait_exponential(_PAUSES[0], max=_PAUSES[-1]),
            stop=stop_after_attempt(_PUBLISH_TRIES),
            before_sleep=self._cannot_publish,
            reraise=True,
        )
        progress: _Progress | None = None
        while True:
            self._wake.clear()
            row = await connection.fetchrow(_AT, self._name)
            if progress is None or (progress.stored, progress.rebuilds) != (_cursor(row), row["rebuilds"]):
                progress = _Progress(_cursor(row), row["rebuilds"], _cursor(row))
            busy = await self._step(progress, insist)
            if progress.safe != progress.stored:
                moved = (str(progress.safe.xid), progress.safe.position, str(progress.stored.xid), progress.stored.position)
                await connection.execute(_MOVE, self._name, *moved, progress.rebuilds)
                progress.stored = progress.safe
            if not busy:
                await self._wait(_POLL_SECONDS)

    async def _step(self, progress: _Progress, insist: AsyncRetrying) -> bool:
        """Publish a batch of what is new and one of each stream that is set aside; whether there was anything."""
        events = await self._store.read_raw(progress.ahead, self._batch)
        if events:
            self._watch_lag(events[0])
            for event in events:
                if event.stream in progress.aside:
                    progress.aside[event.stream].last = event.version
            now = [event for event in events if event.stream not in progress.aside]
            if now:
                await insist(self._publish, now)
            progress.ahead = events[-1].cursor
            if len(events) == self._batch:
                await self._set_aside(progress, events)
        for stream, aside in list(progress.aside.items()):
            some = await self._store.load_raw(stream, aside.version, min(aside.version + self._batch, aside.last))
            if some:
                await insist(self._publish, some)
                aside.version, aside.cursor = some[-1].version, some[-1].cursor
            if aside.version >= aside.last or not some:
                del progress.aside[stream]
        return bool(events) or bool(progress.aside)

    async def _set_aside(self, progress: _Progress, events: Sequence[RawEvent]) -> None:
        """If the batch was of one transaction and stream, the rest of it waits for its turns."""
        last = events[-1]
        if (events[0].stream, events[0].cursor.xid) != (last.stream, last.cursor.xid):
            return
        rest = await self._store.rest_of(last)
        if rest is None:
            return
        version, progress.ahead = rest
        if last.stream in progress.aside:
            progress.aside[last.stream].last = version
        else:
            progress.aside[last.stream] = _Aside(last.version, last.cursor, version)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _notified(self, *_: object) -> None:
        self._wake.set()

    def _cannot_publish(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        _log.warning("relay cannot publish", relay=self._name, error=f"{type(error).__name__}: {error}")

    def _watch_lag(self, oldest: RawEvent) -> None:
        lag = (datetime.now(UTC) - oldest.at).total_seconds()
        if lag > _LAG_ALARM_SECONDS:
            _log.warning("relay lags", relay=self._name, seconds=round(lag, 1))


def _cursor(row: Any) -> Cursor:
    return Cursor(int(row["xid"]), row["position"])
