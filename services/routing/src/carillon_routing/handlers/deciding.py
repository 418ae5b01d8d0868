"""One decision of a live call: `advance`, what it must know found out within media's patience, and the queue that a caller is in.

Always: what a decision was made of comes with it; of a secret, what was found out of it.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import JsonValue

from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import Clock
from carillon_routing.domain import cursor as cursors
from carillon_routing.domain.advance import LOOK_UP, BadOutcome, advance, fax_calls
from carillon_routing.domain.asks import Ask, Fetch, Needs
from carillon_routing.domain.cursor import MAX_BYTES, Cursor, QueueWait
from carillon_routing.domain.facts import Advance, CallFacts, Entered, FactRead, GaveUp, Outcome, Step, Wait
from carillon_routing.domain.facts import TraceLine as Line
from carillon_routing.domain.made_of import MadeOf, as_read, hidden
from carillon_routing.domain.pending import Pending, encode
from carillon_routing.domain.queue_steps import EnterQueue, QueueOver, QueuePlace, QueueReason, Waited
from carillon_routing.handlers.queue_calls import QueueCalls
from carillon_routing.handlers.slow_answers import NotYet, SlowAnswers
from carillon_routing.ports import FactFinder

#: What all that one decision must find out, and its queue, may take together: media waits 300 ms.
FACTS_SECONDS = 0.24
#: A wait that nobody signals ends so long after the answer's time is over.
GRACE_MS = 100


@dataclass(frozen=True, slots=True)
class Decided:
    """What media is told, as `decision`, and what that was made of; None: the call waits for a web address, and nothing is decided yet."""

    step: Step
    cursor: bytes
    trace: tuple[Line, ...]
    config_seq: int
    decision: Advance | None
    made_of: MadeOf | None
    queues: tuple[QueuePlace, ...] = ()


class _Waits(Exception):
    """The decision cannot be made before a web address has answered."""

    def __init__(self, pending: Pending, url: str, milliseconds: int) -> None:
        super().__init__(pending.asked)
        self.pending = pending
        self.line = Line("web address", False, f"{url} has not answered yet; the call waits, for {milliseconds} ms at most")


class Decider:
    """Decides; keeps no call."""

    def __init__(self, clock: Clock, queues: QueueCalls, finder: FactFinder, slow: SlowAnswers) -> None:
        self._clock = clock
        self._queues = queues
        self._finder = finder
        self._slow = slow

    async def decide(self, config: TenantConfig, call: CallFacts, cursor: Cursor | Pending | None, outcome: Outcome | Waited) -> Decided:
        """Raises `BadOutcome`."""
        if isinstance(cursor, Pending):
            return await self._take_up(config, call, cursor, outcome)
        now, deadline = self._clock.now(), self._clock.monotonic() + FACTS_SECONDS
        if cursor is None or not isinstance(cursor.wait, QueueWait):
            if isinstance(outcome, Waited):
                raise BadOutcome("wait does not belong to this cursor")
            entered = outcome if isinstance(outcome, Entered) and fax_calls(outcome) else None
            left = await self._queues.called_by_fax(call, entered.queue_id) if entered is not None else None
            return await self._decide(config, call, cursor, outcome, now, {}, _places(left), deadline)
        said = await self._queues.go_on(config, call, cursor, outcome, FACTS_SECONDS)
        if isinstance(said, Advance):
            made = MadeOf(call, cursor, None, now, config.seq, seen=said.seen)
            return Decided(said.step, said.cursor, said.trace, said.config_seq, said, made, _places(said.place))
        here = said.queue_id or cursor.wait.queue_id
        began = replace(cursor, wait=replace(cursor.wait, queue_id=here))
        return await self._decide(config, call, began, QueueOver(said.reason), now, {}, (QueuePlace(here, left=said.reason),), deadline)

    async def _take_up(self, config: TenantConfig, call: CallFacts, pending: Pending, outcome: Outcome | Waited) -> Decided:
        """A decision that waited for a web address: it is there, its time is over, or it waits on."""
        if not isinstance(outcome, Waited):
            raise BadOutcome("only wait belongs to a decision that waits")
        there, value = await self._slow.known(call, pending.asked)
        if not there and self._slow.now() < pending.until:
            return self._waiting(call, pending, (), config.seq, ())
        known, deadline = {**pending.known, pending.asked: value}, self._clock.monotonic() + FACTS_SECONDS
        return await self._decide(config, call, pending.cursor, pending.outcome, pending.now, known, (), deadline)

    async def _decide(
        self,
        config: TenantConfig,
        call: CallFacts,
        began: Cursor | None,
        outcome: Outcome,
        now: datetime,
        known: dict[str, JsonValue],
        places: tuple[QueuePlace, ...],
        deadline: float,
    ) -> Decided:
        """`outcome` `QueueOver`: of the queue that the call was in; `places`: what is told of queues besides; `deadline`: by the clock."""
        of_queue = isinstance(outcome, QueueOver)
        left = [outcome.reason] if isinstance(outcome, QueueOver) else list[QueueReason]()
        trace: tuple[Line, ...] = ()
        read: tuple[FactRead, ...] = ()
        try:
            found = await self._advance(config, call, began, outcome, now, known, deadline)
            queued: Advance | None = None
            while isinstance(found.step, EnterQueue) and found.at is not None:
                said = await self._queues.go_on(config, call, found.at, None, deadline - self._clock.monotonic())
                if isinstance(said, Advance):
                    queued = said
                    break
                left.append(said.reason)
                places = (*places, QueuePlace(found.step.queue_id, left=said.reason))
                trace, read = trace + found.trace, read + found.read
                found = await self._advance(config, call, found.at, said, now, {}, deadline)
        except _Waits as waits:
            return self._waiting(call, waits.pending, (*trace, waits.line), config.seq, places)
        found = replace(found, trace=trace + found.trace, read=read + found.read)
        given = None if of_queue else hidden(began, outcome)
        last = found if queued is None else replace(queued, trace=found.trace + queued.trace)
        made = MadeOf(call, began, given, now, found.config_seq, as_read(found.read), tuple(left), seen=last.seen)
        return Decided(last.step, last.cursor, last.trace, last.config_seq, last, made, (*places, *_places(last.place)))

    def _waiting(
        self, call: CallFacts, pending: Pending, trace: tuple[Line, ...], config_seq: int, places: tuple[QueuePlace, ...]
    ) -> Decided:
        step = Wait(max_ms=max(0, pending.until - self._slow.now()) + GRACE_MS, quiet=True)
        return Decided(step, encode(pending, call), trace, config_seq, None, None, places)

    async def _advance(
        self,
        config: TenantConfig,
        call: CallFacts,
        cursor: Cursor | None,
        outcome: Outcome,
        now: datetime,
        known: dict[str, JsonValue],
        deadline: float,
    ) -> Advance:
        """Raises `_Waits`."""
        while isinstance(found := advance(config, call, cursor, outcome, now, known), Needs):
            left = deadline - self._clock.monotonic()
            known.update(found.read)
            if isinstance(found.ask, Fetch) and _may_wait(cursor, outcome):
                known[found.ask.key] = await self._fetched(
                    config, call, found.ask, Pending(cursor, outcome, now, config.seq, "", 0, known), left
                )
            elif isinstance(found.ask, Fetch) and isinstance(outcome, GaveUp):
                known[found.ask.key] = await self._told(call, found.ask, left / 2)
            else:
                known[found.ask.key] = await self._find(call, found.ask, left)
        return found

    async def _told(self, call: CallFacts, ask: Fetch, seconds: float) -> JsonValue:
        """Of a caller who has gone: the request goes on, and what follows is not held up by it."""
        try:
            return await self._slow.find(call, ask, seconds)
        except NotYet:
            return None

    async def _fetched(self, config: TenantConfig, call: CallFacts, ask: Fetch, pending: Pending, seconds: float) -> JsonValue:
        until = self._slow.until(ask)
        try:
            return await self._slow.find(call, ask, seconds)
        except NotYet:
            pending = replace(pending, asked=ask.key, until=until, known=dict(pending.known))
            if len(encode(pending, call)) > MAX_BYTES:
                return None
            raise _Waits(pending, ask.url, ask.timeout_ms) from None

    async def _find(self, call: CallFacts, ask: Ask, seconds: float) -> JsonValue:
        try:
            async with asyncio.timeout(seconds):
                return await self._finder.find(call, ask)
        except TimeoutError:
            return None


def _may_wait(cursor: Cursor | None, outcome: Outcome) -> bool:
    """What a PIN decided is kept nowhere; what a phone diverts to must be rung at once; who asks for phones is told them at once; and who
    gave up waits for nothing."""
    at_once = isinstance(outcome, Entered) and not {"deflected_by", LOOK_UP}.isdisjoint(outcome.arguments)
    return not _secret(cursor) and not at_once and not isinstance(outcome, GaveUp)


def _secret(cursor: Cursor | None) -> bool:
    return cursor is not None and isinstance(cursor.wait, cursors.SECRET_WAITS)


def _places(place: QueuePlace | None) -> tuple[QueuePlace, ...]:
    return () if place is None else (place,)
