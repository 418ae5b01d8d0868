"""One suite for the event store on Postgres and for its twin in memory."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from carillon_kit.event_store import Cursor, DuplicateEvent, EventStore, MemoryEventStore, NewEvent, PostgresEventStore, VersionConflict
from carillon_kit.ids import SystemIds
from carillon_kit.postgres import migrate, open_pool

IDS = SystemIds()


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[EventStore]:
    if request.param == "memory":
        yield MemoryEventStore()
        return
    pool = await open_pool(request.getfixturevalue("postgres_dsn"))
    await migrate(pool)
    await pool.execute("truncate event")
    yield PostgresEventStore(pool)
    await pool.close()


def new(kind: str = "made", event_id: UUID | None = None, **data: Any) -> NewEvent:
    return NewEvent(kind, data, event_id or IDS.uuid7(), {"who": "test"})


async def test_versions_are_gap_free_from_one(store: EventStore) -> None:
    first = await store.append("t/a", 0, [new(n=1), new(n=2)])
    second = await store.append("t/a", 2, [new(n=3)])
    assert [event.version for event in first + second] == [1, 2, 3]
    assert [event.data["n"] for event in await store.load("t/a")] == [1, 2, 3]


async def test_what_is_loaded_is_what_append_returned(store: EventStore) -> None:
    data = {"text": "Zürich \U0001f514", "nested": {"list": [1, 2.5, None, True]}}
    appended = await store.append("t/a", 0, [NewEvent("made", data, IDS.uuid7(), {"who": "x"})])
    assert await store.load("t/a") == appended
    assert appended[0].data == data
    assert appended[0].at.tzinfo is not None


async def test_a_writer_with_an_old_version_is_refused_and_changes_nothing(store: EventStore) -> None:
    await store.append("t/a", 0, [new()])
    with pytest.raises(VersionConflict) as conflict:
        await store.append("t/a", 0, [new(), new()])
    assert (conflict.value.expected, conflict.value.actual) == (0, 1)
    with pytest.raises(VersionConflict):
        await store.append("t/a", 5, [new()])
    assert len(await store.load("t/a")) == 1


async def test_of_writers_at_once_exactly_one_wins_each_version(store: EventStore) -> None:
    async def write() -> int:
        wins = 0
        while True:
            version = len(await store.load("t/a"))
            if version >= 20:
                return wins
            try:
                await store.append("t/a", version, [new()])
                wins += 1
            except VersionConflict:
                continue

    wins = await asyncio.gather(*(write() for _ in range(5)))
    versions = [event.version for event in await store.load("t/a")]
    assert versions == list(range(1, len(versions) + 1))
    assert sum(wins) == len(versions) >= 20


async def test_an_event_id_is_stored_once(store: EventStore) -> None:
    event = new()
    await store.append("t/a", 0, [event])
    with pytest.raises(DuplicateEvent):
        await store.append("t/b", 0, [new(), event])
    assert await store.load("t/b") == []


async def test_nothing_appended_is_nothing_stored(store: EventStore) -> None:
    assert await store.append("t/a", 0, []) == []
    assert await store.streams() == []


async def test_load_takes_a_window_of_versions(store: EventStore) -> None:
    await store.append("t/a", 0, [new() for _ in range(5)])
    assert [event.version for event in await store.load("t/a", 1, 3)] == [2, 3]
    assert [event.version for event in await store.load("t/a", after_version=4)] == [5]
    assert await store.load("unknown") == []


async def test_streams_are_found_by_prefix(store: EventStore) -> None:
    for stream in ("tenant/b", "tenant/a", "other/c", "tenant_x"):
        await store.append(stream, 0, [new()])
    assert await store.streams("tenant/") == ["tenant/a", "tenant/b"]
    assert await store.streams() == ["other/c", "tenant/a", "tenant/b", "tenant_x"]


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
async def test_read_raw_pages_through_everything_in_order(store: PostgresEventStore) -> None:
    for number in range(1, 6):
        await store.append(f"t/{number % 2}", (number - 1) // 2, [new(n=number)])
    cursor, seen = Cursor(), []
    while page := await store.read_raw(cursor, limit=2):
        assert len(page) <= 2
        seen += [event.data["n"] for event in page]
        cursor = page[-1].cursor
    assert seen == [1, 2, 3, 4, 5]
