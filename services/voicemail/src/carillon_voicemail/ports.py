"""What the handlers need from outside: messages, e-mail jobs, audio, configuration, a mail server."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from carillon_contracts.envelope import Event
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.errors import Unavailable
from carillon_voicemail.domain.message import Addressing, Message, MessageState


class StoreUnavailable(Unavailable):
    """The database is away or too busy; the same again later. `reason`, and what `str` gives, is for the log: clients are not told."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class MailUnavailable(Exception):
    """The mail server did not take the message now; the same again later."""


class MailRefused(Exception):
    """The mail server will never take this message."""


class Configurations(Protocol):
    """Every tenant's configuration as far as it is known here."""

    def of(self, tenant: str) -> TenantConfig:
        """The tenant's; version 0 when nothing is known of it."""


class Messages(Protocol):
    """Where messages are kept."""

    async def store(self, cause: UUID, message: Message, to: Addressing, event: Event) -> bool:
        """Keep the message, its e-mail job if anyone is to be told, and its event for publication, all or nothing.

        False: this cause, or this recording, was stored before and nothing was changed. Raises `StoreUnavailable`.
        """

    async def get(self, tenant: str, message_id: UUID, among: Mapping[str, str] | None = None) -> Message | None:
        """One message; `among` as `list` has it."""

    async def mark(self, tenant: str, message_id: UUID, state: MessageState) -> Message | None:
        """The message with that state, which its box's counts tell if it had another; None: there is none. Raises `StoreUnavailable`."""

    async def list(
        self,
        tenant: str,
        mailbox_id: str | None,
        after: tuple[datetime, UUID] | None,
        limit: int,
        *,
        among: Mapping[str, str] | None = None,
        deleted: bool = False,
    ) -> Sequence[Message]:
        """Of one box, or of all, or `among` these, each with its department, unless they were left in another department's box of that id
        that was deleted; newest first. `after` is (received_at, message_id) of the last one that was read;
        `deleted`: those that can be taken back too."""


@dataclass(frozen=True, slots=True)
class MailJob:
    """An e-mail that this worker alone may send now."""

    message: Message
    to: Addressing
    #: Counts from 1; with the message's id it names this lease.
    attempt: int
    #: How long ago the message was stored.
    age: timedelta


class MailJobs(Protocol):
    """E-mails to be sent; each is in one worker's hands at a time, until its lease ends."""

    async def claim(self, limit: int, lease: timedelta) -> Sequence[MailJob]:
        """Take what is due, the oldest first."""

    async def sent(self, job: MailJob, event: Event) -> bool:
        """The mail server has it; keep that with its event. False: it was known already, and nothing was changed."""

    async def again(self, job: MailJob, error: str, delay: timedelta) -> None:
        """Try again after the delay."""

    async def failed(self, job: MailJob, error: str) -> None:
        """Given up."""

    async def next_due(self) -> timedelta | None:
        """How long until the next job is due; None: there is none."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A finished e-mail: `content` is RFC 5322 with CRLF."""

    message_id: UUID
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    at: datetime


class MailTransport(Protocol):
    """Hands e-mails over."""

    async def send(self, mail: Mail) -> None:
        """Returns once the other side is responsible for it. Raises `MailUnavailable` or `MailRefused`."""


#: Says that something waits in the outbox or among the jobs.
Wake = Callable[[], None]
