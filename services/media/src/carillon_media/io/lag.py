"""How late the event loop is: the sign that calls come faster than they can be served.

Invariant: `high` follows a moving average, so that a machine that stood still once refuses nobody, and one that cannot keep up does.
"""

import asyncio

PERIOD = 0.1
LIMIT = 0.4
#: Share of the newest measurement in the average: steady overload shows after about eight of them.
WEIGHT = 0.2


class LoopLag:
    """Run `run` as a task."""

    def __init__(self) -> None:
        self._average = 0.0

    @property
    def high(self) -> bool:
        """New calls are better refused."""
        return self._average > LIMIT

    def note(self, late: float) -> None:
        """A timer came `late` seconds after it was due."""
        self._average += WEIGHT * (late - self._average)

    async def run(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + PERIOD
            await asyncio.sleep(PERIOD)
            self.note(loop.time() - due)
