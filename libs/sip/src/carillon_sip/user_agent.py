"""The SIP user agent: bytes, flows, commands and `now` in; bytes to send, events and the next timer out.

Invariant: nothing raises out of `receive`, `handle_timer` or `flow_failed`. Commands for a session or transaction that
is already over are ignored, because such races are normal; commands that were never possible raise WrongState.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from carillon_sip.admission import Refusal, refuse_any, refuse_outside
from carillon_sip.commands import Invite, RequestOut, UserAgentSettings
from carillon_sip.context import Context, body_lines, lines
from carillon_sip.dialog import Dialog
from carillon_sip.digest import Credentials
from carillon_sip.errors import ParseError
from carillon_sip.established import Established
from carillon_sip.flow import Flow
from carillon_sip.incoming_calls import IncomingCalls
from carillon_sip.message import Request, Response, header_line
from carillon_sip.outgoing import OutgoingRequest
from carillon_sip.outgoing_calls import OutgoingCalls
from carillon_sip.outputs import CloseFlow, Output, RequestReceived, RequestTimedOut, ResponseReceived, Send, SessionRequest
from carillon_sip.parser import Limits, StreamFramer, parse_message
from carillon_sip.reply import ReplyHead, reply_flow
from carillon_sip.session import AnswerLimit, Session, SessionState, Unacknowledged
from carillon_sip.transaction import ClientTransaction, Failure, Input, ServerTransaction, State, Transaction
from carillon_sip.transaction_invite_server import InviteServerTransaction
from carillon_sip.transaction_layer import ServerKey, server_key

Fields = Sequence[tuple[str, str]]
_PONG = b"\r\n"


class Counts(NamedTuple):
    """How much a user agent holds; all zero when it is idle."""

    sessions: int
    transactions: int
    timers: int
    streams: int


@dataclass(slots=True, eq=False)
class _Asked:
    """A request made with `request()`."""

    transaction: str
    credentials: Credentials | None
    challenged: bool = False
    session: Session | None = None


class UserAgent:
    """One input (`receive`, a command, `handle_timer`, `flow_failed`), then `drain()` every output; arm a clock for `next_timer()`.

    `token` gives unguessable strings of 16 or more characters for tags, branches and Call-IDs. `now` is monotonic, in seconds.
    """

    def __init__(self, settings: UserAgentSettings, token: Callable[[], str]) -> None:
        self._context = Context(settings, token)
        self._incoming = IncomingCalls(self._context)
        self._outgoing = OutgoingCalls(self._context)
        self._established = Established(self._context, self._incoming, self._outgoing)
        self._limits = Limits(message_bytes=settings.max_message_bytes)
        self._streams: dict[Flow, StreamFramer] = {}
        self._stateless_tag = token()
        self._asked = 0

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """One datagram, or the next chunk of a stream."""
        if flow.transport == "udp":
            self._message(data, flow, now)
            return
        framer = self._streams.get(flow)
        if framer is None:
            if len(self._streams) >= self._context.settings.max_stream_flows:
                self._context.outputs.append(CloseFlow(flow))
                return
            framer = self._streams[flow] = StreamFramer(self._limits)
        try:
            messages = framer.feed(data)
        except ParseError:
            self._context.outputs.append(CloseFlow(flow))
            self.flow_failed(flow, now)
            return
        for message in messages:
            if message:
                self._message(message, flow, now)
            else:
                self._context.outputs.append(Send(flow, _PONG))

    def flow_failed(self, flow: Flow, now: float) -> None:
        """The flow cannot be used: sending failed or the connection closed. What waits for it fails with 503."""
        self._streams.pop(flow, None)
        self._context.layer.flow_failed(flow, now)

    def framing(self, flow: Flow) -> tuple[int, int]:
        """Of a stream: messages that came whole so far, and bytes of one that is not whole yet; for limits on slow peers."""
        framer = self._streams.get(flow)
        return (0, 0) if framer is None else (framer.messages, framer.pending)

    def next_timer(self) -> float | None:
        """When to call `handle_timer`, or None."""
        return self._context.timers.next()

    def handle_timer(self, now: float) -> None:
        """Fire every timer that is due."""
        timers = self._context.timers
        while (due := timers.pop_due(now)) is not None:
            owner, name = due
            if isinstance(owner, Transaction):
                self._context.layer.feed(owner, name, now)  # type: ignore[arg-type]
            elif isinstance(owner, Unacknowledged):
                self._established.retransmit(owner, now)
            elif isinstance(owner, AnswerLimit):
                self._answer_limit(owner.session, now)

    def drain(self) -> list[Output]:
        """All outputs since the last drain, in order."""
        outputs = self._context.outputs[:]
        self._context.outputs.clear()
        return outputs

    def counts(self) -> Counts:
        """How much is held now."""
        context = self._context
        transactions = len(context.layer.clients) + len(context.layer.servers)
        return Counts(len(context.sessions), transactions, len(context.timers), len(self._streams))

    def dialog(self, session: str) -> Dialog | None:
        """The dialog of a session, to read; None when there is none (yet)."""
        found = self._context.sessions.get(session)
        return found.dialog if found is not None else None

    def adopt(self, dialog: Dialog, flow: Flow, *, contact: str | None = None) -> str:
        """Take up an answered session that another user agent had (after a restart); returns the session, its local tag.

        `dialog` is what `dialog()` gave; set its `local_cseq` well above what may have been used since. `contact`: a Contact value.
        """
        context = self._context
        ours = contact or f"<{context.contact_uri(flow)}>"
        session = Session(dialog.local_tag, SessionState.UP, flow, ours, outgoing=False, dialog=dialog)
        context.sessions[session.id] = session
        return session.id

    def respond(
        self,
        transaction: str,
        status: int,
        *,
        reason: str | None = None,
        headers: Fields = (),
        body: bytes = b"",
        content_type: str | None = None,
        now: float,
    ) -> None:
        """Answer a RequestReceived or SessionRequest."""
        context = self._context
        found = context.layer.by_name.get(transaction)
        if found is not None:
            fields = context.server_line + body_lines(headers, body, content_type or "application/octet-stream")
            context.layer.reply(found, status, now, reason=reason, fields=fields, body=body)

    def ring(self, session: str, status: int = 180, *, body: bytes = b"", headers: Fields = (), now: float) -> None:
        """Send a provisional response (101..199) to the caller; a body is early media's SDP."""
        if (found := self._context.sessions.get(session)) is not None:
            self._incoming.ring(found, status, body, headers, now)

    def answer(self, session: str, body: bytes, headers: Fields = (), *, now: float) -> None:
        """Send 200 with our SDP; repeated until the ACK comes (SessionAcked)."""
        if (found := self._context.sessions.get(session)) is not None:
            self._incoming.answer(found, body, headers, now)

    def reject(self, session: str, status: int, *, reason: str | None = None, headers: Fields = (), now: float) -> None:
        """Send a final response >= 300; the session is gone."""
        if (found := self._context.sessions.get(session)) is not None:
            self._incoming.reject(found, status, reason, headers, now)

    def invite(self, invite: Invite, *, now: float) -> str:
        """Place a call; returns the session. Raises ValueError when a value holds a line break."""
        return self._outgoing.invite(invite, now)

    def ack(self, session: str, body: bytes, headers: Fields = (), *, now: float) -> None:
        """Answer the offer of a 2xx to an INVITE that had no body."""
        if (found := self._context.sessions.get(session)) is not None:
            self._outgoing.acknowledge(found, body, headers, now)

    def cancel(self, session: str, reason_header: str | None = None, *, now: float) -> None:
        """Give our INVITE up (RFC 3261 section 9.1): held back until the first provisional; BYE when it is answered already."""
        found = self._context.sessions.get(session)
        if found is not None and found.allows("cancel"):
            if found.state in (SessionState.CALLING, SessionState.CANCELLING):
                self._outgoing.cancel(found, reason_header, now)
            else:
                self._established.bye(found, reason_header, now)

    def bye(self, session: str, reason_header: str | None = None, *, now: float) -> None:
        """End an answered session. As callee, held back until the ACK came (RFC 3261 section 15)."""
        if (found := self._context.sessions.get(session)) is not None:
            self._established.bye(found, reason_header, now)

    def reinvite(self, session: str, body: bytes, headers: Fields = (), *, now: float) -> None:
        """Offer new media (ReinviteAnswered, ReinviteFailed)."""
        if (found := self._context.sessions.get(session)) is not None:
            self._established.reinvite(found, body, headers, now)

    def accept_reinvite(self, session: str, body: bytes, headers: Fields = (), *, now: float) -> None:
        """Answer 200 to the far end's re-INVITE."""
        if (found := self._context.sessions.get(session)) is not None:
            self._established.accept_reinvite(found, body, headers, now)

    def reject_reinvite(self, session: str, status: int, *, now: float) -> None:
        """Refuse the far end's re-INVITE; the session goes on as it was."""
        if (found := self._context.sessions.get(session)) is not None:
            self._established.reject_reinvite(found, status, now)

    def request(self, request: RequestOut, *, now: float) -> str:
        """Send a request other than INVITE, ACK, CANCEL, BYE; returns the transaction."""
        if request.method in ("INVITE", "ACK", "CANCEL", "BYE"):
            raise ValueError(f"{request.method} has its own command")
        self._asked += 1
        asked = _Asked(f"c{self._asked}", request.credentials)
        if request.session is not None:
            session = self._context.sessions.get(request.session)
            out = self._established.request_within(session, request) if session is not None else None
            if session is not None:
                asked.session = session
                asked.credentials = request.credentials or session.credentials
        else:
            out = self._request_outside(request)
        if out is None:
            self._context.outputs.append(RequestTimedOut(asked.transaction, "transport"))
        else:
            self._context.layer.start_client(out, self._heard, asked, now)
        return asked.transaction

    def _message(self, data: bytes, flow: Flow, now: float) -> None:
        try:
            message = parse_message(data, self._limits)
        except ParseError as error:
            if error.request is not None:
                self._refuse(error.request, flow, Refusal(error.status), str(error))
            return
        try:
            if isinstance(message, Request):
                self._request(message, flow, now)
            else:
                self._context.layer.receive_response(message, now)
        except ParseError as error:
            if isinstance(message, Request) and message.method != "ACK":
                self._refuse(message, flow, Refusal(error.status), str(error))

    def _request(self, request: Request, flow: Flow, now: float) -> None:
        layer = self._context.layer
        method = request.method
        if method == "ACK":
            self._ack(request, now)
            return
        key = server_key(request, method)
        known = layer.servers.get(key)
        if known is not None:
            layer.feed(known, Input.REQUEST, now)
        elif method == "CANCEL":
            invite = layer.servers.get(server_key(request, "INVITE"))
            if isinstance(invite, InviteServerTransaction):
                self._incoming.cancelled(request, layer.start_server(request, flow, key, now), invite, now)
            else:
                self._refuse(request, flow, Refusal(481), None)
        elif request.to_tag:
            self._within(request, flow, key, now)
        else:
            self._outside(request, flow, key, now)

    def _ack(self, request: Request, now: float) -> None:
        layer = self._context.layer
        known = layer.servers.get(server_key(request, "INVITE"))
        if known is not None:
            layer.feed(known, Input.ACK, now)
        if known is None or known.state is State.ACCEPTED:
            session = self._session_of(request)
            if session is not None:
                self._established.acknowledged(session, request, now)

    def _session_of(self, request: Request) -> Session | None:
        session = self._context.sessions.get(request.to_tag)
        if session is None or session.dialog is None:
            return None
        dialog = session.dialog
        return session if dialog.remote_tag == request.from_tag and dialog.call_id == request.call_id else None

    def _within(self, request: Request, flow: Flow, key: ServerKey, now: float) -> None:
        context = self._context
        if len(context.layer.servers) >= 2 * context.settings.max_transactions:
            return  # Calls that are up have twice the room of new ones; past that nothing more is remembered.
        session = self._session_of(request)
        if session is None or session.dialog is None:
            self._refuse(request, flow, Refusal(481), None)
            return
        transaction = context.layer.start_server(request, flow, key, now)
        refusal = refuse_any(request, context.settings)
        if refusal is not None:
            self._reply(transaction, refusal, now)
        elif not session.dialog.accepts(request.cseq.number):
            self._reply(transaction, Refusal(500), now)
        elif request.method == "BYE":
            self._established.ended_by_peer(session, transaction, request, now)
        elif isinstance(transaction, InviteServerTransaction):
            try:
                self._established.reinvited(session, transaction, request, flow, now)
            except ParseError:
                self._reply(transaction, Refusal(400), now)
        else:
            context.outputs.append(SessionRequest(session.id, context.layer.name(transaction), request))

    def _outside(self, request: Request, flow: Flow, key: ServerKey, now: float) -> None:
        context, settings = self._context, self._context.settings
        full = len(context.layer.servers) >= settings.max_transactions
        if full or (request.method == "INVITE" and len(context.sessions) >= settings.max_sessions):
            self._refuse(request, flow, Refusal(503, (("Retry-After", str(settings.retry_after_seconds)),)), None)
            return
        refusal = refuse_outside(request, settings)
        if refusal is None and context.layer.is_merged(request):
            refusal = Refusal(482)
        if refusal is not None:
            self._refuse(request, flow, refusal, None)
            return
        tag = context.token()
        dialog = Dialog.of_callee(request, tag) if request.method == "INVITE" else None
        transaction = context.layer.start_server(request, flow, key, now)
        transaction.head.to_tag = tag
        if isinstance(transaction, InviteServerTransaction) and dialog is not None:
            self._incoming.offered(request, dialog, transaction, flow, now)
        else:
            context.outputs.append(RequestReceived(context.layer.name(transaction), request, flow))

    def _reply(self, transaction: ServerTransaction, refusal: Refusal, now: float) -> None:
        transaction.head.to_tag = self._stateless_tag
        fields = self._context.server_line + lines(refusal.fields)
        self._context.layer.reply(transaction, refusal.status, now, fields=fields)

    def _refuse(self, request: Request, flow: Flow, refusal: Refusal, reason: str | None) -> None:
        """Answer and remember nothing, so that a flood of it fills no table (section 8.2.7)."""
        if request.method == "ACK":
            return
        head = ReplyHead(request, flow)
        head.to_tag = self._stateless_tag
        phrase = f"Bad Request ({reason})" if reason and refusal.status == 400 else None
        fields = self._context.server_line + lines(refusal.fields)
        self._context.outputs.append(Send(reply_flow(request, flow), head.make(refusal.status, phrase, fields)))

    def _answer_limit(self, session: Session, now: float) -> None:
        if session.state is SessionState.INCOMING:
            self._incoming.answer_limit(session, now)
        elif session.state in (SessionState.CALLING, SessionState.CANCELLING):
            self._outgoing.give_up(session, now)
        else:
            self._established.answer_limit(session, now)

    def _request_outside(self, request: RequestOut) -> OutgoingRequest:
        if request.flow is None or request.from_ is None or request.to is None or not request.request_uri:
            raise ValueError("a request outside a dialog needs flow, request_uri, from_ and to")
        context = self._context
        contact = f"{header_line('Contact', str(request.contact))}\r\n" if request.contact is not None else ""
        content_type = request.content_type or "application/octet-stream"
        return OutgoingRequest(
            method=request.method,
            uri=request.request_uri,
            flow=request.flow,
            branch=context.branch(),
            from_=str(request.from_.with_tag(request.from_.tag or context.token())),
            to=str(request.to),
            call_id=request.call_id or context.token(),
            cseq=request.cseq,
            fields=contact + context.agent_line + body_lines(request.headers, request.body, content_type),
            body=request.body,
            max_forwards=request.max_forwards,
        )

    def _heard(self, transaction: ClientTransaction, event: Response | Failure, now: float) -> None:
        asked = transaction.owner
        if isinstance(event, Failure):
            why = "timeout" if event is Failure.TIMEOUT else "transport"
            self._context.outputs.append(RequestTimedOut(asked.transaction, why))  # type: ignore[arg-type]
            return
        again = self._context.authorized(transaction.request, event, asked) if event.status >= 300 else None
        if again is None:
            self._context.outputs.append(ResponseReceived(asked.transaction, event))
        else:
            if asked.session is not None and asked.session.dialog is not None:
                again.cseq = asked.session.dialog.next_cseq()
            self._context.layer.start_client(again, self._heard, asked, now)
