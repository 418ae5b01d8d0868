"""The state of a tenant's floor as the fold of its events.

Invariant: an agent belongs to one caller at most (`AgentState.call_id`), and a caller's offer or talk names only agents who belong to it.
`evolve` never refuses: what refers to nothing changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from carillon_routing.domain.queues import events as e

#: Until an agent who did not take an offer gets another one, seconds, by what became of it.
HOLD_OFF: Mapping[str, float] = {"no_answer": 3.0, "rejected": 5.0, "busy": 10.0, "unreachable": 30.0, "congested": 30.0}
#: What counts as a missed offer.
MISSED = ("no_answer", "rejected")
#: How long a call that has ended is remembered, seconds: a question that was on its way then must not bring it back.
REMEMBER_GONE_SECONDS = 60.0
#: Weight of the newest talk in the average.
_NEWEST = 0.1


@dataclass(frozen=True, slots=True)
class Caller:
    """Who waits, is being offered, or talks. `order` tells apart who joined at the same moment."""

    call_id: str
    queue_id: str
    joined_at: float
    order: int
    priority: int = 0
    number: str = ""
    language: str = ""
    #: Agents who are being offered, since when, and until when media rings them (None: media has not come for it).
    offered: tuple[str, ...] = ()
    offered_at: float = 0.0
    ring_until: float | None = None
    #: The agent of the talk, since when, and the agent's leg.
    agent_id: str = ""
    connected_at: float = 0.0
    leg_id: str = ""
    #: Why media is to let the caller go; empty: it is not.
    released: str = ""
    released_at: float = 0.0
    #: Offers that media did not come for, or call-backs that reached nobody.
    lapses: int = 0
    callback: bool = False
    #: The call by which the caller is called back.
    via: str = ""
    #: When that was asked for, and no call back before.
    callback_at: float = 0.0
    not_before: float = 0.0
    #: Wanted of the agent beside what the queue asks, until so many seconds of waiting (0: always).
    skills: Mapping[str, int] = field(default_factory=dict)
    skills_for: int = 0

    @property
    def waits(self) -> bool:
        """Neither offered nor talking nor on the way out."""
        return not (self.offered or self.agent_id or self.released)

    @property
    def rank(self) -> tuple[int, float, int]:
        """The smaller, the sooner."""
        return (-self.priority, self.joined_at, self.order)


@dataclass(frozen=True, slots=True)
class AgentState:
    """An agent who has logged in at least once."""

    agent_id: str
    logged_in: bool = False
    paused: str = ""
    #: The caller who is offered or talked with; empty: none.
    call_id: str = ""
    idle_since: float = 0.0
    calls: int = 0
    missed: int = 0
    wrap_up_until: float = 0.0
    hold_until: float = 0.0

    def free(self, now: float) -> bool:
        """Whether an offer can be made."""
        return self.logged_in and not self.paused and not self.call_id and self.wrap_up_until <= now and self.hold_until <= now


@dataclass(frozen=True, slots=True)
class QueueState:
    """What is remembered of a queue. `average` seconds of a talk; `last`: who was offered last."""

    answered: int = 0
    left: int = 0
    average: float = 180.0
    last: str = ""


@dataclass(frozen=True, slots=True)
class Floor:
    """Everything that goes on in a tenant's queues."""

    callers: Mapping[str, Caller] = field(default_factory=dict)
    agents: Mapping[str, AgentState] = field(default_factory=dict)
    queues: Mapping[str, QueueState] = field(default_factory=dict)
    joined: int = 0
    #: Calls that have ended in a queue, and when.
    gone: Mapping[str, float] = field(default_factory=dict)

    def waiting(self, queue_id: str) -> list[Caller]:
        """Of one queue, in order; those who are being offered still count, those who talk do not."""
        here = (c for c in self.callers.values() if c.queue_id == queue_id and not c.agent_id and not c.released)
        return sorted(here, key=lambda caller: caller.rank)

    def position(self, caller: Caller) -> int:
        """From 1."""
        ahead = (
            c for c in self.callers.values() if c.queue_id == caller.queue_id and not c.agent_id and not c.released and c.rank < caller.rank
        )
        return 1 + sum(1 for _ in ahead)

    def queue(self, queue_id: str) -> QueueState:
        """What is remembered of it."""
        return self.queues.get(queue_id) or QueueState()

    def of_call(self, call_id: str) -> Caller | None:
        """The caller of this call, or whom it calls back."""
        found = self.callers.get(call_id)
        return found or next((caller for caller in self.callers.values() if caller.via == call_id), None)


