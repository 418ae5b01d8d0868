"""The relay against a real Postgres: late commits, order, failures, rebuild, one leader."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from carillon_kit.event_store import NewEvent, PostgresEventStore, RawEvent
from carillon_kit.ids import SystemIds
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.relay import Relay
from carillon_kit.testing import eventually

IDS = SystemIds()


class Published:
    """A publisher that notes what it is given, and can be told to fail."""

    def __init__(self) -> None:
        self.events: list[RawEvent] = []
        self.failing = 0
        self.calls = 0

    async def __call__(self, events: Sequence[RawEvent]) -> None:
        self.calls += 1
        if self.failing:
            self.failing -= 1
            raise ConnectionError("stream away")
        self.events += events

    @property
    def names(self) -> list[str]:
        return [f"{event.stream}{event.version}" for event in self.events]


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Any]:
    pool = await open_pool(postgres_dsn)
    await migrate(pool)
    await pool.execute("truncate event, relay")
    yield pool
    await pool.close()


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[None]:
    task = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def new() -> NewEvent:
    return NewEvent("made", {}, IDS.uuid7())


async def test_events_are_published_once_in_order(pool: Any) -> None:
    store, published = PostgresEventStore(pool), Published()
    await store.append("a", 0, [new(), new()])
    relay = Relay(store, pool, published)
    async with running(relay):
        await store.append("b", 0, [new()])
        await store.append("a", 2, [new()])
        await relay.caught_up()
        assert published.names == ["a1", "a2", "b1", "a3"]


async def test_an_event_that_commits_late_is_not_skipped(pool: Any) -> None:
    """Position 1 is taken first and committed last: a reader of positions would have passed it."""
    store, published = PostgresEventStore(pool), Published()
    relay = Relay(store, pool, published)
    async with pool.acquire() as late:
        transaction = late.transaction()
        await transaction.start()
        (slow,) = await store.append("slow", 0, [new()], connection=late)
        (fast,) = await store.append("fast", 0, [new()])
        assert slow.position < fast.position
        async with running(relay):
            await eventually(lambda: pool.fetchval("select count(*) > 0 from relay"))
            # The relay has looked; the later one may not be published before the earlier one is decided.
            assert published.names == []
            await transaction.commit()
            await relay.caught_up()
    assert published.names == ["slow1", "fast1"]


async def test_when_identity_order_and_transaction_order_differ_nothing_is_lost(pool: Any) -> None:
    """The elder transaction takes the higher position and commits last."""
    store, published = PostgresEventStore(pool), Published()
    relay = Relay(store, pool, published)
    async with pool.acquire() as elder:
        transaction = elder.transaction()
        await transaction.start()
        elder_xid = int(await elder.fetchval("select pg_current_xact_id()"))
        (younger,) = await store.append("younger", 0, [new()])
        (event,) = await store.append("elder", 0, [new()], connection=elder)
        assert event.position > younger.position
        await transaction.commit()
    xids = {row["stream"]: int(row["xid"]) for row in await pool.fetch("select stream, xid from event")}
    assert xids["elder"] == elder_xid < xids["younger"]
    await store.append("last", 0, [new()])
    async with running(relay):
        await relay.caught_up()
    assert published.names == ["elder1", "younger1", "last1"]


async def test_transaction_order_is_version_order_within_a_stream(pool: Any) -> None:
    """Whoever waits for the stream's lock has no transaction id yet."""
    store = PostgresEventStore(pool)
    async with pool.acquire() as first:
        transaction = first.transaction()
        await transaction.start()
        await store.append("a", 0, [new()], connection=first)
        second = asyncio.create_task(store.append("a", 1, [new()]))
        await eventually(lambda: pool.fetchval("select count(*) = 1 from pg_locks where locktype = 'advisory' and not granted"))
        await store.append("b", 0, [new()])
        await transaction.commit()
        await second
    events = await pool.fetch("select version from event where stream = 'a' order by xid, position")
    assert [event["version"] for event in events] == [1, 2]


async def test_a_publisher_that_fails_gets_the_same_events_again(pool: Any) -> None:
    store, published = PostgresEventStore(pool), Published()
    published.failing = 1
    relay = Relay(store, pool, published, batch=2)
    await store.append("a", 0, [new() for _ in range(5)])
    async with running(relay):
        await relay.caught_up()
    assert published.names == ["a1", "a2", "a3", "a4", "a5"]
    assert published.calls == 4


async def test_a_relay_goes_on_where_another_one_ended(pool: Any) -> None:
    store, first, second = PostgresEventStore(pool), Published(), Published()
    await store.append("a", 0, [new()])
    relay = Relay(store, pool, first)
    async with running(relay):
        await relay.caught_up()
    await store.append("a", 1, [new()])
    relay = Relay(store, pool, second)
    async with running(relay):
        await relay.caught_up()
    assert (first.names, second.names) == (["a1"], ["a2"])


