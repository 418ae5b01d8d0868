"""One event as a calendar file: RFC 5545 and 5546, times in UTC.

Always: lines end with CRLF and are folded at 75 octets; no value can add a line of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_FOLD = 75


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """What a calendar shows. `uid` names it for ever; `reminder` before its beginning, None: no alarm."""

    uid: str
    summary: str
    description: str
    location: str
    organizer: str
    attendees: Sequence[str]
    starts_at: datetime
    ends_at: datetime
    reminder: timedelta | None = None
    #: Of a later change the next one (section 3.8.7.4).
    sequence: int = 0
    #: It does not take place.
    cancelled: bool = False


def calendar_file(event: CalendarEvent, now: datetime) -> str:
    """The file; `now` is when it was made (DTSTAMP)."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Carillon//Conferences//EN",
        f"METHOD:{'CANCEL' if event.cancelled else 'REQUEST'}",
        "BEGIN:VEVENT",
        f"UID:{_text(event.uid)}",
        f"DTSTAMP:{_utc(now)}",
        f"SEQUENCE:{event.sequence}",
        *(("STATUS:CANCELLED",) if event.cancelled else ()),
        f"DTSTART:{_utc(event.starts_at)}",
        f"DTEND:{_utc(event.ends_at)}",
        f"SUMMARY:{_text(event.summary)}",
        f"LOCATION:{_text(event.location)}",
        f"DESCRIPTION:{_text(event.description)}",
        f"ORGANIZER:mailto:{_address(event.organizer)}",
        *(f"ATTENDEE;ROLE=REQ-PARTICIPANT;RSVP=FALSE:mailto:{_address(each)}" for each in event.attendees),
        *(_alarm(event.summary, event.reminder) if event.reminder is not None else ()),
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def _alarm(summary: str, before: timedelta) -> tuple[str, ...]:
    minutes = max(0, round(before.total_seconds() / 60))
    return ("BEGIN:VALARM", "ACTION:DISPLAY", f"DESCRIPTION:{_text(summary)}", f"TRIGGER:-PT{minutes}M", "END:VALARM")


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(value: str) -> str:
    """Section 3.3.11: backslash, semicolon, comma and line breaks are escaped; other control characters have no place."""
    lines = value.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    plain = ["".join(c if c.isprintable() or c == "\t" else " " for c in line) for line in lines]
    return "\\n".join(line.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,") for line in plain)


def _address(value: str) -> str:
    return "".join(c for c in value if c.isprintable() and not c.isspace())


def _folded(line: str) -> str:
    """Section 3.1: a line break and a space after at most 75 octets, never inside a character."""
    parts, part, size = list[str](), "", 0
    for character in line:
        octets = len(character.encode())
        if size + octets > _FOLD:
            parts.append(part)
            part, size = " ", 1
        part, size = part + character, size + octets
    return "\r\n".join([*parts, part])
