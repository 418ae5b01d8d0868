"""The dialogue at the door of a conference room."""

from datetime import UTC, datetime
from typing import Any

import pytest

from carillon_contracts.config import ConfigChanged
from carillon_contracts.tenant_config import TenantConfig, evolve
from carillon_voicemail.domain import conference
from carillon_voicemail.domain.conference import Ask, Caller, Cursor, Enter, HangUp, Say, cursor_of

pytestmark = pytest.mark.feature("M-9")
NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
PIN = "$argon2id$v=19$m=16384,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA"
ANNE = Caller("101", "Anne Dumas", "anne")


def house(**room: Any) -> TenantConfig:
    config = TenantConfig("dupont")
    documents = [("tenant", {"id": "dupont", "realm": "d.example", "language": "fr"}), ("user", {"id": "anne", "last_name": "Dumas"})]
    documents.append(("conference_room", {"id": "board", **room}))
    for seq, (kind, document) in enumerate(documents, 1):
        change = ConfigChanged(resource=kind, resource_id=document["id"], action="created", after=document, actor="t")
        config = evolve(config, seq, change)
    return config


def begin(config: TenantConfig, caller: Caller = ANNE, room: str = "board") -> conference.Decision:
    return conference.begin(caller, {"conference_room_id": room}, config, NOW)


def test_a_room_without_secrets_lets_in_and_names_the_caller() -> None:
    step = begin(house()).step
    assert isinstance(step, Enter)
    assert (step.creator, step.waits, step.party_name, step.language) == (True, False, "Anne Dumas", "fr")


def test_who_enters_a_room_that_is_recorded_is_told_so_first() -> None:
    config = house(owner_user_id="anne", creator_pin_hash=PIN, recording=True)
    told = begin(config)
    assert told.step == Say("Cette conférence est enregistrée.")
    entered = conference.warned(ANNE, cursor_of(told.cursor.to_bytes()) or told.cursor, config).step
    assert isinstance(entered, Enter)
    assert entered.creator
    guest = conference.typed(Caller("102"), begin(config, Caller("102")).cursor, config, "", "participant")
    assert guest.step == told.step
    entered = conference.warned(Caller("102"), guest.cursor, config).step
    assert isinstance(entered, Enter)
    assert not entered.creator
    assert isinstance(conference.warned(ANNE, told.cursor, TenantConfig("dupont")).step, Say)


def test_the_owner_s_line_needs_no_pin() -> None:
    config = house(owner_user_id="anne", creator_pin_hash=PIN)
    assert isinstance(begin(config).step, Enter)
    assert isinstance(begin(config, Caller("102", "Bob", "bob")).step, Ask)


@pytest.mark.parametrize(
    ("fields", "open_now"),
    [
        ({"period_from": "2026-03-02T09:00:00Z"}, True),
        ({"period_from": "2026-03-02T11:00:00Z"}, False),
        ({"period_to": "2026-03-02T10:00:00Z"}, False),
    ],
)
def test_a_room_is_open_in_its_period(fields: dict[str, str], open_now: bool) -> None:
    assert isinstance(begin(house(**fields)).step, Enter if open_now else Say)


def test_pin_password_and_wrong_ones() -> None:
    config = house(creator_pin_hash=PIN, participant_password_hash=PIN)
    asked = begin(config)
    assert isinstance(asked.step, Ask)
    creator = conference.typed(ANNE, asked.cursor, config, "**1234", "creator").step
    guest = conference.typed(ANNE, asked.cursor, config, "2718", "participant").step
    assert isinstance(creator, Enter)
    assert isinstance(guest, Enter)
    assert (creator.creator, guest.creator, guest.waits) == (True, False, True)
    cursor = asked.cursor
    for _ in range(2):
        again = conference.typed(ANNE, cursor, config, "9", "wrong")
        assert isinstance(again.step, Ask)
        cursor = again.cursor
    assert isinstance(conference.typed(ANNE, cursor, config, "9", "wrong").step, Say)
    assert isinstance(conference.typed(ANNE, asked.cursor, config, "9", "locked").step, Say)
    assert isinstance(conference.typed(ANNE, asked.cursor, config, "", "").step, Ask)


def test_without_a_password_whoever_types_no_pin_takes_part() -> None:
    config = house(creator_pin_hash=PIN)
    step = conference.typed(ANNE, begin(config).cursor, config, "", "").step
    assert isinstance(step, Enter)
    assert not step.creator
    assert isinstance(conference.typed(ANNE, begin(config).cursor, config, "**1", "wrong").step, Ask)


def test_the_cursor_travels_and_every_way_out_ends() -> None:
    cursor = begin(house()).cursor
    assert cursor_of(cursor.to_bytes()) == cursor
    assert cursor_of(b"") is None
    assert cursor_of(b'{"mailbox_id":"main"}') is None
    for result in ("left", "kicked", "closed", "full", "locked", "failed"):
        said = conference.came_out(cursor, result)
        assert isinstance(said.step, Say)
        assert isinstance(conference.goodbye(said.cursor).step, HangUp)


def test_an_unknown_room_is_said_to_be_none() -> None:
    assert isinstance(begin(house(), room="other").step, Say)
    assert isinstance(conference.typed(ANNE, Cursor("other", "en", "asking"), house(), "1", "").step, Say)


def test_where_the_tenant_was_deleted_a_caller_hears_so_and_goes() -> None:
    config = house()
    gone = ConfigChanged(resource="tenant", resource_id="dupont", action="deleted", before={"id": "dupont"}, actor="t")
    assert isinstance(begin(evolve(config, config.seq + 1, gone), room="other").step, Say)
