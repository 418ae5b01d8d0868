"""Mailbox events, published by voicemail on `carillon.<tenant>.mailbox.<mailbox>.<fact>`."""

from typing import ClassVar

from carillon_contracts.envelope import EventData


class MessageStored(EventData):
    """A message is in the box."""

    TYPE: ClassVar[str] = "mailbox.message_stored.v1"
    message_id: str
    mailbox_id: str
    call_id: str
    caller: str
    duration_ms: int
    object: str


class MailboxChanged(EventData):
    """So many messages are in the box now: not yet heard, and heard."""

    TYPE: ClassVar[str] = "mailbox.changed.v1"
    mailbox_id: str
    new: int
    old: int


class MessageMailed(EventData):
    """The message's e-mail was taken by the mail server."""

    TYPE: ClassVar[str] = "mailbox.message_mailed.v1"
    message_id: str
    mailbox_id: str
    recipients: tuple[str, ...]
