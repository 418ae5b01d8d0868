"""What routing remembers of a person is forgotten; the queues' log tells of a pseudonym and still folds."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from carillon_contracts.erasure import Order, PersonErasureOrdered, answer_event
from carillon_contracts.streams import ERASURES
from carillon_kit.bus import MemoryBus
from carillon_kit.clock import ManualClock
from carillon_kit.ids import SystemIds
from carillon_kit.lifecycle import Tasks
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.testing import eventually, fresh_database
from carillon_routing import erasures
from carillon_routing.adapters.floor_log import PostgresFloors
from carillon_routing.domain.queues.commands import Join
from carillon_routing.domain.queues.floor import Floor
from carillon_routing.erasures import carry_out
from carillon_routing.handlers import floors
from carillon_routing.handlers.floors import Floors
from carillon_routing.testing import small_company

pytestmark = pytest.mark.feature("P-8")
PSEUDONYM = "erased-abcdef012345"
ORDER = Order(
    "acme",
    UUID(int=2),
    PersonErasureOrdered(
        erasure_id=str(UUID(int=1)),
        ids={"zoe": PSEUDONYM, "agent-zoe": f"{PSEUDONYM}-1"},
        texts={"+41791234567": "+41790000000"},
        user_id="zoe",
        pseudonym=PSEUDONYM,
    ),
)


@pytest.fixture
async def pool() -> AsyncIterator[Any]:
    made = await open_pool(fresh_database())
    await migrate(made, "carillon_routing.migrations")
    yield made
    await made.close()


async def test_facts_go_and_the_log_of_the_queues_names_a_pseudonym(pool: Any) -> None:
    for tenant in ("acme", "other"):
        await pool.execute("insert into code_block (tenant, user_id, kind) values ($1, 'zoe', 'pin')", tenant)
        await pool.execute("insert into last_talk values ($1, '+41791234567', 'bob', now()), ($1, '+41210000001', 'zoe', now())", tenant)
        await pool.execute("insert into call_seen (tenant, call_id, caller_user_id, seen_at) values ($1, 'c', 'zoe', now())", tenant)
        await pool.execute("insert into call_leg (tenant, call_id, leg_id, party, seen_at) values ($1, 'c', 'a', 'zoe', now())", tenant)
        data = {"agent_id": "agent-zoe", "queue_id": "zoe-fans"}
        await pool.execute(
            "insert into event (stream, version, event_id, type, data) values ($1, 1, $2, 'agent_paused', $3)",
            *(f"floor/{tenant}", uuid4(), data),
        )
        await pool.execute(
            "insert into call_order (tenant, order_id, kind, who, number, caused_by, asked_at, not_before, expires_at)"
            " values ($1, $2, 'call_back', 'bob', '+41791234567', 'c', now(), now(), now())",
            *(tenant, uuid4()),
        )
        await pool.execute(
            "insert into event (stream, version, event_id, type, data) values ($1, 1, $2, 'call_back.requested', $3)",
            *(f"orders/{tenant}", uuid4(), {"user_id": "zoe", "number": "+41791234567"}),
        )
        for key, answer in ("n=%2B41791234567 0", "Mr. X"), ("n=7 0", "+41791234567"), ("n=8 0", "nobody"):
            await pool.execute(
                "insert into slow_answer (tenant, call_id, key, value) values ($1, 'c', $2, $3)",
                *(tenant, f"fetch https://crm.example/x?{key}", {"answer": {"status": 200, "body": {"says": answer}}}),
            )
        await pool.execute("insert into floor_snapshot values ($1, 1, $2)", tenant, {"agents": {"agent-zoe": {"calls": 1}}})

    async def obeyed() -> dict[str, int]:
        async with pool.acquire() as connection, connection.transaction():
            return await carry_out(connection, ORDER)

    assert await obeyed() == {"facts_deleted": 6, "calls": 2, "queues": 3, "dead_letters_deleted": 0}
    assert await pool.fetchval("select count(*) from last_talk where tenant = 'acme'") == 0
    assert await pool.fetchval("select count(*) from last_talk where tenant = 'other'") == 2
    (event,) = await pool.fetch("select data from event where stream = 'floor/acme'")
    assert event["data"] == {"agent_id": f"{PSEUDONYM}-1", "queue_id": "zoe-fans"}
    (event,) = await pool.fetch("select data from event where stream = 'orders/acme'")
    assert event["data"] == {"user_id": PSEUDONYM, "number": "+41790000000"}
    kept = await pool.fetch("select tenant, key from slow_answer order by tenant, key")
    assert [(row["tenant"], row["key"][28:]) for row in kept[:1]] == [("acme", "n=8 0")]
    assert len(kept) == 4
    assert [row["tenant"] for row in await pool.fetch("select tenant from call_order")] == ["other"]
    assert await pool.fetchval("select state from floor_snapshot where tenant = 'acme'") == {"agents": {f"{PSEUDONYM}-1": {"calls": 1}}}
    assert await pool.fetchval("select caller_user_id from call_seen where tenant = 'acme'") == PSEUDONYM
    assert await pool.fetchval("select caller_user_id from call_seen where tenant = 'other'") == "zoe"
    assert set((await obeyed()).values()) == {0}


async def test_who_folded_the_floor_before_an_erasure_writes_no_snapshot_of_it_until_it_has_forgotten(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(floors, "SNAPSHOT_EVERY", 1)
    config = small_company(queues=[{"id": "sales", "members": []}])
    replica = Floors(PostgresFloors(pool, SystemIds()), {"acme": config}.get, ManualClock(), "replica")
    await replica.execute("acme", Join("c1", "sales", 1.0, number="+41791234567"), 20)
    async with pool.acquire() as connection, connection.transaction():
        await carry_out(connection, ORDER)
    await replica.tick()
    assert await PostgresFloors(pool, SystemIds()).start("acme") == (Floor(), 0)
    await replica.forget("acme")
    await replica.read("acme", 20)
    await replica.tick()
    floor, version = await PostgresFloors(pool, SystemIds()).start("acme")
    assert (version > 0, floor.callers["c1"].number) == (True, "+41790000000")


async def test_every_replica_forgets_when_one_has_carried_an_order_out() -> None:
    bus, forgotten = MemoryBus(), []

    async def forget(tenant: str) -> None:
        forgotten.append(tenant)

    await bus.ensure_stream(ERASURES)
    async with Tasks() as tasks:
        tasks.start(erasures.forget(bus, forget), "forgets")
        for service in ("cdr", "routing"):
            event_id, subject, payload = answer_event(ORDER, service, {}, datetime.now(UTC))
            await bus.publish(ERASURES.name, subject, payload, str(event_id))
        await eventually(lambda: forgotten == ["acme"])
