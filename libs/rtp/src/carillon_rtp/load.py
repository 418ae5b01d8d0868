"""How busy the packet threads are, and when new sessions must be refused so that those there keep their audio.

Pure: the threads' processor times, their ticks and the clock in, a verdict out. The processor says how much of a core we use ourselves;
ticks that come late say that the machine does not let us have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

REFUSE = 0.85  # of one core: a thread that is busier has no room for the bursts of its tick
ACCEPT = 0.70  # below this new ones are taken again
LATE = 0.5  # of the ticks: what is played, mixed or converted comes late more often than not
FEWEST_TICKS = 50  # fewer between two looks say nothing
LATE_LOOKS = 2  # in a row, so that a moment is none


@dataclass(frozen=True, slots=True)
class LoadSample:
    """Of all packet threads since the start: processor milliseconds of each; ticks that were due of the 1 ms timer, which runs while
    something is played, mixed, converted or recorded, and those of them that came in a turn which was more than 5 ms late."""

    thread_cpu_ms: Sequence[float]
    ticks: int = 0
    late_ticks: int = 0


class LoadWatch:
    """The share of a core that the busiest thread used between two looks and that of late ticks, 0 to 1, and whether that is too much."""

    def __init__(self, refuse: float = REFUSE, accept: float | None = None, late: float = LATE) -> None:
        self._refuse = refuse
        self._accept = refuse * ACCEPT / REFUSE if accept is None else accept
        self._most_late = late
        self._before: tuple[int, LoadSample] | None = None
        self._late_looks = 0
        self.load = 0.0
        self.late = 0.0
        self.refusing = False

    def look(self, now_ms: int, sample: LoadSample) -> bool:
        """One look; True: `refusing` has changed. Looks less than 100 ms apart count as one."""
        if self._before is None:
            self._before = now_ms, sample
            return False
        since, before = self._before
        if now_ms - since < 100:
            return False
        self._before = now_ms, sample
        used = (cpu - earlier for cpu, earlier in zip(sample.thread_cpu_ms, before.thread_cpu_ms, strict=True))
        self.load = max(used) / (now_ms - since)
        ticks = sample.ticks - before.ticks
        self.late = (sample.late_ticks - before.late_ticks) / ticks if ticks >= FEWEST_TICKS else 0.0
        self._late_looks = self._late_looks + 1 if self.late >= self._most_late else 0
        was = self.refusing
        too_much = self.load >= self._refuse or self._late_looks >= LATE_LOOKS
        self.refusing = too_much or (was and (self.load > self._accept or self.late > self._most_late / 2))
        return was != self.refusing

    @property
    def why(self) -> str:
        """In words."""
        return f"the packet threads use {self.load:.0%} of a core, and {self.late:.0%} of their ticks are late"
