"""Several users or numbers under one destination."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from carillon_contracts.config.destinations import Destination
from carillon_contracts.config.values import E164, Departmental, Shape, exactly_one


class RingMember(Shape):
    """One in a group: a user, a number or another group; `ring_seconds` 0: 5 for a user, 20 for a number, a group's own time."""

    user_id: str | None = None
    external_number: E164 | None = None
    #: Its members ring as its own timetable says, for so long at most.
    ring_group_id: str | None = None
    #: Of those who are logged in and idle.
    hunt_group_id: str | None = None
    ring_seconds: Annotated[int, Field(ge=0, le=60)] = 0

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, ("user_id", "external_number", "ring_group_id", "hunt_group_id"))
        if 0 < self.ring_seconds < 5:
            raise ValueError("ring_seconds must be 5 to 60")
        return self


class RingGroup(Departmental):
    """Several users or numbers under one destination."""

    KIND: ClassVar[str] = "ring_group"
    PLURAL: ClassVar[str] = "ring_groups"
    display_name: str = ""
    strategy: Literal["parallel", "sequential", "progressive"] = "parallel"
    #: In which order the members come, where one comes after another: as they are listed, who answered the fewest calls today first,
    #: shuffled anew for each call, or beginning one further with each call.
    order: Literal["priority", "least_called", "random", "round_robin"] = "priority"
    #: Sequential: after the last member the first again, until the time is over.
    wrap: bool = False
    members: Annotated[tuple[RingMember, ...], Field(min_length=1, max_length=100)]
    timeout_seconds: Annotated[int, Field(ge=10, le=300)] = 45
    no_answer: Destination | None = None
    recording_policy_id: str = ""
    #: Playlist that callers hear in place of the ringing tone.
    ringback_music_id: str = ""
    #: Members ring also while they are not to be disturbed (do not disturb, quiet hours); else they are left out.
    through_do_not_disturb: bool = False
    #: Who a member's unconditional forwarding leads to rings in the member's place; else the member's own phones do.
    follow_forwarding: bool = False


class HuntMember(Shape):
    """A user of a hunt group; a `permanent` one need not log in and cannot log out."""

    user_id: str
    permanent: bool = False


class HuntGroup(Departmental):
    """Members log in and out; those who talk already are passed over."""

    KIND: ClassVar[str] = "hunt_group"
    PLURAL: ClassVar[str] = "hunt_groups"
    display_name: str = ""
    #: The first idle member in the order of the list, then the next; or all idle ones at once.
    strategy: Literal["first_idle", "all_idle"] = "first_idle"
    members: Annotated[tuple[HuntMember, ...], Field(min_length=1, max_length=100)]
    #: Of each member in turn, `first_idle`.
    ring_seconds: Annotated[int, Field(ge=5, le=60)] = 15
    timeout_seconds: Annotated[int, Field(ge=10, le=300)] = 45
    no_answer: Destination | None = None
    #: Nobody is idle, or nobody is logged in.
    all_busy: Destination | None = None
    #: Playlist that callers hear in place of the ringing tone.
    ringback_music_id: str = ""
    #: As a ring group's.
    through_do_not_disturb: bool = False
    follow_forwarding: bool = False

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        users = [member.user_id for member in self.members]
        if len(set(users)) != len(users):
            raise ValueError("members: each user may stand once")
        return self
