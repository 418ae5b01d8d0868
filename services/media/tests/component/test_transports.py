"""The SIP stack on real sockets, on both event loops: TCP, TLS and UDP, IPv4 and IPv6, and what peers that behave badly get."""

import asyncio
import contextlib
import itertools
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvloop

from carillon_kit.certificates import write_self_signed
from carillon_kit.clock import ManualClock
from carillon_kit.testing import eventually
from carillon_media.domain.guard import Verdict
from carillon_media.domain.patience import LONGEST
from carillon_media.io.connections import ConnectionLimits
from carillon_media.io.sip_transport import Callbacks, Listen, SipStack
from carillon_media.io.tls import Certificates, TlsFiles
from carillon_sip import NameAddr, stun
from carillon_sip.commands import Invite, UserAgentSettings
from carillon_sip.flow import Flow
from carillon_sip.message import Request, Response
from carillon_sip.outputs import Output, SessionFailed
from carillon_sip.parser import StreamFramer, parse_message

pytestmark = pytest.mark.feature("M-1")
NOW = datetime(2026, 11, 22, tzinfo=UTC)
Act = Callable[["Bench"], Awaitable[None]]


class EverybodyGate:
    """Lets everything pass."""

    def __init__(self) -> None:
        #: Called when something for calls comes.
        self.late: Callable[[], object] = lambda: None

    def arrived(self, data: bytes, transport: str, remote: tuple[str, int], now: float) -> Verdict:
        if data.startswith(b"OPTIONS "):
            self.late()
        return Verdict.PASS

    def refusal(self, data: bytes, flow: Flow, retry_after: int = 30) -> tuple[Flow, bytes] | None:
        return flow, b"SIP/2.0 503 Busy\r\nRetry-After: %d\r\n\r\n" % retry_after

    def connected(self, remote: tuple[str, int]) -> bool:
        return True

    def disconnected(self, remote: tuple[str, int]) -> None:
        """Nothing is counted."""

    def may_send(self, flow: Flow) -> bool:
        return True


class Bench:
    """A stack that answers OPTIONS, under a clock of its own for deadlines."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.chain, self.key = folder / "chain.pem", folder / "key.pem"
        write_self_signed(self.chain, self.key, ["localhost", "127.0.0.1", "::1"], datetime.now(UTC))
        self.certificates = Certificates(TlsFiles(self.chain, self.key, limits.pop("client_ca", None), self.chain))
        self.clock = ManualClock(NOW)
        tokens = itertools.count()
        self.stack = SipStack(
            UserAgentSettings(),
            lambda: f"token{next(tokens):016}",
            self.clock,
            certificates=self.certificates,
            limits=ConnectionLimits(**limits),
        )
        self.flows: list[Flow] = []
        self.outputs: list[Output] = []
        self.lost: list[Flow] = []
        self.kept: set[Flow] = set()
        self.stack.callbacks = Callbacks(self._invited, self._requested, self.outputs.append, self.kept.__contains__, self.lost.append)
        self.gate = self.stack.gate = EverybodyGate()

    def _invited(self, session: str, request: Request, flow: Flow) -> None:
        self.flows.append(flow)

    def _requested(self, transaction: str, request: Request, flow: Flow) -> None:
        self.flows.append(flow)
        self.stack.respond(transaction, 200)

    @property
    def count(self) -> int:
        return len(self.stack.connections)

    def sweep(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.stack.connections.sweep(self.clock.monotonic())


class Client:
    """Somebody's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.framer = StreamFramer()
        self.ready: list[bytes] = []

    @classmethod
    async def connect(cls, bench: Bench, transport: str, host: str | None = None, context: ssl.SSLContext | None = None) -> "Client":
        address = next(a for a in bench.stack.listening[transport] if host is None or a[0] == host)  # type: ignore[index]
        if transport == "tls" and context is None:
            context = ssl.create_default_context(cafile=bench.chain)
        return cls(*await asyncio.open_connection(*address, ssl=context, server_hostname="localhost" if context else None))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def message(self) -> Response | Request:
        """The next message, pongs passed over."""
        async with asyncio.timeout(30):
            while not self.ready:
                data = await self.reader.read(65536)
                assert data, "closed"
                self.ready += filter(None, self.framer.feed(data))
        return parse_message(self.ready.pop(0))

    async def gone(self) -> bool:
        """Waits until the far end has closed."""
        try:
            async with asyncio.timeout(30):
                while await self.reader.read(65536):
                    pass
        except OSError:
            pass
        return True

    def close(self) -> None:
        self.writer.close()


