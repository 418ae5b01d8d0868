"""Recordings of calls as their events tell of them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import NAMESPACE_OID, UUID, uuid5

from pydantic import ValidationError

from carillon_cdr.domain.ledger import Poisoned
from carillon_contracts.call import RecordingFinished
from carillon_contracts.conference import ConferenceRecorded
from carillon_contracts.envelope import Event

_RECORDINGS = uuid5(NAMESPACE_OID, "carillon/recording")
MOST_DAYS = 3650
#: Whose recordings have keepers of their own: mailboxes' messages.
_KEPT_ELSEWHERE = "purpose"


@dataclass(frozen=True, slots=True)
class Recording:
    """One file; `leg_id` empty: both sides."""

    recording_id: UUID
    tenant: str
    call_id: str
    seq: int
    leg_id: str
    started_at: datetime
    duration_ms: int
    bytes: int
    object: str
    labels: Mapping[str, str]
    expires_at: datetime


def read_recording(subject: str, body: bytes, default_days: int) -> Recording | None:
    """The recording of a `recording_finished` event; None: somebody else keeps it. Raises `Poisoned`."""
    try:
        event = Event.from_json(body)
        data = RecordingFinished.model_validate(event.data)
    except ValidationError as error:
        raise Poisoned(f"not a recording's event: {error.error_count()} faults") from error
    parts = subject.split(".")
    if len(parts) != 5 or (event.tenantid, event.callid) != (parts[1], parts[3]) or event.seq is None:
        raise Poisoned(f"tenant {event.tenantid!r} and call {event.callid!r} of the event are not those of subject {subject}")
    if data.labels.get(_KEPT_ELSEWHERE) or not data.object:
        return None
    labels = {key: value for key, value in data.labels.items() if key not in ("leg_id", "retention_days")}
    kept = days(data.labels.get("retention_days", ""), default_days)
    return _recording(event, data, parts[3], labels, kept, seq=event.seq, leg_id=data.labels.get("leg_id", ""))


def read_conference(subject: str, body: bytes, default_days: int) -> Recording | None:
    """The recording of a conference: its `call_id` is the meeting's. Raises `Poisoned`."""
    try:
        event = Event.from_json(body)
        data = ConferenceRecorded.model_validate(event.data)
    except ValidationError as error:
        raise Poisoned(f"not a conference's recording: {error.error_count()} faults") from error
    parts = subject.split(".")
    if len(parts) != 5 or (event.tenantid, data.meeting_id) != (parts[1], parts[3]):
        raise Poisoned(f"tenant {event.tenantid!r} and meeting {data.meeting_id!r} of the event are not those of subject {subject}")
    part = str(data.part) if data.part > 1 else ""
    labels = {"conference_room_id": data.room_id, "conference": data.display_name, "format": "mp3", "part": part}
    labels = {name: value for name, value in labels.items() if value}
    kept = days(str(data.retention_days), default_days)
    return _recording(event, data, data.meeting_id, labels, kept, seq=max(0, data.part - 1))


def _recording(
    event: Event,
    data: RecordingFinished | ConferenceRecorded,
    call_id: str,
    labels: Mapping[str, str],
    kept_days: int,
    *,
    seq: int = 0,
    leg_id: str = "",
) -> Recording:
    """Of an event that comes when the recording has ended."""
    duration_ms = max(0, data.duration_ms)
    return Recording(
        recording_id=uuid5(_RECORDINGS, f"{event.tenantid}/{call_id}/{seq}"),
        tenant=event.tenantid,
        call_id=call_id,
        seq=seq,
        leg_id=leg_id,
        started_at=event.time - timedelta(milliseconds=duration_ms),
        duration_ms=duration_ms,
        bytes=max(0, data.bytes),
        object=data.object,
        labels=labels,
        expires_at=event.time + timedelta(days=kept_days),
    )


def days(label: str, default: int) -> int:
    """What the recording's label says, within bounds; otherwise the default."""
    return int(label) if label.isascii() and label.isdigit() and 1 <= int(label) <= MOST_DAYS else default
