"""Store a message from its recording's event; send a message's e-mail.

Always: one recording is one message and one e-mail job; a job ends as sent or failed, and between attempts it waits longer and longer.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from carillon_kit.clock import Clock
from carillon_kit.object_store import ObjectNotFound, ObjectStore
from carillon_voicemail.domain.delivery import RetryPolicy
from carillon_voicemail.domain.letter import compose
from carillon_voicemail.domain.message import Message, addressing, mailed_event, read_recording, stored_event
from carillon_voicemail.ports import (
    Configurations,
    Mail,
    MailJob,
    MailJobs,
    MailRefused,
    MailTransport,
    MailUnavailable,
    Messages,
    StoreUnavailable,
)

#: Ten minutes without a database; after that the mail may go out twice.
_INSISTENCE_SECONDS = 600.0
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0


async def store_message(messages: Messages, configurations: Configurations, subject: str, body: bytes) -> Message | None:
    """Store the message of a `recording_finished` event; None: not a mailbox's, or stored before. Raises `Poisoned`, `StoreUnavailable`."""
    read = read_recording(subject, body)
    if read is None:
        return None
    event, message = read
    to = addressing(message, configurations.of(message.tenant))
    stored = await messages.store(event.id, message, to, stored_event(message, event))
    return message if stored else None


@dataclass(frozen=True, slots=True)
class Postman:
    """Sends e-mails; `deadline` seconds for fetching the audio and handing the mail over together, shorter than a job's lease."""

    jobs: MailJobs
    objects: ObjectStore
    transport: MailTransport
    clock: Clock
    policy: RetryPolicy
    sender: str
    deadline: float = 60.0

    async def deliver(self, job: MailJob) -> str:
        """Try once; returns the error, empty if the mail was sent."""
        try:
            async with asyncio.timeout(self.deadline):
                await self._send(job)
        except (ValueError, MailRefused) as error:
            await self.jobs.failed(job, _text(error))
            return _text(error)
        except (MailUnavailable, ObjectNotFound, OSError, TimeoutError) as error:
            return await self._later(job, _text(error))
        except Exception as error:  # noqa: BLE001 - the edge: whatever the object store's client raises, the message must not be lost
            return await self._later(job, repr(error))
        await self._keep_sent(job)
        return ""

    async def _send(self, job: MailJob) -> None:
        audio = await self.objects.get(job.message.object)
        letter = compose(job.message, job.to, self.sender, audio)
        mail = Mail(job.message.message_id, self.sender, job.to.recipients, letter.as_bytes(), job.message.received_at)
        await self.transport.send(mail)

    async def _keep_sent(self, job: MailJob) -> None:
        """Insist: only this process knows that the mail is out."""
        event = mailed_event(job.message, job.to.recipients, self.clock.now())
        insist = AsyncRetrying(
            retry=retry_if_exception_type(StoreUnavailable),
            wait=wait_exponential(_FIRST_PAUSE_SECONDS, max=_LONGEST_PAUSE_SECONDS),
            stop=stop_after_delay(_INSISTENCE_SECONDS),
            reraise=True,
        )
        await insist(self.jobs.sent, job, event)

    async def _later(self, job: MailJob, error: str) -> str:
        if job.age >= self.policy.give_up_after:
            await self.jobs.failed(job, f"given up: {error}")
        else:
            await self.jobs.again(job, error, timedelta(seconds=self.policy.delay(job.attempt)))
        return error


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
