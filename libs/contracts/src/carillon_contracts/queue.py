"""What happens in queues and to those who work in them and in hunt groups, published by routing.

Callers on `carillon.<tenant>.queue.<queue>.<fact>`, agents on `carillon.<tenant>.agent.<agent>.<fact>`: both have one `seq` a tenant,
from 1 without a gap, because all queues of a tenant are decided together. Members of hunt groups on
`carillon.<tenant>.hunt_group.<group>.<fact>`, with a `seq` of their own. A caller's events have its `callid`.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, TypeVar

from carillon_contracts.envelope import EventData, Utc

T = TypeVar("T")
#: Target ids of agents in ring steps begin so.
AGENT_TARGET = "agent:"
OfferResult = Literal["answered", "no_answer", "busy", "unreachable", "congested", "rejected"]
QueueLeftReason = Literal[
    "answered", "abandoned", "waited_too_long", "no_agents", "left_by_key", "vanished", "called_back", "callback_failed", "removed", "fax"
]


def agents_of(targets: Mapping[str, T]) -> dict[str, T]:
    """Of what is by a ring step's targets: that of agents, by their ids."""
    return {target.removeprefix(AGENT_TARGET): each for target, each in targets.items() if target.startswith(AGENT_TARGET)}


class QueueEventData(EventData):
    """Base: which queue it was in."""

    queue_id: str


class QueueCallerJoined(QueueEventData):
    """A caller waits, at this place. `joined_at` counts for the place: earlier than `time` for who comes back."""

    TYPE: ClassVar[str] = "queue.caller_joined.v1"
    caller: str
    position: int
    priority: int
    joined_at: Utc
    #: What the plan wants of the agent for this caller, by name, until so many seconds of waiting (0: always).
    skills: dict[str, int] = {}
    skills_for: int = 0


class QueueAgentsOffered(QueueEventData):
    """The caller is to be connected with the first of these agents who answers."""

    TYPE: ClassVar[str] = "queue.agents_offered.v1"
    agent_ids: tuple[str, ...]


class QueueAgentsRung(QueueEventData):
    """The phones of these agents begin to ring."""

    TYPE: ClassVar[str] = "queue.agents_rung.v1"
    agent_ids: tuple[str, ...]


class QueueOfferMissed(QueueEventData):
    """None of the agents took the call; the caller waits on at the same place."""

    TYPE: ClassVar[str] = "queue.offer_missed.v1"
    results: dict[str, OfferResult]


class QueueOfferLapsed(QueueEventData):
    """No phone rang for the offer; the caller waits on at the same place."""

    TYPE: ClassVar[str] = "queue.offer_lapsed.v1"
    agent_ids: tuple[str, ...]


class QueueAgentConnected(QueueEventData):
    """The agent answered after the caller had waited so long; other agents of the offer are free again."""

    TYPE: ClassVar[str] = "queue.agent_connected.v1"
    agent_id: str
    waited_seconds: float


class QueueTalkBegan(QueueEventData):
    """Caller and agent hear each other; the envelope's `legid` is the agent's."""

    TYPE: ClassVar[str] = "queue.talk_began.v1"
    agent_id: str


class QueueAgentReleased(QueueEventData):
    """The agent's part in the call is over; offers come again from `wrap_up_until` on."""

    TYPE: ClassVar[str] = "queue.agent_released.v1"
    agent_id: str
    wrap_up_until: Utc


class QueueCallerReleased(QueueEventData):
    """The caller is to leave the queue and will be gone in a moment."""

    TYPE: ClassVar[str] = "queue.caller_released.v1"
    reason: Literal["waited_too_long", "no_agents", "removed"]


class QueueCallerLeft(QueueEventData):
    """The caller is not in the queue any more. `position` 0: an agent had answered."""

    TYPE: ClassVar[str] = "queue.caller_left.v1"
    reason: QueueLeftReason
    position: int
    #: From joining to the agent's answer, or to the end.
    waited_seconds: float


class QueueCallerRanked(QueueEventData):
    """A supervisor gave the caller this priority in this queue; `from_queue_id` is where the caller was."""

    TYPE: ClassVar[str] = "queue.caller_ranked.v1"
    from_queue_id: str
    priority: int
    position: int


class QueueCallbackRequested(QueueEventData):
    """The caller hangs up, keeps the place and is called at this number at their turn."""

    TYPE: ClassVar[str] = "queue.callback_requested.v1"
    number: str
    position: int


class QueueCallbackStarted(QueueEventData):
    """Another call, `via_call_id`, calls the agent and then the caller."""

    TYPE: ClassVar[str] = "queue.callback_started.v1"
    via_call_id: str
    agent_id: str


class AgentEventData(EventData):
    """Base: which agent."""

    agent_id: str


class AgentLoggedIn(AgentEventData):
    """The agent takes calls of queues."""

    TYPE: ClassVar[str] = "agent.logged_in.v1"


class AgentLoggedOut(AgentEventData):
    """The agent takes no calls; one that is up goes on."""

    TYPE: ClassVar[str] = "agent.logged_out.v1"


class AgentPaused(AgentEventData):
    """The agent gets no offers until resumed; reason `missed offers`: the queue did it."""

    TYPE: ClassVar[str] = "agent.paused.v1"
    reason: str


class AgentResumed(AgentEventData):
    """The pause, or the time after a call, is over."""

    TYPE: ClassVar[str] = "agent.resumed.v1"


class HuntGroupMemberLoggedIn(EventData):
    """The user takes calls of the hunt group."""

    TYPE: ClassVar[str] = "hunt_group.member_logged_in.v1"
    hunt_group_id: str
    user_id: str


class HuntGroupMemberLoggedOut(EventData):
    """The user takes no calls of the hunt group."""

    TYPE: ClassVar[str] = "hunt_group.member_logged_out.v1"
    hunt_group_id: str
    user_id: str


QUEUE_EVENTS: tuple[type[QueueEventData], ...] = (
    QueueCallerJoined,
    QueueAgentsOffered,
    QueueAgentsRung,
    QueueOfferMissed,
    QueueOfferLapsed,
    QueueAgentConnected,
    QueueTalkBegan,
    QueueAgentReleased,
    QueueCallerReleased,
    QueueCallerLeft,
    QueueCallerRanked,
    QueueCallbackRequested,
    QueueCallbackStarted,
)
AGENT_EVENTS: tuple[type[AgentEventData], ...] = (AgentLoggedIn, AgentLoggedOut, AgentPaused, AgentResumed)
HUNT_GROUP_EVENTS: tuple[type[EventData], ...] = (HuntGroupMemberLoggedIn, HuntGroupMemberLoggedOut)
