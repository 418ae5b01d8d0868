"""A queue as `advance` sees it: one step that ends for one reason; what happens in between is the floor's (`domain.queues`)."""

from dataclasses import dataclass
from typing import Literal

QueueReason = Literal["answered", "full", "waited_too_long", "no_agents", "left_by_key", "removed", "called_back"]
REASONS: tuple[QueueReason, ...] = ("answered", "full", "waited_too_long", "no_agents", "left_by_key", "removed", "called_back")


@dataclass(frozen=True, slots=True)
class EnterQueue:
    """Wait for an agent. `priority` 0 to 9, the higher the sooner; what the queue itself says of the caller may raise it. `skills` that the
    agent must have beside the queue's: `french:5,printers:1`."""

    queue_id: str
    priority: int = 0
    skills: str = ""


@dataclass(frozen=True, slots=True)
class Waited:
    """A wait step is over; `digit` is one that leaves, or empty."""

    digit: str = ""


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Where a call stands; `position` from 1, or 0; `joined_at` seconds since 1970; `left`: why it is not there any more."""

    queue_id: str
    position: int = 0
    priority: int = 0
    joined_at: float = 0.0
    left: str = ""


@dataclass(frozen=True, slots=True)
class QueueSeen:
    """All that the step of a queue is made of beside configuration, call and cursor.

    `what` becomes of the caller; `away`: its state could not be had. Times are seconds since 1970."""

    what: Literal["waits", "rings", "called_back", "away"]
    at: float = 0.0
    position: int = 0
    priority: int = 0
    joined_at: float = 0.0
    #: Agents who are offered.
    offered: tuple[str, ...] = ()
    #: How long who stands there will wait, about.
    estimated_seconds: float = 0.0
    #: Whether callers can be called back at all.
    calls_back: bool = False
    #: Where a supervisor has put the caller; empty: where the caller came to.
    queue_id: str = ""
    #: Users among its agents who are passed over because they talk or are rung in other calls; not all, if they are many.
    busy: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueOver:
    """The caller left the queue; `answered`: and the agent has hung up. `queue_id`: where a supervisor put the caller; empty: nowhere."""

    reason: QueueReason
    queue_id: str = ""
