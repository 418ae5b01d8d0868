"""Listening to messages on a real database: marks, wrong PINs that lock and outlive the process, greetings spoken by phone."""

from collections.abc import Mapping
from typing import Any

import asyncpg
import pytest
from argon2 import PasswordHasher

from carillon_contracts.config import Mailbox
from carillon_contracts.envelope import Event
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.bus import MemoryBus, Message
from carillon_kit.clock import ManualClock
from carillon_kit.object_store import MemoryObjectStore, ObjectNotFound
from carillon_voicemail.adapters.greetings import Greetings
from carillon_voicemail.adapters.mailbox_pins import MailboxPins
from carillon_voicemail.adapters.pin_tries import CALLER_TRIES, PinTries
from carillon_voicemail.adapters.postgres_messages import PostgresMessages
from carillon_voicemail.domain import dialogue
from carillon_voicemail.domain.listening_phrases import PHRASES
from carillon_voicemail.domain.listening_state import Cursor, Decision, State
from carillon_voicemail.domain.message import Addressing, MessageState, read_recording, stored_event
from carillon_voicemail.domain.steps import CallFacts, Gather, Gathered, Play, Recorded, Speech
from carillon_voicemail.listening_application import ListeningApplication
from carillon_voicemail.projections.configuration import Configuration
from carillon_voicemail.testing import company, recording

Pool = asyncpg.Pool
pytestmark = pytest.mark.feature("V-4")
PIN = "2718"
BOX = Mailbox(id="main", pin_hash=PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PIN), trusted_numbers=("+41790000007",))
ANNA, OUTSIDE = CallFacts("101", "Anna", "*97", "anna"), CallFacts("+41790000009", "", "+41215550100")
FR = PHRASES["fr"]


class Configurations:
    def __init__(self, *mailboxes: Mailbox) -> None:
        self.folded = Configuration(MemoryBus())
        for number, (subject, body) in enumerate(company(*mailboxes), 1):
            self.folded.apply(Message(subject, body, number))

    def of(self, tenant: str) -> TenantConfig:
        return self.folded.of(tenant)


