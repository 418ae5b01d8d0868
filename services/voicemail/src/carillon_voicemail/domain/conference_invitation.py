"""Invitations to a conference: a letter for each guest, now and as a reminder, with the ways in and a calendar file.

Invariant: the same invitation, time and guest make the same letter's id, so that nobody gets one twice.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from carillon_contracts.config import ConferenceRoom, Tenant
from carillon_contracts.letter import Attachment, LetterRequested
from carillon_contracts.tenant_config import TenantConfig
from carillon_voicemail.domain.calendar import CalendarEvent, calendar_file

_INVITATIONS = UUID("5f0b6c1e-6a0c-4d1f-9d59-0c8a2f6f7b41")


@dataclass(frozen=True, slots=True)
class Words:
    """Of one language."""

    invited: str
    moved: str
    reminder: str
    when: str
    dial: str
    password: str
    no_password: str


_WORDS: Mapping[str, Words] = {
    "fr": Words(
        "Invitation : {name}",
        "Nouvelle date : {name}",
        "Rappel : {name}",
        "Le {date} de {start} à {end} ({zone}).",
        "Composez {numbers}.",
        "Tapez le code {code}, puis dièse.",
        "Puis tapez dièse, ou le code que l'on vous a donné.",
    ),
    "en": Words(
        "Invitation: {name}",
        "New time: {name}",
        "Reminder: {name}",
        "On {date} from {start} to {end} ({zone}).",
        "Dial {numbers}.",
        "Enter the code {code}, then hash.",
        "Then press hash, or enter the code that you were given.",
    ),
    "de": Words(
        "Einladung: {name}",
        "Neuer Termin: {name}",
        "Erinnerung: {name}",
        "Am {date} von {start} bis {end} ({zone}).",
        "Wählen Sie {numbers}.",
        "Geben Sie den Code {code} ein, dann die Raute-Taste.",
        "Drücken Sie dann die Raute-Taste, oder geben Sie den Code ein, den Sie bekommen haben.",
    ),
    "nl": Words(
        "Uitnodiging: {name}",
        "Nieuwe tijd: {name}",
        "Herinnering: {name}",
        "Op {date} van {start} tot {end} ({zone}).",
        "Bel {numbers}.",
        "Voer de code {code} in en druk op het hekje.",
        "Druk daarna op het hekje, of voer de code in die u gekregen hebt.",
    ),
    "it": Words(
        "Invito: {name}",
        "Nuova data: {name}",
        "Promemoria: {name}",
        "Il {date} dalle {start} alle {end} ({zone}).",
        "Componete {numbers}.",
        "Digitate il codice {code}, poi cancelletto.",
        "Poi premete cancelletto, o digitate il codice che vi è stato dato.",
    ),
}


@dataclass(frozen=True, slots=True)
class Invitation:
    """Who is to come when. `reminder`: how long before the beginning; None: nobody is reminded."""

    tenant: str
    invitation_id: str
    room_id: str
    emails: Sequence[str]
    starts_at: datetime
    duration: timedelta
    message: str = ""
    password: str = ""
    reminder: timedelta | None = None
    #: How often its time was changed.
    sequence: int = 0


LetterKind = Literal["invitation", "moved", "reminder", "cancelled"]


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be sent, and when at the earliest."""

    letter_id: UUID
    due: datetime
    content: LetterRequested
    kind: LetterKind


def dial_in(room: ConferenceRoom, config: TenantConfig) -> tuple[str, ...]:
    """Numbers, then extensions, that lead to the room."""
    ways = [(number.id, number.destination) for number in config.numbers.values()]
    ways += [(extension.id, extension.destination) for extension in config.extensions.values()]
    return tuple(digits for digits, to in ways if to is not None and to.conference_room_id == room.id)


