"""Calls that were not allowed, reported to the bus in the background: the first at once, alike ones that follow once a minute.

Always: no call waits for it and memory is bounded; what comes while the bus is away is counted and told later.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

from carillon_kit.bus import Bus, Outgoing, PublishFailed
from carillon_kit.clock import SystemClock
from carillon_kit.grpc_server import Refusal
from carillon_kit.ids import SystemIds
from carillon_kit.logs import get_logger

#: Different refusals that are remembered at once; past that they count as one of nobody known.
_MOST = 1000
_EVERY_SECONDS = 60.0
_LOOK_SECONDS = 0.5
_log = get_logger(__name__)


class Describe(Protocol):
    """Makes the message of some alike refusals."""

    def __call__(self, refusal: Refusal, times: int, *, event_id: UUID, source: str, at: datetime) -> tuple[str, bytes]:
        """Subject and payload."""


class RefusalReports:
    """Give `note` to a `GrpcServer`, start `run` as a task."""

    def __init__(self, bus: Bus, stream: str, source: str, describe: Describe, every_seconds: float = _EVERY_SECONDS) -> None:
        self._bus = bus
        self._stream = stream
        self._source = source
        self._describe = describe
        self._every_seconds = every_seconds
        self._counts: dict[Refusal, int] = {}
        self._work = asyncio.Event()
        self._told: dict[Refusal, float] = {}
        self._ids = SystemIds()
        self._clock = SystemClock()

    def note(self, refusal: Refusal) -> None:
        """One more."""
        alike = Refusal(refusal.method, refusal.reason, refusal.subject, refusal.tenant, _address(refusal.peer))
        if alike not in self._counts and len(self._counts) >= _MOST:
            alike = Refusal("", refusal.reason, "", "", "")
        self._counts[alike] = self._counts.get(alike, 0) + 1
        self._work.set()

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            await self._work.wait()
            await asyncio.sleep(_LOOK_SECONDS)
            now = self._clock.monotonic()
            self._told = {refusal: at for refusal, at in self._told.items() if now - at < self._every_seconds}
            due = {refusal: times for refusal, times in self._counts.items() if refusal not in self._told}
            if due:
                await self._report(due, now)
            if not self._counts:
                self._work.clear()

    async def _report(self, due: Mapping[Refusal, int], now: float) -> None:
        messages: dict[str, tuple[Refusal, Outgoing]] = {}
        for refusal, times in due.items():
            event_id = self._ids.uuid7()
            described = self._describe(refusal, times, event_id=event_id, source=self._source, at=self._clock.now())
            messages[str(event_id)] = refusal, Outgoing(*described, str(event_id))
        try:
            failed = set(await self._bus.publish_many(self._stream, [message for _, message in messages.values()]))
        except (PublishFailed, OSError) as error:
            _log.warning("refusals wait for the bus", waiting=len(messages), error=str(error))
            return
        for message_id, (refusal, _) in messages.items():
            if message_id not in failed:
                self._told[refusal] = now
                self._counts[refusal] -= due[refusal]
                if not self._counts[refusal]:
                    del self._counts[refusal]


def _address(peer: str) -> str:
    """`ipv4:192.0.2.7:50123` as `192.0.2.7`."""
    kind, _, rest = peer.partition(":")
    return rest.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else peer
