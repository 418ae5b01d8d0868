"""Who was in a conference and when, and the e-mail that says so.

Always: the same meeting gives the same letter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_OID, UUID, uuid5
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from carillon_contracts.call import ConferenceJoined, ConferenceLeft
from carillon_contracts.config import Tenant
from carillon_contracts.envelope import Event
from carillon_contracts.letter import LetterRequested
from carillon_contracts.tenant_config import TenantConfig
from carillon_voicemail.domain.conference_phrases import phrases_in
from carillon_voicemail.domain.message import Poisoned

_MEETINGS = uuid5(NAMESPACE_OID, "carillon/conference")
#: Of one letter.
MAX_TEXT, MAX_RECIPIENTS = 19_000, 100
JOINED, LEFT, ENDED = "conference_joined", "conference_left", "ended"


@dataclass(frozen=True, slots=True)
class Joined:
    """Somebody came."""

    tenant: str
    call_id: str
    seq: int
    at: datetime
    data: ConferenceJoined


@dataclass(frozen=True, slots=True)
class Left:
    """Somebody's call is in no conference any more."""

    tenant: str
    call_id: str
    seq: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Attendance:
    """One stay of one party."""

    party: str
    number: str
    creator: bool
    joined_at: datetime
    left_at: datetime


@dataclass(frozen=True, slots=True)
class Meeting:
    """All of a conference that is over, in the order in which they came."""

    tenant: str
    meeting_id: str
    room_id: str
    display_name: str
    stays: tuple[Attendance, ...]

    @property
    def mail_id(self) -> UUID:
        """Of its e-mail."""
        return uuid5(_MEETINGS, f"{self.tenant}/{self.meeting_id}")


def read(body: bytes) -> Joined | Left | None:
    """What a call's event says of conferences; None: nothing. Raises `Poisoned`."""
    try:
        event = Event.from_json(body)
        fact = event.type.split(".")[2]
        if fact not in (JOINED, LEFT, ENDED):
            return None
        if not event.callid or event.seq is None:
            raise Poisoned("a call's event needs callid and seq")
        if fact == JOINED:
            return Joined(event.tenantid, event.callid, event.seq, event.time, ConferenceJoined.model_validate(event.data))
        if fact == LEFT:
            ConferenceLeft.model_validate(event.data)
        return Left(event.tenantid, event.callid, event.seq, event.time)
    except (ValidationError, IndexError) as error:
        raise Poisoned(f"not a conference's event: {error}") from error


def recipients(meeting: Meeting, config: TenantConfig) -> tuple[str, ...]:
    """The room's addresses and its owner's; nobody when the room is gone."""
    room = config.conference_rooms.get(meeting.room_id)
    if room is None:
        return ()
    owner = config.users.get(room.owner_user_id)
    return tuple(dict.fromkeys(filter(None, (*room.emails, owner.email if owner is not None else ""))))


def compose(meeting: Meeting, to: Sequence[str], config: TenantConfig) -> LetterRequested:
    """The summary. Raises `ValueError` for what can be no letter."""
    room, tenant = config.conference_rooms.get(meeting.room_id), config.get(Tenant, meeting.tenant)
    language = (room.language if room is not None else "") or (tenant.language if tenant is not None else "en")
    zone = ZoneInfo(tenant.time_zone) if tenant is not None else UTC
    phrases, name = phrases_in(language), _one_line(meeting.display_name or meeting.room_id)
    begin = min(stay.joined_at for stay in meeting.stays)
    end = max(stay.left_at for stay in meeting.stays)
    lines = [name, f"{begin.astimezone(zone):%Y-%m-%d} {_stay(phrases.attended, begin, end, zone)}", ""]
    for stay in meeting.stays:
        shown = ", ".join(dict.fromkeys(filter(None, (_one_line(stay.party), _one_line(stay.number)))))
        lines.append(f"{'* ' if stay.creator else '- '}{shown}: {_stay(phrases.attended, stay.joined_at, stay.left_at, zone)}")
    text = "\n".join(lines)
    # A meeting of many comings and goings: what does not fit is left out, and that is seen.
    text = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT].rpartition(chr(10))[0]}\n..."
    subject = phrases.summary.format(name=name)[:300]
    return LetterRequested(to=tuple(to[:MAX_RECIPIENTS]), subject=subject, text=f"{text}\n", language=phrases.language)


def _stay(template: str, start: datetime, end: datetime, zone: ZoneInfo | object) -> str:
    duration = timedelta(seconds=max(0, round((end - start).total_seconds())))
    local = [moment.astimezone(zone).strftime("%H:%M:%S") for moment in (start, end)]  # type: ignore[arg-type]
    return template.format(start=local[0], end=local[1], duration=str(duration))


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]
