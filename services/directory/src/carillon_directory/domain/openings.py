"""When schedules can be open at all, by their own hours: what shows that an entry of a calendar can never match.

The hand is left out: a schedule that is opened or closed by hand is so for a while.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from carillon_contracts.config import DayRange, Schedule

Span = tuple[str, str]


def never_open(schedule: Schedule) -> bool:
    """No hour of any day."""
    return not schedule.ranges and not any(exception.ranges for exception in schedule.exceptions)


def covered(schedule: Schedule, before: Iterable[Schedule], tenant_zone: str) -> bool:
    """Whether one of those before is open whenever the schedule is. Those of another time zone count for nothing."""
    zone = schedule.time_zone or tenant_zone
    others = [other for other in before if (other.time_zone or tenant_zone) == zone]
    return bool(others) and all(
        _inside(_on(schedule, day), [span for other in others for span in _on(other, day)]) for day in _days([schedule, *others])
    )


#: A weekday on which nothing special is, or a date on which something may be.
Day = int | date


def _days(schedules: Sequence[Schedule]) -> Iterator[Day]:
    yield from range(1, 8)
    exceptions = {exception.date for schedule in schedules for exception in schedule.exceptions}
    yield from exceptions | {holiday.date for schedule in schedules for holiday in schedule.holidays}


def _on(schedule: Schedule, day: Day) -> list[Span]:
    if isinstance(day, date):
        for exception in schedule.exceptions:
            if exception.date == day:
                return _spans(exception.ranges)
        if any(holiday.date == day for holiday in schedule.holidays):
            return []
    weekday = day if isinstance(day, int) else day.isoweekday()
    return _spans(weekly for weekly in schedule.ranges if weekday in weekly.weekdays)


def _spans(ranges: Iterable[DayRange]) -> list[Span]:
    return [(each.start, each.end) for each in ranges]


def _inside(spans: Iterable[Span], others: Iterable[Span]) -> bool:
    """Whether every minute of the spans is in one of the others."""
    ordered = sorted(others)
    for start, end in spans:
        for first, last in ordered:
            if first <= start < last:
                start = last
        if start < end:
            return False
    return True
