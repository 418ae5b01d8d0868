"""The SIP stack on real sockets: one reader per socket that drains it, one timer, one user agent.

Invariant: every input is followed by draining every output in the same turn of the loop; sending never blocks; what a TCP peer does not
read is bounded, and its connection then closed.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, cast

from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_media.domain.guard import Verdict
from carillon_media.ports import Fields
from carillon_sip.commands import Invite, UserAgentSettings
from carillon_sip.errors import SipError
from carillon_sip.flow import Address, Flow
from carillon_sip.message import Request
from carillon_sip.outputs import (
    CloseFlow,
    InviteReceived,
    Output,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    Send,
)
from carillon_sip.user_agent import UserAgent

_log = get_logger(__name__)
#: Datagrams read in one turn of the loop before others get theirs.
DATAGRAMS_A_TURN = 64
DATAGRAM_BYTES = 65_535
#: Receive buffer of the UDP socket: a second of a busy node.
UDP_BUFFER = 4 * 1024 * 1024
MAX_UNSENT = 256 * 1024
MAX_CONNECTIONS = 4000
CONNECT_SECONDS = 5.0
#: Timers of SIP are never finer than this; so many are served in one turn.
TIMER_GRAIN = 0.01
#: Far ends whose flow is remembered; more are made anew.
_KNOWN_FLOWS = 20_000


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Who takes what the stack says."""

    invited: Callable[[str, Request, Flow], None]
    requested: Callable[[str, Request, Flow], None]
    session_output: Callable[[Output], None]


class Gate(Protocol):
    """Who is heard, and where is sent to; see `handlers.gate.Gate`."""

    def arrived(self, data: bytes, transport: str, remote: Address, now: float) -> Verdict: ...
    def refusal(self, data: bytes, flow: Flow) -> tuple[Flow, bytes] | None: ...
    def connected(self, remote: Address) -> bool: ...
    def may_send(self, flow: Flow) -> bool: ...


@dataclass(slots=True)
class _Connection:
    """A TCP connection, or one being opened: then `waiting` holds what is to be sent."""

    transport: asyncio.Transport | None = None
    waiting: list[bytes] = field(default_factory=list)


class _Stream(asyncio.Protocol):
    """One TCP connection's bytes."""

    def __init__(self, stack: "SipStack", flow: Flow | None) -> None:
        self.stack = stack
        self.flow = flow

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not instances of asyncio's classes, so the type cannot be asked for.
        stream = cast(asyncio.Transport, transport)
        if self.flow is None:
            remote = stream.get_extra_info("peername")
            if not self.stack.gate.connected(remote[:2]):
                stream.abort()
                return
            self.flow = Flow("tcp", self.stack.local("tcp", remote[0]), (remote[0], remote[1]))
        if not self.stack.connected(self.flow, stream):
            stream.abort()

    def data_received(self, data: bytes) -> None:
        if self.flow is not None:
            self.stack.received(data, self.flow)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.flow is not None:
            self.stack.disconnected(self.flow)


