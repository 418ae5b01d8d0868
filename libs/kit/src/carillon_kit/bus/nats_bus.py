"""The bus on NATS JetStream.

nats-py gives the connection and publishes, pipelined (FastStream's publisher waits for each acknowledgement before the next message).
Consumers that take one message at a time run on a FastStream subscriber, batches on a pull of ours: see `faststream_consumer`.

Invariant: a publication returns only with the stream's own acknowledgement; a stream is never deleted or purged from here, only single
messages are erased on demand.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import nats.errors
import orjson
from nats.aio.client import Client
from nats.js import api, errors

from carillon_kit import logs, telemetry
from carillon_kit.bus.api import (
    MOST_WHOLE,
    Bus,
    Consumer,
    ConsumerSpec,
    DeadLetterStore,
    EraseRefused,
    Follower,
    Handler,
    Message,
    Outgoing,
    PublishFailed,
    StreamLike,
    StreamSpec,
)
from carillon_kit.bus.nats_follower import NatsFollower
from carillon_kit.bus.nats_source import MESSAGE_ID, NatsSource
from carillon_kit.bus.worker import PullWorker, Worker
from carillon_kit.clock import SystemClock
from carillon_kit.ids import SystemIds

_DUPLICATE_WINDOW_SECONDS = 120
_EXPECTED_STREAM = "Nats-Expected-Stream"
#: Headers of an atomic batch (NATS ADR-50): one id, numbers from 1, the last message commits.
_BATCH_ID = "Nats-Batch-Id"
_BATCH_SEQUENCE = "Nats-Batch-Sequence"
_BATCH_COMMIT = "Nats-Batch-Commit"
#: Fewer are sent one by one; the server takes at most 1,000 in a batch.
_BATCH_LEAST = 4
#: Unacknowledged publications at a time.
_WINDOW = MOST_WHOLE
_API_SECONDS = 5.0
_STREAM_IN_USE = 10058
#: No message found, sequence not found, store failed to find it.
_GONE = (10037, 10043)
_RETRY_SECONDS = 0.1

_log = logs.get_logger(__name__)


class _NoStream(Exception):
    """Nobody took the message: JetStream is not up yet, or the stream is not there."""


class Losable(Protocol):
    """What a reconnect puts an end to."""

    def lose(self, reason: str) -> None:
        """It has to begin again."""


class NatsBus(Bus):
    """`Bus` on one NATS connection, which comes back by itself for ever."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self._manager = connection.jsm(timeout=_API_SECONDS)
        #: For who tries again anyway: a request that a dying connection swallowed is not waited for long.
        self.manager = connection.jsm(timeout=_API_SECONDS / 4)
        self._ids = SystemIds()
        self._known: dict[str, StreamSpec] = {}
        self._watched: set[Losable] = set()
        self._consumers: list[Worker] = []
        self._followers: list[NatsFollower] = []
        self._acks: dict[str, asyncio.Future[None]] = {}
        self._ack_prefix = f"{connection.new_inbox()}."
        self._sent = 0
        self._up = asyncio.Event()
        self._closing = False

    @classmethod
    async def open(cls, url: str, name: str, *, timeout: float) -> "NatsBus":
        """Connect; raises `ConnectionError`. Several servers are separated by commas; the first one's user is used."""
        addresses = [urlsplit(part) for part in url.split(",")]
        user, password = addresses[0].username, addresses[0].password
        connection = Client()
        bus = cls(connection)
        options: dict[str, Any] = {} if user is None else {"user": unquote(user), "password": unquote(password or "")}
        try:
            async with asyncio.timeout(timeout):
                await connection.connect(
                    [f"nats://{address.hostname}:{address.port or 4222}" for address in addresses],
                    name=name,
                    connect_timeout=2,
                    reconnect_time_wait=0.2,  # type: ignore[arg-type]
                    max_reconnect_attempts=-1,
                    ping_interval=10,
                    max_outstanding_pings=2,
                    pending_size=16 * 1024 * 1024,
                    error_cb=bus._on_error,
                    disconnected_cb=bus._on_disconnected,
                    reconnected_cb=bus._on_reconnected,
                    **options,
                )
        except (TimeoutError, OSError, nats.errors.Error) as error:
            bus._closing = True
            await connection.close()
            raise ConnectionError(f"NATS at {addresses[0].hostname}:{addresses[0].port} cannot be had: {error}") from error
        await connection.subscribe(f"{bus._ack_prefix}*", cb=bus._on_ack)
        bus._up.set()
        return bus

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return bool(self.connection.is_closed)

    async def ensure_stream(self, stream: StreamLike) -> None:
        """As `Bus.ensure_stream`."""
        self._known[stream.name] = StreamSpec(stream.name, tuple(stream.subjects), stream.max_age_seconds)
        config = api.StreamConfig(
            name=stream.name,
            subjects=list(stream.subjects),
            retention=api.RetentionPolicy.LIMITS,
            discard=api.DiscardPolicy.NEW,
            storage=api.StorageType.FILE,
            max_age=float(stream.max_age_seconds or 0),
            duplicate_window=_DUPLICATE_WINDOW_SECONDS,
            # Single messages may have to go for good; whose user has the right to is said in the server's configuration.
            deny_delete=False,
            deny_purge=True,
            allow_direct=True,
            allow_atomic=True,
        )
        try:
            await self._manager.add_stream(config)
        except errors.BadRequestError as error:
            if error.err_code != _STREAM_IN_USE:
                raise
            existing = (await self._manager.stream_info(stream.name)).config
            await self._manager.update_stream(
                existing.evolve(
                    subjects=config.subjects, max_age=config.max_age, discard=config.discard, allow_direct=True, allow_atomic=True
                )
            )

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
        failed = await self._publish(stream, [Outgoing(subject, payload, message_id, headers)], timeout)
        for error in failed.values():
            raise PublishFailed(f"{subject} is not stored in {stream}: {error}")

    async def publish_many(self, stream: str, items: Sequence[Outgoing], timeout: float = 5.0) -> list[str]:
        """As `Bus.publish_many`."""
        failed = await self._publish(stream, items, timeout)
        if failed:
            _log.warning("not published", stream=stream, count=len(failed), error=str(next(iter(failed.values()))))
        return list(failed)

    async def publish_whole(self, stream: str, items: Sequence[Outgoing], timeout: float = 5.0) -> bool:
        """As `Bus.publish_whole`."""
        return await self._send_whole(stream, items, asyncio.get_running_loop().time() + timeout)

    def follow(self, stream: str, subject: str, *, new: bool = False) -> Follower:
        """As `Bus.follow`; waits for the stream if it is not there yet."""
        follower = NatsFollower(self, stream, subject, new=new)
        self._followers.append(follower)
        return follower

    async def last(self, stream: str, subject: str) -> Message | None:
        """As `Bus.last`."""
        try:
            found = await self._manager.get_last_msg(stream, subject)
        except errors.NotFoundError:
            return None
        return Message(found.subject or "", found.data or b"", found.seq or 0, found.headers or {})

    async def consume(self, spec: ConsumerSpec, handler: Handler, dead_letters: DeadLetterStore, batch: int = 256) -> Consumer:
        """As `Bus.consume`; waits for the stream in the background if it is not there yet."""
        worker: Worker
        if batch == 1:
            # Costs 0.3 s and 11 MB at import: only where it is used.
            from carillon_kit.bus.faststream_consumer import FastStreamConsumer

            worker = FastStreamConsumer(self, spec, handler, dead_letters, SystemClock())
        else:
            source = NatsSource(self, spec, min(batch, spec.max_ack_pending))
            worker = PullWorker(spec, handler, dead_letters, source, batch, SystemClock())
        self._consumers.append(worker)
        return worker

    async def retire(self, stream: str, durable: str) -> bool:
        """As `Bus.retire`; who reads has a request open at the server."""
        try:
            if (await self._manager.consumer_info(stream, durable)).num_waiting:
                return False
            await self._manager.delete_consumer(stream, durable)
        except errors.NotFoundError:
            return True
        except (nats.errors.Error, OSError, TimeoutError) as error:
            _log.warning("consumer stays for now", stream=stream, durable=durable, error=f"{type(error).__name__}: {error}")
            return False
        _log.info("consumer deleted", stream=stream, durable=durable)
        return True

    async def handled(self, stream: str) -> int | None:
        """As `Bus.handled`."""
        try:
            last = (await self._manager.stream_info(stream)).state.last_seq
        except errors.NotFoundError:
            return None
        found = [int(last)]
        for consumer in await self._manager.consumers_info(stream):
            # One without a durable name reads for itself alone and is not waited for.
            if consumer.config.durable_name and (consumer.num_pending or consumer.num_ack_pending) and consumer.ack_floor is not None:
                found.append(int(consumer.ack_floor.stream_seq))
        return min(found)

    async def erase(self, stream: str, stream_seqs: Sequence[int]) -> None:
        """As `Bus.erase`; the server overwrites the bytes (`no_erase` is not asked for)."""
        for number in stream_seqs:
            try:
                await self._manager.delete_msg(stream, number)
            except nats.errors.Error as error:
                if getattr(error, "err_code", None) not in _GONE:
                    raise EraseRefused(f"message {number} of {stream}: {error}") from error

    async def close(self) -> None:
        """As `Bus.close`."""
        self._closing = True
        for worker in self._consumers:
            await worker.stop()
        for follower in self._followers:
            await follower.close()
        try:
            async with asyncio.timeout(2):
                await self.connection.flush()
        except (nats.errors.Error, TimeoutError, OSError):
            _log.info("closed without a last flush")
        await self.connection.close()

    async def connected(self) -> None:
        """Return once the connection stands; raises `TimeoutError` after 10 s, so that the caller sees whether it was closed."""
        async with asyncio.timeout(10):
            await self._up.wait()

    @contextmanager
    def watched(self, pull: "Losable") -> Iterator[None]:
        """While inside, a reconnect makes the pull begin again: the server has forgotten its request."""
        self._watched.add(pull)
        try:
            yield
        finally:
            self._watched.discard(pull)

    async def restore(self, stream: str) -> None:
        """Make a stream again that was ensured here and is gone (the server's store was lost)."""
        if stream in self._known:
            try:
                await self.ensure_stream(self._known[stream])
            except (nats.errors.Error, TimeoutError, OSError) as error:
                _log.warning("stream cannot be restored", stream=stream, error=str(error))

    async def forget_consumer(self, stream: str, consumer: str) -> None:
        """Delete an ephemeral consumer, best effort: it goes by itself after a minute."""
        if self._up.is_set() and not self.is_closed:
            subject = f"$JS.API.CONSUMER.DELETE.{stream}.{consumer}"
            await self.connection.publish(subject, b"")

    def token(self) -> str:
        """A name nobody else has."""
        return self._ids.token(8)

    async def _publish(self, stream: str, items: Sequence[Outgoing], timeout: float) -> dict[str, Exception]:
        """Send all, then again those that nobody took, until the deadline; returns what failed, by message id, in order."""
        deadline = asyncio.get_running_loop().time() + timeout
        failed: dict[str, Exception] = {}
        waiting = list(items)
        while waiting:
            again = []
            for start in range(0, len(waiting), _WINDOW):
                chunk = waiting[start : start + _WINDOW]
                if await self._send_whole(stream, chunk, deadline):
                    continue
                for item, error in await self._send(stream, chunk, deadline):
                    failed[item.message_id] = error
                    if isinstance(error, _NoStream):
                        again.append(item)
            waiting = again
            if not waiting or asyncio.get_running_loop().time() + _RETRY_SECONDS > deadline:
                break
            await self.restore(stream)
            await asyncio.sleep(_RETRY_SECONDS)
            for item in waiting:
                failed.pop(item.message_id, None)
        return failed

    async def _send_whole(self, stream: str, items: Sequence[Outgoing], deadline: float) -> bool:
        """Store all as one atomic batch: one fsync and one acknowledgement for all of them (42 us of the server's CPU a message, not 88).

        False: nothing is stored for certain, and each has to be sent alone, which is safe by its id. So it is when one of them was
        stored before, when a subject is not the stream's, and on a server that knows no batches.
        """
        if len(items) < _BATCH_LEAST:
            return False
        batch, last, parent = self.token(), len(items), telemetry.traceparent()
        try:
            for number, item in enumerate(items[:-1], start=1):
                headers = {_BATCH_ID: batch, _BATCH_SEQUENCE: str(number)}
                await self.connection.publish(item.subject, item.payload, headers=self._headers(stream, item, parent) | headers)
            commit = {_BATCH_ID: batch, _BATCH_SEQUENCE: str(last), _BATCH_COMMIT: "1"}
            ack = await self._send_one(stream, items[-1], parent, commit)
        except nats.errors.Error:
            return False
        # Half of what is left is kept for sending them alone.
        await asyncio.wait((ack,), timeout=max(0.0, deadline - asyncio.get_running_loop().time()) / 2)
        if not ack.done():
            ack.cancel()
        return _error(ack) is None

    async def _send(self, stream: str, items: Sequence[Outgoing], deadline: float) -> list[tuple[Outgoing, Exception]]:
        acks = []
        parent = telemetry.traceparent()
        try:
            for item in items:
                acks.append(await self._send_one(stream, item, parent))
            await asyncio.wait(acks, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
        except nats.errors.Error as error:
            return [(item, error) for item in items]
        finally:
            for ack in acks:
                if not ack.done():
                    ack.cancel()
        outcomes = [(item, _error(ack)) for item, ack in zip(items, acks, strict=True)]
        return [(item, failure) for item, failure in outcomes if failure is not None]

    def _headers(self, stream: str, item: Outgoing, parent: str | None) -> dict[str, str]:
        headers = {**(item.headers or {}), MESSAGE_ID: item.message_id, _EXPECTED_STREAM: stream}
        if parent is not None:
            headers.setdefault(telemetry.HEADER, parent)
        return headers

    async def _send_one(
        self, stream: str, item: Outgoing, parent: str | None, batch: Mapping[str, str] | None = None
    ) -> "asyncio.Future[None]":
        self._sent += 1
        token = str(self._sent)
        ack: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._acks[token] = ack
        ack.add_done_callback(lambda _: self._acks.pop(token, None))
        headers = self._headers(stream, item, parent) | dict(batch or {})
        try:
            await self.connection.publish(item.subject, item.payload, reply=self._ack_prefix + token, headers=headers)
        except nats.errors.MaxPayloadError as error:
            # Of this message alone: those that go with it would wait behind it for ever.
            ack.set_exception(error)
        except BaseException:
            ack.cancel()
            raise
        return ack

    async def _on_ack(self, message: Any) -> None:
        ack = self._acks.get(message.subject.rpartition(".")[2])
        if ack is None or ack.done():
            return
        if message.headers is not None and message.headers.get("Status") == "503":
            ack.set_exception(_NoStream("nobody answers for the stream"))
            return
        answer = orjson.loads(message.data)
        if "error" in answer:
            ack.set_exception(PublishFailed(answer["error"].get("description", "refused")))
        else:
            ack.set_result(None)

    async def _on_error(self, error: Exception) -> None:
        _log.info("NATS", error=f"{type(error).__name__}: {error}")

    async def _on_disconnected(self) -> None:
        self._up.clear()
        if self._closing:
            _log.debug("NATS left")
        else:
            _log.warning("NATS disconnected")

    async def _on_reconnected(self) -> None:
        self._up.set()
        _log.info("NATS reconnected")
        for pull in list(self._watched):
            pull.lose("reconnected")


def _error(ack: "asyncio.Future[None]") -> Exception | None:
    if ack.cancelled() or not ack.done():
        return TimeoutError("no acknowledgement in time")
    error = ack.exception()
    return error if isinstance(error, Exception) else None
