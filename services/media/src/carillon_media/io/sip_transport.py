"""The SIP stack on real sockets: one reader per UDP socket that drains it, a table of connections, one timer, one user agent.

Invariant: every input is followed by draining every output in the same turn of the loop; sending never blocks; what comes by UDP for
calls goes before registrations and subscriptions.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_media.domain.guard import Verdict
from carillon_media.domain.patience import Waiting, come_back_after, is_patient
from carillon_media.io.connections import ConnectionLimits, Connections
from carillon_media.io.own_addresses import OwnAddresses
from carillon_media.io.subscriptions import SubscriptionPort
from carillon_media.io.tls import Certificates
from carillon_media.ports import Fields
from carillon_sip import stun
from carillon_sip.commands import Invite, RequestOut, UserAgentSettings
from carillon_sip.digest import Credentials
from carillon_sip.errors import SipError
from carillon_sip.flow import Address, Flow, Transport
from carillon_sip.message import Request
from carillon_sip.outputs import (
    CloseFlow,
    InviteReceived,
    Output,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    Send,
    StateWanted,
    SubscribeReceived,
    SubscriptionEnded,
)
from carillon_sip.reception import PassOn
from carillon_sip.resuming import SavedSession
from carillon_sip.user_agent import UserAgent

_log = get_logger(__name__)
#: Datagrams read in one turn of the loop before others get theirs.
DATAGRAMS_A_TURN = 64
DATAGRAM_BYTES = 65_535
#: Registrations and subscriptions that are heard in one turn: when nothing else waits, and when calls do.
PATIENT_A_TURN, PATIENT_BESIDE_CALLS = 16, 4
#: Those that waited too long that are told to come back in one turn.
LATE_A_TURN = 32
#: Receive buffer of a UDP socket: a second of a busy node.
UDP_BUFFER = 4 * 1024 * 1024
#: Timers of SIP are never finer than this; so many are served in one turn.
TIMER_GRAIN = 0.01
#: Far ends whose flow is remembered; more are made anew.
_KNOWN_FLOWS = 20_000


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Who takes what the stack says; `keeps`: whether a registration or call lives on a connection; `lost`: a connection is gone."""

    invited: Callable[[str, Request, Flow], None]
    requested: Callable[[str, Request, Flow], None]
    session_output: Callable[[Output], None]
    keeps: Callable[[Flow], bool] = lambda flow: False
    lost: Callable[[Flow], None] = lambda flow: None
    #: Answers to requests of ours outside any dialog.
    responded: Callable[[ResponseReceived | RequestTimedOut], None] = lambda output: None
    #: Subscriptions to us.
    subscribed: Callable[[SubscribeReceived | StateWanted | SubscriptionEnded], None] = lambda output: None


