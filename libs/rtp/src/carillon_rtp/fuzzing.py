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


def frames(data: bytes) -> None:
    """Any bytes of a client. Raises what must not come out."""
    asyncio.run(_frames(data))


async def _frames(data: bytes) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    core: Any = TakesEverything()
    sessions = Sessions(core, "192.0.2.1", lambda: 0, lambda text: None)
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