async def test_rebuild_publishes_everything_again(pool: Any) -> None:
    store, published = PostgresEventStore(pool), Published()
    await store.append("a", 0, [new(), new()])
    relay = Relay(store, pool, published)
    async with running(relay):
        await relay.caught_up()
        await relay.rebuild()
        await relay.caught_up()
    assert published.names == ["a1", "a2", "a1", "a2"]


async def test_a_rebuild_asked_for_during_a_batch_is_not_overwritten(pool: Any) -> None:
    store, published = PostgresEventStore(pool), Published()
    await store.append("a", 0, [new(), new()])

    async def publish(events: Sequence[RawEvent]) -> None:
        await published(events)
        if published.calls == 1:
            await relay.rebuild()

    relay = Relay(store, pool, publish)
    async with running(relay):
        await eventually(lambda: published.names == ["a1", "a2", "a1", "a2"])


async def test_while_the_leader_is_at_it_nobody_else_publishes(pool: Any) -> None:
    store, second, leave = PostgresEventStore(pool), Published(), asyncio.Event()
    entered = asyncio.Event()

    async def slow(_: Sequence[RawEvent]) -> None:
        entered.set()
        await leave.wait()

    await store.append("a", 0, [new()])
    async with running(Relay(store, pool, slow)):
        await asyncio.wait_for(entered.wait(), 5)
        async with running(Relay(store, pool, second)):
            with pytest.raises(TimeoutError):
                await eventually(lambda: second.calls > 0, timeout=0.4)
            leave.set()


async def test_only_one_of_two_relays_publishes_and_the_other_takes_over(pool: Any) -> None:
    store, first, second = PostgresEventStore(pool), Published(), Published()
    leader, follower = Relay(store, pool, first), Relay(store, pool, second)
    await store.append("a", 0, [new()])
    async with running(leader):
        await leader.caught_up()
        async with running(follower):
            await store.append("a", 1, [new()])
            await leader.caught_up()
            assert (first.names, second.names) == (["a1", "a2"], [])
    await store.append("a", 2, [new()])
    async with running(follower):
        await follower.caught_up()
    assert second.names == ["a3"]


async def test_a_large_transaction_holds_up_no_other_stream(pool: Any) -> None:
    store, published = PostgresEventStore(pool), Published()
    await store.append("big", 0, [new() for _ in range(10)])
    await store.append("small", 0, [new()])
    await store.append("big", 10, [new()])
    relay = Relay(store, pool, published, batch=2)
    async with running(relay):
        await relay.caught_up()
    assert [name for name in published.names if name.startswith("big")] == [f"big{version}" for version in range(1, 12)]
    assert published.names.index("small1") < published.names.index("big7")
    assert len(published.names) == 12


async def test_two_large_transactions_take_turns(pool: Any) -> None:
    store, published = PostgresEventStore(pool), Published()
    for stream in ("one", "two"):
        await store.append(stream, 0, [new() for _ in range(10)])
    relay = Relay(store, pool, published, batch=2)
    async with running(relay):
        await relay.caught_up()
    for stream in ("one", "two"):
        assert [name for name in published.names if name.startswith(stream)] == [f"{stream}{version}" for version in range(1, 11)]
    assert published.names.index("two1") < published.names.index("one10")


async def test_what_a_transaction_has_of_other_streams_is_not_passed_over(pool: Any) -> None:
    store, published = PostgresEventStore(pool), Published()
    async with pool.acquire() as connection, connection.transaction():
        await store.append("a", 0, [new() for _ in range(4)], connection=connection)
        await store.append("b", 0, [new()], connection=connection)
        await store.append("a", 4, [new() for _ in range(4)], connection=connection)
    relay = Relay(store, pool, published, batch=2)
    async with running(relay):
        await relay.caught_up()
    assert sorted(published.names) == sorted([*(f"a{version}" for version in range(1, 9)), "b1"])
    assert [name for name in published.names if name.startswith("a")] == [f"a{version}" for version in range(1, 9)]


async def test_a_relay_that_died_amid_a_large_transaction_leaves_nothing_out(pool: Any) -> None:
    store, first, second = PostgresEventStore(pool), Published(), Published()
    await store.append("big", 0, [new() for _ in range(20)])
    await store.append("small", 0, [new()])
    reached = asyncio.Event()

    async def stuck(events: Sequence[RawEvent]) -> None:
        if len(first.events) >= 8:
            reached.set()
            await asyncio.Event().wait()
        await first(events)

    async with running(Relay(store, pool, stuck, batch=2)):
        await asyncio.wait_for(reached.wait(), 20)
    relay = Relay(store, pool, second, batch=2)
    async with running(relay):
        await relay.caught_up()
    assert {*first.names, *second.names} == {*(f"big{version}" for version in range(1, 21)), "small1"}
    of_big = [int(name[3:]) for name in second.names if name.startswith("big")]
    assert of_big == list(range(of_big[0], 21))
    assert of_big[0] > 1
