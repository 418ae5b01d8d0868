"""The loop that sends e-mails: takes what is due, a few at a time, and waits for the next.

Always: a job is claimed before it is worked on, and for longer than working on it may take.
"""

import asyncio
from datetime import timedelta

from carillon_kit.logs import get_logger
from carillon_voicemail.handlers import Postman
from carillon_voicemail.ports import MailJob, MailJobs, StoreUnavailable, Wake

_log = get_logger("mail")


class MailSender:
    """Sends until cancelled; `at_once` mails at a time, looking for work at least every `poll_seconds`."""

    def __init__(self, jobs: MailJobs, postman: Postman, wake: Wake, *, at_once: int = 4, poll_seconds: float = 5.0) -> None:
        self._jobs = jobs
        self._postman = postman
        self._wake_outbox = wake
        self._at_once = at_once
        self._poll_seconds = poll_seconds
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """A job was committed."""
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled; the database's absence only delays."""
        while True:
            self._woken.clear()
            try:
                await self.send_due()
                pause = await self._jobs.next_due()
            except StoreUnavailable as away:
                _log.warning("store_unavailable", error=str(away))
                pause = None
            await self._wait(self._poll_seconds if pause is None else min(max(pause.total_seconds(), 0.0), self._poll_seconds))

    async def send_due(self) -> int:
        """Work on what is due until nothing is; returns how many attempts were made."""
        attempts = 0
        lease = timedelta(seconds=2 * self._postman.deadline)
        while claimed := await self._jobs.claim(self._at_once, lease):
            attempts += len(claimed)
            async with asyncio.TaskGroup() as group:
                for job in claimed:
                    group.create_task(self._deliver(job))
        return attempts

    async def _deliver(self, job: MailJob) -> None:
        named = {"tenant": job.message.tenant, "message_id": str(job.message.message_id), "attempt": job.attempt}
        try:
            error = await self._postman.deliver(job)
        except StoreUnavailable as away:
            _log.warning("store_unavailable", error=str(away), **named)
            return
        if error:
            _log.warning("mail_delayed", error=error, **named)
            return
        _log.info("mail_sent", **named)
        self._wake_outbox()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
