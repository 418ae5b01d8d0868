"""The media service put together. Doors open last: calls are taken when the configuration is read, the plane is there, and what the
process before left open is ended in the journal. Stopped in the reverse order."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc.aio

from carillon.cdr.v1.cdr_pb2_grpc import LedgerServiceStub
from carillon.common.v1.call_application_pb2_grpc import CallApplicationStub
from carillon.media.v1.call_control_pb2_grpc import add_CallControlServiceServicer_to_server
from carillon.media.v1.media_pb2_grpc import (
    add_LiveCallServiceServicer_to_server,
    add_RegistrationServiceServicer_to_server,
    add_TrunkStateServiceServicer_to_server,
)
from carillon.media.v1.node_pb2_grpc import add_NodeServiceServicer_to_server
from carillon.media.v1.security_pb2_grpc import add_SecurityServiceServicer_to_server
from carillon_contracts.audit import request_refused
from carillon_contracts.config import ConfigChanged
from carillon_contracts.envelope import EventData
from carillon_contracts.streams import (
    AUDIO_BUCKET,
    AUDIT,
    CALLS,
    CONFERENCES,
    CONFIG,
    KEYS,
    MAILBOXES,
    NODES,
    REGISTRATIONS,
    audit_subject,
    conference_subject,
)
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.auth import SERVICE, issue_token
from carillon_kit.bus import Bus
from carillon_kit.clock import SystemClock
from carillon_kit.grpc_client import channel
from carillon_kit.grpc_server import GrpcServer
from carillon_kit.guarded_server import guarded_server
from carillon_kit.lifecycle import Tasks, ask_to_end
from carillon_kit.logs import get_logger
from carillon_kit.object_store import NatsObjectStore, ObjectStore
from carillon_media import erasures, grpc_api, grpc_audio, grpc_conference, grpc_control, grpc_node, grpc_trunks
from carillon_media.adapters.announcer import BusAnnouncer
from carillon_media.adapters.applications import GrpcApplications, LocalApplications
from carillon_media.adapters.ban_file import BanFile
from carillon_media.adapters.boot import boot_id
from carillon_media.adapters.call_log import JournalledCallLog
from carillon_media.adapters.database import Database
from carillon_media.adapters.dns import Dns
from carillon_media.adapters.guarded_plane import guarded
from carillon_media.adapters.heartbeat import Heartbeat
from carillon_media.adapters.journal import CallKey, Journal, JournalRecord
from carillon_media.adapters.object_cache import ObjectCache
from carillon_media.adapters.pooled_ids import PooledIds
from carillon_media.adapters.postgres_devices import NoDevices, PostgresDevices
from carillon_media.adapters.postgres_nodes import PostgresNodes
from carillon_media.adapters.prompt_files import PromptFiles
from carillon_media.adapters.prompt_sets import PromptSets
from carillon_media.adapters.prompts import PromptStore
from carillon_media.adapters.publisher import Confirm, EndedCall, Publisher, confirm_by_grpc
from carillon_media.adapters.resolver import TrunkResolver
from carillon_media.adapters.room_spool import RoomSpool
from carillon_media.adapters.spool import FileSpool
from carillon_media.adapters.tenant_sounds import TenantSounds
from carillon_media.adapters.watcher_file import WatcherFile
from carillon_media.domain.accounts import Accounts
from carillon_media.domain.addresses import Addresses, Reach, networks
from carillon_media.domain.facts import Limits
from carillon_media.domain.guard import Guard
from carillon_media.domain.limits import GuardSettings
from carillon_media.domain.media_sources import MediaSources, edges
from carillon_media.handlers.actor import CallActor
from carillon_media.handlers.admission import Admission
from carillon_media.handlers.between_phones import BetweenPhones
from carillon_media.handlers.cluster import Cluster
from carillon_media.handlers.control import CallControl
from carillon_media.handlers.crossing import Crossing
from carillon_media.handlers.device_uris import DeviceGruus
from carillon_media.handlers.doorkeeper import Doorkeeper
from carillon_media.handlers.draining import Draining
from carillon_media.handlers.elsewhere import Elsewhere
from carillon_media.handlers.feature_control import FeatureControl
from carillon_media.handlers.gate import Gate, WatchedDevices
from carillon_media.handlers.quiet import QuietLog
from carillon_media.handlers.reach import Reachability
from carillon_media.handlers.recovery import Found, Recovery
from carillon_media.handlers.registrar import Device, DeviceStore, Registrar
from carillon_media.handlers.resumption import Resumption
from carillon_media.handlers.resync import Resync
from carillon_media.handlers.room_tapes import RoomTapes
from carillon_media.handlers.silence import SilenceWatch
from carillon_media.handlers.snapshots import Snapshots
from carillon_media.handlers.studio import APPLICATION as STUDIO
from carillon_media.handlers.studio import Studio
from carillon_media.handlers.switchboard import Switchboard
from carillon_media.handlers.topics import PACKAGES
from carillon_media.handlers.trunks import Trunks
from carillon_media.handlers.watching import ToldDevices, Watching
from carillon_media.io.connections import ConnectionLimits
from carillon_media.io.lag import LoopLag
from carillon_media.io.sip_transport import Callbacks, Listen, SipStack
from carillon_media.io.tls import Certificates, TlsFiles
from carillon_media.ports import Applications, Parts
from carillon_media.projections.configuration import Configuration, phrases
from carillon_media.projections.mailboxes import MailboxCounts
from carillon_media.settings import MediaSettings
from carillon_rtp.client import PlaneClient
from carillon_sip.commands import CORE_METHODS, UserAgentSettings
from carillon_sip.digest import Authenticator

_log = get_logger("app")
EXPIRY_SECONDS = 2.0
SILENCE_CHECK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Running:
    """A running service, for tests and for whoever embeds it."""

    sip: Mapping[str, tuple[str, int]]
    grpc_port: int
    board: Switchboard
    registrar: Registrar
    publisher: Publisher
    gate: Gate
    draining: Draining
    trunks: Trunks
    cluster: Cluster
    watching: Watching
    elsewhere: Elsewhere


@asynccontextmanager
async def app(settings: MediaSettings) -> AsyncIterator[None]:
    """The whole service on real parts; ready when entered."""
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(await Bus.connect(settings.nats_url, "media"))
        running = await stack.enter_async_context(serve(settings, bus, NatsObjectStore(bus, AUDIO_BUCKET)))
        _log.info("listening", grpc_port=running.grpc_port, sip={name: f"{a[0]}:{a[1]}" for name, a in running.sip.items()})
        yield


@asynccontextmanager
async def serve(settings: MediaSettings, bus: Bus, objects: ObjectStore) -> AsyncIterator[Running]:
    """As `app`, on the given bus and object store."""
    async with AsyncExitStack() as stack:
        for stream in (CONFIG, CALLS, CONFERENCES, REGISTRATIONS, MAILBOXES, AUDIT, NODES):
            await bus.ensure_stream(stream)
        opened = await _open(settings, stack)
        tasks = await stack.enter_async_context(Tasks())
        clock, ids = SystemClock(), PooledIds()
        accounts = Accounts()
        configuration = Configuration(bus, accounts)
        tasks.start(configuration.follow(), "configuration")
        mailboxes = MailboxCounts(bus)
        tasks.start(mailboxes.follow(), "mailboxes")
        publisher = Publisher(opened.journal, bus, opened.confirm, clock)
        log, spool, found = await _recover(settings, opened, publisher, FileSpool(settings.data / "spool", objects), tasks, ids)
        stack.push_async_callback(publisher.drain, 2.0)
        announcer = BusAnnouncer(bus, ids, settings.node)
        tasks.start(announcer.run(), "registration events")
        auditor = BusAnnouncer(bus, ids, settings.node, AUDIT.name)
        tasks.start(auditor.run(), "audit events")
        cache = ObjectCache(settings.data / "audio", objects, max_bytes=settings.audio_cache_bytes)
        sounds = TenantSounds(accounts.config, cache, settings.data / "prompts" / "offsets")
        studio, voices = Studio(), PromptSets(settings.prompt_sets or settings.data / "prompt-sets")
        tasks.start(voices.follow(), "prompt sets")
        applications = LocalApplications(opened.applications, {STUDIO: studio})

        async def recorded(name: str) -> Path | None:
            """What a call has recorded: on this disk, or in the object store."""
            cache.adopt(name, spool.path_of(name))
            return await cache.get(name)

        node = _assemble(settings, opened, accounts, mailboxes, log, spool, announcer, auditor, ids, sounds, applications, recorded, voices)
        tapes = _conferences(settings, node.board, opened.plane, spool, bus, ids, tasks)
        _run(node, tasks, opened.plane, settings)
        elsewhere = _share_calls(node, bus, accounts, settings, ids)
        if node.database is not None:
            tasks.start(node.database.run(), "database")
            if not await _wait_for_devices(node.database, settings.registrations_seconds):
                node.trunks.may_register(settings.registers_trunks)
        await configuration.caught_up(settings.catch_up_seconds)
        await mailboxes.caught_up(settings.catch_up_seconds)
        tasks.start(_warm(configuration, node.prompts, sounds), "prompts")
        server = await guarded_server(settings, "media", bus, tasks, keys=KEYS, audit=AUDIT, describe=request_refused)
        _add_services(server, settings, node, accounts, elsewhere)
        grpc_conference.add_conference_service(server, node.board.rooms)
        grpc_audio.add_audio_service(server, node.control, studio, recorded, objects, await _directory(settings, stack))
        port = await server.start()
        stack.push_async_callback(server.stop, 0.5)
        resumption = Resumption(node.board, found)
        resumption.take_up()
        node.between.watching.take_up()
        await node.sip.start(Listen(settings.udp_addresses, settings.tcp_addresses, settings.tls_addresses))
        stack.push_async_callback(node.sip.stop)
        stack.push_async_callback(_close, node, settings, server)
        node.listening(settings.advertise)
        # In the turn in which the doors open: who waited for this process is not refused by it.
        node.admission.closed = node.registrar.closed = False
        tasks.start(elsewhere.run(), "calls of other nodes")
        tasks.start(_plane_events(opened.plane, node.board), "media plane")
        await tapes.take_up()
        await resumption.go_on()
        tasks.start(tapes.finish_left(), "recordings of rooms")
        tasks.start(node.between.watching.tell_again(), "watchers of before")
        resync = Resync(accounts, node.sip, node.registrar.devices_of)

        def configured(config: TenantConfig, changes: Sequence[ConfigChanged]) -> None:
            resync.changed(config, changes)
            node.gate.configured(changes)
            node.between.watching.configured(config, changes)

        configuration.on_change = configured
        tasks.start(resync.run(), "check-sync")
        tasks.start(node.trunks.run(), "trunks")
        await stack.enter_async_context(erasures.obeying(bus, settings.postgres_dsn))
        yield Running(
            node.sip.bound,
            port,
            node.board,
            node.registrar,
            publisher,
            node.gate,
            node.draining,
            node.trunks,
            node.cluster,
            node.between.watching,
            elsewhere,
        )


def _conferences(
    settings: MediaSettings, board: Switchboard, plane: PlaneClient, spool: FileSpool, bus: Bus, ids: PooledIds, tasks: Tasks
) -> RoomTapes:
    """What happens in rooms is told, and recorded where that is wanted."""
    announcer, clock = BusAnnouncer(bus, ids, settings.node, CONFERENCES.name), SystemClock()
    tasks.start(announcer.run(), "conference events")

    def announce(tenant: str, meeting_id: str, fact: str, event: EventData) -> None:
        announcer.announce(tenant, conference_subject(tenant, meeting_id, fact), event, clock.now())

    board.rooms.announce = announce
    board.rooms.tapes = RoomTapes(plane, RoomSpool(settings.data / "spool" / "rooms", spool.take), announce)
    return board.rooms.tapes


@dataclass(frozen=True, slots=True)
class _Opened:
    """What is closed only after every task that uses it has ended."""

    journal: Journal
    records: Sequence[JournalRecord]
    died_at: datetime | None
    confirm: Confirm
    applications: GrpcApplications
    plane: PlaneClient


async def _open(settings: MediaSettings, stack: AsyncExitStack) -> _Opened:
    died_at = Heartbeat(settings.data / "alive").last()
    journal, records = await asyncio.to_thread(Journal.open, settings.data / "journal")
    stack.push_async_callback(journal.close)
    token = issue_token(settings.token_key.get_secret_value(), f"media/{settings.node}", None, [SERVICE])
    confirm = await _confirm(settings, token, stack)
    applications = await _applications(settings, token, stack)
    plane = await PlaneClient.connect(settings.plane_socket, within=settings.plane_seconds)
    stack.push_async_callback(plane.disconnect)
    return _Opened(journal, records, died_at, confirm, applications, plane)


async def _recover(
    settings: MediaSettings, opened: _Opened, publisher: Publisher, spool: FileSpool, tasks: Tasks, ids: PooledIds
) -> tuple[JournalledCallLog, FileSpool, Found]:
    """End in the journal what the process before left open and cannot be taken up; then publish, upload and beat."""
    publisher.recover(opened.records)
    tasks.start(publisher.run(), "publisher")
    log = JournalledCallLog(opened.journal, publisher)
    recovery = Recovery(
        log, spool, SystemClock(), ids, settings.node, _snapshots(settings), boot=boot_id(), resume_seconds=settings.resume_seconds
    )
    found = await recovery.run(opened.records, list(spool.leftovers()), opened.died_at)
    if found.cut or found.open:
        _log.warning("the process before had calls", taken_up=len(found.open), ended=found.cut)
    tasks.start(Heartbeat(settings.data / "alive").run(), "heartbeat")
    tasks.start(spool.upload_for_ever(), "recordings")
    return log, spool, found


def _snapshots(settings: MediaSettings) -> Snapshots:
    return Snapshots(settings.token_key.get_secret_value().encode())


@dataclass(frozen=True, slots=True)
class _Node:
    """The parts of signalling, wired to each other."""

    sip: SipStack
    board: Switchboard
    admission: Admission
    registrar: Registrar
    database: Database | None
    resolver: TrunkResolver
    prompts: PromptStore
    lag: LoopLag
    gate: Gate
    addresses: Addresses
    draining: Draining
    certificates: Certificates
    trunks: Trunks
    control: CallControl
    between: BetweenPhones
    cluster: Cluster
    watchers: WatcherFile
    reach: Reachability

    def listening(self, advertise: str) -> None:
        """Doors are open: what they are called is not sent to."""
        own = {address for addresses in self.sip.listening.values() for address in addresses}
        hosts = [host.strip().strip("[]") for host in advertise.split(",") if host.strip()]
        self.addresses.listening_at(own | {(host, port) for _, port in own for host in hosts})


def _assemble(
    settings: MediaSettings,
    opened: _Opened,
    accounts: Accounts,
    mailboxes: MailboxCounts,
    log: JournalledCallLog,
    spool: FileSpool,
    announcer: BusAnnouncer,
    auditor: BusAnnouncer,
    ids: PooledIds,
    sounds: TenantSounds,
    applications: Applications,
    recorded: Callable[[str], Awaitable[Path | None]],
    voices: PromptSets,
) -> _Node:
    clock, lag, store = SystemClock(), LoopLag(), PromptStore(settings.data / "prompts", recorded=voices)
    key = hashlib.sha256(b"sip nonces" + settings.token_key.get_secret_value().encode()).digest()
    addresses = Addresses(Reach(settings.loopback, settings.refused))
    gate = _gate(settings, accounts, addresses, lambda ip: reach.trunks_at(ip) or ("a node",) * cluster.is_peers_host(ip), auditor)
    doorkeeper = Doorkeeper(accounts, Authenticator(key), clock, gate, settings.sha256_agents)
    certificates = Certificates(
        TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca, settings.tls_ca, settings.tls_verify)
    )
    sip = SipStack(
        UserAgentSettings(
            contact_user="carillon",
            methods=(*CORE_METHODS, "PRACK", "UPDATE", "REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE"),
            extensions=("100rel", "replaces", "norefersub", "timer"),
            event_packages=PACKAGES,
            max_subscription_seconds=settings.max_subscription_seconds,
            max_subscriptions=settings.max_subscriptions,
            max_stream_flows=settings.max_connections,
        ),
        lambda: ids.token(10),
        clock,
        advertise=settings.advertise,
        certificates=certificates,
        limits=ConnectionLimits(
            total=settings.max_connections,
            per_source=settings.max_connections_per_source,
            first_seconds=settings.message_seconds,
            message_seconds=settings.message_seconds,
            idle_seconds=settings.idle_seconds,
        ),
    )
    secret = settings.token_key.get_secret_value().encode()
    cluster = Cluster(secret, sip.local)
    sip.pass_on(cluster.pass_on)

    def load(stored: Iterable[Device]) -> None:
        found = tuple(stored)
        gate.registered(device for device in found if not device.node)
        registrar.load(found)

    devices = _devices(settings, clock, load, lambda changes: registrar.elsewhere(changes), lambda lost: registrar.lost(lost))
    told = ToldDevices(WatchedDevices(devices, gate), lambda changed: between.watching.devices_changed(changed))
    gruus = DeviceGruus(secret, accounts, lambda sip_user: registrar.devices_of(sip_user))
    registrar = Registrar(accounts, doorkeeper, sip, told, announcer, clock, ids, gruus=gruus)
    registrar.heard_elsewhere = lambda changed: between.watching.devices_changed(changed)
    resolver = TrunkResolver(accounts.trunk_destinations, Dns(settings.name_servers), settings.families)
    reach = Reachability(accounts, lambda: registrar, lambda: trunks, resolver, sip.local, cluster)
    trunks = Trunks.made_of(accounts, secret, sip, reach.flows_to, announcer, clock, registers=settings.registers_trunks)
    database = None
    if isinstance(devices, PostgresDevices):
        leases = {}
        if settings.trunk_registrations is None:
            leases["trunk registrations"] = trunks.may_register
            trunks.may_register(False)
        nodes = PostgresNodes(settings.node, clock, sip.reached_by_nodes, cluster, leases)
        database = Database(settings.postgres_dsn, [devices, nodes])
    parts = Parts(
        sip=sip,
        plane=guarded(opened.plane, addresses, settings.media_ports, cluster.is_peers_host),
        applications=applications,
        log=log,
        prompts=PromptFiles(store, settings.data / "prompts", sounds, settings.hold_music, recorded),
        spool=spool,
        directory=reach,
        trunks=trunks,
        clock=clock,
        ids=ids,
        node=settings.node,
        quiet=QuietLog(_log, clock),
        srtp=settings.srtp,
        sources=MediaSources(networks(settings.media_networks), edges(settings.never_banned, cluster.is_peers_host)),
        comfort_noise=settings.comfort_noise,
        snapshots=_snapshots(settings),
        boot=boot_id(),
    )
    limits = Limits(max_call_seconds=settings.max_call_hours * 3600, tone_seconds=settings.tone_seconds)
    board = Switchboard(parts, limits, settings.max_calls)
    reach.calls = board.calls
    board.features.audit = lambda tenant, event: auditor.announce(tenant, audit_subject(tenant, event.fact()), event, clock.now())
    control = CallControl(board, accounts, lambda: admission.closed or admission.draining)
    admission = Admission(accounts, doorkeeper, reach, trunks, board, sip, clock, ids, settings.node, lag, gruus)
    watchers = WatcherFile(settings.data / "subscriptions.jsonl")
    between = BetweenPhones(accounts, doorkeeper, sip, board, registrar, trunks, reach, mailboxes, ids, watchers, clock)
    mailboxes.on_change = between.watching.mailbox_changed
    sip.callbacks = Callbacks(
        admission.invited,
        between.requested,
        board.session_output,
        lambda flow: registrar.uses(flow) or board.uses(flow),
        registrar.flow_lost,
        between.responded,
        between.watching.heard,
    )
    sip.gate = gate
    draining = Draining(admission, registrar, board)
    parts_of_node = (sip, board, admission, registrar, database, resolver, store, lag, gate, addresses, draining, certificates, trunks)
    return _Node(*parts_of_node, control, between, cluster, watchers, reach)


def _share_calls(node: _Node, bus: Bus, accounts: Accounts, settings: MediaSettings, ids: PooledIds) -> Elsewhere:
    """The nodes know of each other's calls."""
    board, cluster, watching = node.board, node.cluster, node.between.watching
    elsewhere = Elsewhere(bus, settings.node, board.calls, cluster, ids)
    elsewhere.dialogs, elsewhere.watched = watching.documents.of_call, watching.elsewhere_changed
    watching.documents.elsewhere = elsewhere.dialogs_of
    node.reach.elsewhere = lambda tenant: (call for _, call in elsewhere.of(tenant))
    cluster.on_seen = elsewhere.seen
    cluster.way = Crossing(elsewhere, accounts, cluster, board.calls, node.registrar.devices_of).way

    def changed(actor: CallActor) -> None:
        watching.changed(actor)
        elsewhere.changed(actor)

    board.changed = changed
    return elsewhere


