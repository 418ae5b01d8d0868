"""The turns of a call in a queue: what the floor is told of each outcome, and what the call does next, of what the floor then says.

Always: this alone decides that, for live calls and simulated ones: whoever runs a turn has its commands carried out on a floor.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Literal, cast

from carillon_contracts.config import Queue
from carillon_contracts.queue import agents_of
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.cursor import Cursor, QueueWait
from carillon_routing.domain.facts import Advance, CallFacts, Outcome, Played, Rang
from carillon_routing.domain.queue_steps import REASONS, QueueOver, QueuePlace, QueueSeen, Waited
from carillon_routing.domain.queued import becomes_first, callback_key, queued
from carillon_routing.domain.queueing import wanted
from carillon_routing.domain.queues import commands as c
from carillon_routing.domain.queues.decide import Refused
from carillon_routing.domain.queues.floor import Caller, Floor
from carillon_routing.domain.queues.speech import estimated_seconds


@dataclass(frozen=True, slots=True)
class Command:
    """To be carried out on the floor, and `then` that."""

    command: c.Command
    then: c.Command | None = None


#: Yields commands and is sent the floor after each, or thrown `Refused`; returns the next step, or why the caller leaves the queue.
Turn = Generator[Command, Floor, Advance | QueueOver]


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, the same for a whole turn. `moment`: this one, seconds since 1970; `calls_back`: callers can be called back at all;
    `busy`: users among a queue's agents who are passed over because they talk elsewhere."""

    config: TenantConfig
    call: CallFacts
    cursor: Cursor
    queue: Queue
    moment: Callable[[], float]
    calls_back: bool
    busy: Callable[[Queue], tuple[str, ...]] = lambda queue: ()

    @property
    def wait(self) -> QueueWait:
        """Where the call stands."""
        return cast(QueueWait, self.cursor.wait)

    def said(self, what: Literal["waits", "rings", "called_back"], floor: Floor, caller: Caller, queue: Queue) -> Advance:
        """The step, of what the queue sees."""
        position = floor.position(caller)
        seen = QueueSeen(
            what,
            self.moment(),
            position,
            caller.priority,
            caller.joined_at,
            caller.offered,
            estimated_seconds(floor, queue, position),
            self.calls_back,
            queue.id if queue.id != self.wait.queue_id else "",
            () if what == "called_back" else self.busy(queue),
        )
        return queued(self.config, self.call, self.cursor, seen)


def turn(asks: Asking, outcome: Outcome | Waited | None) -> Turn:
    """`outcome` None: the caller has just come."""
    call, queue, wait = asks.call, asks.queue, asks.wait
    digit = outcome.digit if isinstance(outcome, Waited) else ""
    if isinstance(outcome, Rang):
        yield Command(c.RingOver(call.call_id, agents_of(outcome.targets)))
    elif digit and digit == queue.leave_key:
        yield Command(c.Leave(call.call_id, "left_by_key"))
        return QueueOver("left_by_key")
    elif digit and digit == callback_key(queue, call, wait, calls_back=asks.calls_back):
        floor = yield Command(c.AskCallback(call.call_id, call.caller_number))
        asked = floor.callers.get(call.call_id)
        if asked is not None and asked.callback:
            return asks.said("called_back", floor, asked, queue)
    elif isinstance(outcome, Played):
        return QueueOver("called_back")
    try:
        floor = yield Command(_join(asks), then=c.Fetch(call.call_id))
    except Refused as refused:
        return QueueOver("full" if refused.why == "full" else "no_agents")
    return (yield from _step(asks, floor))


def _join(asks: Asking) -> c.Join:
    call, wait = asks.call, asks.wait
    return c.Join(
        call.call_id,
        asks.queue.id,
        wait.since / 1000,
        wait.priority,
        call.caller_number,
        asks.cursor.language,
        wanted(wait.skills),
        wait.skills_for,
        back=wait.turn > 0,
    )


def _step(asks: Asking, floor: Floor) -> Turn:
    caller = floor.callers[asks.call.call_id]
    queue = asks.config.queues.get(caller.queue_id)
    if caller.released or queue is None:
        reason = caller.released or "no_agents"
        yield Command(c.Leave(caller.call_id, reason))
        put = caller.queue_id if caller.queue_id != asks.wait.queue_id else ""
        return QueueOver(next((each for each in REASONS if each == reason), "no_agents"), put)
    if caller.callback:
        # It asked for that when the database was slow.
        return asks.said("called_back", floor, caller, queue)
    said = asks.said("rings" if caller.offered else "waits", floor, caller, queue)
    place = QueuePlace(caller.queue_id, 0 if caller.agent_id else floor.position(caller), caller.priority, caller.joined_at)
    return replace(said, place=place)


def wait_ends(floor: Floor, call_id: str, wait: QueueWait) -> bool:
    """Whether the wait of a call is to end before its time."""
    caller = floor.callers.get(call_id)
    if caller is None or caller.released or (caller.offered and caller.ring_until is None):
        return True
    if caller.queue_id != wait.queue_id and not caller.agent_id and not caller.offered:
        return True  # A supervisor has put the caller there.
    return not caller.offered and not caller.agent_id and becomes_first(wait, floor.position(caller))
