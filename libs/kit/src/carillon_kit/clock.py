"""Time as an argument: everything that needs "now" is given a `Clock`, so that tests and the demo choose the hour.

Invariant: `now()` is an aware UTC datetime; `monotonic()` never goes back and is the only source of durations.
"""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """A source of the wall clock and of durations."""

    def now(self) -> datetime:
        """The instant, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin; only differences mean something."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """The machine's wall clock in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """`time.monotonic()`"""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is advanced."""

    def __init__(self, start: datetime = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)) -> None:
        self._now = _aware(start)
        self._monotonic = 0.0

    def now(self) -> datetime:
        """The instant it was set to, plus what it was advanced by."""
        return self._now

    def monotonic(self) -> float:
        """Seconds it was advanced by since it was made."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both clocks on; a negative number is refused with `ValueError`."""
        if seconds < 0:
            raise ValueError("a clock does not go back; make another")
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds


class FileClock:
    """The system clock, shifted by a test-clock file that may come, change and go while the process runs.

    The file holds `{"set": <instant wanted>, "at": <real instant when it was set>}`; without it (or with a broken one) this is
    the system's time. The file is looked at again at most every `check_seconds`, so `now()` stays cheap.
    """

    def __init__(self, path: Path | str, check_seconds: float = 0.1) -> None:
        self._path = Path(path)
        self._check_seconds = check_seconds
        self._checked_at = float("-inf")
        self._signature: tuple[int, int, int] | None = None
        self._shift = timedelta(0)

    def now(self) -> datetime:
        """The system's time plus the file's shift."""
        self._refresh()
        return datetime.now(UTC) + self._shift

    def monotonic(self) -> float:
        """`time.monotonic()`, never shifted."""
        return time.monotonic()

    def _refresh(self) -> None:
        tick = time.monotonic()
        if tick - self._checked_at < self._check_seconds:
            return
        self._checked_at = tick
        try:
            status = os.stat(self._path)
        except OSError:
            self._signature, self._shift = None, timedelta(0)
            return
        signature = (status.st_mtime_ns, status.st_size, status.st_ino)
        if signature != self._signature:
            self._signature = signature
            self._shift = _read_shift(self._path)


def write_clock_file(path: Path | str, instant: datetime | None) -> None:
    """Set the test clock to `instant` (aware) as of now, atomically; None takes the file away."""
    target = Path(path)
    if instant is None:
        target.unlink(missing_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    temporary.write_text(json.dumps({"set": _aware(instant).isoformat(), "at": datetime.now(UTC).isoformat()}))
    temporary.replace(target)


def _read_shift(path: Path) -> timedelta:
    try:
        content = json.loads(path.read_bytes())
        return _aware(datetime.fromisoformat(content["set"])) - _aware(datetime.fromisoformat(content["at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return timedelta(0)


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("the instant needs an offset")
    return instant.astimezone(UTC)
