"""Stored changes become published events, in their order: the one mapping between the two, and the relay's publisher.

The message id is the event's id, so that a change published twice is stored once, and a follower folds by `configseq` anyway.
"""

import asyncio
from collections.abc import Sequence

from carillon_contracts.config.changes import event_type
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CONFIG, config_subject
from carillon_directory.adapters.tenant_log import tenant_of
from carillon_kit.bus import Bus
from carillon_kit.bus.api import MOST_WHOLE, Outgoing
from carillon_kit.event_store import StoredEvent

SOURCE = "carillon/directory"
#: Fewer are no quicker in one step than one by one.
_FEW = 3
#: More are put into words beside the loop.
_MANY = 20


def published(stored: StoredEvent) -> tuple[str, Event]:
    """The subject and the CloudEvent of a stored change."""
    # As `new_event` stored it; without a second reading of each resource, which a large import would wait for.
    change = {name: value for name, value in stored.data.items() if value is not None}
    resource, action, tenant_id = change["resource"], change["action"], tenant_of(stored.stream)
    event = Event(
        id=stored.event_id,
        source=SOURCE,
        type=event_type(resource, action),
        subject=f"{resource}/{change['resource_id']}",
        time=stored.at,
        data=change,
        tenantid=tenant_id,
        configseq=stored.version,
    )
    return config_subject(tenant_id, resource, action), event


class ConfigPublisher:
    """What the relay publishes with."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def __call__(self, events: Sequence[StoredEvent]) -> None:
        """All in one step, or one by one, each acknowledged before the next: a later change must never overtake one that failed."""
        items = await asyncio.to_thread(_outgoing, events) if len(events) > _MANY else _outgoing(events)
        for start in range(0, len(items), MOST_WHOLE):
            some = items[start : start + MOST_WHOLE]
            if len(some) > _FEW and await self._bus.publish_whole(CONFIG.name, some):
                continue
            for item in some:
                await self._bus.publish(CONFIG.name, item.subject, item.payload, message_id=item.message_id)


def _outgoing(events: Sequence[StoredEvent]) -> list[Outgoing]:
    items = []
    for stored in events:
        subject, event = published(stored)
        items.append(Outgoing(subject, event.to_json(), str(stored.event_id)))
    return items
