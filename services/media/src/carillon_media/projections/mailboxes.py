"""How many messages wait in each mailbox, as the fold of the stream MAILBOXES.

Invariant: the counts of a mailbox are those of the last event about it; an event that cannot be read changes nothing and is logged.
"""

from collections.abc import Callable

from pydantic import ValidationError

from carillon_contracts.envelope import Event
from carillon_contracts.mailbox import MailboxChanged
from carillon_contracts.streams import MAILBOXES
from carillon_kit.bus import Bus, Message
from carillon_kit.logs import get_logger

_log = get_logger(__name__)


class MailboxCounts:
    """Run `follow` as a task; `on_change` hears the tenant and mailbox of every event."""

    def __init__(self, bus: Bus) -> None:
        self._counts: dict[tuple[str, str], tuple[int, int]] = {}
        self._follower = bus.follow(MAILBOXES.name, "carillon.*.mailbox.*.changed")
        self.on_change: Callable[[str, str], None] = lambda tenant, mailbox_id: None

    def counts(self, tenant: str, mailbox_id: str) -> tuple[int, int]:
        """New and old messages."""
        return self._counts.get((tenant, mailbox_id), (0, 0))

    async def follow(self) -> None:
        """Fold until cancelled."""
        async for message in self._follower:
            self.fold(message)

    async def caught_up(self, timeout: float) -> None:
        """All that was in the stream at the start is folded; raises TimeoutError."""
        await self._follower.caught_up(timeout)

    def fold(self, message: Message) -> None:
        """One event."""
        try:
            event = Event.from_json(message.data)
            changed = MailboxChanged.model_validate(event.data)
        except ValidationError as error:
            _log.error("a mailbox event was not taken", subject=message.subject, stream_seq=message.stream_seq, error=str(error))
            return
        self._counts[event.tenantid, changed.mailbox_id] = (changed.new, changed.old)
        self.on_change(event.tenantid, changed.mailbox_id)
