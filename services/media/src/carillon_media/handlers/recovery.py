"""At the start: calls that a dead process left open and that cannot be taken up are ended in the journal, and their recordings saved."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import orjson

from carillon_kit.clock import Clock
from carillon_kit.ids import Ids
from carillon_kit.logs import get_logger
from carillon_media.domain.recovery import Begun, PastEvent, Salvaged, finished_objects, has_ended, owed
from carillon_media.domain.snapshots import SavedCall, SavedLeg
from carillon_media.handlers.envelope import event_json
from carillon_media.handlers.snapshots import Snapshots
from carillon_media.ports import CallLog, Entry, Spool

_log = get_logger(__name__)


class Record(Protocol):
    """A record of the journal."""

    @property
    def kind(self) -> str: ...
    @property
    def tenant(self) -> str: ...
    @property
    def call_id(self) -> str: ...
    @property
    def data(self) -> bytes: ...


@dataclass(slots=True)
class Past:
    """What the journal holds of one call; `call`, `legs`: the last snapshots, `data`: the events as they are published."""

    tenant: str
    call_id: str
    events: list[PastEvent] = field(default_factory=list)
    begun: list[Begun] = field(default_factory=list)
    call: SavedCall | None = None
    legs: dict[str, SavedLeg] = field(default_factory=dict)
    data: list[bytes] = field(default_factory=list)
    #: A snapshot could not be read: what later ones say of the call is not whole.
    unreadable: bool = False

    @property
    def last_at(self) -> datetime:
        """When something happened last."""
        return self.events[-1].at


def fold(records: Iterable[Record], snapshots: Snapshots) -> list[Past]:
    """The journal's records by call, in order of seq."""
    calls: dict[tuple[str, str], Past] = {}
    unread: list[str] = []
    for record in records:
        past = calls.setdefault((record.tenant, record.call_id), Past(record.tenant, record.call_id))
        if record.kind == "event":
            data = orjson.loads(record.data)
            at = datetime.fromisoformat(data["time"])
            past.events.append(PastEvent(data["seq"], data["type"].split(".")[2], at, data.get("legid"), data["data"]))
            past.data.append(record.data)
        else:
            try:
                _private(past, record.data, snapshots)
            except ValueError as error:
                past.call, past.unreadable = None, True
                unread.append(str(error))
    if unread:
        lost = sum(past.unreadable for past in calls.values())
        _log.warning("snapshots cannot be read, as of another version: their calls end", snapshots=len(unread), calls=lost, first=unread[0])
    for past in calls.values():
        past.events.sort(key=lambda event: event.seq)
    return list(calls.values())


def _private(past: Past, record: bytes, snapshots: Snapshots) -> None:
    """Raises ValueError for a snapshot that cannot be read."""
    found = snapshots.open(past.call_id, record)
    if isinstance(found, SavedCall):
        past.call = None if past.unreadable else found
    elif isinstance(found, SavedLeg):
        past.legs[found.leg_id] = found
    else:
        data = orjson.loads(record)
        past.begun.append(Begun(data["recording_id"], data["leg_id"], data["min_ms"], data["labels"]))


@dataclass(slots=True)
class Found:
    """What a dead process left: calls to be taken up, calls that are over but whose far ends may not know, how many were cut."""

    died_at: datetime
    open: list[Past] = field(default_factory=list)
    ended: list[Past] = field(default_factory=list)
    cut: int = 0


class Recovery:
    """Runs once, before any call is taken. A call is taken up within `resume_seconds` of the death and on the same `boot`."""

    def __init__(
        self, log: CallLog, spool: Spool, clock: Clock, ids: Ids, node: str, snapshots: Snapshots, *, boot: str, resume_seconds: float
    ) -> None:
        self._snapshots = snapshots
        self._boot = boot
        self._resume_seconds = resume_seconds
        self._log = log
        self._spool = spool
        self._clock = clock
        self._ids = ids
        self._node = node

    async def run(self, records: Iterable[Record], leftovers: Sequence[str], died_at: datetime | None) -> Found:
        """End what is open and cannot be taken up. `leftovers`: recordings found in the spool."""
        files = set(leftovers)
        died = died_at or self._clock.now()
        found = Found(died)
        for past in fold(records, self._snapshots):
            goes_on = past.call if self._goes_on(past, died) else None
            if goes_on is not None:
                found.open.append(past)
                files -= goes_on.state.tapes.keys()
            salvaged = [item for begun in past.begun if begun.recording_id in files if (item := await self._weigh(begun))]
            if goes_on is None and not has_ended(past.events):
                found.cut += 1
                await self._end(past, salvaged, died)
            if goes_on is None and past.legs:
                found.ended.append(past)
            promised = finished_objects(past.events)
            for item in salvaged:
                if item.object in promised:
                    self._spool.release(item.begun.recording_id, item.object)
                    files.discard(item.begun.recording_id)
        for recording_id in files:
            self._spool.discard(recording_id)
        return found

    def _goes_on(self, past: Past, died_at: datetime) -> bool:
        """Whether the call can be taken up: nothing happened after its snapshot, and its far ends still wait."""
        saved = past.call
        if saved is None or not past.events or has_ended(past.events) or saved.state.seq != past.events[-1].seq:
            return False
        away = (self._clock.now() - max(died_at, past.last_at)).total_seconds()
        return saved.boot == self._boot and away <= self._resume_seconds

    async def _weigh(self, begun: Begun) -> Salvaged | None:
        try:
            # The media plane may still hold the session of a call that is over.
            file = await self._spool.weigh(begun.recording_id, still_open=True)
        except (OSError, ValueError) as error:
            _log.warning("a recording cannot be saved", recording_id=begun.recording_id, error=str(error))
            return None
        return Salvaged(begun, file.object, file.duration_ms, file.bytes)

    async def _end(self, past: Past, salvaged: Sequence[Salvaged], died_at: datetime) -> None:
        entries: list[Entry] = []
        now = self._clock.now()
        for item in owed(past.events, salvaged, died_at):
            data = event_json(
                item.event,
                event_id=self._ids.uuid7(),
                source=f"carillon/media/{self._node}",
                tenant=past.tenant,
                subject=past.call_id,
                at=now,
                call_id=past.call_id,
                leg_id=item.leg_id,
                seq=item.seq,
            )
            entries.append(Entry("event", item.seq, data))
            past.events.append(PastEvent(item.seq, item.event.fact(), now, item.leg_id, item.event.__dict__))
        if entries:
            await self._log.append(past.tenant, past.call_id, entries)
            _log.warning("a call was cut by the end of the process", tenant=past.tenant, call_id=past.call_id)
