"""The errors of the library: the peer's fault (ParseError) and our user's misuse (WrongState) are different things."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carillon_sip.message import Request


class SipError(Exception):
    """Every error that this library raises on purpose."""


class ParseError(SipError, ValueError):
    """What came from outside is not valid; `status` is what a request like that is answered with.

    `request` is the request as far as it could be read when it can still be answered, else None: drop it.
    """

    def __init__(self, text: str, *, status: int = 400, request: Request | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.request = request


class WrongState(SipError):
    """The user asked for what a session's state never allows (answer twice, ...); nothing has changed."""
