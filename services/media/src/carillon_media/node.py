"""The parts of signalling of one node, wired to each other, and the tasks that keep them going."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from carillon_contracts.streams import audit_subject
from carillon_kit.bus import Bus
from carillon_kit.clock import SystemClock
from carillon_kit.lifecycle import Tasks
from carillon_kit.logs import get_logger
from carillon_media.adapters.announcer import BusAnnouncer
from carillon_media.adapters.ban_file import BanFile
from carillon_media.adapters.boot import boot_id
from carillon_media.adapters.call_log import JournalledCallLog
from carillon_media.adapters.database import Database
from carillon_media.adapters.dns import Dns
from carillon_media.adapters.guarded_plane import guarded
from carillon_media.adapters.pooled_ids import PooledIds
from carillon_media.adapters.postgres_devices import NoDevices, PostgresDevices
from carillon_media.adapters.postgres_nodes import PostgresNodes
from carillon_media.adapters.prompt_files import PromptFiles
from carillon_media.adapters.prompt_sets import PromptSets
from carillon_media.adapters.prompts import PromptStore
from carillon_media.adapters.resolver import TrunkResolver
from carillon_media.adapters.spool import FileSpool
from carillon_media.adapters.tenant_sounds import TenantSounds
from carillon_media.adapters.watcher_file import WatcherFile
from carillon_media.domain.accounts import Accounts
from carillon_media.domain.addresses import Addresses, Reach, networks
from carillon_media.domain.backlog import Backlog
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
from carillon_media.handlers.gate import Gate, WatchedDevices
from carillon_media.handlers.joining import Joining
from carillon_media.handlers.quiet import QuietLog
from carillon_media.handlers.reach import Reachability
from carillon_media.handlers.registrar import Device, DeviceStore, Registrar, at_once
from carillon_media.handlers.silence import SilenceWatch
from carillon_media.handlers.switchboard import Switchboard
from carillon_media.handlers.topics import PACKAGES
from carillon_media.handlers.trunks import Trunks
from carillon_media.handlers.watching import ToldDevices
from carillon_media.io.connections import ConnectionLimits
from carillon_media.io.sip_transport import Callbacks, SipStack
from carillon_media.io.tls import Certificates, TlsFiles
from carillon_media.opening import Opened, snapshots
from carillon_media.ports import Applications, Parts
from carillon_media.projections.mailboxes import MailboxCounts
from carillon_media.settings import MediaSettings
from carillon_rtp.client import PlaneClient
from carillon_sip.commands import CORE_METHODS, UserAgentSettings
from carillon_sip.digest import Authenticator
from carillon_sip.flow import Address, Transport

_log = get_logger("app")
EXPIRY_SECONDS = 2.0
SILENCE_CHECK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Node:
    """The parts of signalling, wired to each other."""

    sip: SipStack
    board: Switchboard
    admission: Admission
    registrar: Registrar
    database: Database | None
    resolver: TrunkResolver
    prompts: PromptStore
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
        hosts = [host.strip().strip("[]") for host in advertise.split(",") if host.strip()]

        def called(*transports: Transport) -> set[Address]:
            own = {address for transport in transports for address in self.sip.listening.get(transport, ())}
            return own | {(host, port) for _, port in own for host in hosts}

        self.addresses.listening_at(called("udp"), called("tcp", "tls"))


def assemble(
    settings: MediaSettings,
    opened: Opened,
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
) -> Node:
    """Doors are closed yet: nothing is listened on, and no task runs."""
    clock, store = SystemClock(), PromptStore(settings.data / "prompts", recorded=voices)
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
        gate.registered(device for device in found if not device.node and device.left_at is None)
        registrar.load(found)

    devices = _devices(settings, clock, load, lambda changes: registrar.elsewhere(changes), lambda lost: registrar.lost(lost))
    told = ToldDevices(WatchedDevices(devices, gate), lambda changed: between.watching.devices_changed(changed))
    gruus = DeviceGruus(secret, accounts, lambda sip_user: registrar.devices_of(sip_user))
    settled = devices.settled if isinstance(devices, PostgresDevices) else at_once
    registrar = Registrar(accounts, doorkeeper, sip, told, announcer, clock, ids, gruus=gruus, settled=settled)
    registrar.heard_elsewhere = lambda changed: between.watching.devices_changed(changed)
    resolver = TrunkResolver(accounts.trunk_destinations, Dns(settings.name_servers), settings.families)
    reach = Reachability(accounts, lambda: registrar, lambda: trunks, resolver, sip.local, cluster, sip.connections)
    trunks = Trunks.made_of(accounts, secret, sip, reach.flows_to, announcer, clock, registers=settings.registers_trunks)
    database = None
    if isinstance(devices, PostgresDevices):
        leases = {}
        if settings.trunk_registrations is None:
            leases["trunk registrations"] = trunks.may_register
            trunks.may_register(False)
        nodes = PostgresNodes(settings.node, clock, sip.reached_by_nodes, cluster, leases)
        database = Database(settings.postgres_dsn, [devices, nodes])
        devices.hurried = database.hurry
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
        snapshots=snapshots(settings),
        boot=boot_id(),
        backlog=Backlog(settings.overload_seconds),
    )
    limits = Limits(max_call_seconds=settings.max_call_hours * 3600, tone_seconds=settings.tone_seconds)
    board = Switchboard(parts, limits, settings.max_calls)
    reach.calls = board.calls
    board.transfers.gruus = gruus
    board.features.audit = lambda tenant, event: auditor.announce(tenant, audit_subject(tenant, event.fact()), event, clock.now())
    control = CallControl(board, accounts, lambda: admission.closed or admission.draining)
    admission = Admission(accounts, doorkeeper, reach, trunks, board, sip, clock, ids, settings.node, parts.backlog, gruus)
    watchers = WatcherFile(settings.data / "subscriptions.jsonl")
    between = BetweenPhones(accounts, doorkeeper, sip, board, registrar, trunks, reach, mailboxes, ids, watchers, clock, gruus)
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
    parts_of_node = (sip, board, admission, registrar, database, resolver, store, gate, addresses, draining, certificates, trunks)
    return Node(*parts_of_node, control, between, cluster, watchers, reach)


def share_calls(node: Node, bus: Bus, accounts: Accounts, settings: MediaSettings, ids: PooledIds) -> Elsewhere:
    """The nodes know of each other's calls."""
    board, cluster, watching = node.board, node.cluster, node.between.watching
    elsewhere = Elsewhere(bus, settings.node, board.calls, cluster, ids)
    elsewhere.unlocks = node.gate.unlock
    elsewhere.dialogs, elsewhere.watched = watching.documents.of_call, watching.elsewhere_changed
    watching.documents.elsewhere = elsewhere.dialogs_of
    node.reach.elsewhere = lambda tenant: (call for _, call in elsewhere.of(tenant))
    cluster.on_seen = elsewhere.seen
    node.board.transfers.joining = Joining(board, cluster, elsewhere, settings.token_key.get_secret_value().encode())
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

    return Gate(Guard(limits), addresses, trunks_at, tenant_of, auditor, SystemClock(), settings.never_banned, lambda: accounts.countries)


