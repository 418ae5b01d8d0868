"""Answered sessions: re-INVITE both ways, BYE, and other requests within the dialog (RFC 3261 sections 12.2, 14, 15).

Invariant: at most one re-INVITE is under way in each session, theirs or ours (491 on glare).
"""

from contextlib import suppress
from dataclasses import replace

from carillon_sip.commands import RequestOut
from carillon_sip.context import Context, Fields, body_lines, has, lines
from carillon_sip.dialog import Dialog
from carillon_sip.errors import ParseError, WrongState
from carillon_sip.flow import Flow
from carillon_sip.incoming_calls import IncomingCalls
from carillon_sip.message import Request, Response
from carillon_sip.outgoing import OutgoingRequest
from carillon_sip.outgoing_calls import OutgoingCalls
from carillon_sip.outputs import ReinviteAnswered, ReinviteFailed, SessionReinvited
from carillon_sip.session import AnswerLimit, Session, SessionState, Unacknowledged
from carillon_sip.session_timers import SessionTimers
from carillon_sip.transaction import ClientListener, ClientTransaction, Failure, ServerTransaction
from carillon_sip.transaction_invite_client import InviteClientTransaction
from carillon_sip.transaction_invite_server import InviteServerTransaction
from carillon_sip.updates import AGAIN, Updates, glare_pause, retry_after

_S = SessionState


