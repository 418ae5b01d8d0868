"""Calls to us: the callee's side of INVITE, ACK, CANCEL (RFC 3261 sections 9.2, 13.3, 15).

Invariant: every INVITE that was handed to the user gets exactly one final response, ours or the stack's.
"""

from carillon_sip.context import Context, Fields, body_lines, has
from carillon_sip.dialog import Dialog
from carillon_sip.flow import Flow
from carillon_sip.message import Request
from carillon_sip.outputs import InviteReceived, SessionAcked, SessionCancelled, SessionEnded
from carillon_sip.reliable_calls import ReliableCalls
from carillon_sip.reliable_server import Held, State
from carillon_sip.reliable_server import Input as ReliableInput
from carillon_sip.session import AnswerLimit, Session, SessionState, Unacknowledged
from carillon_sip.session_timers import SessionTimers
from carillon_sip.transaction import Failure, Input, ServerTransaction
from carillon_sip.transaction_invite_server import InviteServerTransaction


class IncomingCalls:
    """Sessions in the states INCOMING, ANSWERED, LEAVING."""

    def __init__(self, context: Context, reliable: ReliableCalls, timers: SessionTimers) -> None:
        self._context = context
        self._reliable = reliable
        self._timers = timers
        reliable.accept = self._accept_held
        reliable.give_up = self._never_acknowledged
        self._extended = bool(context.settings.extensions)

    def offered(
        self, request: Request, dialog: Dialog, transaction: InviteServerTransaction, flow: Flow, replaces: str | None, now: float
    ) -> None:
        """A new call, with the dialog that will come of it."""
        context = self._context
        tag = dialog.local_tag
        session = Session(tag, SessionState.INCOMING, flow, f"<{context.contact_uri(flow)}>", outgoing=False)
        session.dialog = dialog
        session.delayed_offer = not request.body
        session.remote_body = request.body
        session.invite_cseq = transaction.cseq
        if self._extended:
            session.peer = session.peer.learn(request)
            refused = self._timers.asked(session, request)
            if refused is not None:
                fields = context.server_line + (self._timers.refusal_line() if refused == 422 else "")
                context.layer.reply(transaction, refused, now, fields=fields)
                return
        session.request = request
        context.sessions[tag] = session
        context.layer.reply(transaction, 100, now)
        self.expect_answer(session, transaction, now)
        context.outputs.append(InviteReceived(tag, request, flow, replaces))

    def expect_answer(self, session: Session, transaction: InviteServerTransaction, now: float) -> None:
        """The INVITE waits for the user's answer."""
        session.server = transaction
        transaction.owner = session
        transaction.listener = self._transport_failed
        settings = self._context.settings
        self._context.timers.set(now + settings.ring_seconds, AnswerLimit(session, transaction), "answer_limit")

    def ring(self, session: Session, status: int, body: bytes, headers: Fields, reliable: bool, now: float) -> None:
        """Send 101..199; reliably when the caller requires it, or can and `reliable`."""
        if not 100 < status < 200:
            raise ValueError(f"{status} is not provisional")
        if session.allows("ring") and session.server is not None:
            fields = self._dialog_lines(session, headers) + body_lines(headers, body)
            if self._reliable.wanted(session, reliable):
                self._reliable.send(session, status, self._context.allow_line + fields, body, now)
            else:
                self._context.layer.reply(session.server, status, now, fields=fields, body=body)

    def answer(self, session: Session, body: bytes, headers: Fields, now: float) -> None:
        """Send 200 to the INVITE."""
        if session.allows("answer") and session.server is not None:
            if session.reliable is not None:
                self._reliable.answer(session, body, headers, now)
            else:
                session.state = SessionState.ANSWERED
                self.accept(session, session.server, body, headers, now)

    def _accept_held(self, session: Session, held: Held, now: float) -> None:
        if session.server is not None:
            session.state = SessionState.ANSWERED
            self.accept(session, session.server, held.body, held.headers, now)

    def _never_acknowledged(self, session: Session, now: float) -> None:
        self._refuse(session, 504, now)
        self._context.outputs.append(SessionCancelled(session.id, "no PRACK"))

    def left(self, session: Session, now: float) -> bool:
        """The user hangs up a call whose 2xx still waits for a PRACK: refuse it; False when there is none."""
        if session.reliable is None or session.reliable.state is not State.HELD:
            return False
        self._refuse(session, 480, now)
        self._context.outputs.append(SessionEnded(session.id, "local", ""))
        return True

    def accept(self, session: Session, transaction: InviteServerTransaction, body: bytes, headers: Fields, now: float) -> None:
        """Send 200 to an INVITE or re-INVITE, and again until its ACK (section 13.3.1.4)."""
        context = self._context
        timer = self._timers.accepted(session, now)
        fields = f"{self._dialog_lines(session, headers)}{context.allow_line}{context.supported_line}{timer}{body_lines(headers, body)}"
        session.local_body = body or session.local_body
        data = context.layer.reply(transaction, 200, now, fields=fields, body=body)
        session.server = None
        self._await_ack(session, transaction, data, now)

    def repeat_answer(self, session: Session, transaction: InviteServerTransaction, data: bytes, now: float) -> None:
        """Send a 2xx that was sent before, until its ACK."""
        self._context.layer.feed(transaction, Input.USER_2XX, now, None, data)
        self._await_ack(session, transaction, data, now)

    def _await_ack(self, session: Session, transaction: InviteServerTransaction, data: bytes, now: float) -> None:
        timing = self._context.settings.timing
        waiting = Unacknowledged(session, transaction, data, timing.t1, now + timing.timeout)
        session.unacknowledged = waiting
        self._context.timers.set(now + timing.t1, waiting, "retransmit")

    def reject(self, session: Session, status: int, reason: str | None, headers: Fields, now: float) -> None:
        """Send a final response >= 300."""
        if not 300 <= status < 700:
            raise ValueError(f"{status} does not refuse")
        if session.allows("reject"):
            self._refuse(session, status, now, reason, self._context.server_line + body_lines(headers, b""))

    def cancelled(self, request: Request, transaction: ServerTransaction, invite: InviteServerTransaction, now: float) -> None:
        """A CANCEL that matches an INVITE: answer it, and the INVITE when it has no final answer yet (section 9.2)."""
        context = self._context
        transaction.head.to_tag = invite.head.to_tag
        context.layer.reply(transaction, 200, now)
        session = invite.owner
        if not isinstance(session, Session) or session.server is not invite:
            return
        if session.state is SessionState.INCOMING:
            self._refuse(session, 487, now)
            context.outputs.append(SessionCancelled(session.id, request.headers.get("reason") or ""))
        else:
            session.server = None
            context.layer.reply(invite, 487, now, fields=context.server_line)

    def hung_up(self, session: Session, reason: str, now: float) -> None:
        """BYE in the early dialog: "the UAS core ... MUST still respond to any pending requests", 487 (section 15.1.2)."""
        self._refuse(session, 487, now)
        self._context.outputs.append(SessionCancelled(session.id, reason))

    def acknowledged(self, session: Session, request: Request) -> bool:
        """An ACK: whether it is the one our 2xx waits for; the user hears of it."""
        waiting = session.unacknowledged
        if waiting is None or waiting.transaction.cseq != request.cseq.number:
            return False
        waiting.done = True
        session.unacknowledged = session.request = None
        session.remote_body = request.body or session.remote_body
        first = session.state in (SessionState.ANSWERED, SessionState.LEAVING)
        if first or request.body:
            self._context.outputs.append(SessionAcked(session.id, request.body))
        if session.state is SessionState.ANSWERED:
            session.state = SessionState.UP
        return True

    def retransmit(self, waiting: Unacknowledged, now: float) -> bool:
        """Send a 2xx again; False when its ACK never came and the session must end."""
        if now >= waiting.ends_at:
            return False
        context = self._context
        context.layer.feed(waiting.transaction, Input.USER_2XX, now, None, waiting.data)
        waiting.interval = min(2 * waiting.interval, context.settings.timing.t2)
        context.timers.set(min(now + waiting.interval, waiting.ends_at), waiting, "retransmit")
        return True

    def answer_limit(self, session: Session, now: float) -> None:
        """Nobody answered within the setting's limit."""
        if session.state is SessionState.INCOMING:
            self._refuse(session, 480, now)
            self._context.outputs.append(SessionCancelled(session.id, "timeout"))

    def _refuse(self, session: Session, status: int, now: float, reason: str | None = None, fields: str = "") -> None:
        transaction = session.server
        session.server = None
        if session.reliable is not None:
            session.reliable.feed(ReliableInput.REFUSE)
        self._context.forget(session)
        if transaction is not None:
            self._context.layer.reply(transaction, status, now, reason=reason, fields=fields)

    def _transport_failed(self, transaction: ServerTransaction, why: Failure, now: float) -> None:
        session = transaction.owner
        if not isinstance(session, Session) or session.server is not transaction:
            return
        session.server = None
        if session.state is SessionState.INCOMING:
            self._context.forget(session)
            self._context.outputs.append(SessionCancelled(session.id, str(why)))

    def _dialog_lines(self, session: Session, headers: Fields) -> str:
        """Contact and the copied Record-Route of a response that makes a dialog (section 12.1.1)."""
        contact = "" if has(headers, "contact") else f"Contact: {session.contact}\r\n"
        routes = session.server.head.record_routes if session.server is not None else ()
        copied = "".join([f"Record-Route: {route}\r\n" for route in routes]) if routes else ""
        return f"{copied}{contact}{self._context.server_line}"
