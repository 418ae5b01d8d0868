"""What a durable consumer does with its messages, whatever the transport.

Invariant: a message is acknowledged only after its handler returned; it is given up only after its original bytes are among the
dead letters; and while it waits for its next try, the others go on. The handler is called by one task at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Protocol

from opentelemetry.trace import SpanKind

from carillon_kit import logs, telemetry
from carillon_kit.bus.api import Consumer, ConsumerSpec, DeadLetterStore, Delivered, Handler, Retry
from carillon_kit.clock import Clock

#: A handler that raises ValueError cannot read the message, which gets no better by waiting: it becomes a dead letter after so many tries.
MAX_UNREADABLE = 3
#: `Retry` is not counted as a failure for this long after the message was stored.
PATIENCE_SECONDS = 3600
_REPLAY_SECONDS = 1.0
_CANCEL_SECONDS = 0.2
#: Messages whose failures are remembered; far above any `max_ack_pending`.
_REMEMBERED = 10_000

_log = logs.get_logger(__name__)


class Delivery(Protocol):
    """A message in the consumer's hand."""

    @property
    def message(self) -> Delivered:
        """What the handler sees."""

    async def ack(self) -> None:
        """Done."""

    async def nak(self, delay: float) -> None:
        """Again, not before `delay` seconds."""

    async def term(self) -> None:
        """Never again."""

    async def in_progress(self) -> None:
        """Still at it: `ack_wait` begins anew."""


class Source(Protocol):
    """Where deliveries come from."""

    async def next(self, limit: int) -> Sequence[Delivery]:
        """Wait for messages, return up to `limit` in stream order; survives the server's absence."""

    async def close(self) -> None:
        """Give back what was not handed out."""


