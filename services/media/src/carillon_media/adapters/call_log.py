"""The journal as call control sees it: keep on disk first, publish afterwards."""

from collections.abc import Sequence

from carillon_kit.logs import get_logger
from carillon_media.adapters.journal import Journal, JournalError, JournalRecord
from carillon_media.adapters.publisher import Publisher
from carillon_media.ports import Entry, LogFailed

_log = get_logger(__name__)


class JournalledCallLog:
    """`ports.CallLog` on the journal and its publisher."""

    def __init__(self, journal: Journal, publisher: Publisher) -> None:
        self._journal = journal
        self._publisher = publisher

    async def append(self, tenant: str, call_id: str, entries: Sequence[Entry]) -> None:
        """Return when they are on the disk."""
        records = [JournalRecord(entry.kind, tenant, call_id, entry.seq, entry.data) for entry in entries]
        try:
            await self._journal.append(records)
        except (JournalError, ValueError) as error:
            raise LogFailed(str(error)) from error
        self._publisher.offer(records)

    def note(self, tenant: str, call_id: str, entries: Sequence[Entry]) -> None:
        """Keep private facts soon."""
        try:
            self._journal.note([JournalRecord(entry.kind, tenant, call_id, entry.seq, entry.data) for entry in entries])
        except (JournalError, ValueError) as error:
            _log.warning("the journal takes no note", call_id=call_id, error=str(error))
