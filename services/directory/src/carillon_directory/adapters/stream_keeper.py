"""The stream CONFIG holds what the log holds, also after the bus lost its store.

The log in Postgres is the truth; every so often its first event of each tenant and its newest version are looked for in the stream,
and when one is missing everything is published again. A follower that has a change already passes over it.
"""

import asyncio
from typing import Any

import asyncpg

from carillon_contracts.envelope import Event
from carillon_contracts.streams import CONFIG
from carillon_directory.adapters.stream_reading import looked_through
from carillon_directory.adapters.tenant_log import tenant_of
from carillon_kit.bus import Bus
from carillon_kit.logs import get_logger
from carillon_kit.relay import Relay

_FIRST = "select event_id from event where version = 1"
_NEWEST = "select stream, version from event order by xid desc, position desc limit 1"
_ALL_FIRST = "carillon.*.config.tenant.created"
#: For the relay to publish all it has, and for the bus to hand out what is asked for.
_PATIENCE = 30.0
_log = get_logger(__name__)


class StreamKeeper:
    """Watches the stream and has it built again when it is not whole."""

    def __init__(self, bus: Bus, relay: Relay, pool: "asyncpg.Pool[Any]", every_seconds: float) -> None:
        self._bus = bus
        self._relay = relay
        self._pool = pool
        self._every_seconds = every_seconds

    async def run(self) -> None:
        """Check until cancelled; survives the absence of the bus and of the database."""
        while True:
            try:
                await self.check()
            except Exception as error:  # noqa: BLE001  (a subscriber's edge)
                _log.warning("configuration stream cannot be checked", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(self._every_seconds)

    async def check(self) -> bool:
        """Whether the stream was whole; if not, everything is on its way again."""
        await self._bus.ensure_stream(CONFIG)
        expected = {row["event_id"] for row in await self._pool.fetch(_FIRST)}
        row = await self._pool.fetchrow(_NEWEST)
        if row is None:
            return True
        await self._relay.caught_up(_PATIENCE)
        found = set(await looked_through(self._bus, CONFIG, _ALL_FIRST, lambda each: Event.from_json(each.data).id, _PATIENCE))
        if expected <= found and await self._newest(tenant_of(row["stream"])) >= row["version"]:
            return True
        _log.error("configuration stream is not whole; publishing it again", missing=len(expected - found))
        await self._relay.rebuild()
        return False

    async def _newest(self, tenant_id: str) -> int:
        """The tenant's last version in the stream; 0: it has none."""
        message = await self._bus.last(CONFIG.name, f"carillon.{tenant_id}.config.>")
        return 0 if message is None else Event.from_json(message.data).configseq or 0
