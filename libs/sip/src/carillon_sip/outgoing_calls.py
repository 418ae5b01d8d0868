"""Calls from us: the caller's side of INVITE, its ACK and CANCEL (RFC 3261 sections 9.1, 13.2).

Invariant: every 2xx is acknowledged; every 2xx that no session wants is ended with BYE.
"""

from contextlib import suppress
from dataclasses import replace

from carillon_sip.commands import Invite
from carillon_sip.context import Context, Fields, body_lines, lines
from carillon_sip.dialog import Dialog
from carillon_sip.errors import ParseError
from carillon_sip.header_names import REASONS
from carillon_sip.message import Response, header_line
from carillon_sip.outgoing import OutgoingRequest
from carillon_sip.outputs import Send, SessionAnswered, SessionFailed, SessionProgress
from carillon_sip.reliable_client import ReliableClient
from carillon_sip.session import AnswerLimit, EarlyDialog, Session, SessionState
from carillon_sip.session_timers import SessionTimers
from carillon_sip.transaction import ClientTransaction, Failure
from carillon_sip.transaction_invite_client import InviteClientTransaction
from carillon_sip.uri import NameAddr

_S = SessionState
#: Branches of one fork whose provisional responses are remembered.
MAX_BRANCHES = 16
#: Contacts of a 3xx that are looked at.
MAX_CONTACTS = 16


class OutgoingCalls:
    """Sessions in the states CALLING, CANCELLING, OFFERED."""

    def __init__(self, context: Context, reliable: ReliableClient, timers: SessionTimers) -> None:
        self._context = context
        self._reliable = reliable
        self._timers = timers
        self._early = "PRACK" in context.settings.methods or "UPDATE" in context.settings.methods

    def invite(self, invite: Invite, now: float) -> str:
        """Send INVITE; returns the session."""
        context = self._context
        tag = context.token()
        contact = str(invite.contact)
        session = Session(tag, _S.CALLING, invite.flow, contact, outgoing=True)
        timer = self._timers.request_lines(session, invite.headers)
        fields = f"{header_line('Contact', contact)}\r\n{context.agent_line}{context.allow_line}{context.supported_line}{timer}"
        request = OutgoingRequest(
            method="INVITE",
            uri=_one_line(invite.request_uri),
            flow=invite.flow,
            branch=context.branch(),
            from_=_one_line(str(invite.from_.with_tag(tag))),
            to=_one_line(str(invite.to)),
            call_id=_one_line(invite.call_id or context.token()),
            cseq=invite.cseq,
            routes=tuple(_one_line(route) for route in invite.route),
            fields=fields + body_lines(invite.headers, invite.body),
            body=invite.body,
            max_forwards=invite.max_forwards,
        )
        session.credentials = invite.credentials
        session.delayed_offer = not invite.body
        session.holds_ack = not invite.acks
        session.local_body = invite.body
        context.sessions[tag] = session
        self.start(session, request, now)
        return tag

    def cancel(self, session: Session, reason: str | None, now: float) -> None:
        """Give our INVITE up; "If no provisional response has been received, the CANCEL request MUST NOT be sent"."""
        session.reason = lines((("Reason", reason),)) if reason else ""
        if session.state is _S.CALLING:
            session.state = _S.CANCELLING
            if session.provisional:
                self._send_cancel(session, now)

    def acknowledge(self, session: Session, body: bytes, headers: Fields, now: float) -> None:
        """The ACK that answers the offer of a 2xx."""
        if session.allows("ack") and session.dialog is not None:
            session.state = _S.UP
            session.local_body = body or session.local_body
            self.send_ack(session, session.dialog, session.invite_cseq, body_lines(headers, body), body)

    def send_ack(self, session: Session, dialog: Dialog, cseq: int, fields: str = "", body: bytes = b"") -> None:
        """ACK for a 2xx, kept for when the 2xx comes again."""
        ack = dialog.acknowledge(cseq, session.flow, self._context.branch(), fields, body)
        session.acks[cseq, dialog.remote_tag] = self._context.send(ack)

    def acknowledged_before(self, session: Session, cseq: int, remote_tag: str) -> bool:
        """Whether this 2xx came before; then its ACK is sent again."""
        ack = session.acks.get((cseq, remote_tag))
        if ack is not None:
            self._context.outputs.append(Send(session.flow, ack))
        return ack is not None

    def give_up(self, session: Session, now: float) -> None:
        """The answer to a CANCEL, or to the INVITE itself, has not come in time (section 9.1)."""
        if session.state is _S.CALLING:
            self.cancel(session, None, now)
            session.reason = "timeout"
        elif session.state is _S.CANCELLING:
            if session.client is not None:
                self._context.layer.abandon(session.client)
            self._fail(session, 487, "Request Terminated", None)

    def start(self, session: Session, request: OutgoingRequest, now: float) -> None:
        """Send this INVITE for the session."""
        session.invite_cseq = request.cseq
        transaction = self._context.layer.start_client(request, self._heard, session, now)
        if isinstance(transaction, InviteClientTransaction):
            session.client = transaction
            self._context.timers.set(now + self._context.settings.ring_seconds, AnswerLimit(session, transaction), "answer_limit")

    def _heard(self, transaction: ClientTransaction, event: Response | Failure, now: float) -> None:
        session = transaction.owner
        if not isinstance(session, Session):
            return
        if isinstance(event, Failure):
            if session.state in (_S.CALLING, _S.CANCELLING):
                status = 408 if event is Failure.TIMEOUT else 503
                self._fail(session, status, REASONS[status], None)
        elif event.status < 200:
            self._progress(session, transaction, event, now)
        elif event.status < 300:
            self._answered(session, transaction, event, now)
        elif session.state in (_S.CALLING, _S.CANCELLING):
            self._refused(session, transaction, event, now)

    def _progress(self, session: Session, transaction: ClientTransaction, response: Response, now: float) -> None:
        first = not session.provisional
        session.provisional = True
        if session.state is _S.CANCELLING and first:
            self._send_cancel(session, now)
        if response.status > 100 and session.state in (_S.CALLING, _S.CANCELLING):
            early = self._branch(session, transaction, response) if self._early and response.to_tag else None
            shown, wants_answer = self._reliable.heard(session, early, response, now)
            if shown and session.state is _S.CALLING:
                self._context.outputs.append(SessionProgress(session.id, response, wants_answer))

    def _branch(self, session: Session, transaction: ClientTransaction, response: Response) -> EarlyDialog | None:
        """The early dialog of that branch, made by its first provisional response (RFC 3261 section 12.1.2); None without a Contact."""
        session.peer = session.peer.learn(response)
        if session.early is None:
            session.early = {}
        known = session.early.get(response.to_tag)
        if known is None and len(session.early) < MAX_BRANCHES:
            with suppress(ParseError):
                known = EarlyDialog(Dialog.of_caller(transaction.request, session.id, response))
                session.early[response.to_tag] = known
        return known

    def _answered(self, session: Session, transaction: ClientTransaction, response: Response, now: float) -> None:
        cseq = transaction.request.cseq
        if self.acknowledged_before(session, cseq, response.to_tag):
            return
        dialog = _dialog(transaction.request, session.id, response)
        if session.state is _S.CALLING:
            self._confirm(session, dialog, response, now)
            waits = session.delayed_offer or session.holds_ack
            session.state = _S.OFFERED if waits else _S.UP
            if not waits:
                self.send_ack(session, dialog, cseq)
            self._context.outputs.append(SessionAnswered(session.id, response))
        elif session.state is _S.OFFERED and session.dialog is not None and session.dialog.remote_tag == dialog.remote_tag:
            return
        else:
            # Another branch of a fork, or the answer crossed our CANCEL: "ACK ... and then BYE" (section 13.2.2.4).
            self.send_ack(session, dialog, cseq)
            bye = dialog.request("BYE", session.flow, self._context.branch(), self._context.agent_line)
            self._context.layer.start_client(bye, _nobody, None, now)
            if session.state is _S.CANCELLING:
                self._fail(session, 487, "Request Terminated", response)

    def _confirm(self, session: Session, dialog: Dialog, response: Response, now: float) -> None:
        """The dialog stands: "the route set for the dialog MUST be recomputed based on the 2xx" (13.2.2.4), its CSeqs go on."""
        early = session.early_with(response.to_tag)
        if early is not None:
            dialog.local_cseq = max(dialog.local_cseq, early.dialog.local_cseq)
            dialog.remote_cseq = early.dialog.remote_cseq
            session.delayed_offer = session.delayed_offer and not early.answered
        session.dialog = dialog
        session.client = None
        session.early = None
        session.remote_body = response.body or session.remote_body
        if self._context.settings.extensions:
            session.peer = session.peer.learn(response)
            self._timers.answered(session, response, now)

    def _refused(self, session: Session, transaction: ClientTransaction, response: Response, now: float) -> None:
        again = None
        if session.state is _S.CALLING:
            again = self._context.authorized(transaction.request, response, session)
            if again is None and (longer := self._timers.longer(session, transaction.request, response)) is not None:
                again = replace(longer, branch=self._context.branch(), cseq=transaction.request.cseq + 1)
        if again is not None:
            session.provisional = False
            session.early = None
            self.start(session, again, now)
        else:
            status, reason = response.status, response.reason or REASONS.get(response.status, "")
            self._fail(session, status, reason, response)

    def _fail(self, session: Session, status: int, reason: str, response: Response | None) -> None:
        session.client = None
        self._context.forget(session)
        contacts = deflection(response) if response is not None and 300 <= status < 400 else ()
        self._context.outputs.append(SessionFailed(session.id, status, reason, response, contacts))

    def _send_cancel(self, session: Session, now: float) -> None:
        context = self._context
        if session.client is not None:
            cancel = session.client.request.cancel(session.reason)
            context.layer.start_client(cancel, _nobody, None, now)
            context.timers.set(now + context.settings.timing.timeout, AnswerLimit(session, session.client), "answer_limit")


