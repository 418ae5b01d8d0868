"""A stream looked through: what is kept of which messages, and that it ends."""

import pytest

from carillon_directory.adapters.stream_reading import looked_through
from carillon_kit.bus import MemoryBus, StreamSpec

SPEC = StreamSpec("S", ("s.>",))


@pytest.fixture
async def bus() -> MemoryBus:
    bus = MemoryBus()
    await bus.ensure_stream(SPEC)
    for number, subject in enumerate(("s.a", "s.b", "s.a", "s.a"), start=1):
        await bus.publish(SPEC.name, subject, str(number).encode(), str(number))
    return bus


async def test_what_is_taken_of_a_subjects_messages_is_kept_in_order(bus: MemoryBus) -> None:
    found = await looked_through(bus, SPEC, "s.a", lambda each: int(each.data) if each.data != b"3" else None, 30)
    assert found == [1, 4]


async def test_what_is_kept_may_be_false(bus: MemoryBus) -> None:
    assert await looked_through(bus, SPEC, "s.b", lambda each: each.data == b"1", 30) == [False]


async def test_a_stream_without_messages_of_the_subject_is_at_its_end_at_once(bus: MemoryBus) -> None:
    assert await looked_through(bus, SPEC, "s.c", lambda each: each, 30) == []