class Gate(Protocol):
    """Who is heard, and where is sent to; see `handlers.gate.Gate`."""

    def arrived(self, data: bytes, transport: str, remote: Address, now: float) -> Verdict: ...
    def refusal(self, data: bytes, flow: Flow, retry_after: int = 30) -> tuple[Flow, bytes] | None: ...
    def connected(self, remote: Address) -> bool: ...
    def may_send(self, flow: Flow) -> bool: ...


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen, by transport; port 0 takes a free one."""

    udp: Sequence[Address] = ()
    tcp: Sequence[Address] = ()
    tls: Sequence[Address] = ()


class SipStack(SubscriptionPort):
    """`ports.SipPort` over UDP, TCP and TLS, IPv4 and IPv6. `callbacks` and `gate` are set before `start`."""

    callbacks: Callbacks
    gate: Gate

    def __init__(
        self,
        settings: UserAgentSettings,
        token: Callable[[], str],
        clock: Clock,
        *,
        advertise: str = "",
        certificates: Certificates | None = None,
        limits: ConnectionLimits | None = None,
    ) -> None:
        self._agent = UserAgent(settings, token)
        self._clock = clock
        self._own = OwnAddresses(advertise)
        self._connections = Connections(self, clock, limits or ConnectionLimits(), certificates)
        self._udp: dict[bool, socket.socket] = {}
        self._flows: dict[Address, Flow] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._pumping = False
        self._queued = False
        self._patient, self._patient_soon = Waiting(), False
        #: Datagrams that could not be sent, for metrics.
        self.unsent = 0

    def pass_on(self, decide: PassOn) -> None:
        """Be an edge besides; see `UserAgent.pass_on`."""
        self._agent.pass_on(decide)

    # -- start and stop -------------------------------------------------------------------------------------------------

    async def start(self, listen: Listen) -> None:
        """Listen; raises OSError, or ValueError for two UDP sockets of one family, or TLS without certificate."""
        for address in listen.udp:
            self._listen_udp(address)
        for transport, addresses in (("tcp", listen.tcp), ("tls", listen.tls)):
            for address in addresses:
                kind: Transport = "tls" if transport == "tls" else "tcp"
                self._own.listening(kind, self._connections.listen(kind, address))

    def _listen_udp(self, address: Address) -> None:
        v6 = ":" in address[0]
        if v6 in self._udp:
            raise ValueError("SIP over UDP listens at one address of each family")
        sock = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        if v6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UDP_BUFFER)
        try:
            sock.bind(address)
        except OSError:
            sock.close()
            raise
        self._udp[v6] = sock
        host, port = sock.getsockname()[:2]
        self._own.listening("udp", (str(host), int(port)))
        asyncio.get_running_loop().add_reader(sock.fileno(), self._readable, sock)

    @property
    def bound(self) -> dict[str, Address]:
        """Where it listens, by transport; of several addresses the first."""
        return {transport: addresses[0] for transport, addresses in self._own.bound.items()}

    @property
    def listening(self) -> Mapping[Transport, Sequence[Address]]:
        """Everywhere it listens."""
        return self._own.bound

    @property
    def connections(self) -> Connections:
        """Its connections, for metrics."""
        return self._connections

    async def stop(self) -> None:
        """Send what was said last, stop listening, close every connection."""
        self._pump()
        if self._timer is not None:
            self._timer.cancel()
        for sock in self._udp.values():
            asyncio.get_running_loop().remove_reader(sock.fileno())
            sock.close()
        self._udp.clear()
        self._connections.close()

    # -- addresses ------------------------------------------------------------------------------------------------------

    def local(self, transport: Transport, remote_ip: str) -> Address:
        """Our address as the far end at `remote_ip` knows it."""
        return self._own.local(transport, remote_ip)

    def reached_by_nodes(self) -> Address | None:
        """Where other media nodes send what is for phones of ours: UDP, so that retransmissions go through; None: nothing listens yet."""
        bound = self._own.bound.get("udp")
        return self._own.local("udp", bound[0][0]) if bound else None

    def own_address(self, flow: Flow) -> Address:
        """For Contact."""
        return flow.local

    # -- UDP ------------------------------------------------------------------------------------------------------------

    def _readable(self, sock: socket.socket) -> None:
        agent, gate, now = self._agent, self.gate, self._clock.monotonic()
        drained = False
        for _ in range(DATAGRAMS_A_TURN):
            try:
                data, remote = sock.recvfrom(DATAGRAM_BYTES)
            except (BlockingIOError, InterruptedError):
                drained = True
                break
            except OSError:
                continue
            if len(remote) > 2:
                remote = remote[:2]
            verdict = gate.arrived(data, "udp", remote, now)
            if verdict is Verdict.PASS:
                if data[:1] < b"\x04":
                    self._answer_stun(sock, data, remote)
                elif is_patient(data):
                    self._patient.add(data, remote, now)
                else:
                    agent.receive(data, self._flow_from(remote), now)
            elif verdict is Verdict.REFUSE:
                self._refuse(gate.refusal(data, self._flow_from(remote)))
        self._hear_patient(PATIENT_A_TURN if drained else PATIENT_BESIDE_CALLS)
        self._pump()

    def _hear_patient(self, most: int) -> None:
        now = self._clock.monotonic()
        for data, remote in self._patient.late(LATE_A_TURN, now):
            self._refuse(self.gate.refusal(data, self._flow_from(remote), come_back_after(remote)))
        for data, remote in self._patient.take(most, now):
            self._agent.receive(data, self._flow_from(remote), now)
        if self._patient and not self._patient_soon:
            self._patient_soon = True
            asyncio.get_running_loop().call_soon(self._go_on_hearing)

    def _refuse(self, refusal: tuple[Flow, bytes] | None) -> None:
        if refusal is not None:
            self._send_datagram(Send(*refusal))

    def _go_on_hearing(self) -> None:
        """In the next turn of the loop, in which every socket is read too."""
        self._patient_soon = False
        self._hear_patient(PATIENT_A_TURN)
        self._pump()

    def _answer_stun(self, sock: socket.socket, data: bytes, remote: Address) -> None:
        """A keep-alive (RFC 5626 section 4.4.2), or nothing that is ours: SIP starts with a letter or a line end."""
        reply = stun.answer(data, remote)
        if reply is not None:
            with contextlib.suppress(OSError):
                sock.sendto(reply, remote)

    def _flow_from(self, remote: Address) -> Flow:
        flow = self._flows.get(remote)
        if flow is None:
            if len(self._flows) > _KNOWN_FLOWS:
                self._flows.clear()
            flow = Flow("udp", self.local("udp", remote[0]), (remote[0], remote[1]))
            self._flows[remote] = flow
        return flow

    # -- connections ------------------------------------------------------------------------------------------------------

    def admits(self, flow: Flow) -> bool:
        """Whether a connection is wanted."""
        return self.gate.connected(flow.remote)

    def arrived(self, data: bytes, flow: Flow) -> tuple[int, int] | None:
        """Bytes of a connection; messages that came whole so far and bytes pending, or None: it is to be ended."""
        now = self._clock.monotonic()
        if self.gate.arrived(data, flow.transport, flow.remote, now) is not Verdict.PASS:
            return None
        self._agent.receive(data, flow, now)
        self._pump()
        return self._agent.framing(flow)

    def lost(self, flow: Flow) -> None:
        """A connection is gone, or could not be had."""
        self._agent.flow_failed(flow, self._clock.monotonic())
        self._pump()
        self._guard(partial(self.callbacks.lost, flow))

    def keeps(self, flow: Flow) -> bool:
        """Whether a registration or a call lives on a connection."""
        return self.callbacks.keeps(flow)

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
                self._connections.send(output.flow, output.data)
        elif isinstance(output, InviteReceived):
            refuse = partial(self.reject, output.session, 500)
            self._guard(partial(self.callbacks.invited, output.session, output.request, output.flow), refuse)
        elif isinstance(output, RequestReceived):
            refuse = partial(self.respond, output.transaction, 500)
            self._guard(partial(self.callbacks.requested, output.transaction, output.request, output.flow), refuse)
        elif isinstance(output, CloseFlow):
            self._connections.end(output.flow)
        elif isinstance(output, ResponseReceived | RequestTimedOut):
            self._guard(partial(self.callbacks.responded, output))
        elif isinstance(output, SubscribeReceived):
            refuse = partial(self.reject_subscription, output.subscription, 500)
            self._guard(partial(self.callbacks.subscribed, output), refuse)
        elif isinstance(output, StateWanted | SubscriptionEnded):
            self._guard(partial(self.callbacks.subscribed, output))
        else:
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
        remote = output.flow.remote
        sock = self._udp.get(":" in remote[0])
        if sock is None:
            return
        try:
            sock.sendto(output.data, remote)
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
        self._guard(partial(self._agent.handle_timer, self._clock.monotonic()))
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

    def tell(self, session: str, headers: Fields) -> None:
        """UPDATE with these headers and no offer, or where the far end does not take UPDATE a re-INVITE that changes nothing."""
        self._agent.tell(session, headers, now=self._clock.monotonic())
        self._soon()

    def answer(self, session: str, body: bytes, headers: Fields = ()) -> None:
        """200."""
        self._agent.answer(session, body, headers, now=self._clock.monotonic())
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

    def request(self, request: RequestOut) -> str:
        """A request outside a dialog, or within one; its answer goes to `callbacks.responded`."""
        transaction = self._agent.request(request, now=self._clock.monotonic())
        self._soon()
        return transaction

    def allows(self, session: str, method: str) -> bool:
        """Whether the far end has said that it takes this method."""
        return self._agent.allows(session, method)

    def heard(self, session: str) -> bool | None:
        """Whether anything, be it 100, has come to our INVITE; None: the session is over."""
        found = self._agent._context.sessions.get(session)
        return found.provisional if found is not None else None

    def ack(self, session: str) -> None:
        """ACK for the 2xx to our INVITE."""
        self._agent.ack(session, b"", now=self._clock.monotonic())
        self._soon()

    def cancel(self, session: str, reason: str) -> None:
        """Give up."""
        self._agent.cancel(session, reason or None, now=self._clock.monotonic())
        self._soon()

    def bye(self, session: str, reason: str) -> None:
        """Hang up."""
        self._agent.bye(session, reason or None, now=self._clock.monotonic())
        self._soon()

    def save(self, session: str) -> SavedSession | None:
        """What `resume` needs in another process."""
        return self._agent.save(session)

    def resume(self, saved: SavedSession, credentials: Credentials | None = None) -> str:
        """Take up a session of a process that died."""
        session = self._agent.resume(saved, credentials=credentials, now=self._clock.monotonic())
        self._soon()
        return session

    def part(self, saved: SavedSession, status: int, reason: str, credentials: Credentials | None = None) -> None:
        """End at the far end what is not to be taken up."""
        self._agent.part(saved, status=status, reason=reason or None, credentials=credentials, now=self._clock.monotonic())
        self._soon()

    def accept_reinvite(self, session: str, body: bytes) -> None:
        """200 to a re-INVITE."""
        self._agent.accept_reinvite(session, body, now=self._clock.monotonic())
        self._soon()

    def reject_reinvite(self, session: str, status: int) -> None:
        """Refuse a re-INVITE."""
        self._agent.reject_reinvite(session, status, now=self._clock.monotonic())
        self._soon()

    def accept_refer(self, refer: str) -> None:
        """202, and NOTIFY 100."""
        self._agent.accept_refer(refer, now=self._clock.monotonic())
        self._soon()

    def decline_refer(self, refer: str, status: int) -> None:
        """Refuse a REFER."""
        self._agent.decline_refer(refer, status, now=self._clock.monotonic())
        self._soon()

    def notify_refer(self, refer: str, status: int) -> None:
        """NOTIFY of how the transfer goes."""
        self._agent.notify_refer(refer, status, now=self._clock.monotonic())
        self._soon()
