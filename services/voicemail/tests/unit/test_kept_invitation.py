"""What becomes of an invitation: more guests, another time, taken back; and what its guests are told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from carillon_contracts.config import ConferenceRoom, Resource, Tenant
from carillon_contracts.erasure import ERASED_EMAIL
from carillon_contracts.tenant_config import TenantConfig
from carillon_voicemail.domain.conference_invitation import Invitation, Letter
from carillon_voicemail.domain.kept_invitation import MAX_GUESTS, Change, KeptInvitation, Refused, cancel, invite, stands

pytestmark = pytest.mark.feature("M-9")
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ROOM = ConferenceRoom(id="board", display_name="Board", emails=("desk@d.example",))
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)


def config(*rooms: ConferenceRoom, seq: int = 7, language: str = "en") -> TenantConfig:
    own = Tenant(id="dupont", realm="d.example", language=language, time_zone="Europe/Zurich")
    by_kind: dict[str, dict[str, Resource]] = {"tenant": {own.id: own}, "conference_room": {room.id: room for room in rooms}}
    return TenantConfig("dupont", seq, by_kind)


def invited(kept: KeptInvitation | None, *emails: str, hours: int = 24, room: ConferenceRoom = ROOM, now: datetime = NOW) -> Change:
    asked = Invitation("dupont", "i1", room.id, emails, NOW + timedelta(hours=hours), HOUR, reminder=QUARTER)
    return invite(kept, asked, room, config(ROOM), "carillon@d.example", now)


def told(change: Change) -> list[tuple[str, str]]:
    return [(letter.content.to[0][0], letter.kind) for letter in change.letters]


def calendar(change: Change) -> list[str]:
    return lines_of(change.letters[0])


def lines_of(letter: Letter) -> list[str]:
    (attached,) = letter.content.attachments
    return attached.text.replace("\r\n ", "").split("\r\n")


def test_another_time_is_told_to_all_and_is_a_later_change_of_the_same_event() -> None:
    first = invited(None, "a@x.example")
    moved = invited(first.kept, "A@X.example", "b@x.example", hours=48)
    assert told(moved) == [("a", "moved"), ("a", "reminder"), ("b", "invitation"), ("b", "reminder")]
    assert moved.kept.emails == ("a@x.example", "b@x.example")
    assert moved.letters[0].content.subject == "New time: Board"
    assert moved.unsent == [letter.letter_id for letter in first.letters if letter.kind == "reminder"]
    before, after = calendar(first), calendar(moved)
    assert [line for line in before if line.startswith(("UID", "ORG"))] == [line for line in after if line.startswith(("UID", "ORG"))]
    assert ("SEQUENCE:0" in before, "SEQUENCE:1" in after, "METHOD:REQUEST" in after) == (True, True, True)
    assert not {letter.letter_id for letter in first.letters} & {letter.letter_id for letter in moved.letters}


def test_more_guests_at_the_same_time_change_nothing_for_the_others() -> None:
    first = invited(None, "a@x.example")
    more = invited(first.kept, "b@x.example")
    assert (told(more), more.kept.emails, more.kept.sequence) == (
        [("b", "invitation"), ("b", "reminder")],
        ("a@x.example", "b@x.example"),
        0,
    )


def test_what_is_taken_back_is_taken_out_of_the_calendar_once_and_nobody_is_reminded() -> None:
    first = invited(None, "a@x.example", "b@x.example")
    gone = cancel(first.kept, config(ROOM), NOW, "Sorry.")
    assert told(gone) == [("a", "cancelled"), ("b", "cancelled")]
    assert gone.letters[0].content.subject == "Cancelled: Board"
    assert gone.letters[0].content.text == (
        "Board\n\nThe conference on 2026-03-03 from 10:00 to 11:00 (Europe/Zurich) does not take place.\n\nSorry.\n"
    )
    assert gone.unsent == [letter.letter_id for letter in first.letters if letter.kind == "reminder"]
    lines = calendar(gone)
    assert {"METHOD:CANCEL", "STATUS:CANCELLED", "SEQUENCE:1"} < set(lines)
    assert [line for line in lines if line.startswith("UID")] == [line for line in calendar(first) if line.startswith("UID")]
    assert cancel(gone.kept, config(ROOM), NOW) == Change(gone.kept)
    with pytest.raises(Refused, match="was taken back"):
        invited(gone.kept, "c@x.example")
    with pytest.raises(Refused, match="the invitation is to board"):
        invited(first.kept, "c@x.example", room=ConferenceRoom(id="other"))


def test_an_invitation_whose_conference_is_over_is_not_moved_into_the_future() -> None:
    first = invited(None, "a@x.example").kept
    assert told(invited(first, "b@x.example", hours=72, now=first.ends_at - QUARTER))[0] == ("a", "moved")
    with pytest.raises(Refused, match="its conference is over; choose another one"):
        invited(first, "b@x.example", hours=72, now=first.ends_at)


def test_letters_of_a_conference_at_another_time_are_others_though_the_first_one_is_forgotten() -> None:
    first, next_month = invited(None, "a@x.example"), invited(None, "a@x.example", hours=24 * 40, now=NOW + timedelta(days=35))
    assert first.kept.sequence == next_month.kept.sequence
    assert not {letter.letter_id for letter in first.letters} & {letter.letter_id for letter in next_month.letters}
    gone = [cancel(change.kept, config(ROOM), NOW).letters[0].letter_id for change in (first, next_month)]
    assert gone[0] != gone[1]


def test_the_organizer_of_an_event_stays_whoever_the_room_is_given_to() -> None:
    first = invited(None, "a@x.example")
    other = ROOM.model_copy(update={"emails": ("new@d.example",)})
    changes = [invited(first.kept, "b@x.example", room=other), invited(first.kept, "b@x.example", hours=48, room=other)]
    changes.append(cancel(changes[1].kept, config(other), NOW))
    assert {change.kept.organizer for change in changes} == {"desk@d.example"}
    files = [lines_of(letter) for change in changes for letter in change.letters if letter.kind != "reminder"]
    assert len(files) == 5
    assert {line for file in files for line in file if line.startswith("ORGANIZER")} == {"ORGANIZER:mailto:desk@d.example"}


def test_one_invitation_has_a_bounded_number_of_guests_in_all() -> None:
    kept = invited(None, *(f"g{number}@x.example" for number in range(MAX_GUESTS))).kept
    assert len(invited(kept, "G0@x.example", hours=48).kept.emails) == MAX_GUESTS
    with pytest.raises(Refused, match="emails: at most 500 guests in all"):
        invited(kept, "one-more@x.example")


def test_whoever_was_erased_is_told_nothing() -> None:
    kept = replace(invited(None, "a@x.example").kept, emails=(ERASED_EMAIL, "b@x.example"))
    assert told(cancel(kept, config(ROOM), NOW)) == [("b", "cancelled")]
    assert told(invited(kept, "b@x.example", hours=48)) == [("b", "moved"), ("b", "reminder")]


@pytest.mark.parametrize("language", ["fr", "de", "nl", "it"])
def test_it_is_said_in_the_tenant_s_language(language: str) -> None:
    kept = invited(None, "a@x.example").kept
    (letter,) = cancel(kept, config(language=language), NOW).letters
    assert "does not" not in letter.content.text
    assert "2026-03-03" in letter.content.text


def test_it_stands_as_long_as_its_room_is_there_at_its_time() -> None:
    kept = invited(None, "a@x.example").kept
    ended = ROOM.model_copy(update={"period_to": NOW + HOUR})
    later = ROOM.model_copy(update={"period_from": NOW + timedelta(days=9)})
    assert [stands(kept, config(room, seq=8)) for room in (ROOM, ended, later)] == [True, False, False]
    assert not stands(kept, config(seq=8))
    assert stands(kept, config(seq=7)), "a configuration that is not newer than the invitation says nothing"
    assert stands(kept, TenantConfig("dupont")), "nor one that is not known"
    assert not stands(kept, TenantConfig("dupont", 9, {})), "the tenant was deleted"
    assert not stands(kept, TenantConfig("dupont", 9, {"conference_room": {"board": ROOM}})), "the tenant alone"
    assert told(cancel(kept, TenantConfig("dupont", 9, {}), NOW)) == [("a", "cancelled")]
