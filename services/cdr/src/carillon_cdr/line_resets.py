"""Lines that go to somebody else: calls before that are not in the list of calls of the line.

Always: the records themselves stay, for who charges and who must account for them.
"""

from typing import Any

import asyncpg

from carillon_contracts.config_events import line_resets
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CONFIG
from carillon_kit.bus import ConsumerSpec, Delivered, Retry
from carillon_kit.postgres import UNAVAILABLE

CONSUMER = ConsumerSpec(stream=CONFIG.name, durable="cdr-line-resets", subject="carillon.*.config.user.updated")
_PUT = """
insert into line_reset (tenant, user_id, reset_at) values ($1, $2, $3)
    on conflict (tenant, user_id) do update set reset_at = greatest(line_reset.reset_at, excluded.reset_at)"""


class LineResets:
    """Subscriber of stream CONFIG."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool

    async def handle(self, batch: list[Delivered]) -> None:
        """Raises `Retry` while the database is away, ValueError for what is no event."""
        for delivered in batch:
            event = Event.received(delivered.subject, delivered.data)
            for user_id in line_resets(event):
                try:
                    await self._pool.execute(_PUT, event.tenantid, user_id, event.time)
                except UNAVAILABLE as away:
                    raise Retry(1.0) from away
