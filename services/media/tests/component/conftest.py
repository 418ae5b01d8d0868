"""The whole service on real sockets, a real journal and a real media plane; phones on our own stack; an application under orders."""

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import grpc.aio
import pytest

from carillon.common.v1 import call_application_pb2 as pb
from carillon.common.v1.call_application_pb2_grpc import CallApplicationServicer, add_CallApplicationServicer_to_server
from carillon.directory.v1 import audio_pb2 as directory
from carillon.directory.v1.audio_pb2_grpc import AudioServiceServicer, add_AudioServiceServicer_to_server
from carillon.media.v1.audio_pb2_grpc import AudioServiceStub
from carillon.media.v1.call_control_pb2_grpc import CallControlServiceStub
from carillon_contracts.config import ConfigChanged
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CALLS, CONFERENCES, CONFIG, REGISTRATIONS, config_subject
from carillon_kit.auth import ADMIN, issue_token
from carillon_kit.bus import MemoryBus
from carillon_kit.embedded import free_port
from carillon_kit.grpc_client import channel
from carillon_kit.ids import SystemIds
from carillon_kit.object_store import MemoryObjectStore, ObjectNotFound
from carillon_kit.testing import eventually, fresh_database, postgres_dsn  # noqa: F401
from carillon_media.app import Running, serve
from carillon_media.settings import MediaSettings
from carillon_rtp.testing import PlaneProcess, RtpEndpoint, encode, plane_process, rtp_endpoint, sine
from carillon_rtp.values import MediaAddress
from carillon_sip import (
    Credentials,
    Flow,
    Invite,
    InviteReceived,
    NameAddr,
    Output,
    RequestOut,
    ResponseReceived,
    Send,
    SessionAnswered,
    Timing,
    UserAgent,
    UserAgentSettings,
)
from carillon_sip.commands import CORE_METHODS
from carillon_sip.digest import ha1
from carillon_sip.offer_answer import PCMA, PCMU, answer_offer, make_offer
from carillon_sip.sdp import SessionDescription
from strangers.sipp import taken

KEY = "k" * 40
METHODS = (*CORE_METHODS, "REFER", "NOTIFY", "MESSAGE")
REALM = "dupont.example"
T = TypeVar("T")
Decide = Callable[[pb.NextRequest], pb.NextResponse | Awaitable[pb.NextResponse]]


class Application(CallApplicationServicer):
    """Answers `Next` with what the test says; remembers what it was asked."""

    async def Await(self, request: pb.AwaitRequest, context: object) -> pb.AwaitResponse:
        return pb.AwaitResponse()

    def __init__(self) -> None:
        self.asked: list[pb.NextRequest] = []
        self.decide: Decide = lambda request: hang_up(16)
        self.port = 0

    async def Next(self, request: pb.NextRequest, context: Any) -> pb.NextResponse:
        self.asked.append(request)
        found = self.decide(request)
        return await found if isinstance(found, Awaitable) else found

    def follow(self, *steps: pb.NextResponse) -> None:
        """One step after another; the last one repeats."""
        rest = list(steps)
        self.decide = lambda request: rest.pop(0) if len(rest) > 1 else rest[0]


def ring(*users: str, seconds: int = 20, trunk: str = "", ask: bool = False) -> pb.NextResponse:
    targets = [pb.RingTarget(target_id=user, user_id=user, stop_after_ms=seconds * 1000) for user in users]
    if trunk:
        number = pb.TrunkTarget(trunk_id="carrier", number=trunk)
        targets.append(pb.RingTarget(target_id="out", trunk=number, stop_after_ms=seconds * 1000))
    step = pb.Ring(targets=targets, caller_number="101", caller_name="Anne Dumas", ask_after_answer=ask)
    trace = [pb.TraceEntry(subject="extension 102", matched=True, reason="dialled")]
    return pb.NextResponse(step=pb.Step(ring=step), cursor=b"ringing", trace=trace, config_seq=5)


def hang_up(cause: int, status: int = 0) -> pb.NextResponse:
    return pb.NextResponse(step=pb.Step(hang_up=pb.HangUp(cause=cause, sip_status=status)), config_seq=5)


