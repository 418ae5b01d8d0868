"""A conference room while somebody is in it, or may come back: who may enter, who waits, what keys do, when it closes.

Invariant: a room holds at most `max_parties`; a locked one lets only creators in; it closes when nobody can talk there any more (fewer than
two parties, no creator among them) for `idle_seconds`. All functions are pure; `now` is monotonic.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

#: What a party presses: for itself, and (creators) for the room.
KEY_MUTE, KEY_LEAVE, KEY_LOCK, KEY_MUTE_ALL, KEY_PUT_OUT, KEY_CLOSE = "*6", "*0", "*5", "*7", "*8", "*9"
_ALL = frozenset({KEY_MUTE, KEY_LEAVE})
_CREATORS = frozenset({KEY_LOCK, KEY_MUTE_ALL, KEY_PUT_OUT, KEY_CLOSE})
Refusal = Literal["", "full", "locked"]


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in the room; `key` is the call's id."""

    key: str
    name: str
    number: str
    creator: bool
    joined: float
    muted: bool = False
    talking: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """`members` in the order in which they came; `meeting_id` names the time from its opening to its closing."""

    tenant: str
    room_id: str
    meeting_id: str
    display_name: str = ""
    max_parties: int = 200
    idle_seconds: float = 120.0
    waits_for_creator: bool = False
    members: Mapping[str, Member] = field(default_factory=dict)
    locked: bool = False
    #: A creator was there.
    opened: bool = False
    idle_since: float | None = None
    #: It is recorded: as the room is set, until somebody wants it otherwise.
    recorded: bool = False
    #: Somebody wanted so, and the room itself does not say it to those who come.
    tells: bool = False

    @property
    def open(self) -> bool:
        """Those who are in it hear each other."""
        return self.opened or not self.waits_for_creator


def refusal(room: Room, member: Member) -> Refusal:
    """Why the member cannot enter; one that is in it already can."""
    if member.key in room.members:
        return ""
    if len(room.members) >= room.max_parties:
        return "full"
    return "locked" if room.locked and not member.creator else ""


def entered(room: Room, member: Member) -> Room:
    """The room with the member in it."""
    members = {**room.members, member.key: room.members.get(member.key, member)}
    return _idle(replace(room, members=members, opened=room.opened or member.creator), member.joined)


def left(room: Room, key: str, now: float) -> Room:
    """The room without the member."""
    return _idle(replace(room, members={name: member for name, member in room.members.items() if name != key}), now)


def _idle(room: Room, now: float) -> Room:
    busy = len(room.members) > 1 or any(member.creator for member in room.members.values())
    return replace(room, idle_since=None if busy else now if room.idle_since is None else room.idle_since)


def closes_at(room: Room) -> float | None:
    """When it closes if nobody comes; None: as long as it goes on like this never."""
    return None if room.idle_since is None else room.idle_since + room.idle_seconds


def changed(room: Room, key: str, *, muted: bool | None = None, talking: bool | None = None) -> Room:
    """A member muted or not, talking or not; the same room when nothing changes or it is not there."""
    member = room.members.get(key)
    if member is None:
        return room
    new = replace(member, muted=member.muted if muted is None else muted, talking=member.talking if talking is None else talking)
    return room if new == member else replace(room, members={**room.members, key: new})


def muted_all(room: Room) -> Room:
    """Everybody but the creators, unless they are all muted already: then nobody."""
    others = [member for member in room.members.values() if not member.creator]
    muted = not all(member.muted for member in others)
    members = {key: member if member.creator else replace(member, muted=muted) for key, member in room.members.items()}
    return replace(room, members=members)


def last_participant(room: Room) -> str:
    """Who came last and is no creator; empty: there is nobody."""
    return next((key for key, member in reversed(list(room.members.items())) if not member.creator), "")


def code_of(pressed: str, creator: bool) -> str:
    """The code that the last two keys are for this member; empty: none."""
    return pressed if pressed in _ALL or (creator and pressed in _CREATORS) else ""
