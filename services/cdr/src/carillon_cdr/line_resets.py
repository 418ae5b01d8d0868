"""Lines that go to somebody else, and users and departments that are deleted: calls before that are not in the list of calls of the line,
nor of who, or of the department that, is made anew under the same id.

Always: the records themselves stay, for who charges and who must account for them.
"""

from typing import Any

import asyncpg

from carillon_contracts.config import Department
from carillon_contracts.config.changes import RESET_LINE
from carillon_contracts.config_events import changes_of
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CONFIG
from carillon_kit.bus import ConsumerSpec, Delivered, Retry
from carillon_kit.postgres import UNAVAILABLE

CONSUMER = ConsumerSpec(stream=CONFIG.name, durable="cdr-line-resets", subject="carillon.*.config.user.updated")
DELETIONS = ConsumerSpec(stream=CONFIG.name, durable="cdr-user-deletions", subject="carillon.*.config.user.deleted")
DEPARTMENTS = ConsumerSpec(stream=CONFIG.name, durable="cdr-department-deletions", subject="carillon.*.config.department.deleted")
#: `user_id` is a user's, or a department's name (`department/sales`): no id has a slash.
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
            for _, change in changes_of(event):
                if change.get("verb") != RESET_LINE and change.get("action") != "deleted":
                    continue
                resource_id = str(change.get("resource_id", ""))
                name = f"{Department.KIND}/{resource_id}" if change.get("resource") == Department.KIND else resource_id
                try:
                    await self._pool.execute(_PUT, event.tenantid, name, event.time)
                except UNAVAILABLE as away:
                    raise Retry(1.0) from away
