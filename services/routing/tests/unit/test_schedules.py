"""Schedules by the wall clock of their zone."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from carillon_contracts.config import Schedule
from carillon_routing.domain.schedules import is_open

OFFICE = {"id": "office", "ranges": [{"weekdays": [1, 2, 3, 4, 5], "start": "08:00", "end": "12:00"}]}


def opened(at: str, zone: str = "Europe/Zurich", **fields: Any) -> bool:
    schedule = Schedule.model_validate({**OFFICE, **fields})
    return is_open(schedule, "Europe/Zurich", datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(zone)))[0]


@pytest.mark.feature("R-5")
@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-01-06 07:59:59", False),
        ("2026-01-06 08:00:00", True),
        ("2026-01-06 11:59:59.999999", True),
        ("2026-01-06 12:00:00", False),
        ("2026-01-10 10:00:00", False),
    ],
)
def test_a_range_has_its_start_and_not_its_end_on_its_weekdays(at: str, expected: bool) -> None:
    assert opened(at) is expected


def test_a_range_may_end_at_midnight() -> None:
    late = [{"weekdays": [2], "start": "22:00", "end": "24:00"}]
    assert opened("2026-01-06 23:59:59", ranges=late)
    assert not opened("2026-01-07 00:00:00", ranges=late)


@pytest.mark.feature("R-5")
@pytest.mark.parametrize("at", ["2026-03-27 07:00Z", "2026-03-30 06:00Z", "2026-10-23 06:00Z", "2026-10-26 07:00Z"])
def test_eight_o_clock_is_eight_o_clock_before_and_after_the_clocks_change(at: str) -> None:
    moment = datetime.fromisoformat(at.replace(" ", "T")).astimezone(UTC)
    schedule = Schedule.model_validate(OFFICE)
    assert is_open(schedule, "Europe/Zurich", moment)[0]
    assert not is_open(schedule, "Europe/Zurich", datetime.fromtimestamp(moment.timestamp() - 1, UTC))[0]


def test_the_hour_that_comes_twice_is_open_twice_and_the_one_that_is_skipped_never_comes() -> None:
    night = Schedule.model_validate({"id": "n", "ranges": [{"weekdays": [7], "start": "02:00", "end": "03:00"}]})
    twice = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in range(4)]
    skipped = [datetime(2026, 3, 29, hour, 30, tzinfo=UTC) for hour in range(4)]
    assert [is_open(night, "Europe/Zurich", at)[0] for at in twice] == [True, True, False, False]
    assert not any(is_open(night, "Europe/Zurich", at)[0] for at in skipped)


def test_a_schedule_has_its_own_zone_or_else_the_tenants() -> None:
    assert opened("2026-01-06 10:00", "America/New_York", time_zone="America/New_York")
    assert not opened("2026-01-06 10:00", "America/New_York")


@pytest.mark.feature("R-5")
def test_an_exception_replaces_its_weekday() -> None:
    closed = [{"date": "2026-01-06", "label": "Les Rois"}]
    other = [{"date": "2026-01-06", "ranges": [{"start": "14:00", "end": "15:00"}]}]
    assert not opened("2026-01-06 10:00", exceptions=closed)
    assert opened("2026-01-07 10:00", exceptions=closed)
    assert not opened("2026-01-06 10:00", exceptions=other)
    assert opened("2026-01-06 14:30", exceptions=other)


@pytest.mark.feature("R-24")
@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("2026-01-06 10:15", "Tue 2026-01-06 10:15 Europe/Zurich is inside 08:00-12:00 of Tue"),
        ("2026-01-06 13:15", "Tue 2026-01-06 13:15 Europe/Zurich is outside 08:00-12:00 of Tue"),
        ("2026-01-10 10:15", "Sat 2026-01-10 10:15 Europe/Zurich: closed on Sat"),
        ("2026-01-07 10:15", "Wed 2026-01-07 10:15 Europe/Zurich: closed by the exception of 2026-01-07 (pont)"),
    ],
)
def test_the_reason_says_what_was_compared(at: str, reason: str) -> None:
    schedule = Schedule.model_validate({**OFFICE, "exceptions": [{"date": "2026-01-07", "label": "pont"}]})
    assert is_open(schedule, "Europe/Zurich", datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Europe/Zurich")))[1] == reason