def fold(floor: Floor, happened: Iterable[e.FloorEvent]) -> Floor:
    """One after the other."""
    for event in happened:
        floor = evolve(floor, event)
    return floor


def evolve(floor: Floor, event: e.FloorEvent) -> Floor:
    """The floor after the event."""
    return _EVOLVE[type(event)](floor, event)


def _caller(floor: Floor, call_id: str, **changes: Any) -> Floor:
    caller = floor.callers.get(call_id)
    if caller is None:
        return floor
    return replace(floor, callers={**floor.callers, call_id: replace(caller, **changes)})


def _agents(floor: Floor, changed: Iterable[AgentState]) -> Floor:
    return replace(floor, agents={**floor.agents, **{agent.agent_id: agent for agent in changed}})


def _agent(floor: Floor, agent_id: str) -> AgentState:
    return floor.agents.get(agent_id) or AgentState(agent_id)


def _freed(floor: Floor, agent_ids: Iterable[str], call_id: str, **changes: Any) -> Floor:
    mine = [agent for agent in map(floor.agents.get, agent_ids) if agent is not None and agent.call_id == call_id]
    return _agents(floor, [replace(agent, call_id="", **changes) for agent in mine])


def _joined(floor: Floor, event: e.CallerJoined) -> Floor:
    order = floor.joined + 1
    caller = Caller(
        event.call_id,
        event.queue_id,
        event.joined_at,
        order,
        event.priority,
        event.number,
        event.language,
        skills=event.skills,
        skills_for=event.skills_for,
    )
    return replace(floor, callers={**floor.callers, event.call_id: caller}, joined=order)


def _offered(floor: Floor, event: e.AgentsOffered) -> Floor:
    caller = floor.callers.get(event.call_id)
    if caller is None:
        return floor
    floor = _caller(floor, event.call_id, offered=event.agent_ids, offered_at=event.at, ring_until=None)
    state = replace(floor.queue(caller.queue_id), last=event.agent_ids[-1])
    floor = replace(floor, queues={**floor.queues, caller.queue_id: state})
    return _agents(floor, [replace(_agent(floor, agent_id), call_id=event.call_id) for agent_id in event.agent_ids])


def _ring_began(floor: Floor, event: e.RingBegan) -> Floor:
    return _caller(floor, event.call_id, ring_until=event.until, lapses=0)


def _offer_failed(floor: Floor, event: e.OfferFailed) -> Floor:
    caller = floor.callers.get(event.call_id)
    if caller is None:
        return floor
    changed = []
    for agent_id in caller.offered or (caller.agent_id,):
        agent, result = _agent(floor, agent_id), event.results.get(agent_id, "no_answer")
        missed = agent.missed + 1 if result in MISSED else agent.missed
        hold = event.at + HOLD_OFF.get(result, 3.0)
        changed.append(replace(agent, call_id="", missed=missed, hold_until=hold, idle_since=event.at))
    return _caller(_agents(floor, changed), event.call_id, offered=(), agent_id="", connected_at=0.0, ring_until=None, via="")


def _offer_lapsed(floor: Floor, event: e.OfferLapsed) -> Floor:
    caller = floor.callers.get(event.call_id)
    if caller is None:
        return floor
    floor = _freed(floor, caller.offered, event.call_id)
    # A call back that could not even be begun is no try.
    tried = bool(caller.via) or not caller.callback
    pause = event.at + event.pause_seconds if caller.via else caller.not_before
    return _caller(floor, event.call_id, offered=(), ring_until=None, via="", lapses=caller.lapses + tried, not_before=pause)


def _connected(floor: Floor, event: e.AgentConnected) -> Floor:
    caller = floor.callers.get(event.call_id)
    if caller is None:
        return floor
    others = [agent_id for agent_id in caller.offered if agent_id != event.agent_id]
    floor = _freed(floor, others, event.call_id)
    agent = _agent(floor, event.agent_id)
    floor = _agents(floor, [replace(agent, call_id=event.call_id, missed=0, calls=agent.calls + 1)])
    state = floor.queue(caller.queue_id)
    floor = replace(floor, queues={**floor.queues, caller.queue_id: replace(state, answered=state.answered + 1)})
    return _caller(floor, event.call_id, offered=(), ring_until=None, agent_id=event.agent_id, connected_at=event.at)


