"""Routing plans: graphs of nodes with named exits. An exit is the id of a node of the same plan; what an empty one means, its node says."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator

from carillon_contracts.config.branches import (
    CalendarNode,
    CallerListNode,
    LanguageNode,
    LimitNode,
    LookUpNode,
    ModeNode,
    OriginNode,
    SetVariableNode,
    SplitNode,
    SwitchNode,
)
from carillon_contracts.config.destinations import Announcement, Destination
from carillon_contracts.config.effects import EmailNode, StickyAgentNode, WebhookNode
from carillon_contracts.config.values import Departmental, HangUpReason, Shape, exactly_one


class CauseWay(Shape):
    """The way of a call that was released with this cause (ITU-T Q.850)."""

    cause: Annotated[int, Field(ge=1, le=127)]
    next: Annotated[str, StringConstraints(min_length=1)]


class Ways(Shape):
    """Node ids by outcome. A cause comes before the outcome; an outcome without a way falls to its like and then to `otherwise`.

    Rejected falls to busy, congested to unreachable. Without any, the call ends with the outcome's cause.
    """

    answered: str = ""
    no_answer: str = ""
    busy: str = ""
    unreachable: str = ""
    congested: str = ""
    rejected: str = ""
    causes: Annotated[tuple[CauseWay, ...], Field(max_length=20)] = ()
    #: The caller hung up while it rang: only e-mails, web-hooks and branches still count.
    gave_up: str = ""
    otherwise: str = ""


#: The ways of an outcome, in the order of `Ways`; `causes` apart.
WAYS = ("answered", "no_answer", "busy", "unreachable", "congested", "rejected", "gave_up", "otherwise")


class DestinationNode(Shape):
    """Send the call there; the ways count for a user, an extension or an external number."""

    destination: Destination
    ways: Ways = Ways()
    ring_seconds: Annotated[int, Field(ge=0, le=300)] = 0


class RingGroupNode(Shape):
    """Ring a group; its own `no_answer` counts only where no way is given."""

    ring_group_id: str
    ways: Ways = Ways()


class HuntGroupNode(Shape):
    """Ring idle members of a hunt group; busy: all are; its own destinations count only where no way is given."""

    hunt_group_id: str
    ways: Ways = Ways()


class QueueWays(Shape):
    """Why a caller left the queue, to node ids; an empty one falls to `otherwise`, and that one to the queue's own destination."""

    answered: str = ""
    full: str = ""
    waited_too_long: str = ""
    no_agents: str = ""
    left_by_key: str = ""
    otherwise: str = ""


class QueueNode(Shape):
    """Wait for an agent, with a priority and skills wanted of the agent as texts in which `{variable}` is filled in."""

    queue_id: str
    ways: QueueWays = QueueWays()
    priority: Annotated[str, StringConstraints(max_length=100)] = ""
    #: `french:5, {product}`
    skills: Annotated[str, StringConstraints(max_length=400)] = ""
    skills_for_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0


class MenuKeyWay(Shape):
    """A key of the menu that leads to a node, whatever the menu says of it."""

    key: Annotated[str, StringConstraints(pattern=r"^[0-9*#]$")]
    next: Annotated[str, StringConstraints(min_length=1)]


class MenuNode(Shape):
    """Play a menu; its own keys and `no_choice` count where the node says nothing."""

    menu_id: str
    no_choice: str = ""
    keys: Annotated[tuple[MenuKeyWay, ...], Field(max_length=12)] = ()


class MailboxNode(Shape):
    """Take a message."""

    mailbox_id: str


class AnnouncementNode(Shape):
    """Speak, then go on; no next: hang up."""

    announcements: Annotated[tuple[Announcement, ...], Field(min_length=1)]
    next: str = ""


