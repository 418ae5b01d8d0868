"""An invitation as its guests know it, and what becomes of it: more guests, another time, or taken back. Pure.

Invariant: every change that guests are told of has the next sequence number of their calendar's event (RFC 5546 section 2.1.4) and
the organizer that it began with; what was taken back or is over stays so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from carillon_contracts.config import ConferenceRoom, Tenant
from carillon_contracts.erasure import ERASED_EMAIL
from carillon_contracts.letter import Attachment, LetterRequested
from carillon_contracts.tenant_config import TenantConfig
from carillon_voicemail.domain.calendar import CalendarEvent, calendar_file
from carillon_voicemail.domain.conference_invitation import Invitation, Letter, event_uid, letter_id, letters, organizer_of

#: Of one invitation, in all: each change is a letter to every one of them.
MAX_GUESTS = 500


@dataclass(frozen=True, slots=True)
class KeptInvitation:
    """`config_seq`: the configuration's version by which it was made or changed last."""

    tenant: str
    invitation_id: str
    room_id: str
    room_name: str
    organizer: str
    emails: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    sequence: int = 0
    cancelled: bool = False
    config_seq: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """What is kept from now on, what guests are told, and which letters need not be sent any more."""

    kept: KeptInvitation
    letters: Sequence[Letter] = ()
    unsent: Sequence[UUID] = ()


class Refused(ValueError):
    """The change makes no sense; `field` of the request, and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


def invite(
    kept: KeptInvitation | None, invitation: Invitation, room: ConferenceRoom, config: TenantConfig, sender: str, now: datetime
) -> Change:
    """Invite guests; of an invitation that is there already also to another time, which all who were invited before are told.

    Raises Refused.
    """
    made = KeptInvitation(
        tenant=invitation.tenant,
        invitation_id=invitation.invitation_id,
        room_id=room.id,
        room_name=(room.display_name or room.id)[:200],
        organizer=organizer_of(room, config, sender),
        emails=_each_once(invitation.emails),
        starts_at=invitation.starts_at,
        ends_at=invitation.starts_at + invitation.duration,
        config_seq=config.seq,
    )
    if kept is None:
        return Change(made, letters(invitation, room, config, made.organizer, now))
    if kept.cancelled:
        raise Refused("invitation_id", "was taken back; choose another one")
    if kept.ends_at <= now:
        raise Refused("invitation_id", "its conference is over; choose another one")
    if kept.room_id != room.id:
        raise Refused("room_id", f"the invitation is to {kept.room_id}")
    everybody = _each_once((*kept.emails, *invitation.emails))
    if len(everybody) > MAX_GUESTS:
        raise Refused("emails", f"at most {MAX_GUESTS} guests in all")
    made = replace(made, emails=everybody, organizer=kept.organizer)
    if (kept.starts_at, kept.ends_at) == (made.starts_at, made.ends_at):
        told = letters(replace(invitation, sequence=kept.sequence), room, config, kept.organizer, now)
        return Change(replace(made, sequence=kept.sequence), told)
    moved = replace(invitation, sequence=kept.sequence + 1, emails=_reachable(everybody))
    known = {email.casefold() for email in kept.emails}
    told = letters(moved, room, config, kept.organizer, now, known=known)
    return Change(replace(made, sequence=moved.sequence), told, _reminders(kept))


def cancel(kept: KeptInvitation, config: TenantConfig, now: datetime, message: str = "") -> Change:
    """Take it back: every guest is told, with a calendar file that takes the event out (RFC 5546 section 3.2.5)."""
    if kept.cancelled:
        return Change(kept)
    gone = replace(kept, cancelled=True, sequence=kept.sequence + 1)
    told = [_cancellation(gone, config, email, now, message) for email in _reachable(gone.emails)]
    return Change(gone, told, _reminders(kept))


def stands(kept: KeptInvitation, config: TenantConfig) -> bool:
    """Whether the room is there at that time, as far as is known: a configuration that is older than the invitation says nothing."""
    if config.seq <= kept.config_seq:
        return True
    room = config.conference_rooms.get(kept.room_id)
    if room is None or config.get(Tenant, kept.tenant) is None:
        return False
    early, late = room.period_from, room.period_to
    return not ((early and kept.starts_at < early) or (late and kept.starts_at > late))


def _each_once(emails: Sequence[str]) -> tuple[str, ...]:
    """In their order, whatever the case of their letters."""
    return tuple({email.casefold(): email for email in reversed(emails)}[each] for each in dict.fromkeys(map(str.casefold, emails)))


def _reachable(emails: Sequence[str]) -> tuple[str, ...]:
    return tuple(email for email in emails if email != ERASED_EMAIL)


def _reminders(kept: KeptInvitation) -> list[UUID]:
    return [letter_id(kept.tenant, kept.invitation_id, kept.starts_at, email, "reminder", kept.sequence) for email in kept.emails]


@dataclass(frozen=True, slots=True)
class _Words:
    cancelled: str
    text: str


_WORDS: Mapping[str, _Words] = {
    "fr": _Words("Annulation : {name}", "La conférence du {date} de {start} à {end} ({zone}) n'a pas lieu."),
    "en": _Words("Cancelled: {name}", "The conference on {date} from {start} to {end} ({zone}) does not take place."),
    "de": _Words("Abgesagt: {name}", "Die Konferenz am {date} von {start} bis {end} ({zone}) findet nicht statt."),
    "nl": _Words("Geannuleerd: {name}", "De conferentie op {date} van {start} tot {end} ({zone}) gaat niet door."),
    "it": _Words("Annullata: {name}", "La conferenza del {date} dalle {start} alle {end} ({zone}) non ha luogo."),
}


def _cancellation(kept: KeptInvitation, config: TenantConfig, email: str, now: datetime, message: str) -> Letter:
    tenant, room = config.get(Tenant, kept.tenant), config.conference_rooms.get(kept.room_id)
    language = (room.language if room is not None else "") or (tenant.language if tenant is not None else "") or "en"
    zone = tenant.time_zone if tenant is not None and tenant.time_zone else "UTC"
    words = _WORDS.get(language.split("-")[0], _WORDS["en"])
    start, end = (moment.astimezone(ZoneInfo(zone)) for moment in (kept.starts_at, kept.ends_at))
    said = words.text.format(date=f"{start:%Y-%m-%d}", start=f"{start:%H:%M}", end=f"{end:%H:%M}", zone=zone)
    text = "\n".join([kept.room_name, "", said, *(["", message] if message else [])]) + "\n"
    event = CalendarEvent(
        uid=event_uid(kept.tenant, kept.invitation_id),
        summary=kept.room_name,
        description=text,
        location="",
        organizer=kept.organizer,
        attendees=(email,),
        starts_at=kept.starts_at,
        ends_at=kept.ends_at,
        sequence=kept.sequence,
        cancelled=True,
    )
    content = LetterRequested(
        to=(email,),
        subject=words.cancelled.format(name=kept.room_name),
        text=text,
        language=language,
        sender_name=kept.room_name[:100],
        attachments=(Attachment(name="conference.ics", media_type="text/calendar", text=calendar_file(event, now)),),
    )
    made = letter_id(kept.tenant, kept.invitation_id, kept.starts_at, email, "cancelled", kept.sequence)
    return Letter(made, now, content, "cancelled")
