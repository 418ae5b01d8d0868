"""One advance in the making: the facts it reads, the trace it writes, and where it can go next.

Always: nothing is decided here without a line in the trace; the trace is bounded, and so is the number of visits of a call.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from carillon_contracts.config import Announcement, Destination, PlanNode, Ways
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.cursor import Wait
from carillon_routing.domain.facts import CallFacts, HangUp, Phrase, RingResult, Step, TraceLine
from carillon_routing.domain.phrases import spoken

#: Visits of nodes and destinations in one call; a caller who wanders through menus for an hour stays below.
MAX_HOPS = 200
#: Forwardings by users in one call.
MAX_FORWARDS = 10
MAX_TRACE = 150
#: Phrases in one step.
MAX_PHRASES = 50

#: What the ways and forwardings know: a rejected call counts as busy, a congested trunk as unreachable.
Way = Literal["answered", "no_answer", "busy", "unreachable"]
WAY_OF: dict[RingResult, Way] = {
    "answered": "answered",
    "no_answer": "no_answer",
    "busy": "busy",
    "rejected": "busy",
    "unreachable": "unreachable",
    "congested": "unreachable",
}
#: How a call ends that was not answered and has no other way: Q.850 cause, SIP status.
ENDS: dict[RingResult, HangUp] = {
    "answered": HangUp(16, 480, "normal call clearing"),
    "no_answer": HangUp(19, 480, "no answer"),
    "busy": HangUp(17, 486, "user busy"),
    "rejected": HangUp(21, 603, "call rejected"),
    "unreachable": HangUp(20, 480, "not reachable"),
    "congested": HangUp(42, 503, "congestion"),
}
REASONS: dict[str, HangUp] = {
    "normal": HangUp(16, 480, "normal call clearing"),
    "busy": HangUp(17, 486, "user busy"),
    "rejected": HangUp(21, 603, "call rejected"),
}
UNKNOWN_NUMBER = HangUp(1, 404, "unallocated number")
NO_TRUNK = HangUp(38, 503, "no trunk takes this number")
BROKEN_PLAN = HangUp(25, 500, "the configuration leads nowhere")
LOOP = HangUp(25, 482, "the call goes round in circles")


@dataclass(frozen=True, slots=True)
class ToDestination:
    """Go to a destination; `ring_seconds` 0: as the destination says."""

    destination: Destination
    ring_seconds: int = 0


@dataclass(frozen=True, slots=True)
class ToNode:
    """Go to a node of a plan."""

    plan_id: str
    node_id: str


@dataclass(frozen=True, slots=True)
class ToOutside:
    """Call an outside number by the next trunk that was not tried."""

    number: str
    ring_ms: int
    tried: tuple[str, ...] = ()
    emergency: bool = False


@dataclass(frozen=True, slots=True)
class ToSender:
    """Back to the node that sent the call, with what became of it; `end` if that node has no way for it."""

    result: RingResult
    end: HangUp


@dataclass(frozen=True, slots=True)
class Stop:
    """The step that media carries out; None to wait for: routing has nothing more to say."""

    step: Step
    wait: Wait | None = None


Move = ToDestination | ToNode | ToOutside | ToSender | Stop


@dataclass(slots=True)
class Walk:
    """What one advance has at hand."""

    config: TenantConfig
    call: CallFacts
    now: datetime
    sender: tuple[str, str] | None = None
    language: str = ""
    hops: int = 0
    forwards: int = 0
    trace: list[TraceLine] = field(default_factory=list)

    def note(self, subject: str, matched: bool, reason: str, following: str = "") -> None:
        """A line of the trace."""
        if len(self.trace) < MAX_TRACE:
            self.trace.append(TraceLine(subject, matched, reason, following))

    def broken(self, subject: str, reason: str) -> Stop:
        """The configuration refers to what is not there: say so and end the call."""
        self.note(subject, False, reason, "hang_up")
        return Stop(BROKEN_PLAN)

    def speak(self, announcements: tuple[Announcement, ...]) -> tuple[Phrase, ...]:
        """Phrases in the call's language."""
        return spoken(announcements, self.language, self.config.tenant.language)

    def node(self, sender: tuple[str, str]) -> PlanNode | None:
        """A node by plan and id."""
        plan = self.config.plans.get(sender[0])
        return next((node for node in plan.nodes if node.id == sender[1]), None) if plan is not None else None

    def sender_ways(self) -> Ways | None:
        """The ways of the node that sent the call, if it has any."""
        node = self.node(self.sender) if self.sender is not None else None
        if node is None:
            return None
        if node.destination is not None:
            return node.destination.ways
        return node.ring_group.ways if node.ring_group is not None else None

    def asks_after_answer(self) -> bool:
        """Whether something is to happen with the caller when the answering side has hung up."""
        ways = self.sender_ways()
        return ways is not None and bool(ways.answered)


def name_of(destination: Destination) -> str:
    """As the trace says it: `user/alain`, `announcement`, `hang_up`."""
    kind = destination.kind
    if kind in ("announcement", "hang_up"):
        return kind
    return f"{kind.removesuffix('_id')}/{getattr(destination, kind)}"
