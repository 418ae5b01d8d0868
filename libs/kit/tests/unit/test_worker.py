"""When a durable consumer loses its patience."""

import asyncio
from datetime import UTC, datetime

from carillon_kit.bus import ConsumerSpec, Delivered, MemoryBus, Retry, StreamSpec
from carillon_kit.bus.memory import matches
from carillon_kit.clock import ManualClock
from carillon_kit.dead_letters import MemoryDeadLetters
from carillon_kit.testing import eventually

SPEC = ConsumerSpec("S", "worker", "s.>", max_deliveries=2, retry_delays=(0.005,))


async def test_retry_counts_as_a_failure_after_an_hour() -> None:
    clock = ManualClock(datetime(2026, 1, 5, 9, 0, tzinfo=UTC))
    letters, tries = MemoryDeadLetters(clock), 0

    async def not_yet(_: list[Delivered]) -> None:
        nonlocal tries
        tries += 1
        raise Retry(0.005)

    async with MemoryBus(clock) as bus:
        await bus.ensure_stream(StreamSpec("S", ("s.>",)))
        await bus.publish("S", "s.a", b"", "1")
        await bus.consume(SPEC, not_yet, letters)
        await eventually(lambda: tries > 5)
        assert await letters.list() == []
        clock.advance(3600)

        async def buried() -> bool:
            return len(await letters.list()) == 1

        await eventually(buried)
        assert (await letters.list())[0].error == "Retry: again in 0.005 s"


async def test_a_batch_that_fails_is_tried_one_by_one_and_only_the_bad_one_waits() -> None:
    calls: list[list[bytes]] = []
    repaired = asyncio.Event()

    async def handle(messages: list[Delivered]) -> None:
        calls.append([message.data for message in messages])
        if any(message.data == b"2" for message in messages) and not repaired.is_set():
            raise ValueError("cannot read 2")

    async with MemoryBus() as bus:
        await bus.ensure_stream(StreamSpec("S", ("s.>",)))
        for number in (b"1", b"2", b"3"):
            await bus.publish("S", "s.a", number, number.decode())
        await bus.consume(ConsumerSpec("S", "worker", "s.>", retry_delays=(0.02,)), handle, MemoryDeadLetters())
        await eventually(lambda: len(calls) == 4)
        assert calls == [[b"1", b"2", b"3"], [b"1"], [b"2"], [b"3"]]
        repaired.set()
        await eventually(lambda: calls[4:] == [[b"2"]])


def test_subjects_match_as_nats_does() -> None:
    assert matches("a.*.c", "a.b.c")
    assert matches("a.>", "a.b.c")
    assert not matches("a.>", "a")
    assert not matches("a.*", "a.b.c")
    assert not matches("a.b", "a")
