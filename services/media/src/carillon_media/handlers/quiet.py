"""Warnings that a flood of calls would repeat: the first at once, then one a second with how many were left out."""

from typing import Any

from carillon_kit.clock import Clock

SECONDS = 1.0


class QuietLog:
    """`warning` as a logger's, throttled by the event's text."""

    def __init__(self, log: Any, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._last: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warning(self, event: str, **fields: object) -> None:
        """`event` is a fixed text; what varies goes into fields."""
        now = self._clock.monotonic()
        if now - self._last.get(event, -SECONDS) < SECONDS:
            self._left_out[event] = self._left_out.get(event, 0) + 1
            return
        self._last[event] = now
        left_out = self._left_out.pop(event, 0)
        if left_out:
            fields["left_out"] = left_out
        self._log.warning(event, **fields)