def options(transport: str, sent_by: str, number: int = 1) -> bytes:
    return (
        f"OPTIONS sip:x@localhost SIP/2.0\r\nVia: SIP/2.0/{transport} {sent_by};rport;branch=z9hG4bK{number}\r\nFrom: <sip:a@b>;tag=1\r\n"
        f"To: <sip:x@localhost>\r\nCall-ID: {number}@test\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


@pytest.fixture(params=["asyncio", "uvloop"])
def on(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., None]:
    """Run an act on a stack that listens everywhere on loopback, on each loop."""

    def run(act: Act, **limits: Any) -> None:
        async def whole() -> None:
            bench = Bench(tmp_path, **limits)
            both = (("127.0.0.1", 0), ("::1", 0))
            await bench.stack.start(Listen(both, both, both))
            try:
                await act(bench)
            finally:
                await bench.stack.stop()

        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(whole())

    return run


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_requests_over_connections_are_answered_over_them(on: Callable[..., None], transport: str, host: str) -> None:
    async def act(bench: Bench) -> None:
        client = await Client.connect(bench, transport, host)
        sent_by = "[::1]:5099" if ":" in host else "127.0.0.1:5099"
        # The second request comes together with the first, and before anything was read.
        client.send(options(transport.upper(), sent_by, 1) + b"\r\n\r\n" + options(transport.upper(), sent_by, 2))
        first, second = await client.message(), await client.message()
        assert [first.call_id, second.call_id] == ["1@test", "2@test"]
        assert f"SIP/2.0/{transport.upper()} {sent_by};branch=z9hG4bK1;rport=" in (first.headers.get("Via") or "")
        flow = bench.flows[0]
        assert (flow.transport, flow.local[0], flow.remote[0]) == (transport, host, host)
        assert flow.via.startswith(f"SIP/2.0/{transport.upper()} {'[::1]' if ':' in host else host}:")
        client.close()
        await eventually(lambda: bench.lost == [flow] and bench.count == 0)

    on(act)


def test_a_ping_on_a_connection_is_answered_with_a_pong(on: Callable[..., None]) -> None:
    """RFC 5626 section 4.4.1."""

    async def act(bench: Bench) -> None:
        for transport in ("tcp", "tls"):
            client = await Client.connect(bench, transport)
            client.send(b"\r\n\r\n")
            async with asyncio.timeout(30):
                assert await client.reader.readexactly(2) == b"\r\n"
            client.close()

    on(act)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_udp_answers_sip_and_stun_and_ignores_line_ends(on: Callable[..., None], host: str) -> None:
    async def act(bench: Bench) -> None:
        address = next(a for a in bench.stack.listening["udp"] if a[0] == host)
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.bind((host, 0))
            loop, own = asyncio.get_running_loop(), sock.getsockname()[:2]
            for data in (b"\r\n", b"\r\n\r\n", b"\0", stun.binding_request(b"t" * 12), options("UDP", "phone.invalid")):
                sock.sendto(data, address)
            async with asyncio.timeout(30):
                pong = await loop.sock_recv(sock, 65536)
                answer = parse_message(await loop.sock_recv(sock, 65536))
            assert stun.mapped_address(pong, b"t" * 12) == own
            assert f"received={host}" in (answer.headers.get("Via") or "")

    on(act)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_a_crowd_that_registers_does_not_hold_up_what_is_asked_for_calls(on: Callable[..., None]) -> None:
    """The edge's OPTIONS stands for what calls need: it came last and is answered among the first, and everybody is answered."""

    async def act(bench: Bench) -> None:
        address = bench.stack.bound["udp"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            sock.setblocking(False)
            sock.bind((address[0], 0))
            for number in range(100):
                sock.sendto(options("UDP", "phone.invalid", number).replace(b"OPTIONS", b"REGISTER"), address)
            sock.sendto(options("UDP", "phone.invalid", 100), address)
            async with asyncio.timeout(30):
                answers = [parse_message(await asyncio.get_running_loop().sock_recv(sock, 65536)) for _ in range(101)]
        order = [answer.call_id for answer in answers]
        assert sorted(order) == sorted(f"{number}@test" for number in range(101))
        assert order.index("100@test") <= 30

    on(act)


def test_who_has_waited_too_long_is_sent_away_and_what_calls_need_is_answered(on: Callable[..., None]) -> None:
    async def act(bench: Bench) -> None:
        address = bench.stack.bound["udp"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            sock.setblocking(False)
            sock.bind((address[0], 0))
            for number in range(40):
                sock.sendto(options("UDP", "phone.invalid", number).replace(b"OPTIONS", b"REGISTER"), address)
            bench.gate.late = lambda: bench.clock.advance(LONGEST + 1)
            sock.sendto(options("UDP", "phone.invalid", 40), address)
            async with asyncio.timeout(30):
                answers = [await asyncio.get_running_loop().sock_recv(sock, 65536) for _ in range(41)]
        assert sum(answer.startswith(b"SIP/2.0 200 ") for answer in answers) == 1
        assert sum(b"Retry-After: " in answer for answer in answers) == 40

    on(act)


def test_old_tls_and_strangers_to_tls_get_no_further_than_the_handshake(on: Callable[..., None]) -> None:
    async def act(bench: Bench) -> None:
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(OSError):
            await Client.connect(bench, "tls", context=old)
        plain = Client(*await asyncio.open_connection(*bench.stack.bound["tls"]))
        plain.send(options("TCP", "h"))
        assert await plain.gone()
        await eventually(lambda: bench.count == 0)
        assert bench.stack.connections.closed["handshake"] == 2
        assert bench.flows == []

    on(act)


def test_a_handshake_that_never_comes_is_ended(on: Callable[..., None]) -> None:
    async def act(bench: Bench) -> None:
        silent = Client(*await asyncio.open_connection(*bench.stack.bound["tls"]))
        assert await silent.gone()
        await eventually(lambda: bench.count == 0)

    on(act, handshake_seconds=0.2)


def test_a_certificate_of_the_client_is_asked_for_where_an_authority_is_set(on: Callable[..., None], tmp_path: Path) -> None:
    authority, key = tmp_path / "phones.pem", tmp_path / "phones-key.pem"
    write_self_signed(authority, key, ["phone"], datetime.now(UTC))

    async def act(bench: Bench) -> None:
        context = ssl.create_default_context(cafile=bench.chain)
        # With TLS 1.3 a client learns only afterwards that its handshake was not enough.
        with contextlib.suppress(OSError):
            client = await Client.connect(bench, "tls", context=context)
            client.send(options("TLS", "h"))
            assert await client.gone()
        assert bench.flows == []
        context.load_cert_chain(authority, key)
        client = await Client.connect(bench, "tls", context=context)
        client.send(options("TLS", "h"))
        assert isinstance(await client.message(), Response)

    on(act, client_ca=authority)


def test_a_new_certificate_is_taken_up_for_new_connections_and_a_broken_one_is_not(on: Callable[..., None]) -> None:
    async def act(bench: Bench) -> None:
        async def seen() -> bytes:
            client = await Client.connect(bench, "tls", context=unchecked())
            found = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            client.close()
            assert isinstance(found, bytes)
            return found

        before = await seen()
        old = await Client.connect(bench, "tls")
        write_self_signed(bench.chain, bench.key, ["localhost"], datetime.now(UTC))
        assert bench.certificates.refresh()
        after = await seen()
        assert after != before
        bench.chain.write_text("no certificate")
        assert not bench.certificates.refresh()
        assert await seen() == after
        old.send(options("TLS", "h"))
        assert isinstance(await old.message(), Response)

    on(act)


def unchecked() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def invite(stack: SipStack, flow: Flow) -> str:
    a, b = NameAddr.of("sip:a@localhost"), NameAddr.of("sip:b@localhost")
    return stack.invite(Invite(flow, "sip:b@localhost", a, b, NameAddr.of("sip:a@127.0.0.1"), b""))


@pytest.mark.feature("M-2")
@pytest.mark.parametrize(("name", "proven"), [("localhost", True), ("carrier.example", False)])
def test_a_server_that_we_connect_to_over_tls_must_prove_its_name(on: Callable[..., None], name: str, proven: bool) -> None:
    async def act(bench: Bench) -> None:
        got: asyncio.Queue[bytes] = asyncio.Queue()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            got.put_nowait(await reader.readuntil(b"\r\n\r\n"))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=bench.certificates.server)
        port = server.sockets[0].getsockname()[1]
        session = invite(bench.stack, Flow("tls", bench.stack.local("tls", "127.0.0.1"), ("127.0.0.1", port), name))
        if proven:
            async with asyncio.timeout(30):
                request = parse_message(await got.get())
            assert isinstance(request, Request)
            assert request.via_top.transport == "TLS"
        await eventually(lambda: bool(bench.outputs))
        (failed,) = bench.outputs
        assert isinstance(failed, SessionFailed)
        assert (failed.session, failed.status, got.empty()) == (session, 503, True)
        server.close()

    on(act)


def test_a_connection_is_used_again_for_our_requests_and_a_gone_one_of_tls_is_not_opened(on: Callable[..., None]) -> None:
    async def act(bench: Bench) -> None:
        for transport in ("tcp", "tls"):
            client = await Client.connect(bench, transport)
            client.send(options(transport.upper(), "h"))
            await client.message()
            flow = bench.flows[-1]
            invite(bench.stack, flow)
            request = await client.message()
            assert isinstance(request, Request)
            assert (request.method, bench.count) == ("INVITE", 1)
            client.close()
            await eventually(lambda: bench.count == 0)
        bench.outputs.clear()
        session = invite(bench.stack, flow)
        await eventually(lambda: bool(bench.outputs))
        (failed,) = bench.outputs
        assert isinstance(failed, SessionFailed)
        assert (failed.session, failed.status) == (session, 503)

    on(act)


def test_connections_are_limited_by_source_and_in_total(on: Callable[..., None]) -> None:
    async def act(bench: Bench) -> None:
        with ExitStack() as stack:
            clients = []
            for transport in ("tcp", "tls", "tcp"):
                client = await Client.connect(bench, transport, "127.0.0.1")
                stack.callback(client.close)
                clients.append(client)
            await eventually(lambda: bench.count == 3)
            refused = Client(*await asyncio.open_connection(*bench.stack.bound["tcp"]))
            assert await refused.gone()
            other = await Client.connect(bench, "tcp", "::1")
            await eventually(lambda: bench.count == 4)
            clients[0].close()
            await eventually(lambda: bench.count == 3)
            again = await Client.connect(bench, "tcp", "127.0.0.1")
            again.send(options("TCP", "h"))
            assert isinstance(await again.message(), Response)
            last = await Client.connect(bench, "tcp", "::1")
            assert await last.gone()
            stack.callback(other.close)
            stack.callback(again.close)
        assert bench.stack.connections.closed["too many"] == 2

    on(act, per_source=3, total=4)


def test_slow_and_silent_connections_are_ended_and_used_ones_are_not(on: Callable[..., None]) -> None:
    async def act(bench: Bench) -> None:
        mute = await Client.connect(bench, "tcp")
        pinging = await Client.connect(bench, "tcp")
        slow = await Client.connect(bench, "tcp")
        slow.send(options("TCP", "h", 1))
        await slow.message()
        good = await Client.connect(bench, "tls")
        good.send(options("TLS", "h", 2))
        await good.message()
        kept = bench.flows[-1]
        for number in range(4):
            pinging.send(b"\r\n\r\n")
            slow.send(options("TCP", "h", 10)[number : number + 1])
            async with asyncio.timeout(30):
                await pinging.reader.readexactly(2)
            # One byte more each time: what began does not end.
            await asyncio.sleep(0.01)
            bench.sweep(4.0)
        assert await mute.gone()
        assert await pinging.gone()
        assert await slow.gone()
        assert bench.stack.connections.closed == {"first": 2, "message": 1}
        bench.kept.add(kept)
        bench.sweep(301.0)
        good.send(options("TLS", "h", 3))
        await good.message()
        bench.kept.clear()
        bench.sweep(301.0)
        assert await good.gone()
        assert bench.count == 0

    on(act)


def test_a_peer_that_does_not_read_is_closed(on: Callable[..., None]) -> None:
    async def act(bench: Bench) -> None:
        for transport in ("tcp", "tls"):
            client = await Client.connect(bench, transport)
            client.send(options(transport.upper(), "h"))
            await client.message()
            flow = bench.flows[-1]
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            for _ in range(3000):
                bench.stack.connections.send(flow, b"x" * 10_000)
                await asyncio.sleep(0)
                if not bench.count:
                    break
            assert bench.count == 0
            client.writer.transport.abort()
        assert bench.stack.connections.closed["unsent"] == 2

    on(act, unsent_bytes=50_000)


def test_a_reset_ends_a_connection_in_every_state(on: Callable[..., None]) -> None:
    async def act(bench: Bench) -> None:
        for transport, data in (("tcp", b""), ("tcp", b"OPTI"), ("tls", b""), ("tls", b"\x16\x03\x01\x02")):
            client = Client(*await asyncio.open_connection(*bench.stack.bound[transport]))
            client.send(data)
            await eventually(lambda: bench.count == 1)
            client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.writer.transport.abort()
            await eventually(lambda: bench.count == 0)
        assert len(bench.lost) == 4

    on(act)
