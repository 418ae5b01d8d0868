"""Recordings in Postgres; their audio in the object store.

Always: a recording is kept once, whatever is delivered how often; it is marked as deleted, with its audit event, before its audio goes, and
audio that two recordings share goes with the last of them.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import orjson

from carillon_cdr.adapters.postgres_ledger import acquired
from carillon_cdr.adapters.postgres_records import SHARED
from carillon_cdr.domain.recordings import Recording
from carillon_contracts.audit import RecordingDeleted
from carillon_contracts.call import CallPickedUp, CallTookOver, CallTransferred
from carillon_contracts.envelope import Event
from carillon_contracts.rights import Names
from carillon_contracts.streams import AUDIT, audit_subject
from carillon_kit import outbox
from carillon_kit.object_store import ObjectNotFound, ObjectStore

_COLUMNS = "recording_id, tenant, call_id, seq, leg_id, started_at, duration_ms, bytes, object, labels, expires_at"
_INSERT = f"insert into recording ({_COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict do nothing"
#: Of one of the names, who talked while it was recorded. Its event comes when the file is whole, so that its times are somewhat late: who
#: left as it began or came as it ended, such as to whom the call was transferred then, is not heard in it.
_EDGE = "least(10000, recording.duration_ms / 4)"
_MEANWHILE = f"""
     and o.talked && tstzrange(recording.started_at + {_EDGE} * interval '1 ms',
                               recording.started_at + (recording.duration_ms - {_EDGE}) * interval '1 ms')"""
_HEARD = " and " + SHARED.format(row="recording", names="{names}", more=_MEANWHILE)
_OF_USER = " and " + SHARED.format(row="recording", names="$9", more="")
_GET = f"""
select {_COLUMNS} from recording
 where tenant = $1 and recording_id = $2 and deleted_at is null"""
#: Whether one of `$2` (user ids) called in a call or was called in it. By the call: the ledger is far larger than what is recorded.
_PARTY = """
(select true from call_event e
  where e.tenant = $1 and e.call_id = {call} and e.type in ('carillon.call.started.v1', 'carillon.call.leg_offered.v1')
    and array[convert_from(e.body, 'UTF8')::jsonb #>> '{{data,party}}', convert_from(e.body, 'UTF8')::jsonb #>> '{{data,caller_user_id}}']
        && $2::text[] limit 1)"""
#: Recorded calls that one of `$2` had part in, and the meetings of conferences that they were in by any call.
#: (`labels` is a JSON string that holds the document, as it is written.)
_HAD_PART = f"""
with recorded as materialized (
  select call_id, bool_or((labels #>> '{{}}')::jsonb ? 'conference_room_id') as meeting from recording
   where tenant = $1 and deleted_at is null group by call_id)
select call_id from recorded where {_PARTY.format(call="recorded.call_id")}
 union
select convert_from(j.body, 'UTF8')::jsonb #>> '{{data,meeting_id}}' from call_event j
 where exists (select from recorded where meeting)
   and j.tenant = $1 and j.type = 'carillon.call.conference_joined.v1' and {_PARTY.format(call="j.call_id")}"""
_LIST = f"""
select {_COLUMNS} from recording
 where tenant = $1 and deleted_at is null and ($2::text[] is null or call_id = any($2))
   and ($3::timestamptz is null or started_at >= $3) and ($4::timestamptz is null or started_at < $4)
   and ($5::timestamptz is null or (started_at, recording_id) < ($5, $6::uuid)){{heard}}
 order by started_at desc, recording_id desc limit $7"""
_DELETE = f"""
update recording set deleted_at = clock_timestamp(), deleted_by = $3
 where tenant = $1 and recording_id = $2 and deleted_at is null returning {_COLUMNS}"""
_EXPIRED = f"select {_COLUMNS} from recording where deleted_at is null and expires_at <= clock_timestamp() order by expires_at limit $1"
_SHARED = "select exists (select from recording where object = $1 and deleted_at is null)"
_OF = "select recording_id from recording where tenant = $1 and deleted_at is null and call_id = any($2) for update"
_JOINS = "select body from call_event where tenant = $1 and call_id = $2 and type = any($3)"
#: Events that name a call with which theirs became one, and how many such calls are followed at most.
_JOINING = [f"carillon.{each.TYPE}" for each in (CallTransferred, CallTookOver, CallPickedUp)]
_MOST_JOINED = 50
#: Who deletes what an erased person had part in.
ERASED = "erasure"


async def delete_recordings_of(connection: Any, tenant: str, who: Sequence[str], objects: ObjectStore) -> int:
    """Those of calls that one of `who` (user ids) called in or was called in, and of conferences that they were in by such a call, with
    their audio; in the caller's transaction."""
    calls = [row["call_id"] for row in await connection.fetch(_HAD_PART, tenant, list(who))]
    rows = await connection.fetch(_OF, tenant, calls)
    for row in rows:
        await forget(objects, await _delete(connection, tenant, row["recording_id"], ERASED, "a person who took part is erased"))
    return len(rows)


async def forget(objects: ObjectStore, name: str | None) -> None:
    """Take the audio of a deleted recording out of the object store, which may be away; empty or None: nothing is to be taken out."""
    if name:
        with suppress(ObjectNotFound):
            await objects.delete(name)


async def _delete(connection: Any, tenant: str, recording_id: UUID, by: str, reason: str, timeout: float | None = None) -> str | None:
    """As `PostgresRecordings.delete`, in the caller's transaction."""
    row = await connection.fetchrow(_DELETE, tenant, recording_id, by, timeout=timeout)
    if row is None:
        return None
    event = _event(_read(row), by, reason)
    await outbox.put(connection, AUDIT.name, [(event.id, audit_subject(tenant, "recording_deleted"), event.to_json())], timeout=timeout)
    shared = await connection.fetchval(_SHARED, row["object"], timeout=timeout)
    return "" if shared else str(row["object"])


class PostgresRecordings:
    """On a pool whose search path is the service's schema; every statement has `timeout` seconds."""

    def __init__(self, pool: "asyncpg.Pool[Any]", timeout: float = 10.0) -> None:
        self._pool = pool
        self._timeout = timeout

    async def keep(self, recording: Recording) -> None:
        """Raises LedgerUnavailable, as all of these."""
        labels = orjson.dumps(dict(recording.labels)).decode().replace("\\u0000", "")
        row = (recording.recording_id, recording.tenant, recording.call_id, recording.seq, recording.leg_id, recording.started_at)
        rest = (recording.duration_ms, recording.bytes, recording.object, labels, recording.expires_at)
        async with acquired(self._pool, self._timeout) as connection:
            await connection.execute(_INSERT, *row, *rest, timeout=self._timeout)

    async def get(self, tenant: str, recording_id: UUID, reached: Names | None) -> Recording | None:
        """One that was not deleted, for who reaches these names (`rights.reach`)."""
        async with acquired(self._pool, self._timeout) as connection:
            heard, names = _heard(reached, "$3")
            row = await connection.fetchrow(_GET + heard, tenant, recording_id, *names, timeout=self._timeout)
        return None if row is None else _read(row)

    async def list(
        self,
        tenant: str,
        reached: Names | None,
        call_id: str,
        user_id: str,
        begun: tuple[datetime | None, datetime | None],
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> Sequence[Recording]:
        """For who reaches these names: of all calls, of one with those that it was joined with, of those that a user had part in; newest
        first. `after`: started_at and id of the last one that was read."""
        async with acquired(self._pool, self._timeout) as connection:
            calls = await self._joined(connection, tenant, call_id) if call_id else None
            if user_id and reached is None:
                theirs = {row["call_id"] for row in await connection.fetch(_HAD_PART, tenant, [user_id], timeout=self._timeout)}
                calls = sorted(theirs if calls is None else theirs & set(calls))
            position = after or (None, None)
            heard, names = _heard(reached, "$8")
            if user_id and reached is not None:
                # Of what they reach it is known whose it is: the ledger need not be read.
                heard, names = heard + _OF_USER, [*names, [f"user/{user_id}"]]
            query = _LIST.format(heard=heard)
            rows = await connection.fetch(query, tenant, calls, *begun, *position, limit, *names, timeout=self._timeout)
        return [_read(row) for row in rows]

    async def _joined(self, connection: Any, tenant: str, call_id: str) -> Sequence[str]:
        """The call, and those that became one with it by attended transfer or pick-up."""
        calls = [call_id]
        for each in calls:
            for row in await connection.fetch(_JOINS, tenant, each, _JOINING, timeout=self._timeout):
                other = str(orjson.loads(row["body"])["data"].get("other_call_id", ""))
                if other and other not in calls and len(calls) < _MOST_JOINED:
                    calls.append(other)
        return calls

    async def delete(self, tenant: str, recording_id: UUID, by: str, reason: str) -> str | None:
        """Mark it, with its audit event; returns the object whose audio nobody needs any more (empty: somebody does), None: unknown."""
        async with acquired(self._pool, self._timeout) as connection, connection.transaction():
            return await _delete(connection, tenant, recording_id, by, reason, self._timeout)

    async def expired(self, limit: int) -> Sequence[Recording]:
        """Whose retention is over."""
        async with acquired(self._pool, self._timeout) as connection:
            return [_read(row) for row in await connection.fetch(_EXPIRED, limit, timeout=self._timeout)]


def _heard(reached: Names | None, parameter: str) -> tuple[str, list[list[str]]]:
    """The condition, if there is one, and its parameter: stated alone it is planned for the recordings of a few names among many."""
    return ("", []) if reached is None else (_HEARD.format(names=parameter), [sorted(reached)])


def _read(row: Any) -> Recording:
    fields = dict(row)
    fields["labels"] = orjson.loads(fields["labels"])
    return Recording(**fields)


def _event(recording: Recording, by: str, reason: str) -> Event:
    data = RecordingDeleted(recording_id=str(recording.recording_id), call_id=recording.call_id, deleted_by=by, reason=reason)
    return Event(
        id=uuid5(recording.recording_id, data.TYPE),
        source="carillon/cdr",
        type=f"carillon.{data.TYPE}",
        subject=f"recording/{recording.recording_id}",
        time=datetime.now(UTC),
        data=data.model_dump(mode="json"),
        tenantid=recording.tenant,
        callid=recording.call_id,
    )
