"""The consumer of conferences' events in stream CALLS, and the loop that makes letters of the summaries."""

import asyncio
from datetime import timedelta

from carillon_contracts.streams import CALLS
from carillon_kit.bus import ConsumerSpec, DeadLetterStore, Delivered, Retry
from carillon_kit.logs import get_logger
from carillon_kit.postgres import UNAVAILABLE
from carillon_voicemail.adapters.postgres_conferences import PostgresConferences, SummaryJob
from carillon_voicemail.domain.conference_summary import ENDED, JOINED, LEFT, compose, read, recipients
from carillon_voicemail.domain.message import Poisoned
from carillon_voicemail.ports import Configurations, StoreUnavailable, Wake

DURABLE = "voicemail-conferences"
#: What is not urgent waits for its like: one transaction for all of them. Twice `BATCH` a second are taken at least: with several filters
#: the server looks through its index for each message of a consumer that lags, and then lags itself.
BATCH = 512
CONSUMER = ConsumerSpec(
    stream=CALLS.name,
    durable=DURABLE,
    subject=tuple(f"carillon.*.call.*.{fact}" for fact in (JOINED, LEFT, ENDED)),
    max_ack_pending=2 * BATCH,
    linger=0.5,
)
_log = get_logger("conferences")
POLL_SECONDS = 1.0
#: Until another worker takes what one has begun.
LEASE = timedelta(seconds=60)


class ConferenceSubscriber:
    """Keeps who was where; what can never be read is put aside and holds up nobody."""

    def __init__(self, conferences: PostgresConferences, dead_letters: DeadLetterStore) -> None:
        self._conferences = conferences
        self._dead_letters = dead_letters

    async def handle(self, batch: list[Delivered]) -> None:
        """Take the batch; raises Retry while the database is away."""
        facts = []
        for delivered in batch:
            try:
                fact = read(delivered.data)
            except Poisoned as poison:
                await self._put_aside(delivered, str(poison))
            else:
                facts += [] if fact is None else [fact]
        try:
            if facts:
                await self._conferences.keep(facts)
        except StoreUnavailable as away:
            raise Retry(1.0) from away

    async def _put_aside(self, delivered: Delivered, why: str) -> None:
        _log.error("poisoned_event", subject=delivered.subject, stream_seq=delivered.stream_seq, error=why)
        try:
            await self._dead_letters.add(DURABLE, CALLS.name, delivered, why)
        except UNAVAILABLE as away:
            raise Retry(1.0) from away


class SummarySender:
    """Hands summaries that are due over to the letters; run `run` as a task. `wake`: a letter is to be sent."""

    def __init__(self, conferences: PostgresConferences, configurations: Configurations, wake: Wake) -> None:
        self._conferences = conferences
        self._configurations = configurations
        self._wake = wake

    async def run(self) -> None:
        """Until cancelled; the database's absence only delays."""
        while True:
            try:
                while (job := await self._conferences.claim(LEASE)) is not None:
                    await self._deliver(job)
            except StoreUnavailable as away:
                _log.warning("store_unavailable", error=str(away))
            await asyncio.sleep(POLL_SECONDS)

    async def _deliver(self, job: SummaryJob) -> None:
        meeting = job.meeting
        config = self._configurations.of(meeting.tenant)
        to = recipients(meeting, config)
        if not to or not meeting.stays:
            await self._conferences.done(job, "nobody")
            return
        try:
            letter = compose(meeting, to, config)
        except ValueError as error:
            await self._conferences.done(job, "failed", str(error))
            return
        await self._conferences.hand_over(job, letter)
        self._wake()
        _log.info("summary_due", tenant=meeting.tenant, meeting_id=meeting.meeting_id)
