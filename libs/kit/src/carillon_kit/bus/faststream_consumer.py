"""A durable consumer that takes one message at a time, on a FastStream subscriber.

`Bus.consume(..., batch=1)` runs here: voicemail's recordings, and whatever else is rare and needs no transaction over many messages.
Batches (the ledger of calls: 512 events in one transaction) run on `pull`. Measured on one core, 10,000 messages waiting, an empty
handler, CPU per message: 415 us here (one request per message; parsing, scopes and middlewares are FastStream's), 53 us for single
messages and 16 us in batches of 512 on `pull`. From publishing a lone message to its handler: 1.0 ms here, 0.8 ms there. Batches do not
run here: FastStream 0.7.8 waits until a batch is full or its timeout has passed (a lone message is 1,002 ms late with a timeout of 1 s),
and its single messages cannot share a transaction.

From FastStream: the subscriber and its loop, the message and its acknowledgements, OpenTelemetry, the ordered stop. Ours: the durable
is declared beforehand (an existing one would silently keep its old settings), and looked for once a second, because the loop goes on
asking a consumer that is gone for ever; retries, growing delays and dead letters are the `Worker`'s.

Invariant: as `Worker`'s. One message is in hand at a time, so nothing waits behind a slow handler; only what the server sends in the
very moment of a stop comes back after `ack_wait`.
"""

import asyncio
import logging
from contextvars import Context
from typing import TYPE_CHECKING, Any

import nats.errors
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from faststream.nats.opentelemetry import NatsTelemetryMiddleware
from nats.js import errors

from carillon_kit import logs, telemetry
from carillon_kit.bus.api import ConsumerSpec, DeadLetterStore, Handler
from carillon_kit.bus.nats_source import NatsDelivery, consumer_config
from carillon_kit.bus.worker import Worker
from carillon_kit.clock import Clock

if TYPE_CHECKING:
    from carillon_kit.bus.nats_bus import NatsBus

#: How long one request for a message stays open at the server.
_REQUEST_SECONDS = 5.0
_CHECK_SECONDS = 1.0
_PAUSE_SECONDS = 0.2
#: A stop waits this long for the handler; the process's own deadline is shorter.
_HANDLER_SECONDS = 3600.0
_log = logs.get_logger(__name__)


class SharedBroker(NatsBroker):
    """A broker on the bus's connection, which it neither makes nor closes."""

    def __init__(self, connection: Any) -> None:
        provider = telemetry.provider()
        super().__init__(
            middlewares=() if provider is None else (NatsTelemetryMiddleware(tracer_provider=provider),),
            graceful_timeout=_HANDLER_SECONDS,
            apply_types=False,
            logger=logging.getLogger("faststream"),
            log_level=logging.DEBUG,
        )
        self._shared = connection

    async def _connect(self) -> Any:
        self.config.connect(self._shared)
        return self._shared


class FastStreamConsumer(Worker):
    """Keeps the durable there and a subscriber on it, until stopped."""

    def __init__(self, bus: "NatsBus", spec: ConsumerSpec, handler: Handler, dead_letters: DeadLetterStore, clock: Clock) -> None:
        super().__init__(spec, handler, dead_letters, clock)
        self._bus = bus
        self._broker = SharedBroker(bus.connection)
        self._lost = asyncio.Event()
        self._ending = False
        self._keeping = asyncio.create_task(self._keep(), name=f"consume {spec.durable}", context=Context())

    async def stop(self) -> None:
        """As `Consumer.stop`."""
        self._ending = True
        self._lost.set()
        # Once only, it would cut the wait for the handler; where nats-py swallows it, `_ending` ends the loops.
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        await super().stop()

    def lose(self, reason: str) -> None:
        """Begin again: the server has forgotten the request, or us."""
        _log.debug("subscriber lost", durable=self._spec.durable, reason=reason)
        self._lost.set()

    async def _keep(self) -> None:
        while not self._ending:
            try:
                await self._subscribed()
            except (nats.errors.Error, OSError, TimeoutError) as error:
                if self._bus.is_closed:
                    return
                _log.info("consumer begins again", durable=self._spec.durable, error=f"{type(error).__name__}: {error}")
                if isinstance(error, errors.NotFoundError):
                    await self._bus.restore(self._spec.stream)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _subscribed(self) -> None:
        """Declare and consume until the connection or the durable is lost; raises what told so."""
        await self._bus.connected()
        await self._bus.manager.add_consumer(self._spec.stream, consumer_config(self._spec))
        await self._broker.connect()
        self._lost.clear()
        subscriber = self._subscriber()
        with self._bus.watched(self):
            try:
                await subscriber.start()
                await self._until_lost()
            finally:
                # Asks for nothing more, and waits for the handler.
                await subscriber.stop()

    def _subscriber(self) -> Any:
        spec = self._spec
        subscriber = self._broker.subscriber(
            spec.subjects[0] if len(spec.subjects) == 1 else "",
            stream=JStream(spec.stream, declare=False),
            durable=spec.durable,
            pull_sub=PullSub(batch_size=1, timeout=_REQUEST_SECONDS),
            config=consumer_config(spec),
            ack_policy=AckPolicy.MANUAL,
            decoder=_whole,
            no_reply=True,
            persistent=False,
        )
        subscriber(self._on_message)
        return subscriber

    async def _on_message(self, message: NatsMessage) -> None:
        await self.take([NatsDelivery(message.raw_message)])

    async def _until_lost(self) -> None:
        while not self._ending:
            try:
                async with asyncio.timeout(_CHECK_SECONDS):
                    await self._lost.wait()
                return
            except TimeoutError:
                await self._bus.manager.consumer_info(self._spec.stream, self._spec.durable)


async def _whole(message: NatsMessage) -> NatsMessage:
    """A decoder that leaves the bytes alone: what they mean is the handler's."""
    return message