def _gate(
    settings: MediaSettings, accounts: Accounts, addresses: Addresses, trunks_at: Callable[[str], Sequence[object]], auditor: BusAnnouncer
) -> Gate:
    limits = GuardSettings(source_burst=settings.source_burst, source_rate=settings.source_rate, failures=settings.ban_failures)

    def tenant_of(account: str) -> str | None:
        credential = accounts.credential(account)
        return credential.tenant if credential is not None else None

    return Gate(Guard(limits), addresses, trunks_at, tenant_of, auditor, SystemClock(), settings.never_banned)


def _run(node: _Node, tasks: Tasks, plane: PlaneClient, settings: MediaSettings) -> None:
    tasks.start(node.resolver.run(), "resolver")
    tasks.start(_expire(node.registrar, node.gate), "expiry")
    bans = BanFile(settings.data / "bans.json", node.gate)
    bans.load()
    node.watchers.load()
    tasks.start(bans.run(), "bans")
    tasks.start(node.watchers.run(), "subscriptions")
    tasks.start(node.lag.run(), "lag")
    tasks.start(node.between.watching.run(), "watchers")
    tasks.start(node.certificates.watch(settings.tls_reload_seconds), "certificates")
    if settings.silence_seconds:
        tasks.start(_watch(SilenceWatch(node.board, plane, SystemClock(), settings.silence_seconds)), "silence")


