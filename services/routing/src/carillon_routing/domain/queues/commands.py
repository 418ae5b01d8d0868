"""What is asked of a floor."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from carillon_routing.domain.facts import RingResult


@dataclass(frozen=True, slots=True)
class Join:
    """A call has come to the queue. Who is there already stays; `joined_at` is what the call itself knows."""

    call_id: str
    queue_id: str
    joined_at: float
    priority: int = 0
    number: str = ""
    language: str = ""
    #: Wanted of the agent beside what the queue asks, by name, until so many seconds of waiting (0: always).
    skills: Mapping[str, int] = field(default_factory=dict)
    skills_for: int = 0
    #: The caller has waited here before, and is taken however many wait.
    back: bool = False


@dataclass(frozen=True, slots=True)
class Fetch:
    """The call asks what comes next: an offer that is there is rung."""

    call_id: str


@dataclass(frozen=True, slots=True)
class RingOver:
    """What became of ringing the agents, by agent."""

    call_id: str
    results: Mapping[str, RingResult]


@dataclass(frozen=True, slots=True)
class Leave:
    """The caller leaves by key, or is gone for another reason."""

    call_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class AskCallback:
    """The caller wants to be called back at this number."""

    call_id: str
    number: str


@dataclass(frozen=True, slots=True)
class StartCallback:
    """The call `via` was begun for it."""

    call_id: str
    via: str


@dataclass(frozen=True, slots=True)
class AgentAnswered:
    """A call event: this agent answered."""

    call_id: str
    agent_id: str


@dataclass(frozen=True, slots=True)
class Bridged:
    """A call event: the caller talks with this leg."""

    call_id: str
    leg_id: str


@dataclass(frozen=True, slots=True)
class LegOver:
    """A call event: a leg has ended."""

    call_id: str
    leg_id: str


@dataclass(frozen=True, slots=True)
class CallOver:
    """A call event: the call has ended."""

    call_id: str


@dataclass(frozen=True, slots=True)
class LogIn:
    """An agent begins to work."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class LogOut:
    """An agent goes home."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class Pause:
    """An agent wants no calls for a while."""

    agent_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resume:
    """A pause, or the time after a call, is over."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class Rank:
    """A supervisor gives a caller another priority, or another queue (empty: the same)."""

    call_id: str
    priority: int | None = None
    queue_id: str = ""


@dataclass(frozen=True, slots=True)
class Remove:
    """A supervisor lets a caller go; the plan goes on."""

    call_id: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Command = (
    Join
    | Fetch
    | RingOver
    | Leave
    | AskCallback
    | StartCallback
    | AgentAnswered
    | Bridged
    | LegOver
    | CallOver
    | LogIn
    | LogOut
    | Pause
    | Resume
    | Rank
    | Remove
    | Tick
)
