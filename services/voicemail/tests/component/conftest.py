"""A fresh schema per module, emptied before each test; an SMTP server that is not ours."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from carillon_kit.embedded import free_port
from carillon_kit.object_store import MemoryObjectStore
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.testing import nats_server, nats_url, postgres_dsn
from carillon_voicemail.adapters.postgres_mail_jobs import PostgresMailJobs
from carillon_voicemail.adapters.postgres_messages import PostgresMessages

__all__ = ["nats_server", "nats_url", "postgres_dsn"]

Pool = asyncpg.Pool


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Any]:
    """A pool on the service's own, empty schema."""
    made = await open_pool(postgres_dsn)
    await migrate(made, "carillon_voicemail.migrations")
    await made.execute(
        "truncate message, mail_job, outbox, inbox, dead_letter, conference_tries, conference_attendance, conference_summary, letter_job,"
        " conference_invitation, line_reset, mailbox_deletion, greeting"
    )
    yield made
    await made.close()


@pytest.fixture
async def messages(pool: "Pool[Any]") -> PostgresMessages:
    """Messages in that schema."""
    return PostgresMessages(pool, MemoryObjectStore())


@pytest.fixture
async def jobs(pool: "Pool[Any]") -> PostgresMailJobs:
    """E-mail jobs in that schema."""
    return PostgresMailJobs(pool)


@dataclass
class MailServer:
    """What arrived, and what the server says to the next ones."""

    port: int
    envelopes: list[Envelope] = field(default_factory=list)
    #: Answers to DATA, used up one by one; then it takes the mail.
    answers: list[str] = field(default_factory=list)
    #: Answer to QUIT.
    farewell: str = "221 bye"
    #: Recipients that do not exist.
    unknown: set[str] = field(default_factory=set)

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        """Called by aiosmtpd for each recipient."""
        if address in self.unknown:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called by aiosmtpd at the end."""
        return self.farewell

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called by aiosmtpd for each mail."""
        if self.answers:
            return self.answers.pop(0)
        self.envelopes.append(envelope)
        return "250 taken"


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """aiosmtpd on a free port."""
    server = MailServer(free_port())
    controller = Controller(server, hostname="127.0.0.1", port=server.port)
    controller.start()
    yield server
    controller.stop()
