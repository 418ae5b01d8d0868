"""`TenantLog` on Postgres: the kit's event store for the changes, the table `claim` for what may stand once."""

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import groupby
from typing import Any

import asyncpg

from carillon_contracts.config import RESOURCES, ConfigChanged, Resource, Tenant, User
from carillon_directory.adapters.ended_tokens import END
from carillon_directory.domain.claims import Claim, claim_changes
from carillon_directory.ports import Message, Outrun, Recorded
from carillon_kit import outbox
from carillon_kit.event_store import NewEvent, PostgresEventStore, StoredEvent, VersionConflict
from carillon_kit.ids import Ids

_PREFIX = "tenant-"
#: Changes stored by one statement; others are served between two.
_STEP = 1000

_RELEASE = """
delete from claim using unnest($2::text[], $3::text[]) as gone (kind, value)
 where claim.tenant = $1 and claim.kind = gone.kind and claim.value = gone.value
"""
_TAKE = """
insert into claim (kind, value, tenant)
select kind, value, $1 from unnest($2::text[], $3::text[]) as come (kind, value) order by kind, value
    on conflict do nothing returning kind, value
"""
_TAKEN_ELSEWHERE = """
select claim.kind, claim.value from claim join unnest($2::text[], $3::text[]) as asked (kind, value) using (kind, value)
 where claim.tenant <> $1
"""
_CLAIMED = """
select kind, value, tenant from claim where tenant = any($1::text[]) and value like any($2::text[]) and kind <> 'tenant'
 order by value, kind limit $3"""
#: What the directory keeps of a tenant beside its log: it ends with the tenant, and one that begins has none of it.
_FORGET = tuple(
    f"delete from {table} where tenant = $1"
    for table in ("invitation", "api_key", "login", "refresh_token", "provisioned_device", "provisioned_password")
)
#: And of a user: whoever comes under the same id has none of it, nor of what was set a moment after the former one had gone.
_FORGET_USERS = tuple(
    f"delete from {table} where tenant = $1 and user_id = any($2::text[])" for table in ("invitation", "login", "refresh_token")
)
#: What tokens say of a user.
_IN_TOKENS = ("role", "department_id", "rights_profile_id")
_HEAD = "select coalesce(max(version), 0) from event where stream = $1"
# Found by the index `event_of_resource`.
_ONE = """
select data -> 'after' from event where stream = $1 and version <= $2 and data ->> 'resource' = $3 and data ->> 'resource_id' = $4
 order by version desc limit 1"""
_PAST_OF = """
select version, at, event_id, data from event where stream = $1 and data ->> 'resource' = $2 and data ->> 'resource_id' = $3
   and version < $4 order by version desc limit $5"""
_VERSION_AT = "select coalesce(max(version), 0) from event where stream = $1 and at <= $2"

# What one append stores has one transaction id.
_WHOLE = """
select coalesce(
    (select max(version) from event where stream = $1 and xid = (select xid from event where stream = $1 and version = $2)), $2)
"""


def stream_of(tenant_id: str) -> str:
    """The tenant's stream in the event store."""
    return f"{_PREFIX}{tenant_id}"


def tenant_of(stream: str) -> str:
    """The tenant of a stream."""
    return stream.removeprefix(_PREFIX)


def new_event(change: ConfigChanged, ids: Ids) -> NewEvent:
    """A change as it is stored."""
    # `before` and `after` are JSON values already: a dump of the whole would copy them.
    return NewEvent(f"{change.resource}_{change.action}", dict(change.__dict__), ids.uuid7())


def recorded(event: StoredEvent) -> Recorded:
    """A stored event as the change that it is."""
    return Recorded(event.version, event.at, event.event_id, ConfigChanged.model_validate(event.data))


