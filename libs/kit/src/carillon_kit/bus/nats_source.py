"""Deliveries of a durable JetStream pull consumer, for `Worker`."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import nats.errors
from nats.js import api, errors

from carillon_kit import logs
from carillon_kit.bus.api import ConsumerSpec, Delivered
from carillon_kit.bus.nats_follower import Place
from carillon_kit.bus.pull import Pull, PullLost
from carillon_kit.bus.worker import Delivery

if TYPE_CHECKING:
    from carillon_kit.bus.nats_bus import NatsBus

MESSAGE_ID = "Nats-Msg-Id"
_PAUSE_SECONDS = 0.2
_log = logs.get_logger(__name__)


def consumer_config(spec: ConsumerSpec) -> api.ConsumerConfig:
    """A durable's settings; declared before each use, since an existing durable would silently keep its old ones."""
    subjects = spec.subjects
    return api.ConsumerConfig(
        durable_name=spec.durable,
        deliver_policy=api.DeliverPolicy.ALL,
        ack_policy=api.AckPolicy.EXPLICIT,
        ack_wait=spec.ack_wait,
        max_ack_pending=spec.max_ack_pending,
        # Giving up is the worker's, with a dead letter.
        max_deliver=-1,
        filter_subject=subjects[0] if len(subjects) == 1 else None,
        filter_subjects=list(subjects) if len(subjects) > 1 else None,
    )


class NatsSource:
    """Keeps the durable consumer there and up to date, and a pull open on it."""

    def __init__(self, bus: "NatsBus", spec: ConsumerSpec, window: int) -> None:
        self._bus = bus
        self._spec = spec
        self._window = window
        self._pull: Pull | None = None
        self._watch: Any = None

    async def next(self, limit: int) -> Sequence[Delivery]:
        """As `Source.next`."""
        while True:
            try:
                pull = self._pull or await self._open()
                return [NatsDelivery(raw) for raw in await pull.next(limit)]
            except (PullLost, nats.errors.Error, OSError, TimeoutError) as error:
                await self._drop()
                if self._bus.is_closed:
                    raise asyncio.CancelledError from error
                _log.info("consumer begins again", durable=self._spec.durable, error=f"{type(error).__name__}: {error}")
                if isinstance(error, errors.NotFoundError):
                    await self._bus.restore(self._spec.stream)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def close(self) -> None:
        """Give back what was not handed out, so that another replica gets it at once."""
        pull = self._pull
        await self._drop()
        if pull is not None and not self._bus.is_closed:
            for raw in pull.arrived():
                await raw.nak()

    async def _open(self) -> Pull:
        await self._bus.connected()
        await self._bus.manager.add_consumer(self._spec.stream, consumer_config(self._spec))
        # Asked for again only when all have come: what waits here is not held back from other replicas for long.
        pull = Pull(self._bus.connection, self._spec.stream, self._spec.durable, self._window, refill_below=1, linger=self._spec.linger)
        self._watch = self._bus.watched(pull)
        self._watch.__enter__()
        await pull.open()
        self._pull = pull
        return pull

    async def _drop(self) -> None:
        pull, self._pull = self._pull, None
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.__exit__(None, None, None)
        if pull is not None:
            try:
                await pull.close()
            except nats.errors.Error:
                _log.debug("inbox not given up", durable=self._spec.durable)


class NatsDelivery:
    """A message of a pull consumer."""

    __slots__ = ("_raw", "message")

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        place = Place(raw.reply)
        headers = raw.headers or {}
        stored_at = datetime.fromtimestamp(place.nanoseconds / 1e9, UTC)
        #: What the handler sees.
        self.message = Delivered(raw.subject, raw.data, place.stream_seq, headers, headers.get(MESSAGE_ID, ""), place.delivered, stored_at)

    async def ack(self) -> None:
        """As `Delivery.ack`."""
        await self._raw.ack()

    async def nak(self, delay: float) -> None:
        """As `Delivery.nak`."""
        await self._raw.nak(delay=delay)

    async def term(self) -> None:
        """As `Delivery.term`."""
        await self._raw.term()

    async def in_progress(self) -> None:
        """As `Delivery.in_progress`."""
        await self._raw.in_progress()
