"""A person's boxes go with their messages; messages that they left for others stay, without their name."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest

from carillon_contracts.erasure import Order, PersonErasureOrdered
from carillon_kit.object_store import MemoryObjectStore, ObjectNotFound
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.testing import fresh_database
from carillon_voicemail.adapters.letters_kept import KeptLetters
from carillon_voicemail.adapters.maildir import Maildir
from carillon_voicemail.adapters.pin_tries import PinTries, tried_box
from carillon_voicemail.erasures import carry_out
from carillon_voicemail.ports import Mail

pytestmark = pytest.mark.feature("P-8")
AT = datetime(2026, 3, 5, 10, tzinfo=UTC)
PSEUDONYM = "erased-abcdef012345"
ORDER = Order(
    "acme",
    UUID(int=2),
    PersonErasureOrdered(
        erasure_id=str(UUID(int=1)),
        ids={"zoe": PSEUDONYM, "box-of-zoe": f"{PSEUDONYM}-1"},
        texts={"zoé quill": "erased", "zoe@acme.example": "erased@erased.invalid", "+41791234567": "+41790000000"},
        user_id="zoe",
        pseudonym=PSEUDONYM,
        mailbox_ids=("box-of-zoe",),
    ),
)


@pytest.fixture
async def pool() -> AsyncIterator[Any]:
    made = await open_pool(fresh_database())
    await migrate(made, "carillon_voicemail.migrations")
    yield made
    await made.close()


async def message(pool: Any, objects: MemoryObjectStore, mailbox: str, audio: bytes, recipients: list[str]) -> str:
    name = await objects.put(audio, "audio/wav")
    message_id = uuid4()
    await pool.execute(
        "insert into message (message_id, tenant, mailbox_id, call_id, seq, caller_number, caller_name, received_at, duration_ms, object)"
        " values ($1, 'acme', $2, $3, 1, '+41791234567', 'Zoé Quill', $4, 1000, $5)",
        *(message_id, mailbox, str(message_id), AT, name),
    )
    await pool.execute(
        "insert into mail_job (message_id, recipients, mailbox_name, language, time_zone) values ($1, $2, 'x', 'en', 'UTC')",
        *(message_id, recipients),
    )
    return name


async def obeyed(pool: Any, objects: MemoryObjectStore, folder: Maildir | None = None) -> dict[str, int]:
    async with pool.acquire() as connection, connection.transaction():
        return await carry_out(connection, ORDER, objects, KeptLetters(folder))


async def wrong() -> Literal["wrong"]:
    return "wrong"


async def test_what_is_theirs_goes_and_what_others_have_of_them_stays_without_a_name(pool: Any) -> None:
    objects = MemoryObjectStore()
    own = await message(pool, objects, "box-of-zoe", b"for zoe", ["zoe@acme.example"])
    shared = await message(pool, objects, "box-of-zoe", b"for both", ["zoe@acme.example"])
    assert await message(pool, objects, "box-of-bob", b"for both", ["bob@acme.example", "zoe@acme.example"]) == shared
    for to in ("zoe@acme.example", "bob@acme.example"):
        body = {"to": [to], "subject": "x", "text": "Zoé Quill called"}
        await pool.execute("insert into letter_job (letter_id, tenant, body, requested_at) values ($1, 'acme', $2, $3)", uuid4(), body, AT)
    await pool.execute(
        "insert into conference_attendance (tenant, call_id, seq, room_id, meeting_id, display_name, party, number, creator, joined_at)"
        " values ('acme', 'c', 1, 'r', 'm', 'Room', 'Zoé Quill', '+41791234567', true, $1)",
        AT,
    )
    tries = PinTries(pool, timeout=10)
    for box in ("box-of-zoe", "box-of-bob"):
        await tries.judged("acme", tried_box(box), "+41790000009", wrong)
    counts = await obeyed(pool, objects)
    assert counts["messages_deleted"] == 2
    assert {row["room_id"] for row in await pool.fetch("select room_id from conference_tries")} == {tried_box("box-of-bob")}
    with pytest.raises(ObjectNotFound):
        await objects.get(own)
    assert await objects.get(shared) == b"for both"
    (left,) = await pool.fetch("select * from message join mail_job using (message_id)")
    assert (left["mailbox_id"], left["caller_number"], left["caller_name"]) == ("box-of-bob", "+41790000000", "erased")
    assert left["recipients"] == ["bob@acme.example", "erased@erased.invalid"]
    (letter,) = await pool.fetch("select body from letter_job")
    assert letter["body"] == {"to": ["bob@acme.example"], "subject": "x", "text": "erased called"}
    (there,) = await pool.fetch("select party, number from conference_attendance")
    assert tuple(there) == ("erased", "+41790000000")
    assert set((await obeyed(pool, objects)).values()) == {0}


async def letter(pool: Any, folder: Maildir, tenant: str, *to: str) -> UUID:
    """One that was delivered."""
    letter_id = uuid4()
    content = f"To: {', '.join(to)}\r\nSubject: Welcome\r\n\r\nA code\r\n".encode()
    await pool.execute("insert into letter_job (letter_id, tenant, requested_at, state) values ($1, $2, $3, 'sent')", letter_id, tenant, AT)
    await folder.send(Mail(letter_id, "pbx@acme.example", to, content, AT))
    return letter_id


async def test_delivered_letters_that_lie_here_are_exported_and_go_if_they_are_the_person_s_alone(pool: Any, tmp_path: Path) -> None:
    objects, folder = MemoryObjectStore(), Maildir(tmp_path)
    zoe = "Zoé <ZOE@acme.example>"
    own, shared = await letter(pool, folder, "acme", zoe), await letter(pool, folder, "acme", zoe, "bob@acme.example")
    elsewhere = await letter(pool, folder, "other", zoe)
    body = {"to": ["zoe@acme.example"], "subject": "x", "text": "hello"}
    waiting = uuid4()
    await pool.execute("insert into letter_job (letter_id, tenant, body, requested_at) values ($1, 'acme', $2, $3)", waiting, body, AT)
    found = {each.letter_id: each async for each in KeptLetters(folder).to(pool, "acme", "Zoe@acme.example")}
    assert {name: each.delivered for name, each in found.items()} == {own: True, shared: True, waiting: False}
    assert (found[waiting].content, found[own].subject) == (b"hello", "Welcome")
    assert b"A code" in found[own].content
    assert (await obeyed(pool, objects, folder))["letter_copies_deleted"] == 1
    assert set(await folder.kept()) == {shared, elsewhere}
    assert (await obeyed(pool, objects, folder))["letter_copies_deleted"] == 0
