"""From a recording's event to a message and its e-mail, in Postgres."""

import asyncio
import io
import wave
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from carillon_contracts.config import ConfigChanged, Mailbox
from carillon_contracts.config.changes import RESET_LINE
from carillon_contracts.envelope import Event
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.bus import Delivered, MemoryBus, Message, Retry
from carillon_kit.clock import ManualClock
from carillon_kit.dead_letters import DeadLetters
from carillon_kit.object_store import MemoryObjectStore, ObjectNotFound
from carillon_kit.testing import eventually
from carillon_voicemail.adapters.greetings import Greetings
from carillon_voicemail.adapters.maildir import Maildir
from carillon_voicemail.adapters.postgres_mail_jobs import PostgresMailJobs
from carillon_voicemail.adapters.postgres_messages import LOCK, PostgresMessages
from carillon_voicemail.domain.delivery import RetryPolicy
from carillon_voicemail.domain.message import MailState
from carillon_voicemail.handlers import Postman
from carillon_voicemail.io.mail_sender import MailSender
from carillon_voicemail.line_resets import LineResets
from carillon_voicemail.mailbox_deletions import MailboxDeletions
from carillon_voicemail.ports import Mail, MailJob, MailRefused, MailTransport, MailUnavailable, StoreUnavailable
from carillon_voicemail.projections.configuration import Configuration
from carillon_voicemail.subscribers import DURABLE, RecordingSubscriber
from carillon_voicemail.testing import START, company, recording, tone_wav

Pool = asyncpg.Pool
MAIN = Mailbox(id="main", display_name="Réception", emails=("dumas@dupont.example",))
AT_ONCE = RetryPolicy(first_seconds=0.001, longest_seconds=0.001)


class Objects:
    """An object store that may be away."""

    def __init__(self, audio: bytes | None) -> None:
        self.audio = audio

    async def put(self, data: bytes, content_type: str) -> str:
        raise NotImplementedError

    async def delete(self, name: str) -> None:
        raise NotImplementedError

    async def get(self, name: str) -> bytes:
        if self.audio is None:
            raise ObjectNotFound(name)
        return self.audio


