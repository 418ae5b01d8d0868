"""How late the event loop is: the sign that calls come faster than they can be served.

Invariant: `high` is true while a timer of `PERIOD` came more than `LIMIT` late within the last `MEMORY` seconds.
"""

import asyncio

PERIOD = 0.1
LIMIT = 0.4
MEMORY = 1.0


class LoopLag:
    """Run `run` as a task."""

    def __init__(self) -> None:
        self._late_until = 0.0

    @property
    def high(self) -> bool:
        """New calls are better refused."""
        return asyncio.get_running_loop().time() < self._late_until

    async def run(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + PERIOD
            await asyncio.sleep(PERIOD)
            if loop.time() - due > LIMIT:
                self._late_until = loop.time() + MEMORY
