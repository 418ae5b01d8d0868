"""A conference room by itself: its limits, its keys, its closing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_media.domain.conference import Member, Room, changed, closes_at, code_of, entered, last_participant, left, muted_all, refusal

pytestmark = pytest.mark.feature("M-9")


def member(key: str, *, creator: bool = False, at: float = 0.0) -> Member:
    return Member(key, key.title(), "", creator, at)


def room(*keys: str, creators: str = "", **fields: object) -> Room:
    found = Room("dupont", "board", "m1", **fields)  # type: ignore[arg-type]
    for key in keys:
        found = entered(found, member(key, creator=key in creators.split()))
    return found


def test_a_full_room_takes_nobody_and_a_locked_one_only_creators() -> None:
    full = room("ann", "bob", max_parties=2)
    assert refusal(full, member("carl", creator=True)) == "full"
    assert refusal(full, member("bob")) == ""
    locked = Room("dupont", "board", "m1", locked=True)
    assert refusal(locked, member("carl")) == "locked"
    assert refusal(locked, member("carl", creator=True)) == ""


def test_it_is_idle_when_nobody_can_talk_and_no_creator_is_there() -> None:
    assert closes_at(room("ann", creators="ann", idle_seconds=120)) is None
    alone = left(room("ann", "bob", creators="ann", idle_seconds=120), "ann", 50.0)
    assert closes_at(alone) == 170.0
    assert closes_at(left(alone, "bob", 60.0)) == 170.0
    assert closes_at(entered(alone, member("carl", at=60.0))) is None
    assert closes_at(left(room("ann", "bob", "carl", creators="ann"), "ann", 50.0)) is None


def test_a_room_that_waits_is_open_once_a_creator_was_there() -> None:
    waiting = room("bob", "carl", waits_for_creator=True)
    assert not waiting.open
    opened = entered(waiting, member("ann", creator=True))
    assert opened.open
    assert left(opened, "ann", 1.0).open


def test_muting_all_spares_creators_and_once_more_unmutes() -> None:
    quiet = muted_all(changed(room("ann", "bob", "carl", creators="ann"), "bob", muted=True))
    assert [each.muted for each in quiet.members.values()] == [False, True, True]
    assert [each.muted for each in muted_all(quiet).members.values()] == [False, False, False]


def test_who_is_put_out_came_last_and_is_no_creator() -> None:
    assert last_participant(room("bob", "carl", "ann", creators="ann")) == "carl"
    assert last_participant(room("ann", creators="ann")) == ""


def test_keys_of_the_room_are_creators() -> None:
    assert code_of("*6", creator=False) == "*6"
    assert code_of("*9", creator=False) == ""
    assert code_of("*9", creator=True) == "*9"
    assert code_of("69", creator=True) == ""


@given(st.lists(st.tuples(st.sampled_from(["in", "out"]), st.sampled_from("abcde"), st.booleans()), max_size=40), st.integers(2, 4))
def test_whatever_happens_the_limit_holds_and_a_busy_room_does_not_close(steps: list[tuple[str, str, bool]], most: int) -> None:
    found = Room("dupont", "board", "m1", max_parties=most)
    for now, (what, key, creator) in enumerate(steps):
        if what == "out":
            found = left(found, key, float(now))
        elif not refusal(found, new := member(key, creator=creator, at=float(now))):
            found = entered(found, new)
        assert len(found.members) <= most
        busy = len(found.members) > 1 or any(each.creator for each in found.members.values())
        assert (closes_at(found) is None) == (busy or found.idle_since is None)
        assert not busy or closes_at(found) is None