class Phone:
    """A SIP phone on a UDP or TCP socket, with RTP. Outputs of its stack wait in `seen` until a test expects them."""

    def __init__(self, user: str, server: tuple[str, int], rtp: RtpEndpoint, transport: str, host: str) -> None:
        self.user = user
        self.rtp = rtp
        self.agent = UserAgent(UserAgentSettings(timing=Timing(t1=0.1), methods=METHODS), lambda: os.urandom(10).hex())
        self.server = server
        self.host = host
        self.transport = transport
        self.seen: list[Output] = []
        self.changed = asyncio.Event()
        self.flow: Flow
        self.link: Any = None
        self.timer: asyncio.TimerHandle | None = None
        self.credentials: Credentials | None = Credentials(user, f"secret-{user}")
        self.cseq = 0
        self.deaf = False

    # -- socket -------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        phone = self

        class Datagrams(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                phone.got(data)

        class Stream(asyncio.Protocol):
            def data_received(self, data: bytes) -> None:
                phone.got(data)

        if self.transport == "udp":
            self.link, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=(self.host, 0))
            self.flow = Flow("udp", self.link.get_extra_info("sockname")[:2], self.server)
        else:
            self.link, _ = await loop.create_connection(Stream, *self.server, local_addr=(self.host, 0))
            self.flow = Flow("tcp", self.link.get_extra_info("sockname")[:2], self.server)

    def close(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.link.close()

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def got(self, data: bytes) -> None:
        if not self.deaf:
            self.agent.receive(data, self.flow, self.now)
            self.pump()

    def pump(self) -> None:
        for output in self.agent.drain():
            if isinstance(output, Send):
                if self.transport == "udp":
                    self.link.sendto(output.data, self.server)
                else:
                    self.link.write(output.data)
            else:
                self.seen.append(output)
                self.changed.set()
        at = self.agent.next_timer()
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if at is not None and not self.link.is_closing():
            self.timer = asyncio.get_running_loop().call_at(max(at, self.now), self.tick)

    def tick(self) -> None:
        self.agent.handle_timer(self.now)
        self.pump()

    async def expect(self, kind: type[T], matching: Callable[[T], bool] = lambda output: True, timeout: float = 20.0) -> T:
        """The next output of this kind; others keep waiting."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    for output in self.seen:
                        if isinstance(output, kind) and matching(output):
                            self.seen.remove(output)
                            return output
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise TimeoutError(f"{self.user}: no {kind.__name__} among {self.seen}") from None

    # -- acts ---------------------------------------------------------------------------------------------------------

    @property
    def contact(self) -> NameAddr:
        host, port = self.flow.local
        return NameAddr.of(f"sip:{self.user}@{host}:{port}" + (";transport=tcp" if self.transport == "tcp" else ""))

    async def register(self, expires: int = 600) -> int:
        """Final status."""
        self.cseq += 2
        address = NameAddr.of(f"sip:{self.user}@{REALM}")
        request = RequestOut(
            "REGISTER",
            flow=self.flow,
            request_uri=f"sip:{REALM}",
            from_=address,
            to=address,
            contact=self.contact,
            headers=(("Expires", str(expires)),),
            call_id=f"reg-{self.user}-{self.flow.local[1]}",
            cseq=self.cseq,
            credentials=self.credentials,
        )
        self.agent.request(request, now=self.now)
        self.pump()
        return (await self.expect(ResponseReceived, lambda o: o.response.status >= 200)).response.status

    def offer(self, direction: Any = "sendrecv", codecs: Any = (PCMA, PCMU)) -> bytes:
        here = self.rtp.address
        return make_offer(here.ip, here.port, session_id=1, codecs=codecs, direction=direction).to_bytes()

    def call(
        self,
        number: str,
        *,
        body: bytes | None = None,
        domain: str = REALM,
        headers: tuple[tuple[str, str], ...] = (),
        anonymous: bool = False,
    ) -> str:
        address = NameAddr.of("sip:anonymous@anonymous.invalid" if anonymous else f"sip:{self.user}@{domain}")
        session = self.agent.invite(
            Invite(
                flow=self.flow,
                request_uri=f"sip:{number}@{domain}",
                from_=address,
                to=NameAddr.of(f"sip:{number}@{domain}"),
                contact=self.contact,
                body=self.offer() if body is None else body,
                headers=headers,
                credentials=self.credentials,
            ),
            now=self.now,
        )
        self.pump()
        return session

    def do(self, command: str, *arguments: Any, **options: Any) -> None:
        getattr(self.agent, command)(*arguments, **options, now=self.now)
        self.pump()

    async def pick_up(self, *, ring_first: bool = True, codecs: Any = (PCMA, PCMU)) -> tuple[InviteReceived, MediaAddress]:
        """Ring and answer the next call; the INVITE, and where to send audio."""
        invite = await self.expect(InviteReceived)
        if ring_first:
            self.do("ring", invite.session)
        here = self.rtp.address
        agreed = answer_offer(SessionDescription.parse(invite.request.body), here.ip, here.port, session_id=2, codecs=codecs)
        self.do("answer", invite.session, agreed.local.to_bytes())
        return invite, MediaAddress(agreed.remote.address, agreed.remote.port)

    async def answered(self) -> MediaAddress:
        """Our call was answered: where to send audio."""
        return audio_of((await self.expect(SessionAnswered)).response.body)


def audio_of(body: bytes) -> MediaAddress:
    audio = SessionDescription.parse(body).audio
    assert audio is not None
    return MediaAddress(audio.address, audio.port)


def without_events(offer: bytes) -> bytes:
    """As of a phone that tells keys by their tones alone."""
    lines = [line for line in offer.split(b"\r\n") if not line.startswith((b"a=rtpmap:101", b"a=fmtp:101"))]
    return b"\r\n".join(line.replace(b" 101", b"") if line.startswith(b"m=audio") else line for line in lines)


def key_five() -> bytes:
    """100 ms, and a pause."""
    pairs = zip(sine(770, 100, 5000), sine(1336, 100, 5000), strict=True)
    return encode([low + high for low, high in pairs] + [0] * 800, "PCMA")


class House:
    """The service, its bus and its application; phones are made here."""

    def __init__(self, bus: MemoryBus, application: Application, plane: PlaneProcess, folder: Path) -> None:
        self.bus = bus
        self.application = application
        self.plane = plane
        self.folder = folder
        self.objects = MemoryObjectStore()
        self.running: Running
        self.settings: MediaSettings
        self.stack = AsyncExitStack()
        self.phones = AsyncExitStack()
        self.config_seq = 0
        self._stored: dict[str, list[Event]] = {CALLS.name: [], REGISTRATIONS.name: [], CONFERENCES.name: []}

    async def configure(self, resource: str, after: dict[str, Any], *, gone: bool = False) -> None:
        """One accepted change."""
        self.config_seq += 1
        said: dict[str, Any] = {"action": "deleted", "before": after} if gone else {"action": "created", "after": after}
        change = ConfigChanged(resource=resource, resource_id=after["id"], actor="test", **said)
        event = Event(
            id=SystemIds().uuid7(),
            source="carillon/directory",
            type=change.event_type,
            subject=f"{resource}/{after['id']}",
            time=datetime.now(UTC),
            data=change.model_dump(),
            tenantid="dupont",
            configseq=self.config_seq,
        )
        await self.bus.publish(CONFIG.name, config_subject("dupont", resource, change.action), event.to_json(), str(event.id))

    async def start(self, **options: Any) -> None:
        ports = {name: address[1] for name, address in self.running.sip.items()} if hasattr(self, "running") else {}
        self.settings = MediaSettings(
            token_key=KEY,
            node=options.pop("node", "test"),
            sip_udp=f"127.0.0.1:{ports.get('udp', 0)}",
            sip_tcp=f"127.0.0.1:{ports.get('tcp', 0)}",
            plane_socket=self.plane.socket,
            applications={"routing": f"127.0.0.1:{self.application.port}"},
            data=self.folder / "media",
            **options,
        )
        self.stack = AsyncExitStack()
        self.running = await self.stack.enter_async_context(serve(self.settings, self.bus, self.objects))

    async def stop(self) -> None:
        await self.stack.aclose()

    def forget_calls(self) -> None:
        """Leave behind what kill -9 leaves: a journal, files, and ports on the plane."""
        self.running.board.calls.clear()
        self.running.board._idle.set()

    async def die(self, **options: Any) -> None:
        """As kill -9 would have it, and start anew."""
        self.forget_calls()
        await self.stop()
        await self.start(**options)

    async def phone(self, user: str, transport: str = "udp", host: str = "127.0.0.1", register: bool = True) -> Phone:
        return await phone_in(self.phones, self, user, transport, host, register)

    def stored(self, stream: str) -> list[Event]:
        """Everything on a stream of the bus."""
        return self._stored[stream]

    async def watch(self, stream: str) -> None:
        """Keep what is published."""
        async for message in self.bus.follow(stream, "carillon.>"):
            self._stored[stream].append(Event.from_json(message.data))

    def events(self, call_id: str | None = None) -> list[Event]:
        return [event for event in self.stored(CALLS.name) if call_id is None or event.callid == call_id]

    def registrations(self) -> list[Event]:
        return self.stored(REGISTRATIONS.name)

    async def ended(self, calls: int = 1) -> list[Event]:
        """The events of the last call once `calls` calls have ended and nothing is left."""
        await eventually(lambda: self.ends() >= calls and not self.running.board.calls)
        call_id = [event.callid for event in self.events() if event.type == "carillon.call.ended.v1"][-1]
        events = self.events(call_id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        return events

    async def uploaded(self, name: str) -> bytes:
        """What the object store has by this name once it is there: an upload follows the event that names it."""

        async def there() -> bool:
            with contextlib.suppress(ObjectNotFound):
                return bool(await self.objects.get(name))
            return False

        await eventually(there)
        return await self.objects.get(name)

    def ends(self) -> int:
        return sum(event.type == "carillon.call.ended.v1" for event in self.events())


def story(events: list[Event]) -> list[str]:
    """`leg_answered b1`, ..."""
    return [" ".join(filter(None, (event.type.split(".")[2], event.legid))) for event in events]


def last(events: list[Event], fact: str, leg: str | None = None) -> dict[str, Any]:
    return [e for e in events if e.type.split(".")[2] == fact and (leg is None or e.legid == leg)][-1].data


async def phone_in(
    stack: AsyncExitStack, house: Any, user: str, transport: str = "udp", host: str = "127.0.0.1", register: bool = True
) -> Phone:
    """A phone that is closed with the stack, at whatever has `running.sip`."""
    rtp = await stack.enter_async_context(rtp_endpoint())
    one = Phone(user, house.running.sip[transport], rtp, transport, host)
    await one.open()
    stack.callback(one.close)
    if register:
        assert await one.register() == 200
    return one


USERS = {"anne": "101", "bob": "102", "carol": "103"}


@asynccontextmanager
async def house_in(folder: Path, **options: Any) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        application = Application()
        server = grpc.aio.server()
        add_CallApplicationServicer_to_server(application, server)
        application.port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        stack.push_async_callback(server.stop, None)
        plane = await stack.enter_async_context(plane_process(folder, ports=160))
        bus = MemoryBus()
        for stream in (CONFIG, CALLS, REGISTRATIONS, CONFERENCES):
            await bus.ensure_stream(stream)
        house = House(bus, application, plane, folder)
        watchers = [asyncio.ensure_future(house.watch(stream)) for stream in (CALLS.name, REGISTRATIONS.name, CONFERENCES.name)]
        stack.callback(lambda: [watcher.cancel() for watcher in watchers])
        await house.configure("tenant", {"id": "dupont", "realm": REALM})
        await house.configure("trunk", {"id": "carrier", "address": "127.0.0.2:5060"})
        for user, extension in USERS.items():
            await house.configure("user", {"id": user, "last_name": user.title()})
            hashes = {"ha1_md5": ha1(user, REALM, f"secret-{user}", "MD5"), "ha1_sha256": ha1(user, REALM, f"secret-{user}", "SHA-256")}
            await house.configure("sip_credential", {"id": user, "user_id": user, "realm": REALM, **hashes})
            await house.configure("extension", {"id": extension, "destination": {"user_id": user}})
        await house.configure("number", {"id": "+41215550100", "destination": {"user_id": "anne"}})
        await house.start(**options)
        try:
            yield house
        finally:
            await house.phones.aclose()
            await house.stop()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A running service of its own."""
    async with house_in(tmp_path) as one:
        yield one


@asynccontextmanager
async def second_node(house: House, folder: Path, **options: Any) -> AsyncIterator[House]:
    """Another node of the same installation: the same bus and application, a media plane and a journal of its own."""
    await asyncio.to_thread(folder.mkdir)
    async with plane_process(folder, ports=160) as plane:
        other = House(house.bus, house.application, plane, folder)
        await other.start(node="second", **options)
        try:
            yield other
        finally:
            await other.phones.aclose()
            await other.stop()


@pytest.fixture
def second() -> Callable[..., Any]:
    """A second node of a running service."""
    return second_node


@asynccontextmanager
async def nodes_in(folder: Path, *configured: tuple[str, dict[str, Any]], **options: Any) -> AsyncIterator[tuple[House, House]]:
    """Two nodes of one installation that know of each other, with a database of their own unless the options name one."""
    options = {"postgres_dsn": fresh_database(), **options}
    async with house_in(folder, **options) as here, second_node(here, folder / "second", **options) as there:
        for resource, fields in configured:
            await here.configure(resource, fields)
        for one in (here, there):
            await eventually(lambda one=one: one.running.cluster.peers)  # type: ignore[misc]
        yield here, there


@pytest.fixture
def two_nodes() -> Callable[..., Any]:
    """Two nodes that know of each other, after so many resources are configured."""
    return nodes_in


@pytest.fixture
def house_with() -> Callable[..., Any]:
    """A running service with other settings."""
    return house_in


@pytest.fixture
async def control(house: House) -> AsyncIterator[Any]:
    """An admin's client of `CallControlService`."""
    async with channel(f"127.0.0.1:{house.running.grpc_port}", issue_token(KEY, "olga", "dupont", [ADMIN])) as link:
        yield CallControlServiceStub(link)


@pytest.fixture
def new_phone() -> Any:
    """`phone_in`, for services that are no `House`."""
    return phone_in


@pytest.fixture
def words() -> Any:
    """What test modules need of this file."""

    return SimpleNamespace(
        ring=ring, hang_up=hang_up, story=story, last=last, audio_of=audio_of, without_events=without_events, key_five=key_five
    )


# -- uploads ----------------------------------------------------------------------------------------------------------


class FakeDirectory(AudioServiceServicer):
    """Takes what it is given and publishes it, as the directory does."""

    def __init__(self, house: Any) -> None:
        self.house = house
        self.seen: list[dict[str, str]] = []
        self.audios: dict[str, directory.Audio] = {}

    async def CreateAudio(self, request: Any, context: Any) -> Any:
        self.seen.append({key: str(value) for key, value in context.invocation_metadata()})
        if request.audio.id in self.audios:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "there")
        await self._keep(request.audio)
        return directory.CreateAudioResponse(audio=request.audio)

    async def UpdateAudio(self, request: Any, context: Any) -> Any:
        await self._keep(request.audio)
        return directory.UpdateAudioResponse(audio=request.audio)

    async def _keep(self, audio: directory.Audio) -> None:
        self.audios[audio.id] = audio
        fields = {field.name: value for field, value in audio.ListFields()}
        fields["purpose"] = "music" if audio.purpose == directory.AUDIO_PURPOSE_MUSIC else "announcement"
        await self.house.configure("audio", fields)


