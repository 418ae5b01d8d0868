"""The bus in memory, for tests: the same promises within one process, by the same contract suite as the real one."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from carillon_kit.bus.api import (
    Bus,
    Consumer,
    ConsumerSpec,
    DeadLetterStore,
    Delivered,
    Follower,
    Handler,
    Message,
    Outgoing,
    PublishFailed,
    StreamLike,
)
from carillon_kit.bus.worker import Delivery, PullWorker
from carillon_kit.clock import Clock, SystemClock


class MemoryBus(Bus):
    """`Bus` without a server."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._streams: dict[str, _Stream] = {}
        self._durables: dict[tuple[str, str], _Durable] = {}
        self._consumers: list[PullWorker] = []
        self._followers: list[_MemoryFollower] = []

    async def ensure_stream(self, stream: StreamLike) -> None:
        """As `Bus.ensure_stream`."""
        self._stream(stream.name).subjects = tuple(stream.subjects)

    async def publish(
        self,
        stream: str,
        subject: str,
        payload: bytes,
        message_id: str,
        timeout: float = 5.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """As `Bus.publish`."""
        await asyncio.sleep(0)
        if not self._stream(stream).add(Outgoing(subject, payload, message_id, headers), self._clock.now()):
            raise PublishFailed(f"{stream} does not take {subject}")

    async def publish_many(self, stream: str, items: Sequence[Outgoing], timeout: float = 5.0) -> list[str]:
        """As `Bus.publish_many`."""
        await asyncio.sleep(0)
        return [item.message_id for item in items if not self._stream(stream).add(item, self._clock.now())]

    async def publish_whole(self, stream: str, items: Sequence[Outgoing], timeout: float = 5.0) -> bool:
        """As `Bus.publish_whole`."""
        return all(map(self._stream(stream).takes, items)) and not await self.publish_many(stream, items, timeout)

    def follow(self, stream: str, subject: str, *, new: bool = False) -> Follower:
        """As `Bus.follow`."""
        follower = _MemoryFollower(self._stream(stream), subject, new)
        self._followers.append(follower)
        return follower

    async def last(self, stream: str, subject: str) -> Message | None:
        """As `Bus.last`."""
        return next((each for each in reversed(self.messages(stream)) if matches(subject, each.subject)), None)

    async def consume(self, spec: ConsumerSpec, handler: Handler, dead_letters: DeadLetterStore, batch: int = 256) -> Consumer:
        """As `Bus.consume`."""
        durable = self._durables.setdefault((spec.stream, spec.durable), _Durable(self._stream(spec.stream), spec))
        durable.spec = spec
        worker = PullWorker(spec, handler, dead_letters, durable, batch, self._clock)
        self._consumers.append(worker)
        return worker

    async def retire(self, stream: str, durable: str) -> bool:
        """As `Bus.retire`."""
        found = self._durables.get((stream, durable))
        if found is not None and found.readers:
            return False
        self._durables.pop((stream, durable), None)
        return True

    async def handled(self, stream: str) -> int | None:
        """As `Bus.handled`."""
        return min([len(self._stream(stream).messages), *(each.floor for (name, _), each in self._durables.items() if name == stream)])

    async def erase(self, stream: str, stream_seqs: Sequence[int]) -> None:
        """As `Bus.erase`; its place stays, empty."""
        for number in stream_seqs:
            self._stream(stream).erased.add(number)

    async def close(self) -> None:
        """As `Bus.close`."""
        for worker in self._consumers:
            await worker.stop()
        for follower in self._followers:
            await follower.close()

    def messages(self, stream: str) -> list[Message]:
        """For tests: all that the stream holds."""
        found = self._stream(stream)
        return [stored.message for stored in found.messages if stored.message.stream_seq not in found.erased]

    def _stream(self, name: str) -> "_Stream":
        return self._streams.setdefault(name, _Stream())


def matches(pattern: str, subject: str) -> bool:
    """Whether a NATS subject matches a pattern with `*` (one token) and `>` (one or more at the end)."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        if len(given) < len(wanted):
            return False
        wanted, given = wanted[:-1], given[: len(wanted) - 1]
    return len(wanted) == len(given) and all(token in ("*", other) for token, other in zip(wanted, given, strict=True))


@dataclass(frozen=True, slots=True)
class _Stored:
    message: Message
    message_id: str
    at: datetime


@dataclass(slots=True)
class _Stream:
    subjects: tuple[str, ...] = ()
    messages: list[_Stored] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    #: Sequence numbers of messages that are no more.
    erased: set[int] = field(default_factory=set)
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    def takes(self, item: Outgoing) -> bool:
        """Whether it is one of the stream's and was not stored before."""
        return item.message_id not in self.ids and any(matches(pattern, item.subject) for pattern in self.subjects)

    def add(self, item: Outgoing, now: datetime) -> bool:
        if not any(matches(pattern, item.subject) for pattern in self.subjects):
            return False
        if item.message_id not in self.ids:
            self.ids.add(item.message_id)
            message = Message(item.subject, bytes(item.payload), len(self.messages) + 1, dict(item.headers or {}))
            self.messages.append(_Stored(message, item.message_id, now))
            self.wake()
        return True

    def wake(self) -> None:
        self.grown.set()
        self.grown = asyncio.Event()


class _MemoryFollower(Follower):
    def __init__(self, stream: _Stream, subject: str, new: bool) -> None:
        self._stream = stream
        self._new = new
        self._subject = subject
        self._closed = False
        self._caught_up = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[Message]:
        """As `Follower.__aiter__`."""
        start = len(self._stream.messages)
        handled = start if self._new else 0
        while not self._closed:
            if handled >= start and self._stream.subjects:
                self._caught_up.set()
            if handled < len(self._stream.messages):
                stored = self._stream.messages[handled]
                if handled + 1 not in self._stream.erased and matches(self._subject, stored.message.subject):
                    yield stored.message
                handled += 1
            else:
                await self._stream.grown.wait()

    async def caught_up(self, timeout: float = 10.0) -> None:
        """As `Follower.caught_up`."""
        async with asyncio.timeout(timeout):
            await self._caught_up.wait()

    async def close(self) -> None:
        """As `Follower.close`."""
        self._closed = True
        self._stream.wake()


class _Durable:
    """A durable consumer's place in its stream; outlives the workers that use it."""

    def __init__(self, stream: _Stream, spec: ConsumerSpec) -> None:
        self.spec = spec
        self._stream = stream
        self._read = 0
        #: Workers that wait for its messages.
        self.readers = 0
        #: Sequence number -> (when it is due again, deliveries so far).
        self._unacked: dict[int, tuple[float, int]] = {}

    @property
    def floor(self) -> int:
        """Everything up to it is acknowledged."""
        return min(self._unacked, default=self._read + 1) - 1

    async def next(self, limit: int) -> Sequence[Delivery]:
        loop = asyncio.get_running_loop()
        while True:
            # Others get their turn even when a message comes back at once for ever.
            await asyncio.sleep(0)
            grown = self._stream.grown
            found = self._due(limit, loop.time())
            if found:
                return found
            wake_at = min((due for due, _ in self._unacked.values()), default=loop.time() + 60)
            self.readers += 1
            try:
                async with asyncio.timeout_at(wake_at):
                    await grown.wait()
            except TimeoutError:
                continue
            finally:
                self.readers -= 1

    async def close(self) -> None:
        self._unacked = {seq: (0.0, deliveries) for seq, (_, deliveries) in self._unacked.items()}

    def _due(self, limit: int, now: float) -> "list[_MemoryDelivery]":
        again = sorted(seq for seq, (due, _) in self._unacked.items() if due <= now)[:limit]
        room = min(limit - len(again), self.spec.max_ack_pending - len(self._unacked))
        while room > 0 and self._read < len(self._stream.messages):
            self._read += 1
            if self._read in self._stream.erased:
                continue
            if any(matches(subject, self._stream.messages[self._read - 1].message.subject) for subject in self.spec.subjects):
                again.append(self._read)
                room -= 1
        return [self._deliver(seq, now) for seq in again]

    def _deliver(self, seq: int, now: float) -> "_MemoryDelivery":
        deliveries = self._unacked.get(seq, (0.0, 0))[1] + 1
        self._unacked[seq] = (now + self.spec.ack_wait, deliveries)
        stored = self._stream.messages[seq - 1]
        message = stored.message
        return _MemoryDelivery(
            Delivered(message.subject, message.data, seq, message.headers, stored.message_id, deliveries, stored.at), self
        )

    def settle(self, seq: int) -> None:
        self._unacked.pop(seq, None)
        self._stream.wake()

    def again(self, seq: int, delay: float) -> None:
        self._unacked[seq] = (asyncio.get_running_loop().time() + delay, self._unacked[seq][1])
        self._stream.wake()


@dataclass(frozen=True, slots=True)
class _MemoryDelivery:
    message: Delivered
    durable: _Durable

    async def ack(self) -> None:
        self.durable.settle(self.message.stream_seq)

    async def nak(self, delay: float) -> None:
        self.durable.again(self.message.stream_seq, delay)

    async def term(self) -> None:
        self.durable.settle(self.message.stream_seq)

    async def in_progress(self) -> None:
        self.durable.again(self.message.stream_seq, self.durable.spec.ack_wait)
