"""TCP and TLS connections of the SIP stack: opened, taken, used again, and ended when they cost more than they bring.

Invariant: a connection is in the table from its first packet to its last, counted for its source; every state has a deadline: handshake,
first message, a message that has begun, silence; what a peer does not read is bounded, and its connection then closed.
"""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_media.io.tls import Certificates
from carillon_sip.flow import Address, Flow, Transport

_log = get_logger(__name__)
SWEEP_SECONDS = 1.0
SHUTDOWN_SECONDS = 2.0
_BACKLOG = 1024
#: Connections accepted in one turn of the loop before others get theirs.
ACCEPTS_A_TURN = 32
_ACCEPT_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Numbers of connections, bytes, seconds. An IPv6 source is a /64, which is one household's or office's."""

    total: int = 4000
    per_source: int = 1000
    unsent_bytes: int = 256 * 1024
    connect_seconds: float = 5.0
    handshake_seconds: float = 5.0
    #: From its acceptance to its first whole message; pings are none.
    first_seconds: float = 15.0
    #: From the first byte of a message to its last.
    message_seconds: float = 15.0
    #: Without a message, unless a registration or a call lives on it.
    idle_seconds: float = 300.0


@dataclass(slots=True, eq=False)
class Connection:
    """One connection; `transport` is None while it is opened or shakes hands, and `waiting` holds what is to be sent."""

    flow: Flow
    accepted: bool
    opened_at: float
    heard_at: float
    transport: asyncio.Transport | None = None
    waiting: list[bytes] = field(default_factory=list)
    waiting_bytes: int = 0
    messages: int = 0
    #: When the message that is not whole yet began.
    begun_at: float | None = None

    def progressed(self, messages: int, pending: int, now: float) -> None:
        """After bytes came: whole messages so far, bytes of the one that is not whole."""
        if messages != self.messages:
            self.messages = messages
            self.heard_at = now
            self.begun_at = None
        if not pending:
            self.begun_at = None
        elif self.begun_at is None:
            self.begun_at = now

    def overdue(self, limits: ConnectionLimits, now: float) -> str:
        """Which deadline has passed; empty: none."""
        if self.begun_at is not None and now - self.begun_at > limits.message_seconds:
            return "message"
        if self.accepted and not self.messages and self.transport is not None and now - self.opened_at > limits.first_seconds:
            return "first"
        return "idle" if now - self.heard_at > limits.idle_seconds else ""


class Stack(Protocol):
    """Who the connections work for."""

    def local(self, transport: Transport, remote_ip: str) -> Address:
        """Our address for the far end."""

    def admits(self, flow: Flow) -> bool:
        """Whether somebody's connection is wanted."""

    def arrived(self, data: bytes, flow: Flow) -> tuple[int, int] | None:
        """Bytes came: messages that are whole so far and bytes pending, or None: enough of this far end."""

    def lost(self, flow: Flow) -> None:
        """The connection is gone, or could not be had."""

    def keeps(self, flow: Flow) -> bool:
        """Whether a registration or a call lives on it."""


