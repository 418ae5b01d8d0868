"""Registration and audit events on their way to the bus; no SIP request ever waits for it."""

from datetime import datetime

from carillon_contracts.envelope import EventData
from carillon_contracts.streams import REGISTRATIONS
from carillon_kit.bus import Bus, Outgoing
from carillon_kit.bus.announcements import Announcements
from carillon_kit.ids import Ids
from carillon_media.handlers.envelope import event_json

#: What an event is about, and the field that names it; the first that there is.
_SUBJECTS = (
    ("registration", "sip_user"),
    ("trunk", "trunk_id"),
    ("account", "account"),
    ("conference", "meeting_id"),
    ("source", "source"),
)


class BusAnnouncer:
    """`ports.Announcer` to one stream; run `run` as a task."""

    def __init__(self, bus: Bus, ids: Ids, node: str, stream: str = REGISTRATIONS.name) -> None:
        self._announcements = Announcements(bus, stream)
        self._ids = ids
        self._source = f"carillon/media/{node}"
        self.run = self._announcements.run

    def announce(self, tenant: str, subject: str, event: EventData, at: datetime) -> None:
        """Publish soon."""
        event_id = self._ids.uuid7()
        data = event_json(event, event_id=event_id, source=self._source, tenant=tenant, subject=_about(event), at=at)
        self._announcements.add(Outgoing(subject, data, str(event_id)))


def _about(event: EventData) -> str:
    """CloudEvents' subject: `registration/<sip user>`, `trunk/<id>`, `account/<name>`, or `source/<address>`."""
    facts = event.__dict__
    for kind, name in _SUBJECTS:
        if found := facts.get(name):
            return f"{kind}/{found}"
    return ""
