"""The plane's sessions by name: every command of the protocol, idempotent by its names, over the core's handles.

What always holds: a session's bridge, play and recording here are those of the core as far as its events have been read; each play
and recording ends in exactly one event under the name it was started with.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from carillon_rtp.core import (
    DIGITS,
    TONES,
    Core,
    CoreEvent,
    DialOver,
    DigitHeard,
    Handle,
    PlayOver,
    RecordingOver,
    SourceLearned,
    TalkNoticed,
    ToneHeard,
)
from carillon_rtp.load import LoadWatch
from carillon_rtp.protocol import PAGE, BadRequest, NoSession, Overloaded, PlaneError, files_of, name_of
from carillon_rtp.rooms import Member, Rooms, recording_of
from carillon_rtp.taps import Taps
from carillon_rtp.values import (
    DigitPressed,
    DigitsSent,
    Event,
    IpVersion,
    LoadChanged,
    MediaAddress,
    PartyTalking,
    PlayEnded,
    RecordingEnded,
    Remote,
    SessionAbandoned,
    SessionState,
    SourceLocked,
    SrtpSuite,
    Statistics,
    ToneDetected,
)

REMEMBERED = 4096  # closed sessions whose statistics a repeated close still gets
ORPHAN_MS = 300_000  # how long a session outlives its client
MAX_DIGITS = 64
REMEMBERED_DIGITS = 128  # by their names, of a session: more than can wait


@dataclass(slots=True, kw_only=True)
class _Session(Member):
    address: MediaAddress
    remote: Remote | None = None  # without its keys: they are in the core alone
    srtp: SrtpSuite | None = None
    play_id: str | None = None  # the running one
    last_play_id: str | None = None
    digits_ids: tuple[str, ...] = ()  # the newest
    recording_id: str | None = None
    recording_path: str | None = None
    last_recording_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Recording:
    session: str
    recording_id: str
    path: Path


class Sessions:
    """All sessions of one core. `announce_ip` is what far ends are told to send to, `announce_ip6` those of sessions over IPv6."""

    def __init__(
        self,
        core: Core,
        announce_ip: str,
        clock_ms: Callable[[], int],
        report: Callable[[str], None],
        orphan_ms: int = ORPHAN_MS,
        load: LoadWatch | None = None,
        announce_ip6: str | None = None,
    ) -> None:
        self._core = core
        self._announce: dict[IpVersion, str] = {4: announce_ip}
        if announce_ip6 is not None:
            self._announce[6] = announce_ip6
        self._clock_ms = clock_ms
        self._started_ms = clock_ms()
        self._report = report
        self._orphan_ms = orphan_ms
        self._load = load or LoadWatch()
        self._away: dict[str, int] = {}  # clients that went, and when
        self._told: list[Event] = []
        self._sessions: dict[str, _Session] = {}
        self._by_handle: dict[Handle, _Session] = {}
        self._closing: list[Handle] = []
        self._closed: OrderedDict[str, Statistics] = OrderedDict()
        self._dials: dict[int, tuple[str, str]] = {}
        self._plays: dict[int, tuple[str, str]] = {}
        self._recordings: dict[int, _Recording] = {}
        self._number = 0
        self._refused: Counter[str] = Counter()
        self._rooms = Rooms(core, self._next_number)
        self._taps = Taps(core, self._sessions)
        self._verbs: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "open": self._open,
            "set_remote": self._set_remote,
            "restore": self._restore,
            "bridge": self._bridge,
            "unbridge": self._unbridge,
            "play": self._play,
            "stop_play": self._stop_play,
            "send_digits": self._send_digits,
            "detect": self._detect,
            "record": self._record,
            "stop_record": self._stop_record,
            "pause_record": lambda request: self._core.pause_record(self._find(request).handle, paused=bool(request["paused"])),
            "record_room": self._rooms.record,
            "stop_record_room": self._rooms.stop_record,
            "pause_record_room": self._rooms.pause_record,
            "close": self._close,
            "list_sessions": self._list,
            "adopt": self._adopt,
            "open_room": self._rooms.open,
            "close_room": self._rooms.close,
            "join": self._join,
            "leave": lambda request: self._rooms.leave(self._find(request), silent=bool(request["silent"])),
            "play_room": self._rooms.play,
            "stop_play_room": self._rooms.stop_play,
            "list_rooms": self._rooms.list,
            "tap": self._tap,
            "untap": lambda request: self._taps.untap(self._find(request)),
            "session_statistics": self._session_statistics,
            "statistics": self._statistics,
        }

    def do(self, request: Mapping[str, Any], client: str = "") -> Any:
        """Carries out one request of a client and returns its answer: whoever names a session has it. Raises PlaneError."""
        try:
            return self._done(request, client)
        except PlaneError as error:
            self._refused[error.code] += 1
            raise

    def _done(self, request: Mapping[str, Any], client: str) -> Any:
        verb = self._verbs.get(str(request.get("do")))
        if verb is None:
            raise BadRequest("bad_request", f"no command {request.get('do')!r}")
        try:
            answer = verb(request)
            self._own(request.get("session") or request.get("sessions"), client)
            self._rooms.touched(request, client)
            return answer
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise BadRequest("bad_request", f"{request['do']}: {error!r}") from None

    def client_came(self, client: str) -> None:
        """It is connected (again): what it had is its own."""
        self._away.pop(client, None)

    def client_went(self, client: str) -> None:
        """Its sessions go on; those that nobody names or adopts within the time end."""
        self._away[client] = self._clock_ms()

    def sweep(self) -> None:
        """Closes what nobody adopted in time, and looks at the load."""
        now = self._clock_ms()
        if self._load.look(now, self._core.load()):
            self._told.append(LoadChanged(self._load.refusing, round(self._load.load, 3)))
        for client in [client for client, since in self._away.items() if now - since >= self._orphan_ms]:
            del self._away[client]
            for name in [name for name, session in self._sessions.items() if session.owner == client]:
                self._close({"session": name})
                self._told.append(SessionAbandoned(name))
            self._rooms.abandon(client)

    @property
    def ip_versions(self) -> list[int]:
        """Of which sessions can be."""
        return sorted(self._announce)

    def events(self) -> list[Event]:
        """What the core reported, under the names signalling gave."""
        told, self._told = self._told, []
        found = [self._named(event) for event in self._core.events()]
        for handle in self._closing:
            del self._by_handle[handle]
        self._closing.clear()
        return [event for event in found if event is not None] + told

    # -- commands ------------------------------------------------------------------------------------------------------

    def _open(self, request: Mapping[str, Any]) -> Any:
        name = name_of(request["session"])
        session = self._sessions.get(name)
        if session is None:
            if self._load.refusing and not request.get("port") and not request.get("urgent"):
                raise Overloaded("overloaded", self._load.why)
            version: IpVersion = 6 if request.get("ip_version") == 6 else 4
            if version not in self._announce:
                raise BadRequest("bad_request", "ip_version: this plane has no IPv6 address")
            handle, port = self._core.open(name, request.get("port"), version)
            session = _Session(name=name, handle=handle, address=MediaAddress(self._announce[version], port))
            self._sessions[name] = session
            self._by_handle[handle] = session
            self._closed.pop(name, None)
        return {"ip": session.address.ip, "port": session.address.port}

    def _restore(self, request: Mapping[str, Any]) -> Any:
        found = []
        for wanted in request["wanted"]:
            found.append(self._open(wanted))
            if wanted["remote"] is not None:
                self._set_remote(wanted)
        for a, b in request["bridges"]:
            self._bridge({"session": a, "other": b})
        return found

    def _set_remote(self, request: Mapping[str, Any]) -> None:
        session = self._find(request)
        remote = Remote.from_json(request["remote"])
        if remote.ip in ("0.0.0.0", "::") and not remote.send and session.remote is not None:
            # RFC 3264 section 8.4: the old way to say hold; the far end is still where it was.
            remote = replace(remote, ip=session.remote.ip, port=session.remote.port)
        self._core.set_remote(session.handle, remote)
        session.remote = replace(remote, crypto=None)
        session.srtp = remote.crypto.suite if remote.crypto else None

    def _bridge(self, request: Mapping[str, Any]) -> None:
        session, other = self._find(request), self._find(request, "other")
        if session is other:
            raise BadRequest("bad_request", "a session cannot be bridged with itself")
        if session.peer == other.name:
            return
        self._taps.untap(session)
        self._taps.untap(other)
        with self._taps.apart(session, other):
            self._core.bridge(session.handle, other.handle)
            self._part(session)
            self._part(other)
            session.peer, other.peer = other.name, session.name

    def _unbridge(self, request: Mapping[str, Any]) -> None:
        session = self._find(request)
        with self._taps.apart(session):
            self._core.unbridge(session.handle)
            self._part(session)

    def _join(self, request: Mapping[str, Any]) -> None:
        session = self._find(request)
        if session.tapped is not None:
            raise BadRequest("bad_request", f"{session.name} is on a tapped call")
        self._rooms.join(session, request)

    def _tap(self, request: Mapping[str, Any]) -> None:
        self._taps.tap(self._find(request), self._find(request, "target"), request["mode"])

    def _play(self, request: Mapping[str, Any]) -> None:
        session, play_id, files = self._find(request), name_of(request["play_id"]), files_of(request["files"])
        if session.last_play_id == play_id:
            return
        number = self._next_number()
        self._core.play(session.handle, number, files, loop=bool(request["loop"]), barge_in=bool(request["barge_in"]))
        self._plays[number] = (session.name, play_id)
        session.play_id = session.last_play_id = play_id

    def _stop_play(self, request: Mapping[str, Any]) -> None:
        self._core.stop_play(self._find(request).handle)

    def _send_digits(self, request: Mapping[str, Any]) -> None:
        session, digits_id, digits = self._find(request), name_of(request["digits_id"]), str(request["digits"]).upper()
        if not 0 < len(digits) <= MAX_DIGITS or set(digits) - set(DIGITS + ","):
            raise BadRequest("bad_request", f"digits: 1 to {MAX_DIGITS} of {DIGITS} and ','")
        if digits_id in session.digits_ids:
            return
        number, on_ms, off_ms = self._next_number(), int(request["on_ms"]), int(request["off_ms"])
        if not 40 <= on_ms <= 8000 or not 40 <= off_ms <= 8000:
            raise BadRequest("bad_request", "on_ms and off_ms are 40 to 8000")
        tones, after = bool(request["tones"]), bool(request.get("after"))
        self._core.send_digits(session.handle, number, digits, on_ms=on_ms, off_ms=off_ms, tones=tones, after=after)
        self._dials[number] = session.name, digits_id
        session.digits_ids = (*session.digits_ids, digits_id)[-REMEMBERED_DIGITS:]

    def _detect(self, request: Mapping[str, Any]) -> None:
        session, tones = self._find(request), request["tones"]
        if not isinstance(tones, list) or set(tones) - set(TONES):
            raise BadRequest("bad_request", f"tones: of {', '.join(TONES)}")
        self._core.detect(session.handle, tones)

    def _record(self, request: Mapping[str, Any]) -> None:
        session, recording_id, wanted = self._find(request), name_of(request["recording_id"]), recording_of(request)
        if session.last_recording_id == recording_id:
            return
        number = self._next_number()
        self._core.record(session.handle, number, wanted)
        self._recordings[number] = _Recording(session.name, recording_id, wanted.path)
        session.recording_id = session.last_recording_id = recording_id
        session.recording_path = str(wanted.path)

    def _stop_record(self, request: Mapping[str, Any]) -> None:
        self._core.stop_record(self._find(request).handle)

    def _close(self, request: Mapping[str, Any]) -> Any:
        name = name_of(request["session"])
        session = self._sessions.get(name)
        if session is None:
            return self._closed.get(name, Statistics()).to_json()
        self._taps.forget(session)
        self._rooms.forget(session)
        with self._taps.apart(session):
            statistics = self._core.close(session.handle)
            self._part(session)
            session.gone = True
        del self._sessions[name]
        self._closing.append(session.handle)  # stays known until its last events are read
        self._closed[name] = statistics
        while len(self._closed) > REMEMBERED:
            self._closed.popitem(last=False)
        return statistics.to_json()

    def _list(self, request: Mapping[str, Any]) -> Any:
        limit = min(int(request["limit"]), PAGE)
        if limit < 1:
            raise BadRequest("bad_request", "limit: at least 1")
        names = sorted(name for name in self._sessions if name > str(request["after"]))
        page = [self._state(self._sessions[name]).to_json() for name in names[:limit]]
        return {"sessions": page, "next": names[limit - 1] if len(names) > limit else None}

    def _adopt(self, request: Mapping[str, Any]) -> Any:
        names = [name_of(name) for name in request["sessions"]]
        return [name for name in names if name not in self._sessions]

    def _own(self, names: object, client: str) -> None:
        for name in names if isinstance(names, list) else [names]:
            session = self._sessions.get(name) if isinstance(name, str) else None
            if session is not None:
                session.owner = client

    def _session_statistics(self, request: Mapping[str, Any]) -> Any:
        return self._core.statistics(self._find(request).handle)[0].to_json()

    def _statistics(self, _request: Mapping[str, Any]) -> Any:
        totals = self._core.totals(self._clock_ms() - self._started_ms)
        load, late, rooms = round(self._load.load, 3), round(self._load.late, 3), self._rooms.count
        return replace(totals, load=load, late=late, refusing=self._load.refusing, rooms=rooms, refused=dict(self._refused)).to_json()

    # -- what they share -----------------------------------------------------------------------------------------------

    def _find(self, request: Mapping[str, Any], key: str = "session") -> _Session:
        session = self._sessions.get(name_of(request[key]))
        if session is None:
            raise NoSession("no_session", f"no session {request[key]!r}")
        return session

    def _part(self, session: _Session) -> None:
        peer = self._sessions.get(session.peer) if session.peer else None
        if peer is not None:
            peer.peer = None
        session.peer = None

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _state(self, session: _Session) -> SessionState:
        source = self._core.statistics(session.handle)[1]
        return SessionState(
            session=session.name,
            address=session.address,
            remote=session.remote,
            bridged_with=session.peer,
            play_id=session.play_id,
            recording_id=session.recording_id,
            source=None if source is None else MediaAddress(*source),
            srtp=session.srtp,
            room=session.room,
            tap=self._taps.of(session),
            recording_path=session.recording_path,
            adopted=session.owner not in self._away,
        )

    def _named(self, event: CoreEvent) -> Event | None:
        match event:
            case DigitHeard(handle, digit, duration_ms):
                heard = self._by_handle.get(handle)
                return DigitPressed(heard.name, digit, duration_ms) if heard else None
            case ToneHeard(handle, tone):
                hearing = self._by_handle.get(handle)
                return ToneDetected(hearing.name, tone) if hearing else None
            case DialOver(_, number, completed):
                return DigitsSent(*self._dials.pop(number), completed)
            case SourceLearned(handle, ip, port):
                learned = self._by_handle.get(handle)
                return SourceLocked(learned.name, ip, port) if learned else None
            case TalkNoticed(handle, talking):
                member = self._by_handle.get(handle)
                return PartyTalking(member.room, member.name, talking) if member and member.room else None
            case PlayOver(_, number, completed, played_ms) if (room := self._rooms.played(number)) is not None:
                return PlayEnded("", room.play_id, completed, played_ms, room.room)
            case PlayOver(_, number, completed, played_ms):
                name, play_id = self._plays.pop(number)
                playing = self._sessions.get(name)
                if playing is not None and playing.play_id == play_id:
                    playing.play_id = None
                return PlayEnded(name, play_id, completed, played_ms)
            case RecordingOver(number, reason, duration_ms, error) if (taped := self._rooms.recorded(number)) is not None:
                if error:
                    self._report(f"recording {taped.path} is not whole: errno {error}")
                return RecordingEnded("", taped.recording_id, taped.path, duration_ms, reason, taped.room)
            case RecordingOver(number, reason, duration_ms, error):
                recording = self._recordings.pop(number)
                if error:
                    self._report(f"recording {recording.path} is not whole: errno {error}")
                recorded = self._sessions.get(recording.session)
                if recorded is not None and recorded.recording_id == recording.recording_id:
                    recorded.recording_id = recorded.recording_path = None
                return RecordingEnded(recording.session, recording.recording_id, recording.path, duration_ms, reason)
