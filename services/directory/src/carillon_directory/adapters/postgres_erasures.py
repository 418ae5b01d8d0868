"""Erasures in Postgres. Always: each step is one transaction, found half done by nobody, and repeated it changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from carillon_contracts.audit import PersonErased, audit_event
from carillon_contracts.erasure import Cleaner, PersonErasureCarriedOut, PersonErasureOrdered, order_event
from carillon_contracts.streams import AUDIT, ERASURES
from carillon_directory.adapters.tenant_log import PostgresTenantLog, new_event, recorded, stream_of
from carillon_directory.domain.erasing.decide import Erasing, Rewriting, told
from carillon_directory.ports import Erasure
from carillon_kit import outbox
from carillon_kit.event_store import PostgresEventStore
from carillon_kit.ids import Ids
from carillon_kit.rewriting import Columns, rewrite_rows

_NEW = """
insert into erasure (erasure_id, tenant, pseudonym, requested_by, reason, up_to, body, own) values ($1, $2, $3, $4, $5, $6, $7, $8)"""
_OPEN = "select tenant, erasure_id from erasure where done_at is null order by requested_at"
_GET = "select * from erasure where tenant = $1 and erasure_id = $2"
_ANSWERS = "select round, service, counts from erasure_answer where erasure_id = $1"
_LOCK = "select * from erasure where erasure_id = $1 and done_at is null for update"
_ANSWERED = "insert into erasure_answer (erasure_id, round, service, counts) values ($1, $2, $3, $4) on conflict do nothing"
_KNOWN = "select true from erasure where erasure_id = $1"
_REWRITTEN = "update erasure set round = 1, rewritten_at = clock_timestamp() where erasure_id = $1"
_ROUND = "update erasure set round = $2, waits_for = '' where erasure_id = $1"
_WAITS = "update erasure set waits_for = $2 where erasure_id = $1 and waits_for <> $2"
_DONE = "update erasure set done_at = clock_timestamp(), body = null, own = null, waits_for = '' where erasure_id = $1"
_OF_THEM = (
    "delete from invitation where tenant = $1 and user_id = $2",
    "delete from login where tenant = $1 and user_id = $2",
    "delete from refresh_token where tenant = $1 and user_id = $2",
)
_PHONES = "delete from provisioned_password where tenant = $1 and credential_id = any($2::text[])"
_IS_OPEN = "select exists (select from erasure where tenant = $1 and done_at is null)"
#: Changes read and rewritten at a time.
_STEP = 500
#: Where else the directory's own tables name people.
_COLUMNS = (
    Columns("api_key", texts=("display_name", "created_by")),
    Columns("provisioned_device", texts=("file", "user_agent")),
    Columns("erasure", texts=("requested_by", "reason")),
)


@dataclass(frozen=True, slots=True)
class PostgresErasures:
    """`ports.ErasureLog`, and the steps after the first."""

    pool: "asyncpg.Pool[Any]"
    store: PostgresEventStore
    log: PostgresTenantLog
    ids: Ids

    async def begin(self, tenant_id: str, expected: int, erasing: Erasing, by: str, reason: str) -> None:
        """As the protocol."""
        order = erasing.order
        async with self.pool.acquire() as connection, self.log.appending(connection, tenant_id, expected, erasing.changes):
            body, own = order.model_dump(mode="json"), sorted(map(list, erasing.own))
            row = (UUID(order.erasure_id), tenant_id, order.pseudonym, by, reason, expected + len(erasing.changes), body, own)
            await connection.execute(_NEW, *row)
            for statement in _OF_THEM:
                await connection.execute(statement, tenant_id, order.user_id)
            await connection.execute(_PHONES, tenant_id, list(order.sip_users))

    async def get(self, tenant_id: str, erasure_id: UUID) -> Erasure | None:
        """One, with what was answered so far."""
        row = await self.pool.fetchrow(_GET, tenant_id, erasure_id)
        return None if row is None else _erasure(row, await self.pool.fetch(_ANSWERS, erasure_id))

    async def unfinished(self) -> list[tuple[str, UUID]]:
        """Tenant and id, oldest first; an order that cannot be read is one of them."""
        return [(row["tenant"], row["erasure_id"]) for row in await self.pool.fetch(_OPEN)]

    async def is_open(self, tenant_id: str) -> bool:
        """Whether somebody of the tenant is being erased."""
        return bool(await self.pool.fetchval(_IS_OPEN, tenant_id))

    async def rewrite(self, erasure_id: UUID, at: datetime) -> bool:
        """Let the log read as if the pseudonym had always stood there, say so in it, and tell the services; False: it was done."""
        async with self.pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(_LOCK, erasure_id)
            if row is None or row["round"]:
                return False
            order, tenant_id = PersonErasureOrdered.model_validate(row["body"]), row["tenant"]
            stream = stream_of(tenant_id)
            await self.store.lock(stream, connection)
            said = told(order, row["requested_by"], row["reason"])
            await self.store.extend(stream, [new_event(said, self.ids)], connection)
            rewriting = Rewriting(order, {(kind, name) for kind, name in row["own"]})
            count = await self._rewrite(connection, stream, row["up_to"], rewriting)
            rows = [await rewrite_rows(connection, each, tenant_id, Cleaner(order)) for each in _COLUMNS]
            counts = {"changes": count, "rows": sum(rows)}
            await connection.execute(_ANSWERED, erasure_id, 1, "directory", counts)
            await connection.execute(_REWRITTEN, erasure_id)
            await outbox.put(connection, ERASURES.name, [order_event(tenant_id, order, at)])
        return True

    async def _rewrite(self, connection: Any, stream: str, up_to: int, rewriting: Rewriting) -> int:
        count = 0
        for after in range(0, up_to, _STEP):
            stored = await self.store.load(stream, after, min(up_to, after + _STEP), connection=connection)
            changed: dict[int, dict[str, Any]] = {}
            for each in map(recorded, stored):
                new = rewriting.change(each.change)
                if new != each.change:
                    changed[each.version] = new.model_dump(mode="json")
            if changed:
                await self.store.rewrite(stream, changed, connection)
            count += len(changed)
        return count

    async def answered(self, answer: PersonErasureCarriedOut) -> None:
        """A service's answer, once."""
        if await self.pool.fetchval(_KNOWN, UUID(answer.erasure_id)):
            await self.pool.execute(_ANSWERED, UUID(answer.erasure_id), answer.round, answer.service, answer.counts)

    async def next_round(self, erasure_id: UUID, number: int, at: datetime) -> None:
        """Have the services look again."""
        async with self.pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(_LOCK, erasure_id)
            if row is not None and row["round"] == number - 1:
                order = PersonErasureOrdered.model_validate(row["body"] | {"round": number})
                await connection.execute(_ROUND, erasure_id, number)
                await outbox.put(connection, ERASURES.name, [order_event(row["tenant"], order, at)])

    async def waits(self, erasure_id: UUID, what: str) -> None:
        """What is missing, for whoever asks."""
        await self.pool.execute(_WAITS, erasure_id, what)

    async def finish(self, erasure: Erasure, at: datetime) -> None:
        """Destroy the order; from now on nothing names the person."""
        event = PersonErased(
            erasure_id=str(erasure.erasure_id), pseudonym=erasure.pseudonym, by=erasure.requested_by, counts=erasure.counts
        )
        event_id = self.ids.uuid7()
        about = f"person/{erasure.pseudonym}"
        subject, payload = audit_event(event, erasure.tenant_id, event_id=event_id, source="carillon/directory", about=about, at=at)
        async with self.pool.acquire() as connection, connection.transaction():
            if await connection.fetchrow(_LOCK, erasure.erasure_id) is not None:
                await connection.execute(_DONE, erasure.erasure_id)
                await outbox.put(connection, AUDIT.name, [(event_id, subject, payload)])


def _erasure(row: Any, answers: Sequence[Any]) -> Erasure:
    counts: dict[str, dict[str, int]] = {}
    for answer in sorted(answers, key=lambda each: each["round"]):
        of_service = counts.setdefault(answer["service"], {})
        for what, number in answer["counts"].items():
            of_service[what] = of_service.get(what, 0) + number
    return Erasure(
        erasure_id=row["erasure_id"],
        tenant_id=row["tenant"],
        pseudonym=row["pseudonym"],
        requested_by=row["requested_by"],
        requested_at=row["requested_at"],
        rewritten_at=row["rewritten_at"],
        round=row["round"],
        order=None if row["body"] is None else PersonErasureOrdered.model_validate(row["body"]),
        answered=frozenset(each["service"] for each in answers if each["round"] == row["round"]),
        counts=counts,
        waits_for=row["waits_for"],
        done_at=row["done_at"],
    )
