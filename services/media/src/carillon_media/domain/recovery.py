"""What the journal of a dead process still owes: the endings of its legs and calls.

Invariant: given the events of a call in order, the events returned make it whole: one `leg_ended` for each leg that began, then one
`call_ended`, with the next seqs; nothing for a call that has ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from carillon_contracts import call as events
from carillon_contracts.envelope import EventData
from carillon_media.domain.causes import NODE_FAILURE


@dataclass(frozen=True, slots=True)
class PastEvent:
    """An event of the journal; `kind` is its fact: `leg_answered`."""

    seq: int
    kind: str
    at: datetime
    leg_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Begun:
    """A recording that was begun: the private fact `outputs.Remember`."""

    recording_id: str
    leg_id: str
    min_ms: int
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What is left of a recording: its object name, length in ms, size in bytes."""

    begun: Begun
    object: str
    duration_ms: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Owed:
    """An event to be written now."""

    seq: int
    event: EventData
    leg_id: str | None


def has_ended(past: Sequence[PastEvent]) -> bool:
    """Nothing is owed."""
    return any(event.kind == "ended" for event in past)


def finished_objects(past: Sequence[PastEvent]) -> frozenset[str]:
    """Object names that the call's events have promised."""
    return frozenset(str(event.data.get("object", "")) for event in past if event.kind == "recording_finished")


def owed(past: Sequence[PastEvent], salvaged: Sequence[Salvaged], died_at: datetime) -> list[Owed]:
    """The events that end the call; `died_at` is when the process was alive for the last time, as far as is known."""
    if not past or has_ended(past):
        return []
    seq = max(event.seq for event in past)
    written: list[Owed] = []

    def write(event: EventData, leg_id: str | None) -> None:
        written.append(Owed(seq + len(written) + 1, event, leg_id))

    promised = finished_objects(past)
    for item in salvaged:
        if item.duration_ms >= item.begun.min_ms and item.object not in promised:
            finished = events.RecordingFinished(
                object=item.object,
                duration_ms=item.duration_ms,
                bytes=item.bytes,
                ended_by=NODE_FAILURE,
                labels=dict(item.begun.labels),
            )
            write(finished, item.begun.leg_id)
    for leg_id in _open_legs(past):
        write(events.LegEnded(cause=NODE_FAILURE, by="system"), leg_id)
    died_at = max(died_at, past[-1].at)
    answered = next((event.at for event in past if event.kind == "leg_answered" and event.leg_id == "a"), None)
    ended = events.CallEnded(
        cause=NODE_FAILURE,
        by="system",
        talk_ms=_milliseconds(answered, died_at) if answered else 0,
        total_ms=_milliseconds(past[0].at, died_at),
    )
    write(ended, None)
    return written


def _open_legs(past: Sequence[PastEvent]) -> list[str]:
    legs: dict[str, None] = {}
    for event in past:
        if event.kind in ("started", "leg_offered") and event.leg_id is not None:
            legs[event.leg_id] = None
        elif event.kind == "leg_ended" and event.leg_id is not None:
            legs.pop(event.leg_id, None)
    return list(legs)


def _milliseconds(since: datetime, until: datetime) -> int:
    return max(0, round((until - since).total_seconds() * 1000))
