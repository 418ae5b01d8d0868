"""Lines that go to somebody else: the messages that are in the mailbox go, with their audio.

Always: what came after the reset stays, however often its event is read; what was left before it is not stored later (`PostgresMessages`).
"""

from datetime import datetime
from typing import Any
from uuid import uuid5

import asyncpg

from carillon_contracts.config_events import line_resets
from carillon_contracts.envelope import Event
from carillon_contracts.mailbox import MailboxChanged
from carillon_contracts.streams import CONFIG, MAILBOXES, mailbox_subject
from carillon_kit import outbox
from carillon_kit.bus import ConsumerSpec, Delivered, Retry
from carillon_kit.logs import get_logger
from carillon_kit.object_store import ObjectStore
from carillon_kit.postgres import UNAVAILABLE
from carillon_voicemail.adapters.greetings import drop_greetings
from carillon_voicemail.adapters.postgres_messages import LOCK, counts, delete_audio
from carillon_voicemail.ports import Wake

CONSUMER = ConsumerSpec(stream=CONFIG.name, durable="voicemail-line-resets", subject="carillon.*.config.mailbox.updated")
_GONE = "delete from message where tenant = $1 and mailbox_id = $2 and received_at <= $3 returning object"
_RESET = """
insert into line_reset (tenant, mailbox_id, reset_at) values ($1, $2, $3)
    on conflict (tenant, mailbox_id) do update set reset_at = greatest(line_reset.reset_at, excluded.reset_at)"""
_log = get_logger("line resets")


class LineResets:
    """Subscriber of stream CONFIG."""

    def __init__(self, pool: "asyncpg.Pool[Any]", objects: ObjectStore, wake: Wake) -> None:
        self._pool = pool
        self._objects = objects
        self._wake = wake

    async def handle(self, batch: list[Delivered]) -> None:
        """Raises `Retry` while the database or the object store is away, ValueError for what is no event."""
        for delivered in batch:
            event = Event.received(delivered.subject, delivered.data)
            for mailbox_id in line_resets(event):
                try:
                    gone = await self._empty(event, mailbox_id, event.time)
                except (*UNAVAILABLE, OSError) as away:
                    raise Retry(1.0) from away
                _log.info("mailbox_emptied", tenant=event.tenantid, mailbox_id=mailbox_id, messages=gone)
                self._wake()

    async def _empty(self, event: Event, mailbox_id: str, at: datetime) -> int:
        box = (event.tenantid, mailbox_id)
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(LOCK, *box)
            await connection.execute(_RESET, *box, at)
            gone = [row["object"] for row in await connection.fetch(_GONE, *box, at)]
            await delete_audio(connection, self._objects, gone)
            await drop_greetings(connection, self._objects, event.tenantid, [mailbox_id], at)
            if gone:
                changed = self._changed(event, mailbox_id, *await counts(connection, *box))
                await outbox.put(connection, MAILBOXES.name, [(changed.id, mailbox_subject(*box, "changed"), changed.to_json())])
        return len(gone)

    def _changed(self, cause: Event, mailbox_id: str, new: int, old: int) -> Event:
        return Event(
            id=uuid5(cause.id, mailbox_id),
            source="carillon/voicemail",
            type=f"carillon.{MailboxChanged.TYPE}",
            subject=f"mailbox/{mailbox_id}",
            time=cause.time,
            data=MailboxChanged(mailbox_id=mailbox_id, new=new, old=old).model_dump(mode="json"),
            tenantid=cause.tenantid,
            causationid=cause.id,
        )
