"""A person in the ledger: what is charged for stays, under a pseudonym; recordings go, or stay as was ordered."""

from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID, uuid4

import orjson
import pytest

from carillon_cdr.adapters.postgres_recordings import ERASED
from carillon_cdr.erasures import carry_out
from carillon_contracts.erasure import Order, PersonErasureOrdered
from carillon_kit.object_store import MemoryObjectStore, ObjectNotFound

pytestmark = pytest.mark.feature("P-8")
AT = datetime(2026, 3, 5, 10, tzinfo=UTC)
PSEUDONYM = "erased-abcdef012345"


def order(recordings: Literal["delete", "keep"] = "delete") -> Order:
    data = PersonErasureOrdered(
        erasure_id=str(UUID(int=1)),
        ids={"zoe": PSEUDONYM, "acme-zoe": f"{PSEUDONYM}-1"},
        texts={"zoé quill": "erased", "+41791234567": "+41790000000"},
        user_id="zoe",
        pseudonym=PSEUDONYM,
        recordings=recordings,
    )
    return Order("acme", UUID(int=2), data)


async def call(pool: Any, tenant: str, call_id: str, user: str, objects: MemoryObjectStore) -> str:
    """A call of a user, with its record and its recording; the audio's name."""
    started = {"caller": "101", "caller_name": "Zoé Quill", "caller_user_id": user, "dialled": "+41791234567", "direction": "from_user"}
    body = orjson.dumps({"type": "carillon.call.started.v1", "tenantid": tenant, "data": started})
    await pool.execute(
        "insert into call_event (tenant, call_id, seq, event_id, type, at, body)"
        " values ($1, $2, 1, $3, 'carillon.call.started.v1', $4, $5)",
        *(tenant, call_id, uuid4(), AT, body),
    )
    data = {"caller": "101", "dialled": "+41791234567", "answered_by": user, "legs": [{"party": user, "number": "+41791234567"}]}
    await pool.execute(
        "insert into call_record (tenant, call_id, started_at, direction, status, caller, dialled, answered_by, data)"
        " values ($1, $2, $3, 'outbound', 'answered', '101', '+41791234567', $4, $5)",
        *(tenant, call_id, AT, user, data),
    )
    await pool.execute(
        "insert into call_record_of (tenant, call_id, whose, started_at) values ($1, $2, $3, $4)", tenant, call_id, f"user/{user}", AT
    )
    name = await objects.put(f"audio of {tenant} {call_id}".encode(), "audio/wav")
    await pool.execute(
        "insert into recording (recording_id, tenant, call_id, seq, leg_id, started_at, duration_ms, bytes, object, labels, expires_at)"
        " values ($1, $2, $3, 9, 'a', $4, 1, 1, $5, $6, $4)",
        *(uuid4(), tenant, call_id, AT, name, orjson.dumps({"user": user}).decode()),
    )
    return name


async def obeyed(pool: Any, given: Order, objects: MemoryObjectStore) -> dict[str, int]:
    async with pool.acquire() as connection, connection.transaction():
        return await carry_out(connection, given, objects)


async def test_the_record_stays_under_a_pseudonym_and_the_recording_goes(pool: Any) -> None:
    objects = MemoryObjectStore()
    theirs, colleague = await call(pool, "acme", "c1", "zoe", objects), await call(pool, "acme", "c2", "bob", objects)
    elsewhere = await call(pool, "other", "c1", "zoe", objects)
    await pool.execute(
        "insert into dead_letter (durable, stream, stream_seq, subject, data, headers, message_id, error, deliveries, stored_at)"
        " values ('cdr', 'CALLS', 1, 'carillon.acme.call.c9.started', $1, '{}', 'x', 'no event', 1, $2)",
        *(b'\xff "zoe"', AT),
    )
    counts = await obeyed(pool, order(), objects)
    assert counts == {"recordings_deleted": 1, "events": 2, "records": 2, "recordings": 1, "dead_letters_deleted": 1}
    kept = [row["body"].decode() for row in await pool.fetch("select body from call_event where tenant = 'acme' order by call_id")]
    assert [orjson.loads(body)["data"]["caller_user_id"] for body in kept] == [PSEUDONYM, "bob"]
    assert not any("Zo" in body or "1234567" in body for body in kept)
    (record,) = await pool.fetch("select * from call_record where tenant = 'acme' and call_id = 'c1'")
    assert (record["caller"], record["dialled"], record["answered_by"]) == ("101", "+41790000000", PSEUDONYM)
    assert orjson.loads(orjson.dumps(record["data"]))["legs"] == [{"party": PSEUDONYM, "number": "+41790000000"}]
    with pytest.raises(ObjectNotFound):
        await objects.get(theirs)
    assert await objects.get(colleague)
    assert await objects.get(elsewhere)
    (deleted,) = await pool.fetch("select * from recording where deleted_at is not null")
    assert (deleted["tenant"], deleted["call_id"], deleted["deleted_by"]) == ("acme", "c1", ERASED)
    (untouched,) = await pool.fetch("select * from call_record where tenant = 'other'")
    assert untouched["answered_by"] == "zoe"
    whose = await pool.fetch("select tenant, whose from call_record_of order by tenant, call_id")
    assert [tuple(each) for each in whose] == [("acme", f"user/{PSEUDONYM}"), ("acme", "user/bob"), ("other", "user/zoe")]
    assert await pool.fetchval("select count(*) from outbox where stream = 'AUDIT'") == 1
    assert set((await obeyed(pool, order(), objects)).values()) == {0}, "the second time there is nothing to do"


async def test_a_recording_that_law_makes_keep_stays_without_the_name(pool: Any) -> None:
    objects = MemoryObjectStore()
    name = await call(pool, "acme", "c1", "zoe", objects)
    counts = await obeyed(pool, order("keep"), objects)
    assert "recordings_deleted" not in counts
    assert await objects.get(name)
    (kept,) = await pool.fetch("select labels, deleted_at from recording")
    assert (PSEUDONYM in str(kept["labels"]), kept["deleted_at"]) == (True, None)


async def test_what_is_told_again_under_the_pseudonym_is_one_with_what_was_known(pool: Any) -> None:
    """The log tells the same deletion once more when it is rewritten, and a call that goes on was renamed in the round before."""
    objects = MemoryObjectStore()
    await call(pool, "acme", "c1", "zoe", objects)
    for name in ("zoe", PSEUDONYM):
        await pool.execute("insert into line_reset (tenant, user_id, reset_at) values ('acme', $1, $2)", name, AT)
    await pool.execute(
        "insert into call_record_of (tenant, call_id, whose, started_at) values ('acme', 'c1', $1, $2)", f"user/{PSEUDONYM}", AT
    )
    await obeyed(pool, order(), objects)
    assert await pool.fetchval("select array_agg(user_id) from line_reset") == [PSEUDONYM]
    assert await pool.fetchval("select array_agg(whose) from call_record_of") == [f"user/{PSEUDONYM}"]
