"""The bus as services see it: values, `Bus`, `Follower`, `Consumer`; no transport in here.

Invariant: a publication counts only when the stream acknowledged it; a message of a durable consumer is acknowledged only after
its handler returned, or after its original bytes are among the dead letters.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol, Self


class PublishFailed(Exception):
    """No acknowledgement within the deadline, or the stream refused; the message may or may not be stored, repeating it is safe."""


class EraseRefused(Exception):
    """The stream was made without leave to delete single messages, or our user has no right to."""


class Retry(Exception):
    """Raised by a handler: "not yet", deliver again after so many seconds. Not counted against `max_deliveries` for one hour."""

    def __init__(self, after_seconds: float = 1.0) -> None:
        super().__init__(f"again in {after_seconds} s")
        self.after_seconds = after_seconds


class StreamLike(Protocol):
    """What `ensure_stream` needs to know of a stream."""

    @property
    def name(self) -> str:
        """The stream's name."""

    @property
    def subjects(self) -> Sequence[str]:
        """What it holds, with `*` and `>`."""

    @property
    def max_age_seconds(self) -> int | None:
        """How long it keeps a message; None: for ever."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A plain `StreamLike`."""

    name: str
    subjects: tuple[str, ...]
    max_age_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a stream as a follower sees it; `stream_seq` grows, with gaps where the subject does not match."""

    subject: str
    data: bytes
    stream_seq: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message as a durable consumer's handler sees it; `deliveries` counts from 1. `stored_at`: when the stream took it (UTC)."""

    subject: str
    data: bytes
    stream_seq: int
    headers: Mapping[str, str]
    message_id: str
    deliveries: int
    stored_at: datetime


class Outgoing(NamedTuple):
    """A message to publish; `message_id` is what the stream knows repetitions by (two minutes)."""

    subject: str
    payload: bytes
    message_id: str
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """A durable consumer: where from, under which name, and its limits (seconds, messages)."""

    stream: str
    durable: str
    #: Subject filter; several are allowed as a tuple.
    subject: str | tuple[str, ...]
    ack_wait: float = 30
    max_ack_pending: int = 256
    #: A batch that is not full waits so long for more; 0: what is there goes at once.
    linger: float = 0.0
    #: Failures after which a message becomes a dead letter.
    max_deliveries: int = 20
    #: Delay before the second, third, ... try; the last one repeats.
    retry_delays: tuple[float, ...] = (0.2, 1, 2, 5, 10, 30)

    @property
    def subjects(self) -> tuple[str, ...]:
        """The filters as a tuple."""
        return (self.subject,) if isinstance(self.subject, str) else self.subject


Handler = Callable[[list[Delivered]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that a consumer gave up; `id` is set by the store."""

    id: int
    durable: str
    stream: str
    stream_seq: int
    subject: str
    data: bytes
    headers: Mapping[str, str]
    message_id: str
    error: str
    deliveries: int
    stored_at: datetime
    died_at: datetime
    replaying: bool = False

    def delivered(self) -> Delivered:
        """The message as the handler saw it."""
        return Delivered(self.subject, self.data, self.stream_seq, self.headers, self.message_id, self.deliveries + 1, self.stored_at)


class DeadLetterStore(Protocol):
    """Where a consumer leaves what it cannot handle, and finds what it shall try again."""

    async def add(self, durable: str, stream: str, message: Delivered, error: str) -> None:
        """Keep the original; once per (durable, stream, stream_seq), a repetition updates error and deliveries."""

    async def replays(self, durable: str) -> list[DeadLetter]:
        """What was asked to be tried again, oldest first, bounded."""

    async def resolve(self, letter_id: int) -> None:
        """The replay went through: forget it."""


class Follower(ABC):
    """An ordered reading of a stream from its first message; survives reconnects and restarts of the server."""

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[Message]:
        """Messages in stream order, endless; asking for the next one says that the last one is handled."""

    @abstractmethod
    async def caught_up(self, timeout: float = 10.0) -> None:
        """Return once all that was in the stream at the start has been handed out and handled; raises `TimeoutError`."""

    @abstractmethod
    async def close(self) -> None:
        """End the iteration."""


class Consumer(ABC):
    """A running durable consumer."""

    @abstractmethod
    async def stop(self) -> None:
        """Take no more messages, let the handler finish what it has, then return."""


#: Messages of `Bus.publish_whole`; the server's limit of an atomic batch.
MOST_WHOLE = 1000


class Bus(ABC):
    """Streams of messages with acknowledgements."""

    @staticmethod
    async def connect(url: str, name: str, *, timeout: float = 10.0) -> "Bus":
        """Connect to NATS at `nats://user:password@host:port`; raises `ConnectionError` when it cannot within `timeout` seconds."""
        from carillon_kit.bus.nats_bus import NatsBus

        return await NatsBus.open(url, name, timeout=timeout)

    @abstractmethod
    async def ensure_stream(self, stream: StreamLike) -> None:
        """Make the stream or bring its settings up to date; never deletes (file storage, deny purge, discard new)."""

    @abstractmethod
    async def publish(
        self,
        stream: str,
        subject: str,
        payload: bytes,
        message_id: str,
        timeout: float = 5.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Store one message; returns after the stream's acknowledgement, raises `PublishFailed` otherwise."""

    @abstractmethod
    async def publish_many(self, stream: str, items: Sequence[Outgoing], timeout: float = 5.0) -> list[str]:
        """Store many in order, acknowledgements pipelined; returns the ids without one (empty: all are stored)."""

    @abstractmethod
    async def publish_whole(self, stream: str, items: Sequence[Outgoing], timeout: float = 5.0) -> bool:
        """Store all in order and in one step, at most `MOST_WHOLE`.

        False: that is not known to be done, as when one of them was stored before or the server cannot; each can then be sent alone,
        which is safe by its id.
        """

    @abstractmethod
    def follow(self, stream: str, subject: str, *, new: bool = False) -> Follower:
        """Read what matches `subject` from the stream's first message on, in order; `new`: what comes after `caught_up` alone."""

    @abstractmethod
    async def last(self, stream: str, subject: str) -> Message | None:
        """The newest message that matches `subject`; None: there is none, or no such stream. Raises `TimeoutError`."""

    @abstractmethod
    async def consume(self, spec: ConsumerSpec, handler: Handler, dead_letters: DeadLetterStore, batch: int = 256) -> Consumer:
        """Start a durable consumer: `handler` gets up to `batch` messages in stream order, one call at a time in this process."""

    @abstractmethod
    async def retire(self, stream: str, durable: str) -> bool:
        """Delete a durable consumer of an older version unless somebody still reads with it; `handled` would wait for it for ever.

        True: it is not there (any more).
        """

    @abstractmethod
    async def handled(self, stream: str) -> int | None:
        """Every durable consumer of the stream is through with what came up to this `stream_seq`, 0: one with nothing yet.

        None: there is no such stream.
        """

    @abstractmethod
    async def erase(self, stream: str, stream_seqs: Sequence[int]) -> None:
        """Destroy single messages for good, in the order given; one that is gone already is passed over.

        Raises `EraseRefused` where the server or the stream does not let us.
        """

    @abstractmethod
    async def close(self) -> None:
        """Stop consumers and followers, flush, disconnect."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
