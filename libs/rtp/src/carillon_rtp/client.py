"""PlaneClient: the media plane's commands as coroutines and its events as an iterator.

What always holds: a command is answered, refused or given up within its deadline; a command that waited while the connection was
away is sent again only to the same plane process; `PlaneRestarted` is handed out before any command reaches a new process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from carillon_rtp.protocol import (
    PAGE,
    VERSION,
    BadFile,
    BadRequest,
    NoCoder,
    NoRoom,
    NoSession,
    PlaneError,
    PlaneUnavailable,
    PortsExhausted,
    RefusedTarget,
    encode,
    error_of,
    read_frame,
)
from carillon_rtp.values import (
    MUTED,
    PAGER,
    SPEAKER,
    AudioCodec,
    Codec,
    DigitPressed,
    Dropped,
    Event,
    MediaAddress,
    Party,
    PartyTalking,
    PlaneRestarted,
    PlaneStatistics,
    PlayEnded,
    RecordingEnded,
    Remote,
    RoomState,
    SessionState,
    SourceLocked,
    SrtpKeys,
    SrtpSuite,
    Statistics,
    Tap,
    TapMode,
    event_from_json,
)

__all__ = [
    "MUTED",
    "PAGER",
    "SPEAKER",
    "AudioCodec",
    "BadFile",
    "BadRequest",
    "Codec",
    "DigitPressed",
    "Dropped",
    "Event",
    "MediaAddress",
    "NoCoder",
    "NoRoom",
    "NoSession",
    "Party",
    "PartyTalking",
    "PlaneClient",
    "PlaneError",
    "PlaneRestarted",
    "PlaneStatistics",
    "PlaneUnavailable",
    "PlayEnded",
    "PortsExhausted",
    "RecordingEnded",
    "RefusedTarget",
    "Remote",
    "RoomState",
    "SessionState",
    "SourceLocked",
    "SrtpKeys",
    "SrtpSuite",
    "Statistics",
    "Tap",
    "TapMode",
]

DEADLINE = 2.0  # seconds a command may take, reconnecting included
CONNECT_DEADLINE = 5.0  # seconds for the first connection
RETRY = 0.05  # seconds between attempts to connect
MAX_EVENTS = 65536  # events that wait for a slow reader; more are dropped and counted
MAX_PENDING = 16384  # commands in flight


def _absolute(path: os.PathLike[str]) -> str:
    """The plane has another working directory."""
    return os.path.abspath(path)


class _Pending:
    """A command that waits for its answer; `plane` is the process it was sent to, None while it was not sent."""

    __slots__ = ("answer", "plane", "request")

    def __init__(self, request: dict[str, Any], answer: asyncio.Future[Any]) -> None:
        self.request = request
        self.answer = answer
        self.plane: str | None = None


class PlaneClient:
    """A connection to one media plane. Made by `connect`, ended by `disconnect` (sessions live on)."""

    def __init__(self, path: Path, deadline: float) -> None:
        self._path = path
        self._deadline = deadline
        self._pending: dict[int, _Pending] = {}
        self._unsent: list[int] = []
        self._next_id = 1
        self._writer: asyncio.StreamWriter | None = None
        self._plane: str | None = None
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._events: deque[tuple[Event, str | None, int]] = deque()  # with the plane's name and number
        self._last_number = 0  # of the newest event received
        self._unacknowledged = 0  # the number to acknowledge, 0: none
        self._event_there = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.events_dropped = 0
        self.plane_pid: int | None = None

    @classmethod
    async def connect(cls, path: str | os.PathLike[str], *, deadline: float = DEADLINE, within: float = CONNECT_DEADLINE) -> PlaneClient:
        """Connects, waiting up to `within` seconds for a plane that is just starting. Raises PlaneUnavailable."""
        client = cls(Path(path), deadline)
        client._task = asyncio.create_task(client._run(), name="media-plane-client")
        try:
            await asyncio.wait_for(asyncio.shield(client._first), within)
        except TimeoutError:
            await client.disconnect()
            raise PlaneUnavailable("unavailable", f"no media plane at {path} within {within} s") from None
        except BaseException:
            await client.disconnect()
            raise
        return client

    async def disconnect(self) -> None:
        """Ends the connection only: sessions go on, events() ends."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._fail_all("the client was closed")
        self._event_there.set()

    @property
    def connected(self) -> bool:
        return self._writer is not None

    # -- commands ------------------------------------------------------------------------------------------------------

    async def open(self, session: str, *, port: int | None = None) -> MediaAddress:
        """A port for the session; the same one when it is open already. `port` asks for this very one (after a restart of the
        plane); another is given when it cannot be had. Raises PortsExhausted."""
        answer = await self._ask("open", session=session, port=port)
        return MediaAddress(answer["ip"], answer["port"])

    async def set_remote(self, session: str, remote: Remote) -> None:
        """Where and how to send; a new address or port opens a new window for learning the source. Raises NoSession, RefusedTarget."""
        await self._ask("set_remote", session=session, remote=remote.to_json())

    async def bridge(self, a: str, b: str) -> None:
        """Relays both ways; either side's earlier bridge ends. Raises NoSession."""
        await self._ask("bridge", session=a, other=b)

    async def unbridge(self, session: str) -> None:
        """Ends the session's bridge, if it has one."""
        await self._ask("unbridge", session=session)

    async def play(self, session: str, play_id: str, files: Sequence[Path], *, loop: bool = False, barge_in: bool = False) -> None:
        """Plays the files one after another to the session, in place of what is relayed to it; replaces a running play.

        Ends in one PlayEnded. The same `play_id` again does nothing. `barge_in`: the first digit stops it. Raises NoSession, BadFile,
        NoCoder (the far end's codec is only relayed).
        """
        paths = [_absolute(file) for file in files]
        await self._ask("play", session=session, play_id=play_id, files=paths, loop=loop, barge_in=barge_in)

    async def stop_play(self, session: str) -> None:
        """Stops a running play (PlayEnded follows, not completed)."""
        await self._ask("stop_play", session=session)

    async def record(
        self,
        session: str,
        recording_id: str,
        path: Path,
        *,
        max_ms: int = 3_600_000,
        silence_ms: int = 0,
        finish_digits: str = "",
    ) -> None:
        """Records what the session says into a WAV of its codec; ends in one RecordingEnded.

        `silence_ms` 0: silence does not end it. A digit of `finish_digits` ends it. Raises NoSession, BadFile, NoCoder.
        """
        await self._ask(
            "record",
            session=session,
            recording_id=recording_id,
            path=_absolute(path),
            max_ms=max_ms,
            silence_ms=silence_ms,
            finish_digits=finish_digits,
        )

    async def stop_record(self, session: str) -> None:
        """Stops a running recording (RecordingEnded "stopped" follows)."""
        await self._ask("stop_record", session=session)

    # -- rooms and taps

    async def open_room(
        self,
        room: str,
        *,
        entry_sound: Path | None = None,
        exit_sound: Path | None = None,
        music: Path | None = None,
        tell_talkers: bool = True,
    ) -> None:
        """A room that mixes up to 256 sessions; one of that name is left as it is. `music` loops for a party that is alone.

        `tell_talkers`: PartyTalking events. A room of G.711 mixes at 8 kHz, one with a wide-band party at 16 kHz. Of more than ten
        who speak at once the ten loudest are heard. Raises BadFile, BadRequest (too many rooms).
        """
        sounds = {"entry_sound": entry_sound, "exit_sound": exit_sound, "music": music}
        paths = {name: None if path is None else _absolute(path) for name, path in sounds.items()}
        await self._ask("open_room", room=room, tell_talkers=tell_talkers, **paths)

    async def join(self, session: str, room: str, party: Party = SPEAKER, *, silent: bool = False) -> None:
        """Brings a session into a room, or changes how it takes part (mute, listen only, gain: see Party).

        The room stands in the place of the session's bridge, which only goes on for telephone events; a play to the session stands in
        the room's place. A session is in one room: it leaves another one. `silent`: without the room's sound of coming. Raises
        NoSession, NoRoom, NoCoder, BadRequest.
        """
        await self._ask("join", session=session, room=room, party=party.to_json(), silent=silent)

    async def leave(self, session: str, *, silent: bool = False) -> None:
        """Takes the session out of its room, if it is in one: it hears its bridge again."""
        await self._ask("leave", session=session, silent=silent)

    async def close_room(self, room: str) -> None:
        """Everybody leaves; what plays in it and its recording end. A room that is gone: nothing."""
        await self._ask("close_room", room=room)

    async def play_room(self, room: str, play_id: str, files: Sequence[Path], *, loop: bool = False) -> None:
        """Plays the files to all who hear anything in the room, beside what they say. Ends in one PlayEnded. Raises NoRoom, BadFile."""
        await self._ask("play_room", room=room, play_id=play_id, files=[_absolute(file) for file in files], loop=loop)

    async def stop_play_room(self, room: str) -> None:
        """Stops what plays in the room."""
        await self._ask("stop_play_room", room=room)

    async def list_rooms(self) -> list[RoomState]:
        """Every living room and who is in it."""
        return [RoomState.from_json(state) for state in await self._ask("list_rooms")]

    async def tap(self, session: str, target: str, mode: TapMode) -> None:
        """Puts a supervisor's session onto the call of `target`: `listen`, `whisper` (only `target` hears it) or `barge` (both do).

        It follows the target: whatever it is bridged with now or later is heard; a mode given again changes it. Digits of the call
        still pass. Several supervisors may tap one call. It ends by `untap`, or with either session. Raises NoSession, NoCoder
        (codecs that are only relayed cannot be mixed), BadRequest (one of them is in a room).
        """
        await self._ask("tap", session=session, target=target, mode=mode)

    async def untap(self, session: str) -> None:
        """The supervisor's session leaves the call, which is relayed again when it was the last."""
        await self._ask("untap", session=session)

    async def close(self, session: str) -> Statistics:
        """Ends the session and what runs on it; its port rests some seconds. A session that is gone: its last statistics, or zeros."""
        return Statistics.from_json(await self._ask("close", session=session))

    async def list_sessions(self) -> list[SessionState]:
        """Every living session."""
        found: list[SessionState] = []
        after: str | None = ""
        while after is not None:
            answer = await self._ask("list_sessions", after=after, limit=PAGE)
            found.extend(SessionState.from_json(state) for state in answer["sessions"])
            after = answer["next"]
        return found

    async def session_statistics(self, session: str) -> Statistics:
        """The statistics of a living session. Raises NoSession."""
        return Statistics.from_json(await self._ask("session_statistics", session=session))

    async def statistics(self) -> PlaneStatistics:
        """The plane as a whole."""
        return PlaneStatistics.from_json(await self._ask("statistics"))

    async def events(self) -> AsyncIterator[Event]:
        """Events in the order they happened, each handed to one reader; ends after `disconnect`.

        An event is acknowledged when the reader asks for the next one: what it was busy with when it died is handed to its successor.
        """
        while True:
            while self._events:
                event, plane, number = self._events.popleft()
                yield event
                self._dealt_with(plane, number)
            if self._task is None:
                return
            self._event_there.clear()
            await self._event_there.wait()

    # -- the connection ------------------------------------------------------------------------------------------------

    async def _ask(self, verb: str, **arguments: object) -> Any:
        if self._task is None:
            raise PlaneUnavailable("unavailable", "the client was closed")
        if len(self._pending) >= MAX_PENDING:
            raise PlaneUnavailable("unavailable", f"{MAX_PENDING} commands wait already")
        number = self._next_id
        self._next_id += 1
        pending = _Pending({"id": number, "do": verb, **arguments}, asyncio.get_running_loop().create_future())
        self._pending[number] = pending
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent.append(number)
        try:
            async with asyncio.timeout(self._deadline):
                return await pending.answer
        except TimeoutError:
            raise PlaneUnavailable("unavailable", f"{verb}: no answer within {self._deadline} s") from None
        finally:
            self._pending.pop(number, None)

    def _flush(self) -> None:
        """Sends what was asked since the last turn of the loop, as batches."""
        if self._writer is None:
            return
        numbers, self._unsent = self._unsent, []
        waiting = [self._pending[number] for number in numbers if number in self._pending]
        for start in range(0, len(waiting), 64):
            batch = waiting[start : start + 64]
            try:
                self._writer.write(encode([pending.request for pending in batch]))
            except BadRequest:
                self._send_singly(self._writer, batch)
            for pending in batch:
                pending.plane = self._plane

    def _send_singly(self, writer: asyncio.StreamWriter, batch: list[_Pending]) -> None:
        """A batch that is too large for a frame; what is too large by itself is refused."""
        for pending in batch:
            try:
                writer.write(encode(pending.request))
            except BadRequest as error:
                if not pending.answer.done():
                    pending.answer.set_exception(error)

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(CONNECT_DEADLINE):
                    reader, writer = await asyncio.open_unix_connection(self._path, limit=1 << 20)
                    greeting = await self._greet(reader, writer)
            except (OSError, EOFError, PlaneError, KeyError, TypeError, ValueError, TimeoutError) as error:
                if isinstance(error, PlaneError) and not self._first.done():
                    self._first.set_exception(error)
                await asyncio.sleep(RETRY)
                continue
            self._connected(writer, greeting)
            try:
                while True:
                    for message in await read_frame(reader):
                        self._received(message)
            except (OSError, EOFError, PlaneError, KeyError, TypeError, ValueError):
                pass
            finally:
                self._writer = None
                writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, Any]:
        writer.write(encode({"hello": {"version": VERSION}}))
        (first, *_) = await read_frame(reader)
        if "error" in first:
            raise error_of(first["error"]["code"], first["error"]["message"])
        greeting: dict[str, Any] = first["hello"]
        return greeting

    def _connected(self, writer: asyncio.StreamWriter, greeting: dict[str, Any]) -> None:
        plane = str(greeting["plane"])
        if self._plane is not None and plane != self._plane:
            self._emit(PlaneRestarted(), None, 0)
            self._last_number = self._unacknowledged = 0
            for pending in self._pending.values():
                if pending.plane is not None and not pending.answer.done():
                    pending.answer.set_exception(PlaneUnavailable("unavailable", "the media plane was restarted"))
        self._plane = plane
        self.plane_pid = int(greeting["pid"])
        self._writer = writer
        self._unsent = [number for number, pending in self._pending.items() if not pending.answer.done()]
        self._flush()
        if not self._first.done():
            self._first.set_result(None)

    def _received(self, message: dict[str, Any]) -> None:
        if "event" in message:
            if message["number"] <= self._last_number:  # sent again after a reconnection
                return
            self._last_number = message["number"]
            with contextlib.suppress(KeyError, TypeError):  # an event of a newer plane
                self._emit(event_from_json(message), self._plane, self._last_number)
            return
        pending = self._pending.get(message["id"])
        if pending is None or pending.answer.done():
            return
        if "error" in message:
            pending.answer.set_exception(error_of(message["error"]["code"], message["error"]["message"]))
        else:
            pending.answer.set_result(message["ok"])

    def _dealt_with(self, plane: str | None, number: int) -> None:
        """Acknowledges once for all events of this turn of the loop."""
        if plane is None or plane != self._plane:
            return
        if not self._unacknowledged:
            asyncio.get_running_loop().call_soon(self._acknowledge)
        self._unacknowledged = number

    def _acknowledge(self) -> None:
        number, self._unacknowledged = self._unacknowledged, 0
        if self._writer is not None and number:
            self._writer.write(encode({"ack": number}))

    def _emit(self, event: Event, plane: str | None, number: int) -> None:
        if len(self._events) >= MAX_EVENTS:
            self.events_dropped += 1
            return
        self._events.append((event, plane, number))
        self._event_there.set()

    def _fail_all(self, reason: str) -> None:
        for pending in self._pending.values():
            if not pending.answer.done():
                pending.answer.set_exception(PlaneUnavailable("unavailable", reason))