def _add_services(server: GrpcServer, settings: MediaSettings, node: _Node, accounts: Accounts, elsewhere: Elsewhere) -> None:
    calls, registrations = grpc_api.LiveCallApi(node.board), grpc_api.RegistrationApi(node.registrar, node.between.watching, settings.node)
    server.add(add_LiveCallServiceServicer_to_server, calls, grpc_api.LIVE_CALLS, grpc_api.LIVE_CALL_RIGHTS)
    server.add(add_RegistrationServiceServicer_to_server, registrations, grpc_api.REGISTRATIONS, grpc_api.REGISTRATION_RIGHTS)
    control = grpc_control.CallControlApi(node.control, FeatureControl(node.control, elsewhere.of), node.board.taps)
    server.add(add_CallControlServiceServicer_to_server, control, grpc_control.CALL_CONTROL, grpc_control.CALL_CONTROL_RIGHTS)
    trunks = grpc_trunks.TrunkStateApi(node.trunks, SystemClock())
    server.add(add_TrunkStateServiceServicer_to_server, trunks, grpc_trunks.TRUNK_STATES, grpc_trunks.TRUNK_STATE_RIGHTS)
    security, itself = (
        grpc_node.SecurityApi(node.gate, SystemClock(), accounts.config),
        grpc_node.NodeApi(settings.node, node.draining, ask_to_end),
    )
    server.add(add_SecurityServiceServicer_to_server, security, grpc_node.SECURITY, grpc_node.SECURITY_RIGHTS)
    server.add(add_NodeServiceServicer_to_server, itself, grpc_node.NODE, grpc_node.NODE_RIGHTS)


