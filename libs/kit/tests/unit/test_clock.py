"""Clocks."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from carillon_kit.clock import FileClock, ManualClock, SystemClock, write_clock_file

WANTED = datetime(2026, 3, 29, 23, 30, tzinfo=timezone(timedelta(hours=2)))


def test_the_system_clock_is_aware_and_its_durations_never_shrink() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    first = clock.monotonic()
    assert clock.monotonic() >= first


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(WANTED)
    assert clock.now() == clock.now() == WANTED
    clock.advance(90.5)
    assert clock.now() - WANTED == timedelta(seconds=90.5)
    assert clock.monotonic() == 90.5
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="offset"):
        ManualClock(datetime(2026, 1, 1))  # noqa: DTZ001


def test_a_file_clock_follows_its_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "clock"
    clock = FileClock(path, check_seconds=0)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    write_clock_file(path, WANTED)
    assert timedelta(0) <= clock.now() - WANTED < timedelta(seconds=5)
    assert clock.now().tzinfo is UTC
    write_clock_file(path, WANTED + timedelta(days=1))
    assert timedelta(days=1) <= clock.now() - WANTED < timedelta(days=1, seconds=5)
    write_clock_file(path, None)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    write_clock_file(path, None)


def test_the_clock_goes_on_from_when_it_was_set(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    path.write_text(json.dumps({"set": "2026-01-05T08:00:00+01:00", "at": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}))
    shown = FileClock(path).now() - datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    assert timedelta(0) <= shown < timedelta(seconds=5)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"set": "soon", "at": "now"}', '{"set": "2026-01-05T08:00", "at": "2026-01-05T08:00"}']
)
def test_a_broken_file_is_the_systems_time(tmp_path: Path, content: str) -> None:
    (tmp_path / "clock").write_text(content)
    assert abs(FileClock(tmp_path / "clock").now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_only_aware_instants_are_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="offset"):
        write_clock_file(tmp_path / "clock", datetime(2026, 1, 1))  # noqa: DTZ001
    assert not list(tmp_path.iterdir())
