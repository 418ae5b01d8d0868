"""Of the consumers of call events that older versions had, one goes on where it was and the others hold up nobody."""

import asyncio

import pytest

from carillon_contracts.streams import CALLS
from carillon_kit.bus import ConsumerSpec, Delivered, MemoryBus
from carillon_kit.dead_letters import MemoryDeadLetters
from carillon_kit.testing import eventually
from carillon_routing import subscribers
from carillon_routing.subscribers import CONSUMER, retire_former


async def publish(bus: MemoryBus, call_id: str, fact: str) -> None:
    await bus.publish(CALLS.name, f"carillon.acme.call.{call_id}.{fact}", b"{}", f"{call_id}-{fact}")


@pytest.mark.feature("P-8")
async def test_nothing_is_read_twice_and_no_erasure_waits_for_a_consumer_that_is_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscribers, "_LOOK_SECONDS", 0.01)
    seen: list[str] = []

    async def handle(messages: list[Delivered]) -> None:
        seen.extend(message.subject for message in messages)

    async with MemoryBus() as bus:
        await bus.ensure_stream(CALLS)
        await publish(bus, "c1", "ended")
        for durable in ("routing-facts", "routing-queues", "routing-calls"):
            former = await bus.consume(ConsumerSpec(CALLS.name, durable, "carillon.*.call.*.ended"), handle, MemoryDeadLetters())
            await eventually(lambda: bool(seen))
            seen.clear()
            await former.stop()
        await publish(bus, "c2", "bridged")
        await publish(bus, "c2", "ended")
        await bus.consume(CONSUMER, handle, MemoryDeadLetters())
        await asyncio.wait_for(retire_former(bus), 30)
        await eventually(lambda: len(seen) == 2)
        assert seen == ["carillon.acme.call.c2.bridged", "carillon.acme.call.c2.ended"]
        await eventually(lambda: _handled(bus))


async def _handled(bus: MemoryBus) -> bool:
    return await bus.handled(CALLS.name) == 3
