"""An invitation as its guests know it, and what becomes of it: more guests, another time, or taken back. Pure.

Invariant: every change that guests are told of has the next sequence number of their calendar's event (RFC 5546 section 2.1.4) and
the organizer that it began with; what was taken back or is over stays so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from carillon_contracts.config import ConferenceRoom, Tenant
from carillon_contracts.erasure import ERASED_EMAIL
from carillon_contracts.tenant_config import TenantConfig
from carillon_voicemail.domain.calendar import CalendarEvent
from carillon_voicemail.domain.conference_invitation import (
    Invitation,
    Letter,
    Telling,
    event_uid,
    letter_id,
    letters,
    name_of,
    organizer_of,
    speech_of,
    text_of,
)

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
        room_name=name_of(room),
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
    told = _telling(gone, config, now, message)
    return Change(gone, [told.letter(email, "cancelled") for email in _reachable(gone.emails)], _reminders(kept))


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
    found: dict[str, str] = {}
    for email in emails:
        found.setdefault(email.casefold(), email)
    return tuple(found.values())


def _reachable(emails: Sequence[str]) -> tuple[str, ...]:
    return tuple(email for email in emails if email != ERASED_EMAIL)


def _reminders(kept: KeptInvitation) -> list[UUID]:
    return [letter_id(kept.tenant, kept.invitation_id, kept.starts_at, email, "reminder", kept.sequence) for email in kept.emails]


def _telling(kept: KeptInvitation, config: TenantConfig, now: datetime, message: str) -> Telling:
    speech = speech_of(kept.tenant, config.conference_rooms.get(kept.room_id), config)
    said = speech.words.not_held.format(**speech.times(kept.starts_at, kept.ends_at))
    event = CalendarEvent(
        uid=event_uid(kept.tenant, kept.invitation_id),
        summary=kept.room_name,
        description=text_of(kept.room_name, [said], message),
        location="",
        organizer=kept.organizer,
        attendees=(),
        starts_at=kept.starts_at,
        ends_at=kept.ends_at,
        sequence=kept.sequence,
        cancelled=True,
    )
    return Telling(kept.tenant, kept.invitation_id, speech, event, now)
