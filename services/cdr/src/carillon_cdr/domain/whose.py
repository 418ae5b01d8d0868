"""Whose a record is: who had part in the call, and the departments of them, of the queues, groups and mailboxes that it came through.

A record is a fact of the time of its call, and so is whose it is: who moves to another department takes no calls of the old one along. The
departments are those of the configuration when the record was made, about a second after the call's end. What was recorded is only theirs
who talked meanwhile, and the departments' whose they or the ways are: a phone that rang heard nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from carillon_contracts.call import ConferenceJoined, RoutingDecided
from carillon_contracts.envelope import Event
from carillon_contracts.record import CallRecorded
from carillon_contracts.rights import ways_in, whose
from carillon_contracts.tenant_config import TenantConfig

_DECIDED, _JOINED = f"carillon.{RoutingDecided.TYPE}", f"carillon.{ConferenceJoined.TYPE}"
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Share:
    """That a call, or a conference's meeting, is of `whose`, as `rights.whose` names them; `talked`: from when until when, None: never."""

    call_id: str
    whose: str
    talked: Span | None = None


def shares(config: TenantConfig, record: CallRecorded, events: Sequence[Event]) -> list[Share]:
    """Of the call, and of the meetings that it was in."""
    ways = ways_in(each for event in events if event.type == _DECIDED for each in _subjects(event))
    picked_up = record.pickup.by if record.pickup else ""
    names = whose(config, [*(leg.party for leg in record.legs), picked_up], ways)
    talked: dict[str, Span] = {}
    for party, span in _talks(record, picked_up):
        for name in whose(config, [party]):
            first, last = talked.get(name, span)
            talked[name] = min(first, span[0]), max(last, span[1])
    for name in whose(config, (), ways):
        if name.startswith("department/"):
            talked[name] = record.started_at, record.ended_at
    return [Share(call_id, name, talked.get(name)) for call_id in (record.call_id, *_meetings(events)) for name in sorted(names)]


def _talks(record: CallRecorded, picked_up: str) -> Iterator[tuple[str, Span]]:
    for leg in record.legs:
        if leg.answered_at is not None:
            yield leg.party, (leg.answered_at, leg.ended_at or record.ended_at)
    if record.pickup is not None:
        yield picked_up, (record.pickup.at, record.ended_at)


def _meetings(events: Iterable[Event]) -> list[str]:
    found = {event.data.get("meeting_id") for event in events if event.type == _JOINED}
    return sorted(each for each in found if isinstance(each, str) and each)


def _subjects(event: Event) -> Iterator[str]:
    trace = event.data.get("trace")
    for line in trace if isinstance(trace, list) else ():
        if isinstance(line, Mapping) and isinstance(line.get("subject"), str):
            yield line["subject"]
