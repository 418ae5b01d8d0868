"""What the bus does on NATS only: settings of streams and consumers, renewal of pulls, replicas."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.js import api

from carillon_kit.bus import Bus, ConsumerSpec, Delivered, Outgoing, StreamSpec, pull
from carillon_kit.bus.nats_bus import NatsBus
from carillon_kit.dead_letters import DeadLetters, MemoryDeadLetters
from carillon_kit.embedded import EmbeddedNats, free_port
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.testing import eventually

STREAM = StreamSpec("S", ("s.>",), 3600)


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[NatsBus]:
    server = EmbeddedNats(tmp_path / "nats", free_port(), durable=False).run()
    bus = await Bus.connect(server.url(), "test")
    assert isinstance(bus, NatsBus)
    await bus.ensure_stream(STREAM)
    async with bus:
        yield bus
    server.close()


class Sink:
    """A handler that notes the data."""

    def __init__(self) -> None:
        self.data: list[bytes] = []

    async def __call__(self, messages: list[Delivered]) -> None:
        self.data += [message.data for message in messages]


async def publish(bus: Bus, first: int, last: int) -> None:
    assert await bus.publish_many("S", [Outgoing("s.x", str(n).encode(), f"id-{n}") for n in range(first, last + 1)]) == []


async def test_a_stream_is_on_the_disk_refuses_rather_than_forgets_and_cannot_be_emptied(bus: NatsBus) -> None:
    config = (await bus.manager.stream_info("S")).config
    assert config.storage == api.StorageType.FILE
    assert config.discard == api.DiscardPolicy.NEW
    assert (config.deny_delete, config.deny_purge, config.max_age) == (True, True, 3600)


async def test_a_consumer_that_is_there_already_takes_the_new_settings(bus: NatsBus) -> None:
    sink = Sink()
    await publish(bus, 1, 3)
    first = await bus.consume(ConsumerSpec("S", "d", "s.>", ack_wait=30, max_ack_pending=10), sink, MemoryDeadLetters())
    await eventually(lambda: len(sink.data) == 3)
    await first.stop()
    await bus.consume(ConsumerSpec("S", "d", ("s.>",), ack_wait=5, max_ack_pending=20), sink, MemoryDeadLetters())
    await publish(bus, 4, 4)
    await eventually(lambda: sink.data == [b"1", b"2", b"3", b"4"])
    config = (await bus.manager.consumer_info("S", "d")).config
    assert (config.ack_wait, config.max_ack_pending, config.max_deliver) == (5, 20, -1)


async def test_a_pull_is_renewed_when_its_request_has_run_out(bus: NatsBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "EXPIRES_SECONDS", 1)
    monkeypatch.setattr(pull, "HEARTBEAT_SECONDS", 0.4)
    requests = 0
    request = pull.Pull._request

    async def counted(self: pull.Pull, count: int) -> None:
        nonlocal requests
        requests += 1
        await request(self, count)

    monkeypatch.setattr(pull.Pull, "_request", counted)
    sink = Sink()
    await bus.consume(ConsumerSpec("S", "d", "s.>"), sink, MemoryDeadLetters())
    await publish(bus, 1, 1)
    await eventually(lambda: requests >= 3)
    await publish(bus, 2, 2)
    await eventually(lambda: sink.data == [b"1", b"2"])


async def test_two_replicas_share_the_work(bus: NatsBus) -> None:
    one, two = Sink(), Sink()
    spec = ConsumerSpec("S", "d", "s.>")
    for sink in (one, two):
        await bus.consume(spec, sink, MemoryDeadLetters(), batch=8)
    for start in range(1, 200, 20):
        await publish(bus, start, start + 19)
    await eventually(lambda: len(one.data) + len(two.data) == 200)
    assert sorted(map(int, one.data + two.data)) == list(range(1, 201))
    assert one.data
    assert two.data


async def test_what_a_dead_process_had_in_hand_is_delivered_again(bus: NatsBus) -> None:
    spec = ConsumerSpec("S", "d", "s.>", ack_wait=0.5)
    entered = asyncio.Event()

    async def hang(_: list[Delivered]) -> None:
        entered.set()
        await asyncio.Event().wait()

    dying = await Bus.connect(bus.connection.connected_url.geturl(), "dying")
    assert isinstance(dying, NatsBus)
    await dying.consume(spec, hang, MemoryDeadLetters())
    await publish(bus, 1, 1)
    await asyncio.wait_for(entered.wait(), 5)
    await dying.connection.close()
    again: list[Delivered] = []

    async def note(messages: list[Delivered]) -> None:
        again.extend(messages)

    await bus.consume(spec, note, MemoryDeadLetters())
    await eventually(lambda: [(message.data, message.deliveries) for message in again] == [(b"1", 2)])
    assert again[0].message_id == "id-1"


async def test_a_dead_letter_goes_to_postgres_and_comes_back_when_replayed(bus: NatsBus, postgres_dsn: str) -> None:
    pool = await open_pool(postgres_dsn)
    await migrate(pool)
    letters, broken, handled = DeadLetters(pool), True, []

    async def handle(messages: list[Delivered]) -> None:
        if broken:
            raise ValueError("not repaired")
        handled.extend(messages)

    await bus.consume(ConsumerSpec("S", "d", "s.>", max_deliveries=2, retry_delays=(0.01,)), handle, letters)
    await bus.publish("S", "s.x", b"\xff\x00", "the-id", headers={"k": "v"})

    async def count(number: int) -> bool:
        return len(await letters.list("d")) == number

    await eventually(lambda: count(1))
    (letter,) = await letters.list("d")
    assert (letter.data, letter.error, letter.deliveries, letter.headers["k"]) == (b"\xff\x00", "ValueError: not repaired", 2, "v")
    broken = False
    await letters.replay(letter.id)
    await eventually(lambda: count(0))
    assert [(message.data, message.message_id, message.deliveries) for message in handled] == [(b"\xff\x00", "the-id", 3)]
    await pool.close()


async def test_a_deleted_consumer_is_made_again(bus: NatsBus) -> None:
    sink = Sink()
    await bus.consume(ConsumerSpec("S", "d", "s.>"), sink, MemoryDeadLetters())
    await publish(bus, 1, 1)
    await eventually(lambda: sink.data == [b"1"])
    await bus.manager.delete_consumer("S", "d")
    await publish(bus, 2, 2)
    await eventually(lambda: sink.data[-1:] == [b"2"])


async def test_a_follower_waits_for_a_stream_that_is_not_there_yet(bus: NatsBus) -> None:
    follower = bus.follow("LATER", "later.>")
    first = asyncio.ensure_future(anext(aiter(follower)))
    with pytest.raises(TimeoutError):
        await follower.caught_up(timeout=0.3)
    await bus.ensure_stream(StreamSpec("LATER", ("later.>",)))
    await bus.publish("LATER", "later.a", b"now", "1")
    assert (await asyncio.wait_for(first, 5)).data == b"now"
    await follower.close()