class SubPlanExit(Shape):
    """Where the call goes on when the sub-plan ends with this name."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.-]{1,64}$")]
    next: Annotated[str, StringConstraints(min_length=1)]


class SubPlanNode(Shape):
    """Run another plan and come back when it reaches a return node; `next`: for a name that has no exit here; empty: hang up."""

    plan_id: str
    exits: Annotated[tuple[SubPlanExit, ...], Field(max_length=20)] = ()
    next: str = ""


class ReturnNode(Shape):
    """Back to the plan that ran this one, by the exit of that name; in a plan that nobody ran the call ends."""

    exit: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.-]{0,64}$")] = ""


class HangUpNode(Shape):
    """End the call; `cause` (Q.850) instead of what the reason says; 0: the reason's."""

    reason: HangUpReason = "normal"
    cause: Annotated[int, Field(ge=0, le=127)] = 0


#: Fields of nodes that hold the id of the node where the call goes on.
EXITS = frozenset({*WAYS, *QueueWays.model_fields, "next", "failed", "found", "listed", "within", "over", "no_choice"})

NODE_KINDS = (
    "destination",
    "calendar",
    "ring_group",
    "menu",
    "mailbox",
    "announcement",
    "hang_up",
    "origin",
    "caller_list",
    "mode",
    "limit",
    "queue",
    "hunt_group",
    "split",
    "language",
    "set_variable",
    "look_up",
    "switch",
    "email",
    "webhook",
    "sticky_agent",
    "sub_plan",
    "return_to",
)


class PlanNode(Shape):
    """One node of a plan: exactly one kind is set."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
    destination: DestinationNode | None = None
    calendar: CalendarNode | None = None
    ring_group: RingGroupNode | None = None
    menu: MenuNode | None = None
    mailbox: MailboxNode | None = None
    announcement: AnnouncementNode | None = None
    hang_up: HangUpNode | None = None
    origin: OriginNode | None = None
    caller_list: CallerListNode | None = None
    mode: ModeNode | None = None
    limit: LimitNode | None = None
    queue: QueueNode | None = None
    hunt_group: HuntGroupNode | None = None
    split: SplitNode | None = None
    language: LanguageNode | None = None
    set_variable: SetVariableNode | None = None
    look_up: LookUpNode | None = None
    switch: SwitchNode | None = None
    email: EmailNode | None = None
    webhook: WebhookNode | None = None
    sticky_agent: StickyAgentNode | None = None
    sub_plan: SubPlanNode | None = None
    return_to: ReturnNode | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, NODE_KINDS)
        return self

    @property
    def kind(self) -> str:
        """The name of the field that is set."""
        return exactly_one(self, NODE_KINDS)

    def exits(self) -> Iterator[tuple[str, str]]:
        """(path in the node, node id) of every exit that is given: `calendar.entries[0].next`, `a`."""
        kind = self.kind
        yield from _exits(getattr(self, kind), kind)


def _exits(value: Shape, path: str) -> Iterator[tuple[str, str]]:
    for name in type(value).model_fields:
        inner = getattr(value, name)
        if name in EXITS and isinstance(inner, str):
            if inner:
                yield f"{path}.{name}", inner
        elif isinstance(inner, tuple):
            for index, item in enumerate(inner):
                if isinstance(item, Shape):
                    yield from _exits(item, f"{path}.{name}[{index}]")
        elif isinstance(inner, Shape):
            yield from _exits(inner, f"{path}.{name}")


class PastCallsBound(Shape):
    """So many of the newest calls are followed with a draft in the plan's place (0: as many as is usual), and so many may go elsewhere."""

    max_calls: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    max_elsewhere: Annotated[int, Field(ge=0, le=1_000_000)] | None = None


class Plan(Departmental):
    """A routing plan: a graph of nodes."""

    KIND: ClassVar[str] = "plan"
    PLURAL: ClassVar[str] = "plans"
    display_name: str = ""
    entry: str
    nodes: Annotated[tuple[PlanNode, ...], Field(min_length=1, max_length=500)]
    recording_policy_id: str = ""
    #: What every activation must show of past calls.
    past_calls: PastCallsBound | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        ids = [node.id for node in self.nodes]
        if len(set(ids)) != len(ids):
            raise ValueError("nodes: each id may stand once")
        return self
