"""Who is to be called back is called once, by the replica that runs the clock, and again when it could not be begun."""

import json
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import ManualClock
from carillon_kit.ids import SystemIds
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.testing import eventually, postgres_dsn  # noqa: F401
from carillon_routing.adapters.call_orders import PostgresOrders
from carillon_routing.adapters.floor_log import PostgresFloors
from carillon_routing.adapters.postgres_facts import PostgresFacts
from carillon_routing.domain.asks import TakePlace
from carillon_routing.domain.cursor import Cursor, QueueWait
from carillon_routing.domain.facts import Advance, CallFacts, Play, Ring, Wait
from carillon_routing.domain.made_of import MadeOf, decode, encode
from carillon_routing.domain.queue_steps import Waited
from carillon_routing.domain.queues import commands as c
from carillon_routing.domain.queues.decide import FETCH_SECONDS
from carillon_routing.domain.replay import again
from carillon_routing.handlers.call_orders import CallOrders
from carillon_routing.handlers.floors import Floors, FloorsWhenUp
from carillon_routing.handlers.queue_calls import QueueCalls
from carillon_routing.testing import small_company

pytestmark = pytest.mark.feature("R-10", "R-22")
NUMBER = "+41791112233"


class Media:
    """Answers as told."""

    def __init__(self) -> None:
        self.begins = True
        self.asked: list[tuple[str, str, str, int, str]] = []

    async def __call__(self, tenant: str, user_id: str, number: str, ring_seconds: int, call_id: str) -> bool:
        self.asked.append((tenant, user_id, number, ring_seconds, call_id))
        return self.begins


def company(tenant: str, **queue: Any) -> TenantConfig:
    queues = [{"id": "sales", "members": [{"agent_id": "a1"}], "ring_seconds": 20, **queue}]
    names = {"id": tenant, "realm": f"{tenant}.example"}
    return small_company(tenant=names, agents=[{"id": "a1", "user_id": "anna"}], queues=queues)


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Any]:  # noqa: F811
    pool = await open_pool(postgres_dsn)
    await migrate(pool, "carillon_routing.migrations")
    yield pool
    await pool.close()


async def test_a_call_back_is_begun_once_and_tried_again_when_it_was_not(pool: Any) -> None:
    clock, media = ManualClock(), Media()
    floors = [Floors(PostgresFloors(pool, SystemIds()), company, clock, str(n), media) for n in range(2)]
    now = clock.now().timestamp()
    for command in (c.Join("c1", "sales", now, number=NUMBER), c.AskCallback("c1", NUMBER), c.CallOver("c1"), c.LogIn("a1")):
        await floors[0].execute("acme", command, 30)
    media.begins = False

    async def ticked(times: int) -> bool:
        for each in floors:
            await each.tick()
        return len(media.asked) >= times

    await eventually(lambda: ticked(1))
    (first,) = media.asked
    assert first[:4] == ("acme", "anna", NUMBER, 20)
    await floors[1].tick()
    assert len(media.asked) == 1, "the next try comes later"
    clock.advance(61)
    media.begins = True
    await eventually(lambda: ticked(2))
    assert len(media.asked) == 2
    await floors[1].execute("acme", c.Bridged(media.asked[1][4], "b1"), 30)
    floor = await floors[1].execute("acme", c.CallOver(media.asked[1][4]), 30)
    assert not floor.callers
    assert not floor.agents["a1"].call_id


async def test_it_is_offered_by_itself_to_who_has_waited_and_the_key_counts_from_then_on(pool: Any) -> None:
    config = company("another", callback_key="1", callback={"offer_after_seconds": 45}, announcements={"every_seconds": 30})
    clock, up = ManualClock(), FloorsWhenUp(expected=True)
    up.adopt(Floors(PostgresFloors(pool, SystemIds()), lambda tenant: config, clock, "1", Media()))
    calls = QueueCalls(up, clock)
    call = CallFacts("another", "offered", "inbound", "+41215550100", NUMBER)
    cursor = Cursor(config.seq, QueueWait("sales", since=int(clock.now().timestamp() * 1000)), language="en")
    said: list[tuple[str, str, int]] = []

    async def asks(outcome: Waited | None) -> Advance:
        nonlocal cursor
        found = await eventually_up(calls, config, call, cursor, outcome)
        assert found.at is not None
        kept = encode(MadeOf(call, cursor, None, clock.now(), config.seq, seen=found.seen))
        assert again(config, decode(json.loads(kept), call.tenant_id, call.call_id)) == replace(found, place=None)
        cursor = found.at
        return found

    for outcome in (None, *[Waited()] * 4):
        step = (await asks(outcome)).step
        assert isinstance(step, Wait)
        said.append((" ".join(phrase.text for phrase in step.phrases), step.leave_digits, step.max_ms))
        clock.advance(step.max_ms / 1000)
    offer = "To keep your place and be called back, press 1."
    assert said == [("", "", 30_000), ("", "", 15_000), (offer, "1", 30_000), ("", "1", 15_000), (offer, "1", 30_000)]
    await up.get().execute("another", c.LogIn("a1"), 20)
    rung = (await asks(Waited())).step
    assert isinstance(rung, Ring)
    await up.get().execute("another", c.RingOver("offered", {"a1": "busy"}), 20)
    assert isinstance((await asks(Waited("1"))).step, Play)
    asked = up.get().known("another")
    assert asked is not None
    assert asked.callers["offered"].callback


