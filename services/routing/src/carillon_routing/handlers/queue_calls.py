"""A call that is in a queue: what media does next, by what the floor says.

Always: the call itself knows since when it waits (its cursor), so that it gets its old place whatever was lost meanwhile; while the
database is away it waits on with music.
"""

from dataclasses import dataclass, replace
from typing import cast

from carillon_contracts.config import Queue
from carillon_contracts.queue import AGENT_TARGET, agents_of
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_routing.domain.cursor import Cursor, QueueWait
from carillon_routing.domain.facts import Advance, CallFacts, Outcome, Play, Played, Rang, Ring, TraceLine, UserTarget, Wait
from carillon_routing.domain.identity import shown_inside
from carillon_routing.domain.queue_steps import REASONS, QueueOver, QueuePlace
from carillon_routing.domain.queueing import wanted
from carillon_routing.domain.queues import commands as c
from carillon_routing.domain.queues.decide import Refused
from carillon_routing.domain.queues.floor import Caller, Floor
from carillon_routing.domain.queues.speech import called_back, heard, offered_back
from carillon_routing.domain.recordings import recorded
from carillon_routing.domain.walk import Walk
from carillon_routing.handlers.floors import FloorAway, Floors, FloorsWhenUp

_log = get_logger(__name__)
#: Media asks at least so often.
MAX_WAIT_MS = 30_000
#: While the database is away.
AWAY_MS = 2_000
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
            line = TraceLine(f"queue/{queue.id}", False, "its state cannot be had now; the caller waits on")
            return _advance(Wait(max_ms=AWAY_MS, signalled=False), cursor, line)

    async def _go_on(
        self, floors: Floors, config: TenantConfig, queue: Queue, call: CallFacts, cursor: Cursor, outcome: Outcome | Waited | None
    ) -> Advance | QueueOver:
        wait = cast(QueueWait, cursor.wait)
        if isinstance(outcome, Rang):
            await floors.execute(call.tenant_id, c.RingOver(call.call_id, agents_of(outcome.targets)))
        elif isinstance(outcome, Waited) and outcome.digit and outcome.digit == queue.leave_key:
            await floors.execute(call.tenant_id, c.Leave(call.call_id, "left_by_key"))
            return QueueOver("left_by_key")
        elif isinstance(outcome, Waited) and outcome.digit and outcome.digit == self._callback_key(queue, call, wait):
            floor = await floors.execute(call.tenant_id, c.AskCallback(call.call_id, call.caller_number))
            asked = floor.callers.get(call.call_id)
            if asked is not None and asked.callback:
                line = TraceLine(
                    f"queue/{queue.id}", True, f"{call.caller_number} keeps position {floor.position(asked)} and is called back"
                )
                return _advance(Play(called_back(cursor.language, config.tenant.language)), cursor, line)
        elif isinstance(outcome, Played):
            return QueueOver("called_back")
        try:
            skills = wanted(wait.skills)
            join = c.Join(
                call.call_id, queue.id, wait.since / 1000, wait.priority, call.caller_number, cursor.language, skills, wait.skills_for
            )
            floor = await floors.execute(call.tenant_id, join, then=c.Fetch(call.call_id))
        except Refused as refused:
            return QueueOver("full" if refused.why == "full" else "no_agents")
        return await self._step(floors, floor, config, queue, call, cursor)

    async def _step(
        self, floors: Floors, floor: Floor, config: TenantConfig, queue: Queue, call: CallFacts, cursor: Cursor
    ) -> Advance | QueueOver:
        caller = floor.callers[call.call_id]
        if caller.released:
            await floors.execute(call.tenant_id, c.Leave(call.call_id, caller.released))
            return QueueOver(next((reason for reason in REASONS if reason == caller.released), "no_agents"))
        if caller.offered:
            said = self._ring(config, queue, call, cursor, caller)
        else:
            said = self._wait(floor, config, queue, call, cursor, caller)
        place = QueuePlace(caller.queue_id, 0 if caller.agent_id else floor.position(caller), caller.priority, caller.joined_at)
        return replace(said, place=place)

    def _ring(self, config: TenantConfig, queue: Queue, call: CallFacts, cursor: Cursor, caller: Caller) -> Advance:
        users = {agent_id: config.agents[agent_id].user_id for agent_id in caller.offered if agent_id in config.agents}
        stop = queue.ring_seconds * 1000
        targets = tuple(UserTarget(f"{AGENT_TARGET}{agent_id}", user_id, 0, stop) for agent_id, user_id in users.items())
        number, name = shown_inside(config, call)
        # Asked again after the agent has hung up, so that the plan goes on with a caller who is still there.
        step = Ring(targets, number, name, ask_after_answer=True, music=True)
        reason = f"{queue.strategy}: offered to {', '.join(users)} after {self._clock.now().timestamp() - caller.joined_at:.0f} s"
        line = TraceLine(f"queue/{queue.id}", True, reason, ", ".join(f"user/{user}" for user in users.values()))
        walk = Walk(config, call, self._clock.now())
        walk.take_up(cursor)
        step = recorded(walk, step, cursor.wait)
        return _advance(step, cursor, line, *walk.trace)

    def _wait(self, floor: Floor, config: TenantConfig, queue: Queue, call: CallFacts, cursor: Cursor, caller: Caller) -> Advance:
        wait = cast(QueueWait, cursor.wait)
        language = config.tenant.language
        phrases = heard(floor, queue, caller, wait.turn, cursor.language, language)
        every = min(MAX_WAIT_MS, queue.announcements.every_seconds * 1000)
        waited = self._clock.now().timestamp() - caller.joined_at
        offers, after = wait.offers, queue.callback.offer_after_seconds
        if after and self._may_be_called_back(queue, call):
            if waited >= after * (offers + 1):
                phrases += offered_back(queue, cursor.language, language)
                offers = int(waited // after)
            every = max(1, min(every, int((after * (offers + 1) - waited) * 1000)))
        wait = replace(wait, turn=wait.turn + 1, offers=offers)
        step = Wait(phrases, queue.leave_key + self._callback_key(queue, call, wait), every)
        position = floor.position(caller)
        reason = f"position {position}, priority {caller.priority}, waiting {waited:.0f} s"
        return _advance(step, replace(cursor, wait=wait), TraceLine(f"queue/{queue.id}", True, reason))

    def _callback_key(self, queue: Queue, call: CallFacts, wait: QueueWait) -> str:
        """Where it is offered from the beginning, or was."""
        offered = wait.offers or not queue.callback.offer_after_seconds
        return queue.callback_key if offered and self._may_be_called_back(queue, call) else ""

    def _may_be_called_back(self, queue: Queue, call: CallFacts) -> bool:
        """Where callers can be called back, one whose number is known."""
        return bool(queue.callback_key and call.caller_number) and self._floors.get().calls_back

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

    async def signalled(self, call: CallFacts) -> bool:
        """Whether the wait of the call is to end; answers when it is, or after `AWAIT_SECONDS`."""

        def to_end(floor: Floor) -> bool:
            caller = floor.callers.get(call.call_id)
            return caller is None or bool(caller.released) or (bool(caller.offered) and caller.ring_until is None)

        try:
            return await self._floors.get().until(call.tenant_id, to_end, AWAIT_SECONDS)
        except FloorAway:
            return False


def _advance(step: Wait | Ring | Play, cursor: Cursor, *lines: TraceLine) -> Advance:
    return Advance(step, cursor, lines, cursor.config_seq)