class SipStack:
    """`ports.SipPort` over UDP and TCP. `callbacks` and `gate` are set before `start`."""

    callbacks: Callbacks
    gate: Gate

    def __init__(self, settings: UserAgentSettings, token: Callable[[], str], clock: Clock, *, advertise: str = "") -> None:
        self._agent = UserAgent(settings, token)
        self._clock = clock
        self._advertise = advertise
        self._udp: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._bound: dict[str, Address] = {}
        self._connections: dict[Flow, _Connection] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._flows: dict[Address, Flow] = {}
        self._locals: dict[tuple[str, str], Address] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._pumping = False
        self._queued = False
        #: Datagrams that could not be sent, for metrics.
        self.unsent = 0

    # -- start and stop -------------------------------------------------------------------------------------------------

    async def start(self, udp: Address | None, tcp: Address | None) -> None:
        """Listen; port 0 takes a free one (see `bound`)."""
        loop = asyncio.get_running_loop()
        if udp is not None:
            family = socket.AF_INET6 if ":" in udp[0] else socket.AF_INET
            self._udp = sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.setblocking(False)
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UDP_BUFFER)
            sock.bind(udp)
            self._bound["udp"] = sock.getsockname()[:2]
            loop.add_reader(sock.fileno(), self._readable)
        if tcp is not None:
            self._server = await loop.create_server(lambda: _Stream(self, None), tcp[0], tcp[1], backlog=1024)
            self._bound["tcp"] = self._server.sockets[0].getsockname()[:2]

    @property
    def bound(self) -> dict[str, Address]:
        """Where it listens, by transport."""
        return dict(self._bound)

    async def stop(self) -> None:
        """Stop listening, close every connection."""
        if self._timer is not None:
            self._timer.cancel()
        if self._udp is not None:
            asyncio.get_running_loop().remove_reader(self._udp.fileno())
            self._udp.close()
            self._udp = None
        if self._server is not None:
            self._server.close()
        for task in tuple(self._connecting):
            task.cancel()
        for connection in tuple(self._connections.values()):
            if connection.transport is not None:
                connection.transport.abort()
        self._connections.clear()

    # -- addresses ------------------------------------------------------------------------------------------------------

    def local(self, transport: str, remote_ip: str) -> Address:
        """Our address as the far end at `remote_ip` knows it: the advertised one, the bound one, or that of the route."""
        key = (transport, remote_ip)
        known = self._locals.get(key)
        if known is None:
            host, port = self._bound.get(transport) or next(iter(self._bound.values()))
            if self._advertise:
                host = self._advertise
            elif host in ("0.0.0.0", "::"):
                host = _route_to(remote_ip)
            if len(self._locals) > _KNOWN_FLOWS:
                self._locals.clear()
            known = self._locals[key] = (host, port)
        return known

    def own_address(self, flow: Flow) -> Address:
        """For Contact."""
        return flow.local

    # -- UDP ------------------------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        sock, agent, now = self._udp, self._agent, self._clock.monotonic()
        if sock is None:
            return
        for _ in range(DATAGRAMS_A_TURN):
            try:
                data, remote = sock.recvfrom(DATAGRAM_BYTES)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                continue
            verdict = self.gate.arrived(data, "udp", remote, now)
            if verdict is Verdict.PASS:
                agent.receive(data, self._flow_from(remote), now)
            elif verdict is Verdict.REFUSE:
                refusal = self.gate.refusal(data, self._flow_from(remote))
                if refusal is not None:
                    self._send_datagram(Send(*refusal))
        self._pump()

    def _flow_from(self, remote: tuple[str, int]) -> Flow:
        flow = self._flows.get(remote)
        if flow is None:
            if len(self._flows) > _KNOWN_FLOWS:
                self._flows.clear()
            flow = Flow("udp", self.local("udp", remote[0]), (remote[0], remote[1]))
            self._flows[remote] = flow
        return flow

    # -- TCP ------------------------------------------------------------------------------------------------------------

    def connected(self, flow: Flow, transport: asyncio.Transport) -> bool:
        """A connection is up; False: there are too many."""
        connection = self._connections.setdefault(flow, _Connection())
        if len(self._connections) > MAX_CONNECTIONS:
            del self._connections[flow]
            return False
        connection.transport = transport
        transport.set_write_buffer_limits(high=MAX_UNSENT)
        for data in connection.waiting:
            transport.write(data)
        connection.waiting.clear()
        return True

    def received(self, data: bytes, flow: Flow) -> None:
        """Bytes of a connection."""
        now = self._clock.monotonic()
        if self.gate.arrived(data, flow.transport, flow.remote, now) is Verdict.PASS:
            self._agent.receive(data, flow, now)
            self._pump()
        elif (connection := self._connections.get(flow)) is not None and connection.transport is not None:
            connection.transport.abort()

    def disconnected(self, flow: Flow) -> None:
        """A connection is gone."""
        if self._connections.pop(flow, None) is not None:
            self._agent.flow_failed(flow, self._clock.monotonic())
            self._pump()

    def _send_stream(self, flow: Flow, data: bytes) -> None:
        connection = self._connections.get(flow)
        if connection is None:
            connection = self._connections[flow] = _Connection(waiting=[data])
            task = asyncio.get_running_loop().create_task(self._connect(flow))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        elif connection.transport is None:
            connection.waiting.append(data)
        elif connection.transport.get_write_buffer_size() > MAX_UNSENT:
            connection.transport.abort()
        else:
            connection.transport.write(data)

    async def _connect(self, flow: Flow) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().create_connection(lambda: _Stream(self, flow), flow.remote[0], flow.remote[1])
        except OSError:  # TimeoutError is one
            self.disconnected(flow)

    # -- the user agent ---------------------------------------------------------------------------------------------------

    def _soon(self) -> None:
        """Outputs of a command are drained once in this turn, after whoever gave the command has noted its session."""
        if not self._queued:
            self._queued = True
            asyncio.get_running_loop().call_soon(self._drain_queued)

    def _drain_queued(self) -> None:
        self._queued = False
        self._pump()

    def _pump(self) -> None:
        if self._pumping:
            return
        self._pumping = True
        try:
            while outputs := self._agent.drain():
                for output in outputs:
                    self._handle(output)
        finally:
            self._pumping = False
        self._arm()

    def _handle(self, output: Output) -> None:
        if isinstance(output, Send):
            if not self.gate.may_send(output.flow):
                self._withhold(output)
            elif output.flow.transport == "udp":
                self._send_datagram(output)
            else:
                self._send_stream(output.flow, output.data)
        elif isinstance(output, InviteReceived):
            refuse = partial(self.reject, output.session, 500)
            self._guard(partial(self.callbacks.invited, output.session, output.request, output.flow), refuse)
        elif isinstance(output, RequestReceived):
            refuse = partial(self.respond, output.transaction, 500)
            self._guard(partial(self.callbacks.requested, output.transaction, output.request, output.flow), refuse)
        elif isinstance(output, CloseFlow):
            connection = self._connections.get(output.flow)
            if connection is not None and connection.transport is not None:
                connection.transport.close()
        elif not isinstance(output, ResponseReceived | RequestTimedOut):
            self._guard(partial(self.callbacks.session_output, output))

    def _guard(self, callback: Callable[[], None], refuse: Callable[[], None] | None = None) -> None:
        try:
            callback()
        except Exception:  # noqa: BLE001 - the server's edge: one message's fault must not stop the reader
            _log.exception("a SIP message was not handled")
            if refuse is not None:
                with contextlib.suppress(SipError):
                    refuse()

    def _withhold(self, output: Send) -> None:
        """Nothing is sent there. A request of ours fails at once, so that the next target is tried; a reply is just not sent."""
        self.unsent += 1
        if not output.data.startswith(b"SIP/2.0 "):
            self._agent.flow_failed(output.flow, self._clock.monotonic())

    def _send_datagram(self, output: Send) -> None:
        if self._udp is None:
            return
        try:
            self._udp.sendto(output.data, output.flow.remote)
        except (BlockingIOError, InterruptedError):
            self.unsent += 1
        except OSError as error:
            self.unsent += 1
            _log.debug("datagram not sent", remote=output.flow.remote, error=str(error))

    def _arm(self) -> None:
        at = self._agent.next_timer()
        if at is None:
            return
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        wait = max(TIMER_GRAIN, at - self._clock.monotonic())
        self._timer = asyncio.get_running_loop().call_later(wait, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._agent.handle_timer(self._clock.monotonic())
        self._pump()

    # -- commands -------------------------------------------------------------------------------------------------------

    def respond(self, transaction: str, status: int, *, reason: str | None = None, headers: Fields = (), body: bytes = b"") -> None:
        """Answer a request."""
        self._agent.respond(transaction, status, reason=reason, headers=headers, body=body, now=self._clock.monotonic())
        self._soon()

    def ring(self, session: str, status: int, body: bytes = b"") -> None:
        """Provisional response."""
        self._agent.ring(session, status, body=body, now=self._clock.monotonic())
        self._soon()

    def answer(self, session: str, body: bytes) -> None:
        """200."""
        self._agent.answer(session, body, now=self._clock.monotonic())
        self._soon()

    def reject(self, session: str, status: int, headers: Fields = ()) -> None:
        """Final refusal."""
        self._agent.reject(session, status, headers=headers, now=self._clock.monotonic())
        self._soon()

    def invite(self, invite: Invite) -> str:
        """A new call."""
        session = self._agent.invite(invite, now=self._clock.monotonic())
        self._soon()
        return session

    def cancel(self, session: str, reason: str) -> None:
        """Give up."""
        self._agent.cancel(session, reason or None, now=self._clock.monotonic())
        self._soon()

    def bye(self, session: str, reason: str) -> None:
        """Hang up."""
        self._agent.bye(session, reason or None, now=self._clock.monotonic())
        self._soon()

    def accept_reinvite(self, session: str, body: bytes) -> None:
        """200 to a re-INVITE."""
        self._agent.accept_reinvite(session, body, now=self._clock.monotonic())
        self._soon()

    def reject_reinvite(self, session: str, status: int) -> None:
        """Refuse a re-INVITE."""
        self._agent.reject_reinvite(session, status, now=self._clock.monotonic())
        self._soon()


def _route_to(remote_ip: str) -> str:
    """Our address on the way to `remote_ip`; connecting a UDP socket sends nothing."""
    family = socket.AF_INET6 if ":" in remote_ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((remote_ip, 9))
        except OSError:
            return "127.0.0.1"
        host: str = probe.getsockname()[0]
        return host
