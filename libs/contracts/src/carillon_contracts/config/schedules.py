"""When something is open."""

from datetime import date
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from carillon_contracts.config.values import ClockTime, Resource, Shape, TimeZoneName


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


class Schedule(Resource):
    """When something is open."""

    KIND: ClassVar[str] = "schedule"
    PLURAL: ClassVar[str] = "schedules"
    display_name: str = ""
    time_zone: TimeZoneName = ""
    ranges: tuple[WeeklyRange, ...] = ()
    exceptions: tuple[ScheduleException, ...] = ()