@pytest.fixture
async def studio(house: Any) -> AsyncIterator[Any]:
    """The house with a directory beside it, and an admin's client."""
    fake = FakeDirectory(house)  # type: ignore[abstract]
    server = grpc.aio.server()
    add_AudioServiceServicer_to_server(fake, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await house.stop()
    await house.start(directory=f"127.0.0.1:{port}")
    link = channel(f"127.0.0.1:{house.running.grpc_port}", issue_token(KEY, "elise", "dupont", [ADMIN]))
    house.fake, house.client = fake, AudioServiceStub(link)
    yield house
    await link.close()
    await server.stop(None)


# -- SIPp -------------------------------------------------------------------------------------------------------------

SCENARIOS = Path(__file__).parent / "sipp"


class Sipp:
    """One sipp process."""

    def __init__(
        self, house: Any, scenario: str, port: int, *options: str, user: str = "anne", transport: str = "udp", flow: str = ""
    ) -> None:
        server = house.running.sip[transport]
        self.command = [
            "sipp",
            f"{server[0]}:{server[1]}",
            *("-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", "127.0.0.1", "-p", str(port), "-nostdin", "-timeout", "60", "-trace_err"),
            *("-t", "u1" if transport == "udp" else "t1"),
            *("-key", "user", user, "-au", user, "-ap", f"secret-{user}", "-key", "domain", "dupont.example", "-key", "dest", "102"),
            *("-key", "flow", flow),
            *options,
        ]
        self.folder = house.folder

    async def start(self) -> asyncio.subprocess.Process:
        quiet = asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(*self.command, stdin=quiet, stdout=quiet, stderr=quiet, cwd=self.folder)

    def errors(self) -> str:
        """What SIPp did not expect, each message shortened; not that it was held up."""
        text = "\n".join(path.read_text(errors="replace") for path in self.folder.glob("*_errors.log"))
        told = [each for each in re.split(r"(?=\d{4}-\d\d-\d\d\t)", text) if "Overload warning" not in each and "Dead call" not in each]
        return "\n".join(each[:600] for each in told[:20])

    async def run(self) -> int:
        """Exit code: 0 when every call went as the scenario says."""
        process = await self.start()
        try:
            return await asyncio.wait_for(process.wait(), 70)
        finally:
            if process.returncode is None:
                process.kill()


@contextlib.asynccontextmanager
async def phone(house: Any, scenario: str, *options: str, flow: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
    """Bob's phone, registered, playing this scenario."""
    port = free_port()
    assert await Sipp(house, "register", port, "-m", "1", user="bob", flow=flow).run() == 0
    process = await Sipp(house, scenario, port, *options, user="bob").start()
    await eventually(lambda: taken(port))
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


@pytest.fixture
def sipp() -> Any:
    """SIPp's phones; skips where it is not installed."""
    if shutil.which("sipp") is None:
        pytest.skip("sipp is not installed")

    return SimpleNamespace(Sipp=Sipp, phone=phone, free_port=free_port)