async def _close(node: _Node, settings: MediaSettings, server: GrpcServer) -> None:
    """Take no new calls, let those that are up go on for a while, then end them."""
    node.draining.drain()
    await server.withdraw()
    if node.draining.calls:
        _log.info("draining", calls=node.draining.calls, seconds=settings.drain_seconds)
    await node.draining.wait(settings.drain_seconds)
    node.between.close()
    await node.sip.subscriptions_over(within=1.0)
    await node.board.stop(within=3.0)


async def _applications(settings: MediaSettings, token: str, stack: AsyncExitStack) -> GrpcApplications:
    stubs: dict[str, Any] = {}
    for name, target in settings.applications.items():
        link = channel(target, token)
        stack.push_async_callback(link.close, None)
        stubs[name] = CallApplicationStub(link)
    return GrpcApplications(stubs)


async def _confirm(settings: MediaSettings, token: str, stack: AsyncExitStack) -> Confirm:
    if not settings.cdr:
        return _never
    link = channel(settings.cdr, token)
    stack.push_async_callback(link.close, None)
    stub: Any = LedgerServiceStub(link)
    return confirm_by_grpc(stub)


async def _directory(settings: MediaSettings, stack: AsyncExitStack) -> grpc.aio.Channel | None:
    """Without a token of ours: it is asked in the names of those who ask us."""
    if not settings.directory:
        return None
    link = grpc.aio.insecure_channel(settings.directory)
    stack.push_async_callback(link.close, None)
    return link


