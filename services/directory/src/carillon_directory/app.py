"""The composition root: what the directory is made of, started in order and put down in reverse."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg

import carillon
from carillon.cdr.v1.cdr_pb2_grpc import RecordServiceStub
from carillon.media.v1.media_pb2_grpc import RegistrationServiceStub
from carillon.routing.v1.routing_pb2_grpc import RoutingServiceStub
from carillon_contracts.audit import request_refused
from carillon_contracts.config import TRUNK_PASSWORDS
from carillon_contracts.streams import AUDIT, CONFIG, ERASURES, KEYS, LETTERS
from carillon_directory import grpc_auth, grpc_csv, grpc_lines, grpc_persons, grpc_provisioning, grpc_search, grpc_tenants, io_provisioning
from carillon_directory.access import Access
from carillon_directory.adapters.administrator_news import AdministratorNews
from carillon_directory.adapters.audit_trail import AuditTrail
from carillon_directory.adapters.device_certificates import DeviceCertificates
from carillon_directory.adapters.ended_tokens import EndedTokenNews
from carillon_directory.adapters.plan_gate import RoutingGate
from carillon_directory.adapters.postgres_erasures import PostgresErasures
from carillon_directory.adapters.postgres_logins import PostgresLogins
from carillon_directory.adapters.postgres_provisioning import PostgresProvisioning
from carillon_directory.adapters.postgres_resellers import PostgresResellers
from carillon_directory.adapters.publication import ConfigPublisher
from carillon_directory.adapters.secrets_in import SecretsIn
from carillon_directory.adapters.stream_keeper import StreamKeeper
from carillon_directory.adapters.tenant_log import PostgresTenantLog
from carillon_directory.adapters.token_keys import SIGNING_KEYS, TokenKeys
from carillon_directory.authentication import SECOND_FACTORS, Authentication, Lifetimes
from carillon_directory.domain.provisioning.phone import Server
from carillon_directory.grpc_api import add_services
from carillon_directory.handlers import Directory, TenantStates
from carillon_directory.invitations import Invitations
from carillon_directory.io_erasures import CONSUMER as ERASURE_ANSWERS
from carillon_directory.io_erasures import ErasureWorker
from carillon_directory.passwords import Passwords
from carillon_directory.people import People
from carillon_directory.plan_lives import PlanLives
from carillon_directory.provisioning import PHONE_PASSWORDS, Provisioning
from carillon_directory.searching import Searches
from carillon_directory.settings import DirectorySettings
from carillon_kit import browsers, postgres
from carillon_kit.auth import SERVICE, issue_token
from carillon_kit.bus import Bus
from carillon_kit.clock import SystemClock
from carillon_kit.dead_letters import DeadLetters
from carillon_kit.event_store import PostgresEventStore
from carillon_kit.grpc_client import Channel, channel
from carillon_kit.grpc_server import GrpcServer
from carillon_kit.guarded_server import guarded_server
from carillon_kit.ids import SystemIds
from carillon_kit.lifecycle import Tasks
from carillon_kit.outbox import Outbox
from carillon_kit.relay import Relay
from carillon_kit.sealing import Sealer

MIGRATIONS = "carillon_directory.migrations"
OWN_PACKAGE = "carillon.directory.v1"


@asynccontextmanager
async def running(settings: DirectorySettings) -> AsyncIterator[int]:
    """The service, up while the context is; yields the gRPC port."""
    async with AsyncExitStack() as stack:
        pool = await postgres.open_pool(settings.postgres_dsn)
        stack.push_async_callback(pool.close)
        await postgres.migrate(pool, MIGRATIONS)
        bus = await stack.enter_async_context(await Bus.connect(settings.nats_url, "directory"))
        await bus.ensure_stream(CONFIG)
        store = PostgresEventStore(pool)
        ids = SystemIds()
        log = PostgresTenantLog(pool, store, ids)
        erasures = PostgresErasures(pool, store, log, ids)
        relay = Relay(store, pool, ConfigPublisher(bus, store, erasures.is_open, ids), name="config", batch=2000)
        tasks = await stack.enter_async_context(Tasks())
        tasks.start(relay.run(), "relay")
        tasks.start(StreamKeeper(bus, relay, pool, settings.stream_check_seconds).run(), "stream keeper")
        news = AdministratorNews(SystemClock(), ids)
        directory = Directory(log, TenantStates(log, settings.cached_tenants), settings.write_attempts, news=news)
        server = await guarded_server(
            settings, "directory", bus, tasks, keys=KEYS, audit=AUDIT, describe=request_refused, checks_profiles=True
        )
        secrets = SecretsIn(Sealer(settings.token_key.get_secret_value().encode(), TRUNK_PASSWORDS), ids)
        resellers = PostgresResellers(pool)
        grpc_csv.add_services(server, directory)
        sold = grpc_tenants.Sold(directory, resellers)
        grpc_search.add_services(server, Searches(directory, log, settings.cached_tenants), sold, log)
        trail = AuditTrail(bus, SystemClock(), ids, settings.node)
        tasks.start(trail.run(), "audit")
        worker = await _erasing(settings, pool, erasures, relay, bus, tasks, stack)
        logins = await _add_logins(settings, server, directory, log, pool, bus, tasks, stack, trail)
        lives = PlanLives(directory, _gate(settings, stack))
        stack.callback(add_services(server, directory, ids, secrets, lives, sold, logins.access, log).close)
        grpc_tenants.add_services(server, sold, logins.authentication)
        media, cdr = (_link(target, settings, stack) for target in (settings.media, settings.cdr))
        grpc_lines.add_services(server, directory, media and RegistrationServiceStub(media), cdr and RecordServiceStub(cdr))
        grpc_persons.add_services(server, directory, logins.access, erasures, worker.wake)
        await _add_provisioning(settings, server, directory, pool, stack, trail)
        port = await server.start()
        stack.push_async_callback(server.stop)
        await _serve_browsers(settings, port, stack)
        yield port


async def _erasing(
    settings: DirectorySettings,
    pool: "asyncpg.Pool[Any]",
    erasures: PostgresErasures,
    relay: Relay,
    bus: Bus,
    tasks: Tasks,
    stack: AsyncExitStack,
) -> ErasureWorker:
    """What follows when somebody is erased."""
    await bus.ensure_stream(ERASURES)
    await bus.ensure_stream(AUDIT)
    worker = ErasureWorker(pool, erasures, relay, bus, SystemClock(), settings.erasure_seconds, settings.erasure_grace_seconds)
    tasks.start(worker.run(), "erasures")
    consumer = await bus.consume(ERASURE_ANSWERS, worker.answer, DeadLetters(pool))
    stack.push_async_callback(consumer.stop)
    return worker


def _gate(settings: DirectorySettings, stack: AsyncExitStack) -> RoutingGate:
    """Who runs the tests of plans."""
    link = _link(settings.routing, settings, stack)
    return RoutingGate(link and RoutingServiceStub(link))


def _link(target: str, settings: DirectorySettings, stack: AsyncExitStack) -> Channel | None:
    """A channel to another service, by our own name; None without an address."""
    if not target:
        return None
    link = channel(target, issue_token(settings.token_key.get_secret_value(), "directory", None, [SERVICE]))
    stack.push_async_callback(link.close, None)
    return link


async def _add_logins(
    settings: DirectorySettings,
    server: GrpcServer,
    directory: Directory,
    log: PostgresTenantLog,
    pool: "asyncpg.Pool[Any]",
    bus: Bus,
    tasks: Tasks,
    stack: AsyncExitStack,
    trail: AuditTrail,
) -> grpc_auth.Logins:
    """Logins, tokens and keys."""
    ids, clock = SystemIds(), SystemClock()
    secret = settings.token_key.get_secret_value().encode()
    keys = TokenKeys(pool, bus, Sealer(secret, SIGNING_KEYS), clock, ids, settings.token_key_hours)
    await keys.refresh()
    tasks.start(keys.run(), "keys of tokens")
    await bus.ensure_stream(LETTERS)
    letters = Outbox(pool, bus)
    tasks.start(letters.run(), "letters")
    passwords = Passwords()
    stack.callback(passwords.close)
    lifetimes = Lifetimes(timedelta(seconds=settings.access_token_seconds), timedelta(days=settings.refresh_token_days))
    tasks.start(EndedTokenNews(pool, bus, ids, lifetimes.access).run(), "ended tokens")
    people, store = People(directory, log, trail), PostgresLogins(pool, log)
    sealer = Sealer(secret, SECOND_FACTORS)
    made = grpc_auth.Logins(
        Authentication(people, store, passwords, keys, sealer, clock, ids, lifetimes, letters.wake),
        Invitations(people, store, passwords, clock, ids, settings.console_url, letters.wake),
        Access(people, store, passwords, clock, ids),
    )
    grpc_auth.add_services(server, made, keys, PostgresResellers(pool))
    return made


async def _add_provisioning(
    settings: DirectorySettings,
    server: GrpcServer,
    directory: Directory,
    pool: "asyncpg.Pool[Any]",
    stack: AsyncExitStack,
    trail: AuditTrail,
) -> None:
    """Phones fetch their settings."""
    sealer = Sealer(settings.token_key.get_secret_value().encode(), PHONE_PASSWORDS)
    host, _, port = settings.provisioning_sip.rpartition(":")
    sip = Server(host.strip("[]"), int(port), settings.provisioning_transport)
    store = PostgresProvisioning(pool)
    certificates = DeviceCertificates(settings.client_authorities)
    provisioning = Provisioning(directory, store, sealer, trail, SystemClock(), SystemIds(), sip, settings.provisioning_url, certificates)
    grpc_provisioning.add_services(server, provisioning)
    if settings.provisioning_listen:
        application = io_provisioning.app(provisioning, trust_forwarded=settings.provisioning_behind_ingress)
        files = (settings.provisioning_certificate, settings.provisioning_key)
        await stack.enter_async_context(
            browsers.serving(
                application, settings.provisioning_listen, tls=files, clients=[path for _, path in settings.client_authorities]
            )
        )


async def _serve_browsers(settings: DirectorySettings, port: int, stack: AsyncExitStack) -> None:
    """Connect and gRPC-Web for the directory's own services and those of the settings' upstreams."""
    if not settings.web_listen:
        return
    host = settings.grpc_listen.rpartition(":")[0]
    targets = settings.upstreams | {OWN_PACKAGE: f"{'127.0.0.1' if host in ('0.0.0.0', '[::]') else host}:{port}"}
    channels = browsers.channels(targets.values())
    for each in channels.values():
        stack.push_async_callback(each.close, None)
    known = browsers.services_in(carillon).items()
    served = {name: (service, channels[targets[package]]) for name, service in known if (package := service.file.package) in targets}
    await stack.enter_async_context(browsers.serving(browsers.Cors(browsers.gateway(served), settings.origins), settings.web_listen))


@asynccontextmanager
async def app(settings: DirectorySettings) -> AsyncIterator[None]:
    """`running`, as the lifecycle wants it."""
    async with running(settings):
        yield
