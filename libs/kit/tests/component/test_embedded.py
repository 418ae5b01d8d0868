"""The embedded servers themselves, and what stands on them when they are killed and come back."""

import asyncio
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import asyncpg
import pytest
from nats.aio.client import Client

from carillon_kit.bus import Bus, ConsumerSpec, Delivered, Outgoing, PublishFailed, StreamSpec
from carillon_kit.dead_letters import MemoryDeadLetters
from carillon_kit.embedded import EmbeddedNats, EmbeddedPostgres, NatsUser, ensure_database, ensure_role_and_schema, free_port
from carillon_kit.event_store import NewEvent, PostgresEventStore, RawEvent
from carillon_kit.ids import SystemIds
from carillon_kit.object_store import NatsObjectStore
from carillon_kit.postgres import UNAVAILABLE, migrate, open_pool
from carillon_kit.relay import Relay
from carillon_kit.testing import eventually, shared_postgres

STREAM = StreamSpec("S", ("s.>",))


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[EmbeddedNats]:
    server = EmbeddedNats(tmp_path / "nats", free_port()).run()
    yield server
    server.close()


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    # pytest's folder is closed to others: as root, `nobody` needs its capability here.
    server = EmbeddedPostgres(tmp_path / "postgres", free_port()).run()
    yield server
    server.close()


def numbers(first: int, last: int) -> list[Outgoing]:
    return [Outgoing(f"s.{n}", str(n).encode(), f"id-{n}") for n in range(first, last + 1)]


async def publish_until_stored(bus: Bus, items: list[Outgoing]) -> None:
    async with asyncio.timeout(30):
        while await bus.publish_many(STREAM.name, items, timeout=1):
            pass


async def test_follow_consume_and_publish_go_on_after_kill_9_of_nats(nats: EmbeddedNats) -> None:
    """Consumers of both kinds: FastStream's (one at a time) and our own (batches)."""
    async with await Bus.connect(nats.url(), "test") as bus:
        await bus.ensure_stream(STREAM)
        followed: list[int] = []
        consumed: list[int] = []
        singly: list[int] = []
        follower = bus.follow("S", "s.>")

        async def follow() -> None:
            async for message in follower:
                followed.append(int(message.data))

        async def handle(messages: list[Delivered]) -> None:
            consumed.extend(int(message.data) for message in messages)

        async def handle_one(messages: list[Delivered]) -> None:
            singly.extend(int(message.data) for message in messages)

        following = asyncio.create_task(follow())
        await bus.consume(ConsumerSpec("S", "worker", "s.>"), handle, MemoryDeadLetters())
        await bus.consume(ConsumerSpec("S", "single", "s.>"), handle_one, MemoryDeadLetters(), batch=1)
        assert await bus.publish_many("S", numbers(1, 100)) == []
        await eventually(lambda: len(followed) == len(set(consumed)) == len(set(singly)) == 100)
        nats.kill()
        with pytest.raises(PublishFailed):
            await bus.publish("S", "s.x", b"0", "while away", timeout=0.2)
        publishing = asyncio.create_task(publish_until_stored(bus, numbers(101, 200)))
        await nats.start()
        await publishing
        await eventually(lambda: {0, *range(1, 201)} - {0} <= set(consumed) & set(singly))
        await eventually(lambda: len([n for n in followed if n]) == 200)
        assert [n for n in followed if n] == list(range(1, 201))
        await follower.close()
        await following


async def test_what_was_acknowledged_is_there_after_kill_9(nats: EmbeddedNats) -> None:
    async with await Bus.connect(nats.url(), "test") as bus:
        await bus.ensure_stream(STREAM)
        assert await bus.publish_many("S", numbers(1, 100)) == []
        nats.kill()
        await nats.start()
        follower, seen = bus.follow("S", "s.>"), []
        async with asyncio.timeout(30):
            async for message in follower:
                seen.append(int(message.data))
                if len(seen) == 100:
                    break
        assert seen == list(range(1, 101))


async def test_a_lost_store_is_made_anew_and_followed_from_its_start(nats: EmbeddedNats) -> None:
    async with await Bus.connect(nats.url(), "test") as bus:
        await bus.ensure_stream(STREAM)
        await bus.publish_many("S", numbers(1, 5))
        store = NatsObjectStore(bus, "objects")
        await store.put(b"before", "text/plain")
        followed: list[int] = []
        follower = bus.follow("S", "s.>")

        async def follow() -> None:
            async for message in follower:
                followed.append(int(message.data))

        following = asyncio.create_task(follow())
        singly: list[int] = []

        async def handle_one(messages: list[Delivered]) -> None:
            singly.extend(int(message.data) for message in messages)

        await bus.consume(ConsumerSpec("S", "single", "s.>"), handle_one, MemoryDeadLetters(), batch=1)
        await eventually(lambda: followed == singly == [1, 2, 3, 4, 5])
        nats.kill()
        (nats.folder / "jetstream").rename(nats.folder / "lost")
        await nats.start()
        await publish_until_stored(bus, numbers(1, 7))
        await eventually(lambda: followed == singly == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6, 7])

        async def stored() -> bool:
            try:
                return await store.get(await store.put(b"after", "text/plain")) == b"after"
            except ConnectionError:
                return False

        await eventually(stored)
        await follower.close()
        await following


