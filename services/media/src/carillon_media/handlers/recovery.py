"""At the start: calls that a dead process left open are ended in the journal, and their recordings saved."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import orjson

from carillon_kit.clock import Clock
from carillon_kit.ids import Ids
from carillon_kit.logs import get_logger
from carillon_media.domain.recovery import Begun, PastEvent, Salvaged, finished_objects, has_ended, owed
from carillon_media.handlers.envelope import event_json
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
    """What the journal holds of one call."""

    tenant: str
    call_id: str
    events: list[PastEvent] = field(default_factory=list)
    begun: list[Begun] = field(default_factory=list)


def fold(records: Iterable[Record]) -> list[Past]:
    """The journal's records by call, in order of seq."""
    calls: dict[tuple[str, str], Past] = {}
    for record in records:
        past = calls.setdefault((record.tenant, record.call_id), Past(record.tenant, record.call_id))
        data = orjson.loads(record.data)
        if record.kind == "event":
            at = datetime.fromisoformat(data["time"])
            past.events.append(PastEvent(data["seq"], data["type"].split(".")[2], at, data.get("legid"), data["data"]))
        else:
            past.begun.append(Begun(data["recording_id"], data["leg_id"], data["min_ms"], data["labels"]))
    for past in calls.values():
        past.events.sort(key=lambda event: event.seq)
    return list(calls.values())


class Recovery:
    """Runs once, before any call is taken."""

    def __init__(self, log: CallLog, spool: Spool, clock: Clock, ids: Ids, node: str) -> None:
        self._log = log
        self._spool = spool
        self._clock = clock
        self._ids = ids
        self._node = node

    async def run(self, records: Iterable[Record], leftovers: Sequence[str], died_at: datetime | None) -> int:
        """End what is open; returns how many calls that were. `leftovers`: recordings found in the spool."""
        files = set(leftovers)
        died = died_at or self._clock.now()
        open_calls = 0
        for past in fold(records):
            salvaged = [item for begun in past.begun if begun.recording_id in files if (item := await self._weigh(begun))]
            if not has_ended(past.events):
                open_calls += 1
                await self._end(past, salvaged, died)
            promised = finished_objects(past.events)
            for item in salvaged:
                if item.object in promised:
                    self._spool.release(item.begun.recording_id, item.object)
                    files.discard(item.begun.recording_id)
        for recording_id in files:
            self._spool.discard(recording_id)
        return open_calls

    async def _weigh(self, begun: Begun) -> Salvaged | None:
        try:
            file = await self._spool.weigh(begun.recording_id)
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
