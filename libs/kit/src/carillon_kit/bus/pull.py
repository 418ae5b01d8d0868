"""A continuous pull from a JetStream consumer.

For batches; why not FastStream's, `faststream_consumer` says. Why not nats-py's `fetch`: it sends two requests per batch and polls when
there is nothing. Here one request stays open at the server: a lone message arrives at once, a flood arrives in batches.

Invariant: what `next` returns is in the order the server sent it; whatever makes that doubtful (reconnect, missed heartbeat, deleted
consumer) raises `PullLost`, and the owner begins again from what it has handled.
"""

import asyncio
import contextlib
from collections import deque
from typing import Any

import orjson

EXPIRES_SECONDS = 30
HEARTBEAT_SECONDS = 5
CLOSE_SECONDS = 5.0
_STATUS = "Status"
_DESCRIPTION = "Description"
_HEARTBEAT = "100"
#: The request ran out or was partly served; the consumer is well.
_REQUEST_OVER = ("404", "408")
_PENDING = "Nats-Pending-Messages"


class PullLost(Exception):
    """The pull has to begin again."""


class Pull:
    """Messages of one consumer, as nats-py's `Msg`."""

    def __init__(self, connection: Any, stream: str, consumer: str, window: int, *, refill_below: int, linger: float = 0.0) -> None:
        """`window` messages are asked for at a time, again as soon as fewer than `refill_below` are still to come.

        Fewer messages than a caller takes wait `linger` seconds for more.
        """
        self._connection = connection
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._window = window
        self._refill_below = refill_below
        self._linger = linger
        self._inbox = connection.new_inbox()
        self._subscription: Any = None
        self._messages: deque[Any] = deque()
        self._arrived = asyncio.Event()
        self._expected = 0
        self._lost: str | None = None

    async def open(self) -> None:
        """Subscribe to the inbox that the server will send to."""
        self._subscription = await self._connection.subscribe(
            self._inbox, cb=self._receive, pending_msgs_limit=4 * self._window + 64, pending_bytes_limit=64 * 1024 * 1024
        )

    async def next(self, limit: int) -> list[Any]:
        """Up to `limit` messages, at least one; raises `PullLost`."""
        while not self._messages:
            if self._lost is not None:
                raise PullLost(self._lost)
            if self._expected < self._refill_below:
                await self._request(self._window - self._expected)
            self._arrived.clear()
            try:
                async with asyncio.timeout(2 * HEARTBEAT_SECONDS + 1):
                    await self._arrived.wait()
            except TimeoutError:
                raise PullLost("no heartbeat") from None
        if self._linger and len(self._messages) < limit:
            await asyncio.sleep(self._linger)
        if self._lost is None and self._expected < self._refill_below and len(self._messages) <= limit:
            await self._request(self._window - self._expected)
        # Nothing is awaited from here on: a cancelled caller leaves the messages to `arrived`.
        return [self._messages.popleft() for _ in range(min(limit, len(self._messages)))]

    def lose(self, reason: str) -> None:
        """Make `next` raise once what has arrived is handed out."""
        self._lost = reason
        self._arrived.set()

    def arrived(self) -> list[Any]:
        """Take what has arrived and was not asked for yet."""
        messages, self._messages = list(self._messages), deque()
        return messages

    async def close(self) -> None:
        """Give up the inbox; what the server had sent by then is found in `arrived`."""
        subscription, self._subscription = self._subscription, None
        if subscription is None or self._connection.is_closed:
            return
        if not self._connection.is_connected:
            await subscription.unsubscribe()
            return
        # A server that does not answer, or a reader of nats-py's that has ended: what was under way is delivered again.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await subscription.drain()

    async def _request(self, count: int) -> None:
        request = {"batch": count, "expires": int(EXPIRES_SECONDS * 1e9), "idle_heartbeat": int(HEARTBEAT_SECONDS * 1e9)}
        self._expected += count
        await self._connection.publish(self._subject, orjson.dumps(request), reply=self._inbox)

    async def _receive(self, message: Any) -> None:
        headers = message.headers
        if headers is not None and _STATUS in headers and not message.data:
            self._told(headers)
        else:
            self._expected -= 1
            self._messages.append(message)
        self._arrived.set()

    def _told(self, headers: dict[str, str]) -> None:
        status, description = headers[_STATUS], headers.get(_DESCRIPTION, "")
        if status == _HEARTBEAT:
            return
        if status in _REQUEST_OVER:
            self._expected = max(0, self._expected - int(headers.get(_PENDING, self._expected)))
            return
        self._lost = f"{status} {description}"
