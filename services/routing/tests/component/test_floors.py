"""Floors on a real Postgres: three replicas write at once, one is killed, a new one goes on where it was."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from carillon_contracts.call import CallEnded, CallStarted, LegEnded, LegOffered
from carillon_contracts.envelope import Event, EventData
from carillon_contracts.streams import call_subject
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.bus import Delivered
from carillon_kit.clock import ManualClock
from carillon_kit.ids import SystemIds
from carillon_kit.lifecycle import Tasks
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.testing import eventually, postgres_dsn  # noqa: F401
from carillon_routing.adapters.call_facts import CallFactsWriter
from carillon_routing.adapters.floor_log import TALK_SECONDS, PostgresFloors
from carillon_routing.domain.cursor import Cursor, QueueWait
from carillon_routing.domain.facts import Advance, CallFacts, Wait
from carillon_routing.domain.queue_steps import QueueOver, QueuePlace, Waited
from carillon_routing.domain.queued import AWAY_MS
from carillon_routing.domain.queues import commands as c
from carillon_routing.domain.queues.decide import FETCH_SECONDS, Refused
from carillon_routing.domain.queues.events import FloorEvent
from carillon_routing.handlers import floors as module
from carillon_routing.handlers.floors import Floors, FloorsWhenUp
from carillon_routing.handlers.queue_calls import QueueCalls
from carillon_routing.subscribers import CallSubscriber
from carillon_routing.testing import small_company

pytestmark = pytest.mark.feature("R-10")
AGENTS = ("anna", "ben", "carl")


def company(tenant: str, **queue: Any) -> TenantConfig:
    members = [{"agent_id": agent} for agent in AGENTS]
    agents = [{"id": agent, "user_id": agent} for agent in AGENTS]
    names = {"id": tenant, "realm": f"{tenant}.example"}
    return small_company(tenant=names, agents=agents, queues=[{"id": "sales", "members": members, "max_size": 100, **queue}])


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Any]:  # noqa: F811
    pool = await open_pool(postgres_dsn)
    await migrate(pool, "carillon_routing.migrations")
    yield pool
    await pool.close()


def replica(pool: Any, clock: ManualClock, name: str = "r") -> Floors:
    return Floors(PostgresFloors(pool, SystemIds()), company, clock, name)


async def test_three_replicas_write_at_once_and_nobody_is_rung_twice(pool: Any) -> None:
    clock = ManualClock()
    replicas = [replica(pool, clock, str(n)) for n in range(3)]
    work = [c.Join(f"c{n}", "sales", float(n)) for n in range(30)] + [c.LogIn(agent) for agent in AGENTS]
    await asyncio.gather(*(replicas[n % 3].execute("three", command, 20) for n, command in enumerate(work)))
    found = [await each.read("three", 5) for each in replicas]
    assert found[0] == found[1] == found[2]
    offered = [agent for caller in found[0].callers.values() for agent in caller.offered]
    assert sorted(offered) == sorted(AGENTS)
    assert [caller.call_id for caller in found[0].waiting("sales")] == [f"c{n}" for n in range(30)]


async def test_a_writer_that_another_is_always_faster_than_gets_its_turn(pool: Any) -> None:
    clock = ManualClock()
    fast = replica(pool, clock)

    class Slow(PostgresFloors):
        async def append(self, tenant: str, version: int, events: Sequence[FloorEvent]) -> None:
            await fast.execute(tenant, c.Join(f"fast{version}", "sales", 0.0), 20)
            await super().append(tenant, version, events)

    slow = Floors(Slow(pool, SystemIds()), company, clock, "slow")
    for n in range(3):
        await slow.execute("turns", c.Join(f"slow{n}", "sales", 1.0 + n), 20)
    assert [caller.call_id for caller in (await fast.read("turns", 5)).waiting("sales")][3:] == ["slow0", "slow1", "slow2"]
    assert await slow.read("turns", 5) == await fast.read("turns", 5)


async def test_what_a_killed_replica_had_stored_is_the_floor(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SNAPSHOT_EVERY", 5)
    clock = ManualClock()
    first = replica(pool, clock)
    for n in range(6):
        await first.execute("killed", c.Join(f"c{n}", "sales", float(-n)), 5)
    await first.execute("killed", c.LogIn("anna"), 5)
    await first.tick()
    await first.execute("killed", c.Fetch("c5"), 5)
    assert (await PostgresFloors(pool, SystemIds()).start("killed"))[1] >= 5
    assert await replica(pool, clock).read("killed", 5) == await first.read("killed", 5)


async def test_one_replica_at_a_time_runs_the_clock(pool: Any) -> None:
    log = PostgresFloors(pool, SystemIds())
    assert await log.lease("one", 30)
    assert not await log.lease("other", 30)
    assert await log.lease("one", 0)
    assert await log.lease("other", 30)


async def test_a_wait_ends_on_another_replica_when_an_agent_logs_in(pool: Any) -> None:
    clock = ManualClock()
    one, other = replica(pool, clock, "one"), replica(pool, clock, "other")
    await one.execute("signal", c.Join("c1", "sales", 0.0), 5)
    waiting = asyncio.ensure_future(one.until("signal", lambda floor: bool(floor.callers["c1"].offered), 30))
    await other.execute("signal", c.LogIn("ben"), 5)
    async with asyncio.timeout(30):
        assert await waiting


async def test_a_tick_reads_a_floor_once_unless_something_is_to_be_decided(pool: Any) -> None:
    clock, reads = ManualClock(), Counter[str]()

    class Counting(PostgresFloors):
        async def since(self, tenant: str, version: int) -> list[FloorEvent]:
            reads[tenant] += 1
            return await super().since(tenant, version)

    floors = Floors(Counting(pool, SystemIds()), company, clock, "counting")
    await floors.execute("ticking", c.Join("c1", "sales", clock.now().timestamp()), 20)
    reads.clear()
    await floors.tick()
    assert reads["ticking"] == 1
    await floors.execute("ticking", c.LogIn("anna"), 20)
    assert (await floors.read("ticking", 5)).callers["c1"].offered == ("anna",)
    clock.advance(FETCH_SECONDS + 1)
    await floors.tick()
    assert (await floors.read("ticking", 5)).callers["c1"].lapses == 1, "media did not come for the offer"


@pytest.mark.feature("P-8")
async def test_what_was_rewritten_is_loaded_anew(pool: Any) -> None:
    floors = replica(pool, ManualClock())
    await floors.execute("erasing", c.Join("c1", "sales", 1.0, number="+41791234567"), 20)
    await pool.execute(
        "update event set data = replace(data::text, '+41791234567', '+41790000000')::jsonb where stream = 'floor/erasing'",
    )
    assert (await floors.read("erasing", 20)).callers["c1"].number == "+41791234567", "it is in memory"
    await floors.forget("erasing")
    await floors.forget("nobody")
    assert (await floors.read("erasing", 20)).callers["c1"].number == "+41790000000"


def ended(call_id: str, tenant: str) -> Delivered:
    fact = CallEnded(cause="normal", by="caller")
    event = Event(
        id=uuid4(),
        source="test",
        type=f"carillon.{fact.TYPE}",
        subject=call_id,
        time=datetime.now(UTC),
        data=fact.model_dump(mode="json"),
        tenantid=tenant,
        callid=call_id,
    )
    return Delivered(call_subject(tenant, call_id, "ended"), event.to_json(), 1, {}, str(event.id), 1, event.time)


async def test_who_hangs_up_while_coming_to_the_queue_is_on_no_floor(pool: Any) -> None:
    """Whichever is stored first, the end of the call or its place."""
    clock = ManualClock()
    replicas = [replica(pool, clock, str(n)) for n in range(3)]
    subscriber = CallSubscriber(replicas[2], CallFactsWriter(pool))
    await replicas[0].execute("gone", c.LogIn("anna"), 20)
    refused = 0

    async def joins(number: int) -> None:
        nonlocal refused
        try:
            await replicas[number % 2].execute("gone", c.Join(f"c{number}", "sales", float(number)), 20, then=c.Fetch(f"c{number}"))
        except Refused:
            refused += 1

    async def ends(number: int) -> None:
        for _ in range(number % 7):
            await asyncio.sleep(0)
        await subscriber.handle([ended(f"c{number}", "gone")])

    for number in range(20):
        await asyncio.gather(joins(number), ends(number))
    await subscriber.handle([ended("c99", "gone")])
    await joins(99)
    assert refused
    for each in replicas:
        floor = await each.read("gone", 20)
        assert not floor.callers
        assert not floor.agents["anna"].call_id


class Stuck(PostgresFloors):
    """Writes nothing before it is let."""

    def __init__(self, pool: Any, ids: SystemIds) -> None:
        super().__init__(pool, ids)
        self.free = asyncio.Event()

    async def append(self, tenant: str, version: int, events: Sequence[FloorEvent]) -> None:
        await self.free.wait()
        await super().append(tenant, version, events)


@pytest.fixture
async def stuck(pool: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Stuck, Floors, QueueCalls]]:
    """A disk that is slow, and callers who are told to wait at once."""
    monkeypatch.setattr(module, "GO_ON_SECONDS", 60.0)
    clock, up, log = ManualClock(), FloorsWhenUp(expected=True), Stuck(pool, SystemIds())
    async with Tasks() as tasks:
        up.adopt(Floors(log, company, clock, "slow", start=tasks.start))
        yield log, up.get(), QueueCalls(up, clock)


async def left(floors: Floors, tenant: str, call_id: str) -> bool:
    return call_id not in (await floors.read(tenant, 30)).callers


async def test_a_slow_disk_loses_no_caller_who_comes_to_a_queue(stuck: tuple[Stuck, Floors, QueueCalls]) -> None:
    log, floors, calls = stuck
    tenant, call = "slow", CallFacts("slow", "c1", "inbound", "+41215550100", "+41791112233")
    cursor = Cursor(0, QueueWait("sales", since=1000))
    found = await calls.go_on(company(tenant), call, cursor, None, 0.0)
    assert isinstance(found, Advance)
    assert found.step == Wait(max_ms=AWAY_MS, signalled=False)
    assert found.at == cursor, "nothing was said yet, and the time of coming counts"
    log.free.set()
    await eventually(lambda: there(floors, tenant, "c1"))
    found = await calls.go_on(company(tenant), call, found.at, Waited(), 60.0)
    assert isinstance(found, Advance)
    assert found.place is not None
    assert (found.place.position, found.place.joined_at) == (1, 1.0)


async def there(floors: Floors, tenant: str, call_id: str) -> bool:
    return not await left(floors, tenant, call_id)


@pytest.mark.parametrize("how", ["key", "fax", "fax that talks"])
@pytest.mark.feature("M-7")
async def test_who_leaves_is_not_held_up_by_a_slow_disk_and_is_out_of_the_queue(stuck: tuple[Stuck, Floors, QueueCalls], how: str) -> None:
    log, floors, calls = stuck
    tenant = f"leaves {how}".replace(" ", "-")
    call = CallFacts(tenant, "c1", "inbound", "+41215550100", "+41791112233")
    config = company(tenant, leave_key="9")
    log.free.set()
    await floors.execute(tenant, c.Join("c1", "sales", 1.0), 60)
    if how == "fax that talks":
        await floors.execute(tenant, c.LogIn("anna"), 60)
        await floors.execute(tenant, c.AgentAnswered("c1", "anna"), 60)
    log.free.clear()
    if how == "key":
        assert await calls.go_on(config, call, Cursor(0, QueueWait("sales", turn=1)), Waited("9"), 0.0) == QueueOver("left_by_key")
    else:
        reason = "answered" if how == "fax that talks" else "fax"
        assert await calls.called_by_fax(call, "sales") == QueuePlace("sales", left=reason)
    log.free.set()
    await eventually(lambda: left(floors, tenant, "c1"))
    if how == "fax that talks":
        assert not (await floors.read(tenant, 30)).agents["anna"].call_id


@pytest.mark.parametrize("how", ["calls", "is called"])
async def test_an_agent_who_talks_outside_the_queue_is_passed_over_and_offered_callers_after_it(pool: Any, how: str) -> None:
    """Also by a replica that knows nothing yet; the other agent is offered the caller meanwhile."""
    tenant, clock, writer = f"elsewhere-{how[:2]}", ManualClock(), CallFactsWriter(pool)
    began: EventData = CallStarted(direction="from_user", caller="101", caller_user_id="anna", dialled="102")
    leg, began = ("a", began) if how == "calls" else ("b1", LegOffered(party="anna"))
    await replica(pool, clock).execute(tenant, c.LogIn("anna"), 30)
    await writer.handle([told(tenant, "own", began, leg)])
    floors = replica(pool, clock)
    await floors.execute(tenant, c.Join("c1", "sales", 0.0), 30)
    await floors.execute(tenant, c.LogIn("ben"), 30)
    floor = await floors.execute(tenant, c.Join("c2", "sales", 1.0), 30)
    assert (floor.callers["c1"].offered, floor.callers["c2"].offered) == (("ben",), ())
    assert floors.busy(tenant, company(tenant).queues["sales"]) == ("anna",)
    await floors.tick()
    assert (await replica(pool, clock).read(tenant, 30)).callers["c2"].waits
    await writer.handle([told(tenant, "own", LegEnded(cause="normal_clearing", by="callee"), leg)])
    await eventually(lambda: offered(floors, tenant, "c2", "anna"))


async def test_an_agent_whose_talks_end_was_never_told_is_not_lost_for_ever(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant, clock = "never-told", ManualClock()
    floors = replica(pool, clock)
    await floors.execute(tenant, c.LogIn("anna"), 30)
    await CallFactsWriter(pool).handle([told(tenant, "own", LegOffered(party="anna"), "b1")])
    assert (await floors.execute(tenant, c.Join("c1", "sales", 0.0), 30)).callers["c1"].waits
    await pool.execute("update call_leg set seen_at = seen_at - make_interval(secs => $2) where tenant = $1", tenant, TALK_SECONDS + 1)
    await eventually(lambda: offered(floors, tenant, "c1", "anna"))


async def offered(floors: Floors, tenant: str, call_id: str, agent_id: str) -> bool:
    await floors.tick()
    return (await floors.read(tenant, 30)).callers[call_id].offered == (agent_id,)


def told(tenant: str, call_id: str, fact: EventData, leg: str) -> Delivered:
    kind, time = f"carillon.{fact.TYPE}", datetime.now(UTC)
    data = fact.model_dump(mode="json")
    event = Event(id=uuid4(), source="test", type=kind, subject=call_id, time=time, data=data, tenantid=tenant, callid=call_id, legid=leg)
    return Delivered(call_subject(tenant, call_id, fact.fact()), event.to_json(), 1, {}, str(event.id), 1, time)
