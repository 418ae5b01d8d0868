"""Whether and where a user can be reached: forwarding, screening, quiet hours, simultaneous ringing, the secretary."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from carillon_contracts.config.destinations import Destination
from carillon_contracts.config.values import E164, Shape, exactly_one

DayTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
ForwardingRule = Literal["unconditional", "busy", "no_answer", "unreachable"]


class DailyRange(Shape):
    """Wall-clock time of the tenant, start inclusive, end exclusive; an end before the start is on the next day."""

    start: DayTime
    end: DayTime

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.start == self.end:
            raise ValueError(f"start and end are both {self.start}")
        return self


class WeekRange(DailyRange):
    """On some weekdays (ISO 8601: 1 is Monday), by the day it starts on; none given: every day."""

    weekdays: Annotated[tuple[Annotated[int, Field(ge=1, le=7)], ...], Field(max_length=7)] = ()


class Forwarding(Shape):
    """Where a user's calls go by outcome; None: back to whoever sent the call to the user."""

    #: Without ringing; always, or in `unconditional_hours`.
    unconditional: Destination | None = None
    unconditional_hours: DailyRange | None = None
    busy: Destination | None = None
    no_answer: Destination | None = None
    unreachable: Destination | None = None
    #: Rules that are kept but do not count now.
    suspended: tuple[ForwardingRule, ...] = ()


class SimultaneousTarget(Shape):
    """A further phone of the user; the shortest `ring_seconds` of all counts, 0: the user's own."""

    user_id: str | None = None
    external_number: E164 | None = None
    ring_seconds: Annotated[int, Field(ge=0, le=90)] = 0

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, ("user_id", "external_number"))
        return self


class ScreeningRule(Shape):
    """Callers of a list get through always (also when the user is not to be disturbed), never, or only at certain hours."""

    caller_list_id: Annotated[str, StringConstraints(min_length=1)]
    passes: Literal["always", "never", "hours"]
    #: Of `hours`.
    hours: Annotated[tuple[WeekRange, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _hours(self) -> Self:
        if (self.passes == "hours") != bool(self.hours):
            raise ValueError("hours: belong to passes hours")
        return self


#: Phones do not ring without a pause.
SHORTEST_REMINDER = 10


class Secretary(Shape):
    """Calls for the user ring the secretary first, and then the user; the secretary's own calls go through at once."""

    user_id: str
    #: Callers of this list go to the user at once.
    except_caller_list_id: str = ""
    #: At these hours all do.
    except_hours: Annotated[tuple[WeekRange, ...], Field(max_length=20)] = ()
    #: Of the secretary's phone; 0: as the secretary wants.
    ring_seconds: Annotated[int, Field(ge=0, le=90)] = 0
    #: How often the secretary is reminded of a caller on hold for the user; 0: never.
    reminder_seconds: Annotated[int, Field(ge=0, le=600)] = 40

    @model_validator(mode="after")
    def _a_pause_between(self) -> Self:
        if 0 < self.reminder_seconds < SHORTEST_REMINDER:
            raise ValueError(f"reminder_seconds: 0, or at least {SHORTEST_REMINDER}")
        return self
