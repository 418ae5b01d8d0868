"""The published event of a record. Its id comes from the call, so that however often it is made it is one event."""

from uuid import UUID, uuid5

from carillon_contracts.envelope import Event
from carillon_contracts.record import CallRecorded

_RECORDS = UUID("5d0b3c1e-8f8a-5a52-9c5d-2f4f6f1d7a10")


def record_id(tenant: str, call_id: str) -> UUID:
    """The id of a call's `cdr.recorded` event."""
    return uuid5(_RECORDS, f"{tenant}/{call_id}")


def recorded_event(record: CallRecorded, last: Event) -> Event:
    """The event that says that the record is there; `last` is the event that completed the call."""
    return Event(
        id=record_id(record.tenant, record.call_id),
        source="carillon/cdr",
        type=f"carillon.{record.TYPE}",
        subject=record.call_id,
        time=record.ended_at,
        data=record.model_dump(mode="json"),
        tenantid=record.tenant,
        callid=record.call_id,
        causationid=last.id,
        correlationid=last.correlationid,
        traceparent=last.traceparent,
        configseq=record.config_seq or None,
    )
