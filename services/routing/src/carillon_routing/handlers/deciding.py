"""One decision of a live call: `advance`, what it must know found out within media's patience, and the queue that a caller is in.

Always: what a decision was made of comes with it, unless the queue's own state made it or a secret did.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import JsonValue

from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import Clock
from carillon_routing.domain import cursor as cursors
from carillon_routing.domain.advance import BadOutcome, advance, fax_calls
from carillon_routing.domain.asks import Ask, Needs
from carillon_routing.domain.cursor import Cursor, QueueWait
from carillon_routing.domain.facts import Advance, CallFacts, Outcome, Step
from carillon_routing.domain.facts import TraceLine as Line
from carillon_routing.domain.made_of import MadeOf, as_read
from carillon_routing.domain.queue_steps import EnterQueue, QueueOver, QueuePlace, QueueReason
from carillon_routing.handlers.queue_calls import QueueCalls, Waited
from carillon_routing.ports import FactFinder

#: What all that one decision must find out may take together: media waits 300 ms.
FACTS_SECONDS = 0.24


@dataclass(frozen=True, slots=True)
class Decided:
    """What media is told. `own`: what `advance` alone said, with the trace up to there; None: the queue said it all."""

    step: Step
    cursor: bytes
    trace: tuple[Line, ...]
    config_seq: int
    own: Advance | None
    made_of: MadeOf | None
    queues: tuple[QueuePlace, ...] = ()


class Decider:
    """Decides; keeps no call."""

    def __init__(self, clock: Clock, queues: QueueCalls, finder: FactFinder) -> None:
        self._clock = clock
        self._queues = queues
        self._finder = finder

    async def decide(self, config: TenantConfig, call: CallFacts, cursor: Cursor | None, outcome: Outcome | Waited) -> Decided:
        """Raises `BadOutcome`."""
        now, left, places = self._clock.now(), list[QueueReason](), list[QueuePlace]()
        began = cursor
        if cursor is not None and isinstance(cursor.wait, QueueWait):
            said = await self._queues.go_on(config, call, cursor, outcome)
            if isinstance(said, Advance):
                return Decided(said.step, said.cursor, said.trace, said.config_seq, None, None, _places(said.place))
            left.append(said.reason)
            places.append(QueuePlace(cursor.wait.queue_id, left=said.reason))
            found = await self._advance(config, call, cursor, said, now)
        elif isinstance(outcome, Waited):
            raise BadOutcome("wait does not belong to this cursor")
        else:
            if fax_calls(outcome) and (place := await self._queues.called_by_fax(call)) is not None:
                places.append(place)
            found = await self._advance(config, call, cursor, outcome, now)
        queued: Advance | None = None
        while isinstance(found.step, EnterQueue) and found.at is not None:
            cursor = found.at
            said = await self._queues.go_on(config, call, cursor, None)
            if isinstance(said, Advance):
                queued = said
                break
            left.append(said.reason)
            places.append(QueuePlace(found.step.queue_id, left=said.reason))
            found = await self._on(config, call, cursor, said, now, found)
        of_queue = began is not None and isinstance(began.wait, QueueWait)
        given = None if of_queue or isinstance(outcome, Waited) else outcome
        made = MadeOf(call, began, given, now, found.config_seq, as_read(found.read), tuple(left))
        last = found if queued is None else replace(queued, trace=found.trace + queued.trace)
        kept = None if _secret(began) else made
        return Decided(last.step, last.cursor, last.trace, last.config_seq, found, kept, (*places, *_places(last.place)))

    async def _on(self, config: TenantConfig, call: CallFacts, cursor: Cursor, said: QueueOver, now: datetime, before: Advance) -> Advance:
        after = await self._advance(config, call, cursor, said, now)
        return replace(after, trace=before.trace + after.trace, read=before.read + after.read)

    async def _advance(self, config: TenantConfig, call: CallFacts, cursor: Cursor | None, outcome: Outcome, now: datetime) -> Advance:
        known = dict[str, JsonValue]()
        deadline = self._clock.monotonic() + FACTS_SECONDS
        while isinstance(found := advance(config, call, cursor, outcome, now, known), Needs):
            known[found.ask.key] = await self._find(call, found.ask, deadline - self._clock.monotonic())
        return found

    async def _find(self, call: CallFacts, ask: Ask, seconds: float) -> JsonValue:
        try:
            async with asyncio.timeout(seconds):
                return await self._finder.find(call, ask)
        except TimeoutError:
            return None


def _places(place: QueuePlace | None) -> tuple[QueuePlace, ...]:
    return () if place is None else (place,)


def _secret(cursor: Cursor | None) -> bool:
    return cursor is not None and isinstance(cursor.wait, cursors.SECRET_WAITS)
