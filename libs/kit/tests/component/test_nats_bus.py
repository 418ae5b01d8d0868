"""What the bus does on NATS only: settings of streams and consumers, renewal of pulls, replicas."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from nats.js import api
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from carillon_kit import telemetry
from carillon_kit.bus import Bus, ConsumerSpec, Delivered, EraseRefused, Outgoing, StreamSpec, faststream_consumer, pull, worker
from carillon_kit.bus.nats_bus import NatsBus
from carillon_kit.dead_letters import DeadLetters, MemoryDeadLetters
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.testing import eventually

STREAM = StreamSpec("S", ("s.>",), 3600)


#: 1: on FastStream; more: on our own pull.
BATCHES = pytest.mark.parametrize("batch", [1, 64])


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[NatsBus]:
    bus = await Bus.connect(nats_url, "test")
    assert isinstance(bus, NatsBus)
    await bus.ensure_stream(STREAM)
    async with bus:
        yield bus
    broom = await Bus.connect(nats_url, "broom")
    assert isinstance(broom, NatsBus)
    async with broom:
        await broom.manager.delete_stream("S")


class Sink:
    """A handler that notes the data."""

    def __init__(self) -> None:
        self.data: list[bytes] = []

    async def __call__(self, messages: list[Delivered]) -> None:
        self.data += [message.data for message in messages]


async def publish(bus: Bus, first: int, last: int) -> None:
    assert await bus.publish_many("S", [Outgoing("s.x", str(n).encode(), f"id-{n}") for n in range(first, last + 1)]) == []


async def test_many_are_stored_as_one_batch_and_a_repetition_adds_only_what_is_new(bus: NatsBus, monkeypatch: pytest.MonkeyPatch) -> None:
    await publish(bus, 1, 300)
    alone: list[str] = []
    send_one = bus._send_one

    async def counted(stream: str, item: Outgoing, *rest: Any) -> Any:
        if len(rest) == 1:
            alone.append(item.message_id)
        return await send_one(stream, item, *rest)

    monkeypatch.setattr(bus, "_send_one", counted)
    await publish(bus, 301, 600)
    assert alone == [], "a batch that went through is not sent again"
    await publish(bus, 500, 700)
    assert alone == [f"id-{n}" for n in range(500, 701)], "a batch with a repetition goes one by one"
    assert (await bus.manager.stream_info("S")).state.messages == 700


async def test_a_stream_of_an_older_version_without_batches_takes_every_message(bus: NatsBus) -> None:
    config = (await bus.manager.stream_info("S")).config
    await bus.manager.update_stream(config.evolve(allow_atomic=False))
    await publish(bus, 1, 20)
    assert (await bus.manager.stream_info("S")).state.messages == 20


@pytest.mark.parametrize("others", [1, 20])
async def test_a_message_larger_than_the_server_takes_fails_alone(bus: NatsBus, others: int) -> None:
    too_large = Outgoing("s.x", bytes(bus.connection.max_payload + 1), "too-large")
    items = [too_large, *(Outgoing("s.x", b"", f"id-{n}") for n in range(others))]
    assert await bus.publish_many("S", items) == ["too-large"]
    assert (await bus.manager.stream_info("S")).state.messages == others


async def test_a_lingering_consumer_makes_one_batch_of_what_comes_meanwhile(bus: NatsBus) -> None:
    sizes: list[int] = []

    async def handler(messages: list[Delivered]) -> None:
        sizes.append(len(messages))

    await bus.ensure_stream(StreamSpec("LINGER", ("linger.>",)))
    await bus.consume(ConsumerSpec("LINGER", "lingering", "linger.>", linger=0.5), handler, MemoryDeadLetters(), batch=64)
    for n in range(10):
        await bus.publish("LINGER", "linger.x", b"", f"linger-{n}")
    await eventually(lambda: sum(sizes) >= 10)
    assert len(sizes) <= 2, "the first may come before the consumer is there, the others wait for each other"


async def test_a_stream_is_on_the_disk_refuses_rather_than_forgets_and_cannot_be_purged(bus: NatsBus) -> None:
    config = (await bus.manager.stream_info("S")).config
    assert config.storage == api.StorageType.FILE
    assert config.discard == api.DiscardPolicy.NEW
    assert (config.deny_delete, config.deny_purge, config.max_age) == (False, True, 3600)


@BATCHES
async def test_a_consumer_that_is_there_already_takes_the_new_settings(bus: NatsBus, batch: int) -> None:
    sink = Sink()
    await publish(bus, 1, 3)
    first = await bus.consume(ConsumerSpec("S", "d", "s.>", ack_wait=30, max_ack_pending=10), sink, MemoryDeadLetters(), batch)
    await eventually(lambda: len(sink.data) == 3)
    await first.stop()
    await bus.consume(ConsumerSpec("S", "d", ("s.>",), ack_wait=5, max_ack_pending=20), sink, MemoryDeadLetters(), batch)
    await publish(bus, 4, 4)
    await eventually(lambda: sink.data == [b"1", b"2", b"3", b"4"])
    config = (await bus.manager.consumer_info("S", "d")).config
    assert (config.ack_wait, config.max_ack_pending, config.max_deliver) == (5, 20, -1)


async def test_a_pull_is_renewed_when_its_request_has_run_out(bus: NatsBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "EXPIRES_SECONDS", 0.5)
    monkeypatch.setattr(pull, "HEARTBEAT_SECONDS", 0.2)
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


@BATCHES
async def test_two_replicas_share_the_work(bus: NatsBus, batch: int) -> None:
    one, two = Sink(), Sink()
    spec = ConsumerSpec("S", "d", "s.>")
    for sink in (one, two):
        await bus.consume(spec, sink, MemoryDeadLetters(), batch)
    for start in range(1, 200, 20):
        await publish(bus, start, start + 19)
    await eventually(lambda: len(one.data) + len(two.data) == 200)
    assert sorted(map(int, one.data + two.data)) == list(range(1, 201))
    assert one.data
    assert two.data


@BATCHES
async def test_what_a_dead_process_had_in_hand_is_delivered_again(bus: NatsBus, batch: int) -> None:
    spec = ConsumerSpec("S", "d", "s.>", ack_wait=0.3)
    entered = asyncio.Event()

    async def hang(_: list[Delivered]) -> None:
        entered.set()
        await asyncio.Event().wait()

    dying = await Bus.connect(bus.connection.connected_url.geturl(), "dying")
    assert isinstance(dying, NatsBus)
    await dying.consume(spec, hang, MemoryDeadLetters(), batch)
    await publish(bus, 1, 1)
    await asyncio.wait_for(entered.wait(), 30)
    await dying.connection.close()
    again: list[Delivered] = []

    async def note(messages: list[Delivered]) -> None:
        again.extend(messages)

    await bus.consume(spec, note, MemoryDeadLetters(), batch)
    await eventually(lambda: [(message.data, message.deliveries) for message in again] == [(b"1", 2)])
    assert again[0].message_id == "id-1"


async def test_a_dead_letter_goes_to_postgres_and_comes_back_when_replayed(
    bus: NatsBus, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_REPLAY_SECONDS", 0.05)
    pool = await open_pool(postgres_dsn)
    await migrate(pool)
    letters, broken, handled = DeadLetters(pool), True, []

    async def handle(messages: list[Delivered]) -> None:
        if broken:
            raise ValueError("not repaired")
        handled.extend(messages)

    consumer = await bus.consume(ConsumerSpec("S", "d", "s.>", max_deliveries=2, retry_delays=(0.01,)), handle, letters)
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
    await consumer.stop()
    await pool.close()


@BATCHES
async def test_a_deleted_consumer_is_made_again(bus: NatsBus, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faststream_consumer, "_CHECK_SECONDS", 0.1)
    sink = Sink()
    await bus.consume(ConsumerSpec("S", "d", "s.>"), sink, MemoryDeadLetters(), batch)
    await publish(bus, 1, 1)
    await eventually(lambda: sink.data == [b"1"])
    await bus.manager.delete_consumer("S", "d")
    await publish(bus, 2, 2)
    await eventually(lambda: sink.data[-1:] == [b"2"])


async def test_a_follower_waits_for_a_stream_that_is_not_there_yet(bus: NatsBus) -> None:
    follower = bus.follow("LATER", "later.>")
    first = asyncio.ensure_future(anext(aiter(follower)))
    with pytest.raises(TimeoutError):
        await follower.caught_up(timeout=0.1)
    await bus.ensure_stream(StreamSpec("LATER", ("later.>",)))
    await bus.publish("LATER", "later.a", b"now", "1")
    assert (await asyncio.wait_for(first, 5)).data == b"now"
    await follower.close()


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry._State, "provider", provider)
    yield exporter
    provider.shutdown()


async def test_a_message_on_faststream_continues_its_publishers_trace(bus: NatsBus, spans: InMemorySpanExporter) -> None:
    seen: list[str | None] = []

    async def handle(_: list[Delivered]) -> None:
        seen.append(telemetry.traceparent())

    await bus.consume(ConsumerSpec("S", "d", "s.>"), handle, MemoryDeadLetters(), batch=1)
    with telemetry.span("publisher"):
        await publish(bus, 1, 1)
    await eventually(lambda: {span.name for span in spans.get_finished_spans()} >= {"publisher", "s.x process", "consume d"})
    by_name = {span.name: span for span in spans.get_finished_spans()}
    parents = {name: span.parent and span.parent.span_id for name, span in by_name.items()}
    assert parents["s.x process"] == by_name["publisher"].context.span_id
    assert parents["consume d"] == by_name["s.x process"].context.span_id
    assert seen == [f"00-{by_name['publisher'].context.trace_id:032x}-{by_name['consume d'].context.span_id:016x}-01"]
    assert (by_name["s.x process"].attributes or {})["messaging.system"] == "nats"


async def test_leaving_is_no_disconnection(nats_url: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.INFO):
        async with await Bus.connect(nats_url, "leaving"):
            pass
    assert "disconnected" not in caplog.text + "".join(capsys.readouterr())


async def test_what_is_gone_is_erased_again_without_a_word_and_what_must_stay_is_not(bus: NatsBus) -> None:
    await publish(bus, 1, 3)
    for _ in range(2):
        await bus.erase("S", [2, 3])
    assert (await bus.manager.stream_info("S")).state.messages == 1
    await bus.manager.add_stream(api.StreamConfig(name="KEPT", subjects=["kept.>"], deny_delete=True))
    await bus.publish("KEPT", "kept.x", b"1", "kept-1")
    with pytest.raises(EraseRefused, match="message 1 of KEPT"):
        await bus.erase("KEPT", [1])
    await bus.manager.delete_stream("KEPT")
    with pytest.raises(EraseRefused, match="message 1 of KEPT"):
        await bus.erase("KEPT", [1])
