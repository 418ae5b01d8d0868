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
from carillon_voicemail.adapters.postgres_invitations import KEPT_FOR, PostgresInvitations
from carillon_voicemail.adapters.postgres_letters import PostgresLetters
from carillon_voicemail.adapters.smtp import Smtp, parse_smtp_url
from carillon_voicemail.domain.delivery import RetryPolicy
from carillon_voicemail.grpc_invitations import INVITATION_RIGHTS, INVITATION_SERVICE, InvitationApi
from carillon_voicemail.io.kept_invitations import InvitationKeeper
from carillon_voicemail.letters import LetterSender

pytestmark = pytest.mark.feature("M-9")
KEY = "k" * 40
SOON = datetime.now(UTC) + timedelta(days=2)


class Configured:
    def __init__(self) -> None:
        self.seq, self.gone = 1, set[str]()

    def of(self, tenant: str) -> TenantConfig:
        own = Tenant(id="dupont", realm="d.example", language="en", time_zone="Europe/Zurich")
        rooms = [ConferenceRoom(id="board"), ConferenceRoom(id="old", period_to=datetime(2026, 1, 1, tzinfo=UTC))]
        there = {room.id: room for room in rooms if room.id not in self.gone}
        return TenantConfig(tenant, self.seq, {"tenant": {own.id: own}, "conference_room": there})


@pytest.fixture
async def desk(pool: Any, mail_server: Any) -> AsyncIterator[Any]:
    """The service's stub, its letters, and what sends those that are due."""
    letters = PostgresLetters(pool)
    transport = Smtp(parse_smtp_url(f"smtp://127.0.0.1:{mail_server.port}?starttls=never"))
    sender = LetterSender(letters, transport, RetryPolicy(), "carillon@example.org", 10.0)
    server = GrpcServer("127.0.0.1:0", TokenVerifier(KEY))
    configured, kept = Configured(), PostgresInvitations(pool)
    keeper = InvitationKeeper(kept, configured, sender.wake, SystemClock())
    api = InvitationApi(configured, kept, sender.wake, "carillon@example.org", SystemClock())
    server.add(add_ConferenceInvitationServiceServicer_to_server, api, INVITATION_SERVICE, INVITATION_RIGHTS)
    port = await server.start()

    async def send_due() -> int:
        jobs = await letters.claim(100, timedelta(seconds=30))
        for job in jobs:
            await sender._deliver(job)
        return len(jobs)

    async with channel(f"127.0.0.1:{port}", issue_token(KEY, "olga", "dupont", [ADMIN])) as link:
        stub = ConferenceInvitationServiceStub(link)
        yield SimpleNamespace(stub=stub, send_due=send_due, pool=pool, configured=configured, keeper=keeper, kept=kept, port=port)
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
        ("invitation_id", "a\0b"),
        ("message", "a\0b"),
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


def calendars(mail_server: Any, since: int = 0) -> list[tuple[str, str, dict[str, str]]]:
    """Of each letter: who got it, the method beside the calendar file's type, and the file's lines."""
    found = []
    for envelope in mail_server.envelopes[since:]:
        (file,) = message_from_bytes(envelope.content, policy=default).iter_attachments()
        lines = dict(line.split(":", 1) for line in file.get_content().replace("\r\n", "\n").replace("\n ", "").splitlines())
        found.append((envelope.rcpt_tos[0], file.get_content_type() + "; " + file["content-type"].params["method"], lines))
    return sorted(found, key=lambda each: each[0])


async def test_a_conference_that_is_moved_is_told_to_all_and_one_that_is_taken_back_too(desk: Any, mail_server: Any) -> None:
    await desk.stub.InviteToConference(request("a@x.example", "b@x.example", reminder_minutes=15))
    assert await desk.send_due() == 2
    later = SOON + timedelta(hours=3)
    moved = request("a@x.example", "c@x.example", reminder_minutes=15)
    moved.starts_at.FromDatetime(later)
    answer = await desk.stub.InviteToConference(moved)
    assert (answer.invited, answer.moved) == (1, 2)
    assert await desk.send_due() == 3
    first, told = calendars(mail_server)[0], calendars(mail_server, 2)
    assert [(who, how, lines["SEQUENCE"]) for who, how, lines in told] == [
        (f"{each}@x.example", "text/calendar; REQUEST", "1") for each in ("a", "b", "c")
    ]
    assert {lines["DTSTART"] for _, _, lines in told} == {f"{later:%Y%m%dT%H%M%S}Z"}
    assert {lines["UID"] for _, _, lines in told} == {first[2]["UID"]}
    (listed,) = (await desk.stub.ListInvitations(pb.ListInvitationsRequest())).invitations
    assert (list(listed.emails), listed.starts_at.ToDatetime(tzinfo=UTC)) == ([f"{each}@x.example" for each in "abc"], later)
    assert not (await desk.stub.ListInvitations(pb.ListInvitationsRequest(room_id="old"))).invitations
    cancel = pb.CancelInvitationRequest(invitation_id="i1", message="Sorry.")
    assert (await desk.stub.CancelInvitation(cancel)).cancelled == 3
    assert (await desk.stub.CancelInvitation(cancel)).cancelled == 0
    assert await desk.send_due() == 3
    assert [(how, lines["STATUS"], lines["SEQUENCE"], lines["UID"]) for _, how, lines in calendars(mail_server, 5)] == [
        ("text/calendar; CANCEL", "CANCELLED", "2", first[2]["UID"])
    ] * 3
    assert await desk.pool.fetchval("select count(*) from letter_job where state = 'pending'") == 0, "nobody is reminded"
    assert not (await desk.stub.ListInvitations(pb.ListInvitationsRequest())).invitations
    with pytest.raises(grpc.aio.AioRpcError, match="was taken back"):
        await desk.stub.InviteToConference(moved)


async def test_invitations_to_a_room_that_is_deleted_are_taken_back(desk: Any, mail_server: Any) -> None:
    await desk.stub.InviteToConference(request("a@x.example", "b@x.example"))
    await desk.send_due()
    assert await desk.keeper.look() == 0
    desk.configured.gone, desk.configured.seq = {"board"}, 2
    assert await desk.keeper.look() == 1
    assert await desk.keeper.look() == 0
    assert await desk.send_due() == 2
    assert [(who, how) for who, how, _ in calendars(mail_server, 2)] == [
        ("a@x.example", "text/calendar; CANCEL"),
        ("b@x.example", "text/calendar; CANCEL"),
    ]
    await desk.kept.forget(SOON + timedelta(days=1))
    assert await desk.pool.fetchval("select count(*) from conference_invitation") == 1
    await desk.kept.forget(SOON + KEPT_FOR + timedelta(days=1))
    assert await desk.pool.fetchval("select count(*) from conference_invitation") == 0


async def test_another_tenant_s_invitation_is_not_there(desk: Any) -> None:
    await desk.stub.InviteToConference(request())
    async with channel(f"127.0.0.1:{desk.port}", issue_token(KEY, "eve", "other", [ADMIN])) as link:
        stranger = ConferenceInvitationServiceStub(link)
        assert not (await stranger.ListInvitations(pb.ListInvitationsRequest())).invitations
        with pytest.raises(grpc.aio.AioRpcError, match="NOT_FOUND"):
            await stranger.CancelInvitation(pb.CancelInvitationRequest(invitation_id="i1"))
