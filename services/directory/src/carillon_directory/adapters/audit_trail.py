"""Audit events on their way to the bus: in order, in the background, tried again while the bus is away; of too many the oldest go."""

import asyncio
from collections import deque

from carillon_contracts.audit import audit_event
from carillon_contracts.envelope import EventData
from carillon_contracts.streams import AUDIT
from carillon_kit.bus import Bus, Outgoing, PublishFailed
from carillon_kit.clock import Clock
from carillon_kit.ids import Ids
from carillon_kit.logs import get_logger

_MOST_WAITING = 10_000
_BATCH = 100
_RETRY_SECONDS = 1.0
_log = get_logger("audit")


class AuditTrail:
    """`ports.Audit`; run `run` as a task."""

    def __init__(self, bus: Bus, clock: Clock, ids: Ids, node: str) -> None:
        self._bus = bus
        self._clock = clock
        self._ids = ids
        self._source = f"carillon/directory/{node}"
        self._waiting: deque[Outgoing] = deque(maxlen=_MOST_WAITING)
        self._work = asyncio.Event()

    def tell(self, tenant: str, event: EventData, about: str) -> None:
        """As the protocol."""
        event_id = self._ids.uuid7()
        subject, payload = audit_event(event, tenant, event_id=event_id, source=self._source, about=about, at=self._clock.now())
        self._waiting.append(Outgoing(subject, payload, str(event_id)))
        self._work.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                batch = [self._waiting[index] for index in range(min(_BATCH, len(self._waiting)))]
                try:
                    failed = set(await self._bus.publish_many(AUDIT.name, batch))
                except (PublishFailed, OSError) as error:
                    _log.warning("audit events wait for the bus", waiting=len(self._waiting), error=str(error))
                    failed = {item.message_id for item in batch}
                kept = [item for item in self._waiting if item.message_id in failed or item not in batch]
                self._waiting = deque(kept, maxlen=_MOST_WAITING)
                if failed:
                    await asyncio.sleep(_RETRY_SECONDS)
