"""Audit events on their way to the bus."""

from carillon_contracts.audit import audit_event
from carillon_contracts.envelope import EventData
from carillon_contracts.streams import AUDIT
from carillon_kit.bus import Bus, Outgoing
from carillon_kit.bus.announcements import Announcements
from carillon_kit.clock import Clock
from carillon_kit.ids import Ids


class AuditTrail:
    """`ports.Audit`; run `run` as a task."""

    def __init__(self, bus: Bus, clock: Clock, ids: Ids, node: str) -> None:
        self._announcements = Announcements(bus, AUDIT.name)
        self._clock = clock
        self._ids = ids
        self._source = f"carillon/directory/{node}"
        self.run = self._announcements.run

    def tell(self, tenant: str, event: EventData, about: str) -> None:
        """As the protocol."""
        event_id = self._ids.uuid7()
        subject, payload = audit_event(event, tenant, event_id=event_id, source=self._source, about=about, at=self._clock.now())
        self._announcements.add(Outgoing(subject, payload, str(event_id)))
