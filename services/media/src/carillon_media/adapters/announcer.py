"""Registration and audit events on their way to the bus: in order, in the background, tried again while the bus is away.

Invariant: no SIP request ever waits for the bus; when more than `MAX_WAITING` events wait, the oldest are given up and counted.
"""

import asyncio
from collections import deque
from datetime import datetime

from carillon_contracts.envelope import EventData
from carillon_contracts.streams import REGISTRATIONS
from carillon_kit.bus import Bus, Outgoing, PublishFailed
from carillon_kit.ids import Ids
from carillon_kit.logs import get_logger
from carillon_media.handlers.envelope import event_json

_log = get_logger(__name__)
MAX_WAITING = 10_000
BATCH = 100
RETRY_SECONDS = 1.0


class BusAnnouncer:
    """`ports.Announcer` to one stream; run `run` as a task."""

    def __init__(self, bus: Bus, ids: Ids, node: str, stream: str = REGISTRATIONS.name) -> None:
        self._bus = bus
        self._stream = stream
        self._ids = ids
        self._source = f"carillon/media/{node}"
        self._waiting: deque[Outgoing] = deque()
        self._work = asyncio.Event()
        self.given_up = 0

    def announce(self, tenant: str, subject: str, event: EventData, at: datetime) -> None:
        """Publish soon."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.given_up += 1
        event_id = self._ids.uuid7()
        data = event_json(event, event_id=event_id, source=self._source, tenant=tenant, subject=_about(event), at=at)
        self._waiting.append(Outgoing(subject, data, str(event_id)))
        self._work.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                batch = [self._waiting[index] for index in range(min(BATCH, len(self._waiting)))]
                if await self._publish(batch):
                    for item in batch:
                        if self._waiting and self._waiting[0] is item:
                            self._waiting.popleft()
                else:
                    await asyncio.sleep(RETRY_SECONDS)

    async def _publish(self, batch: list[Outgoing]) -> bool:
        try:
            return not await self._bus.publish_many(self._stream, batch)
        except (PublishFailed, OSError) as error:
            _log.warning("events wait for the bus", stream=self._stream, waiting=len(self._waiting), error=str(error))
            return False


def _about(event: EventData) -> str:
    """CloudEvents' subject: `registration/<sip user>`, `trunk/<id>`, `account/<name>`, or `source/<address>`."""
    facts = event.__dict__
    for kind, name in (("registration", "sip_user"), ("trunk", "trunk_id"), ("account", "account"), ("source", "source")):
        if found := facts.get(name):
            return f"{kind}/{found}"
    return ""
