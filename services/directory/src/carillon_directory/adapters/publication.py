"""Stored changes become published events, in their order: the one mapping between the two, and the relay's publisher.

The message id is the event's id, so that a change published twice is stored once, and a follower folds by `configseq` anyway.
"""

from collections.abc import Sequence

from carillon_contracts.config import ConfigChanged
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CONFIG, config_subject
from carillon_directory.adapters.tenant_log import tenant_of
from carillon_kit.bus import Bus
from carillon_kit.event_store import StoredEvent

SOURCE = "carillon/directory"


def published(stored: StoredEvent) -> tuple[str, Event]:
    """The subject and the CloudEvent of a stored change."""
    change = ConfigChanged.model_validate(stored.data)
    tenant_id = tenant_of(stored.stream)
    event = Event(
        id=stored.event_id,
        source=SOURCE,
        type=change.event_type,
        subject=f"{change.resource}/{change.resource_id}",
        time=stored.at,
        data=change.model_dump(mode="json", exclude_none=True),
        tenantid=tenant_id,
        configseq=stored.version,
    )
    return config_subject(tenant_id, change.resource, change.action), event


class ConfigPublisher:
    """What the relay publishes with."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def __call__(self, events: Sequence[StoredEvent]) -> None:
        """One by one, each acknowledged before the next: a failure in the middle must not let a later change overtake."""
        for stored in events:
            subject, event = published(stored)
            await self._bus.publish(CONFIG.name, subject, event.to_json(), message_id=str(stored.event_id))
