"""What people in a conference room were told of its recording is so, whatever fails or dies."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from carillon_kit.clock import SystemClock
from carillon_kit.ids import SystemIds
from carillon_kit.logs import get_logger
from carillon_media.adapters.room_spool import RoomSpool
from carillon_media.domain import inputs
from carillon_media.domain.state import Leg
from carillon_media.domain.steps import Conference
from carillon_media.handlers.quiet import QuietLog
from carillon_media.handlers.room_tapes import RoomTapes
from carillon_media.handlers.rooms import Rooms
from carillon_rtp.protocol import PlaneError, PlaneUnavailable

pytestmark = pytest.mark.feature("M-9")


class Plane:
    """Does what it is asked, but for what is to fail; records rooms."""

    def __init__(self) -> None:
        self.fails: dict[str, PlaneError] = {}
        self.recorded: set[str] = set()
        self.said = 0

    def __getattr__(self, name: str) -> Any:
        async def done(*given: Any, **options: Any) -> None:
            if name in self.fails:
                raise self.fails[name]
            if name == "record_room":
                self.recorded.add(given[0])
            elif name == "stop_record_room":
                self.recorded.discard(given[0])
            elif name == "play_room":
                self.said += 1

        return done


class Prompts:
    """Files without sound."""

    def room_sounds(self) -> tuple[Path, Path]:
        return Path("in.wav"), Path("out.wav")

    async def music(self, tenant: str, music_id: str) -> tuple[Path, ...]:
        return (Path("music.wav"),)

    async def files(self, *given: object) -> list[Path]:
        return [Path("said.wav")]


class Place:
    """The rooms of a process; another one in the same folder is the next process."""

    def __init__(self, folder: Path) -> None:
        self.plane = Plane()
        plane: Any = self.plane
        parts: Any = SimpleNamespace(
            clock=SystemClock(), ids=SystemIds(), plane=plane, prompts=Prompts(), quiet=QuietLog(get_logger("test"), SystemClock())
        )
        self.work: list[Any] = []
        self.rooms = Rooms(parts, self.work.append)
        self.rooms.tapes = RoomTapes(plane, RoomSpool(folder, lambda name, path: None), lambda *given: None)

    async def enter(self, *, record: bool, silent: bool = False) -> None:
        async def nothing(leg: object) -> None:
            return None

        posted: list[inputs.Input] = []
        facts = SimpleNamespace(tenant="acme", call_id="c1", caller_name="Anne")
        actor: Any = SimpleNamespace(
            call=SimpleNamespace(facts=facts, legs={"a": Leg("a", "anne", "101", "answered")}),
            legs={"a": SimpleNamespace(plane="c1/a")},
            ports=SimpleNamespace(agree=nothing, tell=nothing),
            post=posted.append,
        )
        await self.rooms.enter(actor, "a", Conference("board", language="en", record=record), silent=silent)
        assert isinstance(posted[0], inputs.RoomEntered)

    @property
    def recorded(self) -> tuple[bool, bool]:
        """As the room says, and as the plane does."""
        room = self.rooms.find("acme", "board")
        assert room is not None
        return room.recorded, bool(self.plane.recorded)

    async def record(self, on: bool) -> str:
        return await self.rooms.record("acme", "board", "olga", on=on)


async def test_a_recording_that_cannot_be_ended_is_not_said_to_have_ended(tmp_path: Path) -> None:
    place = Place(tmp_path)
    await place.enter(record=True)
    place.plane.fails["stop_record_room"] = PlaneUnavailable("unavailable", "away")
    assert await place.record(False) == "failed"
    assert (place.recorded, place.plane.said) == ((True, True), 0)
    place.plane.fails["stop_record_room"] = PlaneError("no_room", "it is over")
    assert await place.record(False) == "done"
    assert (place.recorded[0], place.plane.said) == (False, 1)


async def test_nobody_is_recorded_who_cannot_be_told(tmp_path: Path) -> None:
    place = Place(tmp_path)
    await place.enter(record=False)
    place.plane.fails["play_room"] = PlaneUnavailable("unavailable", "away")
    assert await place.record(True) == "failed"
    assert place.recorded == (False, False)
    place.plane.fails["stop_record_room"] = PlaneUnavailable("unavailable", "away")
    assert await place.record(True) == "failed"
    assert place.recorded == (True, True), "it runs, and the room shows it"
    place.plane.fails.clear()
    assert await place.record(False) == "done"
    assert await place.record(True) == "done"
    assert place.recorded == (True, True)


@pytest.mark.parametrize("on", [True, False])
async def test_what_somebody_wanted_outlives_the_process_but_not_the_meeting(tmp_path: Path, on: bool) -> None:
    place = Place(tmp_path)
    await place.enter(record=not on)
    assert await place.record(on) == "done"
    place = Place(tmp_path)
    await place.enter(record=not on, silent=True)
    assert place.recorded == (on, on)
    after_death = Place(tmp_path)
    await after_death.enter(record=not on)
    assert after_death.recorded == (not on, not on), "another meeting: nobody was in the room when the process died"
    assert place.rooms.close("acme", "board")
    for work in place.work:
        await work
    place = Place(tmp_path)
    await place.enter(record=not on, silent=True)
    assert place.recorded == (not on, not on)
