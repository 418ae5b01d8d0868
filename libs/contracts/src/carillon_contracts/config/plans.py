"""Routing plans: graphs of nodes with named exits."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator

from carillon_contracts.config.destinations import Announcement, Destination
from carillon_contracts.config.values import HangUpReason, Resource, Shape, exactly_one


class Ways(Shape):
    """Node ids by outcome; an empty one falls to `otherwise`, and that one, if empty, to hanging up."""

    answered: str = ""
    no_answer: str = ""
    busy: str = ""
    unreachable: str = ""
    otherwise: str = ""


class DestinationNode(Shape):
    """Send the call there; the ways count for a user or an external number."""

    destination: Destination
    ways: Ways = Ways()
    ring_seconds: Annotated[int, Field(ge=0, le=300)] = 0


class CalendarEntry(Shape):
    """If the schedule is open, go to `next`."""

    schedule_id: str
    next: str


class CalendarNode(Shape):
    """The first entry whose schedule is open wins."""

    entries: Annotated[tuple[CalendarEntry, ...], Field(min_length=1)]
    otherwise: str


class RingGroupNode(Shape):
    """Ring a group; its own `no_answer` counts only where no way is given."""

    ring_group_id: str
    ways: Ways = Ways()


class MenuNode(Shape):
    """Play a menu."""

    menu_id: str
    no_choice: str = ""


class MailboxNode(Shape):
    """Take a message."""

    mailbox_id: str


class AnnouncementNode(Shape):
    """Speak, then go on; no next: hang up."""

    announcements: Annotated[tuple[Announcement, ...], Field(min_length=1)]
    next: str = ""


class HangUpNode(Shape):
    """End the call."""

    reason: HangUpReason = "normal"


NODE_KINDS = ("destination", "calendar", "ring_group", "menu", "mailbox", "announcement", "hang_up")


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

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, NODE_KINDS)
        return self

    @property
    def kind(self) -> str:
        """The name of the field that is set."""
        return exactly_one(self, NODE_KINDS)


class Plan(Resource):
    """A routing plan: a graph of nodes."""

    KIND: ClassVar[str] = "plan"
    PLURAL: ClassVar[str] = "plans"
    display_name: str = ""
    entry: str
    nodes: Annotated[tuple[PlanNode, ...], Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        ids = [node.id for node in self.nodes]
        if len(set(ids)) != len(ids):
            raise ValueError("nodes: each id may stand once")
        return self
