"""Messages about changed administrators, published with the change itself: see `domain.administrators`."""

from collections.abc import Iterator, Sequence

from carillon_contracts.audit import AdministratorChanged, audit_event
from carillon_contracts.config import ConfigChanged
from carillon_contracts.letter import letter_event
from carillon_contracts.streams import AUDIT, LETTERS
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain import administrators
from carillon_directory.domain.commands import Asked
from carillon_directory.ports import Message
from carillon_kit.clock import Clock
from carillon_kit.ids import Ids

_SOURCE = "carillon/directory"


class AdministratorNews:
    """As `ports.News`."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids

    def __call__(self, before: TenantConfig, command: Asked, changes: Sequence[ConfigChanged]) -> Sequence[Message]:
        """An audit event for each, and the letters."""
        told = list(administrators.changed(command, changes))
        return list(self._messages(before, told, changes)) if told else ()

    def _messages(self, before: TenantConfig, told: Sequence[AdministratorChanged], changes: Sequence[ConfigChanged]) -> Iterator[Message]:
        tenant, now = before.tenant_id, self._clock.now()
        for each in told:
            event_id, about = self._ids.uuid7(), f"user/{each.user_id}"
            yield AUDIT.name, (event_id, *audit_event(each, tenant, event_id=event_id, source=_SOURCE, about=about, at=now))
        for user, letter in administrators.letters(before, told, changes):
            event_id, about = self._ids.uuid7(), f"user/{user.id}"
            yield LETTERS.name, (event_id, *letter_event(letter, tenant, event_id=event_id, source=_SOURCE, about=about, at=now))