async def test_a_user_sees_only_what_is_allowed_and_users_change_while_it_runs(tmp_path: Path) -> None:
    everybody = NatsUser("services", "s3cret", deny_publish=("$JS.API.STREAM.DELETE.*",))
    one = NatsUser("one", "pw", publish=("none",), subscribe=("carillon.one.>", "_INBOX_one.>"))
    server = EmbeddedNats(tmp_path / "nats", free_port(), [everybody, one]).run()
    try:
        errors: list[Exception] = []
        got: list[str] = []

        async def note(error: Exception) -> None:
            errors.append(error)

        async def receive(message: object) -> None:
            got.append(str(getattr(message, "subject", "")))

        client = Client()
        await client.connect(server.url("one"), error_cb=note, allow_reconnect=False)
        await client.subscribe("carillon.one.>", cb=receive)
        await client.subscribe("carillon.two.>", cb=receive)
        await client.flush()
        await eventually(lambda: any("permissions violation" in str(error).lower() for error in errors))
        async with await Bus.connect(server.url("services"), "test") as bus:
            await bus.ensure_stream(StreamSpec("C", ("carillon.>",)))
            await bus.publish("C", "carillon.two.x", b"", "1")
            await bus.publish("C", "carillon.one.x", b"", "2")
            await eventually(lambda: bool(got))
            assert got == ["carillon.one.x"]
            server.set_users([everybody, one, NatsUser("two", "p w/@", subscribe=("carillon.two.>",))])
            server.reload(server.pid)

            async def let_in() -> bool:
                try:
                    async with await Bus.connect(server.url("two"), "late", timeout=0.5):
                        return True
                except ConnectionError:
                    return False

            await eventually(let_in)
            await bus.publish("C", "carillon.one.y", b"", "3")
            await eventually(lambda: got == ["carillon.one.x", "carillon.one.y"])
        await client.close()
        with pytest.raises(ConnectionError):
            await Bus.connect(f"nats://nobody:wrong@127.0.0.1:{server.port}", "stranger", timeout=0.5)
        assert stat.S_IMODE(os.stat(server.folder / "nats.conf").st_mode) == 0o600
    finally:
        server.close()


async def test_postgres_survives_kill_9_with_what_was_committed(postgres: EmbeddedPostgres) -> None:
    await ensure_database(postgres.dsn(), "carillon")
    dsn = await ensure_role_and_schema(postgres.dsn("carillon"), "directory", "p@ss/word'")
    pool = await open_pool(dsn)
    await migrate(pool)
    store = PostgresEventStore(pool)
    published: list[int] = []

    async def publish(events: Sequence[RawEvent]) -> None:
        published.extend(event.version for event in events)

    relay = asyncio.create_task(Relay(store, pool, publish).run())
    ids = SystemIds()
    await store.append("a", 0, [NewEvent("made", {}, ids.uuid7())])
    await eventually(lambda: published == [1])
    postgres.kill()
    with pytest.raises((*UNAVAILABLE, asyncpg.PostgresError)):
        await store.append("a", 1, [NewEvent("lost", {}, ids.uuid7())])
    await postgres.start()
    again = NewEvent("made", {}, ids.uuid7())

    async def appended() -> bool:
        try:
            await store.append("a", 1, [again])
        except (*UNAVAILABLE, asyncpg.PostgresError):
            return False
        return True

    await eventually(appended)
    assert [event.version for event in await store.load("a")] == [1, 2]
    await eventually(lambda: list(dict.fromkeys(published)) == [1, 2])  # the first comes again where the kill was before it was ticked off
    relay.cancel()
    await asyncio.gather(relay, return_exceptions=True)
    await pool.close()


async def test_a_role_may_do_nothing_in_anothers_schema() -> None:
    postgres = shared_postgres()
    await ensure_database(postgres.dsn(), "carillon")
    one = await ensure_role_and_schema(postgres.dsn("carillon"), "one", "1")
    two = await ensure_role_and_schema(postgres.dsn("carillon"), "two", "2")
    assert await ensure_role_and_schema(postgres.dsn("carillon"), "one", "1") == one
    connection = await asyncpg.connect(one)
    await connection.execute("create table secret (id int)")
    assert await connection.fetchval("show search_path") == "one"
    await connection.close()
    connection = await asyncpg.connect(two)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetch("select * from one.secret")
    await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(two.replace(":2@", ":wrong@"))
    with pytest.raises(ValueError, match="no name for a role"):
        await ensure_role_and_schema(postgres.dsn("carillon"), 'x"; drop', "1")


async def test_a_server_that_cannot_start_says_why(tmp_path: Path, nats: EmbeddedNats) -> None:
    with pytest.raises(RuntimeError, match="address already in use"):
        EmbeddedNats(tmp_path / "second", nats.port, host="127.0.0.1").run()


async def test_ready_is_awaited_with_a_deadline(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        await EmbeddedNats(tmp_path, free_port()).wait_ready(0.05)
    with pytest.raises(TimeoutError):
        await EmbeddedPostgres(tmp_path, free_port()).wait_ready(0.05)
