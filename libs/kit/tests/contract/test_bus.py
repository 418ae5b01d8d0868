"""One suite for the bus on NATS and for its twin in memory."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from carillon_kit.bus import (
    Bus,
    Consumer,
    ConsumerSpec,
    DeadLetterStore,
    Delivered,
    Handler,
    MemoryBus,
    Message,
    Outgoing,
    PublishFailed,
    Retry,
    StreamSpec,
    worker,
)
from carillon_kit.dead_letters import MemoryDeadLetters
from carillon_kit.embedded import EmbeddedNats
from carillon_kit.testing import eventually

_numbers = itertools.count(1)


@dataclass
class Place:
    """A bus with a stream of its own."""

    bus: Bus
    stream: str
    subject: str
    #: Whatever a test asks for: FastStream's consumers take one message at a time.
    largest_batch: int = 1000

    async def consume(self, spec: ConsumerSpec, handler: Handler, dead_letters: DeadLetterStore, batch: int = 64) -> Consumer:
        return await self.bus.consume(spec, handler, dead_letters, min(batch, self.largest_batch))

    def items(self, count: int, start: int = 1) -> list[Outgoing]:
        return [Outgoing(f"{self.subject}.x.{n}", str(n).encode(), f"{self.stream}-{n}") for n in range(start, start + count)]

    def spec(self, durable: str = "worker", **options: object) -> ConsumerSpec:
        return ConsumerSpec(self.stream, durable, f"{self.subject}.>", retry_delays=(0.01,), **options)  # type: ignore[arg-type]


ANY_CONSUMER = pytest.mark.parametrize("place", ["memory", "nats", "faststream"], indirect=True)


@pytest.fixture(params=["memory", "nats"])
async def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(worker, "_REPLAY_SECONDS", 0.02)
    bus: Bus
    if request.param == "memory":
        bus = MemoryBus()
    else:
        server: EmbeddedNats = request.getfixturevalue("nats_server")
        bus = await Bus.connect(server.url(), "test")
    number = next(_numbers)
    place = Place(bus, f"S{number}", f"s{number}", 1 if request.param == "faststream" else 1000)
    await bus.ensure_stream(StreamSpec(place.stream, (f"{place.subject}.>",)))
    async with bus:
        yield place


async def taken(place: Place, count: int, subject: str = ">") -> list[Message]:
    """The first `count` messages of the stream."""
    follower = place.bus.follow(place.stream, f"{place.subject}.{subject}")
    found: list[Message] = []
    async with asyncio.timeout(30):
        async for message in follower:
            found.append(message)
            if len(found) == count:
                break
    await follower.close()
    return found


class Recorder:
    """A handler that notes what it is given."""

    def __init__(self, act: Callable[[list[Delivered]], Awaitable[None]] | None = None) -> None:
        self.batches: list[list[Delivered]] = []
        self._act = act

    async def __call__(self, messages: list[Delivered]) -> None:
        self.batches.append(messages)
        if self._act is not None:
            await self._act(messages)

    @property
    def data(self) -> list[bytes]:
        return [message.data for batch in self.batches for message in batch]


async def test_a_published_message_is_followed_with_its_subject_data_and_headers(place: Place) -> None:
    await place.bus.publish(place.stream, f"{place.subject}.a", b"\x00one", "id-1", headers={"k": "v"})
    (message,) = await taken(place, 1)
    assert (message.subject, message.data, message.stream_seq, message.headers["k"]) == (f"{place.subject}.a", b"\x00one", 1, "v")


async def test_publishing_twice_with_one_id_stores_once(place: Place) -> None:
    for payload in (b"first", b"again"):
        await place.bus.publish(place.stream, f"{place.subject}.a", payload, "the-id")
    await place.bus.publish(place.stream, f"{place.subject}.a", b"other", "other-id")
    assert [message.data for message in await taken(place, 2)] == [b"first", b"other"]


async def test_a_subject_that_the_stream_does_not_hold_is_refused(place: Place) -> None:
    with pytest.raises(PublishFailed):
        await place.bus.publish(place.stream, f"elsewhere.{place.subject}", b"", "id", timeout=0.2)


async def test_publish_many_stores_in_order_and_names_what_failed(place: Place) -> None:
    items = place.items(1500)
    items.insert(700, Outgoing(f"elsewhere.{place.subject}", b"", "the-bad-one"))
    assert await place.bus.publish_many(place.stream, items, timeout=5) == ["the-bad-one"]
    assert [int(message.data) for message in await taken(place, 1500)] == list(range(1, 1501))


async def test_publish_whole_stores_all_or_says_no(place: Place) -> None:
    items = place.items(500)
    assert await place.bus.publish_whole(place.stream, items)
    assert not await place.bus.publish_whole(
        place.stream, [*place.items(20, start=501), Outgoing(f"elsewhere.{place.subject}", b"", "bad")]
    )
    assert not await place.bus.publish_whole(place.stream, [items[-1], *place.items(20, start=601)])
    await place.bus.publish(place.stream, f"{place.subject}.end", b"501", "the-end")
    assert [int(message.data) for message in await taken(place, 501)] == list(range(1, 502))


async def test_a_follower_sees_only_its_subject(place: Place) -> None:
    for name in ("a", "b", "a"):
        await place.bus.publish(place.stream, f"{place.subject}.{name}.z", b"", f"{next(_numbers)}")
    assert [message.stream_seq for message in await taken(place, 2, "a.*")] == [1, 3]


async def test_a_follower_has_caught_up_when_the_last_message_of_the_start_is_handled(place: Place) -> None:
    await place.bus.publish_many(place.stream, place.items(3))
    follower = place.bus.follow(place.stream, f"{place.subject}.>")
    iterator = aiter(follower)
    for _ in range(3):
        await anext(iterator)
    with pytest.raises(TimeoutError):
        await follower.caught_up(timeout=0.05)
    waiting = asyncio.ensure_future(anext(iterator))
    await follower.caught_up(timeout=5)
    await place.bus.publish_many(place.stream, place.items(1, start=4))
    assert (await asyncio.wait_for(waiting, 30)).data == b"4"
    await follower.close()


async def test_a_follower_of_an_empty_stream_has_caught_up_at_once(place: Place) -> None:
    follower = place.bus.follow(place.stream, f"{place.subject}.>")
    waiting = asyncio.ensure_future(anext(aiter(follower)))
    await follower.caught_up(timeout=5)
    await place.bus.publish(place.stream, f"{place.subject}.a", b"late", "late")
    assert (await asyncio.wait_for(waiting, 30)).data == b"late"


async def test_a_closed_follower_ends_its_iteration(place: Place) -> None:
    follower = place.bus.follow(place.stream, f"{place.subject}.>")

    async def read() -> int:
        return len([message async for message in follower])

    reading = asyncio.ensure_future(read())
    await follower.caught_up(timeout=5)
    await follower.close()
    assert await asyncio.wait_for(reading, 30) == 0


@ANY_CONSUMER
async def test_a_consumer_gets_every_message_once_in_order_in_batches(place: Place) -> None:
    await place.bus.publish_many(place.stream, place.items(300))
    recorder = Recorder()
    consumer = await place.consume(place.spec(), recorder, MemoryDeadLetters(), batch=50)
    await eventually(lambda: len(recorder.data) == 300)
    assert [int(data) for data in recorder.data] == list(range(1, 301))
    assert max(len(batch) for batch in recorder.batches) == min(50, place.largest_batch)
    await consumer.stop()
    first = recorder.batches[0][0]
    assert (first.message_id, first.deliveries, first.stream_seq, first.stored_at.tzinfo is not None) == (f"{place.stream}-1", 1, 1, True)


@ANY_CONSUMER
async def test_a_lone_message_is_handled_without_waiting_for_a_batch(place: Place) -> None:
    recorder = Recorder()
    await place.consume(place.spec(), recorder, MemoryDeadLetters(), batch=64)
    await place.bus.publish(place.stream, f"{place.subject}.a", b"one", "1")
    await eventually(lambda: recorder.data == [b"one"])


@ANY_CONSUMER
async def test_how_far_every_durable_consumer_is(place: Place) -> None:
    """While one is through with nothing yet that is 0, which is not the same as no stream."""
    released = asyncio.Event()

    async def act(messages: list[Delivered]) -> None:
        await released.wait()

    async def far(expected: int) -> bool:
        return await place.bus.handled(place.stream) == expected

    recorder = Recorder(act)
    await place.consume(place.spec(), recorder, MemoryDeadLetters(), batch=2)
    await place.bus.publish_many(place.stream, place.items(2))
    await eventually(lambda: bool(recorder.batches))
    assert await far(0)
    released.set()
    await eventually(lambda: far(2))


@ANY_CONSUMER
async def test_a_consumer_that_stopped_goes_on_where_it_was(place: Place) -> None:
    recorder = Recorder()
    await place.bus.publish_many(place.stream, place.items(5))
    consumer = await place.consume(place.spec(), recorder, MemoryDeadLetters())
    await eventually(lambda: len(recorder.data) == 5)
    await consumer.stop()
    await place.bus.publish_many(place.stream, place.items(5, start=6))
    await place.consume(place.spec(), recorder, MemoryDeadLetters())
    await eventually(lambda: len(recorder.data) == 10)
    assert [int(data) for data in recorder.data] == list(range(1, 11))


@ANY_CONSUMER
async def test_two_subjects_can_be_one_consumers(place: Place) -> None:
    recorder = Recorder()
    spec = ConsumerSpec(place.stream, "two", (f"{place.subject}.a", f"{place.subject}.b"))
    await place.consume(spec, recorder, MemoryDeadLetters())
    for name in ("a", "c", "b"):
        await place.bus.publish(place.stream, f"{place.subject}.{name}", name.encode(), name)
    await eventually(lambda: recorder.data == [b"a", b"b"])


@ANY_CONSUMER
async def test_a_poisoned_message_becomes_a_dead_letter_and_the_others_go_on(place: Place) -> None:
    handled: list[bytes] = []

    async def act(messages: list[Delivered]) -> None:
        if any(message.data == b"3" for message in messages):
            raise ValueError("cannot read 3")
        handled.extend(message.data for message in messages)

    letters = MemoryDeadLetters()
    await place.bus.publish_many(place.stream, place.items(5))
    await place.consume(place.spec(max_deliveries=3), Recorder(act), letters)

    async def buried() -> bool:
        return len(await letters.list()) == 1

    await eventually(buried)
    await eventually(lambda: len(handled) >= 4)
    (letter,) = await letters.list()
    assert sorted(handled) == [b"1", b"2", b"4", b"5"]
    assert (letter.durable, letter.subject, letter.data, letter.deliveries) == ("worker", f"{place.subject}.x.3", b"3", 3)
    assert letter.error == "ValueError: cannot read 3"
    assert letter.message_id == f"{place.stream}-3"


@ANY_CONSUMER
async def test_what_cannot_be_read_holds_nobody_up_for_long(place: Place) -> None:
    """Three tries, however many others get."""

    async def act(messages: list[Delivered]) -> None:
        raise ValueError("no event")

    letters = MemoryDeadLetters()
    await place.bus.publish_many(place.stream, place.items(1))
    await place.consume(place.spec(), Recorder(act), letters)

    async def through() -> bool:
        return bool(await letters.list()) and await place.bus.handled(place.stream) == 1

    await eventually(through)
    assert [letter.deliveries for letter in await letters.list()] == [3]


@ANY_CONSUMER
async def test_a_dead_letter_is_replayed_to_its_consumer_and_forgotten(place: Place) -> None:
    broken = True
    handled: list[tuple[bytes, str]] = []

    async def act(messages: list[Delivered]) -> None:
        if broken:
            raise ValueError("not yet repaired")
        handled.extend((message.data, message.message_id) for message in messages)

    letters = MemoryDeadLetters()
    await place.consume(place.spec(max_deliveries=1), Recorder(act), letters)
    await place.bus.publish(place.stream, f"{place.subject}.a", b"late", "the-id")

    async def count(number: int) -> bool:
        return len(await letters.list()) == number

    await eventually(lambda: count(1))
    broken = False
    await letters.replay((await letters.list())[0].id)
    await eventually(lambda: count(0))
    assert handled == [(b"late", "the-id")]


@ANY_CONSUMER
async def test_retry_is_asked_again_and_not_counted_as_a_failure(place: Place) -> None:
    seen: list[int] = []

    async def act(messages: list[Delivered]) -> None:
        for message in messages:
            seen.append(message.deliveries)
            if len(seen) < 6:
                raise Retry(0.01)

    letters = MemoryDeadLetters()
    await place.consume(place.spec(max_deliveries=2), Recorder(act), letters)
    await place.bus.publish(place.stream, f"{place.subject}.a", b"", "id")
    await eventually(lambda: len(seen) == 6)
    assert seen == [1, 2, 3, 4, 5, 6]
    assert await letters.list() == []


@ANY_CONSUMER
async def test_dead_letters_that_cannot_be_kept_leave_the_message_in_the_stream(place: Place) -> None:
    class Away(MemoryDeadLetters):
        tries = 0

        async def add(self, durable: str, stream: str, message: Delivered, error: str) -> None:
            self.tries += 1
            if self.tries < 3:
                raise ConnectionError("database away")
            await super().add(durable, stream, message, error)

    async def act(_: list[Delivered]) -> None:
        raise ValueError("always")

    letters = Away()
    await place.consume(place.spec(max_deliveries=1), Recorder(act), letters)
    await place.bus.publish(place.stream, f"{place.subject}.a", b"kept", "id")

    async def buried() -> bool:
        return [letter.data for letter in await letters.list()] == [b"kept"]

    await eventually(buried)
    assert letters.tries == 3


@ANY_CONSUMER
async def test_stop_waits_for_the_handler_and_gives_the_rest_back(place: Place) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def act(_: list[Delivered]) -> None:
        entered.set()
        await leave.wait()

    recorder = Recorder(act)
    await place.bus.publish_many(place.stream, place.items(4))
    consumer = await place.consume(place.spec(), recorder, MemoryDeadLetters(), batch=2)
    await asyncio.wait_for(entered.wait(), 30)
    stopping = asyncio.ensure_future(consumer.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    leave.set()
    await asyncio.wait_for(stopping, 30)
    after = Recorder()
    await place.consume(place.spec(), after, MemoryDeadLetters(), batch=2)
    await eventually(lambda: len(after.data) >= 4 - len(recorder.data))
    assert sorted(recorder.data + after.data) == [b"1", b"2", b"3", b"4"]


@ANY_CONSUMER
async def test_a_long_handler_keeps_its_message(place: Place) -> None:
    recorder = Recorder()
    leave = asyncio.Event()

    async def slow(messages: list[Delivered]) -> None:
        recorder.batches.append(messages)
        await leave.wait()

    spec = place.spec(ack_wait=0.1)
    await place.consume(spec, slow, MemoryDeadLetters())
    await place.bus.publish(place.stream, f"{place.subject}.a", b"one", "1")
    await eventually(lambda: len(recorder.batches) == 1)
    other = Recorder()
    await place.consume(spec, other, MemoryDeadLetters())
    with pytest.raises(TimeoutError):
        await eventually(lambda: bool(other.batches), timeout=0.3)
    leave.set()
    await eventually(lambda: True)


async def test_streams_can_be_ensured_again_with_more_subjects(place: Place) -> None:
    await place.bus.ensure_stream(StreamSpec(place.stream, (f"{place.subject}.>", f"more.{place.subject}"), 3600))
    await place.bus.publish(place.stream, f"more.{place.subject}", b"", "id")


async def test_a_consumer_that_nobody_reads_with_can_be_retired_and_is_not_waited_for(place: Place) -> None:
    assert await place.bus.retire(place.stream, "worker")
    recorder = Recorder()
    old = await place.consume(place.spec(), recorder, MemoryDeadLetters())
    await place.bus.publish(place.stream, f"{place.subject}.a", b"one", "1")
    await eventually(lambda: len(recorder.batches) == 1, timeout=20)
    assert not await place.bus.retire(place.stream, "worker"), "it is read with"
    await old.stop()
    await place.bus.publish(place.stream, f"{place.subject}.a", b"two", "2")

    async def handled() -> int | None:
        return await place.bus.handled(place.stream)

    async def one() -> bool:
        return await handled() == 1

    await eventually(one)
    await eventually(lambda: place.bus.retire(place.stream, "worker"))
    assert await handled() == 2


async def test_the_newest_message_that_matches_is_found(place: Place) -> None:
    assert await place.bus.last(place.stream, f"{place.subject}.>") is None
    for item in place.items(3):
        await place.bus.publish(place.stream, item.subject, item.payload, item.message_id)
    await place.bus.publish(place.stream, f"{place.subject}.y.1", b"other", "other")
    newest = await place.bus.last(place.stream, f"{place.subject}.x.*")
    assert newest is not None
    assert (newest.subject, newest.data, newest.stream_seq) == (f"{place.subject}.x.3", b"3", 3)
    assert await place.bus.last(place.stream, f"{place.subject}.z.>") is None


async def test_a_follower_of_what_is_new_sees_nothing_of_before(place: Place) -> None:
    await place.bus.publish_many(place.stream, place.items(3))
    follower = place.bus.follow(place.stream, f"{place.subject}.>", new=True)
    waiting = asyncio.ensure_future(anext(aiter(follower)))
    await follower.caught_up(timeout=20)
    await place.bus.publish_many(place.stream, place.items(1, start=4))
    assert (await asyncio.wait_for(waiting, 20)).data == b"4"
    await follower.close()
