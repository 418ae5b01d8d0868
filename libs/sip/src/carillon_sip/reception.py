"""Messages that come in: which part of the user agent each is for, and what is refused at the door (RFC 3261 section 8.2).

Invariant: nothing raises out of `message`; every request other than ACK is answered or handed to somebody who answers it.
"""

from collections.abc import Callable

from carillon_sip.admission import Refusal, refuse_any, refuse_outside
from carillon_sip.context import Context, lines
from carillon_sip.dialog import Dialog
from carillon_sip.errors import ParseError
from carillon_sip.established import Established
from carillon_sip.flow import Flow
from carillon_sip.incoming_calls import IncomingCalls
from carillon_sip.message import Request, Response
from carillon_sip.outputs import RequestReceived, Send, SessionRequest
from carillon_sip.parser import Limits, parse_message
from carillon_sip.reliable_calls import ReliableCalls
from carillon_sip.replacing import replaced
from carillon_sip.reply import ReplyHead, reply_flow
from carillon_sip.session import Session, SessionState
from carillon_sip.transaction import Input, ServerTransaction, State
from carillon_sip.transaction_invite_server import InviteServerTransaction
from carillon_sip.transaction_layer import ServerKey, server_key
from carillon_sip.updates import Updates
from carillon_sip.usages import Usages

#: What becomes of a message that an edge passes on: where it goes, the status to refuse it with, or None: it is for us.
PassOn = Callable[[Request | Response, Flow], Send | int | None]
_USAGE_METHODS = frozenset({"REFER", "NOTIFY", "SUBSCRIBE"})