def _dialog(invite: OutgoingRequest, local_tag: str, response: Response) -> Dialog:
    try:
        return Dialog.of_caller(invite, local_tag, response)
    except ParseError:
        # A 2xx without a usable Contact: the call stands nevertheless, reach it where the INVITE went.
        to = response.headers.get("to") or invite.to
        return Dialog(invite.call_id, local_tag, response.to_tag, invite.from_, to, invite.uri, (), invite.cseq)


def deflection(response: Response) -> tuple[NameAddr, ...]:
    """The Contacts of a 3xx, highest q first, else in their order (RFC 3261 section 8.1.3.4); those that cannot be read are left out."""
    found: list[tuple[float, NameAddr]] = []
    for value in response.headers.all("contact")[:MAX_CONTACTS]:
        with suppress(ParseError):
            address = NameAddr.parse(value)
            found.append((_q(address.parameter("q")), address))
    return tuple(address for _, address in sorted(found, key=lambda pair: -pair[0]))


def _q(text: str | None) -> float:
    try:
        value = float(text) if text else 1.0
    except ValueError:
        return 1.0
    return value if 0.0 <= value <= 1.0 else 1.0


def _nobody(transaction: ClientTransaction, event: Response | Failure, now: float) -> None:
    """Nobody waits for this answer."""


def _one_line(text: str) -> str:
    if "\r" in text or "\n" in text or "\0" in text:
        raise ValueError("a line break in a header value")
    return text
