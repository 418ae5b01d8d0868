"""Messages in Postgres. Always: the inbox row, the message, its e-mail job and its event are one transaction; what
was left before its mailbox went to somebody else is not stored, and its audio goes.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from carillon_contracts.envelope import Event
from carillon_contracts.streams import MAILBOXES, mailbox_subject
from carillon_kit import outbox
from carillon_kit.clock import Clock, SystemClock
from carillon_kit.ids import SystemIds
from carillon_kit.inbox import Inbox
from carillon_kit.object_store import ObjectNotFound, ObjectStore
from carillon_voicemail.adapters.postgres import acquired
from carillon_voicemail.domain.message import Addressing, MailState, Message, MessageState, changed_event, marked_event
from carillon_voicemail.ports import Wake

CONSUMER = "voicemail"
MESSAGE_COLUMNS = (
    "m.message_id, m.tenant, m.mailbox_id, m.call_id, m.seq, m.caller_number, m.caller_name, m.received_at, m.duration_ms, m.object, m.mark"
)
_INSERT = """
insert into message (message_id, tenant, mailbox_id, call_id, seq, caller_number, caller_name, received_at, duration_ms, object)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing"""
_JOB = "insert into mail_job (message_id, recipients, mailbox_name, language, time_zone) values ($1, $2, $3, $4, $5)"
#: Who stores into one mailbox waits for who does already, so that counts are told in the order of being true.
LOCK = "select pg_advisory_xact_lock(hashtextextended($1 || '/' || $2, 0))"
#: Whether `$1` is a message's, or a greeting.
_SHARED = "select exists (select from message where object = $1 union all select from greeting where object = $1)"
_FORMER = "select exists (select from line_reset where tenant = $1 and mailbox_id = $2 and reset_at >= $3)"
#: New and old.
_COUNTS = """
select count(*) filter (where mark = 'new') as new, count(*) filter (where mark in ('heard', 'saved')) as old
  from message where tenant = $1 and mailbox_id = $2"""
_BOX = "select mailbox_id from message where tenant = $1 and message_id = $2"
_MARK = """
update message set mark = $3, marked_at = clock_timestamp() where tenant = $1 and message_id = $2 and mark <> $3"""
_PURGE = "delete from message where mark = 'deleted' and marked_at < clock_timestamp() - $1::interval returning object"
#: Left in a mailbox of this id that was another department's and was deleted.
_BEFORE = """exists (
     select from mailbox_deletion d
      where d.tenant = m.tenant and d.mailbox_id = m.mailbox_id and d.deleted_at >= m.received_at and d.department_id <> {department})"""
#: In one of the mailboxes, as they are with their departments; null: in any.
_AMONG = f"""({{boxes}}::text[] is null or (m.mailbox_id = any({{boxes}}) and exists (
     select from unnest({{boxes}}, {{departments}}::text[]) box(mailbox_id, department_id)
      where box.mailbox_id = m.mailbox_id and not {_BEFORE.format(department="box.department_id")})))"""
#: `$3`: those that are gone through, also if they have just been deleted; then new ones, each kind in the order of coming.
_BY_PHONE = f"""
 where m.tenant = $1 and m.mailbox_id = $2 and (m.mark <> 'deleted' or m.message_id = any($3::uuid[]))
   and not {_BEFORE.format(department="$5")}
 order by m.message_id <> all($3::uuid[]), m.mark <> 'new', m.received_at, m.message_id limit $4"""
_SELECT = f"select {MESSAGE_COLUMNS}, j.state from message m left join mail_job j using (message_id)"
_GET = f"{_SELECT} where m.tenant = $1 and m.message_id = $2 and {_AMONG.format(boxes='$3', departments='$4')}"
_LIST = f"""{_SELECT}
 where m.tenant = $1
   and ($2::text is null or m.mailbox_id = $2)
   and {_AMONG.format(boxes="$7", departments="$8")}
   and ($6 or m.mark <> 'deleted')
   and ($3::timestamptz is null or (m.received_at, m.message_id) < ($3, $4::uuid))
 order by m.received_at desc, m.message_id desc limit $5"""


async def counts(connection: Any, tenant: str, mailbox_id: str, timeout: float | None = None) -> tuple[int, int]:
    """New and old messages of a box."""
    row = await connection.fetchrow(_COUNTS, tenant, mailbox_id, timeout=timeout)
    return row["new"], row["old"]


async def delete_audio(connection: Any, objects: ObjectStore, names: Iterable[str], timeout: float | None = None) -> None:
    """Of messages that are not there (any more), unless another one has the same; `OSError` while the object store is away."""
    for name in set(names):
        if not await connection.fetchval(_SHARED, name, timeout=timeout):
            with suppress(ObjectNotFound):
                await objects.delete(name)


class PostgresMessages:
    """`Messages` on a pool whose search path is the service's schema; every statement has `timeout` seconds."""

    def __init__(
        self,
        pool: "asyncpg.Pool[Any]",
        objects: ObjectStore,
        timeout: float = 10.0,
        *,
        wake: Wake = lambda: None,
        clock: Clock | None = None,
    ) -> None:
        self._pool = pool
        self._objects = objects
        self._timeout = timeout
        self._wake = wake
        self._clock = clock or SystemClock()
        self._ids = SystemIds()
        self._inbox = Inbox(pool)

    async def store(self, cause: UUID, message: Message, to: Addressing, event: Event) -> bool:
        """See the port."""
        async with acquired(self._pool, self._timeout) as connection, connection.transaction():
            if not await self._inbox.claim(connection, CONSUMER, cause):
                return False
            box = (message.tenant, message.mailbox_id)
            await connection.execute(LOCK, *box, timeout=self._timeout)
            if await connection.fetchval(_FORMER, *box, message.received_at, timeout=self._timeout):
                await delete_audio(connection, self._objects, [message.object], timeout=self._timeout)
                return False
            if not await self._insert(connection, message):
                return False
            if to.recipients:
                row = (message.message_id, list(to.recipients), to.mailbox_name, to.language, to.time_zone)
                await connection.execute(_JOB, *row, timeout=self._timeout)
            changed = changed_event(message, event, *await counts(connection, *box, timeout=self._timeout))
            said = [
                (event.id, mailbox_subject(*box, "message_stored"), event.to_json()),
                (changed.id, mailbox_subject(*box, "changed"), changed.to_json()),
            ]
            await outbox.put(connection, MAILBOXES.name, said)
        return True

    async def _insert(self, connection: Any, message: Message) -> bool:
        done = await connection.execute(
            _INSERT,
            message.message_id,
            message.tenant,
            message.mailbox_id,
            message.call_id,
            message.seq,
            message.caller_number,
            message.caller_name,
            message.received_at,
            message.duration_ms,
            message.object,
            timeout=self._timeout,
        )
        return str(done) == "INSERT 0 1"

    async def get(self, tenant: str, message_id: UUID, among: Mapping[str, str] | None = None) -> Message | None:
        """See the port."""
        async with acquired(self._pool, self._timeout) as connection:
            row = await connection.fetchrow(_GET, tenant, message_id, *_boxes(among), timeout=self._timeout)
        return None if row is None else read_message(row)

    async def mark(self, tenant: str, message_id: UUID, state: MessageState) -> Message | None:
        """See the port."""
        async with acquired(self._pool, self._timeout) as connection, connection.transaction():
            mailbox_id = await connection.fetchval(_BOX, tenant, message_id, timeout=self._timeout)
            if mailbox_id is None:
                return None
            await connection.execute(LOCK, tenant, mailbox_id, timeout=self._timeout)
            done = await connection.execute(_MARK, tenant, message_id, state.value, timeout=self._timeout)
            row = await connection.fetchrow(_GET, tenant, message_id, *_boxes(None), timeout=self._timeout)
            if row is None:
                return None
            message = read_message(row)
            if str(done) == "UPDATE 1":
                found = await counts(connection, tenant, mailbox_id, timeout=self._timeout)
                said = marked_event(message, self._ids.uuid7(), self._clock.now(), *found)
                subject = mailbox_subject(tenant, mailbox_id, "changed")
                await outbox.put(connection, MAILBOXES.name, [(said.id, subject, said.to_json())])
        self._wake()
        return message

    async def by_phone(self, tenant: str, mailbox_id: str, also: Sequence[UUID], limit: int, department_id: str = "") -> Sequence[Message]:
        """What is listened to, new ones first, each kind in the order of coming; `also`: these in any case, those too that are deleted;
        `department_id`: the mailbox's."""
        query = _SELECT + _BY_PHONE
        async with acquired(self._pool, self._timeout) as connection:
            rows = await connection.fetch(query, tenant, mailbox_id, list(also), limit, department_id, timeout=self._timeout)
        found = map(read_message, rows)
        return sorted(found, key=lambda each: (each.state is not MessageState.NEW, each.received_at, each.message_id))

    async def purge(self, after: timedelta) -> int:
        """What was deleted so long ago goes, with its audio; how many."""
        async with acquired(self._pool, self._timeout) as connection, connection.transaction():
            gone = [row["object"] for row in await connection.fetch(_PURGE, after, timeout=self._timeout)]
            await delete_audio(connection, self._objects, gone, timeout=self._timeout)
        return len(gone)

    async def list(
        self,
        tenant: str,
        mailbox_id: str | None,
        after: tuple[datetime, UUID] | None,
        limit: int,
        *,
        among: Mapping[str, str] | None = None,
        deleted: bool = False,
    ) -> Sequence[Message]:
        """See the port."""
        given = (tenant, mailbox_id, *(after or (None, None)), limit, deleted, *_boxes(among))
        async with acquired(self._pool, self._timeout) as connection:
            rows = await connection.fetch(_LIST, *given, timeout=self._timeout)
        return [read_message(row) for row in rows]


def _boxes(among: Mapping[str, str] | None) -> tuple[list[str] | None, list[str] | None]:
    return (None, None) if among is None else (list(among), list(among.values()))


def read_message(row: Any) -> Message:
    """A row of `MESSAGE_COLUMNS` and the job's `state`."""
    return Message(
        message_id=row["message_id"],
        tenant=row["tenant"],
        mailbox_id=row["mailbox_id"],
        call_id=row["call_id"],
        seq=row["seq"],
        caller_number=row["caller_number"],
        caller_name=row["caller_name"],
        received_at=row["received_at"],
        duration_ms=row["duration_ms"],
        object=row["object"],
        mail_state=MailState(row["state"] or "none"),
        state=MessageState(row["mark"]),
    )
