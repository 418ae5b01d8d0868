"""Guests are invited by gRPC: each gets one e-mail with a calendar file, and a reminder when its time has come."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from types import SimpleNamespace
from typing import Any

import grpc.aio
import pytest

from carillon.voicemail.v1 import conference_invitation_pb2 as pb
from carillon.voicemail.v1.conference_invitation_pb2_grpc import (
    ConferenceInvitationServiceStub,
    add_ConferenceInvitationServiceServicer_to_server,
)
from carillon_contracts.config import ConferenceRoom, Tenant
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.auth import ADMIN, TokenVerifier, issue_token
from carillon_kit.clock import SystemClock
from carillon_kit.grpc_client import channel
from carillon_kit.grpc_server import GrpcServer
from carillon_voicemail.adapters.postgres_letters import PostgresLetters
from carillon_voicemail.adapters.smtp import Smtp, parse_smtp_url
from carillon_voicemail.domain.delivery import RetryPolicy
from carillon_voicemail.grpc_invitations import INVITATION_RIGHTS, INVITATION_SERVICE, InvitationApi
from carillon_voicemail.letters import LetterSender

pytestmark = pytest.mark.feature("M-9")
KEY = "k" * 40
SOON = datetime.now(UTC) + timedelta(days=2)


class Configured:
    def of(self, tenant: str) -> TenantConfig:
        own = Tenant(id="dupont", realm="d.example", language="en", time_zone="Europe/Zurich")
        rooms = [ConferenceRoom(id="board"), ConferenceRoom(id="old", period_to=datetime(2026, 1, 1, tzinfo=UTC))]
        return TenantConfig(tenant, 1, {"tenant": {own.id: own}, "conference_room": {room.id: room for room in rooms}})


@pytest.fixture
async def desk(pool: Any, mail_server: Any) -> AsyncIterator[Any]:
    """The service's stub, its letters, and what sends those that are due."""
    letters = PostgresLetters(pool)
    transport = Smtp(parse_smtp_url(f"smtp://127.0.0.1:{mail_server.port}?starttls=never"))
    sender = LetterSender(letters, transport, RetryPolicy(), "carillon@example.org", 10.0)
    server = GrpcServer("127.0.0.1:0", TokenVerifier(KEY))
    api = InvitationApi(Configured(), letters, sender.wake, "carillon@example.org", SystemClock())
    server.add(add_ConferenceInvitationServiceServicer_to_server, api, INVITATION_SERVICE, INVITATION_RIGHTS)
    port = await server.start()

    async def send_due() -> int:
        jobs = await letters.claim(100, timedelta(seconds=30))
        for job in jobs:
            await sender._deliver(job)
        return len(jobs)

    async with channel(f"127.0.0.1:{port}", issue_token(KEY, "olga", "dupont", [ADMIN])) as link:
        yield SimpleNamespace(stub=ConferenceInvitationServiceStub(link), send_due=send_due, pool=pool)
    await server.stop()


def request(*emails: str, **fields: Any) -> pb.InviteToConferenceRequest:
    made = pb.InviteToConferenceRequest(**{"invitation_id": "i1", "room_id": "board", "emails": emails or ("a@x.example",), **fields})
    if "starts_at" not in fields:
        made.starts_at.FromDatetime(SOON)
    return made


async def test_everybody_gets_one_letter_with_a_calendar_file_and_later_a_reminder(desk: Any, mail_server: Any) -> None:
    answer = await desk.stub.InviteToConference(request("a@x.example", "b@x.example", reminder_minutes=15))
    assert answer.invited == 2
    assert (await desk.stub.InviteToConference(request("b@x.example", "c@x.example", reminder_minutes=15))).invited == 1
    assert await desk.send_due() == 3
    assert await desk.send_due() == 0
    assert sorted(envelope.rcpt_tos[0] for envelope in mail_server.envelopes) == ["a@x.example", "b@x.example", "c@x.example"]
    letter = message_from_bytes(mail_server.envelopes[0].content, policy=default)
    (calendar,) = letter.iter_attachments()
    assert (calendar.get_content_type(), calendar.get_filename()) == ("text/calendar", "conference.ics")
    assert f"DTSTART:{SOON:%Y%m%dT%H%M%S}Z" in calendar.get_content()
    await desk.pool.execute("update letter_job set next_attempt_at = clock_timestamp() where state = 'pending'")
    assert await desk.send_due() == 3
    assert b"Reminder: board" in mail_server.envelopes[-1].content


async def test_a_reminder_is_not_too_old_for_a_mail_server_that_is_away_just_now(desk: Any, mail_server: Any) -> None:
    await desk.stub.InviteToConference(request(reminder_minutes=15))
    assert await desk.send_due() == 1
    await desk.pool.execute(
        "update letter_job set created_at = created_at - interval '30 days', due_at = clock_timestamp(),"
        " next_attempt_at = clock_timestamp() where state = 'pending'"
    )
    mail_server.answers = ["451 later"]
    assert await desk.send_due() == 1
    assert await desk.pool.fetchval("select count(*) from letter_job where state = 'pending'") == 1


async def test_what_cannot_be_is_said_by_field(desk: Any) -> None:
    async def refused(**fields: Any) -> str:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await desk.stub.InviteToConference(request(**fields))
        return f"{error.value.code().name} {error.value.details()}"

    for field, value in [
        ("invitation_id", ""),
        ("room_id", ""),
        ("starts_at", {"seconds": 1}),
        ("starts_at", {"seconds": 2**62}),
        ("duration_minutes", 2),
        ("message", "x" * 3000),
        ("participant_password", "abc"),
        ("reminder_minutes", -1),
    ]:
        assert (await refused(**{field: value})).startswith(f"INVALID_ARGUMENT {field}: ")
    assert "emails[1]: no e-mail address" in await refused(emails=["a@x.example", "a b\r\nBcc: c@d"])
    assert "NOT_FOUND" in await refused(room_id="nowhere")
    assert "not in the room's period" in await refused(room_id="old")
