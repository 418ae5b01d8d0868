"""What the table of registrations keeps of phones that are gone, and for how long."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from carillon_kit import postgres
from carillon_kit.clock import ManualClock
from carillon_kit.testing import fresh_database
from carillon_media.adapters.postgres_devices import PostgresDevices
from carillon_media.handlers.registrar import REMEMBERED, Device
from carillon_sip.flow import Flow
from carillon_sip.registrar import Binding

pytestmark = pytest.mark.feature("D-9")
START = datetime(2031, 1, 6, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass
class Node:
    """What a node is told by its table."""

    table: Any = None
    loaded: list[Device] = field(default_factory=list)
    heard: list[Device] = field(default_factory=list)
    lost: list[Device] = field(default_factory=list)


@pytest.fixture
async def pool() -> AsyncIterator["asyncpg.Pool[Any]"]:
    found = await postgres.open_pool(fresh_database(), max_size=2)
    await postgres.migrate(found, "carillon_media.migrations")
    yield found
    await found.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def node(clock: ManualClock) -> Callable[[str], Node]:
    def make(name: str) -> Node:
        found = Node()
        found.table = PostgresDevices(name, clock, found.loaded.extend, found.heard.extend, found.lost.extend)
        return found

    return make


def device(contact: str, clock: ManualClock) -> Device:
    flow = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.7", 5062))
    binding = Binding(contact=contact, expires_at=clock.monotonic() + 3600, call_id="c", cseq=1, flow=flow, user_agent="T54W")
    now = clock.now()
    return Device("dupont", "dupont-ann", "ann", binding, now, now + HOUR, now)


def times(devices: Sequence[Device]) -> list[tuple[str, datetime, datetime | None]]:
    return [(each.binding.contact, each.heard_at, each.left_at) for each in devices]


async def test_who_left_is_known_to_every_node_and_to_those_that_come_later(pool: Any, clock: ManualClock, node: Any) -> None:
    one, other = node("one"), node("other")
    await one.table.load(pool)
    await other.table.load(pool)
    phone = device("sip:ann@192.0.2.7:5062", clock)
    one.table.save([phone])
    await one.table.turn(pool)
    clock.advance(60)
    one.table.save([replace(phone, left_at=clock.now())])
    await one.table.turn(pool)
    await other.table.turn(pool)
    left = ("sip:ann@192.0.2.7:5062", START, START + timedelta(seconds=60))
    assert times(other.heard)[-1] == left
    clock.advance(86_400)
    await one.table.turn(pool)
    late = node("late")
    await late.table.load(pool)
    assert times(late.loaded) == [left]
    assert one.lost == other.lost == []


async def test_a_phone_of_a_dead_node_ran_out_is_told_once_and_remembered_for_thirty_days(pool: Any, clock: ManualClock, node: Any) -> None:
    dead, one, other = node("dead"), node("one"), node("other")
    for each in (dead, one, other):
        await each.table.load(pool)
    dead.table.save([device("sip:ann@192.0.2.7:5062", clock)])
    await dead.table.turn(pool)
    ran_out = ("sip:ann@192.0.2.7:5062", START, START + HOUR)
    clock.advance(3600 + 120)
    for each in (one, other):
        await each.table.turn(pool)
    assert times([*one.lost, *other.lost]) == [ran_out]
    await other.table.turn(pool)
    assert times(other.heard)[-1] == ran_out
    clock.advance(29 * 86_400)
    await one.table.turn(pool)
    assert await pool.fetchval("select count(*) from registration") == 1
    clock.advance(2 * 86_400)
    await one.table.turn(pool)
    assert await pool.fetchval("select count(*) from registration") == 0


async def test_of_several_phones_by_one_name_the_last_is_remembered(pool: Any, clock: ManualClock, node: Any) -> None:
    one = node("one")
    await one.table.load(pool)
    for contact in ("sip:ann@192.0.2.7:1", "sip:ann@192.0.2.7:2", "sip:ann@192.0.2.7:3"):
        one.table.save([replace(device(contact, clock), left_at=clock.now() + timedelta(seconds=1))])
        clock.advance(10)
    clock.advance(7200)
    await one.table.turn(pool)
    late = node("late")
    await late.table.load(pool)
    assert [each.binding.contact for each in late.loaded] == ["sip:ann@192.0.2.7:3"]


async def test_a_phone_whose_node_could_not_write_is_back_though_another_took_it_for_gone(pool: Any, clock: ManualClock, node: Any) -> None:
    """It was heard again before it ran out, and the table was told only after."""
    one, other = node("one"), node("other")
    for each in (one, other):
        await each.table.load(pool)
    phone = device("sip:ann@192.0.2.7:5062", clock)
    one.table.save([phone])
    await one.table.turn(pool)
    clock.advance(3300)
    again = device("sip:ann@192.0.2.7:5062", clock)
    clock.advance(300 + 120)
    await other.table.turn(pool)
    assert times(other.lost) == [("sip:ann@192.0.2.7:5062", START, START + HOUR)]
    one.table.save([again])
    await one.table.turn(pool)
    await other.table.turn(pool)
    assert times(other.heard)[-1] == ("sip:ann@192.0.2.7:5062", START + timedelta(seconds=3300), None)
    late = node("late")
    await late.table.load(pool)
    assert times(late.loaded) == times(other.heard)[-1:]


async def test_what_is_not_to_be_remembered_goes_once_every_node_has_read_it(pool: Any, clock: ManualClock, node: Any) -> None:
    one, other = node("one"), node("other")
    for each in (one, other):
        await each.table.load(pool)
    await one.table.turn(pool)
    phone = device("sip:ann@192.0.2.7:5062", clock)
    one.table.save([replace(phone, left_at=clock.now(), expires_at=clock.now() - REMEMBERED)])
    await one.table.turn(pool)
    await other.table.turn(pool)
    assert times(other.heard) == [("sip:ann@192.0.2.7:5062", START, START)]
    clock.advance(60)
    await one.table.turn(pool)
    assert await pool.fetchval("select count(*) from registration") == 0
