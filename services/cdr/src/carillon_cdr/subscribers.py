"""The consumer of stream CALLS.

Always: a message is acknowledged after its event is committed, or its original bytes are among the dead letters. What can never
be an entry is put aside at once and holds up nobody; what comes while the database is away comes again.
"""

from carillon_cdr.domain.ledger import Entry, Poisoned, read_entry
from carillon_cdr.handlers import Taken, take
from carillon_cdr.ports import Configurations, Ledger, LedgerUnavailable, Wake
from carillon_contracts.streams import CALLS
from carillon_kit.bus import ConsumerSpec, DeadLetterStore, Delivered, Retry
from carillon_kit.logs import get_logger
from carillon_kit.postgres import UNAVAILABLE

DURABLE = "cdr"
#: A tenth of a second more makes one transaction of what would be many; the record is still there within a second of the end.
CONSUMER = ConsumerSpec(stream=CALLS.name, durable=DURABLE, subject="carillon.*.call.>", max_ack_pending=2048, linger=0.1)
#: Messages a handler gets at once: one transaction.
BATCH = 512
_log = get_logger("calls")


class CallSubscriber:
    """Hands batches to the ledger."""

    def __init__(self, ledger: Ledger, configurations: Configurations, dead_letters: DeadLetterStore, wake: Wake) -> None:
        self._ledger = ledger
        self._configurations = configurations
        self._dead_letters = dead_letters
        self._wake = wake

    async def handle(self, messages: list[Delivered]) -> None:
        """Take the batch. Raises `Retry` while the database is away, and `Poisoned` for one message alone, so that a replay that fails
        again leaves the dead letter where it is.
        """
        entries: list[Entry] = []
        sources: list[Delivered] = []
        for message in messages:
            try:
                entries.append(read_entry(message.subject, message.data))
                sources.append(message)
            except Poisoned as poison:
                await self._put_aside(message, str(poison))
                if len(messages) == 1:
                    raise
        if not entries:
            return
        try:
            taken = await take(self._ledger, entries, self._configurations)
        except LedgerUnavailable as away:
            _log.warning("ledger_unavailable", error=str(away), events=len(entries))
            raise Retry(1.0) from away
        if taken.recorded:
            self._wake()
        await self._report(taken, entries, sources)

    async def _report(self, taken: Taken, entries: list[Entry], sources: list[Delivered]) -> None:
        for entry, message in zip(entries, sources, strict=True):
            if entry.flaw and entry.place in taken.stored:
                await self._put_aside(message, entry.flaw)
        for entry in taken.conflicts:
            _log.error("conflicting_event", tenant=entry.tenant, call_id=entry.call_id, seq=entry.seq, event_id=str(entry.event_id))

    async def _put_aside(self, message: Delivered, why: str) -> None:
        _log.error("poisoned_event", subject=message.subject, stream_seq=message.stream_seq, error=why)
        try:
            await self._dead_letters.add(DURABLE, CALLS.name, message, why)
        except UNAVAILABLE as away:
            raise Retry(1.0) from away
