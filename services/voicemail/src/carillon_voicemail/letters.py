"""Letters of other services: taken from the bus once, sent until the mail server has them or will never take them.

Always: headers are set through the standard library's policy, so that no name or subject adds a header or a recipient; a letter that
cannot be read is put aside and holds up nobody.
"""

import asyncio
from datetime import timedelta
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from pydantic import ValidationError

from carillon_contracts.envelope import Event
from carillon_contracts.letter import Attachment, LetterRequested
from carillon_contracts.streams import LETTERS
from carillon_kit.bus import ConsumerSpec, DeadLetterStore, Delivered, Retry
from carillon_kit.logs import get_logger
from carillon_kit.postgres import UNAVAILABLE
from carillon_voicemail.adapters.postgres_letters import LetterJob, PostgresLetters
from carillon_voicemail.domain.delivery import RetryPolicy
from carillon_voicemail.ports import Mail, MailRefused, MailTransport, MailUnavailable, StoreUnavailable, Wake

DURABLE = "letters"
CONSUMER = ConsumerSpec(stream=LETTERS.name, durable=DURABLE, subject=LETTERS.subjects[0])
_AT_ONCE, _POLL_SECONDS = 4, 5.0
_log = get_logger("letters")


class LetterSubscriber:
    """Keeps letters to be sent."""

    def __init__(self, letters: PostgresLetters, dead_letters: DeadLetterStore, wake: Wake) -> None:
        self._letters = letters
        self._dead_letters = dead_letters
        self._wake = wake

    async def handle(self, batch: list[Delivered]) -> None:
        """Take the batch. Raises `Retry` while the database is away."""
        for delivered in batch:
            try:
                event = Event.from_json(delivered.data)
                letter = LetterRequested.model_validate(event.data)
                compose(letter, "check@localhost.invalid", str(event.id))
                await self._letters.take(event.id, event.tenantid, letter, event.time)
            except (ValidationError, ValueError) as error:
                _log.error("poisoned_event", subject=delivered.subject, stream_seq=delivered.stream_seq, error=type(error).__name__)
                await self._put_aside(delivered, type(error).__name__)
            except StoreUnavailable as away:
                raise Retry(1.0) from away
            else:
                self._wake()

    async def _put_aside(self, delivered: Delivered, why: str) -> None:
        try:
            await self._dead_letters.add(DURABLE, LETTERS.name, delivered, why)
        except UNAVAILABLE as away:
            raise Retry(1.0) from away


class LetterSender:
    """Sends what is due; run `run` as a task."""

    def __init__(
        self,
        letters: PostgresLetters,
        transport: MailTransport,
        policy: RetryPolicy,
        sender: str,
        deadline: float,
        poll_seconds: float = 5.0,
    ) -> None:
        self._letters = letters
        self._transport = transport
        self._policy = policy
        self._sender = sender
        self._deadline = deadline
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """A letter was taken."""
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled; the database's absence only delays."""
        while True:
            self._woken.clear()
            try:
                while jobs := await self._letters.claim(_AT_ONCE, timedelta(seconds=2 * self._deadline)):
                    async with asyncio.TaskGroup() as group:
                        for job in jobs:
                            group.create_task(self._deliver(job))
            except* StoreUnavailable as away:
                _log.warning("store_unavailable", error=str(away.exceptions[0]))
            try:
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _deliver(self, job: LetterJob) -> None:
        try:
            async with asyncio.timeout(self._deadline):
                content = compose(job.letter, self._sender, str(job.letter_id)).as_bytes()
                await self._transport.send(Mail(job.letter_id, self._sender, job.letter.to, content, job.requested_at))
        except (ValueError, MailRefused) as error:
            _log.error("letter_refused", letter=str(job.letter_id), tenant=job.tenant, error=str(error))
            await self._letters.failed(job, str(error))
        except (MailUnavailable, OSError, TimeoutError) as error:
            _log.warning("letter_delayed", letter=str(job.letter_id), tenant=job.tenant, attempt=job.attempt, error=str(error))
            if job.age >= self._policy.give_up_after:
                await self._letters.failed(job, f"given up: {error}")
            else:
                await self._letters.again(job, str(error), timedelta(seconds=self._policy.delay(job.attempt)))
        else:
            _log.info("letter_sent", letter=str(job.letter_id), tenant=job.tenant, attempt=job.attempt)
            await self._letters.sent(job)


def compose(letter: LetterRequested, sender: str, letter_id: str) -> EmailMessage:
    """The e-mail; the same bytes for the same letter but for its date. Raises `ValueError` for an address that is none."""
    made = EmailMessage(policy=SMTP)
    from_ = _address(sender, _one_line(letter.sender_name))
    made["From"] = from_
    made["To"] = tuple(_address(recipient) for recipient in letter.to)
    made["Subject"] = _one_line(letter.subject)
    made["Message-ID"] = f"<{letter_id}@{from_.domain}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(letter.text, cte="quoted-printable")
    if letter.language:
        made["Content-Language"] = _one_line(letter.language)
    for attachment in letter.attachments:
        subtype = attachment.media_type.partition("/")[2]
        if attachment.media_type.startswith("text/"):
            made.add_attachment(attachment.text, subtype=subtype, filename=attachment.name, params=_parameters(attachment))
        else:
            maintype = attachment.media_type.partition("/")[0]
            made.add_attachment(attachment.text.encode(), maintype=maintype, subtype=subtype, filename=attachment.name)
    return made


def _parameters(attachment: Attachment) -> dict[str, str]:
    """RFC 6047 section 2.4: a calendar file's method is told beside its type too."""
    method = next((line.removeprefix("METHOD:") for line in attachment.text.splitlines() if line.startswith("METHOD:")), "")
    return {"method": method} if attachment.media_type == "text/calendar" and method.isalpha() else {}


def _address(spec: str, name: str = "") -> Address:
    try:
        return Address(display_name=name, addr_spec=spec)
    except (MessageError, IndexError) as error:
        raise ValueError("not an address") from error


def _one_line(value: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())