class PostgresTenantLog:
    """See the module."""

    def __init__(self, pool: "asyncpg.Pool[Any]", store: PostgresEventStore, ids: Ids) -> None:
        self._pool = pool
        self._store = store
        self._ids = ids

    async def load(self, tenant_id: str, after: int = 0, up_to: int | None = None) -> list[Recorded]:
        """As the protocol."""
        return [recorded(event) for event in await self._store.load(stream_of(tenant_id), after, up_to)]

    async def append(self, tenant_id: str, expected: int, changes: Sequence[ConfigChanged], news: Sequence[Message] = ()) -> None:
        """As the protocol."""
        async with self._pool.acquire() as connection, self.appending(connection, tenant_id, expected, changes):
            for stream, of_stream in groupby(news, key=lambda message: message[0]):
                await outbox.put(connection, stream, [message for _, message in of_stream])

    async def lock(self, tenant_ids: Iterable[str], connection: Any) -> None:
        """Nobody else appends to them until the transaction of `connection` ends, which has not written yet."""
        for tenant_id in sorted(tenant_ids):
            await self._store.lock(stream_of(tenant_id), connection)

    @asynccontextmanager
    async def appending(self, connection: Any, tenant_id: str, expected: int, changes: Sequence[ConfigChanged]) -> AsyncIterator[None]:
        """`append` with more in the same transaction: what is done on `connection` inside."""
        moved = claim_changes(changes)
        try:
            async with connection.transaction():
                for start in range(0, len(changes), _STEP):
                    events = [new_event(change, self._ids) for change in changes[start : start + _STEP]]
                    await self._store.put(stream_of(tenant_id), expected + start, events, connection)
                await connection.execute(_RELEASE, tenant_id, *_columns(moved.released))
                taken = await connection.fetch(_TAKE, tenant_id, *_columns(moved.taken))
                if len(taken) < len(moved.taken):
                    raise Outrun("a claim was taken meanwhile")
                if any(_begins_or_ends(each, Tenant.KIND) for each in changes):
                    for statement in _FORGET:
                        await connection.execute(statement, tenant_id)
                if persons := [each.resource_id for each in changes if _begins_or_ends(each, User.KIND)]:
                    for statement in _FORGET_USERS:
                        await connection.execute(statement, tenant_id, persons)
                if other := [each.resource_id for each in changes if _allowed_otherwise(each)]:
                    await connection.execute(END, tenant_id, other)
                yield
        except VersionConflict as conflict:
            raise Outrun(str(conflict)) from conflict
        except asyncpg.DeadlockDetectedError as deadlock:
            raise Outrun("two tenants exchange claims") from deadlock

    async def stands_at(self, connection: Any, tenant_id: str, version: int) -> bool:
        """Whether this is the newest version, which it stays until the transaction on `connection` ends."""
        await self._store.lock(stream_of(tenant_id), connection)
        newest: int = await connection.fetchval(_HEAD, stream_of(tenant_id))
        return newest == version

    async def head(self, tenant_id: str) -> int:
        """As the protocol."""
        version: int = await self._pool.fetchval(_HEAD, stream_of(tenant_id))
        return version

    async def one(self, tenant_id: str, kind: str, resource_id: str, version: int) -> Resource | None:
        """As the protocol."""
        if "\0" in resource_id:
            return None
        after = await self._pool.fetchval(_ONE, stream_of(tenant_id), version, kind, resource_id)
        return None if after is None else RESOURCES[kind].model_validate(after)

    async def past_of(self, tenant_id: str, kind: str, resource_id: str, before: int, limit: int) -> list[Recorded]:
        """As the protocol."""
        if "\0" in resource_id:
            return []
        rows = await self._pool.fetch(_PAST_OF, stream_of(tenant_id), kind, resource_id, before, limit)
        return [Recorded(row["version"], row["at"], row["event_id"], ConfigChanged.model_validate(row["data"])) for row in rows]

    async def version_at(self, tenant_id: str, moment: datetime) -> int:
        """As the protocol."""
        version: int = await self._pool.fetchval(_VERSION_AT, stream_of(tenant_id), moment)
        return version

    async def whole(self, tenant_id: str, version: int) -> int:
        """As the protocol."""
        last: int = await self._pool.fetchval(_WHOLE, stream_of(tenant_id), version)
        return last

    async def tenants(self) -> list[str]:
        """As the protocol."""
        return sorted(tenant_of(stream) for stream in await self._store.streams(_PREFIX))

    async def tenant_of(self, realm: str) -> str | None:
        """As `Realms`."""
        found: str | None = await self._pool.fetchval("select tenant from claim where kind = 'tenant' and value = $1", realm)
        return found

    async def claimed(self, beginnings: Sequence[str], tenants: Sequence[str], limit: int) -> list[tuple[Claim, str]]:
        """At most `limit` claims of these tenants whose values begin so, with their tenants."""
        patterns = [re.sub(r"([\\%_])", r"\\\1", beginning) + "%" for beginning in beginnings if beginning and "\0" not in beginning]
        rows = await self._pool.fetch(_CLAIMED, list(tenants), patterns, limit)
        return [(Claim(row["kind"], row["value"]), row["tenant"]) for row in rows]

    async def taken_elsewhere(self, tenant_id: str, claims: AbstractSet[Claim]) -> frozenset[Claim]:
        """As the protocol."""
        if not claims:
            return frozenset()
        rows = await self._pool.fetch(_TAKEN_ELSEWHERE, tenant_id, *_columns(claims))
        return frozenset(Claim(row["kind"], row["value"]) for row in rows)


def _begins_or_ends(change: ConfigChanged, kind: str) -> bool:
    return change.resource == kind and (change.before is None or change.after is None)


def _allowed_otherwise(change: ConfigChanged) -> bool:
    """Whether it is a user of whom tokens say what is not so any more."""
    if change.resource != User.KIND or change.before is None or change.after is None:
        return False
    return any(change.before.get(name) != change.after.get(name) for name in _IN_TOKENS)


def _columns(claims: AbstractSet[Claim]) -> tuple[list[str], list[str]]:
    ordered = sorted(claims)
    return [claim.kind for claim in ordered], [claim.value for claim in ordered]
