"""What happens on a floor: private events of routing, stored for ever; `carillon_contracts.queue` has the published ones, one for each.

Times (`at` and the like) are seconds since 1970.
"""

from typing import ClassVar, Literal

from carillon_contracts.envelope import Frozen
from carillon_routing.domain.facts import RingResult

#: Why a caller is not in the queue any more.
LeftReason = Literal[
    "answered", "abandoned", "waited_too_long", "no_agents", "left_by_key", "vanished", "called_back", "callback_failed", "removed", "fax"
]
#: Why a caller who waits is let go; the next question of the call fetches it.
ReleaseReason = Literal["waited_too_long", "no_agents", "removed"]


class FloorEvent(Frozen):
    """Base; `TYPE` names it in the store."""

    TYPE: ClassVar[str]
    at: float


class CallerEvent(FloorEvent):
    """Of a caller, in the queue that the caller was in; empty in old events."""

    call_id: str
    queue_id: str = ""


class AgentEvent(FloorEvent):
    """Of an agent, in whatever queues."""

    agent_id: str


class CallerJoined(CallerEvent):
    """A caller waits. `joined_at` counts for the place: earlier than `at` for who was in the queue before."""

    TYPE = "caller_joined"
    joined_at: float
    position: int = 0
    priority: int = 0
    number: str = ""
    language: str = ""
    #: Wanted of the agent beside what the queue asks, until so many seconds of waiting (0: always).
    skills: dict[str, int] = {}
    skills_for: int = 0


class AgentsOffered(CallerEvent):
    """A caller is to be connected with the first of these agents who answers; media is told when it asks."""

    TYPE = "agents_offered"
    agent_ids: tuple[str, ...]


class RingBegan(CallerEvent):
    """Media rings the agents, until `until` at the latest."""

    TYPE = "ring_began"
    agent_ids: tuple[str, ...] = ()
    until: float


class OfferFailed(CallerEvent):
    """None of the agents answered; the caller waits on at the same place."""

    TYPE = "offer_failed"
    results: dict[str, RingResult]


class OfferLapsed(CallerEvent):
    """Media did not come for the offer."""

    TYPE = "offer_lapsed"
    agent_ids: tuple[str, ...] = ()
    #: How long who is called back is left alone; absent in old events.
    pause_seconds: float = 60.0


class AgentConnected(CallerEvent):
    """Caller and agent talk; the other agents of the offer are free again."""

    TYPE = "agent_connected"
    agent_id: str
    waited_seconds: float = 0.0


class LegKnown(CallerEvent):
    """The agent's side of the talk is this leg."""

    TYPE = "leg_known"
    leg_id: str
    agent_id: str = ""


class AgentReleased(CallerEvent):
    """The agent's part in the call is over; free again from `wrap_up_until` on."""

    TYPE = "agent_released"
    agent_id: str
    wrap_up_until: float


class CallerReleased(CallerEvent):
    """A caller is to leave; media is told when it asks."""

    TYPE = "caller_released"
    reason: ReleaseReason


class CallerLeft(CallerEvent):
    """Nothing is kept of the caller."""

    TYPE = "caller_left"
    reason: LeftReason
    #: 0: an agent had answered.
    position: int = 0
    waited_seconds: float = 0.0


class CallerRanked(CallerEvent):
    """A supervisor gave the caller another priority or queue."""

    TYPE = "caller_ranked"
    priority: int
    from_queue_id: str = ""
    position: int = 0


class CallbackRequested(CallerEvent):
    """The caller hangs up and keeps the place; `number` is called at their turn."""

    TYPE = "callback_requested"
    number: str
    position: int = 0


class CallbackStarted(CallerEvent):
    """Another call rings the agent and then the caller."""

    TYPE = "callback_started"
    via: str
    agent_id: str = ""


class AgentLoggedIn(AgentEvent):
    """The agent takes calls from now on."""

    TYPE = "agent_logged_in"


class AgentLoggedOut(AgentEvent):
    """The agent takes no calls; one that is up goes on."""

    TYPE = "agent_logged_out"


class AgentPaused(AgentEvent):
    """The agent gets no offers until resumed."""

    TYPE = "agent_paused"
    reason: str


class AgentResumed(AgentEvent):
    """The pause, or the time after a call, is over."""

    TYPE = "agent_resumed"


EVENTS: dict[str, type[FloorEvent]] = {
    kind.TYPE: kind
    for kind in (
        CallerJoined,
        AgentsOffered,
        RingBegan,
        OfferFailed,
        OfferLapsed,
        AgentConnected,
        LegKnown,
        AgentReleased,
        CallerReleased,
        CallerLeft,
        CallerRanked,
        CallbackRequested,
        CallbackStarted,
        AgentLoggedIn,
        AgentLoggedOut,
        AgentPaused,
        AgentResumed,
    )
}
