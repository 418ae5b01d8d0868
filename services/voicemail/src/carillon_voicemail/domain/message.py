"""A message in a mailbox, made of the event of its recording.

Always: one recording gives one message with one id, however often its event is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid5

from pydantic import ValidationError

from carillon_contracts.call import RecordingFinished
from carillon_contracts.config import Tenant
from carillon_contracts.envelope import Event
from carillon_contracts.mailbox import MailboxChanged, MessageMailed, MessageStored
from carillon_contracts.tenant_config import TenantConfig
from carillon_voicemail.domain.dialogue import PURPOSE, language_of

_MESSAGES = UUID("0c7c2d0e-6a52-5b0f-8a6b-5a0c1d6f7e21")
#: Callers' names and numbers come from outside.
_LONGEST_LABEL = 128


class Poisoned(ValueError):
    """This can never become a message; the text says why."""


class MailState(StrEnum):
    """What became of a message's e-mail."""

    #: Nobody is to be told.
    NONE = "none"
    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


class MessageState(StrEnum):
    """What became of a message: what is neither new nor deleted counts as old."""

    NEW = "new"
    HEARD = "heard"
    SAVED = "saved"
    #: Can be taken back until it is purged.
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Message:
    """What a caller left."""

    message_id: UUID
    tenant: str
    mailbox_id: str
    call_id: str
    #: Of the recording's event in its call.
    seq: int
    caller_number: str
    caller_name: str
    #: UTC.
    received_at: datetime
    duration_ms: int
    object: str
    mail_state: MailState = MailState.NONE
    state: MessageState = MessageState.NEW


@dataclass(frozen=True, slots=True)
class Addressing:
    """Who is told of a message, and how they read: fixed when the message is stored."""

    recipients: tuple[str, ...] = ()
    mailbox_name: str = ""
    language: str = "en"
    time_zone: str = "UTC"


def read_recording(subject: str, body: bytes) -> tuple[Event, Message] | None:
    """The message in a `recording_finished` event; None if the recording is not a mailbox's. Raises `Poisoned`."""
    try:
        event = Event.from_json(body)
        recording = RecordingFinished.model_validate(event.data)
    except ValidationError as error:
        raise Poisoned(f"not a recording's event: {error.error_count()} faults") from error
    if recording.labels.get("purpose") != PURPOSE:
        return None
    parts = subject.split(".")
    if len(parts) != 5 or (event.tenantid, event.callid) != (parts[1], parts[3]):
        raise Poisoned(f"tenant {event.tenantid!r} and call {event.callid!r} of the event are not those of subject {subject}")
    mailbox_id = _label(recording, "mailbox_id")
    if not mailbox_id or event.seq is None:
        raise Poisoned("a message needs a mailbox_id and a seq")
    return event, Message(
        message_id=uuid5(_MESSAGES, f"{event.tenantid}/{event.callid}/{event.seq}"),
        tenant=event.tenantid,
        mailbox_id=mailbox_id,
        call_id=parts[3],
        seq=event.seq,
        caller_number=_label(recording, "caller_number"),
        caller_name=_label(recording, "caller_name"),
        received_at=event.time,
        duration_ms=max(0, recording.duration_ms),
        object=recording.object,
    )


def addressing(message: Message, config: TenantConfig) -> Addressing:
    """Whom the configuration of now tells; nobody when the mailbox is gone."""
    mailbox = config.mailboxes.get(message.mailbox_id)
    tenant = config.get(Tenant, message.tenant)
    if mailbox is None or tenant is None:
        return Addressing()
    recipients: Sequence[str] = tuple(dict.fromkeys(mailbox.emails))
    return Addressing(tuple(recipients), mailbox.display_name or mailbox.id, language_of(mailbox, config), tenant.time_zone)


def stored_event(message: Message, cause: Event) -> Event:
    """The event that says that the message is there."""
    data = MessageStored(
        message_id=str(message.message_id),
        mailbox_id=message.mailbox_id,
        call_id=message.call_id,
        caller=message.caller_number,
        duration_ms=message.duration_ms,
        object=message.object,
    )
    return _event(message, data, message.received_at, cause)


def changed_event(message: Message, cause: Event, new: int, old: int) -> Event:
    """The event that says how many messages are in the box now that this one came."""
    return _event(message, MailboxChanged(mailbox_id=message.mailbox_id, new=new, old=old), message.received_at, cause)


def marked_event(message: Message, event_id: UUID, at: datetime, new: int, old: int) -> Event:
    """The event that says how many messages are in the box now that this one is marked otherwise."""
    event = _event(message, MailboxChanged(mailbox_id=message.mailbox_id, new=new, old=old), at, None)
    return event.model_copy(update={"id": event_id})


def mailed_event(message: Message, recipients: Sequence[str], at: datetime) -> Event:
    """The event that says that the mail server has the message."""
    data = MessageMailed(message_id=str(message.message_id), mailbox_id=message.mailbox_id, recipients=tuple(recipients))
    return _event(message, data, at, None)


def _event(message: Message, data: MessageStored | MailboxChanged | MessageMailed, at: datetime, cause: Event | None) -> Event:
    return Event(
        id=uuid5(message.message_id, data.TYPE),
        source="carillon/voicemail",
        type=f"carillon.{data.TYPE}",
        subject=f"mailbox/{message.mailbox_id}",
        time=at,
        data=data.model_dump(mode="json"),
        tenantid=message.tenant,
        callid=message.call_id,
        causationid=cause.id if cause else None,
        correlationid=cause.correlationid if cause else None,
        traceparent=cause.traceparent if cause else None,
    )


def _label(recording: RecordingFinished, name: str) -> str:
    """A label as one line of printable text."""
    value = "".join(c if c.isprintable() else " " for c in recording.labels.get(name, ""))
    return " ".join(value.split())[:_LONGEST_LABEL]