async def _never(calls: Sequence[EndedCall]) -> Collection[CallKey]:
    return ()


def _devices(
    settings: MediaSettings,
    clock: SystemClock,
    loaded: Callable[[Iterable[Device]], None],
    elsewhere: Callable[[Iterable[tuple[Device, bool]]], None],
    lost: Callable[[Iterable[Device]], None],
) -> DeviceStore:
    return PostgresDevices(settings.node, clock, loaded, elsewhere, lost) if settings.postgres_dsn else NoDevices()


async def _wait_for_devices(database: Database, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await database.ready.wait()
    except TimeoutError:
        _log.warning("stored registrations are not there yet: phones that do not register again cannot be called")
        return False
    return True


async def _plane_events(plane: PlaneClient, board: Switchboard) -> None:
    async for event in plane.events():
        board.plane_event(event)


async def _expire(registrar: Registrar, gate: Gate) -> None:
    while True:
        await asyncio.sleep(EXPIRY_SECONDS)
        registrar.expire()
        gate.expire()


async def _watch(watch: SilenceWatch) -> None:
    while True:
        await asyncio.sleep(SILENCE_CHECK_SECONDS)
        await watch.look()


async def _warm(configuration: Configuration, store: PromptStore, sounds: TenantSounds) -> None:
    """Render and fetch what the configuration names before a caller waits for it."""
    while True:
        for config, before in await configuration.changed():
            await store.warm(phrases(config, before))
            await sounds.warm(config)
            await asyncio.sleep(0)
