"""Rooms by name: who is in them, what plays in them, over the core's handles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from carillon_rtp.core import DIGITS, Core, Handle, RecordingRequest, RoomHandle
from carillon_rtp.protocol import BadRequest, NoRoom, files_of, name_of
from carillon_rtp.values import Party, RecordedSides, RoomState

MASK = 2**64
MAX_RECORDING_MS = 24 * 3600 * 1000
TONE_MS = (1000, 600_000)  # between two tones that tell of a recording
GAIN_DB = (-40.0, 18.0)


@dataclass(slots=True, kw_only=True)
class Member:
    """A session as far as rooms and taps are concerned."""

    name: str
    handle: Handle
    peer: str | None = None
    room: str | None = None
    tapped: RoomHandle | None = None  # the nameless room its tapped call is mixed in
    gone: bool = False
    owner: str = ""  # the client that named it last


@dataclass(slots=True)
class _Room:
    name: str
    handle: RoomHandle
    parties: dict[str, tuple[Member, Party]] = field(default_factory=dict)
    play_id: str | None = None
    last_play_id: str | None = None
    recording_id: str | None = None
    last_recording_id: str | None = None
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Taped:
    room: str
    recording_id: str
    path: Path


@dataclass(frozen=True, slots=True)
class Played:
    room: str
    play_id: str


class Rooms:
    """All rooms of one core."""

    def __init__(self, core: Core, next_number: Callable[[], int]) -> None:
        self._core = core
        self._next_number = next_number
        self._rooms: dict[str, _Room] = {}
        self._plays: dict[int, Played] = {}
        self._recordings: dict[int, Taped] = {}

    def touched(self, request: Mapping[str, Any], client: str) -> None:
        """Whoever names a room has it from now on."""
        room = self._rooms.get(request.get("room", ""))
        if room is not None:
            room.owner = client

    def abandon(self, client: str) -> None:
        """Closes the empty rooms of a client that does not come back."""
        for room in [room for room in self._rooms.values() if room.owner == client and not room.parties]:
            self.close({"room": room.name})

    def open(self, request: Mapping[str, Any]) -> None:
        name = name_of(request["room"])
        if name in self._rooms:
            return
        sounds = {key: None if request[key] is None else str(request[key]) for key in ("entry_sound", "exit_sound", "music")}
        self._rooms[name] = _Room(name, self._core.open_room(**sounds, tell_talkers=bool(request["tell_talkers"])))

    def close(self, request: Mapping[str, Any]) -> None:
        room = self._rooms.pop(name_of(request["room"]), None)
        if room is None:
            return
        self._core.close_room(room.handle)
        for member, _ in room.parties.values():
            member.room = None

    def join(self, session: Member, request: Mapping[str, Any]) -> None:
        room, party = self._find(request), party_of(request["party"])
        self._core.join(session.handle, room.handle, party, silent=bool(request["silent"]))
        if session.room != room.name:
            self.forget(session)
        session.room = room.name
        room.parties[session.name] = session, party

    def leave(self, session: Member, *, silent: bool) -> None:
        if session.room is None:
            return
        self._core.leave(session.handle, silent=silent)
        self.forget(session)

    def forget(self, session: Member) -> None:
        """The core has taken it out of its room, or will."""
        if session.room is not None:
            del self._rooms[session.room].parties[session.name]
        session.room = None

    def play(self, request: Mapping[str, Any]) -> None:
        room, play_id, files = self._find(request), name_of(request["play_id"]), files_of(request["files"])
        if room.last_play_id == play_id:
            return
        number = self._next_number()
        self._core.play_room(room.handle, number, files, loop=bool(request["loop"]))
        self._plays[number] = Played(room.name, play_id)
        room.play_id = room.last_play_id = play_id

    def stop_play(self, request: Mapping[str, Any]) -> None:
        self._core.stop_play_room(self._find(request).handle)

    def played(self, number: int) -> Played | None:
        """What was played under a number that is over now; None: it was not played to a room."""
        played = self._plays.pop(number, None)
        room = self._rooms.get(played.room) if played else None
        if played and room and room.play_id == played.play_id:
            room.play_id = None
        return played

    def record(self, request: Mapping[str, Any]) -> None:
        room, recording_id, wanted = self._find(request), name_of(request["recording_id"]), recording_of(request)
        if room.last_recording_id == recording_id:
            return
        number = self._next_number()
        self._core.record_room(room.handle, number, wanted)
        self._recordings[number] = Taped(room.name, recording_id, wanted.path)
        room.recording_id = room.last_recording_id = recording_id

    def stop_record(self, request: Mapping[str, Any]) -> None:
        self._core.stop_record_room(self._find(request).handle)

    def pause_record(self, request: Mapping[str, Any]) -> None:
        self._core.pause_record_room(self._find(request).handle, paused=bool(request["paused"]))

    def recorded(self, number: int) -> Taped | None:
        """What was recorded under a number that is over now; None: it is not a room's."""
        taped = self._recordings.pop(number, None)
        room = self._rooms.get(taped.room) if taped else None
        if taped and room and room.recording_id == taped.recording_id:
            room.recording_id = None
        return taped

    def list(self, _request: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [self._state(room).to_json() for room in self._rooms.values()]

    @property
    def count(self) -> int:
        """Rooms that are open."""
        return len(self._rooms)

    def _state(self, room: _Room) -> RoomState:
        return RoomState(room.name, {name: party for name, (_, party) in room.parties.items()}, room.play_id, room.recording_id)

    def _find(self, request: Mapping[str, Any]) -> _Room:
        room = self._rooms.get(name_of(request["room"]))
        if room is None:
            raise NoRoom("no_room", f"no room {request['room']!r}")
        return room


def party_of(data: Mapping[str, Any]) -> Party:
    """Raises BadRequest with the field that is out of range."""
    party = Party.from_json(data)
    if not 0 <= party.says < MASK or not 0 <= party.hears < MASK:
        raise BadRequest("bad_request", "says and hears are masks of 64 channels")
    if not GAIN_DB[0] <= party.gain_db <= GAIN_DB[1]:
        raise BadRequest("bad_request", f"gain_db is {GAIN_DB[0]:g} to {GAIN_DB[1]:g}")
    return party


def recording_of(request: Mapping[str, Any]) -> RecordingRequest:
    """Raises BadRequest with the field that is out of range."""
    wanted = RecordingRequest(
        Path(request["path"]),
        int(request["max_ms"]),
        int(request.get("silence_ms", 0)),
        str(request.get("finish_digits", "")),
        request.get("sides", "said"),
        int(request.get("tone_ms", 0)),
    )
    if (
        not 0 < wanted.max_ms <= MAX_RECORDING_MS
        or not 0 <= wanted.silence_ms <= MAX_RECORDING_MS
        or set(wanted.finish_digits) - set(DIGITS)
    ):
        raise BadRequest("bad_request", "max_ms, silence_ms or finish_digits out of range")
    if wanted.sides not in get_args(RecordedSides):
        raise BadRequest("bad_request", f"sides is one of {', '.join(get_args(RecordedSides))}")
    if wanted.tone_ms and not TONE_MS[0] <= wanted.tone_ms <= TONE_MS[1]:
        raise BadRequest("bad_request", f"tone_ms is 0 or {TONE_MS[0]} to {TONE_MS[1]}")
    return wanted
