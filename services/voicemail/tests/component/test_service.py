"""The whole service on a real bus, database, object store and mail server; killed in the middle as well."""

import asyncio
import io
import mailbox
import os
import sys
import wave
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import grpc
import pytest

from carillon.common.v1 import call_application_pb2 as app_pb
from carillon.common.v1.call_application_pb2_grpc import CallApplicationStub
from carillon.voicemail.v1 import voicemail_pb2 as pb
from carillon.voicemail.v1.voicemail_pb2_grpc import MessageServiceStub
from carillon_contracts.config import Mailbox
from carillon_contracts.envelope import Event
from carillon_contracts.letter import LetterRequested
from carillon_contracts.streams import AUDIO_BUCKET, CALLS, CONFIG, LETTERS, MAILBOXES, letter_subject
from carillon_kit.auth import ADMIN, SERVICE, issue_token
from carillon_kit.bus import Bus, Outgoing
from carillon_kit.grpc_client import channel
from carillon_kit.ids import SystemIds
from carillon_kit.object_store import NatsObjectStore, object_name
from carillon_kit.testing import eventually
from carillon_voicemail.app import serve
from carillon_voicemail.settings import VoicemailSettings
from carillon_voicemail.testing import company, recording, tone_wav

KEY = "0123456789abcdef0123456789abcdef"
MAIN = Mailbox(id="main", display_name="Réception", emails=("dumas@dupont.example",), max_seconds=60)
AUDIO = tone_wav()


def token(role: str, tenant: str | None = None) -> str:
    return issue_token(KEY, "test", tenant, {role})


@pytest.fixture(scope="module")
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    """With a company in its configuration."""
    async with await Bus.connect(nats_url, "test") as connected:
        for stream in (CONFIG, CALLS):
            await connected.ensure_stream(stream)
        events = [*company(MAIN), *company(MAIN, tenant="martin", language="de")]
        items = [Outgoing(subject, body, f"config-{number}") for number, (subject, body) in enumerate(events)]
        assert await connected.publish_many(CONFIG.name, items) == []
        yield connected


@pytest.fixture
async def target(bus: Bus, nats_url: str, postgres_dsn: str, pool: Any, mail_server: Any) -> AsyncIterator[str]:
    """The service, mailing to the test's server."""
    settings = VoicemailSettings.model_validate(
        {
            "nats_url": nats_url,
            "postgres_dsn": postgres_dsn,
            "token_key": KEY,
            "grpc_listen": "127.0.0.1:0",
            "smtp_url": f"smtp://127.0.0.1:{mail_server.port}",
            "mail_retry_first_seconds": 0.01,
        }
    )
    async with serve(settings) as port:
        yield f"127.0.0.1:{port}"


async def leave(bus: Bus, call_id: str, tenant: str = "dupont", again: str = "") -> None:
    subject, body = recording(call_id, object_name(AUDIO), tenant=tenant, again=again)
    await bus.publish(CALLS.name, subject, body, f"{call_id}{again}")


@pytest.mark.feature("V-2")
@pytest.mark.feature("V-3")
@pytest.mark.feature("V-7")
async def test_a_message_left_is_stored_mailed_once_listed_and_fetched(bus: Bus, target: str, mail_server: Any) -> None:
    mail_server.answers = ["451 come back later"]
    await leave(bus, "left")
    await leave(bus, "left", again="twice")
    await NatsObjectStore(bus, AUDIO_BUCKET).put(AUDIO, "audio/wav")
    async with channel(target, token(ADMIN, "dupont")) as opened:
        stub = MessageServiceStub(opened)

        async def mailed() -> bool:
            response = await stub.ListMessages(pb.ListMessagesRequest(mailbox_id="main"))
            return [(m.call_id, m.email_state) for m in response.messages] == [("left", "sent")]

        await eventually(mailed)
        (listed,) = (await stub.ListMessages(pb.ListMessagesRequest())).messages
        assert (listed.caller_number, listed.duration_ms) == ("+41790000001", 4200)
        assert (await stub.GetMessage(pb.GetMessageRequest(message_id=listed.message_id))).message == listed
        chunks = [part.chunk async for part in stub.FetchMessageAudio(pb.FetchMessageAudioRequest(message_id=listed.message_id))]
        assert b"".join(chunks) == AUDIO
    (envelope,) = mail_server.envelopes
    letter = message_from_bytes(envelope.content, policy=default)
    assert isinstance(letter, EmailMessage)
    assert envelope.rcpt_tos == ["dumas@dupont.example"]
    assert letter["Subject"] == "Nouveau message vocal de Marie Curie, +41790000001 (0:04)"
    (attached,) = letter.iter_attachments()
    assert attached.get_content() == AUDIO
    with wave.open(io.BytesIO(attached.get_content())) as played:
        assert (played.getframerate(), played.getnframes()) == (8000, 4000)
    facts = []
    async for message in bus.follow(MAILBOXES.name, "carillon.dupont.mailbox.main.*"):
        facts.append(Event.from_json(message.data).type)
        if len(facts) == 3:
            break
    assert facts == [f"carillon.mailbox.{fact}.v1" for fact in ("message_stored", "changed", "message_mailed")]