def _leg_known(floor: Floor, event: e.LegKnown) -> Floor:
    return _caller(floor, event.call_id, leg_id=event.leg_id)


def _released(floor: Floor, event: e.AgentReleased) -> Floor:
    caller = floor.callers.get(event.call_id)
    if caller is not None and caller.agent_id == event.agent_id:
        state = floor.queue(caller.queue_id)
        average = state.average + _NEWEST * (max(0.0, event.at - caller.connected_at) - state.average)
        floor = replace(floor, queues={**floor.queues, caller.queue_id: replace(state, average=average)})
        floor = _caller(floor, event.call_id, agent_id="", released="answered", released_at=event.at)
    return _freed(floor, [event.agent_id], event.call_id, idle_since=max(event.at, event.wrap_up_until), wrap_up_until=event.wrap_up_until)


def _let_go(floor: Floor, event: e.CallerReleased) -> Floor:
    return _caller(floor, event.call_id, released=event.reason, released_at=event.at)


def _left(floor: Floor, event: e.CallerLeft) -> Floor:
    caller = floor.callers.get(event.call_id)
    if caller is None:
        return floor
    floor = _freed(floor, (*caller.offered, caller.agent_id), event.call_id)
    state = floor.queue(caller.queue_id)
    queues = {**floor.queues, caller.queue_id: replace(state, left=state.left + 1)}
    gone = {call_id: at for call_id, at in floor.gone.items() if at > event.at - REMEMBER_GONE_SECONDS}
    if event.reason == "abandoned":
        gone[event.call_id] = event.at
    return replace(floor, queues=queues, gone=gone, callers={key: value for key, value in floor.callers.items() if key != event.call_id})


def _ranked(floor: Floor, event: e.CallerRanked) -> Floor:
    return _caller(floor, event.call_id, queue_id=event.queue_id, priority=event.priority)


def _callback_requested(floor: Floor, event: e.CallbackRequested) -> Floor:
    return _caller(floor, event.call_id, callback=True, number=event.number, lapses=0, callback_at=event.at)


def _callback_started(floor: Floor, event: e.CallbackStarted) -> Floor:
    return _caller(floor, event.call_id, via=event.via, ring_until=event.at + 120)


def _logged_in(floor: Floor, event: e.AgentLoggedIn) -> Floor:
    agent = _agent(floor, event.agent_id)
    fresh = replace(agent, logged_in=True, paused="", calls=0, missed=0, idle_since=event.at, wrap_up_until=0.0, hold_until=0.0)
    return _agents(floor, [fresh])


def _logged_out(floor: Floor, event: e.AgentLoggedOut) -> Floor:
    return _agents(floor, [replace(_agent(floor, event.agent_id), logged_in=False, paused="")])


def _paused(floor: Floor, event: e.AgentPaused) -> Floor:
    return _agents(floor, [replace(_agent(floor, event.agent_id), paused=event.reason)])


def _resumed(floor: Floor, event: e.AgentResumed) -> Floor:
    agent = _agent(floor, event.agent_id)
    return _agents(floor, [replace(agent, paused="", missed=0, wrap_up_until=0.0, hold_until=0.0, idle_since=event.at)])


_EVOLVE: Mapping[type[e.FloorEvent], Callable[[Floor, Any], Floor]] = {
    e.CallerJoined: _joined,
    e.AgentsOffered: _offered,
    e.RingBegan: _ring_began,
    e.OfferFailed: _offer_failed,
    e.OfferLapsed: _offer_lapsed,
    e.AgentConnected: _connected,
    e.LegKnown: _leg_known,
    e.AgentReleased: _released,
    e.CallerReleased: _let_go,
    e.CallerLeft: _left,
    e.CallerRanked: _ranked,
    e.CallbackRequested: _callback_requested,
    e.CallbackStarted: _callback_started,
    e.AgentLoggedIn: _logged_in,
    e.AgentLoggedOut: _logged_out,
    e.AgentPaused: _paused,
    e.AgentResumed: _resumed,
}
