"""Invitations to a conference: a letter for each guest, now and as a reminder, with the ways in and a calendar file.

Invariant: the same invitation, time and guest make the same letter's id, so that nobody gets one twice.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
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
    cancelled: str
    when: str
    not_held: str
    dial: str
    password: str
    no_password: str


_WORDS: Mapping[str, Words] = {
    "fr": Words(
        "Invitation : {name}",
        "Nouvelle date : {name}",
        "Rappel : {name}",
        "Annulation : {name}",
        "Le {date} de {start} à {end} ({zone}).",
        "La conférence du {date} de {start} à {end} ({zone}) n'a pas lieu.",
        "Composez {numbers}.",
        "Tapez le code {code}, puis dièse.",
        "Puis tapez dièse, ou le code que l'on vous a donné.",
    ),
    "en": Words(
        "Invitation: {name}",
        "New time: {name}",
        "Reminder: {name}",
        "Cancelled: {name}",
        "On {date} from {start} to {end} ({zone}).",
        "The conference on {date} from {start} to {end} ({zone}) does not take place.",
        "Dial {numbers}.",
        "Enter the code {code}, then hash.",
        "Then press hash, or enter the code that you were given.",
    ),
    "de": Words(
        "Einladung: {name}",
        "Neuer Termin: {name}",
        "Erinnerung: {name}",
        "Abgesagt: {name}",
        "Am {date} von {start} bis {end} ({zone}).",
        "Die Konferenz am {date} von {start} bis {end} ({zone}) findet nicht statt.",
        "Wählen Sie {numbers}.",
        "Geben Sie den Code {code} ein, dann die Raute-Taste.",
        "Drücken Sie dann die Raute-Taste, oder geben Sie den Code ein, den Sie bekommen haben.",
    ),
    "nl": Words(
        "Uitnodiging: {name}",
        "Nieuwe tijd: {name}",
        "Herinnering: {name}",
        "Geannuleerd: {name}",
        "Op {date} van {start} tot {end} ({zone}).",
        "De conferentie op {date} van {start} tot {end} ({zone}) gaat niet door.",
        "Bel {numbers}.",
        "Voer de code {code} in en druk op het hekje.",
        "Druk daarna op het hekje, of voer de code in die u gekregen hebt.",
    ),
    "it": Words(
        "Invito: {name}",
        "Nuova data: {name}",
        "Promemoria: {name}",
        "Annullata: {name}",
        "Il {date} dalle {start} alle {end} ({zone}).",
        "La conferenza del {date} dalle {start} alle {end} ({zone}) non ha luogo.",
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


@dataclass(frozen=True, slots=True)
class Speech:
    """How guests of a room are spoken to."""

    language: str
    words: Words
    zone: str

    def times(self, starts_at: datetime, ends_at: datetime) -> Mapping[str, str]:
        """For sentences of `words`."""
        start, end = (moment.astimezone(ZoneInfo(self.zone)) for moment in (starts_at, ends_at))
        return {"date": f"{start:%Y-%m-%d}", "start": f"{start:%H:%M}", "end": f"{end:%H:%M}", "zone": self.zone}


@dataclass(frozen=True, slots=True)
class Telling:
    """What all guests of an invitation are told alike: `event` has no attendees yet, and its description is the letter's text."""

    tenant: str
    invitation_id: str
    speech: Speech
    event: CalendarEvent
    now: datetime

    def letter(self, email: str, kind: LetterKind, due: datetime | None = None) -> Letter:
        """To one of them; all but a reminder have a calendar file of their own."""
        words, event = self.speech.words, self.event
        subjects = {"invitation": words.invited, "moved": words.moved, "reminder": words.reminder, "cancelled": words.cancelled}
        attached: tuple[Attachment, ...] = ()
        if kind != "reminder":
            file = calendar_file(replace(event, attendees=(email,)), self.now)
            attached = (Attachment(name="conference.ics", media_type="text/calendar", text=file),)
        content = LetterRequested(
            to=(email,),
            subject=subjects[kind].format(name=event.summary),
            text=event.description,
            language=self.speech.language,
            sender_name=event.summary[:100],
            attachments=attached,
        )
        made = letter_id(self.tenant, self.invitation_id, event.starts_at, email, kind, event.sequence)
        return Letter(made, due or self.now, content, kind)


