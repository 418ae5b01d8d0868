"""Following a JetStream stream in order, from its first message, through reconnects and restarts of the server.

Invariant: the messages handed out are those of the stream, in order, none missing and none twice; only when the stream was made anew
(its store was lost) does it begin again from the first.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import nats.errors
from nats.js import api, errors

from carillon_kit import logs
from carillon_kit.bus.api import Follower, Message
from carillon_kit.bus.pull import Pull, PullLost

if TYPE_CHECKING:
    from carillon_kit.bus.nats_bus import NatsBus

_WINDOW = 512
#: Messages handled in one turn of the loop before others get theirs: a company that is imported is thousands at once.
_A_TURN = 16
#: A message of so many bytes has a turn of its own.
_LARGE = 16 * 1024
_INACTIVE_SECONDS = 60
_PAUSE_SECONDS = 0.2
_log = logs.get_logger(__name__)


class NatsFollower(Follower):
    """An ephemeral consumer without acknowledgements, made anew after the last message handed out whenever it is lost."""

    def __init__(self, bus: "NatsBus", stream: str, subject: str, *, new: bool = False) -> None:
        self._bus = bus
        self._stream = stream
        self._subject = subject
        self._last = 0
        self._new = new
        self._created: Any = None
        self._remaining: int | None = None
        self._caught_up = asyncio.Event()
        self._closed = asyncio.Event()
        self._pull: Pull | None = None

    async def __aiter__(self) -> AsyncIterator[Message]:
        """As `Follower.__aiter__`."""
        while not self._closed.is_set():
            try:
                async for message in self._read():
                    yield message
            except (PullLost, nats.errors.Error, OSError, TimeoutError) as error:
                if self._closed.is_set() or self._bus.is_closed:
                    return
                _log.info("follower begins again", stream=self._stream, after=self._last, error=f"{type(error).__name__}: {error}")
                if isinstance(error, errors.NotFoundError):
                    await self._bus.restore(self._stream)
                await self._pause()

    async def caught_up(self, timeout: float = 10.0) -> None:
        """As `Follower.caught_up`."""
        async with asyncio.timeout(timeout):
            await self._caught_up.wait()

    async def close(self) -> None:
        """As `Follower.close`."""
        self._closed.set()
        if self._pull is not None:
            self._pull.lose("closed")

    async def _read(self) -> AsyncIterator[Message]:
        await self._bus.connected()
        consumer = await self._make_consumer()
        pull = Pull(self._bus.connection, self._stream, consumer, _WINDOW, refill_below=_WINDOW // 2)
        with self._bus.watched(pull):
            await pull.open()
            self._pull = pull
            try:
                order = 0
                while not self._closed.is_set():
                    for raw in await pull.next(_WINDOW):
                        place = Place(raw.reply)
                        order += 1
                        if place.consumer_seq != order:
                            raise PullLost(f"message {order} is missing")
                        if self._closed.is_set():
                            return
                        yield Message(raw.subject, raw.data, place.stream_seq, raw.headers or {})
                        self._last = place.stream_seq
                        self._handled(place.pending)
                        if order % _A_TURN == 0 or len(raw.data) > _LARGE:
                            await asyncio.sleep(0)
            finally:
                self._pull = None
                await pull.close()
                await self._bus.forget_consumer(self._stream, consumer)

    async def _make_consumer(self) -> str:
        manager = self._bus.manager
        found = await manager.stream_info(self._stream)
        created = found.created
        if self._created is None and self._new:
            self._last = found.state.last_seq
        if self._created is not None and created != self._created:
            _log.warning("the stream was made anew, following from its start", stream=self._stream)
            self._last, self._remaining = 0, None
        self._created = created
        config = api.ConsumerConfig(
            name=f"follow-{self._bus.token()}",
            deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._last + 1,
            ack_policy=api.AckPolicy.NONE,
            filter_subject=self._subject,
            inactive_threshold=_INACTIVE_SECONDS,
            mem_storage=True,
            num_replicas=1,
        )
        info = await manager.add_consumer(self._stream, config)
        if self._remaining is None:
            self._remaining = info.num_pending or 0
        if self._remaining <= 0 or not info.num_pending:
            self._caught_up.set()
        return str(info.name)

    def _handled(self, pending: int) -> None:
        if self._remaining is not None and not self._caught_up.is_set():
            self._remaining -= 1
            if self._remaining <= 0 or pending == 0:
                self._caught_up.set()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_PAUSE_SECONDS):
                await self._closed.wait()
        except TimeoutError:
            pass


class Place:
    """What the reply subject of a JetStream message says (ADR-15).

    `$JS.ACK[.domain.account].stream.consumer.delivered.sseq.cseq.time.pending`
    """

    __slots__ = ("consumer_seq", "delivered", "nanoseconds", "pending", "stream_seq")

    def __init__(self, reply: str) -> None:
        tokens = reply.split(".")
        first = 4 if len(tokens) == 9 else 6
        self.delivered = int(tokens[first])
        self.stream_seq = int(tokens[first + 1])
        self.consumer_seq = int(tokens[first + 2])
        self.nanoseconds = int(tokens[first + 3])
        self.pending = int(tokens[first + 4])
