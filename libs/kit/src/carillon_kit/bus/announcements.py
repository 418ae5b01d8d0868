"""Events on their way to the bus: in order, in the background, tried again while the bus is away.

Invariant: nobody who announces ever waits; when more than `MAX_WAITING` events wait, the oldest are given up and counted.
"""

import asyncio
from collections import deque
from itertools import islice

from carillon_kit.bus.api import Bus, Outgoing, PublishFailed
from carillon_kit.logs import get_logger

_log = get_logger(__name__)
MAX_WAITING = 10_000
BATCH = 100
RETRY_SECONDS = 1.0


class Announcements:
    """To one stream; run `run` as a task. For events whose loss in a crash is bearable: the others go through an outbox."""

    def __init__(self, bus: Bus, stream: str) -> None:
        self._bus = bus
        self._stream = stream
        self._waiting: deque[Outgoing] = deque()
        self._work = asyncio.Event()
        self.given_up = 0

    def add(self, item: Outgoing) -> None:
        """Publish soon."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.given_up += 1
        self._waiting.append(item)
        self._work.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                batch = list(islice(self._waiting, BATCH))
                if not await self._publish(batch):
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                for item in batch:
                    # Of too many, some of the batch may be gone.
                    if self._waiting and self._waiting[0] is item:
                        self._waiting.popleft()

    async def _publish(self, batch: list[Outgoing]) -> bool:
        try:
            # Whatever of the batch is stored already is known by its message id.
            return not await self._bus.publish_many(self._stream, batch)
        except (PublishFailed, OSError) as error:
            _log.warning("events wait for the bus", stream=self._stream, waiting=len(self._waiting), error=str(error))
            return False
