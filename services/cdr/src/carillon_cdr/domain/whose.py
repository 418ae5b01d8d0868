"""Whose a record is: who had part in the call, and the departments of them, of the queues, groups and mailboxes that it came through.

A record is a fact of the time of its call, and so is whose it is: who moves to another department takes no calls of the old one along. The
departments are those of the configuration when the record was made, about a second after the call's end. What was recorded is only theirs
who talked meanwhile, and the departments' whose they or the ways are: a phone that rang heard nothing. A conference's meeting is theirs who
were in it, while they were, and not of who connected them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from carillon_contracts.call import ConferenceJoined, ConferenceLeft, RoutingDecided
from carillon_contracts.envelope import Event
from carillon_contracts.record import CallRecorded
from carillon_contracts.rights import ways_in, whose
from carillon_contracts.tenant_config import TenantConfig

_DECIDED, _JOINED, _LEFT = (f"carillon.{each.TYPE}" for each in (RoutingDecided, ConferenceJoined, ConferenceLeft))
Span = tuple[datetime, datetime]
#: Somebody talked from when until when.
_Talk = tuple[str, Span]


@dataclass(frozen=True, slots=True)
class Share:
    """That a call, or a conference's meeting, is of `whose`, as `rights.whose` names them; `talked`: when they did, in any order."""

    call_id: str
    whose: str
    talked: tuple[Span, ...] = ()


def shares(config: TenantConfig, record: CallRecorded, events: Sequence[Event]) -> list[Share]:
    """Of the call, and of the meetings that it was in."""
    ways = ways_in(each for event in events if event.type == _DECIDED for each in _subjects(event))
    picked_up = record.pickup.by if record.pickup else ""
    of_call: dict[str, list[Span]] = {name: [] for name in whose(config, [*(leg.party for leg in record.legs), picked_up], ways)}
    _add(of_call, config, _talks(record, picked_up))
    for name in whose(config, (), ways):
        if name.startswith("department/"):
            of_call[name].append(_span(record.started_at, record.ended_at))
    found = {record.call_id: of_call}
    for meeting_id, talk in _meetings(record, events):
        _add(found.setdefault(meeting_id, {}), config, [talk])
    return [Share(call_id, name, tuple(spans)) for call_id, names in found.items() for name, spans in sorted(names.items())]


def _add(spans: dict[str, list[Span]], config: TenantConfig, talks: Iterable[_Talk]) -> None:
    for party, span in talks:
        for name in whose(config, [party]):
            spans.setdefault(name, []).append(span)


def _span(begun: datetime, ended: datetime) -> Span:
    """A clock may have been set back meanwhile."""
    return begun, max(begun, ended)


def _talks(record: CallRecorded, picked_up: str) -> Iterator[_Talk]:
    for leg in record.legs:
        if leg.answered_at is not None:
            yield leg.party, _span(leg.answered_at, leg.ended_at or record.ended_at)
    if record.pickup is not None:
        yield picked_up, _span(record.pickup.at, record.ended_at)


def _meetings(record: CallRecorded, events: Iterable[Event]) -> Iterator[tuple[str, _Talk]]:
    """Each stay of a leg in a meeting."""
    parties = {leg.leg_id: leg.party for leg in record.legs}
    inside: dict[tuple[str, str | None], datetime] = {}
    for event in events:
        meeting_id = event.data.get("meeting_id")
        if event.type not in (_JOINED, _LEFT) or not isinstance(meeting_id, str) or not meeting_id:
            continue
        if event.type == _JOINED:
            inside.setdefault((meeting_id, event.legid), event.time)
        elif (begun := inside.pop((meeting_id, event.legid), None)) is not None:
            yield meeting_id, (parties.get(event.legid or "", ""), _span(begun, event.time))
    for (meeting_id, leg_id), begun in inside.items():
        yield meeting_id, (parties.get(leg_id or "", ""), _span(begun, record.ended_at))


def _subjects(event: Event) -> Iterator[str]:
    trace = event.data.get("trace")
    for line in trace if isinstance(trace, list) else ():
        if isinstance(line, Mapping) and isinstance(line.get("subject"), str):
            yield line["subject"]
