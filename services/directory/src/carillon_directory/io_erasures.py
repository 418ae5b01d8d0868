"""What follows the first step of an erasure, until nothing names the person any more.

When the changes are published the log is rewritten, its rewritten copy is published behind the old one, and the services are told. When all
of them have answered, the old copy and every message that names the person are destroyed. If there were any outside the configuration the
services are asked again: one of them might have taken it in after it had answered. In the end the order itself is destroyed.

Always: one replica at a time works on it; whatever dies when, the next one goes on where it was.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from carillon_contracts.envelope import Event
from carillon_contracts.erasure import CARRIED_OUT, SERVICES, Cleaner, PersonErasureCarriedOut, PersonErasureOrdered
from carillon_contracts.streams import (
    AUDIT,
    CALLS,
    CONFERENCES,
    CONFIG,
    ERASURES,
    LETTERS,
    MAILBOXES,
    QUEUES,
    RECORDS,
    REGISTRATIONS,
    Stream,
    erasure_subject,
    letter_subject,
)
from carillon_directory.adapters.postgres_erasures import PostgresErasures
from carillon_directory.adapters.stream_reading import looked_through
from carillon_directory.ports import Erasure
from carillon_kit.bus import Bus, ConsumerSpec, Delivered, EraseRefused, Message
from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_kit.relay import Relay

CONSUMER = ConsumerSpec(stream=ERASURES.name, durable="directory-erasures", subject=CARRIED_OUT)
#: Events that come so much later than the log was rewritten are new facts.
LATE = timedelta(minutes=10)
#: For the relay to publish all it has, and for the bus to hand out what is asked for.
_PATIENCE = 60.0
_LOCK = "select pg_try_advisory_xact_lock(hashtextextended(current_schema() || '/erasures', 0))"
_OF_A_TENANT = (CALLS, CONFERENCES, QUEUES, REGISTRATIONS, MAILBOXES, RECORDS, AUDIT)
_log = get_logger("erasures")


@dataclass(slots=True)
class ErasureWorker:
    """Run `run` as a task, and feed `answer` from `CONSUMER`.

    `grace_seconds`: who may still be reading what is about to be destroyed has so long to come by.
    """

    pool: "asyncpg.Pool[Any]"
    erasures: PostgresErasures
    relay: Relay
    bus: Bus
    clock: Clock
    every_seconds: float
    grace_seconds: float
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """There is something to do."""
        self._woken.set()

    async def answer(self, batch: list[Delivered]) -> None:
        """Services' answers; raises for what is none."""
        for delivered in batch:
            await self.erasures.answered(PersonErasureCarriedOut.model_validate(Event.from_json(delivered.data).data))
            self.wake()

    async def run(self) -> None:
        """Work until cancelled; survives the absence of the bus and of the database."""
        while True:
            self._woken.clear()
            try:
                async with self.pool.acquire() as connection, connection.transaction():
                    if await connection.fetchval(_LOCK):
                        for tenant_id, erasure_id in await self.erasures.unfinished():
                            await self.relay.caught_up(_PATIENCE)
                            await self._tried(tenant_id, erasure_id)
            except Exception as error:  # noqa: BLE001  (a subscriber's edge)
                _log.warning("erasures delayed", error=type(error).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.every_seconds):
                    await self._woken.wait()

    async def _tried(self, tenant_id: str, erasure_id: UUID) -> None:
        """One that fails holds up no other; what is wrong with it may name the person and is not told."""
        try:
            erasure = await self.erasures.get(tenant_id, erasure_id)
            if erasure is not None:
                await self._go_on(erasure)
        except Exception as error:  # noqa: BLE001  (a subscriber's edge)
            _log.warning("erasure delayed", erasure_id=str(erasure_id), error=type(error).__name__)

    async def _go_on(self, erasure: Erasure) -> None:
        now = self.clock.now()
        if erasure.rewritten_at is None:
            await self.erasures.rewrite(erasure.erasure_id, now)
            self.wake()
            return
        if missing := sorted(set(SERVICES) - erasure.answered):
            await self.erasures.waits(erasure.erasure_id, f"answer of {', '.join(missing)}")
            return
        if now < erasure.rewritten_at + timedelta(seconds=self.grace_seconds):
            await self.erasures.waits(erasure.erasure_id, "readers of the streams")
            return
        try:
            found, waiting = await self._clean(erasure)
        except EraseRefused as refused:
            _log.error("a stream keeps what names a person", erasure_id=str(erasure.erasure_id), error=str(refused))
            await self.erasures.waits(erasure.erasure_id, f"leave to delete: {refused}")
            return
        if waiting:
            await self.erasures.waits(erasure.erasure_id, f"consumers of {', '.join(waiting)}")
        elif found:
            await self.erasures.next_round(erasure.erasure_id, erasure.round + 1, now)
        else:
            await self._destroy_orders(erasure)
            await self.erasures.finish(erasure, now)
            _log.info("person erased", tenant=erasure.tenant_id, erasure_id=str(erasure.erasure_id), rounds=erasure.round)

    async def _clean(self, erasure: Erasure) -> tuple[int, list[str]]:
        """How many messages outside the configuration went, and the streams in which some cannot go yet."""
        assert erasure.order is not None
        assert erasure.rewritten_at is not None
        cleaner, tenant, late = Cleaner(erasure.order), erasure.tenant_id, erasure.rewritten_at + LATE
        await self._one_copy(tenant)
        places = [(stream, subject.replace("*", tenant, 1)) for stream in _OF_A_TENANT for subject in stream.subjects]
        places.append((LETTERS, letter_subject(tenant)))
        found, waiting = 0, list[str]()
        for stream, subject in places:
            handled = await self.bus.handled(stream.name)
            if handled is None:
                continue
            named = await self._numbers(stream, subject, lambda data: _names(data, cleaner, late))
            await self.bus.erase(stream.name, [number for number in named if number <= handled])
            found += len(named)
            if any(number > handled for number in named) and stream.name not in waiting:
                waiting.append(stream.name)
        return found, waiting

    async def _one_copy(self, tenant: str) -> None:
        """Of the tenant's log only the last copy stays. The newest goes first: whoever reads finds no gap."""
        found = await looked_through(self.bus, CONFIG, f"carillon.{tenant}.config.>", _numbered, _PATIENCE)
        begins = max((number for number, version in found if version == 1), default=0)
        await self.bus.erase(CONFIG.name, [number for number, _ in reversed(found) if number < begins])

    async def _destroy_orders(self, erasure: Erasure) -> None:
        wanted = str(erasure.erasure_id)
        subject = erasure_subject(erasure.tenant_id, PersonErasureOrdered.fact())
        await self.bus.erase(ERASURES.name, await self._numbers(ERASURES, subject, lambda data: _about(data) == wanted))

    async def _numbers(self, stream: Stream, subject: str, wanted: Callable[[bytes], bool]) -> list[int]:
        """Of the messages whose data is wanted, in order."""
        return await looked_through(self.bus, stream, subject, lambda each: each.stream_seq if wanted(each.data) else None, _PATIENCE)


def _names(data: bytes, cleaner: Cleaner, late: datetime) -> bool:
    """Whether an event names the person, and not somebody who came later."""
    if cleaner.json(data) == data:
        return False
    return Event.from_json(data).time < late


def _numbered(message: Message) -> tuple[int, int | None]:
    """Its place in the stream, and the version that it brings the configuration to."""
    return message.stream_seq, orjson.loads(message.data).get("configseq")


def _about(data: bytes) -> str:
    return str(orjson.loads(data).get("data", {}).get("erasure_id", ""))