class Reception:
    """The way in."""

    def __init__(
        self, context: Context, incoming: IncomingCalls, established: Established, reliable: ReliableCalls, updates: Updates, usages: Usages
    ) -> None:
        self._context = context
        self._reliable = reliable
        self._updates = updates
        self._usages = usages
        self._replaces = "replaces" in context.settings.extensions
        self._incoming = incoming
        self._established = established
        self.limits = Limits(message_bytes=context.settings.max_message_bytes)
        self._stateless_tag = context.token()
        self.pass_on: PassOn | None = None

    def message(self, data: bytes, flow: Flow, now: float) -> None:
        """One whole message."""
        try:
            message = parse_message(data, self.limits)
        except ParseError as error:
            self.unreadable(error, flow)
            return
        try:
            if self.pass_on is not None and (passed := self.pass_on(message, flow)) is not None:
                self._passed(message, flow, passed)
            elif isinstance(message, Request):
                self._request(message, flow, now)
            else:
                self._context.layer.receive_response(message, now)
        except ParseError as error:
            if isinstance(message, Request) and message.method != "ACK":
                self._refuse(message, flow, Refusal(error.status), str(error))

    def _passed(self, message: Request | Response, flow: Flow, passed: Send | int) -> None:
        if isinstance(passed, Send):
            self._context.outputs.append(passed)
        elif isinstance(message, Request):
            self._refuse(message, flow, Refusal(passed), None)

    def unreadable(self, error: ParseError, flow: Flow) -> None:
        """What came could not be read; it is answered where it was a request that can be."""
        if error.request is not None:
            self._refuse(error.request, flow, Refusal(error.status), str(error))

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
            found = self._session_of(request)
            if found is not None:
                self._established.acknowledged(found[0], request, now)

    def _session_of(self, request: Request) -> tuple[Session, Dialog] | None:
        session = self._context.sessions.get(request.to_tag)
        if session is None:
            return None
        dialog = session.dialog
        if dialog is None:
            early = session.early_with(request.from_tag)
            if early is None:
                return None
            dialog = early.dialog
        return (session, dialog) if dialog.remote_tag == request.from_tag and dialog.call_id == request.call_id else None

    def _within(self, request: Request, flow: Flow, key: ServerKey, now: float) -> None:
        context = self._context
        if len(context.layer.servers) >= 2 * context.settings.max_transactions:
            return  # Calls that are up have twice the room of new ones; past that nothing more is remembered.
        found = self._session_of(request)
        session = None
        if found is not None:
            session, dialog = found
        else:
            usage = self._usages.dialog_of(request)
            if usage is None:
                self._refuse(request, flow, Refusal(481), None)
                return
            dialog = usage
        transaction = context.layer.start_server(request, flow, key, now)
        refusal = refuse_any(request, context.settings)
        if refusal is not None:
            self._reply(transaction, refusal, now)
        elif not dialog.accepts(request.cseq.number):
            self._reply(transaction, Refusal(500), now)
        elif session is None:
            self._use(dialog, transaction, request, flow, now)
        elif session.dialog is None and request.method in ("BYE", "INVITE"):
            # "the callee's UA MUST NOT send a BYE on a confirmed dialog until ..., nor on an early dialog" (section 15)
            self._reply(transaction, Refusal(481 if request.method == "BYE" else 491), now)
        elif request.method == "BYE":
            self._established.ended_by_peer(session, transaction, request, now)
        elif session.state is SessionState.ENDING:
            # "The UAC MUST consider the session terminated ... as soon as the BYE request is passed to the client transaction" (15.1.1)
            self._use(dialog, transaction, request, flow, now)
        else:
            try:
                self._obey(session, dialog, transaction, request, flow, now)
            except ParseError:
                self._reply(transaction, Refusal(400), now)

    def _use(self, dialog: Dialog, transaction: ServerTransaction, request: Request, flow: Flow, now: float) -> None:
        """A request within a dialog that has no call (any more)."""
        try:
            taken = self._usages.within(None, dialog, transaction, request, flow, now)
        except ParseError:
            self._reply(transaction, Refusal(400), now)
        else:
            if not taken:
                self._reply(transaction, Refusal(481), now)

    def _obey(self, session: Session, dialog: Dialog, transaction: ServerTransaction, request: Request, flow: Flow, now: float) -> None:
        """A request within a session that is in order; raises ParseError."""
        context, method = self._context, request.method
        if isinstance(transaction, InviteServerTransaction):
            self._established.reinvited(session, transaction, request, flow, now)
        elif method == "PRACK" and "100rel" in context.settings.extensions:
            self._reliable.pracked(session, transaction, request, now)
        elif method == "UPDATE":
            early = session.early_with(request.from_tag)
            self._updates.received(session, dialog, early, transaction, request, flow, now)
        elif method not in _USAGE_METHODS or not self._usages.within(session, dialog, transaction, request, flow, now):
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
        replaced_session = self._replaced(request)
        if isinstance(replaced_session, int):
            self._refuse(request, flow, Refusal(replaced_session), None)
            return
        tag = context.token()
        makes_dialog = request.method == "INVITE" or self._usages.makes_dialog(request)
        dialog = Dialog.of_callee(request, tag) if makes_dialog else None
        transaction = context.layer.start_server(request, flow, key, now)
        transaction.head.to_tag = tag
        if isinstance(transaction, InviteServerTransaction) and dialog is not None:
            self._incoming.offered(request, dialog, transaction, flow, replaced_session, now)
        elif dialog is not None:
            try:
                self._usages.begin(dialog, transaction, request, flow, now)
            except ParseError:
                self._reply(transaction, Refusal(400), now)
        else:
            context.outputs.append(RequestReceived(context.layer.name(transaction), request, flow))

    def _replaced(self, request: Request) -> str | int | None:
        """The session that an INVITE is to replace, or the status to refuse it with."""
        if not self._replaces or "replaces" not in request.headers.index():
            return None
        if request.method != "INVITE":
            # "If a Replaces header field is present in a request other than INVITE, the UAS MUST reject ... with a 400"
            return 400
        found = replaced(request, self._context.sessions)
        return found.id if isinstance(found, Session) else found

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
