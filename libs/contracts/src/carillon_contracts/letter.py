"""E-mails that a service wants sent, on `carillon._operator.letter.<tenant>.requested`: voicemail sends them, each once.

They stand above the tenants because a letter may hold what is for its reader alone (an invitation to choose a password).
"""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field, StringConstraints

from carillon_contracts.envelope import Event, EventData, Frozen
from carillon_contracts.streams import letter_subject


class Attachment(Frozen):
    """A file that goes with a letter."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    #: `text/calendar`, `text/csv`, ...
    media_type: Annotated[str, StringConstraints(pattern=r"^[a-z]+/[a-z0-9.+-]+$")]
    text: Annotated[str, StringConstraints(max_length=200_000)] = Field(repr=False)


class LetterRequested(EventData):
    """One e-mail; the event's id makes it one, however often it is delivered."""

    TYPE: ClassVar[str] = "letter.requested.v1"
    to: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)]
    subject: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    text: Annotated[str, StringConstraints(max_length=20_000)] = Field(repr=False)
    language: str = ""
    #: Shown as the sender's name.
    sender_name: Annotated[str, StringConstraints(max_length=100)] = ""
    attachments: Annotated[tuple[Attachment, ...], Field(max_length=5)] = ()


def letter_event(letter: LetterRequested, tenant: str, *, event_id: UUID, source: str, about: str, at: datetime) -> tuple[str, bytes]:
    """Subject and payload of a letter's event."""
    envelope = Event(
        id=event_id,
        source=source,
        type=f"carillon.{letter.TYPE}",
        subject=about,
        time=at,
        data=letter.model_dump(mode="json"),
        tenantid=tenant,
    )
    return letter_subject(tenant), envelope.to_json()
