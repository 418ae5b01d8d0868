"""How busy the packet threads are, and when new sessions must be refused so that those there keep their audio.

Pure: the threads' processor times and the clock in, a verdict out.
"""

from __future__ import annotations

from collections.abc import Sequence

REFUSE = 0.85  # of one core: a thread that is busier has no room for the bursts of its tick
ACCEPT = 0.70  # below this new ones are taken again


class LoadWatch:
    """The share of a core that the busiest thread used between two looks, 0 to 1, and whether that is too much."""

    def __init__(self, refuse: float = REFUSE, accept: float | None = None) -> None:
        self._refuse = refuse
        self._accept = refuse * ACCEPT / REFUSE if accept is None else accept
        self._before: tuple[int, Sequence[int]] | None = None
        self.load = 0.0
        self.refusing = False

    def look(self, now_ms: int, thread_cpu_ms: Sequence[float]) -> bool:
        """One look; True: `refusing` has changed. Looks less than 100 ms apart count as one."""
        if self._before is None or len(self._before[1]) != len(thread_cpu_ms):
            self._before = now_ms, [round(cpu) for cpu in thread_cpu_ms]
            return False
        elapsed = now_ms - self._before[0]
        if elapsed < 100:
            return False
        self.load = max(cpu - before for cpu, before in zip(thread_cpu_ms, self._before[1], strict=True)) / elapsed
        self._before = now_ms, [round(cpu) for cpu in thread_cpu_ms]
        was = self.refusing
        self.refusing = self.load >= self._refuse or (was and self.load > self._accept)
        return was != self.refusing
