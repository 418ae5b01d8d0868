"""A conference's summary: one e-mail once it is over, whatever is delivered how often and in which order."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from typing import Any
from uuid import uuid4

import pytest

from carillon_contracts.config import ConfigChanged
from carillon_contracts.envelope import Event
from carillon_contracts.tenant_config import TenantConfig, evolve
from carillon_voicemail.adapters.postgres_conferences import PostgresConferences
from carillon_voicemail.adapters.postgres_letters import PostgresLetters
from carillon_voicemail.adapters.smtp import Smtp, parse_smtp_url
from carillon_voicemail.domain.conference_summary import read
from carillon_voicemail.domain.delivery import RetryPolicy
from carillon_voicemail.domain.message import Poisoned
from carillon_voicemail.io.conference_mail import SummarySender
from carillon_voicemail.letters import LetterSender

pytestmark = pytest.mark.feature("M-9")
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Configured:
    def of(self, tenant: str) -> TenantConfig:
        config = TenantConfig(tenant)
        documents: list[tuple[str, dict[str, Any]]] = [
            ("tenant", {"id": tenant, "realm": "d.example", "language": "en", "time_zone": "Europe/Zurich"}),
            ("user", {"id": "anne", "last_name": "Dumas", "email": "anne@dupont.example"}),
            ("conference_room", {"id": "board", "owner_user_id": "anne", "emails": ["board@dupont.example", "anne@dupont.example"]}),
        ]
        for seq, (kind, document) in enumerate(documents, 1):
            change = ConfigChanged(resource=kind, resource_id=document["id"], action="created", after=document, actor="t")
            config = evolve(config, seq, change)
        return config


def event(fact: str, call: str, seq: int, minute: float, **data: Any) -> bytes:
    body = {
        "joined": {
            "room_id": "board",
            "meeting_id": "m1",
            "display_name": "Board\r\nBcc: x@y",
            "party": data.get("party", "?"),
            "number": call,
        },
        "left": {"room_id": "board", "meeting_id": "m1", "result": "left"},
        "ended": {"cause": "normal_clearing", "by": "caller"},
    }[fact]
    return Event(
        id=uuid4(),
        source="carillon/media/test",
        type=f"carillon.call.{'ended' if fact == 'ended' else 'conference_' + fact}.v1",
        subject=call,
        time=START + timedelta(minutes=minute),
        data=body,
        tenantid="dupont",
        callid=call,
        seq=seq,
    ).to_json()


async def keep(conferences: PostgresConferences, *bodies: bytes) -> None:
    """One after another, as when each comes alone."""
    for body in bodies:
        await conferences.keep([fact for fact in [read(body)] if fact is not None])


@pytest.fixture
def conferences(pool: Any) -> PostgresConferences:
    return PostgresConferences(pool, timedelta())


async def send_due(conferences: PostgresConferences, port: int) -> int:
    """Summaries that are due become letters, and letters that are due are sent: how many are tried."""
    letters = PostgresLetters(conferences._pool)
    summaries = SummarySender(conferences, Configured(), lambda: None)
    while (job := await conferences.claim(timedelta(seconds=30))) is not None:
        await summaries._deliver(job)
    transport = Smtp(parse_smtp_url(f"smtp://127.0.0.1:{port}?starttls=never"))
    sender = LetterSender(letters, transport, RetryPolicy(), "carillon@example.org", 10.0)
    due = await letters.claim(10, timedelta(seconds=30))
    for letter in due:
        await sender._deliver(letter)
    return len(due)


async def test_who_came_and_left_when_is_mailed_once(conferences: PostgresConferences, mail_server: Any) -> None:
    events = [
        event("joined", "101", 5, 0, party="Anne Dumas"),
        event("joined", "102", 4, 2, party="Bob"),
        event("left", "102", 5, 32),
        event("ended", "101", 9, 33.5),
    ]
    await keep(conferences, *events[:3])
    assert await send_due(conferences, mail_server.port) == 0
    await keep(conferences, events[3])
    await keep(conferences, *events)
    assert await send_due(conferences, mail_server.port) == 1
    await keep(conferences, *events)
    assert await send_due(conferences, mail_server.port) == 0
    (mail,) = mail_server.envelopes
    assert sorted(mail.rcpt_tos) == ["anne@dupont.example", "board@dupont.example"]
    letter = message_from_bytes(mail.content, policy=default)
    assert letter["Subject"] == "Conference Board Bcc: x@y: summary"
    assert letter["Bcc"] is None
    text = letter.get_content()
    assert "Anne Dumas, 101: from 10:00:00 to 10:33:30 (0:33:30)" in text
    assert "Bob, 102: from 10:02:00 to 10:32:00 (0:30:00)" in text


async def test_who_comes_back_in_time_is_in_the_same_summary(pool: Any, mail_server: Any) -> None:
    patient = PostgresConferences(pool, timedelta(minutes=2))
    await keep(patient, event("joined", "101", 5, 0, party="Anne"), event("left", "101", 6, 1))
    assert await send_due(patient, mail_server.port) == 0
    await keep(patient, event("joined", "103", 5, 2, party="Anne"), event("left", "103", 6, 3))
    await pool.execute("update conference_summary set due_at = clock_timestamp()")
    assert await send_due(patient, mail_server.port) == 1
    assert len(mail_server.envelopes) == 1
    assert mail_server.envelopes[0].content.count(b"Anne") == 2


async def test_a_summary_that_another_worker_has_handed_over_makes_no_second_letter(conferences: PostgresConferences, pool: Any) -> None:
    await keep(conferences, event("joined", "101", 5, 0, party="Anne"), event("left", "101", 6, 1))
    slow = await conferences.claim(timedelta())
    fast = await conferences.claim(timedelta(seconds=30))
    assert slow is not None
    assert fast is not None
    for job in (fast, slow, fast):
        await SummarySender(conferences, Configured(), lambda: None)._deliver(job)
    assert await pool.fetchval("select count(*) from letter_job") == 1
    assert await conferences.claim(timedelta()) is None


async def test_a_mail_server_that_is_away_delays(conferences: PostgresConferences, mail_server: Any, pool: Any) -> None:
    mail_server.answers = ["451 later"]
    await keep(conferences, event("joined", "101", 5, 0, party="Anne"), event("left", "101", 6, 1))
    assert await send_due(conferences, mail_server.port) == 1
    assert not mail_server.envelopes
    await pool.execute("update letter_job set next_attempt_at = clock_timestamp()")
    assert await send_due(conferences, mail_server.port) == 1
    assert len(mail_server.envelopes) == 1


def test_what_is_no_event_of_a_conference() -> None:
    assert read(event("joined", "1", 1, 0).replace(b"conference_joined", b"leg_ringing")) is None
    with pytest.raises(Poisoned):
        read(b"{}")
    with pytest.raises(Poisoned):
        read(event("joined", "1", 1, 0).replace(b'"meeting_id"', b'"meeting"'))
