"""A test phone, or a test carrier: registers, places and takes calls by `carillon_sip.UserAgent` over one UDP socket.

Always: what it does when called is data (`Behaviour`); every call leaves a diary and what was heard; every wait has a deadline.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Self

from carillon_cli.phone.call import ANSWERS, Behaviour, Identity, PhoneCall, PhoneError
from carillon_cli.phone.description import answer, audio_of, codec_of, holds, offer
from carillon_cli.phone.endpoint import Endpoint
from carillon_cli.phone.rtp import AudioPort
from carillon_sip.commands import Invite, RequestOut, UserAgentSettings
from carillon_sip.digest import Credentials
from carillon_sip.message import Request
from carillon_sip.outputs import (
    InviteReceived,
    Output,
    ReinviteAnswered,
    ReinviteFailed,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    SessionAnswered,
    SessionCancelled,
    SessionEnded,
    SessionFailed,
    SessionProgress,
    SessionReinvited,
    SessionRequest,
)
from carillon_sip.uri import NameAddr, Uri

ANSWER_SECONDS = 10.0
REGISTER_EXPIRES = 600
USER_AGENT = "Carillon-Test-Phone"


class Phone(Endpoint):
    """Made by `start`; `stop` ends its calls, unregisters and closes the socket."""

    def __init__(self, identity: Identity, server: tuple[str, int], tone_hz: int, behaviour: Callable[[str], Behaviour]) -> None:
        super().__init__(server, UserAgentSettings(user_agent=USER_AGENT, contact_user=identity.user))
        self.identity, self.tone_hz = identity, tone_hz
        self.behaviour = behaviour
        self.calls: list[PhoneCall] = []
        self.registered = False
        self._by_session: dict[str, PhoneCall] = {}
        self._replies: dict[str, asyncio.Future[int]] = {}
        self._register_call_id = secrets.token_hex(12)
        self._register_cseq = 0
        self._opening: set[asyncio.Task[None]] = set()
        #: Cancelled while the audio port was still being opened.
        self._given_up: set[str] = set()
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
    def contact(self) -> NameAddr:
        return NameAddr(Uri("sip", self.identity.user, self.address[0], self.address[1]))

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
        transaction = self.agent.request(request, now=self.now)
        reply = self._replies[transaction] = asyncio.get_running_loop().create_future()
        self.run()
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
            body=offer(self.address[0], audio.port, "sendrecv", 1),
            call_id=call_id,
            credentials=Credentials(self.identity.user, self.identity.password) if self.identity.password else None,
        )
        session = self.agent.invite(invite, now=self.now)
        call = PhoneCall(session, number, False, audio, call_id)
        call.note(f"calls {number}")
        self._keep(call)
        self.run()
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
        body = offer(self.address[0], call.audio.port, "sendonly" if held else "sendrecv", call.version)
        self.agent.reinvite(call.session, body, now=self.now)
        self.run()

    def hang_up(self, call: PhoneCall) -> None:
        """End the call, or give it up when it is not answered yet."""
        if call.over.is_set():
            return
        call.note("hangs up")
        if call.up:
            self.agent.bye(call.session, now=self.now)
        elif call.incoming:
            self.agent.reject(call.session, 603, now=self.now)
            self._over(call, "declined", 603)
        else:
            self.agent.cancel(call.session, now=self.now)
        self.run()

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
        super().close()

    def handle(self, output: Output) -> None:
        match output:
            case InviteReceived(session=session, request=request):
                task = asyncio.create_task(self._called(session, request))
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)
            case RequestReceived(transaction=transaction, request=request) | SessionRequest(transaction=transaction, request=request):
                self.agent.respond(transaction, 200 if request.method in ("OPTIONS", "INFO", "NOTIFY") else 501, now=self.now)
            case ResponseReceived(transaction=transaction, response=response):
                if response.status >= 200:
                    self._replied(transaction, response.status)
            case RequestTimedOut(transaction=transaction):
                self._replied(transaction, 408)
            case _:
                session = getattr(output, "session", "")
                if (call := self._by_session.get(session)) is not None:
                    self._of_call(call, output)
                elif isinstance(output, SessionCancelled):
                    self._given_up.add(session)

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
        if session in self._given_up:
            self._given_up.discard(session)
            self._over(call, "given up by the caller", 487)
        elif behaviour.reject is not None:
            self.agent.reject(session, behaviour.reject, now=self.now)
            self._over(call, f"refuses with {behaviour.reject}", behaviour.reject)
        else:
            self.agent.ring(session, now=self.now)
            call.note("rings")
            if behaviour.ring_seconds is not None:
                call.answer_timer = asyncio.get_running_loop().call_later(
                    behaviour.ring_seconds, self._answer, call, request.body, behaviour
                )
        self.run()

    def _answer(self, call: PhoneCall, body: bytes, behaviour: Behaviour) -> None:
        if call.over.is_set():
            return
        self.agent.answer(call.session, self._reply(call, body), now=self.now)
        call.note("answers")
        call.up = True
        call.answered.set()
        if behaviour.talk_seconds is not None:
            asyncio.get_running_loop().call_later(behaviour.talk_seconds, self.hang_up, call)
        self.run()

    def _answered(self, call: PhoneCall, body: bytes) -> None:
        call.note("is answered")
        call.up = True
        if body:
            self._media(call, body)
        call.answered.set()

    def _reinvited(self, call: PhoneCall, session: str, body: bytes) -> None:
        call.version += 1
        call.note("is held" if holds(audio_of(body)) else "gets a new offer")
        self.agent.accept_reinvite(session, self._reply(call, body), now=self.now)

    def _reply(self, call: PhoneCall, body: bytes) -> bytes:
        """Our description for theirs: the answer, or an offer when they sent none."""
        far = audio_of(body)
        if far is None:
            return offer(self.address[0], call.audio.port, "sendrecv", call.version)
        self._media(call, body)
        return answer(self.address[0], call.audio.port, far, call.version)

    def _media(self, call: PhoneCall, body: bytes) -> None:
        """Talk to where a description says."""
        far = audio_of(body)
        if far is not None:
            call.audio.speaking = far.direction in ("sendrecv", "recvonly")
            if far.port:
                call.audio.talk((far.address, far.port), codec_of(far), far.telephone_event)

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
