"""The consumer of recordings' events, and the loop that deletes what has been kept long enough."""

import asyncio
from collections.abc import Callable

from carillon_cdr.adapters.postgres_recordings import PostgresRecordings, forget
from carillon_cdr.domain.ledger import Poisoned
from carillon_cdr.domain.recordings import Recording, read_recording
from carillon_cdr.ports import LedgerUnavailable
from carillon_contracts.streams import CALLS, CONFERENCES
from carillon_kit.bus import ConsumerSpec, DeadLetterStore, Delivered, Retry
from carillon_kit.logs import get_logger
from carillon_kit.object_store import ObjectStore
from carillon_kit.postgres import UNAVAILABLE

DURABLE = "cdr-recordings"
CONSUMER = ConsumerSpec(stream=CALLS.name, durable=DURABLE, subject="carillon.*.call.*.recording_finished")
CONFERENCES_DURABLE = "cdr-conference-recordings"
CONFERENCE_CONSUMER = ConsumerSpec(stream=CONFERENCES.name, durable=CONFERENCES_DURABLE, subject="carillon.*.conference.*.recorded")
RETENTION = "retention"
AT_ONCE = 100
_log = get_logger("recordings")
Read = Callable[[str, bytes, int], Recording | None]


class RecordingSubscriber:
    """Keeps what recordings there are; what can never be read is put aside and holds up nobody. `read` knows the events of `spec`."""

    def __init__(
        self,
        recordings: PostgresRecordings,
        dead_letters: DeadLetterStore,
        default_days: int,
        spec: ConsumerSpec = CONSUMER,
        read: Read = read_recording,
    ) -> None:
        self._recordings = recordings
        self._spec = spec
        self._read = read
        self._dead_letters = dead_letters
        self._default_days = default_days

    async def handle(self, batch: list[Delivered]) -> None:
        """Take the batch; raises Retry while the database is away."""
        for delivered in batch:
            try:
                recording = self._read(delivered.subject, delivered.data, self._default_days)
                if recording is not None:
                    await self._recordings.keep(recording)
            except Poisoned as poison:
                _log.error("poisoned_event", subject=delivered.subject, stream_seq=delivered.stream_seq, error=str(poison))
                try:
                    await self._dead_letters.add(self._spec.durable, self._spec.stream, delivered, str(poison))
                except UNAVAILABLE as away:
                    raise Retry(1.0) from away
            except LedgerUnavailable as away:
                raise Retry(1.0) from away


async def delete_expired(recordings: PostgresRecordings, objects: ObjectStore) -> int:
    """Delete what has been kept long enough; returns how many that were."""
    deleted = 0
    while expired := await recordings.expired(AT_ONCE):
        for recording in expired:
            name = await recordings.delete(recording.tenant, recording.recording_id, RETENTION, "kept long enough")
            await forget(objects, name)
            deleted += 1
    return deleted


async def keep_retention(recordings: PostgresRecordings, objects: ObjectStore, seconds: float) -> None:
    """Run as a task."""
    while True:
        try:
            if deleted := await delete_expired(recordings, objects):
                _log.info("recordings_expired", deleted=deleted)
        except (LedgerUnavailable, ConnectionError) as away:
            _log.warning("retention waits", error=str(away))
        await asyncio.sleep(seconds)
