"""Events that nobody waits for: in order, tried again, of too many the oldest go."""

import asyncio
from collections.abc import Sequence

import pytest

from carillon_kit.bus import MemoryBus, Outgoing, PublishFailed, StreamSpec
from carillon_kit.bus import announcements as module
from carillon_kit.bus.announcements import Announcements
from carillon_kit.testing import eventually

STREAM = StreamSpec("AUDIT", ("carillon.>",))


class Away(MemoryBus):
    """Refuses the first two batches: one altogether, one in part."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses = 2

    async def publish_many(self, stream: str, items: Sequence[Outgoing], timeout: float = 5.0) -> list[str]:
        self.refuses -= 1
        if self.refuses == 1:
            raise PublishFailed("away")
        if self.refuses == 0:
            await super().publish_many(stream, items[:1])
            return [item.message_id for item in items[1:]]
        return await super().publish_many(stream, items)


def item(number: int) -> Outgoing:
    return Outgoing("carillon.dupont.audit", str(number).encode(), f"id-{number}")


async def test_all_arrive_once_and_in_order_though_the_bus_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(module, "BATCH", 3)
    bus = Away()
    await bus.ensure_stream(STREAM)
    waiting = Announcements(bus, STREAM.name)
    for number in range(8):
        waiting.add(item(number))
    task = asyncio.ensure_future(waiting.run())
    await eventually(lambda: len(bus.messages(STREAM.name)) == 8)
    waiting.add(item(8))
    await eventually(lambda: len(bus.messages(STREAM.name)) == 9)
    assert [message.data for message in bus.messages(STREAM.name)] == [str(number).encode() for number in range(9)]
    task.cancel()


async def test_of_too_many_the_oldest_go_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    bus = MemoryBus()
    await bus.ensure_stream(STREAM)
    waiting = Announcements(bus, STREAM.name)
    for number in range(5):
        waiting.add(item(number))
    assert waiting.given_up == 2
