"""What must hold of any bytes on the control socket, for property tests and coverage-guided fuzzing.

Invariant: a frame is a batch of objects or is refused; a command is answered or is refused with a code that clients know; nothing else
comes out. The core stands for itself: a twin that gives handles and takes everything, so that no file is written and no packet sent.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from carillon_rtp.load import LoadSample
from carillon_rtp.protocol import ERRORS, BadRequest, PlaneError, encode, read_frame
from carillon_rtp.sessions import Sessions
from carillon_rtp.values import Dropped, PlaneStatistics, Statistics

_TOTALS = PlaneStatistics(0, 0, 0, 0, 0, Dropped(), 0, 0, 0, 0, 1)
_REMOTE = {"ip": "192.0.2.7", "port": 4000, "codec": "PCMA", "telephone_event": 101, "send": True, "receive": True}
#: A command of each kind, as it should be; one after the other they are all answered, where session `b` is open.
ORDERS: dict[str, dict[str, Any]] = {
    "open": {"session": "a", "port": None, "urgent": False, "ip_version": 4},
    "set_remote": {"session": "a", "remote": _REMOTE},
    "restore": {"sessions": ["a"], "wanted": [{"session": "a", "port": 20_002, "remote": _REMOTE}], "bridges": [["a", "b"]]},
    "bridge": {"session": "a", "other": "b"},
    "unbridge": {"session": "a"},
    "play": {"session": "a", "play_id": "p", "files": ["/x.wav"], "loop": False, "barge_in": True},
    "stop_play": {"session": "a"},
    "send_digits": {"session": "a", "digits_id": "d", "digits": "1#", "on_ms": 100, "off_ms": 100, "tones": False, "after": True},
    "detect": {"session": "a", "tones": ["dtmf"]},
    "record": {"session": "a", "recording_id": "r", "path": "/x.wav", "max_ms": 1, "silence_ms": 0, "finish_digits": "#", "sides": "mix"},
    "stop_record": {"session": "a"},
    "pause_record": {"session": "a", "paused": True},
    "list_sessions": {"after": "", "limit": 10},
    "adopt": {"sessions": ["a", "z"]},
    "open_room": {"room": "r", "entry_sound": None, "exit_sound": None, "music": None, "tell_talkers": True},
    "join": {"session": "a", "room": "r", "party": {"says": 1, "hears": 1, "gain_db": 0.0}, "silent": False},
    "leave": {"session": "a", "silent": True},
    "list_rooms": {},
    "tap": {"session": "b", "target": "a", "mode": "listen"},
    "untap": {"session": "b"},
    "session_statistics": {"session": "a"},
    "statistics": {},
    "close_room": {"room": "r"},
    "close": {"session": "a"},
}


class TakesEverything:
    """In the core's place."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def open(self, *_: object) -> tuple[int, int]:
        number = next(self._numbers)
        return number, 20_000 + 2 * number

    def close(self, *_: object) -> Statistics:
        return Statistics()

    def statistics(self, *_: object) -> tuple[Statistics, None]:
        return Statistics(), None

    def totals(self, *_: object) -> PlaneStatistics:
        return _TOTALS

    def load(self) -> LoadSample:
        return LoadSample([0.0])

    def events(self) -> list[Any]:
        return []

    def __getattr__(self, name: str) -> Any:
        """Other commands: a handle where they give one."""
        return lambda *_arguments, **_options: next(self._numbers)


def on_nothing() -> Sessions:
    """Sessions of a core that takes everything, at time 0."""
    core: Any = TakesEverything()
    return Sessions(core, "192.0.2.1", lambda: 0, lambda text: None)


def frames(data: bytes) -> None:
    """Any bytes of a client. Raises what must not come out."""
    asyncio.run(_frames(data))


async def _frames(data: bytes) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    sessions = on_nothing()
    try:
        while True:
            for request in await read_frame(reader):
                answer(sessions, request)
    except (BadRequest, asyncio.IncompleteReadError):
        return


def answer(sessions: Sessions, request: dict[str, Any]) -> str:
    """One command; the code that it is refused with, empty: it is answered. Raises what must not come out."""
    code, message = "", ""
    try:
        encode({"id": request.get("id"), "ok": sessions.do(request, "client")})
    except PlaneError as error:
        code, message = error.code, error.message
    assert not code or code == "failed" or code in ERRORS, code
    encode({"code": code, "message": message})
    sessions.events()
    sessions.sweep()
    return code
