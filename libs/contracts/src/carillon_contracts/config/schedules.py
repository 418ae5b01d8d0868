"""When something is open."""

from datetime import date
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from carillon_contracts.config.values import ClockTime, Country, Departmental, Shape, TimeZoneName


class DayRange(Shape):
    """Half-open: start inclusive, end exclusive, same day."""

    start: ClockTime
    end: ClockTime

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f"start {self.start} is not before end {self.end}")
        return self


class WeeklyRange(DayRange):
    """Weekdays by ISO 8601: 1 is Monday."""

    weekdays: Annotated[tuple[Annotated[int, Field(ge=1, le=7)], ...], Field(min_length=1)]


class ScheduleException(Shape):
    """Replaces the weekday's ranges on its date; no ranges: closed."""

    date: date
    ranges: tuple[DayRange, ...] = ()
    label: str = ""


class Holiday(Shape):
    """A public holiday, as it was imported."""

    date: date
    label: str = ""
    country: Country
    #: ISO 3166-2 without the country (`VD`); empty: of the whole country.
    region: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{0,6}$")] = ""


class Schedule(Departmental):
    """When something is open."""

    KIND: ClassVar[str] = "schedule"
    PLURAL: ClassVar[str] = "schedules"
    display_name: str = ""
    time_zone: TimeZoneName = ""
    ranges: tuple[WeeklyRange, ...] = ()
    exceptions: tuple[ScheduleException, ...] = ()
    #: Public holidays; on them it is closed all day, unless an exception of the date says otherwise.
    holidays: Annotated[tuple[Holiday, ...], Field(max_length=2000)] = ()
    #: Set by hand, it beats the ranges: `day` is open, all others are closed; a plan can tell them apart.
    mode: Literal["automatic", "day", "night", "lunch", "closed"] = "automatic"
