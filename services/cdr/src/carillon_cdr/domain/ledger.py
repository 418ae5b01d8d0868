"""An entry of the ledger: one published call event with its place (tenant, call, seq) and its bytes as they came.

An entry's place always agrees with the subject it came on, so that no publisher can write into another tenant's or call's ledger.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import ValidationError

from carillon_contracts.call import CALL_EVENTS, CallEnded
from carillon_contracts.envelope import Event

CALL_ENDED = f"carillon.{CallEnded.TYPE}"
#: Postgres `integer`, far above what any call reaches.
MAX_SEQ = 2**31 - 1


class Poisoned(ValueError):
    """These bytes can never become a ledger entry; the message says why."""


@dataclass(frozen=True, slots=True)
class CallKey:
    """A call's name in the whole installation."""

    tenant: str
    call_id: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One event at its place; `body` is the CloudEvent in JSON exactly as published."""

    tenant: str
    call_id: str
    seq: int
    event_id: UUID
    type: str
    at: datetime
    body: bytes
    #: Why the data does not fit the type, if it does not; the entry counts for the sequence and the fold passes over it.
    flaw: str = ""

    @property
    def key(self) -> CallKey:
        """The call it belongs to."""
        return CallKey(self.tenant, self.call_id)

    @property
    def place(self) -> tuple[str, str, int]:
        """Unique in the ledger."""
        return self.tenant, self.call_id, self.seq


def read_entry(subject: str, body: bytes) -> Entry:
    """Read a message of stream CALLS. Raises `Poisoned` when it has no place in the ledger."""
    try:
        event = Event.from_json(body)
    except ValidationError as error:
        raise Poisoned(f"not a CloudEvent of ours: {_first(error)}") from error
    parts = subject.split(".")
    if len(parts) != 5 or parts[2] != "call":
        raise Poisoned(f"not a call's subject: {subject}")
    if (event.tenantid, event.callid) != (parts[1], parts[3]):
        raise Poisoned(f"tenant {event.tenantid!r} and call {event.callid!r} of the event are not those of subject {subject}")
    if event.seq is None or not 1 <= event.seq <= MAX_SEQ:
        raise Poisoned(f"seq {event.seq} is not 1 or more")
    if not event.type.isprintable() or not parts[3].isprintable():
        raise Poisoned("control characters in a name")
    return Entry(event.tenantid, parts[3], event.seq, event.id, event.type, event.time, body, flaw_of(event))


def flaw_of(event: Event) -> str:
    """Why the event's data does not fit its type; empty when it does or when the type is not known (a newer writer's)."""
    kind = CALL_EVENTS.get(event.type)
    if kind is None:
        return ""
    try:
        kind.model_validate(event.data)
    except ValidationError as error:
        return f"{event.type}: {_first(error)}"
    return ""


def same_content(stored: bytes, arrived: bytes) -> bool:
    """Whether two bodies tell the same event; the order of keys and spaces do not count. Both must be entries' bodies."""
    return stored == arrived or Event.from_json(stored) == Event.from_json(arrived)


def _first(error: ValidationError) -> str:
    detail = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in detail["loc"])
    return f"{place}: {detail['msg']}" if place else str(detail["msg"])
