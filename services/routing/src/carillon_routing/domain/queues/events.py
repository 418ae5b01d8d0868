"""What happens on a floor: private events of routing, stored for ever; `carillon_contracts.queue` has the published ones.

Times (`at` and the like) are seconds since 1970.
"""

from typing import ClassVar, Literal

from carillon_contracts.envelope import Frozen
from carillon_routing.domain.facts import RingResult

#: Why a caller is not in the queue any more.
LeftReason = Literal[
    "answered", "abandoned", "waited_too_long", "no_agents", "left_by_key", "vanished", "called_back", "callback_failed", "removed"
]
#: Why a caller who waits is let go; the next question of the call fetches it.
ReleaseReason = Literal["waited_too_long", "no_agents", "removed"]


class FloorEvent(Frozen):
    """Base; `TYPE` names it in the store."""

    TYPE: ClassVar[str]
    at: float


class CallerJoined(FloorEvent):
    """A caller waits. `joined_at` counts for the place: earlier than `at` for who was in the queue before."""

    TYPE = "caller_joined"
    call_id: str
    queue_id: str
    joined_at: float
    priority: int = 0
    number: str = ""
    language: str = ""


class AgentsOffered(FloorEvent):
    """A caller is to be connected with the first of these agents who answers; media is told when it asks."""

    TYPE = "agents_offered"
    call_id: str
    agent_ids: tuple[str, ...]


class RingBegan(FloorEvent):
    """Media rings the agents, until `until` at the latest."""

    TYPE = "ring_began"
    call_id: str
    until: float


class OfferFailed(FloorEvent):
    """None of the agents answered; the caller waits on at the same place."""

    TYPE = "offer_failed"
    call_id: str
    results: dict[str, RingResult]


class OfferLapsed(FloorEvent):
    """Media did not come for the offer."""

    TYPE = "offer_lapsed"
    call_id: str


class AgentConnected(FloorEvent):
    """Caller and agent talk; the other agents of the offer are free again."""

    TYPE = "agent_connected"
    call_id: str
    agent_id: str


class LegKnown(FloorEvent):
    """The agent's side of the talk is this leg."""

    TYPE = "leg_known"
    call_id: str
    leg_id: str


class AgentReleased(FloorEvent):
    """The agent's part in the call is over; free again from `wrap_up_until` on."""

    TYPE = "agent_released"
    call_id: str
    agent_id: str
    wrap_up_until: float


class CallerReleased(FloorEvent):
    """A caller is to leave; media is told when it asks."""

    TYPE = "caller_released"
    call_id: str
    reason: ReleaseReason


class CallerLeft(FloorEvent):
    """Nothing is kept of the caller."""

    TYPE = "caller_left"
    call_id: str
    reason: LeftReason


class CallerRanked(FloorEvent):
    """A supervisor gave the caller another priority or queue."""

    TYPE = "caller_ranked"
    call_id: str
    queue_id: str
    priority: int


class CallbackRequested(FloorEvent):
    """The caller hangs up and keeps the place; `number` is called at their turn."""

    TYPE = "callback_requested"
    call_id: str
    number: str


class CallbackStarted(FloorEvent):
    """Another call rings the agent and then the caller."""

    TYPE = "callback_started"
    call_id: str
    via: str


class AgentLoggedIn(FloorEvent):
    """The agent takes calls from now on."""

    TYPE = "agent_logged_in"
    agent_id: str


class AgentLoggedOut(FloorEvent):
    """The agent takes no calls; one that is up goes on."""

    TYPE = "agent_logged_out"
    agent_id: str


class AgentPaused(FloorEvent):
    """The agent gets no offers until resumed."""

    TYPE = "agent_paused"
    agent_id: str
    reason: str


class AgentResumed(FloorEvent):
    """The pause, or the time after a call, is over."""

    TYPE = "agent_resumed"
    agent_id: str


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