@pytest.mark.feature("D-19")
async def test_a_letter_asked_for_twice_is_sent_once_also_when_the_mail_server_was_away(bus: Bus, target: str, mail_server: Any) -> None:
    mail_server.answers = ["451 come back later"]
    letter = LetterRequested(to=("new@dupont.example",), subject="Bienvenue", text="Bonjour")
    event = Event(
        id=SystemIds().uuid7(),
        source="carillon/directory",
        type=f"carillon.{LetterRequested.TYPE}",
        subject="user/new",
        time=datetime.now(UTC),
        data=letter.model_dump(mode="json"),
        tenantid="dupont",
    )
    await bus.ensure_stream(LETTERS)
    for number in range(2):
        await bus.publish(LETTERS.name, letter_subject("dupont"), event.to_json(), f"letter-{number}")
    await bus.publish(LETTERS.name, letter_subject("dupont"), b"{}", "letter-bad")

    async def sent() -> bool:
        return [envelope.rcpt_tos for envelope in mail_server.envelopes if b"Bienvenue" in envelope.content] == [["new@dupont.example"]]

    await eventually(sent)


@pytest.mark.feature("P-3")
@pytest.mark.feature("V-7")
async def test_another_tenants_messages_are_not_there_and_bad_requests_are_refused(bus: Bus, target: str) -> None:
    await leave(bus, "private", tenant="martin")
    async with channel(target, token(ADMIN, "martin")) as opened:
        stub = MessageServiceStub(opened)
        found: list[pb.Message] = []

        async def there() -> bool:
            found[:] = (await stub.ListMessages(pb.ListMessagesRequest())).messages
            return bool(found)

        await eventually(there)
    async with channel(target, token(ADMIN, "dupont")) as opened:
        stub = MessageServiceStub(opened)
        assert list((await stub.ListMessages(pb.ListMessagesRequest())).messages) == []
        for attempt, code in (
            (stub.GetMessage(pb.GetMessageRequest(message_id=found[0].message_id)), grpc.StatusCode.NOT_FOUND),
            (stub.GetMessage(pb.GetMessageRequest(message_id="7")), grpc.StatusCode.INVALID_ARGUMENT),
            (stub.ListMessages(pb.ListMessagesRequest(page_token="x")), grpc.StatusCode.INVALID_ARGUMENT),
            (stub.ListMessages(pb.ListMessagesRequest(page_size=-1)), grpc.StatusCode.INVALID_ARGUMENT),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await attempt
            assert refused.value.code() == code
        request = pb.FetchMessageAudioRequest(message_id=found[0].message_id)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            [part async for part in stub.FetchMessageAudio(request)]
        assert refused.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.feature("V-7")
async def test_messages_are_paged_newest_first(bus: Bus, target: str, pool: Any) -> None:
    for number in range(5):
        await leave(bus, f"page{number}")
    await eventually(lambda: pool.fetchval("select count(*) = 5 from message"))
    await pool.execute("update message set received_at = received_at + right(call_id, 1)::int * interval '1 second'")
    async with channel(target, token(ADMIN, "dupont")) as opened:
        stub, seen, request = MessageServiceStub(opened), [], pb.ListMessagesRequest(page_size=2)
        while True:
            response = await stub.ListMessages(request)
            seen += [message.call_id for message in response.messages]
            if not response.next_page_token:
                break
            request.page_token = response.next_page_token
    assert seen == ["page4", "page3", "page2", "page1", "page0"]


@pytest.mark.feature("V-1")
async def test_media_leads_a_caller_through_the_mailbox(target: str) -> None:
    call = app_pb.CallFacts(tenant_id="dupont", call_id="c1", caller_number="+41790000001", dialled="+41215550100")
    async with channel(target, token(SERVICE), "dupont") as opened:
        stub = CallApplicationStub(opened)
        outcomes = [
            app_pb.Outcome(entered=app_pb.Entered(arguments={"mailbox_id": "main"})),
            app_pb.Outcome(play=app_pb.PlayOutcome()),
            app_pb.Outcome(record=app_pb.RecordOutcome(object="sha256-00", duration_ms=4000)),
            app_pb.Outcome(play=app_pb.PlayOutcome()),
        ]
        cursor, steps = b"", []
        for outcome in outcomes:
            request = app_pb.NextRequest(call=call, cursor=cursor, outcome=outcome)
            response = await stub.Next(request)
            assert response == await stub.Next(request)
            assert response.trace
            assert response.config_seq == 2
            cursor = response.cursor
            steps.append(response.step)
        assert [step.WhichOneof("kind") for step in steps] == ["play", "record", "play", "hang_up"]
        assert steps[1].record.beep
        assert steps[1].record.max_ms == 60_000
        assert steps[1].record.labels["caller_number"] == "+41790000001"
        for wrong in (
            app_pb.NextRequest(call=call, cursor=b"{}", outcome=outcomes[0]),
            app_pb.NextRequest(call=call),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.Next(wrong)
            assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    async with channel(target, token(SERVICE), "martin") as opened:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await CallApplicationStub(opened).Next(app_pb.NextRequest(call=call, outcome=outcomes[0]))
        assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.feature("V-3")
@pytest.mark.feature("P-10")
async def test_killed_in_the_middle_it_stores_and_mails_each_message_once(
    bus: Bus, nats_url: str, postgres_dsn: str, pool: Any, tmp_path: Path
) -> None:
    await NatsObjectStore(bus, AUDIO_BUCKET).put(AUDIO, "audio/wav")
    environment = {
        **os.environ,
        "CARILLON_NATS_URL": nats_url,
        "CARILLON_POSTGRES_DSN": postgres_dsn,
        "CARILLON_TOKEN_KEY": KEY,
        "CARILLON_ACK_WAIT_SECONDS": "1",
        "CARILLON_MAIL_DEADLINE_SECONDS": "1",
        "CARILLON_MAILDIR": str(tmp_path / "mail"),
        "CARILLON_LOG_LEVEL": "ERROR",
    }
    for number in range(40):
        await leave(bus, f"kill{number}")
        await leave(bus, f"kill{number}", again="twice")

    async def until(condition: str) -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "carillon_voicemail", env=environment)
        try:
            await eventually(lambda: pool.fetchval(f"select {condition}"))
        finally:
            assert process.returncode is None, "it ended by itself"
            process.kill()
            await process.wait()

    ours = "from message join mail_job using (message_id) where call_id like 'kill%'"
    await until(f"count(*) > 3 {ours}")
    await until(f"count(*) filter (where state = 'sent') > 10 {ours}")
    await until(f"count(*) filter (where state = 'sent') = 40 {ours}")
    letters = [letter["Message-ID"] for letter in mailbox.Maildir(tmp_path / "mail", create=False)]
    assert len(letters) == len(set(letters))
    assert await pool.fetchval(f"select count(*) {ours}") == 40
    stored = {str(row["message_id"]) for row in await pool.fetch(f"select message_id {ours}")}
    assert stored <= {letter.strip("<>").split("@")[0] for letter in letters}


@pytest.mark.feature("V-7")
async def test_a_message_is_marked_deleted_and_taken_back(bus: Bus, target: str) -> None:
    await leave(bus, "marked")
    async with channel(target, token(ADMIN, "dupont")) as opened:
        stub = MessageServiceStub(opened)

        async def states(*, deleted: bool = False) -> list[str]:
            listed = await stub.ListMessages(pb.ListMessagesRequest(mailbox_id="main", show_deleted=deleted))
            return [pb.MessageState.Name(message.state).removeprefix("MESSAGE_STATE_") for message in listed.messages]

        async def there() -> bool:
            return await states() == ["NEW"]

        await eventually(there)
        message_id = (await stub.ListMessages(pb.ListMessagesRequest())).messages[0].message_id
        await stub.MarkMessage(pb.MarkMessageRequest(message_id=message_id, state=pb.MESSAGE_STATE_SAVED))
        assert await states() == ["SAVED"]
        await stub.DeleteMessage(pb.DeleteMessageRequest(message_id=message_id))
        assert await states() == []
        assert await states(deleted=True) == ["DELETED"]
        for attempt, code in (
            (pb.MarkMessageRequest(message_id=message_id, state=pb.MESSAGE_STATE_NEW), grpc.StatusCode.FAILED_PRECONDITION),
            (pb.MarkMessageRequest(message_id=message_id, state=pb.MESSAGE_STATE_DELETED), grpc.StatusCode.INVALID_ARGUMENT),
            (pb.MarkMessageRequest(message_id=message_id), grpc.StatusCode.INVALID_ARGUMENT),
            (pb.MarkMessageRequest(message_id="7", state=pb.MESSAGE_STATE_NEW), grpc.StatusCode.INVALID_ARGUMENT),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.MarkMessage(attempt)
            assert refused.value.code() == code
        for _ in range(2):
            assert (await stub.UndeleteMessage(pb.UndeleteMessageRequest(message_id=message_id))).message.state == pb.MESSAGE_STATE_HEARD
        assert await states() == ["HEARD"]
    async with channel(target, token(ADMIN, "martin")) as opened:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await MessageServiceStub(opened).DeleteMessage(pb.DeleteMessageRequest(message_id=message_id))
        assert refused.value.code() == grpc.StatusCode.NOT_FOUND
