"""Named timers of one call on the event loop."""

import asyncio
from collections.abc import Callable

from carillon_kit.clock import Clock


class Timers:
    """Setting a name again replaces its timer."""

    __slots__ = ("_clock", "_fire", "_handles")

    def __init__(self, clock: Clock, fire: Callable[[str], None]) -> None:
        self._clock = clock
        self._fire = fire
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def set(self, name: str, at: float) -> None:
        """Fire at `at`, monotonic seconds."""
        self.cancel(name)
        wait = max(0.0, at - self._clock.monotonic())
        self._handles[name] = asyncio.get_running_loop().call_later(wait, self._fired, name)

    def cancel(self, name: str) -> None:
        """Forget the timer, if there is one."""
        handle = self._handles.pop(name, None)
        if handle is not None:
            handle.cancel()

    def clear(self) -> None:
        """Forget all."""
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def _fired(self, name: str) -> None:
        self._handles.pop(name, None)
        self._fire(name)
