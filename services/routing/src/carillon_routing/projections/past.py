"""Configurations of the past: those in memory, and older ones folded anew from stream CONFIG, which holds every change.

Always: one tenant's events are read and no other's; a fold that takes too long is given up.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator

from carillon_contracts.streams import CONFIG
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.bus import Bus, Message
from carillon_kit.clock import Clock
from carillon_routing.projections.configuration import Configuration

#: Folded ones that are kept for the next question.
KEEP = 8
#: Messages between two breaths.
BREATH = 20
FOLD_SECONDS = 60.0


class PastConfigurations:
    """`at(tenant, version)` of every version that there ever was."""

    def __init__(self, bus: Bus, configuration: Configuration, clock: Clock) -> None:
        self._bus = bus
        self._configuration = configuration
        self._clock = clock
        #: By tenant, version, how many persons were erased, and where the log that it was folded from begins.
        self._kept: OrderedDict[tuple[str, int, int, int], TenantConfig] = OrderedDict()
        self._one = asyncio.Lock()

    async def at(self, tenant: str, seq: int) -> TenantConfig | None:
        """That version, or None if there is none; raises `TimeoutError`."""
        current = self._configuration.current(tenant)
        if current is None or not 1 <= seq <= current.seq:
            return None
        known = self._configuration.at(tenant, seq)
        if known is not None and known.seq == seq:
            return known
        async with asyncio.timeout(FOLD_SECONDS), self._one:
            follower = self._bus.follow(CONFIG.name, f"carillon.{tenant}.config.>")
            try:
                return await self._read(tenant, seq, aiter(follower))
            finally:
                await follower.close()

    async def _read(self, tenant: str, seq: int, log: AsyncIterator[Message]) -> TenantConfig:
        first = await _next(log)
        key = (tenant, seq, self._configuration.erasures(tenant), first.stream_seq)
        if key not in self._kept:
            found = await self._folded(tenant, seq, first, log)
            # What was folded before an erasure, or from the copy of the log that it destroyed, its beginning last, names somebody whom
            # nothing shall name any more.
            for old in [each for each in self._kept if each[0] == tenant and each[2:] != key[2:]]:
                del self._kept[old]
            self._kept[key] = found
            if len(self._kept) > KEEP:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    async def _folded(self, tenant: str, seq: int, first: Message, log: AsyncIterator[Message]) -> TenantConfig:
        past = Configuration(self._clock, up_to=seq)
        past.apply(first)
        count = 0
        while (found := past.current(tenant)) is None or found.seq != seq:
            past.apply(await _next(log))
            count += 1
            if not count % BREATH:
                await asyncio.sleep(0)
        return found


async def _next(log: AsyncIterator[Message]) -> Message:
    message = await anext(log, None)
    if message is None:
        raise TimeoutError(f"stream {CONFIG.name} ended")
    return message