class Established:
    """Sessions in the states UP and ENDING, and what ends them."""

    def __init__(self, context: Context, incoming: IncomingCalls, outgoing: OutgoingCalls, updates: Updates, timers: SessionTimers) -> None:
        self._context = context
        self._incoming = incoming
        self._outgoing = outgoing
        self._updates = updates
        self._timers = timers
        timers.refresh = self._refresh
        timers.expired = self._expired

    def bye(self, session: Session, reason: str | None, now: float) -> None:
        """End it from our side."""
        if self._incoming.left(session, now) or not session.allows("bye"):
            return
        if reason:
            session.reason = lines((("Reason", reason),))
        if session.state in (_S.ANSWERED, _S.LEAVING):
            # "the callee's UA MUST NOT send a BYE on a confirmed dialog until it has received an ACK for its 2xx response"
            session.state = _S.LEAVING
        else:
            self._send_bye(session, now)

    def acknowledged(self, session: Session, request: Request, now: float) -> None:
        """An ACK for a 2xx came."""
        if self._incoming.acknowledged(session, request) and session.state is _S.LEAVING:
            self._send_bye(session, now)

    def retransmit(self, waiting: Unacknowledged, now: float) -> None:
        """A 2xx has no ACK yet; after 64*T1 "the dialog is confirmed, but the session SHOULD be terminated" with BYE."""
        if self._incoming.retransmit(waiting, now):
            return
        session = waiting.session
        if session.dialog is not None:
            self._bye_request(session, session.dialog, now, _ignored)
        self._context.ended(session, "timeout", "no ACK")

    def ended_by_peer(self, session: Session, transaction: ServerTransaction, request: Request, now: float) -> None:
        """BYE came: answer 200, and 487 to what else waits."""
        self._context.layer.reply(transaction, 200, now, fields=self._context.server_line)
        reason = request.headers.get("reason") or ""
        if session.state is _S.INCOMING:
            self._incoming.hung_up(session, reason, now)
            return
        if session.server is not None:
            self._context.layer.reply(session.server, 487, now)
            session.server = None
        self._updates.refuse(session, 487, now)
        self._context.ended(session, "local" if session.state in (_S.ENDING, _S.LEAVING) else "remote", reason)

    def reinvite(self, session: Session, body: bytes, headers: Fields, now: float) -> None:
        """Send a re-INVITE, or say 491 when another INVITE is under way."""
        if not session.allows("reinvite") or session.dialog is None:
            return
        if session.client is not None:
            raise WrongState("a re-INVITE of ours is under way")
        busy = session.server is not None or session.unacknowledged is not None or session.state is not _S.UP
        if busy or session.offered or session.update is not None:
            self._context.outputs.append(ReinviteFailed(session.id, 491, retry_after=glare_pause(session)))
            return
        session.refreshing = False
        self._send_reinvite(session, session.dialog, body, headers, now)

    def tell(self, session: Session, headers: Fields, now: float) -> None:
        """UPDATE without an offer, or the same offer again; nothing where neither is possible."""
        if self._takes_update(session):
            self._updates.update(session, b"", headers, now)
        elif session.client is not None:
            self._context.outputs.append(ReinviteFailed(session.id, 491, retry_after=glare_pause(session)))
        elif session.local_body:
            self.reinvite(session, session.local_body, headers, now)

    def _takes_update(self, session: Session) -> bool:
        return "UPDATE" in session.peer.allow and "UPDATE" in self._context.settings.methods

    def _send_reinvite(self, session: Session, dialog: Dialog, body: bytes, headers: Fields, now: float) -> None:
        context = self._context
        contact = "" if has(headers, "contact") else f"Contact: {session.contact}\r\n"
        timer = self._timers.request_lines(session, headers)
        fields = f"{contact}{context.agent_line}{context.allow_line}{context.supported_line}{timer}{body_lines(headers, body)}"
        session.local_body = body or session.local_body
        request = dialog.request("INVITE", session.flow, context.branch(), fields, body)
        session.challenged = False
        self._start_reinvite(session, request, now)

    def _start_reinvite(self, session: Session, request: OutgoingRequest, now: float) -> None:
        context = self._context
        transaction = context.layer.start_client(request, self._reinvite_heard, session, now)
        if isinstance(transaction, InviteClientTransaction):
            session.client = transaction
            # Nobody rings for a re-INVITE; and after a BYE its answer may never come.
            context.timers.set(now + 2 * context.settings.timing.timeout, AnswerLimit(session, transaction), "answer_limit")

    def reinvited(self, session: Session, transaction: InviteServerTransaction, request: Request, flow: Flow, now: float) -> None:
        """A re-INVITE came, in order."""
        layer = self._context.layer
        if session.server is not None:
            # "MUST return a 500 ... with a Retry-After header field with a randomly chosen value of between 0 and 10 seconds"
            layer.reply(transaction, 500, now, fields=f"Retry-After: {transaction.cseq % 10}\r\n")
        elif session.offered:
            layer.reply(transaction, 500, now, fields=f"Retry-After: {transaction.cseq % 10}\r\n")
        elif session.client is not None or session.update is not None or session.unacknowledged is not None or session.state is not _S.UP:
            layer.reply(transaction, 491, now, fields=self._context.server_line)
        elif (status := self._timers.asked(session, request)) is not None:
            fields = self._timers.refusal_line() if status == 422 else ""
            layer.reply(transaction, status, now, fields=self._context.server_line + fields)
        else:
            if session.dialog is not None:
                session.dialog.refresh_target(request)
            session.flow = flow
            session.peer = session.peer.learn(request) if self._context.settings.extensions else session.peer
            session.remote_body = request.body or session.remote_body
            layer.reply(transaction, 100, now)
            session.request = request
            session.server = transaction
            transaction.owner = session
            transaction.listener = self._reinvite_lost
            self._context.timers.set(now + self._context.settings.timing.timeout, AnswerLimit(session, transaction), "answer_limit")
            self._context.outputs.append(SessionReinvited(session.id, request.body, flow=flow))

    def accept_reinvite(self, session: Session, body: bytes, headers: Fields, now: float) -> None:
        """200 to their re-INVITE, UPDATE or PRACK; nothing when it was cancelled meanwhile."""
        if session.offered:
            self._updates.answer(session, body, headers, now)
        elif session.allows("accept_reinvite") and session.server is not None:
            self._incoming.accept(session, session.server, body, headers, now)

    def reject_reinvite(self, session: Session, status: int, now: float) -> None:
        """Refuse their re-INVITE, UPDATE or PRACK; nothing when it was cancelled meanwhile."""
        if session.offered:
            self._updates.refuse(session, status, now)
        elif session.allows("reject_reinvite") and session.server is not None:
            transaction, session.server = session.server, None
            self._context.layer.reply(transaction, status, now, fields=self._context.server_line)

    def answer_limit(self, session: Session, now: float) -> None:
        """A re-INVITE, theirs or ours, was not answered in time."""
        if session.server is not None and session.state is _S.UP:
            self.reject_reinvite(session, 500, now)
        elif session.client is not None:
            self._context.layer.abandon(session.client)
            self._reinvite_failed(session, session.client, 408, None, now)

    def request_within(self, session: Session, request: RequestOut) -> OutgoingRequest | None:
        """INFO and the like, to be sent; None when the session is over."""
        if not session.allows("request") or session.dialog is None:
            return None
        fields = self._context.agent_line + body_lines(request.headers, request.body, request.content_type or "application/octet-stream")
        return session.dialog.request(request.method, session.flow, self._context.branch(), fields, request.body)

    def _send_bye(self, session: Session, now: float) -> None:
        dialog = session.dialog
        if dialog is None:
            return
        if session.state is _S.OFFERED:
            self._outgoing.send_ack(session, dialog, session.invite_cseq)
        if session.server is not None:
            self._context.layer.reply(session.server, 487, now)
            session.server = None
        session.state = _S.ENDING
        self._bye_request(session, dialog, now, self._bye_heard)

    def _bye_request(self, session: Session, dialog: Dialog, now: float, listener: ClientListener) -> None:
        fields = self._context.agent_line + session.reason
        bye = dialog.request("BYE", session.flow, self._context.branch(), fields)
        self._context.layer.start_client(bye, listener, session, now)

    def _bye_heard(self, transaction: ClientTransaction, event: Response | Failure, now: float) -> None:
        session = transaction.owner
        if isinstance(session, Session) and session.state is _S.ENDING:
            if isinstance(event, Failure):
                self._context.ended(session, "local", str(event))
            elif event.status >= 200:
                again = self._again(session, transaction, event)
                if again is not None:
                    self._context.layer.start_client(again, self._bye_heard, session, now)
                else:
                    self._context.ended(session, "local", "" if event.status < 300 else str(event.status))

    def _reinvite_heard(self, transaction: ClientTransaction, event: Response | Failure, now: float) -> None:
        session = transaction.owner
        if not isinstance(session, Session):
            return
        if isinstance(event, Failure):
            self._reinvite_failed(session, transaction, 408 if event is Failure.TIMEOUT else 503, None, now)
        elif 200 <= event.status < 300:
            self._reinvite_answered(session, transaction, event, now)
        elif event.status >= 300 and session.client is transaction:
            again = self._again(session, transaction, event)
            if again is None:
                self._reinvite_failed(session, transaction, event.status, event, now)
            else:
                self._start_reinvite(session, again, now)

    def _reinvite_answered(self, session: Session, transaction: ClientTransaction, response: Response, now: float) -> None:
        dialog, cseq = session.dialog, transaction.request.cseq
        if dialog is None or self._outgoing.acknowledged_before(session, cseq, dialog.remote_tag):
            return
        with suppress(ParseError):  # When its Contact is wrong, the old target stays.
            dialog.refresh_target(response)
        self._outgoing.send_ack(session, dialog, cseq)
        if session.client is transaction:
            session.client = None
            if session.state is _S.UP:
                changed = response.body != session.remote_body
                session.remote_body = response.body or session.remote_body
                if self._context.settings.extensions:
                    session.peer = session.peer.learn(response)
                    self._timers.answered(session, response, now)
                if changed or not session.refreshing:
                    self._context.outputs.append(ReinviteAnswered(session.id, response.body))

    def _reinvite_failed(
        self, session: Session, transaction: ClientTransaction, status: int, response: Response | None, now: float
    ) -> None:
        if session.client is not transaction:
            return
        session.client = None
        if session.state is not _S.UP:
            return
        pause = retry_after(session, status, response)
        if session.refreshing:
            self._timers.refresh_at(session, now + max(pause, AGAIN))
        else:
            self._context.outputs.append(ReinviteFailed(session.id, status, retry_after=pause))
        if status in (408, 481):
            self._updates.lost(session, status, now)

    def _refresh(self, session: Session, now: float) -> None:
        """Half of the session interval is over: UPDATE when the far end takes it, else a re-INVITE with the same offer.

        After a restart nothing may be known of what was offered; then only an UPDATE refreshes without changing anything.
        """
        busy = session.client is not None or session.server is not None or session.unacknowledged is not None
        if session.dialog is None or session.state is not _S.UP:
            return
        if busy or session.offered or session.update is not None:
            self._timers.refresh_at(session, now + 2.0)
        elif not session.local_body or self._takes_update(session):
            self._updates.update(session, b"", (), now, refreshing=True)
        else:
            session.refreshing = True
            self._send_reinvite(session, session.dialog, session.local_body, (), now)

    def _expired(self, session: Session, now: float) -> None:
        """ "the UA that is not performing the refreshes SHOULD send a BYE ... slightly before the session expiration" (section 10)."""
        if session.dialog is not None and session.state in (_S.UP, _S.ANSWERED, _S.OFFERED):
            self._bye_request(session, session.dialog, now, _ignored)
            self._context.ended(session, "timeout", "session timer")

    def _again(self, session: Session, transaction: ClientTransaction, response: Response) -> OutgoingRequest | None:
        again = self._context.authorized(transaction.request, response, session)
        if again is None and (longer := self._timers.longer(session, transaction.request, response)) is not None:
            again = replace(longer, branch=self._context.branch())
        if again is not None and session.dialog is not None:
            return replace(again, cseq=session.dialog.next_cseq())
        return again

    def _reinvite_lost(self, transaction: ServerTransaction, why: Failure, now: float) -> None:
        session = transaction.owner
        if isinstance(session, Session) and session.server is transaction:
            session.server = None


def _ignored(transaction: ClientTransaction, event: Response | Failure, now: float) -> None:
    """Nobody waits for this answer."""
