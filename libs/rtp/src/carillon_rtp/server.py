"""The control server: frames in, answers and events out, for whoever is connected.

Sessions outlive their clients. An event is kept until a client acknowledges it, and sent again to whoever connects meanwhile: at
least once, in order, as long as no more than BACKLOG of them wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import stat
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from carillon_rtp.core import Core
from carillon_rtp.protocol import MAX_FRAME, VERSION, BadRequest, PlaneError, encode, name_of, read_frame
from carillon_rtp.sessions import Sessions
from carillon_rtp.values import event_to_json

BACKLOG = 8192  # events kept until they are acknowledged; the oldest go first
MAX_UNREAD = 8 << 20  # bytes a client may leave unread before it is cut off
MAX_CLIENTS = 16
EVENTS_A_FRAME = 256
HELLO_DEADLINE = 5.0  # seconds
SWEEP = 0.5  # seconds between two looks for sessions that nobody adopted

log = logging.getLogger("carillon.media-plane")


class ControlServer:
    """Serves `sessions` on the Unix socket `path`, readable by this user only. `plane` names this process to its clients."""

    def __init__(self, path: Path, core: Core, sessions: Sessions, plane: str) -> None:
        self._path = path
        self._core = core
        self._sessions = sessions
        self._plane = plane
        self._clients: set[asyncio.StreamWriter] = set()
        self._names: Counter[str] = Counter()
        self._sweeping: asyncio.TimerHandle | None = None
        self._backlog: deque[dict[str, Any]] = deque(maxlen=BACKLOG)
        self._number = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Raises OSError when another plane answers on the socket."""
        await self._clear_path()
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=MAX_FRAME)
        finally:
            os.umask(mask)
        asyncio.get_running_loop().add_reader(self._core.event_fd, self._forward)
        self._sweep()

    def _sweep(self) -> None:
        self._sessions.sweep()
        self._forward()
        self._sweeping = asyncio.get_running_loop().call_later(SWEEP, self._sweep)

    async def stop(self) -> None:
        """Takes no more clients and cuts off those that are there."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        asyncio.get_running_loop().remove_reader(self._core.event_fd)
        if self._server is not None:
            self._server.close()
        for writer in list(self._clients):
            writer.close()
        self._path.unlink(missing_ok=True)

    async def _clear_path(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(os.stat(self._path).st_mode):
                raise FileExistsError(f"{self._path} is there and is no socket")
            try:
                _, writer = await asyncio.wait_for(asyncio.open_unix_connection(self._path), 1.0)
            except (ConnectionError, TimeoutError):
                self._path.unlink()
            else:
                writer.close()
                raise FileExistsError(f"another media plane answers on {self._path}")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = ""
        try:
            if len(self._clients) >= MAX_CLIENTS:
                raise BadRequest("bad_request", f"{MAX_CLIENTS} clients are connected already")
            async with asyncio.timeout(HELLO_DEADLINE):
                (hello, *_) = await read_frame(reader)
            client = self._greet(hello, writer)
            while True:
                batch = await read_frame(reader)
                answers = [self._answer(request, client) for request in batch if not self._acknowledged(request)]
                self._forward()  # events a command caused leave before its answer
                self._write(writer, answers)
                await writer.drain()
        except (OSError, EOFError, TimeoutError):
            pass
        except (PlaneError, ValueError) as error:
            message = error.message if isinstance(error, PlaneError) else "a frame was empty"
            log.warning("a control client was cut off: %s", message)
            with contextlib.suppress(OSError):
                writer.write(encode({"error": {"code": "bad_request", "message": message}}))
        finally:
            self._clients.discard(writer)
            if client:
                self._went(client)
            writer.close()

    def _went(self, client: str) -> None:
        self._names[client] -= 1
        if not self._names[client]:
            del self._names[client]
            self._sessions.client_went(client)

    def _greet(self, hello: dict[str, Any], writer: asyncio.StreamWriter) -> str:
        """The client's name: its own where it gives one, so that it is the same after it connected again."""
        greeting = hello.get("hello")
        if not isinstance(greeting, dict) or greeting.get("version") != VERSION:
            raise BadRequest("bad_request", f"this plane speaks version {VERSION}")
        writer.write(
            encode({"hello": {"version": VERSION, "plane": self._plane, "pid": os.getpid(), "ip_versions": self._sessions.ip_versions}})
        )
        self._forward()
        self._write(writer, list(self._backlog))
        self._clients.add(writer)
        client = name_of(greeting.get("client") or secrets.token_hex(8))
        self._names[client] += 1
        self._sessions.client_came(client)
        return client

    def _answer(self, request: dict[str, Any], client: str) -> dict[str, Any]:
        number = request.get("id")
        try:
            return {"id": number, "ok": self._sessions.do(request, client)}
        except PlaneError as error:
            return {"id": number, "error": {"code": error.code, "message": error.message}}

    def _acknowledged(self, message: dict[str, Any]) -> bool:
        number = message.get("ack")
        if not isinstance(number, int):
            return False
        while self._backlog and self._backlog[0]["number"] <= number:
            self._backlog.popleft()
        return True

    def _forward(self) -> None:
        events = [{**event_to_json(event), "number": number} for number, event in enumerate(self._sessions.events(), self._number + 1)]
        if not events:
            return
        self._number += len(events)
        self._backlog.extend(events)
        for writer in list(self._clients):
            self._write(writer, events)

    def _write(self, writer: asyncio.StreamWriter, messages: list[dict[str, Any]]) -> None:
        """Messages as few frames; a page of sessions may be a frame of its own."""
        if writer.is_closing():
            return
        for start in range(0, len(messages), EVENTS_A_FRAME):
            part = messages[start : start + EVENTS_A_FRAME]
            try:
                writer.write(encode(part))
            except BadRequest:
                for message in part:
                    writer.write(encode(message))
        if writer.transport.get_write_buffer_size() > MAX_UNREAD:
            log.warning("a control client reads nothing and was cut off")
            self._clients.discard(writer)
            writer.transport.abort()


def monotonic_ms(clock: Callable[[], float]) -> Callable[[], int]:
    """Whole milliseconds of a clock of seconds."""
    return lambda: int(clock() * 1000)
