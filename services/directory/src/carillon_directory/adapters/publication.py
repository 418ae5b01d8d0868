"""Stored changes become published events, in their order: the one mapping between the two, and the relay's publisher.

The message id is the event's id, so that a change published twice is stored once, and a follower folds by `configseq` anyway. Many changes
of one kind of a tenant go in one event (`ManyChanged`) under the last one's id: whoever has that one has those before it. A tenant's first
change always goes alone, for `stream_keeper`, and one with a verb too: what came before its own time goes where it is obeyed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import groupby

from carillon_contracts.config.changes import MANY_CHANGED, RESET_LINE, event_type
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CONFIG, config_subject
from carillon_directory.adapters.tenant_log import tenant_of
from carillon_directory.domain.erasing.decide import ERASURE, PERSON
from carillon_kit.bus import Bus
from carillon_kit.bus.api import MOST_WHOLE, Outgoing
from carillon_kit.event_store import PostgresEventStore, RawEvent
from carillon_kit.ids import Ids

SOURCE = "carillon/directory"
#: Fewer are no quicker in one step than one by one.
_FEW = 3
#: More are put into words beside the loop.
_MANY = 20
#: Changes of a log that are read at once to be published once more.
_COPY_STEP = 500
_ERASED = f"{PERSON}_{ERASURE}"
IsOpen = Callable[[str], Awaitable[bool]]
#: Fewer changes of a kind in a row are an event each.
LEAST_TOGETHER = 20
#: Changes in one event, and their bytes: a follower takes them in in a few milliseconds.
_MOST_TOGETHER = 500
_BYTES_TOGETHER = 256 * 1024
#: What the changes of an event are put in place of: they are JSON already.
_PLACE = b'"changes":[]'


def published(stored: RawEvent) -> tuple[str, Event]:
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
    """What the relay publishes with.

    Where a change says that somebody was erased, the tenant's whole log is published once more behind it, as it reads now: then the old
    copy can go, and whoever reads the stream from its beginning always finds every version in order.
    """

    def __init__(self, bus: Bus, store: PostgresEventStore, is_open: IsOpen, ids: Ids) -> None:
        """`is_open`: whether somebody of the tenant is being erased, that is whether there is an old copy."""
        self._bus = bus
        self._store = store
        self._is_open = is_open
        self._ids = ids

    async def __call__(self, events: Sequence[RawEvent]) -> None:
        """All in one step, or one by one, each acknowledged before the next: a later change must never overtake one that failed."""
        start = 0
        for number, stored in enumerate(events, start=1):
            if stored.type == _ERASED and await self._is_open(tenant_of(stored.stream)):
                await self._publish(events[start:number])
                await self._once_more(stored)
                start = number
        await self._publish(events[start:])

    async def _once_more(self, last: RawEvent) -> None:
        # Ids of its own each time: the stream must not take it for a repetition.
        copy = self._ids.token(8)
        for after in range(0, last.version, _COPY_STEP):
            await self._publish(await self._store.load_raw(last.stream, after, min(last.version, after + _COPY_STEP)), f".{copy}")

    async def _publish(self, events: Sequence[RawEvent], copy: str = "") -> None:
        items = await asyncio.to_thread(_outgoing, events, copy) if len(events) > _MANY else _outgoing(events, copy)
        for start in range(0, len(items), MOST_WHOLE):
            some = items[start : start + MOST_WHOLE]
            if len(some) > _FEW and await self._bus.publish_whole(CONFIG.name, some):
                continue
            for item in some:
                await self._bus.publish(CONFIG.name, item.subject, item.payload, message_id=item.message_id)


def _outgoing(events: Sequence[RawEvent], copy: str) -> list[Outgoing]:
    items = []
    for run in _runs(events):
        if len(run) < LEAST_TOGETHER:
            for stored in run:
                subject, event = published(stored)
                items.append(Outgoing(subject, event.to_json(), f"{stored.event_id}{copy}"))
        else:
            items.append(_together(run, copy))
    return items


def _runs(events: Sequence[RawEvent]) -> Iterator[list[RawEvent]]:
    """Changes in a row of one tenant, kind and fact, as many as fit into an event; those that go alone alone."""
    for _, alike in groupby(events, key=lambda each: (each.stream, each.type, each.version if _alone(each) else 0)):
        run: list[RawEvent] = []
        size = 0
        for each in alike:
            if len(run) == _MOST_TOGETHER or (run and size + len(each.raw) > _BYTES_TOGETHER):
                yield run
                run, size = [], 0
            run.append(each)
            size += len(each.raw)
        yield run


def _alone(stored: RawEvent) -> bool:
    return stored.version == 1 or (RESET_LINE in stored.raw and bool(stored.data.get("verb")))


def _together(run: Sequence[RawEvent], copy: str) -> Outgoing:
    """One event of many changes, each as it lies in the log."""
    last = run[-1]
    tenant_id, (resource, _, action) = tenant_of(last.stream), last.type.rpartition("_")
    event = Event(
        id=last.event_id,
        source=SOURCE,
        type=MANY_CHANGED,
        subject=resource,
        time=last.at,
        data={"first": run[0].version, "changes": []},
        tenantid=tenant_id,
        configseq=last.version,
    )
    before, _, after = event.to_json().partition(_PLACE)
    changes = b",".join(each.raw.encode() for each in run)
    payload = b"".join((before, _PLACE[:-1], changes, b"]", after))
    return Outgoing(config_subject(tenant_id, resource, action), payload, f"{last.event_id}{copy}")
