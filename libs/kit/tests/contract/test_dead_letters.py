"""One suite for the dead letters on Postgres and for their twin in memory."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from carillon_kit.bus import Delivered
from carillon_kit.dead_letters import DeadLetters, MemoryDeadLetters
from carillon_kit.errors import NotFound
from carillon_kit.postgres import migrate, open_pool

STORED_AT = datetime(2026, 1, 5, 9, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(params=["memory", "postgres"])
async def letters(request: pytest.FixtureRequest) -> AsyncIterator[DeadLetters | MemoryDeadLetters]:
    if request.param == "memory":
        yield MemoryDeadLetters()
        return
    pool = await open_pool(request.getfixturevalue("postgres_dsn"))
    await migrate(pool)
    await pool.execute("truncate dead_letter")
    yield DeadLetters(pool)
    await pool.close()


def message(seq: int = 7, deliveries: int = 20) -> Delivered:
    return Delivered("carillon.x.call.y", b"\x00\xffnot text", seq, {"traceparent": "t"}, f"id-{seq}", deliveries, STORED_AT)


async def test_a_letter_keeps_the_original(letters: DeadLetters | MemoryDeadLetters) -> None:
    await letters.add("cdr", "CALLS", message(), "ValueError: bad\0byte")
    (letter,) = await letters.list()
    assert (letter.durable, letter.stream, letter.error, letter.deliveries) == ("cdr", "CALLS", "ValueError: badbyte", 20)
    assert letter.delivered() == message(deliveries=21)
    assert not letter.replaying


async def test_a_letter_is_there_once_however_often_it_dies(letters: DeadLetters | MemoryDeadLetters) -> None:
    await letters.add("cdr", "CALLS", message(deliveries=20), "first")
    await letters.replay((await letters.list())[0].id)
    await letters.add("cdr", "CALLS", message(deliveries=21), "second")
    (letter,) = await letters.list()
    assert (letter.error, letter.deliveries, letter.replaying) == ("second", 21, False)


async def test_letters_are_listed_by_consumer_oldest_first(letters: DeadLetters | MemoryDeadLetters) -> None:
    for durable, seq in (("cdr", 1), ("voicemail", 2), ("cdr", 3)):
        await letters.add(durable, "CALLS", message(seq), "e")
    assert [letter.stream_seq for letter in await letters.list()] == [1, 2, 3]
    assert [letter.stream_seq for letter in await letters.list("cdr")] == [1, 3]
    assert [letter.stream_seq for letter in await letters.list(limit=2)] == [1, 2]


async def test_only_what_was_asked_for_is_replayed_until_it_is_resolved(letters: DeadLetters | MemoryDeadLetters) -> None:
    for seq in (1, 2):
        await letters.add("cdr", "CALLS", message(seq), "e")
    assert await letters.replays("cdr") == []
    second = (await letters.list())[1]
    await letters.replay(second.id)
    assert [letter.stream_seq for letter in await letters.replays("cdr")] == [2]
    assert await letters.replays("voicemail") == []
    await letters.resolve(second.id)
    assert [letter.stream_seq for letter in await letters.list()] == [1]


async def test_replaying_what_is_not_there_is_refused(letters: DeadLetters | MemoryDeadLetters) -> None:
    with pytest.raises(NotFound):
        await letters.replay(12345)