def _devices(
    settings: MediaSettings,
    clock: SystemClock,
    loaded: Callable[[Iterable[Device]], None],
    elsewhere: Callable[[Iterable[Device]], None],
    lost: Callable[[Iterable[Device]], None],
) -> DeviceStore:
    return PostgresDevices(settings.node, clock, loaded, elsewhere, lost) if settings.postgres_dsn else NoDevices()


def start_tasks(node: Node, tasks: Tasks, plane: PlaneClient, settings: MediaSettings) -> None:
    """What a node does by itself."""
    tasks.start(node.resolver.run(), "resolver")
    tasks.start(_expire(node.registrar, node.gate), "expiry")
    bans = BanFile(settings.data / "bans.json", node.gate)
    bans.load()
    node.watchers.load()
    tasks.start(bans.run(), "bans")
    tasks.start(node.watchers.run(), "subscriptions")
    tasks.start(node.between.watching.run(), "watchers")
    tasks.start(node.certificates.watch(settings.tls_reload_seconds), "certificates")
    if settings.silence_seconds:
        tasks.start(_watch(SilenceWatch(node.board, plane, SystemClock(), settings.silence_seconds)), "silence")


async def _expire(registrar: Registrar, gate: Gate) -> None:
    while True:
        await asyncio.sleep(EXPIRY_SECONDS)
        registrar.expire()
        gate.expire()


async def _watch(watch: SilenceWatch) -> None:
    while True:
        await asyncio.sleep(SILENCE_CHECK_SECONDS)
        await watch.look()
