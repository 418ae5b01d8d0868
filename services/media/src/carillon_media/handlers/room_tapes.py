"""Recordings of conference rooms: begun when a room that wants it is opened, finished when it closes or its process has died.

Invariant: a room has one recording at most; what was recorded is told once it is MP3 and waits for upload, whatever process began it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from carillon_contracts.conference import ConferenceRecorded
from carillon_contracts.envelope import EventData
from carillon_kit.logs import get_logger
from carillon_media.domain.conference import Room
from carillon_media.ports import PlanePort, RoomFiles
from carillon_rtp.protocol import PlaneError, PlaneUnavailable

_log = get_logger(__name__)
PREFIX = "room-"
#: What the plane was asked to end is ended by then, or was over already.
END_SECONDS = 10.0
AGAIN_SECONDS = 0.5
Announce = Callable[[str, str, str, EventData], None]


@dataclass(frozen=True, slots=True)
class Facts:
    """Of a recording, as they lie beside it."""

    tenant: str
    room_id: str
    meeting_id: str
    display_name: str
    retention_days: int
    #: Which recording of its meeting it is, from 1.
    part: int = 1

    def to_bytes(self) -> bytes:
        """JSON."""
        return orjson.dumps({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def of(cls, raw: bytes) -> "Facts":
        """What `to_bytes` made. Raises ValueError."""
        try:
            found: dict[str, Any] = orjson.loads(raw)
            return cls(**found)
        except TypeError as error:
            raise ValueError("no facts of a recording") from error


class RoomTapes:
    """Of one node."""

    def __init__(self, plane: PlanePort, files: RoomFiles, announce: Announce) -> None:
        self._plane = plane
        self._files = files
        self._announce = announce
        #: Recordings that run, by the plane's name of the room.
        self._running: dict[str, str] = {}
        #: Meeting in which a room was recorded last, and how often.
        self._parts: dict[str, tuple[str, int]] = {}
        self._finishing: set[str] = set()
        self._left: list[str] = []

    async def begin(self, name: str, room: Room, retention_days: int) -> bool:
        """Record the room, unless it is recorded; False: it cannot be."""
        if name in self._running:
            return True
        meeting_id, before = self._parts.get(name, ("", 0))
        part = before + 1 if meeting_id == room.meeting_id else 1
        recording_id = f"{PREFIX}{room.meeting_id}" if part == 1 else f"{PREFIX}{room.meeting_id}-{part}"
        facts = Facts(room.tenant, room.room_id, room.meeting_id, room.display_name, retention_days, part)
        try:
            path = self._files.begin(recording_id, facts.to_bytes())
            await self._record(name, recording_id, path)
        except (PlaneError, OSError) as error:
            _log.error("a conference is not recorded", tenant=room.tenant, room=room.room_id, error=str(error))
            return False
        self._running[name] = recording_id
        self._parts[name] = (room.meeting_id, part)
        return True

    async def end(self, name: str) -> bool:
        """End the room's recording; `ended` follows. False: the plane was not reached, and the recording may go on."""
        try:
            await self._plane.stop_record_room(name)
        except PlaneUnavailable as error:
            _log.error("a conference's recording cannot be ended", room=name, error=str(error))
            return False
        except PlaneError as error:
            _log.debug("a recording is over", room=name, error=str(error))
        self._running.pop(name, None)
        return True

    def switch(self, name: str, on: bool | None) -> None:
        """Somebody wants the room recorded, or not, as long as it is in use; None: it is no longer."""
        try:
            self._files.switch(name, on)
        except OSError as error:
            _log.error("whether a conference is recorded is not kept", room=name, error=str(error))

    def switched(self, name: str) -> bool | None:
        """What somebody wanted, in whatever process; None: nobody wanted anything."""
        return self._files.switched(name)

    async def _record(self, name: str, recording_id: str, path: Path) -> None:
        """What the process before recorded in the same room may be ending just now. Raises PlaneError."""
        try:
            await self._plane.record_room(name, recording_id, path)
        except PlaneError:
            await asyncio.sleep(AGAIN_SECONDS)
            await self._plane.record_room(name, recording_id, path)

    async def ended(self, recording_id: str) -> None:
        """The plane has ended it: make it what is kept."""
        for name in [name for name, running in self._running.items() if running == recording_id]:
            del self._running[name]
        raw = self._files.facts(recording_id)
        if raw is None or recording_id in self._finishing:
            return
        self._finishing.add(recording_id)
        try:
            facts = Facts.of(raw)
            file = await self._files.finish(recording_id)
        except (OSError, ValueError) as error:
            _log.error("a conference's recording waits for the next start", recording=recording_id, error=str(error))
            return
        finally:
            self._finishing.discard(recording_id)
        if file is not None:
            event = ConferenceRecorded(
                room_id=facts.room_id,
                meeting_id=facts.meeting_id,
                display_name=facts.display_name,
                object=file.object,
                duration_ms=file.duration_ms,
                bytes=file.bytes,
                retention_days=facts.retention_days,
                part=facts.part,
            )
            self._announce(facts.tenant, facts.meeting_id, "recorded", event)

    async def plane_died(self) -> None:
        """What ran has ended, and nobody tells it."""
        running, self._running = list(self._running.values()), {}
        for recording_id in running:
            await self.ended(recording_id)

    async def take_up(self) -> None:
        """End what the process before has left, before any room is recorded anew; then `finish_left`."""
        self._left = self._files.leftovers()
        for recording_id in self._left:
            try:
                facts = Facts.of(self._files.facts(recording_id) or b"{}")
                await self._plane.stop_record_room(f"{facts.tenant}/{facts.room_id}")
            except (PlaneError, ValueError) as error:
                _log.debug("a recording is over", recording=recording_id, error=str(error))

    async def finish_left(self) -> None:
        """Make what is kept of what the plane does not tell the end of."""
        if self._left:
            await asyncio.sleep(END_SECONDS)
        for recording_id in self._left:
            await self.ended(recording_id)
