"""Mailboxes that are deleted: their messages are not another department's that makes a mailbox anew under the same id.

Always: the messages stay, for the tenant's admins, and for whose they were when the deletion is undone.
"""

from typing import Any

import asyncpg

from carillon_contracts.config_events import changes_of
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CONFIG
from carillon_kit.bus import ConsumerSpec, Delivered, Retry
from carillon_kit.postgres import UNAVAILABLE

CONSUMER = ConsumerSpec(stream=CONFIG.name, durable="voicemail-mailbox-deletions", subject="carillon.*.config.mailbox.deleted")
_PUT = "insert into mailbox_deletion (tenant, mailbox_id, department_id, deleted_at) values ($1, $2, $3, $4) on conflict do nothing"


class MailboxDeletions:
    """Subscriber of stream CONFIG."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool

    async def handle(self, batch: list[Delivered]) -> None:
        """Raises `Retry` while the database is away, ValueError for what is no event."""
        for delivered in batch:
            event = Event.received(delivered.subject, delivered.data)
            for _, change in changes_of(event):
                before = change.get("before")
                department_id = str(before.get("department_id", "")) if isinstance(before, dict) else ""
                try:
                    await self._pool.execute(_PUT, event.tenantid, str(change.get("resource_id", "")), department_id, event.time)
                except UNAVAILABLE as away:
                    raise Retry(1.0) from away
