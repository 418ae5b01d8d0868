"""Is a schedule open? By the wall clock of its time zone: 08:00 is 08:00 on both sides of a clock change."""

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from carillon_contracts.config import DayRange, Schedule

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def is_open(schedule: Schedule, tenant_zone: str, now: datetime) -> tuple[bool, str]:
    """Whether it is, and why, with the values compared. `now` is aware; a range has its start and not its end."""
    zone = schedule.time_zone or tenant_zone
    local = now.astimezone(ZoneInfo(zone))
    time = local.isoformat(" ", "minutes")[11:16]
    moment = f"{WEEKDAYS[local.weekday()]} {local.date()} {time} {zone}"
    if schedule.mode != "automatic":
        return schedule.mode == "day", f"{moment}: the mode is {schedule.mode}, by hand"
    for exception in schedule.exceptions:
        if exception.date == local.date():
            label = f" ({exception.label})" if exception.label else ""
            return _within(exception.ranges, time, moment, f"the exception of {exception.date}{label}")
    for holiday in schedule.holidays:
        if holiday.date == local.date():
            return False, f"{moment}: closed by the holiday of {holiday.date}{f' ({holiday.label})' if holiday.label else ''}"
    today = [weekly for weekly in schedule.ranges if local.isoweekday() in weekly.weekdays]
    return _within(today, time, moment, WEEKDAYS[local.weekday()])


def _within(ranges: Iterable[DayRange], time: str, moment: str, day: str) -> tuple[bool, str]:
    looked_at = []
    for part in ranges:
        if part.start <= time < part.end:
            return True, f"{moment} is inside {part.start}-{part.end} of {day}"
        looked_at.append(f"{part.start}-{part.end}")
    if not looked_at:
        return False, f"{moment}: closed on {day}" if day in WEEKDAYS else f"{moment}: closed by {day}"
    return False, f"{moment} is outside {', '.join(looked_at)} of {day}"
