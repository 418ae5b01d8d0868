"""Streams of responses that end when the token that they were asked for with does.

Always: when a token is ended, its streams get nothing more, whichever they are. When it expires, those end that watch (their rpc's name
begins with `Watch`) and would go on for ever; one that ends by itself, as a download does, is finished as any other call that was begun
in time.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final

from carillon_kit.auth import TokenVerifier, Verified
from carillon_kit.errors import Unauthenticated

_END: Final = object()


class TokenOver(Unauthenticated):
    """The token of a running stream counts no more."""


class LastingStreams:
    """The streams that a server serves now."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier
        self._open: set[_Stream] = set()
        self._looking = False
        verifier.ended.listen(self._look_soon)

    async def lasting(self, rpc: str, token: Verified | None, responses: AsyncGenerator[Any, None]) -> AsyncIterator[Any]:
        """The responses, as long as the token (None: none is needed) counts. Raises `TokenOver`."""
        stream = _Stream(self._verifier, token, watches=rpc.startswith("Watch"))
        self._open.add(stream)
        try:
            async with aclosing(responses):
                while (response := await stream.next(responses)) is not _END:
                    yield response
        finally:
            self._open.discard(stream)

    def _look_soon(self) -> None:
        """Many tokens may be ended at once: look through the streams behind them."""
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        for stream in self._open:
            stream.wake_if_over()


class _Stream:
    def __init__(self, verifier: TokenVerifier, token: Verified | None, *, watches: bool) -> None:
        self._verifier = verifier
        self._token = token
        self._expires = token.expires if token is not None and watches else None
        self._waiting: asyncio.Timeout | None = None

    async def next(self, responses: AsyncGenerator[Any, None]) -> Any:
        """The next response, or `_END`. Raises `TokenOver`."""
        self._check()
        response: Any = _END
        wait = asyncio.timeout(None if self._expires is None else max(0.0, self._expires - datetime.now(UTC).timestamp()))
        try:
            async with wait:
                self._waiting = wait
                response = await anext(responses, _END)
        except Exception:
            if not wait.expired():
                raise
        finally:
            self._waiting = None
        self._check(over=wait.expired())
        return response

    def wake_if_over(self) -> None:
        """What it waits for is not worth waiting for any more."""
        if self._waiting is not None and not self._waiting.expired() and self._ended():
            self._waiting.reschedule(asyncio.get_running_loop().time())

    def _ended(self) -> bool:
        return self._token is not None and self._verifier.has_ended(self._token)

    def _check(self, *, over: bool = False) -> None:
        if self._ended():
            raise TokenOver("the token was ended; log in again")
        if over or (self._expires is not None and datetime.now(UTC).timestamp() >= self._expires):
            raise TokenOver("the token has expired; ask again with a new one")
