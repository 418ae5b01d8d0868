"""What a command leads to on a floor, and every offer that can be made after it.

Always: what comes late or twice leads to nothing; no agent is offered while belonging to a caller.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, cast

from carillon_contracts.config import Queue, QueueCallback
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.queues import commands as c
from carillon_routing.domain.queues import events as e
from carillon_routing.domain.queues.assign import NoLine, assign
from carillon_routing.domain.queues.floor import MISSED, Caller, Floor, fold
from carillon_routing.domain.queues.telling import told

#: Media has so long to come for an offer, or for being let go, before it is thought to be gone.
FETCH_SECONDS = 6.0
GONE_SECONDS = 30.0
#: Beyond the time that the agents ring: answers take a moment to be known.
RING_GRACE = 10.0
MAX_LAPSES = 3
#: For a queue that is gone.
_NO_CALLBACK = QueueCallback()
#: A talk whose end nobody heard of.
LONGEST_TALK = 12 * 3600.0
MISSED_OFFERS = "missed offers"

Refusal = Literal["full", "no_agents", "unknown"]


class Refused(Exception):
    """The command cannot be done; nothing changed. `why` is one word, the text says it to a person."""

    def __init__(self, why: Refusal, text: str) -> None:
        super().__init__(text)
        self.why = why


def decide(
    floor: Floor, command: c.Command, config: TenantConfig, now: float, busy: Collection[str] = (), no_line: NoLine = frozenset()
) -> list[e.FloorEvent]:
    """`now` in seconds since 1970; `busy`: users who talk or are rung, in whatever calls. Raises `Refused`."""
    found = _DECIDE[type(command)](floor, command, config, now)
    return told(floor, [*found, *assign(fold(floor, found), config, now, busy, no_line)])


def agents_on(floor: Floor, queue: Queue) -> int:
    """Members who are logged in, be they busy or paused."""
    return sum(1 for m in queue.members if (agent := floor.agents.get(m.agent_id)) is not None and agent.logged_in)


def _queue(config: TenantConfig, queue_id: str) -> Queue:
    queue = config.queues.get(queue_id)
    if queue is None:
        raise Refused("unknown", f"there is no queue {queue_id!r}")
    return queue


def _join(floor: Floor, join: c.Join, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    if join.call_id in floor.callers:
        return []
    if join.call_id in floor.gone:
        raise Refused("unknown", "the call is over")
    queue = _queue(config, join.queue_id)
    if queue.leave_without_agents and not agents_on(floor, queue):
        raise Refused("no_agents", "none of its agents is logged in")
    waiting = len(floor.waiting(queue.id))
    if waiting >= queue.size_limit and not join.back:
        raise Refused("full", f"{waiting} callers wait, {queue.size_limit} may")
    priority = max([join.priority, *(p.priority for p in queue.priorities if join.number.startswith(p.prefixes))])
    return [
        e.CallerJoined(
            at=now,
            call_id=join.call_id,
            queue_id=queue.id,
            joined_at=join.joined_at,
            priority=priority,
            number=join.number,
            language=join.language,
            skills=dict(join.skills),
            skills_for=join.skills_for,
        )
    ]


def _fetch(floor: Floor, fetch: c.Fetch, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    caller = floor.callers.get(fetch.call_id)
    if caller is None or not caller.offered or caller.ring_until is not None:
        return []
    queue = config.queues.get(caller.queue_id)
    seconds = queue.ring_seconds if queue is not None else 15
    return [e.RingBegan(at=now, call_id=caller.call_id, until=now + seconds + RING_GRACE)]


def _ring_over(floor: Floor, over: c.RingOver, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    caller = floor.callers.get(over.call_id)
    if caller is None:
        return []
    answered = next((agent_id for agent_id, result in over.results.items() if result == "answered"), "")
    if answered:
        return _connect(floor, caller, answered, now) + _release(caller, answered, config, now)
    # Who was believed to have answered, because nobody said anything for so long, did not.
    believed = {caller.agent_id} if caller.agent_id and not caller.leg_id else set[str]()
    if not set(over.results) & {*caller.offered, *believed}:
        return []
    return [e.OfferFailed(at=now, call_id=caller.call_id, results=dict(over.results)), *_pauses(floor, caller, over.results, config, now)]


def _pauses(floor: Floor, caller: Caller, results: Mapping[str, str], config: TenantConfig, now: float) -> list[e.FloorEvent]:
    queue = config.queues.get(caller.queue_id)
    limit = queue.missed_offers_to_pause if queue is not None else 0
    late = [a for a in caller.offered or (caller.agent_id,) if results.get(a, "no_answer") in MISSED and a in floor.agents]
    paused = [agent_id for agent_id in late if limit and floor.agents[agent_id].missed + 1 >= limit]
    return [e.AgentPaused(at=now, agent_id=agent_id, reason=MISSED_OFFERS) for agent_id in paused]


def _connect(floor: Floor, caller: Caller, agent_id: str, now: float) -> list[e.FloorEvent]:
    if caller.agent_id or caller.released or agent_id not in caller.offered:
        return []
    return [e.AgentConnected(at=now, call_id=caller.call_id, agent_id=agent_id)]


def _release(caller: Caller, agent_id: str, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    if caller.released or agent_id not in (caller.agent_id, *caller.offered):
        return []
    queue = config.queues.get(caller.queue_id)
    wrap_up = queue.wrap_up_seconds if queue is not None else 0
    return [e.AgentReleased(at=now, call_id=caller.call_id, agent_id=agent_id, wrap_up_until=now + wrap_up)]


def _answered(floor: Floor, answered: c.AgentAnswered, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    caller = floor.of_call(answered.call_id)
    return _connect(floor, caller, answered.agent_id, now) if caller is not None else []


def _bridged(floor: Floor, bridged: c.Bridged, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    """A caller who is called back talks with the one agent who rang first."""
    caller = floor.of_call(bridged.call_id)
    if caller is None:
        return []
    if caller.via == bridged.call_id:
        return _connect(floor, caller, caller.offered[0], now) if caller.offered else []
    if not caller.agent_id or caller.leg_id:
        return []
    return [e.LegKnown(at=now, call_id=caller.call_id, leg_id=bridged.leg_id)]


def _leg_over(floor: Floor, over: c.LegOver, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    caller = floor.callers.get(over.call_id)
    if caller is None or not caller.agent_id or caller.leg_id != over.leg_id:
        return []
    return _release(caller, caller.agent_id, config, now)


def _call_over(floor: Floor, over: c.CallOver, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    caller = floor.of_call(over.call_id)
    if caller is None:
        return []
    if caller.via == over.call_id:
        return _callback_over(floor, caller, config, now)
    if caller.callback:
        return []
    found = _release(caller, caller.agent_id, config, now) if caller.agent_id else []
    reason: e.LeftReason = "answered" if caller.agent_id or caller.released == "answered" else "abandoned"
    return [*found, e.CallerLeft(at=now, call_id=caller.call_id, reason=reason)]


def _callback_over(floor: Floor, caller: Caller, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    if caller.agent_id:
        left = e.CallerLeft(at=now, call_id=caller.call_id, reason="called_back")
        return [*_release(caller, caller.agent_id, config, now), left]
    wanted = _callback(caller, config)
    if caller.lapses + 1 >= wanted.tries:
        return [e.CallerLeft(at=now, call_id=caller.call_id, reason="callback_failed")]
    return [e.OfferLapsed(at=now, call_id=caller.call_id, pause_seconds=wanted.pause_seconds)]


def _callback(caller: Caller, config: TenantConfig) -> QueueCallback:
    queue = config.queues.get(caller.queue_id)
    return _NO_CALLBACK if queue is None else queue.callback


def _leave(floor: Floor, leave: c.Leave, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    caller = floor.callers.get(leave.call_id)
    if caller is None:
        return []
    released = _release(caller, caller.agent_id, config, now) if caller.agent_id else []
    reason = "answered" if caller.agent_id and leave.reason == "fax" else leave.reason
    return [*released, e.CallerLeft(at=now, call_id=leave.call_id, reason=cast(e.LeftReason, reason))]


def _ask_callback(floor: Floor, asked: c.AskCallback, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    caller = floor.callers.get(asked.call_id)
    if caller is None or caller.callback or not caller.waits:
        return []
    return [e.CallbackRequested(at=now, call_id=caller.call_id, number=asked.number)]


def _start_callback(floor: Floor, start: c.StartCallback, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    caller = floor.callers.get(start.call_id)
    if caller is None or not caller.offered or caller.via:
        return []
    return [e.CallbackStarted(at=now, call_id=caller.call_id, via=start.via)]


def _log_in(floor: Floor, given: c.LogIn, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    _known(config, given.agent_id)
    agent = floor.agents.get(given.agent_id)
    return [] if agent is not None and agent.logged_in else [e.AgentLoggedIn(at=now, agent_id=given.agent_id)]


def _log_out(floor: Floor, given: c.LogOut, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    _known(config, given.agent_id)
    agent = floor.agents.get(given.agent_id)
    return [e.AgentLoggedOut(at=now, agent_id=given.agent_id)] if agent is not None and agent.logged_in else []


def _pause(floor: Floor, given: c.Pause, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    _known(config, given.agent_id)
    agent = floor.agents.get(given.agent_id)
    reason = given.reason or "pause"
    if agent is not None and agent.paused == reason:
        return []
    return [e.AgentPaused(at=now, agent_id=given.agent_id, reason=reason)]


def _resume(floor: Floor, given: c.Resume, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    _known(config, given.agent_id)
    agent = floor.agents.get(given.agent_id)
    held = agent is not None and (agent.paused or agent.wrap_up_until > now or agent.hold_until > now)
    return [e.AgentResumed(at=now, agent_id=given.agent_id)] if held else []


def _known(config: TenantConfig, agent_id: str) -> None:
    if agent_id not in config.agents:
        raise Refused("unknown", f"there is no agent {agent_id!r}")


def _rank(floor: Floor, given: c.Rank, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    caller = _waiting(floor, given.call_id)
    queue = _queue(config, given.queue_id or caller.queue_id)
    priority = caller.priority if given.priority is None else given.priority
    return [e.CallerRanked(at=now, call_id=caller.call_id, queue_id=queue.id, priority=priority)]


def _remove(floor: Floor, given: c.Remove, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    caller = _waiting(floor, given.call_id)
    if caller.callback:
        return [e.CallerLeft(at=now, call_id=caller.call_id, reason="removed")]
    return [e.CallerReleased(at=now, call_id=caller.call_id, reason="removed")]


def _waiting(floor: Floor, call_id: str) -> Caller:
    caller = floor.callers.get(call_id)
    if caller is None or not caller.waits:
        raise Refused("unknown", f"no caller waits in call {call_id!r}")
    return caller


def _tick(floor: Floor, tick: c.Tick, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    return [event for caller in floor.callers.values() for event in _late(floor, caller, config, now)]


def _late(floor: Floor, caller: Caller, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    """What the time that has passed means for one caller."""
    if caller.released:
        gone = now > caller.released_at + GONE_SECONDS
        reason: e.LeftReason = "answered" if caller.released == "answered" else "vanished"
        return [e.CallerLeft(at=now, call_id=caller.call_id, reason=reason)] if gone else []
    if caller.agent_id:
        lost = now > caller.connected_at + LONGEST_TALK
        return [*_release(caller, caller.agent_id, config, now)] if lost else []
    if caller.offered:
        return _late_offer(floor, caller, config, now)
    queue = config.queues.get(caller.queue_id)
    if caller.callback:
        late = now > caller.callback_at + _callback(caller, config).expires_seconds
        return [e.CallerLeft(at=now, call_id=caller.call_id, reason="callback_failed")] if late else []
    if queue is None or (queue.leave_without_agents and not agents_on(floor, queue)):
        return [e.CallerReleased(at=now, call_id=caller.call_id, reason="no_agents")]
    if queue.max_wait_seconds and now >= caller.joined_at + queue.max_wait_seconds:
        return [e.CallerReleased(at=now, call_id=caller.call_id, reason="waited_too_long")]
    return []


def _late_offer(floor: Floor, caller: Caller, config: TenantConfig, now: float) -> list[e.FloorEvent]:
    if caller.ring_until is None:
        if now <= caller.offered_at + FETCH_SECONDS:
            return []
        if caller.lapses + 1 >= MAX_LAPSES and not caller.callback:
            return [e.CallerLeft(at=now, call_id=caller.call_id, reason="vanished")]
        return [e.OfferLapsed(at=now, call_id=caller.call_id)]
    if now > caller.ring_until and caller.callback:
        return _callback_over(floor, caller, config, now)
    if now > caller.ring_until and len(caller.offered) == 1:
        # Nobody said that it failed, so it was answered; the event that says so is late.
        return [e.AgentConnected(at=now, call_id=caller.call_id, agent_id=caller.offered[0])]
    return []


_DECIDE: Mapping[type, Callable[[Floor, Any, TenantConfig, float], list[e.FloorEvent]]] = {
    c.Join: _join,
    c.Fetch: _fetch,
    c.RingOver: _ring_over,
    c.Leave: _leave,
    c.AskCallback: _ask_callback,
    c.StartCallback: _start_callback,
    c.AgentAnswered: _answered,
    c.Bridged: _bridged,
    c.LegOver: _leg_over,
    c.CallOver: _call_over,
    c.LogIn: _log_in,
    c.LogOut: _log_out,
    c.Pause: _pause,
    c.Resume: _resume,
    c.Rank: _rank,
    c.Remove: _remove,
    c.Tick: _tick,
}
