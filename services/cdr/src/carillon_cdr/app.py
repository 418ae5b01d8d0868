"""The cdr service put together: database, bus, ledger consumer, outbox, gRPC; stopped in the reverse order."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg

from carillon.cdr.v1.cdr_pb2_grpc import add_LedgerServiceServicer_to_server, add_RecordServiceServicer_to_server
from carillon_cdr import erasures
from carillon_cdr.access import Access
from carillon_cdr.adapters.postgres_decisions import PostgresDecisions
from carillon_cdr.adapters.postgres_ledger import PostgresLedger
from carillon_cdr.adapters.postgres_recordings import PostgresRecordings
from carillon_cdr.adapters.postgres_records import PostgresRecords
from carillon_cdr.domain.recordings import read_conference
from carillon_cdr.grpc_api import LEDGER_RIGHTS, LEDGER_SERVICE, RECORD_RIGHTS, RECORD_SERVICE, LedgerApi, RecordApi
from carillon_cdr.grpc_recordings import add_recording_service
from carillon_cdr.line_resets import CONSUMER as LINE_RESETS
from carillon_cdr.line_resets import DELETIONS, DEPARTMENTS, LineResets
from carillon_cdr.projections.configuration import Configuration
from carillon_cdr.recordings import CONFERENCE_CONSUMER as CONFERENCE_RECORDINGS
from carillon_cdr.recordings import CONSUMER as RECORDINGS
from carillon_cdr.recordings import RecordingSubscriber, keep_retention
from carillon_cdr.settings import CdrSettings
from carillon_cdr.subscribers import BATCH, CONSUMER, CallSubscriber
from carillon_contracts.audit import request_refused
from carillon_contracts.streams import AUDIO_BUCKET, AUDIT, CALLS, CONFERENCES, CONFIG, KEYS, RECORDS
from carillon_kit.bus import Bus
from carillon_kit.dead_letters import DeadLetters
from carillon_kit.grpc_server import GrpcServer
from carillon_kit.guarded_server import guarded_server
from carillon_kit.lifecycle import Tasks
from carillon_kit.logs import get_logger
from carillon_kit.object_store import NatsObjectStore
from carillon_kit.outbox import Outbox
from carillon_kit.postgres import migrate, open_pool

_log = get_logger("app")


@asynccontextmanager
async def app(settings: CdrSettings) -> AsyncIterator[None]:
    """The whole service; ready when entered."""
    async with serve(settings) as port:
        _log.info("listening", grpc_port=port)
        yield


@asynccontextmanager
async def serve(settings: CdrSettings) -> AsyncIterator[int]:
    """As `app`, yielding the gRPC port."""
    async with AsyncExitStack() as stack:
        pool = await open_pool(settings.postgres_dsn, max_size=settings.postgres_connections)
        stack.push_async_callback(pool.close)
        await migrate(pool, "carillon_cdr.migrations")
        bus = await stack.enter_async_context(await Bus.connect(settings.nats_url, "cdr"))
        for stream in (CONFIG, CALLS, CONFERENCES, RECORDS, AUDIT):
            await bus.ensure_stream(stream)
        outbox = Outbox(pool, bus)
        tasks = await stack.enter_async_context(Tasks())
        tasks.start(outbox.run(), "outbox")
        configuration = Configuration(bus)
        tasks.start(configuration.follow(), "configuration")
        await configuration.caught_up(settings.catch_up_seconds)
        access = Access(configuration)
        ledger = PostgresLedger(pool, settings.ledger_timeout_seconds)
        server = await guarded_server(settings, "cdr", bus, tasks, keys=KEYS, audit=AUDIT, describe=request_refused)
        _add_services(server, pool, ledger, access)
        recordings, objects = PostgresRecordings(pool, settings.ledger_timeout_seconds), NatsObjectStore(bus, AUDIO_BUCKET)
        add_recording_service(server, recordings, objects, access, outbox.wake)
        tasks.start(keep_retention(recordings, objects, settings.retention_check_seconds), "retention")
        port = await server.start()
        stack.push_async_callback(server.stop)
        dead_letters = DeadLetters(pool)
        subscriber = CallSubscriber(ledger, configuration, dead_letters, outbox.wake)
        spec = replace(CONSUMER, ack_wait=settings.ack_wait_seconds)
        consumer = await bus.consume(spec, subscriber.handle, dead_letters, batch=BATCH)
        stack.push_async_callback(consumer.stop)
        listener = RecordingSubscriber(recordings, dead_letters, settings.recording_retention_days)
        recorded = replace(RECORDINGS, ack_wait=settings.ack_wait_seconds)
        stack.push_async_callback((await bus.consume(recorded, listener.handle, dead_letters, batch=1)).stop)
        meetings = RecordingSubscriber(recordings, dead_letters, settings.recording_retention_days, CONFERENCE_RECORDINGS, read_conference)
        recorded = replace(CONFERENCE_RECORDINGS, ack_wait=settings.ack_wait_seconds)
        stack.push_async_callback((await bus.consume(recorded, meetings.handle, dead_letters, batch=1)).stop)
        for resets in (LINE_RESETS, DELETIONS, DEPARTMENTS):
            stack.push_async_callback((await bus.consume(resets, LineResets(pool).handle, dead_letters, batch=1)).stop)
        stack.push_async_callback((await erasures.obey(pool, bus, objects, outbox.wake)).stop)
        yield port


def _add_services(server: GrpcServer, pool: "asyncpg.Pool[Any]", ledger: PostgresLedger, access: Access) -> None:
    records = RecordApi(PostgresRecords(pool), ledger, PostgresDecisions(pool), access)
    server.add(add_RecordServiceServicer_to_server, records, RECORD_SERVICE, RECORD_RIGHTS, checks_profiles=True)
    server.add(add_LedgerServiceServicer_to_server, LedgerApi(ledger), LEDGER_SERVICE, LEDGER_RIGHTS)
