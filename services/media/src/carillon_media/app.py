"""The media service put together. Doors open last: calls are taken when the configuration is read, the plane is there, and what the
process before left open is ended in the journal. Stopped in the reverse order."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

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
    conference_subject,
)
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit import telemetry
from carillon_kit.bus import Bus
from carillon_kit.clock import SystemClock
from carillon_kit.grpc_server import GrpcServer
from carillon_kit.guarded_server import guarded_server
from carillon_kit.lifecycle import Tasks, ask_to_end
from carillon_kit.logs import get_logger
from carillon_kit.object_store import NatsObjectStore, ObjectStore
from carillon_media import erasures, grpc_api, grpc_audio, grpc_conference, grpc_control, grpc_node, grpc_trunks
from carillon_media.adapters.announcer import BusAnnouncer
from carillon_media.adapters.applications import LocalApplications
from carillon_media.adapters.database import Database
from carillon_media.adapters.object_cache import ObjectCache
from carillon_media.adapters.plane_metrics import PlaneMetrics
from carillon_media.adapters.pooled_ids import PooledIds
from carillon_media.adapters.prompt_sets import PromptSets
from carillon_media.adapters.prompts import PromptStore
from carillon_media.adapters.publisher import Publisher
from carillon_media.adapters.room_spool import RoomSpool
from carillon_media.adapters.spool import FileSpool
from carillon_media.adapters.tenant_sounds import TenantSounds
from carillon_media.domain.accounts import Accounts
from carillon_media.grpc_access import LiveAccess
from carillon_media.grpc_any_node import CallControlAnywhere, LiveCallsAnywhere, OtherNodes, RegistrationsAnywhere, reached_at
from carillon_media.handlers.cluster import Cluster
from carillon_media.handlers.draining import Draining
from carillon_media.handlers.elsewhere import Elsewhere
from carillon_media.handlers.feature_control import FeatureControl
from carillon_media.handlers.gate import Gate
from carillon_media.handlers.registrar import Registrar
from carillon_media.handlers.resumption import Resumption
from carillon_media.handlers.resync import Resync
from carillon_media.handlers.room_tapes import RoomTapes
from carillon_media.handlers.studio import APPLICATION as STUDIO
from carillon_media.handlers.studio import Studio
from carillon_media.handlers.switchboard import Switchboard
from carillon_media.handlers.trunks import Trunks
from carillon_media.handlers.watching import Watching
from carillon_media.io.sip_transport import Listen
from carillon_media.node import Node, assemble, share_calls, start_tasks
from carillon_media.opening import directory_channel, open_all, recover
from carillon_media.projections.configuration import Configuration, phrases
from carillon_media.projections.mailboxes import MailboxCounts
from carillon_media.settings import MediaSettings
from carillon_rtp.client import PlaneClient

_log = get_logger("app")


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
        opened = await open_all(settings, stack)
        tasks = await stack.enter_async_context(Tasks())
        clock, ids = SystemClock(), PooledIds()
        accounts = Accounts()
        configuration = Configuration(bus, accounts)
        tasks.start(configuration.follow(), "configuration")
        mailboxes = MailboxCounts(bus)
        tasks.start(mailboxes.follow(), "mailboxes")
        publisher = Publisher(opened.journal, bus, opened.confirm, clock)
        log, spool, found = await recover(settings, opened, publisher, FileSpool(settings.data / "spool", objects), tasks, ids)
        stack.push_async_callback(publisher.drain, 2.0)
        announcer = BusAnnouncer(bus, ids, settings.node)
        tasks.start(announcer.run(), "registration events")
        auditor = BusAnnouncer(bus, ids, settings.node, AUDIT.name)
        tasks.start(auditor.run(), "audit events")
        cache = ObjectCache(settings.data / "audio", objects, max_bytes=settings.audio_cache_bytes)
        # Messages among it: a file stays while it is heard, and goes when the next one comes.
        heard = ObjectCache(settings.data / "heard", objects, max_bytes=0)
        sounds = TenantSounds(accounts.config, cache, settings.data / "prompts" / "offsets")
        studio, voices = Studio(), PromptSets(settings.prompt_sets or settings.data / "prompt-sets")
        tasks.start(voices.follow(), "prompt sets")
        applications = LocalApplications(opened.applications, {STUDIO: studio})

        async def recorded(name: str) -> Path | None:
            """What a call has recorded: on this disk, or in the object store."""
            heard.adopt(name, spool.path_of(name))
            return await heard.get(name)

        node = assemble(settings, opened, accounts, mailboxes, log, spool, announcer, auditor, ids, sounds, applications, recorded, voices)
        tapes = _conferences(settings, node.board, opened.plane, spool, bus, ids, tasks)
        start_tasks(node, tasks, opened.plane, settings)
        elsewhere = share_calls(node, bus, accounts, settings, ids)
        if node.database is not None:
            tasks.start(node.database.run(), "database")
            if not await _wait_for_devices(node.database, settings.registrations_seconds):
                node.trunks.may_register(settings.registers_trunks)
        await configuration.caught_up(settings.catch_up_seconds)
        await mailboxes.caught_up(settings.catch_up_seconds)
        tasks.start(_warm(configuration, node.prompts, sounds), "prompts")
        server = await guarded_server(settings, "media", bus, tasks, keys=KEYS, audit=AUDIT, describe=request_refused)
        stack.push_async_callback(_add_services(server, settings, node, opened.plane, accounts, elsewhere).close)
        grpc_conference.add_conference_service(server, node.board.rooms)
        grpc_audio.add_audio_service(server, node.control, studio, recorded, objects, await directory_channel(settings, stack))
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
        elsewhere.api = reached_at(settings.grpc_listen, port, node.sip.reached_by_nodes())
        tasks.start(elsewhere.run(), "calls of other nodes")
        tasks.start(_plane_events(opened.plane, node.board), "media plane")
        if (meter := telemetry.meter()) is not None:
            tasks.start(PlaneMetrics(meter, opened.plane.statistics).run(), "metrics of the media plane")
        await tapes.take_up()
        await resumption.go_on()
        tasks.start(tapes.finish_left(), "recordings of rooms")
        tasks.start(node.between.watching.tell_again(), "watchers of before")
        resync = Resync(accounts, node.sip, node.registrar.devices_of)

        def configured(config: TenantConfig, changes: Sequence[ConfigChanged]) -> None:
            resync.changed(config, changes)
            node.gate.configured(changes)
            node.registrar.configured(changes)
            node.between.watching.configured(config, changes)

        configuration.on_change = configured
        tasks.start(resync.run(), "check-sync")
        tasks.start(node.trunks.run(), "trunks")
        await stack.enter_async_context(erasures.obeying(bus, settings.postgres_dsn, objects, accounts, opened.journal, cache, heard))
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


def _add_services(
    server: GrpcServer, settings: MediaSettings, node: Node, plane: PlaneClient, accounts: Accounts, elsewhere: Elsewhere
) -> OtherNodes:
    nodes, access = OtherNodes(elsewhere), LiveAccess(node.board.calls, accounts)
    calls = LiveCallsAnywhere(grpc_api.LiveCallApi(node.board, access), nodes)
    registrations = RegistrationsAnywhere(grpc_api.RegistrationApi(node.registrar, node.between.watching, settings.node), nodes)
    server.add(add_LiveCallServiceServicer_to_server, calls, grpc_api.LIVE_CALLS, grpc_api.LIVE_CALL_RIGHTS, checks_profiles=True)
    server.add(add_RegistrationServiceServicer_to_server, registrations, grpc_api.REGISTRATIONS, grpc_api.REGISTRATION_RIGHTS)
    control = grpc_control.CallControlApi(node.control, FeatureControl(node.control, elsewhere.of), node.board.taps, access)
    anywhere = CallControlAnywhere(control, nodes)
    rights = grpc_control.CALL_CONTROL_RIGHTS
    server.add(add_CallControlServiceServicer_to_server, anywhere, grpc_control.CALL_CONTROL, rights, checks_profiles=True)
    trunks = grpc_trunks.TrunkStateApi(node.trunks, SystemClock())
    server.add(add_TrunkStateServiceServicer_to_server, trunks, grpc_trunks.TRUNK_STATES, grpc_trunks.TRUNK_STATE_RIGHTS)
    security, itself = (
        grpc_node.SecurityApi(node.gate, SystemClock(), accounts.config, elsewhere.unlock),
        grpc_node.NodeApi(settings.node, node.draining, ask_to_end, plane.statistics),
    )
    server.add(add_SecurityServiceServicer_to_server, security, grpc_node.SECURITY, grpc_node.SECURITY_RIGHTS)
    server.add(add_NodeServiceServicer_to_server, itself, grpc_node.NODE, grpc_node.NODE_RIGHTS)
    return nodes


async def _close(node: Node, settings: MediaSettings, server: GrpcServer) -> None:
    """Take no new calls, let those that are up go on for a while, then end them."""
    node.draining.drain()
    await server.withdraw()
    if node.draining.calls:
        _log.info("draining", calls=node.draining.calls, seconds=settings.drain_seconds)
    await node.draining.wait(settings.drain_seconds)
    node.between.close()
    await node.sip.subscriptions_over(within=1.0)
    await node.board.stop(within=3.0)


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


async def _warm(configuration: Configuration, store: PromptStore, sounds: TenantSounds) -> None:
    """Render and fetch what the configuration names before a caller waits for it."""
    while True:
        for config, before in await configuration.changed():
            await store.warm(phrases(config, before))
            await sounds.warm(config)
            await asyncio.sleep(0)