class _Stream(asyncio.Protocol):
    """The bytes of a connection in the table."""

    def __init__(self, table: "Connections", connection: Connection) -> None:
        self._table = table
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not instances of asyncio's classes, so the type cannot be asked for.
        self._table.up(self._connection, cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        self._table.received(self._connection, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._table.drop(self._connection)


class Connections:
    """The table. `certificates` is None where there is no TLS at all."""

    def __init__(self, stack: Stack, clock: Clock, limits: ConnectionLimits, certificates: Certificates | None = None) -> None:
        self._stack = stack
        self._clock = clock
        self.limits = limits
        self._certificates = certificates
        self._doors: list[socket.socket] = []
        self._table: dict[Flow, Connection] = {}
        self._sources: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        #: Connections refused or ended, by reason, for metrics.
        self.closed: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, flow: object) -> bool:
        return flow in self._table

    # -- listening ------------------------------------------------------------------------------------------------------

    def listen(self, transport: Transport, address: Address) -> Address:
        """Take connections; where it listens. Raises OSError, or ValueError for TLS without a certificate."""
        if transport == "tls" and (self._certificates is None or self._certificates.server is None):
            raise ValueError("no certificate for TLS")
        v6 = ":" in address[0]
        door = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_STREAM)
        try:
            door.setblocking(False)
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if v6:
                door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            door.bind(address)
            door.listen(_BACKLOG)
        except OSError:
            door.close()
            raise
        self._doors.append(door)
        self._open_door(transport, door)
        host, port = door.getsockname()[:2]
        return str(host), int(port)

    def close(self) -> None:
        """Listen no more, end every connection without a word."""
        loop = asyncio.get_running_loop()
        for door in self._doors:
            loop.remove_reader(door.fileno())
            door.close()
        self._doors.clear()
        for task in tuple(self._tasks):
            task.cancel()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in tuple(self._table.values()):
            if connection.transport is not None:
                connection.transport.abort()
        self._table.clear()
        self._sources.clear()

    def _open_door(self, kind: Transport, door: socket.socket) -> None:
        if door in self._doors:
            asyncio.get_running_loop().add_reader(door.fileno(), self._accept, kind, door)

    def _accept(self, kind: Transport, door: socket.socket) -> None:
        for _ in range(ACCEPTS_A_TURN):
            try:
                sock, peer = door.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # Out of descriptors: accepting is taken up again when some may have come free.
                _log.error("connections cannot be accepted", error=str(error))
                loop = asyncio.get_running_loop()
                loop.remove_reader(door.fileno())
                loop.call_later(_ACCEPT_AGAIN_SECONDS, self._open_door, kind, door)
                return
            connection = self._admit(kind, (str(peer[0]), int(peer[1])))
            if connection is None:
                sock.close()
                continue
            sock.setblocking(False)
            self._spawn(self._take(connection, sock))

    def _admit(self, kind: Transport, remote: Address) -> Connection | None:
        """Somebody connected, and nothing was done for it yet; None: there are too many."""
        source = source_of(remote[0])
        if len(self._table) >= self.limits.total or self._sources[source] >= self.limits.per_source:
            self.closed["too many"] += 1
            return None
        flow = Flow(kind, self._stack.local(kind, remote[0]), remote)
        if flow in self._table or not self._stack.admits(flow):
            self.closed["not admitted"] += 1
            return None
        return self._enter(flow, accepted=True)

    async def _take(self, connection: Connection, sock: socket.socket) -> None:
        loop, stream = asyncio.get_running_loop(), _Stream(self, connection)
        try:
            if connection.flow.transport != "tls":
                await loop.connect_accepted_socket(lambda: stream, sock)
                return
            await loop.connect_accepted_socket(
                lambda: stream,
                sock,
                ssl=self._certificates.server if self._certificates is not None else None,
                ssl_handshake_timeout=self.limits.handshake_seconds,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
        except OSError as error:  # ssl.SSLError is one
            self.closed["handshake"] += 1
            _log.debug("no connection", transport=connection.flow.transport, remote=connection.flow.remote, error=str(error))
            self.drop(connection)

    # -- opening and sending ----------------------------------------------------------------------------------------------

    def send(self, flow: Flow, data: bytes) -> None:
        """Over the connection of the flow; one that is not there is opened if it can be: to a server whose name is known for TLS."""
        connection = self._table.get(flow)
        if connection is None:
            self._open(flow, data)
        elif connection.transport is None:
            connection.waiting.append(data)
            connection.waiting_bytes += len(data)
            if connection.waiting_bytes > self.limits.unsent_bytes:
                self._end(connection, "unsent")
        elif connection.transport.get_write_buffer_size() > self.limits.unsent_bytes:
            self._end(connection, "unsent")
        else:
            connection.transport.write(data)

    def end(self, flow: Flow) -> None:
        """Close when what was written is sent; its far end broke a rule."""
        connection = self._table.get(flow)
        if connection is not None and connection.transport is not None:
            connection.transport.close()

    def _open(self, flow: Flow, data: bytes) -> None:
        unnamed = flow.transport == "tls" and (not flow.server_name or self._certificates is None)
        if unnamed or len(self._table) >= self.limits.total:
            self._stack.lost(flow)
            return
        connection = self._enter(flow, accepted=False)
        connection.waiting.append(data)
        connection.waiting_bytes = len(data)
        self._spawn(self._connect(connection))

    async def _connect(self, connection: Connection) -> None:
        flow, loop = connection.flow, asyncio.get_running_loop()
        context, name = None, None
        if flow.transport == "tls" and self._certificates is not None:
            context, name = self._certificates.client, flow.server_name
        try:
            async with asyncio.timeout(self.limits.connect_seconds):
                await loop.create_connection(lambda: _Stream(self, connection), *flow.remote, ssl=context, server_hostname=name)
        except (OSError, ValueError) as error:  # TimeoutError and ssl.SSLError are OSErrors; ValueError: a name that cannot be one
            level = _log.warning if isinstance(error, ssl.SSLCertVerificationError) else _log.debug
            level("no connection", transport=flow.transport, remote=flow.remote, server=flow.server_name, error=str(error))
            self.drop(connection)

    # -- what happens to a connection -------------------------------------------------------------------------------------

    def up(self, connection: Connection, transport: asyncio.Transport) -> None:
        """It can be used: send what waits."""
        if self._table.get(connection.flow) is not connection:
            transport.abort()
            return
        connection.transport = transport
        connection.opened_at = connection.heard_at = self._clock.monotonic()
        transport.set_write_buffer_limits(high=self.limits.unsent_bytes)
        _keep_alive(transport)
        for data in connection.waiting:
            transport.write(data)
        connection.waiting.clear()

    def received(self, connection: Connection, data: bytes) -> None:
        """Bytes of it."""
        if self._table.get(connection.flow) is connection:
            progress = self._stack.arrived(data, connection.flow)
            if progress is None:
                self._end(connection, "not admitted")
            else:
                connection.progressed(*progress, self._clock.monotonic())

    def drop(self, connection: Connection) -> None:
        """It is gone."""
        if self._table.get(connection.flow) is connection:
            del self._table[connection.flow]
            if connection.accepted:
                self._leave(connection)
            self._stack.lost(connection.flow)

    def _leave(self, connection: Connection) -> None:
        source = source_of(connection.flow.remote[0])
        self._sources[source] -= 1
        if self._sources[source] <= 0:
            del self._sources[source]

    def _enter(self, flow: Flow, *, accepted: bool) -> Connection:
        now = self._clock.monotonic()
        connection = self._table[flow] = Connection(flow, accepted, now, now)
        if accepted:
            self._sources[source_of(flow.remote[0])] += 1
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)
        return connection

    def _end(self, connection: Connection, reason: str) -> None:
        """At once: what waits in its buffers is thrown away."""
        self.closed[reason] += 1
        if connection.transport is not None:
            connection.transport.abort()
        self.drop(connection)

    def _sweep(self) -> None:
        self._sweeper = None
        self.sweep(self._clock.monotonic())
        if self._table:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)

    def sweep(self, now: float) -> None:
        """End what is overdue; a connection that a registration or a call lives on may be silent."""
        for connection in tuple(self._table.values()):
            reason = connection.overdue(self.limits, now)
            if reason == "idle" and self._stack.keeps(connection.flow):
                connection.heard_at = now
            elif reason:
                self._end(connection, reason)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def source_of(ip: str) -> str:
    """Who stands behind an address, for counting."""
    if ":" not in ip:
        return ip
    address = ipaddress.IPv6Address(ip.partition("%")[0])
    return str(address.ipv4_mapped) if address.ipv4_mapped else str(ipaddress.IPv6Address(int(address) >> 64 << 64))


def _keep_alive(transport: asyncio.Transport) -> None:
    """A far end that vanished without a word (a NAT that forgot, a phone unplugged) is noticed by the kernel within two minutes."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    options = ((socket.SOL_SOCKET, "SO_KEEPALIVE", 1), *((socket.IPPROTO_TCP, name, value) for name, value in _TCP))
    for level, name, value in options:
        if hasattr(socket, name):
            with contextlib.suppress(OSError):
                sock.setsockopt(level, getattr(socket, name), value)


_TCP = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4), ("TCP_USER_TIMEOUT", 30_000), ("TCP_NODELAY", 1))