class Refusing:
    """A transport that fails with these errors, one a mail, then takes them."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.taken: list[Mail] = []

    async def send(self, mail: Mail) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.taken.append(mail)


class Configurations:
    """What the directory published."""

    def __init__(self, events: Iterable[tuple[str, bytes]]) -> None:
        self.folded = Configuration(MemoryBus())
        for number, (subject, body) in enumerate(events, 1):
            self.folded.apply(Message(subject, body, number))

    def of(self, tenant: str) -> TenantConfig:
        return self.folded.of(tenant)


def delivered(*events: tuple[str, bytes]) -> list[Delivered]:
    now = datetime.now(UTC)
    return [Delivered(subject, body, number, {}, str(number), 1, now) for number, (subject, body) in enumerate(events, 1)]


def subscriber(pool: "Pool[Any]", messages: PostgresMessages, *mailboxes: Mailbox) -> RecordingSubscriber:
    return RecordingSubscriber(messages, Configurations(company(*mailboxes)), DeadLetters(pool), lambda: None)


def sender(jobs: PostgresMailJobs, objects: Objects, transport: MailTransport, policy: RetryPolicy = AT_ONCE) -> MailSender:
    postman = Postman(jobs, objects, transport, ManualClock(), policy, "voicemail@pbx.example")
    return MailSender(jobs, postman, lambda: None)


async def state(pool: "Pool[Any]") -> tuple[str, int]:
    row = await pool.fetchrow("select state, attempts from mail_job")
    assert row is not None
    return row["state"], row["attempts"]


async def published(pool: "Pool[Any]") -> list[str]:
    return [row["subject"] for row in await pool.fetch("select subject from outbox order by position")]


@pytest.mark.feature("V-2")
async def test_a_recording_is_stored_once_however_often_it_comes(pool: "Pool[Any]", messages: PostgresMessages) -> None:
    handler = subscriber(pool, messages, MAIN)
    await handler.handle(delivered(recording(), recording(), recording(again="x")))
    await asyncio.gather(*(handler.handle(delivered(recording(), recording("c2"))) for _ in range(4)))
    listed = await messages.list("dupont", "main", None, 10)
    assert sorted(message.call_id for message in listed) == ["c1", "c2"]
    assert await pool.fetchval("select count(*) from mail_job") == 2
    assert await published(pool) == ["carillon.dupont.mailbox.main.message_stored", "carillon.dupont.mailbox.main.changed"] * 2
    rows = await pool.fetch("select payload from outbox where subject like '%.changed' order by position")
    counts = [Event.from_json(row["payload"]).data for row in rows]
    assert counts == [{"mailbox_id": "main", "new": 1, "old": 0}, {"mailbox_id": "main", "new": 2, "old": 0}]


@pytest.mark.feature("V-3")
async def test_the_mail_brings_the_very_audio_and_a_second_look_sends_nothing(
    pool: "Pool[Any]", messages: PostgresMessages, jobs: PostgresMailJobs, tmp_path: Path
) -> None:
    audio = tone_wav()
    await subscriber(pool, messages, MAIN).handle(delivered(recording()))
    mails = sender(jobs, Objects(audio), Maildir(tmp_path))
    assert await mails.send_due() == 1
    assert await mails.send_due() == 0
    (file,) = (tmp_path / "new").iterdir()
    (attached,) = _parse(file.read_bytes()).iter_attachments()
    assert attached.get_content() == audio
    with wave.open(io.BytesIO(attached.get_content())) as played:
        assert (played.getframerate(), played.getnframes()) == (8000, 4000)
    assert await state(pool) == ("sent", 1)
    assert await published(pool) == [
        "carillon.dupont.mailbox.main.message_stored",
        "carillon.dupont.mailbox.main.changed",
        "carillon.dupont.mailbox.main.message_mailed",
    ]


def _parse(raw: bytes) -> EmailMessage:
    parsed = message_from_bytes(raw, policy=default)
    assert isinstance(parsed, EmailMessage)
    return parsed


@pytest.mark.feature("V-3")
async def test_while_the_mail_server_is_away_the_mail_waits_and_then_goes_once(
    pool: "Pool[Any]", messages: PostgresMessages, jobs: PostgresMailJobs
) -> None:
    await subscriber(pool, messages, MAIN).handle(delivered(recording()))
    transport = Refusing(MailUnavailable("away"), OSError("cut"), TimeoutError())
    mails = sender(jobs, Objects(b"wav"), transport)
    while (await state(pool))[0] != "sent":
        await mails.send_due()
    assert await state(pool) == ("sent", 4)
    assert len(transport.taken) == 1


@pytest.mark.feature("V-3")
async def test_a_mail_that_is_out_while_the_database_is_away_is_not_sent_again(
    pool: "Pool[Any]", messages: PostgresMessages, jobs: PostgresMailJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await subscriber(pool, messages, MAIN).handle(delivered(recording()))
    keep_sent, failures = jobs.sent, [StoreUnavailable("away")]

    async def sent(job: MailJob, event: Event) -> bool:
        if failures:
            raise failures.pop()
        return await keep_sent(job, event)

    monkeypatch.setattr(jobs, "sent", sent)
    transport = Refusing()
    await sender(jobs, Objects(b"wav"), transport).send_due()
    assert len(transport.taken) == 1
    assert await state(pool) == ("sent", 1)


async def test_audio_that_comes_later_than_its_event_is_waited_for(
    pool: "Pool[Any]", messages: PostgresMessages, jobs: PostgresMailJobs
) -> None:
    await subscriber(pool, messages, MAIN).handle(delivered(recording()))
    objects, transport = Objects(None), Refusing()
    mails = sender(jobs, objects, transport)
    assert await mails.send_due() > 0
    assert (await state(pool))[0] == "pending"
    objects.audio = b"wav"
    while (await state(pool))[0] != "sent":
        await mails.send_due()
    assert len(transport.taken) == 1


@pytest.mark.parametrize("error", [MailRefused("550"), MailUnavailable("away"), MailRefused("550 bo\udceete pleine")])
async def test_what_is_refused_for_good_or_too_old_is_given_up(
    pool: "Pool[Any]", messages: PostgresMessages, jobs: PostgresMailJobs, error: Exception
) -> None:
    await subscriber(pool, messages, MAIN).handle(delivered(recording()))
    await sender(jobs, Objects(b"wav"), Refusing(error), RetryPolicy(give_up_after=timedelta(0))).send_due()
    assert await state(pool) == ("failed", 1)
    (message,) = await messages.list("dupont", None, None, 10)
    assert message.mail_state is MailState.FAILED


@pytest.mark.feature("V-3")
async def test_a_job_is_in_one_hand_until_its_lease_ends(pool: "Pool[Any]", messages: PostgresMessages, jobs: PostgresMailJobs) -> None:
    await subscriber(pool, messages, MAIN).handle(delivered(recording()))
    (killed,) = await jobs.claim(4, timedelta(hours=1))
    assert await jobs.claim(4, timedelta(hours=1)) == []
    await pool.execute("update mail_job set leased_until = clock_timestamp()")
    (taken_over,) = await jobs.claim(4, timedelta(hours=1))
    assert (killed.attempt, taken_over.attempt) == (1, 2)
    await jobs.failed(killed, "too late to say so")
    assert await state(pool) == ("sending", 2)


async def test_many_workers_send_each_mail_once(pool: "Pool[Any]", messages: PostgresMessages, jobs: PostgresMailJobs) -> None:
    await subscriber(pool, messages, MAIN).handle(delivered(*(recording(f"c{number}") for number in range(20))))
    transport = Refusing()
    await asyncio.gather(*(sender(jobs, Objects(b"wav"), transport).send_due() for _ in range(4)))
    assert len({mail.message_id for mail in transport.taken}) == len(transport.taken) == 20


async def test_a_mailbox_without_addresses_or_that_is_gone_keeps_the_message_and_mails_nobody(
    pool: "Pool[Any]", messages: PostgresMessages
) -> None:
    await subscriber(pool, messages, Mailbox(id="main")).handle(delivered(recording(), recording("c2", mailbox_id="gone")))
    assert {message.mail_state for message in await messages.list("dupont", None, None, 10)} == {MailState.NONE}


@pytest.mark.feature("P-3")
async def test_messages_are_listed_newest_first_within_their_tenant(pool: "Pool[Any]", messages: PostgresMessages) -> None:
    await subscriber(pool, messages, MAIN).handle(delivered(*(recording(f"c{number}") for number in range(5))))
    await pool.execute("update message set received_at = received_at + seq * interval '1 second' * right(call_id, 1)::int")
    first = await messages.list("dupont", "main", None, 3)
    rest = await messages.list("dupont", "main", (first[-1].received_at, first[-1].message_id), 3)
    assert [message.call_id for message in [*first, *rest]] == ["c4", "c3", "c2", "c1", "c0"]
    assert rest[-1].received_at == START
    assert await messages.list("martin", None, None, 10) == []
    assert await messages.get("martin", first[0].message_id) is None


@pytest.mark.feature("P-10")
async def test_a_poisoned_recording_is_put_aside_and_holds_up_nobody(pool: "Pool[Any]", messages: PostgresMessages) -> None:
    poison = ("carillon.dupont.call.c9.recording_finished", b"{")
    await subscriber(pool, messages, MAIN).handle(delivered(poison, recording()))
    assert [letter.data for letter in await DeadLetters(pool).list(DURABLE)] == [b"{"]
    assert len(await messages.list("dupont", None, None, 10)) == 1


async def test_while_the_database_is_away_recordings_are_asked_for_again() -> None:
    away = await asyncpg.create_pool("postgresql://nobody@127.0.0.1:1/none", min_size=0)
    with pytest.raises(StoreUnavailable) as caught:
        await PostgresMessages(away, MemoryObjectStore(), timeout=1).list("dupont", None, None, 1)
    assert "127.0.0.1" in str(caught.value), "the log says what is away"
    assert "127.0.0.1" not in str(caught.value.to_status()), "a client is not told where"
    with pytest.raises(Retry):
        await subscriber(away, PostgresMessages(away, MemoryObjectStore(), timeout=1), MAIN).handle(delivered(recording()))
    with pytest.raises(Retry):
        await subscriber(away, PostgresMessages(away, MemoryObjectStore(), timeout=1), MAIN).handle(
            delivered(("carillon.dupont.call.c9.x", b"{"))
        )
    await away.close()


class Kept(Objects):
    """An object store that tells what was deleted."""

    def __init__(self) -> None:
        super().__init__(b"")
        self.deleted: list[str] = []

    async def delete(self, name: str) -> None:
        self.deleted.append(name)


@pytest.mark.feature("D-18")
async def test_a_line_that_is_reset_leaves_no_message_in_its_mailbox_but_what_came_since(
    pool: "Pool[Any]", messages: PostgresMessages
) -> None:
    handler = subscriber(pool, messages, MAIN)
    await handler.handle(delivered(recording(content="one"), recording("c2", content="two", mailbox_id="other")))
    objects = Kept()
    resets = LineResets(pool, objects, lambda: None)
    reset = line_reset("main", START + timedelta(seconds=1))
    await resets.handle(delivered(line_reset("main", START + timedelta(seconds=1), verb=""), reset))
    assert [each.call_id for each in await messages.list("dupont", None, None, 10)] == ["c2"]
    assert objects.deleted == ["one"]
    last = await pool.fetchval("select payload from outbox order by position desc limit 1")
    assert Event.from_json(last).data == {"mailbox_id": "main", "new": 0, "old": 0}
    await resets.handle(delivered(line_reset("other", START - timedelta(seconds=1)), reset))
    assert len(await messages.list("dupont", "other", None, 10)) == 1


@pytest.mark.feature("D-18")
async def test_a_greeting_that_was_spoken_after_a_reset_stays_when_the_reset_is_told_again(pool: "Pool[Any]") -> None:
    objects = Kept()
    greetings = Greetings(pool, objects, timeout=10)
    resets = LineResets(pool, objects, lambda: None)
    await greetings.keep("dupont", "main", "before")
    await pool.execute("update greeting set recorded_at = $1", START)
    reset = delivered(line_reset("main", START + timedelta(seconds=1)))
    await resets.handle(reset)
    assert (await greetings.of("dupont", "main"), objects.deleted) == ("", ["before"])
    await greetings.keep("dupont", "main", "after")
    await pool.execute("update greeting set recorded_at = $1", START + timedelta(seconds=2))
    await resets.handle(reset)
    assert (await greetings.of("dupont", "main"), objects.deleted) == ("after", ["before"])


@pytest.mark.feature("D-18")
async def test_a_message_from_before_a_reset_that_comes_late_is_not_stored_and_its_audio_goes(pool: "Pool[Any]") -> None:
    objects = Kept()
    handler = subscriber(pool, PostgresMessages(pool, objects), MAIN)
    resets = LineResets(pool, objects, lambda: None)
    await resets.handle(delivered(line_reset("main", START)))
    await resets.handle(delivered(line_reset("main", START - timedelta(days=1))))
    await handler.handle(delivered(recording(content="late"), recording("c2", content="other", mailbox_id="other")))
    assert [each.call_id for each in await PostgresMessages(pool, objects).list("dupont", None, None, 10)] == ["c2"]
    assert objects.deleted == ["late"]
    assert await pool.fetchval("select count(*) from mail_job") == 0
    await pool.execute("update line_reset set reset_at = $1", START - timedelta(seconds=1))
    await handler.handle(delivered(recording("c3")))
    assert len(await PostgresMessages(pool, objects).list("dupont", "main", None, 10)) == 1


@pytest.mark.feature("D-18")
async def test_a_reset_waits_for_a_message_that_is_being_stored(pool: "Pool[Any]", messages: PostgresMessages) -> None:
    objects = Kept()
    resets = LineResets(pool, objects, lambda: None)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(LOCK, "dupont", "main")
        waiting = asyncio.create_task(resets.handle(delivered(line_reset("main", START))))
        await eventually(lambda: _waits(pool))
        await connection.execute(
            "insert into message (message_id, tenant, mailbox_id, call_id, seq, caller_number, caller_name, received_at, duration_ms,"
            " object) values ($1, 'dupont', 'main', 'c1', 1, '', '', $2, 1000, 'stored')",
            *(uuid4(), START),
        )
    await asyncio.wait_for(waiting, 30)
    assert objects.deleted == ["stored"]
    assert not await messages.list("dupont", "main", None, 10)


@pytest.mark.feature("P-3")
async def test_what_is_in_a_mailbox_that_was_deleted_is_not_another_departments_that_makes_it_anew(
    pool: "Pool[Any]", messages: PostgresMessages
) -> None:
    await subscriber(pool, messages, MAIN).handle(delivered(recording()))
    (message,) = await messages.list("dupont", None, None, 10)

    async def read(department_id: str) -> list[bool]:
        """Listed, had, listened to by phone."""
        among = {"main": department_id}
        listed = await messages.list("dupont", None, None, 10, among=among)
        had = await messages.get("dupont", message.message_id, among)
        return [bool(listed), had is not None, bool(await messages.by_phone("dupont", "main", (), 10, department_id))]

    deletions = MailboxDeletions(pool)
    await deletions.handle(delivered(mailbox_deleted(START - timedelta(seconds=1))))
    assert await read("sales") == await read("legal") == [True] * 3, "it came since"
    gone = mailbox_deleted(START + timedelta(seconds=1))
    await deletions.handle(delivered(gone, gone))
    assert await read("sales") == [False] * 3
    assert await read("legal") == [True] * 3, "the deletion may be undone"
    assert await messages.list("dupont", None, None, 10) == [message], "the tenant's admins have it"


async def _waits(pool: "Pool[Any]") -> bool:
    return bool(
        await pool.fetchval(
            "select exists (select from pg_locks where locktype = 'advisory' and not granted"
            " and database = (select oid from pg_database where datname = current_database()))"
        )
    )


def mailbox_deleted(at: datetime) -> tuple[str, bytes]:
    """Of department legal, as the directory publishes it."""
    before = {"id": "main", "department_id": "legal"}
    change = ConfigChanged(resource="mailbox", resource_id="main", action="deleted", before=before, actor="x")
    event = Event(
        id=uuid4(),
        source="carillon/directory",
        type=change.event_type,
        subject="mailbox/main",
        time=at,
        data=change.model_dump(mode="json"),
        tenantid="dupont",
        configseq=9,
    )
    return "carillon.dupont.config.mailbox.deleted", event.to_json()


def line_reset(mailbox_id: str, at: datetime, verb: str = RESET_LINE) -> tuple[str, bytes]:
    """As the directory publishes it."""
    change = ConfigChanged(resource="mailbox", resource_id=mailbox_id, action="updated", before={}, after={}, actor="x", verb=verb)
    event = Event(
        id=uuid4(),
        source="carillon/directory",
        type=change.event_type,
        subject=mailbox_id,
        time=at,
        data=change.model_dump(mode="json"),
        tenantid="dupont",
        configseq=9,
    )
    return "carillon.dupont.config.mailbox.updated", event.to_json()
