"""Timers as data: the base values of RFC 3261 table 4, and one queue of deadlines with lazy deletion.

Invariant: a timer that is not wanted any more stays in the queue until its time, but its owner ignores it; when
its owner is done it is dropped as soon as it is the earliest, so an idle user agent has no timer at all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Timing:
    """Base values in seconds (RFC 3261 table 4): round trip estimate, longest retransmit interval, longest life in the network."""

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0

    @property
    def timeout(self) -> float:
        """64*T1: timers B, F, H, J, L, M."""
        return 64 * self.t1


class TimerOwner(Protocol):
    """Something that waits; `done` says that it waits no more."""

    @property
    def done(self) -> bool: ...


class Alarm:
    """Calls `fire(now)` once when its time has come, unless it was stopped before."""

    __slots__ = ("_fire",)

    def __init__(self, fire: Callable[[float], None]) -> None:
        self._fire: Callable[[float], None] | None = fire

    @property
    def done(self) -> bool:
        """Whether it was stopped or has fired."""
        return self._fire is None

    def stop(self) -> None:
        """It never fires, and holds nothing any more."""
        self._fire = None

    def ring(self, now: float) -> None:
        """Its time has come."""
        fire, self._fire = self._fire, None
        if fire is not None:
            fire(now)


#: From so many entries on, those that nobody waits for are swept out whenever the queue has doubled.
_SWEEP_FROM = 4096


class TimerQueue:
    """Deadlines in order of time; equal times in order of setting."""

    __slots__ = ("_heap", "_sequence", "_sweep_at")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, TimerOwner, str]] = []
        self._sequence = 0
        self._sweep_at = _SWEEP_FROM

    def set(self, at: float, owner: TimerOwner, name: str) -> None:
        """Arm timer `name` of `owner` for the time `at`."""
        self._sequence += 1
        heappush(self._heap, (at, self._sequence, owner, name))
        if len(self._heap) > self._sweep_at:
            self._heap = [entry for entry in self._heap if not entry[2].done]
            heapify(self._heap)
            self._sweep_at = max(_SWEEP_FROM, 2 * len(self._heap))

    def next(self) -> float | None:
        """The earliest deadline of an owner that still waits, or None."""
        heap = self._heap
        while heap:
            if heap[0][2].done:
                heappop(heap)
            else:
                return heap[0][0]
        return None

    def pop_due(self, now: float) -> tuple[TimerOwner, str] | None:
        """Take the earliest timer that is due at `now`, or None."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, _, owner, name = heappop(heap)
            if not owner.done:
                return owner, name
        return None

    def __len__(self) -> int:
        """How many timers have an owner that still waits (counts them one by one)."""
        return sum(1 for entry in self._heap if not entry[2].done)
