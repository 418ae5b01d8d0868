"""The connection of a client to a media plane: requests and their answers, events and their acknowledgement, connecting again.

What always holds: a command is answered, refused or given up within its deadline; a command that waited while the connection was
away is sent again only to the same plane process; `PlaneRestarted` is handed out before any command reaches a new process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from carillon_rtp.protocol import VERSION, BadRequest, PlaneError, PlaneUnavailable, encode, error_of, read_frame
from carillon_rtp.values import Event, PlaneRestarted, event_from_json

DEADLINE = 2.0  # seconds a command may take, reconnecting included
CONNECT_DEADLINE = 20.0  # seconds for the first connection, and for a greeting
RETRY = 0.05  # seconds between attempts to connect
MAX_EVENTS = 65536  # events that wait for a slow reader; more are dropped and counted
MAX_PENDING = 16384  # commands in flight


class _Pending:
    """A command that waits for its answer until `expires`; `plane` is the process it was sent to, None while it was not sent."""

    __slots__ = ("answer", "expires", "plane", "request")

    def __init__(self, request: dict[str, Any], answer: asyncio.Future[Any], expires: float) -> None:
        self.request = request
        self.answer = answer
        self.expires = expires
        self.plane: str | None = None


class Connection:
    """One client's connection, kept up until `disconnect`."""

    def __init__(self, path: Path, deadline: float) -> None:
        self._path = path
        self._deadline = deadline
        self._pending: dict[int, _Pending] = {}
        self._unsent: list[int] = []
        self._expiry: asyncio.TimerHandle | None = None  # one for all that wait: they expire in the order of being asked
        self._next_id = 1
        self._writer: asyncio.StreamWriter | None = None
        self._plane: str | None = None
        self._name = secrets.token_hex(8)  # the same however often it connects
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._events: deque[tuple[Event, str | None, int]] = deque()  # with the plane's name and number
        self._last_number = 0  # of the newest event received
        self._unacknowledged = 0  # the number to acknowledge, 0: none
        self._event_there = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.events_dropped = 0
        self.plane_pid: int | None = None
        self.ip_versions: Sequence[int] = (4,)  # of which it has an address, and sessions can be

    @classmethod
    async def connect(cls, path: str | os.PathLike[str], *, deadline: float = DEADLINE, within: float = CONNECT_DEADLINE) -> Self:
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
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        self._event_there.set()

    @property
    def connected(self) -> bool:
        return self._writer is not None

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

    async def _ask(self, verb: str, **arguments: object) -> Any:
        number, pending = self._send(verb, arguments)
        try:
            return await pending.answer
        finally:
            self._pending.pop(number, None)

    async def _ask_of_each(self, verb: str, sessions: Sequence[str]) -> list[Any]:
        """The answers to one command for each session, in order, each of them what was answered or the PlaneError; asked at once.

        Raises PlaneUnavailable when too many wait: then none is asked.
        """
        sent: list[tuple[int, _Pending]] = []
        try:
            for session in sessions:
                sent.append(self._send(verb, {"session": session}))
            if sent:
                await asyncio.wait([pending.answer for _, pending in sent])
            return [pending.answer.exception() or pending.answer.result() for _, pending in sent]
        finally:
            for number, _ in sent:
                self._pending.pop(number, None)

    def _send(self, verb: str, arguments: Mapping[str, object]) -> tuple[int, _Pending]:
        if self._task is None:
            raise PlaneUnavailable("unavailable", "the client was closed")
        if len(self._pending) >= MAX_PENDING:
            raise PlaneUnavailable("unavailable", f"{MAX_PENDING} commands wait already")
        number = self._next_id
        self._next_id += 1
        loop = asyncio.get_running_loop()
        pending = _Pending({"id": number, "do": verb, **arguments}, loop.create_future(), loop.time() + self._deadline)
        self._pending[number] = pending
        if not self._unsent:
            loop.call_soon(self._flush)
        self._unsent.append(number)
        if self._expiry is None:
            self._expiry = loop.call_at(pending.expires, self._expire)
        return number, pending

    def _expire(self) -> None:
        """Gives up what has waited long enough, and looks again when the next would have."""
        loop = asyncio.get_running_loop()
        self._expiry, now = None, loop.time()
        for pending in self._pending.values():
            if pending.expires > now:
                self._expiry = loop.call_at(pending.expires, self._expire)
                return
            if not pending.answer.done():
                verb = pending.request["do"]
                pending.answer.set_exception(PlaneUnavailable("unavailable", f"{verb}: no answer within {self._deadline} s"))

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
        writer.write(encode({"hello": {"version": VERSION, "client": self._name}}))
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
        self.ip_versions = tuple(greeting.get("ip_versions", (4,)))
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