class Worker(Consumer):
    """Runs a handler over what `take` is given; who gives it, and stops giving it, is the subclass's."""

    def __init__(self, spec: ConsumerSpec, handler: Handler, dead_letters: DeadLetterStore, clock: Clock) -> None:
        self._spec = spec
        self._handler = handler
        self._dead_letters = dead_letters
        self._clock = clock
        self._failures: dict[int, int] = {}
        self._turn = asyncio.Lock()
        self._stopping = False
        # In a context of its own: what the handler does belongs to its message's trace, not to the start's.
        self._tasks = [asyncio.create_task(self._replay(), name=f"replay {spec.durable}", context=Context())]

    async def stop(self) -> None:
        """Take no more messages, let the handler finish what it has, then return."""
        async with self._turn:
            self._stopping = True
        # Again and again: where nats-py waits by Python 3.11's `wait_for`, a cancellation that meets an answer is swallowed.
        while running := [task for task in self._tasks if not task.done()]:
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=_CANCEL_SECONDS)

    async def take(self, deliveries: Sequence[Delivery]) -> None:
        """Handle and settle each of them; raises nothing but `CancelledError`."""
        try:
            await self._turn.acquire()
        except asyncio.CancelledError:
            # Stopped with messages in hand that the handler never saw.
            for delivery in deliveries:
                await delivery.nak(0)
            raise
        try:
            if self._stopping:
                for delivery in deliveries:
                    await delivery.nak(0)
            else:
                await self._handle(deliveries)
        except Exception as error:  # noqa: BLE001  (a subscriber's edge: the broker delivers them again)
            _log.error("consumer interrupted", durable=self._spec.durable, exc_info=error)
        finally:
            self._turn.release()

    async def _handle(self, deliveries: Sequence[Delivery]) -> None:
        async with self._kept(deliveries):
            if len(deliveries) > 1:
                try:
                    await self._call([delivery.message for delivery in deliveries])
                except Exception as error:  # noqa: BLE001  (a subscriber's edge)
                    _log.info("batch fails, one by one", durable=self._spec.durable, size=len(deliveries), error=_text(error))
                else:
                    for delivery in deliveries:
                        await self._done(delivery)
                    return
            for delivery in deliveries:
                await self._one(delivery)

    async def _one(self, delivery: Delivery) -> None:
        message = delivery.message
        try:
            await self._call([message])
        except Retry as retry:
            if self._age(message) < PATIENCE_SECONDS:
                await delivery.nak(retry.after_seconds)
            else:
                await self._failed(delivery, retry)
        except Exception as error:  # noqa: BLE001  (a subscriber's edge)
            await self._failed(delivery, error)
        else:
            await self._done(delivery)

    async def _call(self, messages: list[Delivered]) -> None:
        # A span that the transport has opened for the message stands between the publisher's and the handler's.
        parent = telemetry.traceparent() or messages[0].headers.get(telemetry.HEADER)
        with telemetry.entry(f"consume {self._spec.durable}", parent, SpanKind.CONSUMER):
            await self._handler(messages)

    async def _done(self, delivery: Delivery) -> None:
        self._failures.pop(delivery.message.stream_seq, None)
        await delivery.ack()

    async def _failed(self, delivery: Delivery, error: Exception) -> None:
        message, spec = delivery.message, self._spec
        failures = self._failures.pop(message.stream_seq, 0) + 1
        # Failures are counted here and not by the broker, which counts every `Retry` too. What a restart forgets, the broker's
        # count makes good once the message is old.
        old = self._age(message) >= PATIENCE_SECONDS and message.deliveries >= spec.max_deliveries
        most = min(spec.max_deliveries, MAX_UNREADABLE) if isinstance(error, ValueError) else spec.max_deliveries
        if (failures >= most or old) and await self._bury(message, failures, error):
            await delivery.term()
            return
        if len(self._failures) >= _REMEMBERED:
            del self._failures[next(iter(self._failures))]
        self._failures[message.stream_seq] = failures
        delay = spec.retry_delays[min(failures, len(spec.retry_delays)) - 1]
        _log.warning("handler failed", durable=spec.durable, subject=message.subject, failures=failures, again_in=delay, error=_text(error))
        await delivery.nak(delay)

    async def _bury(self, message: Delivered, failures: int, error: Exception) -> bool:
        try:
            await self._dead_letters.add(self._spec.durable, self._spec.stream, message, _text(error))
        except Exception as unkept:  # noqa: BLE001  (a subscriber's edge)
            _log.error("dead letter cannot be kept", durable=self._spec.durable, subject=message.subject, error=_text(unkept))
            return False
        _log.error("dead letter", durable=self._spec.durable, subject=message.subject, failures=failures, exc_info=error)
        return True

    async def _replay(self) -> None:
        while True:
            try:
                for letter in await self._dead_letters.replays(self._spec.durable):
                    async with self._turn:
                        try:
                            await self._call([letter.delivered()])
                        except Exception as error:  # noqa: BLE001  (a subscriber's edge)
                            await self._dead_letters.add(letter.durable, letter.stream, letter.delivered(), _text(error))
                        else:
                            await self._dead_letters.resolve(letter.id)
            except Exception as error:  # noqa: BLE001  (a subscriber's edge)
                _log.warning("dead letters cannot be read", durable=self._spec.durable, error=_text(error))
            await asyncio.sleep(_REPLAY_SECONDS)

    @asynccontextmanager
    async def _kept(self, deliveries: Sequence[Delivery]) -> AsyncIterator[None]:
        """While the handler works, tell the broker every `ack_wait / 2`, or a second replica would run the same messages."""
        loop = asyncio.get_running_loop()
        running: set[asyncio.Task[None]] = set()
        timer: asyncio.TimerHandle

        async def tell() -> None:
            for delivery in deliveries:
                await delivery.in_progress()

        def tick() -> None:
            nonlocal timer
            running.add(asyncio.create_task(tell()))
            timer = loop.call_later(self._spec.ack_wait / 2, tick)

        timer = loop.call_later(self._spec.ack_wait / 2, tick)
        try:
            yield
        finally:
            timer.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _age(self, message: Delivered) -> float:
        return (self._clock.now() - message.stored_at).total_seconds()


class PullWorker(Worker):
    """A worker that asks a source for batches."""

    def __init__(
        self, spec: ConsumerSpec, handler: Handler, dead_letters: DeadLetterStore, source: Source, batch: int, clock: Clock
    ) -> None:
        super().__init__(spec, handler, dead_letters, clock)
        self._source = source
        self._batch = min(batch, spec.max_ack_pending)
        self._tasks.append(asyncio.create_task(self._run(), name=f"consume {spec.durable}", context=Context()))

    async def stop(self) -> None:
        """As `Consumer.stop`."""
        await super().stop()
        await self._source.close()

    async def _run(self) -> None:
        while True:
            await self.take(await self._source.next(self._batch))


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
