"""A call that is in a queue: what media does next, by what the floor says.

Always: the call itself knows since when it waits (its cursor), so that it gets its old place whatever was lost meanwhile; while the
database is away it waits on with music.
"""

from dataclasses import dataclass, replace
from typing import Literal, cast

from carillon_contracts.config import Queue
from carillon_contracts.queue import agents_of
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_routing.domain.cursor import Cursor, QueueWait
from carillon_routing.domain.facts import Advance, CallFacts, Outcome, Played, Rang
from carillon_routing.domain.queue_steps import REASONS, QueueOver, QueuePlace, QueueSeen
from carillon_routing.domain.queued import becomes_first, callback_key, queued
from carillon_routing.domain.queueing import wanted
from carillon_routing.domain.queues import commands as c
from carillon_routing.domain.queues.decide import Refused
from carillon_routing.domain.queues.floor import Caller, Floor
from carillon_routing.domain.queues.speech import estimated_seconds
from carillon_routing.handlers.floors import FloorAway, Floors, FloorsWhenUp

_log = get_logger(__name__)
#: What the look for a fax machine's queue may take of media's patience.
FAX_SECONDS = 0.1
#: How long one question of media for a signal is kept open.
AWAIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Waited:
    """A wait step is over; `digit` is one that leaves, or empty."""

    digit: str = ""


class QueueCalls:
    """Of all tenants; without floors (no database) nobody can wait."""

    def __init__(self, floors: FloorsWhenUp, clock: Clock) -> None:
        self._floors = floors
        self._clock = clock

    async def go_on(self, config: TenantConfig, call: CallFacts, cursor: Cursor, outcome: Outcome | Waited | None) -> Advance | QueueOver:
        """The next step in the queue, or why the caller leaves it. `outcome` None: the caller has just come. Raises nothing."""
        wait = cast(QueueWait, cursor.wait)
        queue = config.queues.get(wait.queue_id)
        if not self._floors.expected or queue is None:
            return QueueOver("no_agents")
        try:
            return await self._go_on(self._floors.get(), config, queue, call, cursor, outcome)
        except FloorAway as away:
            _log.warning("a caller waits for the database", call_id=call.call_id, error=str(away))
            return queued(config, call, cursor, QueueSeen("away"))

    async def _go_on(
        self, floors: Floors, config: TenantConfig, queue: Queue, call: CallFacts, cursor: Cursor, outcome: Outcome | Waited | None
    ) -> Advance | QueueOver:
        wait = cast(QueueWait, cursor.wait)
        if isinstance(outcome, Rang):
            await floors.execute(call.tenant_id, c.RingOver(call.call_id, agents_of(outcome.targets)))
        elif isinstance(outcome, Waited) and outcome.digit and outcome.digit == queue.leave_key:
            await floors.execute(call.tenant_id, c.Leave(call.call_id, "left_by_key"))
            return QueueOver("left_by_key")
        elif (
            isinstance(outcome, Waited) and outcome.digit and outcome.digit == callback_key(queue, call, wait, calls_back=floors.calls_back)
        ):
            floor = await floors.execute(call.tenant_id, c.AskCallback(call.call_id, call.caller_number))
            asked = floor.callers.get(call.call_id)
            if asked is not None and asked.callback:
                return queued(config, call, cursor, self._seen("called_back", floor, asked, queue, floors, wait))
        elif isinstance(outcome, Played):
            return QueueOver("called_back")
        try:
            join = c.Join(
                call.call_id,
                queue.id,
                wait.since / 1000,
                wait.priority,
                call.caller_number,
                cursor.language,
                wanted(wait.skills),
                wait.skills_for,
                back=wait.turn > 0,
            )
            floor = await floors.execute(call.tenant_id, join, then=c.Fetch(call.call_id))
        except Refused as refused:
            return QueueOver("full" if refused.why == "full" else "no_agents")
        return await self._step(floors, floor, config, call, cursor, wait)

    async def _step(
        self, floors: Floors, floor: Floor, config: TenantConfig, call: CallFacts, cursor: Cursor, wait: QueueWait
    ) -> Advance | QueueOver:
        caller = floor.callers[call.call_id]
        queue = config.queues.get(caller.queue_id)
        if caller.released or queue is None:
            reason = caller.released or "no_agents"
            await floors.execute(call.tenant_id, c.Leave(call.call_id, reason))
            put = caller.queue_id if caller.queue_id != wait.queue_id else ""
            return QueueOver(next((each for each in REASONS if each == reason), "no_agents"), put)
        said = queued(config, call, cursor, self._seen("rings" if caller.offered else "waits", floor, caller, queue, floors, wait))
        place = QueuePlace(caller.queue_id, 0 if caller.agent_id else floor.position(caller), caller.priority, caller.joined_at)
        return replace(said, place=place)

    def _seen(
        self, what: Literal["waits", "rings", "called_back"], floor: Floor, caller: Caller, queue: Queue, floors: Floors, wait: QueueWait
    ) -> QueueSeen:
        position = floor.position(caller)
        return QueueSeen(
            what,
            self._clock.now().timestamp(),
            position,
            caller.priority,
            caller.joined_at,
            caller.offered,
            estimated_seconds(floor, queue, position),
            floors.calls_back,
            queue.id if queue.id != wait.queue_id else "",
        )

    async def called_by_fax(self, call: CallFacts) -> QueuePlace | None:
        """A fax machine calls, which goes to where faxes go: out of the queue that it waits in, if it does. Raises nothing."""
        if not self._floors.expected:
            return None
        try:
            floors = self._floors.get()
            caller = (await floors.read(call.tenant_id, FAX_SECONDS)).callers.get(call.call_id)
            if caller is None:
                return None
            reason = "answered" if caller.agent_id else "fax"
            await floors.execute(call.tenant_id, c.Leave(call.call_id, reason))
        except FloorAway as away:
            _log.warning("a fax machine stays in its queue until it is missed there", call_id=call.call_id, error=str(away))
            return None
        return QueuePlace(caller.queue_id, left=reason)

    async def signalled(self, call: CallFacts, wait: QueueWait) -> bool:
        """Whether the wait of the call is to end; answers when it is, or after `AWAIT_SECONDS`."""

        def to_end(floor: Floor) -> bool:
            caller = floor.callers.get(call.call_id)
            if caller is None or caller.released or (caller.offered and caller.ring_until is None):
                return True
            if caller.queue_id != wait.queue_id and not caller.agent_id and not caller.offered:
                return True  # A supervisor has put the caller there.
            return not caller.offered and not caller.agent_id and becomes_first(wait, floor.position(caller))

        try:
            return await self._floors.get().until(call.tenant_id, to_end, AWAIT_SECONDS)
        except FloorAway:
            return False
