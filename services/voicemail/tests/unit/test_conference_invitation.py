"""Invitations to conferences: who is told what, when, and the calendar's file."""

from datetime import UTC, datetime, timedelta

import pytest

from carillon_contracts.config import ConferenceRoom, Destination, Extension, Number, Resource, Tenant, User
from carillon_contracts.tenant_config import TenantConfig
from carillon_voicemail.domain.calendar import CalendarEvent, calendar_file
from carillon_voicemail.domain.conference_invitation import Invitation, Letter, letters, organizer_of

pytestmark = pytest.mark.feature("M-9")
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ROOM = ConferenceRoom(id="board", display_name="Board, weekly", owner_user_id="anne")
TO_ROOM = Destination(conference_room_id="board")


def config(language: str = "en") -> TenantConfig:
    resources: list[Resource] = [
        Tenant(id="dupont", realm="d.example", language=language, time_zone="Europe/Zurich"),
        User(id="anne", last_name="Dumas", email="anne@dupont.example"),
        ROOM,
        Number(id="+41215550190", destination=TO_ROOM),
        Number(id="+41215550199"),
        Extension(id="600", destination=TO_ROOM),
    ]
    by_kind: dict[str, dict[str, Resource]] = {}
    for each in resources:
        by_kind.setdefault(each.KIND, {})[each.id] = each
    return TenantConfig("dupont", 1, by_kind)


def invited(language: str = "en", *emails: str, **changes: object) -> list[Letter]:
    fields = {"starts_at": NOW + timedelta(days=1), "duration": timedelta(minutes=90), **changes}
    guests = emails or ("a@x.example",)
    told, known = Invitation("dupont", "i1", "board", guests, **fields), config(language)  # type: ignore[arg-type]
    return letters(told, ROOM, known, organizer_of(ROOM, known, "carillon@d.example"), NOW)


def test_a_guest_reads_when_and_how_in_the_tenant_s_language_and_time() -> None:
    (letter,) = invited("en", password="2468", message="Bring figures.")
    assert letter.content.to == ("a@x.example",)
    assert letter.content.subject == "Invitation: Board, weekly"
    assert letter.content.text == (
        "Board, weekly\n\nOn 2026-03-03 from 10:00 to 11:30 (Europe/Zurich).\nDial +41215550190, 600.\n"
        "Enter the code 2468, then hash.\n\nBring figures.\n"
    )
    assert invited("fr")[0].content.subject == "Invitation : Board, weekly"
    assert "Le 2026-03-03 de 10:00 à 11:30" in invited("fr-CH")[0].content.text


def test_a_conference_over_a_change_of_the_clocks_ends_when_its_calendar_says() -> None:
    (letter,) = invited("en", starts_at=datetime(2026, 3, 29, 0, 30, tzinfo=UTC), duration=timedelta(hours=2))
    assert "On 2026-03-29 from 01:30 to 04:30 (Europe/Zurich)." in letter.content.text
    assert unfolded(letter.content.attachments[0].text)["DTEND"] == "20260329T023000Z"


def test_everybody_gets_one_letter_and_one_reminder_whoever_asks_again() -> None:
    first = invited("en", "a@x.example", "B@x.example", "a@x.example", reminder=timedelta(minutes=15))
    again = invited("en", "b@x.example", reminder=timedelta(minutes=15))
    assert [(letter.content.to, letter.kind) for letter in first] == [
        (("a@x.example",), "invitation"),
        (("a@x.example",), "reminder"),
        (("B@x.example",), "invitation"),
        (("B@x.example",), "reminder"),
    ]
    assert [letter.letter_id for letter in first[2:]] == [letter.letter_id for letter in again]
    assert len({letter.letter_id for letter in first}) == 4
    assert first[1].due == NOW + timedelta(days=1, minutes=-15)
    assert first[1].content.subject == "Reminder: Board, weekly"


def test_a_reminder_that_would_be_due_already_is_left_out() -> None:
    assert len(invited("en", starts_at=NOW + timedelta(minutes=10), reminder=timedelta(minutes=15))) == 1


def test_the_calendar_s_event_is_the_same_for_all_guests() -> None:
    files = [letter.content.attachments[0].text for letter in invited("en", "a@x.example", "b@x.example")]
    assert [file.count("BEGIN:VEVENT") for file in files] == [1, 1]
    (uid, other) = [next(line for line in file.split("\r\n") if line.startswith("UID:")) for file in files]
    assert uid == other
    lines = unfolded(files[0])
    assert lines["DTSTART"] == "20260303T090000Z"
    assert lines["DTEND"] == "20260303T103000Z"
    assert lines["SUMMARY"] == r"Board\, weekly"
    assert lines["ORGANIZER"] == "mailto:anne@dupont.example"
    assert lines["ATTENDEE;ROLE=REQ-PARTICIPANT;RSVP=FALSE"] == "mailto:a@x.example"


def unfolded(file: str) -> dict[str, str]:
    """Lines of a calendar file by name (RFC 5545 section 3.1)."""
    assert file.endswith("\r\n")
    assert all(len(line.encode()) <= 75 for line in file.split("\r\n"))
    return dict(line.split(":", 1) for line in file.replace("\r\n ", "").split("\r\n") if line)


def test_no_value_adds_a_line_and_long_ones_are_folded_inside_no_character() -> None:
    evil = "Réunion; très, très\\ longue " * 5 + "\r\nATTENDEE:mailto:x@y\nBEGIN:VALARM"
    event = CalendarEvent("u1", evil, evil, evil, "o@x.example\r\nX:1", ("a@x.example",), NOW, NOW, timedelta(minutes=10))
    lines = unfolded(calendar_file(event, NOW))
    assert "ATTENDEE" not in lines
    assert lines["ORGANIZER"] == "mailto:o@x.exampleX:1"
    assert lines["SUMMARY"].startswith(r"Réunion\; très\, très\\ longue ")
    assert lines["SUMMARY"].endswith(r"\nATTENDEE:mailto:x@y\nBEGIN:VALARM")
    assert lines["TRIGGER"] == "-PT10M"