class Directory:
    """Takes PINs, or not."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str]] = []

    async def UpdateMailbox(self, request: Any, *, timeout: float, metadata: Any) -> None:
        self.changes.append((request.mailbox.id, request.mailbox.pin))


def application(pool: "Pool[Any]", objects: MemoryObjectStore, directory: Directory | None = None) -> ListeningApplication:
    pins = MailboxPins(directory, lambda subject, tenant, role: "")
    messages, greetings = PostgresMessages(pool, objects), Greetings(pool, objects, timeout=5)
    return ListeningApplication(Configurations(BOX), messages, PinTries(pool, timeout=5), greetings, pins, ManualClock())


def says(decision: Decision) -> list[str]:
    assert isinstance(decision.step, Gather | Play)
    return [each.text for each in decision.step.prompts if isinstance(each, Speech)]


async def begun(app: ListeningApplication, call: CallFacts, arguments: Mapping[str, str]) -> Decision:
    decision = await app.begin("dupont", call, arguments)
    assert decision is not None
    return decision


async def press(app: ListeningApplication, call: CallFacts, decision: Decision, *digits: str) -> Decision:
    for each in digits:
        decision = await app.go_on("dupont", call, decision.cursor, Gathered(each))
    return decision


async def test_what_is_heard_and_deleted_is_so_for_everybody(pool: "Pool[Any]", messages: PostgresMessages) -> None:
    read = read_recording(*recording("c1", f"sha256-{1:064x}"))
    assert read is not None
    event, message = read
    await messages.store(event.id, message, Addressing(), stored_event(message, event))
    app = application(pool, MemoryObjectStore())
    main = await begun(app, ANNA, {"listen": "own", "mailbox_id": "main"})
    assert says(main) == [FR.one_new, FR.listen, FR.main]

    async def state() -> MessageState:
        found = await messages.get("dupont", message.message_id)
        assert found is not None
        return found.state

    heard = await press(app, ANNA, main, "1")
    assert await state() is MessageState.HEARD
    # The same question again, of another process, gives the same answer.
    again = await press(application(pool, MemoryObjectStore()), ANNA, main, "1")
    assert (again.step, again.cursor) == (heard.step, heard.cursor)
    deleted = await press(app, ANNA, heard, "3")
    assert (await press(app, ANNA, heard, "3")).step == deleted.step
    assert await state() is MessageState.DELETED
    assert says(await press(app, ANNA, deleted, "0")) == [FR.no_new, FR.main]
    await press(app, ANNA, deleted, "3", "2")
    assert await state() is MessageState.SAVED
    rows = await pool.fetch("select payload from outbox where subject like '%.changed' order by position")
    counts = [(data["new"], data["old"]) for data in (Event.from_json(row["payload"]).data for row in rows)]
    assert counts == [(1, 0), (0, 1), (0, 0), (0, 1), (0, 1)]


@pytest.mark.feature("V-5")
async def test_wrong_pins_lock_the_caller_also_for_another_process_and_no_other(pool: "Pool[Any]") -> None:
    app = application(pool, MemoryObjectStore())
    asked = app.from_greeting(dialogue.Cursor(dialogue.State.GREETING, "main", "fr", 4))
    assert says(asked) == [FR.ask_pin]
    assert says(await press(app, OUTSIDE, asked, PIN)) == [FR.no_new, FR.main]
    for _ in range(CALLER_TRIES):
        assert says(await press(app, OUTSIDE, asked, "0000")) == [FR.wrong, FR.ask_pin]
    again = application(pool, MemoryObjectStore())
    assert says(await press(again, OUTSIDE, asked, PIN)) == [FR.locked]
    assert says(await press(again, CallFacts("+41790000008"), asked, PIN)) == [FR.no_new, FR.main]
    once = CallFacts("+41790000006", call_id="c6")
    for _ in range(CALLER_TRIES + 1):  # One try that media asks about again and again.
        assert says(await press(again, once, asked, "0000")) == [FR.wrong, FR.ask_pin]
    nowhere = Decision(asked.step, Cursor(State.PIN, "", "fr", box="999"), asked.trace)
    assert says(await press(again, ANNA, nowhere, PIN)) == [FR.wrong, FR.ask_pin]


async def test_a_trusted_number_listens_and_any_other_leaves_a_message(pool: "Pool[Any]") -> None:
    app = application(pool, MemoryObjectStore())
    trusted = CallFacts("+41790000007")
    assert says(await begun(app, trusted, {"mailbox_id": "main"})) == [FR.no_new, FR.main]
    assert await app.begin("dupont", OUTSIDE, {"mailbox_id": "main"}) is None


@pytest.mark.feature("V-5")
async def test_a_pin_is_changed_in_the_directory_or_the_caller_is_told_that_it_is_not(pool: "Pool[Any]") -> None:
    directory = Directory()
    for app, told in (
        (application(pool, MemoryObjectStore(), directory), FR.pin_kept),
        (application(pool, MemoryObjectStore()), FR.not_now),
    ):
        main = await begun(app, ANNA, {"listen": "own", "mailbox_id": "main"})
        assert says(await press(app, ANNA, main, "3", "314159", "271828"))[0] == FR.pin_differs
        typed = await press(app, ANNA, main, "3", "314159")
        assert b"314159" not in typed.cursor.to_bytes()
        assert says(await press(app, ANNA, typed, "314159"))[0] == told
    assert directory.changes == [("main", "314159")]


@pytest.mark.feature("V-1")
async def test_a_greeting_is_kept_replaced_and_dropped_with_its_audio(pool: "Pool[Any]") -> None:
    objects = MemoryObjectStore()
    first, second = await objects.put(b"first", "audio/wav"), await objects.put(b"second", "audio/wav")
    app = application(pool, objects)
    main = await begun(app, ANNA, {"listen": "own", "mailbox_id": "main"})
    for name in (first, second):
        record = await press(app, ANNA, main, "2", "1", "")
        chosen = await app.go_on("dupont", ANNA, record.cursor, Recorded(name))
        assert says(await press(app, ANNA, chosen, "1"))[0] == FR.greeting_kept
        assert await app.greeting_of("dupont", "main") == name
    with pytest.raises(ObjectNotFound):
        await objects.get(first)
    assert await objects.get(second) == b"second"
    assert says(await press(app, ANNA, main, "2", "2"))[0] == FR.greeting_usual
    assert await app.greeting_of("dupont", "main") == ""
    with pytest.raises(ObjectNotFound):
        await objects.get(second)


async def test_without_the_database_callers_hear_the_greeting_of_the_configuration(pool: "Pool[Any]") -> None:
    app = application(pool, MemoryObjectStore())
    await pool.close()
    assert await app.greeting_of("dupont", "main") == ""