async def eventually_up(calls: QueueCalls, config: TenantConfig, call: CallFacts, cursor: Cursor, outcome: Waited | None) -> Advance:
    """The step, once the database has answered in time."""
    found: list[Advance] = []

    async def answered() -> bool:
        step = await calls.go_on(config, call, cursor, outcome)
        assert isinstance(step, Advance)
        found.append(step)
        return not isinstance(step.step, Wait) or step.step.signalled

    await eventually(answered)
    return found[-1]


@pytest.mark.feature("D-17")
async def test_nobody_is_called_back_by_a_trunk_that_is_full_and_the_agent_serves_who_comes_next(pool: Any) -> None:
    tenant, clock, media, orders = "full-trunk", ManualClock(), Media(), PostgresOrders(ManualClock(), patience=30)
    orders.adopt(pool)
    facts = PostgresFacts(lambda tenant: ZoneInfo("Europe/Zurich"))
    facts.adopt(pool)
    config = small_company(
        tenant={"id": tenant, "realm": f"{tenant}.example", "country": "CH"},
        trunks=[{"id": "carrier", "address": "192.0.2.1", "max_calls_out": 1}],
        agents=[{"id": "a1", "user_id": "anna"}],
        queues=[{"id": "sales", "members": [{"agent_id": "a1"}]}],
    )
    lines = CallOrders(orders, {tenant: config}.get, clock, None, None)
    floors = Floors(PostgresFloors(pool, SystemIds()), {tenant: config}.get, clock, "1", media, without_line=lines.without_line)
    other, place = CallFacts(tenant, "other", "from_user", NUMBER), TakePlace("limit trunk/carrier out", 1)

    async def taken() -> bool:
        return await facts.find(other, place) is not None

    await eventually(taken)
    now = clock.now().timestamp()
    for command in (c.Join("c1", "sales", now, number=NUMBER), c.AskCallback("c1", NUMBER), c.CallOver("c1"), c.Join("c2", "sales", now)):
        await floors.execute(tenant, command, 30)
    floor = await floors.execute(tenant, c.LogIn("a1"), 30)
    assert floor.callers["c1"].offered == ("a1",)
    await floors.tick()
    assert not media.asked
    clock.advance(FETCH_SECONDS + 1)

    async def next_is_offered() -> bool:
        await floors.tick()
        return (await floors.read(tenant, 30)).callers["c2"].offered == ("a1",)

    await eventually(next_is_offered)
    assert not (await floors.read(tenant, 30)).callers["c1"].offered
    assert not media.asked
    # Whoever gets free is offered who comes next at once, whichever replica is told of it.
    await floors.execute(tenant, c.Join("c3", "sales", now), 30)
    await floors.tick()
    floor = await floors.execute(tenant, c.Leave("c2", "abandoned"), 30)
    assert (floor.callers["c3"].offered, floor.callers["c1"].offered) == (("a1",), ())
    cannot = list[tuple[str, str]]()

    async def without_line(of_tenant: str, wanted: Collection[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        found = await lines.without_line(of_tenant, wanted)
        cannot.extend(found)
        return found

    another = Floors(PostgresFloors(pool, SystemIds()), {tenant: config}.get, clock, "2", media, without_line=without_line)
    await another.execute(tenant, c.Join("c4", "sales", now), 30)

    async def has_looked() -> bool:
        await another.look()
        return bool(cannot)

    await eventually(has_looked)
    floor = await another.execute(tenant, c.Leave("c3", "abandoned"), 30)
    assert (floor.callers["c4"].offered, floor.callers["c1"].offered) == (("a1",), ())
    await floors.execute(tenant, c.Leave("c4", "abandoned"), 30)
    await pool.execute("update place set ended = true where tenant = $1", tenant)
    clock.advance(FETCH_SECONDS + 1)

    async def called() -> bool:
        await floors.tick()
        clock.advance(1)
        return bool(media.asked)

    await eventually(called)
    assert media.asked[0][:3] == (tenant, "anna", NUMBER)
