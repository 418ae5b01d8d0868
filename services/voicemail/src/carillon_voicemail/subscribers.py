"""The consumer of recordings in stream CALLS.

Always: a message is acknowledged after it is stored, or its original bytes are among the dead letters; one that can never be a message
is put aside at once and holds up nobody.
"""

from carillon_contracts.streams import CALLS
from carillon_kit.bus import ConsumerSpec, DeadLetterStore, Delivered, Retry
from carillon_kit.logs import get_logger
from carillon_kit.postgres import UNAVAILABLE
from carillon_voicemail.domain.message import Poisoned
from carillon_voicemail.handlers import store_message
from carillon_voicemail.ports import Configurations, Messages, StoreUnavailable, Wake

DURABLE = "voicemail"
CONSUMER = ConsumerSpec(stream=CALLS.name, durable=DURABLE, subject="carillon.*.call.*.recording_finished")
_log = get_logger("recordings")


class RecordingSubscriber:
    """Stores messages; `wake` is called when there is something to publish and to mail."""

    def __init__(self, messages: Messages, configurations: Configurations, dead_letters: DeadLetterStore, wake: Wake) -> None:
        self._messages = messages
        self._configurations = configurations
        self._dead_letters = dead_letters
        self._wake = wake

    async def handle(self, batch: list[Delivered]) -> None:
        """Take the batch. Raises `Retry` while the database is away (what was stored already is known then), and `Poisoned` for one
        message alone, so that a replay that fails again leaves the dead letter where it is.
        """
        for delivered in batch:
            try:
                message = await store_message(self._messages, self._configurations, delivered.subject, delivered.data)
            except Poisoned as poison:
                await self._put_aside(delivered, str(poison))
                if len(batch) == 1:
                    raise
            except StoreUnavailable as away:
                _log.warning("store_unavailable", error=str(away))
                raise Retry(1.0) from away
            else:
                if message is not None:
                    _log.info("message_stored", tenant=message.tenant, call_id=message.call_id, message_id=str(message.message_id))
                    self._wake()

    async def _put_aside(self, delivered: Delivered, why: str) -> None:
        _log.error("poisoned_event", subject=delivered.subject, stream_seq=delivered.stream_seq, error=why)
        try:
            await self._dead_letters.add(DURABLE, CALLS.name, delivered, why)
        except UNAVAILABLE as away:
            raise Retry(1.0) from away
