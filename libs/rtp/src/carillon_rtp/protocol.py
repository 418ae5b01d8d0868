"""The control protocol: frames of JSON on a Unix stream socket.

A frame is its length (4 bytes, big endian) and a JSON object, or a list of objects (a batch). The first frame of each side is
`{"hello": {"version": 1, ...}}`. Requests carry an `id` and a verb in `do`; each is answered by `{"id", "ok"}` or
`{"id", "error": {"code", "message"}}`, in any order. Objects with `event` come on their own; they are numbered, and
`{"ack": number}` says that all up to this one have been dealt with. What was not acknowledged is sent again to the next client.
No frame is larger than MAX_FRAME.
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import orjson

VERSION = 1
MAX_FRAME = 1 << 20  # bytes; a page of sessions is the largest thing sent
MAX_SESSION_NAME = 64  # bytes of a session's, play's or recording's name
MAX_FILES = 64  # files of one play
PAGE = 500  # sessions in one answer of list_sessions

ErrorCode = Literal[
    "bad_request", "no_session", "no_room", "no_ports", "overloaded", "bad_file", "refused_target", "no_coder", "unavailable"
]


class PlaneError(Exception):
    """The plane refused a command, or could not be asked. `code` is one of ErrorCode."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class BadRequest(PlaneError):
    """The command is not well formed."""


class NoSession(PlaneError):
    """No such session (never opened, closed, or the plane was restarted)."""


class NoRoom(PlaneError):
    """No such room."""


class Overloaded(PlaneError):
    """The packet threads are so busy that another session would cost those there their audio. Those of urgent calls are taken."""


class PortsExhausted(PlaneError):
    """Every port of the range is taken or rests after its last call."""


class BadFile(PlaneError):
    """A prompt cannot be read as telephone audio, or a recording cannot be written."""


class RefusedTarget(PlaneError):
    """We never send to this address, whoever asks (multicast, link-local, broadcast, 0.0.0.0, port 0)."""


class NoCoder(PlaneError):
    """The far end's codec is relayed, but we can neither encode nor decode it: nothing can be played to it or recorded."""


class PlaneUnavailable(PlaneError):
    """No answer within the deadline, or the plane went away meanwhile."""


ERRORS: dict[str, type[PlaneError]] = {
    "bad_request": BadRequest,
    "no_session": NoSession,
    "no_room": NoRoom,
    "no_ports": PortsExhausted,
    "overloaded": Overloaded,
    "bad_file": BadFile,
    "refused_target": RefusedTarget,
    "no_coder": NoCoder,
    "unavailable": PlaneUnavailable,
}


def name_of(value: object) -> str:
    """A session's, room's, play's or recording's name. Raises BadRequest."""
    if not isinstance(value, str) or not 0 < len(value.encode()) <= MAX_SESSION_NAME:
        raise BadRequest("bad_request", f"a name has 1 to {MAX_SESSION_NAME} bytes, not {value!r}")
    return value


def files_of(value: object) -> list[str]:
    """The files of a play. Raises BadRequest."""
    if not isinstance(value, list) or not 0 < len(value) <= MAX_FILES or not all(isinstance(file, str) for file in value):
        raise BadRequest("bad_request", f"1 to {MAX_FILES} files can be played")
    return value


def error_of(code: str, message: str) -> PlaneError:
    return ERRORS.get(code, PlaneError)(code, message)


def encode(message: object) -> bytes:
    """One frame."""
    body = orjson.dumps(message)
    if len(body) > MAX_FRAME:
        raise BadRequest("bad_request", f"a frame of {len(body)} bytes is larger than {MAX_FRAME}")
    return len(body).to_bytes(4, "big") + body


async def read_frame(reader: asyncio.StreamReader) -> list[dict[str, Any]]:
    """The next frame as a batch. Raises IncompleteReadError at the end, BadRequest when it is no frame of ours."""
    size = int.from_bytes(await reader.readexactly(4), "big")
    if size > MAX_FRAME:
        raise BadRequest("bad_request", f"a frame of {size} bytes is larger than {MAX_FRAME}")
    try:
        message = orjson.loads(await reader.readexactly(size))
    except orjson.JSONDecodeError as error:
        raise BadRequest("bad_request", f"not JSON: {error}") from None
    batch = message if isinstance(message, list) else [message]
    if not all(isinstance(part, dict) for part in batch):
        raise BadRequest("bad_request", "a frame is an object or a list of objects")
    return batch