def organizer_of(room: ConferenceRoom, config: TenantConfig, sender: str) -> str:
    """Whose event it is in the guests' calendars: the room's owner, who is told of the room, or the system."""
    owner = config.users.get(room.owner_user_id)
    return (owner.email if owner is not None else "") or next(iter(room.emails), "") or sender


def letters(
    invitation: Invitation, room: ConferenceRoom, config: TenantConfig, organizer: str, now: datetime, known: Collection[str] = ()
) -> list[Letter]:
    """An invitation for each guest, to the new time for those who were invited before (`known`, casefolded), and a reminder unless it
    would be due already."""
    found: list[Letter] = []

    def write(email: str, kind: LetterKind, due: datetime) -> None:
        content = _content(invitation, room, config, email, organizer, now, kind)
        named = letter_id(invitation.tenant, invitation.invitation_id, invitation.starts_at, email, kind, invitation.sequence)
        found.append(Letter(named, due, content, kind))

    for email in dict.fromkeys(invitation.emails):
        write(email, "moved" if email.casefold() in known else "invitation", now)
        if invitation.reminder is not None and invitation.starts_at - invitation.reminder > now:
            write(email, "reminder", invitation.starts_at - invitation.reminder)
    return found


def letter_id(tenant: str, invitation_id: str, starts_at: datetime, email: str, kind: LetterKind, sequence: int) -> UUID:
    """Of one guest's letter; by its time too, since an invitation's id may be given again when its conference is long over."""
    what = f"{kind}-{sequence}-{starts_at.astimezone(UTC).isoformat()}"
    return uuid5(_INVITATIONS, "\0".join((tenant, invitation_id, what, email.casefold())))


def event_uid(tenant: str, invitation_id: str) -> str:
    """Of the event in all calendars, whatever its time."""
    return str(uuid5(_INVITATIONS, "\0".join((tenant, invitation_id, "event", ""))))


def _content(
    invitation: Invitation, room: ConferenceRoom, config: TenantConfig, email: str, organizer: str, now: datetime, kind: LetterKind
) -> LetterRequested:
    tenant = config.get(Tenant, invitation.tenant)
    language = room.language or (tenant.language if tenant is not None else "") or "en"
    zone = tenant.time_zone if tenant is not None and tenant.time_zone else "UTC"
    words = _WORDS.get(language.split("-")[0], _WORDS["en"])
    name = (room.display_name or room.id)[:200]
    text = "\n".join(_lines(invitation, words, name, dial_in(room, config), zone)) + "\n"
    ends_at = invitation.starts_at + invitation.duration
    event = CalendarEvent(
        uid=event_uid(invitation.tenant, invitation.invitation_id),
        summary=name,
        description=text,
        location=", ".join(dial_in(room, config)),
        organizer=organizer,
        attendees=(email,),
        starts_at=invitation.starts_at,
        ends_at=ends_at,
        reminder=invitation.reminder,
        sequence=invitation.sequence,
    )
    subject = {"reminder": words.reminder, "moved": words.moved}.get(kind, words.invited).format(name=name)
    attached = (
        () if kind == "reminder" else (Attachment(name="conference.ics", media_type="text/calendar", text=calendar_file(event, now)),)
    )
    return LetterRequested(to=(email,), subject=subject, text=text, language=language, sender_name=name[:100], attachments=attached)


def _lines(invitation: Invitation, words: Words, name: str, numbers: Sequence[str], zone: str) -> list[str]:
    start = invitation.starts_at.astimezone(ZoneInfo(zone))
    end = start + invitation.duration
    times = {"date": f"{start:%Y-%m-%d}", "start": f"{start:%H:%M}", "end": f"{end:%H:%M}", "zone": zone}
    lines = [name, "", words.when.format(**times)]
    if numbers:
        lines.append(words.dial.format(numbers=", ".join(numbers)))
    lines.append(words.password.format(code=invitation.password) if invitation.password else words.no_password)
    return [*lines, "", invitation.message] if invitation.message else lines
