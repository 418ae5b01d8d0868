"""A test phone, or a test carrier: registers, places and takes calls by `carillon_sip.UserAgent` over one UDP socket.

Always: what it does when called is data (`Behaviour`); every call leaves a diary and what was heard; every wait has a deadline.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Self, cast

from carillon_cli.phone.call import ANSWERS, Behaviour, Identity, PhoneCall, PhoneError
from carillon_cli.phone.rtp import PAYLOAD_TYPES, AudioPort
from carillon_sip.commands import Invite, RequestOut, UserAgentSettings
from carillon_sip.digest import Credentials
from carillon_sip.errors import ParseError
from carillon_sip.flow import Flow
from carillon_sip.message import Request
from carillon_sip.outputs import (
    InviteReceived,
    Output,
    ReinviteAnswered,
    ReinviteFailed,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    Send,
    SessionAnswered,
    SessionCancelled,
    SessionEnded,
    SessionFailed,
    SessionProgress,
    SessionReinvited,
    SessionRequest,
)
from carillon_sip.sdp import AudioStream, Codec, Direction, SessionDescription
from carillon_sip.uri import NameAddr, Uri
from carillon_sip.user_agent import UserAgent

ANSWER_SECONDS = 10.0
REGISTER_EXPIRES = 600
TELEPHONE_EVENT = 101
USER_AGENT = "Carillon-Test-Phone"


class Phone(asyncio.DatagramProtocol):
    """Made by `start`; `stop` ends its calls, unregisters and closes the socket."""

    def __init__(self, identity: Identity, server: tuple[str, int], tone_hz: int, behaviour: Callable[[str], Behaviour]) -> None:
        self.identity, self.server, self.tone_hz = identity, server, tone_hz
        self.behaviour = behaviour
        self.calls: list[PhoneCall] = []
        self.registered = False
        self._agent = UserAgent(UserAgentSettings(user_agent=USER_AGENT, contact_user=identity.user), lambda: secrets.token_hex(12))
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._by_session: dict[str, PhoneCall] = {}
        self._replies: dict[str, asyncio.Future[int]] = {}
        self._register_call_id = secrets.token_hex(12)
        self._register_cseq = 0
        self._opening: set[asyncio.Task[None]] = set()
        self._arrived: asyncio.Queue[PhoneCall] = asyncio.Queue(1_000)

    @classmethod
    async def start(
        cls,
        identity: Identity,
        server: tuple[str, int],
        tone_hz: int,
        behaviour: Callable[[str], Behaviour] | Behaviour = ANSWERS,
        *,
        ip: str = "127.0.0.1",
        port: int = 0,
    ) -> Self:
        """Bind the socket (port 0: a free one) and, with a password, register. Raises `PhoneError`, OSError."""
        chosen = behaviour if callable(behaviour) else lambda _: behaviour
        _, phone = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: cls(identity, server, tone_hz, chosen), local_addr=(ip, port)
        )
        if identity.password:
            try:
                await phone.register()
            except PhoneError:
                phone.close()
                raise
        return phone

    @property
    def address(self) -> tuple[str, int]:
        assert self._transport is not None
        ip, port = self._transport.get_extra_info("sockname")[:2]
        return str(ip), int(port)

    @property
    def flow(self) -> Flow:
        """Over which this phone reaches its server."""
        return Flow("udp", self.address, self.server)

    @property
    def contact(self) -> NameAddr:
        return NameAddr(Uri("sip", self.identity.user, self.address[0], self.address[1]))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._agent.receive(data, Flow("udp", self.address, (addr[0], addr[1])), self._now())
        self._run()

    def error_received(self, exc: Exception) -> None:
        """ICMP: the transaction's own timers decide."""

    async def register(self, expires: int = REGISTER_EXPIRES) -> None:
        """Register, or with 0 take the registration back. Raises `PhoneError`."""
        self._register_cseq += 10
        me = NameAddr(Uri("sip", self.identity.user, self.identity.domain), self.identity.name)
        request = RequestOut(
            "REGISTER",
            flow=self.flow,
            request_uri=f"sip:{self.identity.domain}",
            from_=me,
            to=me,
            contact=self.contact,
            headers=(("Expires", str(expires)),),
            call_id=self._register_call_id,
            cseq=self._register_cseq,
            credentials=Credentials(self.identity.user, self.identity.password),
        )
        transaction = self._agent.request(request, now=self._now())
        reply = self._replies[transaction] = asyncio.get_running_loop().create_future()
        self._run()
        try:
            status = await asyncio.wait_for(reply, ANSWER_SECONDS)
        except TimeoutError:
            status = 408
        if status != 200:
            raise PhoneError(f"{self.identity.user} cannot register: {status}")
        self.registered = expires > 0

    async def call(self, number: str, *, caller: str = "") -> PhoneCall:
        """Place a call to a number of the server's; a carrier names the `caller`. The call has just been sent when this returns."""
        audio = await AudioPort.open(self.address[0], self.tone_hz)
        call_id = secrets.token_hex(12)
        domain = self.identity.domain or f"{self.server[0]}:{self.server[1]}"
        own_domain = self.identity.domain or self.address[0]
        target = Uri.parse(f"sip:{number}@{domain}")
        invite = Invite(
            flow=self.flow,
            request_uri=str(target),
            from_=NameAddr(Uri.parse(f"sip:{caller or self.identity.user}@{own_domain}"), self.identity.name),
            to=NameAddr(target),
            contact=self.contact,
            body=self._description(audio, "sendrecv", 1, offer=True),
            call_id=call_id,
            credentials=Credentials(self.identity.user, self.identity.password) if self.identity.password else None,
        )
        session = self._agent.invite(invite, now=self._now())
        call = PhoneCall(session, number, False, audio, call_id)
        call.note(f"calls {number}")
        self._keep(call)
        self._run()
        return call

    async def next_call(self, seconds: float = ANSWER_SECONDS) -> PhoneCall:
        """The next incoming call, also one that came before. Raises `PhoneError` when none comes in time."""
        try:
            return await asyncio.wait_for(self._arrived.get(), seconds)
        except TimeoutError as error:
            raise PhoneError(f"{self.identity.user} was not called within {seconds:g} s") from error

    async def answered(self, call: PhoneCall, seconds: float = ANSWER_SECONDS) -> bool:
        """Wait until the call is answered or over; whether it was answered. Raises `PhoneError` when neither happens in time."""
        waits = [asyncio.create_task(call.answered.wait()), asyncio.create_task(call.over.wait())]
        done, rest = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        if not done:
            raise PhoneError(f"the call of {self.identity.user} to {call.peer} was not answered within {seconds:g} s")
        return call.answered.is_set()

    async def ended(self, call: PhoneCall, seconds: float = ANSWER_SECONDS) -> None:
        """Wait until the call is over. Raises `PhoneError` when it is not in time."""
        try:
            await asyncio.wait_for(call.over.wait(), seconds)
        except TimeoutError as error:
            raise PhoneError(f"the call of {self.identity.user} with {call.peer} is not over after {seconds:g} s") from error

    def press(self, call: PhoneCall, keys: str) -> None:
        """Send keys by RFC 4733."""
        call.note(f"presses {keys}")
        call.audio.press(keys)

    def hold(self, call: PhoneCall, *, held: bool = True) -> None:
        """Put the other side on hold (RFC 3264 section 8.4), or take it back."""
        call.version += 1
        call.note("holds" if held else "resumes")
        body = self._description(call.audio, "sendonly" if held else "sendrecv", call.version, offer=True)
        self._agent.reinvite(call.session, body, now=self._now())
        self._run()

    def hang_up(self, call: PhoneCall) -> None:
        """End the call, or give it up when it is not answered yet."""
        if call.over.is_set():
            return
        call.note("hangs up")
        if call.up:
            self._agent.bye(call.session, now=self._now())
        elif call.incoming:
            self._agent.reject(call.session, 603, now=self._now())
            self._over(call, "declined", 603)
        else:
            self._agent.cancel(call.session, now=self._now())
        self._run()

    def forget(self) -> None:
        """Forget the calls that are over and were not asked for."""
        self.calls = [call for call in self.calls if not call.over.is_set()]
        while not self._arrived.empty():
            self._arrived.get_nowait()

    async def stop(self) -> None:
        """End what is up, take the registration back, close."""
        for call in self.calls:
            self.hang_up(call)
        if self.registered:
            try:
                await asyncio.wait_for(self.register(0), 2)
            except (PhoneError, TimeoutError):
                self.registered = False
        self.close()

    def close(self) -> None:
        """Close all sockets at once."""
        for task in self._opening:
            task.cancel()
        for call in self.calls:
            call.audio.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()

    # -- inputs and outputs of the user agent

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _run(self) -> None:
        """Carry out what the user agent wants, arm its next timer."""
        for output in self._agent.drain():
            if isinstance(output, Send):
                if self._transport is not None and not self._transport.is_closing():
                    self._transport.sendto(output.data, output.flow.remote)
            else:
                self._handle(output)
        if self._timer is not None:
            self._timer.cancel()
        due = self._agent.next_timer()
        self._timer = None if due is None else asyncio.get_running_loop().call_at(due, self._tick)

    def _tick(self) -> None:
        self._agent.handle_timer(self._now())
        self._run()

    def _handle(self, output: Output) -> None:
        match output:
            case InviteReceived(session=session, request=request):
                task = asyncio.create_task(self._called(session, request))
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)
            case RequestReceived(transaction=transaction, request=request) | SessionRequest(transaction=transaction, request=request):
                self._agent.respond(transaction, 200 if request.method in ("OPTIONS", "INFO", "NOTIFY") else 501, now=self._now())
                self._later()
            case ResponseReceived(transaction=transaction, response=response):
                if response.status >= 200:
                    self._replied(transaction, response.status)
            case RequestTimedOut(transaction=transaction):
                self._replied(transaction, 408)
            case _:
                if (call := self._by_session.get(getattr(output, "session", ""))) is not None:
                    self._of_call(call, output)

    def _of_call(self, call: PhoneCall, output: Output) -> None:
        match output:
            case SessionProgress(response=response):
                call.note(f"hears {response.status}")
                if response.body:
                    self._media(call, response.body)
            case SessionAnswered(response=response):
                self._answered(call, response.body)
            case SessionFailed(status=status, reason=reason):
                self._over(call, reason or str(status), status)
            case SessionCancelled(reason=reason):
                call.cancelled = reason
                self._over(call, f"given up by the caller {reason}".strip(), 487)
            case SessionEnded(by=by):
                self._over(call, {"remote": "the other side hangs up", "local": "over"}.get(by, f"over: {output.reason}"), 0)
            case SessionReinvited(session=session, body=body):
                self._reinvited(call, session, body)
            case ReinviteAnswered(body=body):
                self._media(call, body)
            case ReinviteFailed(status=status):
                call.note(f"re-INVITE refused: {status}")
            case _:
                pass

    async def _called(self, session: str, request: Request) -> None:
        """A new call: ring, and do what the behaviour says."""
        number = Uri.parse(request.uri).user
        behaviour = self.behaviour(number)
        call = PhoneCall(
            session, number, True, await AudioPort.open(self.address[0], self.tone_hz), request.call_id, request.from_.uri.user
        )
        self._keep(call)
        self._arrived.put_nowait(call)
        if behaviour.reject is not None:
            self._agent.reject(session, behaviour.reject, now=self._now())
            self._over(call, f"refuses with {behaviour.reject}", behaviour.reject)
        else:
            self._agent.ring(session, now=self._now())
            call.note("rings")
            if behaviour.ring_seconds is not None:
                call.answer_timer = asyncio.get_running_loop().call_later(
                    behaviour.ring_seconds, self._answer, call, request.body, behaviour
                )
        self._run()

    def _answer(self, call: PhoneCall, offer: bytes, behaviour: Behaviour) -> None:
        if call.over.is_set():
            return
        body = self._description(call.audio, "sendrecv", 1, offer=not offer, codec=self._media(call, offer) if offer else "PCMA")
        self._agent.answer(call.session, body, now=self._now())
        call.note("answers")
        call.up = True
        call.answered.set()
        if behaviour.talk_seconds is not None:
            asyncio.get_running_loop().call_later(behaviour.talk_seconds, self.hang_up, call)
        self._run()

    def _answered(self, call: PhoneCall, body: bytes) -> None:
        call.note("is answered")
        call.up = True
        if body:
            self._media(call, body)
        call.answered.set()

    def _reinvited(self, call: PhoneCall, session: str, body: bytes) -> None:
        call.version += 1
        held = bool(body) and (audio := SessionDescription.parse(body).audio) is not None and audio.direction in ("sendonly", "inactive")
        call.note("is held" if held else "gets a new offer")
        codec = self._media(call, body) if body else "PCMA"
        answer = self._description(call.audio, "recvonly" if held else "sendrecv", call.version, offer=not body, codec=codec)
        self._agent.accept_reinvite(session, answer, now=self._now())
        self._later()

    def _media(self, call: PhoneCall, body: bytes) -> str:
        """Talk to where a description says; the codec chosen (the first G.711 offered)."""
        try:
            audio = SessionDescription.parse(body).audio
        except ParseError:
            audio = None
        if audio is None:
            return "PCMA"
        codec = next((codec.name for codec in audio.codecs if codec.name in PAYLOAD_TYPES.values()), "PCMA")
        call.audio.speaking = audio.direction in ("sendrecv", "recvonly")
        if audio.port:
            call.audio.talk((audio.address, audio.port), codec, audio.telephone_event)
        return codec

    def _description(self, audio: AudioPort, direction: Direction, version: int, *, offer: bool, codec: str = "PCMA") -> bytes:
        types = sorted(PAYLOAD_TYPES.items(), reverse=True) if offer else [item for item in PAYLOAD_TYPES.items() if item[1] == codec]
        event = audio.telephone_event if not offer and audio.telephone_event is not None else TELEPHONE_EVENT
        codecs = tuple(Codec(number, name) for number, name in types)
        stream = AudioStream(self.address[0], audio.port, codecs, direction, event, 20)
        return SessionDescription.for_audio(stream, session_id=audio.port, version=version).to_bytes()

    def _keep(self, call: PhoneCall) -> None:
        self.calls.append(call)
        self._by_session[call.session] = call

    def _over(self, call: PhoneCall, reason: str, status: int) -> None:
        call.note(reason)
        call.status, call.reason, call.up = status, reason, False
        if call.answer_timer is not None:
            call.answer_timer.cancel()
        self._by_session.pop(call.session, None)
        call.audio.close()
        call.over.set()

    def _replied(self, transaction: str, status: int) -> None:
        reply = self._replies.pop(transaction, None)
        if reply is not None and not reply.done():
            reply.set_result(status)

    def _later(self) -> None:
        """Drain again: a command was given while outputs were being handled."""
        asyncio.get_running_loop().call_soon(self._run)
