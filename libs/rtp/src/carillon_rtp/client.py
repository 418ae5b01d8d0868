"""PlaneClient: the media plane's commands as coroutines; its events are an iterator of the connection below it."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from carillon_rtp.connection import Connection
from carillon_rtp.protocol import (
    PAGE,
    BadFile,
    BadRequest,
    NoCoder,
    NoRoom,
    NoSession,
    Overloaded,
    PlaneError,
    PlaneUnavailable,
    PortsExhausted,
    RefusedTarget,
)
from carillon_rtp.values import (
    MUTED,
    PAGER,
    SPEAKER,
    AudioCodec,
    Codec,
    DigitPressed,
    DigitsSent,
    Dropped,
    Event,
    IpVersion,
    LoadChanged,
    MediaAddress,
    Party,
    PartyTalking,
    PlaneRestarted,
    PlaneStatistics,
    PlayEnded,
    RecordedSides,
    RecordingEnded,
    Remote,
    Restored,
    RoomState,
    SessionAbandoned,
    SessionState,
    SourceLocked,
    SrtpKeys,
    SrtpSuite,
    Statistics,
    Tap,
    TapMode,
    Tone,
    ToneDetected,
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
    "DigitsSent",
    "Dropped",
    "Event",
    "LoadChanged",
    "MediaAddress",
    "NoCoder",
    "NoRoom",
    "NoSession",
    "Overloaded",
    "Party",
    "PartyTalking",
    "PlaneClient",
    "PlaneError",
    "PlaneRestarted",
    "PlaneStatistics",
    "PlaneUnavailable",
    "PlayEnded",
    "PortsExhausted",
    "RecordedSides",
    "RecordingEnded",
    "RefusedTarget",
    "Remote",
    "Restored",
    "RoomState",
    "SessionAbandoned",
    "SessionState",
    "SourceLocked",
    "SrtpKeys",
    "SrtpSuite",
    "Statistics",
    "Tap",
    "TapMode",
    "Tone",
    "ToneDetected",
]


def _absolute(path: os.PathLike[str]) -> str:
    """The plane has another working directory."""
    return os.path.abspath(path)


class PlaneClient(Connection):
    """A connection to one media plane. Made by `connect`, ended by `disconnect` (sessions live on)."""

    async def open(self, session: str, *, port: int | None = None, urgent: bool = False, ip_version: IpVersion = 4) -> MediaAddress:
        """A port for the session; the same one when it is open already. `port` asks for this very one (after a restart of the
        plane); another is given when it cannot be had. Raises PortsExhausted, BadRequest (an `ip_version` that is none of `ip_versions`),
        Overloaded (LoadChanged told of it before); an `urgent` session (an emergency call's) and one with `port` are taken all the same."""
        answer = await self._ask("open", session=session, port=port, urgent=urgent, ip_version=ip_version)
        return MediaAddress(answer["ip"], answer["port"])

    async def set_remote(self, session: str, remote: Remote) -> None:
        """Where and how to send; a new address or port opens a new window for learning the source. Raises NoSession, RefusedTarget."""
        await self._ask("set_remote", session=session, remote=remote.to_json())

    async def restore(self, sessions: Sequence[Restored], bridges: Sequence[tuple[str, str]] = ()) -> list[MediaAddress]:
        """What a plane has to know of a call, in one command, when it was started anew or the call is answered: `open` with its port (where
        it is open, nothing changes) and `set_remote` for each session, then `bridge` for each pair. Gives the addresses in the sessions'
        order, another one where a port could not be had. Raises what these commands raise; what came before is done then."""
        names, wanted = [session.session for session in sessions], [session.to_json() for session in sessions]
        answer = await self._ask("restore", sessions=names, wanted=wanted, bridges=list(bridges))
        return [MediaAddress(found["ip"], found["port"]) for found in answer]

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

    async def send_digits(
        self,
        session: str,
        digits_id: str,
        digits: str,
        *,
        on_ms: int = 100,
        off_ms: int = 100,
        tones: bool = False,
        after: bool = False,
    ) -> None:
        """Presses keys (`0-9*#A-D`; `,`: a second of nothing) towards the session, in place of what it hears meanwhile.

        They go as telephone events (RFC 4733) where the far end agreed to them and `tones` is false, else as tones in its codec. Each
        lasts `on_ms`, rounded up to 20 ms for tones, with `off_ms` after it (40 to 8000). Those that are being sent are broken off, or with
        `after` sent first. Ends in one DigitsSent; the same `digits_id` again does nothing. Raises NoSession, NoCoder, BadRequest.
        """
        how = {"on_ms": on_ms, "off_ms": off_ms, "tones": tones, "after": after}
        await self._ask("send_digits", session=session, digits_id=digits_id, digits=digits, **how)

    async def detect(self, session: str, tones: Collection[Tone]) -> None:
        """Listens in what the session says for exactly these from now on; none: for nothing.

        `dtmf` gives DigitPressed for keys sent as tones (a far end that agreed to telephone events does not need it: a gateway that
        sends both would be counted twice), the others one ToneDetected each. Raises NoSession, NoCoder.
        """
        await self._ask("detect", session=session, tones=sorted(tones))

    async def record(
        self,
        session: str,
        recording_id: str,
        path: Path,
        *,
        max_ms: int = 3_600_000,
        silence_ms: int = 0,
        finish_digits: str = "",
        sides: RecordedSides = "said",
        tone_ms: int = 0,
    ) -> None:
        """Records into a WAV of 8 kHz in the session's law (A-law where its codec has none); ends in one RecordingEnded.

        `sides` is what: what the session says, or with what it hears (relayed, played or mixed), as one channel or as two. What was
        said is in the file within half a second. `silence_ms` 0: silence does not end it; `max_ms`, silence and a digit of
        `finish_digits` are of what the session says. Every `tone_ms` (0: never) both sides hear that they are recorded: 200 ms of
        1400 Hz in the place of what they would hear. Raises NoSession, BadFile, NoCoder.
        """
        await self._ask(
            "record",
            session=session,
            recording_id=recording_id,
            path=_absolute(path),
            max_ms=max_ms,
            silence_ms=silence_ms,
            finish_digits=finish_digits,
            sides=sides,
            tone_ms=tone_ms,
        )

    async def pause_record(self, session: str) -> None:
        """From now on nothing comes into the file, nor does time; nothing where nothing is recorded."""
        await self._ask("pause_record", session=session, paused=True)

    async def resume_record(self, session: str) -> None:
        """The file goes on where it stood."""
        await self._ask("pause_record", session=session, paused=False)

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

    async def record_room(self, room: str, recording_id: str, path: Path, *, max_ms: int = 24 * 3_600_000) -> None:
        """Records all that is said and played in the room: 16-bit samples of 16 kHz. Ends in one RecordingEnded. Raises NoRoom, BadFile."""
        await self._ask("record_room", room=room, recording_id=recording_id, path=_absolute(path), max_ms=max_ms)

    async def stop_record_room(self, room: str) -> None:
        """Stops the room's recording."""
        await self._ask("stop_record_room", room=room)

    async def pause_record_room(self, room: str, *, paused: bool) -> None:
        """Pauses the room's recording, or resumes it."""
        await self._ask("pause_record_room", room=room, paused=paused)

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

    async def close_all(self, sessions: Sequence[str]) -> None:
        """As `close`; what the plane refuses changes nothing."""
        await self._ask_of_each("close", sessions)

    async def adopt(self, sessions: Sequence[str]) -> list[str]:
        """Makes sessions of a client that went away this client's own; gives those that are not there (any more).

        Every session goes on when its client dies, and belongs to whoever names it next in any command. One that nobody adopts within
        the plane's time (`--orphan`, 300 s) is closed: SessionAbandoned. So a signalling process that starts anew calls
        `list_sessions`, adopts those it knows from its journal with what it needs of them (address, remote, bridge, play, recording,
        room, tap), closes those it does not know, and reads `events()`, which begin with what its predecessor had not dealt with.
        """
        missing: list[str] = []
        for start in range(0, len(sessions), PAGE):
            missing += await self._ask("adopt", sessions=list(sessions[start : start + PAGE]))
        return missing

    async def list_sessions(self) -> list[SessionState]:
        """Every living session, whoever has it."""
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

    async def statistics_of(self, sessions: Sequence[str]) -> list[Statistics | None]:
        """As `session_statistics` of each; None where the plane says nothing."""
        found = await self._ask_of_each("session_statistics", sessions)
        return [None if isinstance(answer, PlaneError) else Statistics.from_json(answer) for answer in found]

    async def statistics(self) -> PlaneStatistics:
        """The plane as a whole."""
        return PlaneStatistics.from_json(await self._ask("statistics"))
