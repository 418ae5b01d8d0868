"""Messages about changed administrators, published with the change itself: see `domain.administrators`."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from carillon_contracts.audit import AdministratorChanged, audit_event
from carillon_contracts.config import ConfigChanged, User
from carillon_contracts.envelope import Event
from carillon_contracts.letter import LetterRequested
from carillon_contracts.streams import AUDIT, LETTERS, letter_subject
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
            event_id = self._ids.uuid7()
            about = f"user/{each.user_id}"
            yield AUDIT.name, (event_id, *audit_event(each, tenant, event_id=event_id, source=_SOURCE, about=about, at=now))
        for user, letter in administrators.letters(before, told, changes):
            yield self._letter(tenant, user, letter, now)

    def _letter(self, tenant: str, user: User, letter: LetterRequested, now: datetime) -> Message:
        event = Event(
            id=self._ids.uuid7(),
            source=_SOURCE,
            type=f"carillon.{LetterRequested.TYPE}",
            subject=f"user/{user.id}",
            time=now,
            data=letter.model_dump(mode="json"),
            tenantid=tenant,
        )
        return LETTERS.name, (event.id, letter_subject(tenant), event.to_json())