def speech_of(tenant_id: str, room: ConferenceRoom | None, config: TenantConfig) -> Speech:
    """The room's language, else the tenant's; of a room or tenant that is gone, as far as is known."""
    tenant = config.get(Tenant, tenant_id)
    language = (room.language if room is not None else "") or (tenant.language if tenant is not None else "") or "en"
    zone = tenant.time_zone if tenant is not None and tenant.time_zone else "UTC"
    return Speech(language, _WORDS.get(language.split("-")[0], _WORDS["en"]), zone)


def text_of(name: str, lines: Sequence[str], message: str) -> str:
    """A letter's: the conference's name, what is to be said of it, and what its maker has to say."""
    return "\n".join([name, "", *lines, *(["", message] if message else [])]) + "\n"


def name_of(room: ConferenceRoom) -> str:
    """As guests read it."""
    return (room.display_name or room.id)[:200]


def letters(
    invitation: Invitation, room: ConferenceRoom, config: TenantConfig, organizer: str, now: datetime, known: Collection[str] = ()
) -> list[Letter]:
    """An invitation for each guest, to the new time for those who were invited before (`known`, casefolded), and a reminder unless it
    would be due already."""
    told = _telling(invitation, room, config, organizer, now)
    found: list[Letter] = []
    for email in dict.fromkeys(invitation.emails):
        found.append(told.letter(email, "moved" if email.casefold() in known else "invitation"))
        if invitation.reminder is not None and invitation.starts_at - invitation.reminder > now:
            found.append(told.letter(email, "reminder", invitation.starts_at - invitation.reminder))
    return found


def letter_id(tenant: str, invitation_id: str, starts_at: datetime, email: str, kind: LetterKind, sequence: int) -> UUID:
    """Of one guest's letter; by its time too, since an invitation's id may be given again when its conference is long over."""
    what = f"{kind}-{sequence}-{starts_at.astimezone(UTC).isoformat()}"
    return uuid5(_INVITATIONS, "\0".join((tenant, invitation_id, what, email.casefold())))


def event_uid(tenant: str, invitation_id: str) -> str:
    """Of the event in all calendars, whatever its time."""
    return str(uuid5(_INVITATIONS, "\0".join((tenant, invitation_id, "event", ""))))


def _telling(invitation: Invitation, room: ConferenceRoom, config: TenantConfig, organizer: str, now: datetime) -> Telling:
    speech, numbers = speech_of(invitation.tenant, room, config), ", ".join(dial_in(room, config))
    name, ends_at = name_of(room), invitation.starts_at + invitation.duration
    event = CalendarEvent(
        uid=event_uid(invitation.tenant, invitation.invitation_id),
        summary=name,
        description=text_of(name, _lines(invitation, speech, numbers, ends_at), invitation.message),
        location=numbers,
        organizer=organizer,
        attendees=(),
        starts_at=invitation.starts_at,
        ends_at=ends_at,
        reminder=invitation.reminder,
        sequence=invitation.sequence,
    )
    return Telling(invitation.tenant, invitation.invitation_id, speech, event, now)


def _lines(invitation: Invitation, speech: Speech, numbers: str, ends_at: datetime) -> list[str]:
    words = speech.words
    lines = [words.when.format(**speech.times(invitation.starts_at, ends_at))]
    if numbers:
        lines.append(words.dial.format(numbers=numbers))
    lines.append(words.password.format(code=invitation.password) if invitation.password else words.no_password)
    return lines
