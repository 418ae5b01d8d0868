"""The billing record of a call, published by cdr on `carillon.<tenant>.cdr.recorded`."""

from datetime import datetime
from typing import ClassVar, Literal

from carillon_contracts.envelope import EventData, Frozen

RecordStatus = Literal["answered", "unanswered", "busy", "cancelled", "voicemail", "self_service", "rejected", "failed"]


class RecordLeg(Frozen):
    """One leg: the caller's is `a`."""

    leg_id: str
    party: str
    number: str = ""
    offered_at: datetime | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    cause: str = ""
    ended_by: str = ""


class CallRecorded(EventData):
    """Exactly one per call."""

    TYPE: ClassVar[str] = "cdr.recorded.v1"
    call_id: str
    tenant: str
    caller: str
    dialled: str
    answered_by: str = ""
    direction: Literal["inbound", "outbound", "internal"]
    status: RecordStatus
    started_at: datetime
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime
    talk_seconds: float = 0.0
    cause: str
    ended_by: str
    trunk_id: str = ""
    config_seq: int = 0
    legs: tuple[RecordLeg, ...] = ()
