"""Orders are carried out and answered, once what they name has left the outbox; and dead letters that hold a word are found."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from carillon_kit import outbox
from carillon_kit.bus import ConsumerSpec, Delivered, MemoryBus, Retry, StreamSpec
from carillon_kit.dead_letters import DeadLetters
from carillon_kit.orders import Answer, Orders
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.rewriting import forget_letters
from carillon_kit.testing import eventually

Pool = asyncpg.Pool
AT = datetime(2026, 3, 5, 10, tzinfo=UTC)
#: A word, and how it may be written.
WRITTEN = pytest.mark.parametrize(
    ("word", "written"),
    [("zoé quill", "Zoé Quill"), ("Zoé Quill", "zoé quill"), ("zoé quill", "ZOÉ QUILL"), ("zo\\é 100%_", "Zo\\é 100%_"), ("zoe", "ZOE")],
)
OTHERS = "Zoë Quill, Zo Quill, zo\\é 100 _, zoé quil".encode()


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator["Pool[Any]"]:
    made = await open_pool(postgres_dsn)
    await migrate(made)
    await made.execute("truncate outbox, dead_letter")
    yield made
    await made.close()


def message(data: bytes, seq: int = 1, tenant: str = "acme") -> Delivered:
    return Delivered(f"carillon.{tenant}.call.c1.started", data, seq, {}, f"id-{seq}", 1, AT)


class Names:
    """An order is the name that nobody may hold any more."""

    def read(self, _: str, payload: bytes) -> str:
        return payload.decode()

    def answer(self, order: str, counts: dict[str, int], at: datetime) -> Answer:
        return UUID(int=9), "orders.answer", str(counts).encode()

    def words(self, order: str) -> list[str]:
        return [order]


def orders(pool: "Pool[Any]", done: list[str]) -> Orders[str]:
    async def carry_out(_: Any, order: str) -> dict[str, int]:
        done.append(order)
        return {"rows": 1}

    return Orders(pool, ConsumerSpec("ORDERS", "test", "orders.given", retry_delays=(0.01,)), Names(), carry_out, lambda: None)


@WRITTEN
async def test_an_order_waits_for_what_the_outbox_has_of_its_words(pool: "Pool[Any]", word: str, written: str) -> None:
    order, done = message(word.encode()), list[str]()
    await outbox.put(pool, "CALLS", [(UUID(int=1), "carillon.acme.call.c1.started", b'\x00\xff{"name":"' + written.encode() + b'"}')])
    await outbox.put(pool, "CALLS", [(UUID(int=2), "carillon.acme.call.c2.started", OTHERS)])
    with pytest.raises(Retry):
        await orders(pool, done).handle([order])
    assert done == []
    await pool.execute("delete from outbox where message_id = $1", UUID(int=1))
    await orders(pool, done).handle([order])
    assert done == [word]
    assert await pool.fetchval("select payload from outbox where message_id = $1", UUID(int=9)) == b"{'rows': 1}"


@WRITTEN
async def test_a_dead_letter_goes_that_holds_a_word_in_its_bytes(pool: "Pool[Any]", word: str, written: str) -> None:
    letters = DeadLetters(pool)
    await letters.add("cdr", "CALLS", message(b'\x00\xff{"name":"' + written.encode() + b'"}', 1), "ValueError")
    await letters.add("cdr", "CALLS", message(OTHERS, 2), "ValueError")
    await letters.add("cdr", "CALLS", message(written.encode(), 3, "other"), "ValueError")
    assert await forget_letters(pool, "acme", [word]) == 1
    assert [letter.stream_seq for letter in await letters.list()] == [2, 3]


async def test_a_dead_letter_goes_that_holds_a_word_in_its_error(pool: "Pool[Any]") -> None:
    await DeadLetters(pool).add("cdr", "CALLS", message(b"\xff"), "ValueError: no such user as Zoé Quill")
    assert await forget_letters(pool, "acme", ["zoé quill"]) == 1


async def test_what_cannot_be_read_becomes_a_dead_letter_and_the_next_order_is_carried_out(pool: "Pool[Any]") -> None:
    bus, done = MemoryBus(), list[str]()
    consumer = await orders(pool, done).obey(bus, StreamSpec("ORDERS", ("orders.>",)))
    await bus.publish("ORDERS", "orders.given", b"\xff", "1")
    await bus.publish("ORDERS", "orders.given", "Zoé Quill".encode(), "2")
    await eventually(lambda: pool.fetchval("select count(*) = 1 from dead_letter"))
    await eventually(lambda: done == ["Zoé Quill"])
    await consumer.stop()
    (letter,) = await DeadLetters(pool).list("test")
    assert (letter.data, letter.error.partition(":")[0]) == (b"\xff", "UnicodeDecodeError")
