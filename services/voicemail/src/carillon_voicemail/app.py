"""The voicemail service put together: configuration, recordings' consumer, e-mails, outbox, gRPC; stopped in the reverse order."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from carillon.common.v1.call_application_pb2_grpc import add_CallApplicationServicer_to_server
from carillon.directory.v1.mailbox_pb2_grpc import MailboxServiceStub
from carillon.voicemail.v1.conference_invitation_pb2_grpc import add_ConferenceInvitationServiceServicer_to_server
from carillon.voicemail.v1.voicemail_pb2_grpc import add_MessageServiceServicer_to_server
from carillon_contracts.audit import request_refused
from carillon_contracts.streams import AUDIO_BUCKET, AUDIT, CALLS, CONFIG, KEYS, LETTERS, MAILBOXES
from carillon_kit.auth import SERVICE, issue_token
from carillon_kit.bus import Bus
from carillon_kit.clock import SystemClock
from carillon_kit.dead_letters import DeadLetters
from carillon_kit.grpc_client import channel
from carillon_kit.grpc_server import GrpcServer
from carillon_kit.guarded_server import guarded_server
from carillon_kit.inbox import Inbox
from carillon_kit.lifecycle import Tasks
from carillon_kit.logs import get_logger
from carillon_kit.object_store import NatsObjectStore, ObjectStore
from carillon_kit.outbox import Outbox
from carillon_kit.postgres import migrate, open_pool
from carillon_voicemail import erasures
from carillon_voicemail.access import Access
from carillon_voicemail.adapters.conference_door import ConferenceDoor
from carillon_voicemail.adapters.greetings import Greetings
from carillon_voicemail.adapters.letters_kept import KeptLetters
from carillon_voicemail.adapters.mailbox_pins import MailboxPins, signer
from carillon_voicemail.adapters.maildir import Maildir
from carillon_voicemail.adapters.pin_tries import PinTries
from carillon_voicemail.adapters.postgres_conferences import PostgresConferences
from carillon_voicemail.adapters.postgres_invitations import PostgresInvitations
from carillon_voicemail.adapters.postgres_letters import PostgresLetters
from carillon_voicemail.adapters.postgres_mail_jobs import PostgresMailJobs
from carillon_voicemail.adapters.postgres_messages import PostgresMessages
from carillon_voicemail.adapters.smtp import Smtp, parse_smtp_url
from carillon_voicemail.conference_application import ConferenceApplication
from carillon_voicemail.grpc_api import (
    APPLICATION_RIGHTS,
    APPLICATION_SERVICE,
    MESSAGE_RIGHTS,
    MESSAGE_SERVICE,
    MessageApi,
    VoicemailApplication,
)
from carillon_voicemail.grpc_invitations import INVITATION_RIGHTS, INVITATION_SERVICE, InvitationApi
from carillon_voicemail.handlers import Postman
from carillon_voicemail.io.conference_mail import BATCH as CONFERENCE_BATCH
from carillon_voicemail.io.conference_mail import CONSUMER as CONFERENCES
from carillon_voicemail.io.conference_mail import ConferenceSubscriber, SummarySender
from carillon_voicemail.io.housekeeping import keep_small
from carillon_voicemail.io.kept_invitations import InvitationKeeper
from carillon_voicemail.io.mail_sender import MailSender
from carillon_voicemail.letters import CONSUMER as LETTER_CONSUMER
from carillon_voicemail.letters import LetterSender, LetterSubscriber
from carillon_voicemail.line_resets import CONSUMER as LINE_RESETS
from carillon_voicemail.line_resets import LineResets
from carillon_voicemail.listening_application import ListeningApplication
from carillon_voicemail.mailbox_deletions import CONSUMER as DELETIONS
from carillon_voicemail.mailbox_deletions import MailboxDeletions
from carillon_voicemail.ports import MailTransport, Wake
from carillon_voicemail.projections.configuration import Configuration
from carillon_voicemail.settings import VoicemailSettings
from carillon_voicemail.subscribers import CONSUMER, RecordingSubscriber

_log = get_logger("app")


@asynccontextmanager
async def app(settings: VoicemailSettings) -> AsyncIterator[None]:
    """The whole service; ready when entered."""
    async with serve(settings) as port:
        _log.info("listening", grpc_port=port)
        yield


@asynccontextmanager
async def serve(settings: VoicemailSettings) -> AsyncIterator[int]:
    """As `app`, yielding the gRPC port."""
    async with AsyncExitStack() as stack:
        pool = await open_pool(settings.postgres_dsn, max_size=settings.postgres_connections)
        stack.push_async_callback(pool.close)
        await migrate(pool, "carillon_voicemail.migrations")
        bus = await stack.enter_async_context(await Bus.connect(settings.nats_url, "voicemail"))
        for stream in (CONFIG, CALLS, MAILBOXES):
            await bus.ensure_stream(stream)
        objects = NatsObjectStore(bus, AUDIO_BUCKET)
        tasks = await stack.enter_async_context(Tasks())
        configuration = Configuration(bus)
        tasks.start(configuration.follow(), "configuration")
        outbox = Outbox(pool, bus)
        tasks.start(outbox.run(), "outbox")
        jobs = PostgresMailJobs(pool)
        sender = MailSender(jobs, _postman(settings, jobs, objects), outbox.wake)
        tasks.start(sender.run(), "mail")
        await configuration.caught_up(settings.catch_up_seconds)
        messages = PostgresMessages(pool, objects, wake=outbox.wake)
        tasks.start(keep_small(Inbox(pool), messages), "housekeeping")
        server = await guarded_server(settings, "voicemail", bus, tasks, keys=KEYS, audit=AUDIT, describe=request_refused)
        tries = PinTries(pool)
        conferences = ConferenceApplication(configuration, ConferenceDoor(tries), SystemClock())
        pins = MailboxPins(await _mailboxes(settings, stack), signer(settings.token_key.get_secret_value()))
        listening = ListeningApplication(configuration, messages, tries, Greetings(pool, objects), pins, SystemClock())
        kept_letters = KeptLetters(Maildir(settings.maildir) if settings.maildir is not None else None)
        messages_api = MessageApi(messages, objects, partial(kept_letters.to, pool), Access(configuration))
        _add_services(server, VoicemailApplication(configuration, conferences, listening), messages_api)
        letters = PostgresLetters(pool)
        letter_sender = LetterSender(
            letters, _transport(settings), settings.retry_policy, settings.mail_from, settings.mail_deadline_seconds
        )
        tasks.start(letter_sender.run(), "letters")
        kept = PostgresInvitations(pool)
        tasks.start(InvitationKeeper(kept, configuration, letter_sender.wake, SystemClock()).run(), "invitations")
        invitations = InvitationApi(configuration, kept, letter_sender.wake, settings.mail_from, SystemClock())
        server.add(add_ConferenceInvitationServiceServicer_to_server, invitations, INVITATION_SERVICE, INVITATION_RIGHTS)
        port = await server.start()
        stack.push_async_callback(server.stop)

        def wake() -> None:
            outbox.wake()
            sender.wake()

        dead_letters = DeadLetters(pool)
        subscriber = RecordingSubscriber(messages, configuration, dead_letters, wake)
        spec = replace(CONSUMER, ack_wait=settings.ack_wait_seconds)
        consumer = await bus.consume(spec, subscriber.handle, dead_letters, batch=1)
        stack.push_async_callback(consumer.stop)
        await _summaries(settings, pool, bus, configuration, tasks, stack, letter_sender.wake)
        await _letters(settings, pool, bus, letters, letter_sender, stack)
        resets = LineResets(pool, objects, outbox.wake)
        stack.push_async_callback((await bus.consume(LINE_RESETS, resets.handle, dead_letters, batch=1)).stop)
        stack.push_async_callback((await bus.consume(DELETIONS, MailboxDeletions(pool).handle, dead_letters, batch=1)).stop)
        stack.push_async_callback((await erasures.obey(pool, bus, objects, kept_letters, outbox.wake)).stop)
        yield port


async def _mailboxes(settings: VoicemailSettings, stack: AsyncExitStack) -> MailboxServiceStub | None:
    """Where PINs are changed; None: not from here."""
    if not settings.directory:
        return None
    token = issue_token(settings.token_key.get_secret_value(), "voicemail", None, [SERVICE])
    return MailboxServiceStub(await stack.enter_async_context(channel(settings.directory, token)))


async def _letters(
    settings: VoicemailSettings, pool: Any, bus: Bus, letters: PostgresLetters, sender: LetterSender, stack: AsyncExitStack
) -> None:
    """E-mails that other services ask for."""
    await bus.ensure_stream(LETTERS)
    dead_letters = DeadLetters(pool)
    subscriber = LetterSubscriber(letters, dead_letters, sender.wake)
    consumer = await bus.consume(replace(LETTER_CONSUMER, ack_wait=settings.ack_wait_seconds), subscriber.handle, dead_letters, batch=1)
    stack.push_async_callback(consumer.stop)


async def _summaries(
    settings: VoicemailSettings, pool: Any, bus: Bus, configuration: Configuration, tasks: Tasks, stack: AsyncExitStack, wake: Wake
) -> None:
    """Conferences' summaries by e-mail."""
    conferences = PostgresConferences(pool, timedelta(seconds=settings.conference_summary_seconds))
    sender = SummarySender(conferences, configuration, wake)
    tasks.start(sender.run(), "conference summaries")
    dead_letters = DeadLetters(pool)
    spec = replace(CONFERENCES, ack_wait=settings.ack_wait_seconds)
    consumer = await bus.consume(spec, ConferenceSubscriber(conferences, dead_letters).handle, dead_letters, batch=CONFERENCE_BATCH)
    stack.push_async_callback(consumer.stop)


def _postman(settings: VoicemailSettings, jobs: PostgresMailJobs, objects: ObjectStore) -> Postman:
    return Postman(
        jobs, objects, _transport(settings), SystemClock(), settings.retry_policy, settings.mail_from, settings.mail_deadline_seconds
    )


def _transport(settings: VoicemailSettings) -> MailTransport:
    if settings.smtp_url is not None:
        return Smtp(parse_smtp_url(settings.smtp_url.get_secret_value()))
    assert settings.maildir is not None
    return Maildir(settings.maildir)


def _add_services(server: GrpcServer, application: VoicemailApplication, messages: MessageApi) -> None:
    server.add(add_CallApplicationServicer_to_server, application, APPLICATION_SERVICE, APPLICATION_RIGHTS)
    server.add(add_MessageServiceServicer_to_server, messages, MESSAGE_SERVICE, MESSAGE_RIGHTS, checks_profiles=True)
