"""PINs of conference rooms: right, wrong, and too often wrong."""

from typing import Any

import pytest
from argon2 import PasswordHasher

from carillon_contracts.config import ConferenceRoom
from carillon_voicemail.adapters.conference_door import ConferenceDoor
from carillon_voicemail.adapters.pin_tries import CALLER_TRIES, THING_TRIES, PinTries

pytestmark = pytest.mark.feature("M-9")
HASHER = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
ROOM = ConferenceRoom(id="board", creator_pin_hash=HASHER.hash("1234"), participant_password_hash=HASHER.hash("2718"))


async def test_what_is_typed_is_told_apart(pool: Any) -> None:
    door = ConferenceDoor(PinTries(pool, timeout=5))
    assert await door.look("dupont", ROOM, "101", "**1234") == "creator"
    assert await door.look("dupont", ROOM, "101", "2718") == "participant"
    assert await door.look("dupont", ROOM, "101", "1234") == "wrong"
    assert await door.look("dupont", ROOM, "101", "**2718") == "wrong"
    assert await door.look("dupont", ROOM, "101", "") == ""
    assert await door.look("dupont", ConferenceRoom(id="open"), "101", "**1234") == "wrong"


async def test_a_caller_is_locked_after_wrong_tries_by_any_process_and_nobody_else_is(pool: Any) -> None:
    for _ in range(CALLER_TRIES):
        assert await ConferenceDoor(PinTries(pool, timeout=5)).look("dupont", ROOM, "101", "9999") == "wrong"
    again = ConferenceDoor(PinTries(pool, timeout=5))
    assert await again.look("dupont", ROOM, "101", "**1234") == "locked"
    assert await again.look("dupont", ROOM, "102", "**1234") == "creator"
    assert await again.look("other", ROOM, "101", "**1234") == "creator"
    await pool.execute("update conference_tries set locked_until = clock_timestamp() - interval '1 second'")
    assert await again.look("dupont", ROOM, "101", "9999") == "wrong"
    assert await again.look("dupont", ROOM, "101", "**1234") == "creator"


async def test_a_right_pin_forgets_the_caller_s_failures(pool: Any) -> None:
    door = ConferenceDoor(PinTries(pool, timeout=5))
    for _ in range(3):
        for _ in range(CALLER_TRIES - 1):
            assert await door.look("dupont", ROOM, "101", "9999") == "wrong"
        assert await door.look("dupont", ROOM, "101", "2718") == "participant"


async def test_a_room_is_locked_when_many_callers_guess(pool: Any) -> None:
    door = ConferenceDoor(PinTries(pool, timeout=5))
    for guess in range(THING_TRIES):
        assert await door.look("dupont", ROOM, f"+4179{guess}", "9999") == "wrong"
    assert await door.look("dupont", ROOM, "101", "**1234") == "locked"
