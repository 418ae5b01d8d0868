"""A message is new, heard, saved or deleted; the box's counts are told with every change, and what is deleted can be taken back."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from carillon_contracts.envelope import Event
from carillon_kit.object_store import MemoryObjectStore, ObjectNotFound
from carillon_voicemail.adapters.postgres_messages import PostgresMessages
from carillon_voicemail.domain.message import Addressing, Message, MessageState, read_recording, stored_event
from carillon_voicemail.testing import recording

Pool = asyncpg.Pool
pytestmark = pytest.mark.feature("V-7", "V-6")
NEW, HEARD, SAVED, DELETED = MessageState


async def left(messages: PostgresMessages, call_id: str, content: str = "sha256-00") -> Message:
    read = read_recording(*recording(call_id, content))
    assert read is not None
    event, message = read
    assert await messages.store(event.id, message, Addressing(), stored_event(message, event))
    return message


async def told(pool: "Pool[Any]") -> list[tuple[int, int]]:
    rows = await pool.fetch("select payload from outbox where subject like '%.changed' order by position")
    return [(data["new"], data["old"]) for data in (Event.from_json(row["payload"]).data for row in rows)]


async def test_each_mark_tells_the_counts_once(pool: "Pool[Any]", messages: PostgresMessages) -> None:
    first, second = await left(messages, "c1"), await left(messages, "c2")
    for message, state in ((first, HEARD), (first, HEARD), (first, SAVED), (second, DELETED), (second, NEW), (first, NEW)):
        marked = await messages.mark("dupont", message.message_id, state)
        assert marked is not None
        assert (marked.message_id, marked.state) == (message.message_id, state)
    assert await told(pool) == [(1, 0), (2, 0), (1, 1), (1, 1), (0, 1), (1, 1), (2, 0)]
    ids = {row["id"] for row in await pool.fetch("select message_id as id from outbox where subject like '%.changed'")}
    assert len(ids) == 7


async def test_what_is_not_there_or_another_tenants_cannot_be_marked(pool: "Pool[Any]", messages: PostgresMessages) -> None:
    message = await left(messages, "c1")
    assert await messages.mark("dupont", uuid4(), HEARD) is None
    assert await messages.mark("martin", message.message_id, DELETED) is None
    assert await told(pool) == [(1, 0)]


async def test_by_phone_new_ones_come_first_and_deleted_ones_only_while_they_are_spoken_of(messages: PostgresMessages) -> None:
    one, two, three = [await left(messages, call_id) for call_id in ("c1", "c2", "c3")]
    await messages.mark("dupont", one.message_id, SAVED)
    await messages.mark("dupont", two.message_id, DELETED)

    async def heard(*also: UUID) -> set[UUID]:
        return {message.message_id for message in await messages.by_phone("dupont", "main", also, 10)}

    assert (await messages.by_phone("dupont", "main", (), 10))[0].message_id == three.message_id
    assert await heard() == {one.message_id, three.message_id}
    assert await heard(two.message_id) == {one.message_id, two.message_id, three.message_id}
    # A box with more than is looked at: what is gone through is there whatever became of it.
    spoken_of = await messages.by_phone("dupont", "main", (one.message_id, two.message_id), 2)
    assert {message.message_id for message in spoken_of} == {one.message_id, two.message_id}
    of_all = await messages.by_phone("dupont", "main", (one.message_id, two.message_id), 3)
    assert of_all[0].message_id == three.message_id
    assert {each.state for each in await messages.list("dupont", "main", None, 10)} == {NEW, SAVED}
    assert {each.state for each in await messages.list("dupont", "main", None, 10, deleted=True)} == {NEW, SAVED, DELETED}


async def test_what_was_deleted_long_ago_is_purged_with_its_audio(pool: "Pool[Any]") -> None:
    objects = MemoryObjectStore()
    name = await objects.put(b"audio", "audio/wav")
    messages = PostgresMessages(pool, objects)
    message = await left(messages, "c1", name)
    await messages.mark("dupont", message.message_id, DELETED)
    assert await messages.purge(timedelta(days=1)) == 0
    assert await messages.get("dupont", message.message_id) is not None
    await pool.execute("update message set marked_at = marked_at - interval '2 days'")
    assert await messages.purge(timedelta(days=1)) == 1
    assert await messages.get("dupont", message.message_id) is None
    with pytest.raises(ObjectNotFound):
        await objects.get(name)
