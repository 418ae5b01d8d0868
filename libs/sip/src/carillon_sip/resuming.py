"""Sessions that outlive their user agent: what is known of one as plain values, and one taken up again from them after a restart.

Invariant: what is taken up says nothing that it has not said before: the same tags, branches and bytes, so that the far end sees
retransmissions; only its CSeq is ahead of whatever may have been used since it was saved.
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

from carillon_sip.context import Context, lines
from carillon_sip.dialog import Dialog
from carillon_sip.digest import Credentials
from carillon_sip.errors import ParseError
from carillon_sip.established import Established
from carillon_sip.flow import Flow
from carillon_sip.incoming_calls import IncomingCalls
from carillon_sip.inquiries import Inquiries
from carillon_sip.message import Request, Response
from carillon_sip.outgoing import OutgoingRequest
from carillon_sip.outgoing_calls import OutgoingCalls
from carillon_sip.parser import parse_message
from carillon_sip.peer import NOTHING_KNOWN, Peer
from carillon_sip.refers_in import RefersIn
from carillon_sip.reliable_calls import ReliableCalls
from carillon_sip.session import ALLOWED, EarlyDialog, Session, SessionState
from carillon_sip.session_timers import SessionTimers
from carillon_sip.transaction import ClientTransaction, Failure
from carillon_sip.transaction_invite_server import InviteServerTransaction
from carillon_sip.transaction_layer import server_key

_S = SessionState
#: "CSeq ... MUST be strictly monotonically increasing" (RFC 3261 section 12.2.1.1), not without gaps.
CSEQ_AHEAD = 100


@dataclass(frozen=True, slots=True)
class SavedDialog:
    """A dialog; two that differ in their CSeqs only are equal."""

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    remote: str
    remote_target: str
    route_set: tuple[str, ...]
    local_cseq: int = field(compare=False)
    remote_cseq: int | None = field(default=None, compare=False)

    @classmethod
    def of(cls, dialog: Dialog) -> Self:
        """As it is now; the same object as before while nothing has changed (its tags, addresses and route set never do)."""
        known = dialog.saved
        now = (dialog.remote_target, dialog.local_cseq, dialog.remote_cseq)
        if isinstance(known, cls) and (known.remote_target, known.local_cseq, known.remote_cseq) == now:
            return known
        saved = cls(
            dialog.call_id,
            dialog.local_tag,
            dialog.remote_tag,
            dialog.local,
            dialog.remote,
            dialog.remote_target,
            dialog.route_set,
            dialog.local_cseq,
            dialog.remote_cseq,
        )
        dialog.saved = saved
        return saved

    def dialog(self) -> Dialog:
        """To go on with."""
        return Dialog(
            self.call_id,
            self.local_tag,
            self.remote_tag,
            self.local,
            self.remote,
            self.remote_target,
            self.route_set,
            self.local_cseq + CSEQ_AHEAD,
            self.remote_cseq,
        )


@dataclass(frozen=True, slots=True)
class SavedBranch:
    """An early dialog of our INVITE; see `session.EarlyDialog`."""

    dialog: SavedDialog
    rseq: int | None
    answered: bool
    unanswered: str


@dataclass(frozen=True, slots=True)
class SavedProvisional:
    """The last reliable provisional response that we sent, and its number; `data` empty: it has been acknowledged."""

    rseq: int
    status: int = 0
    body: bytes = b""
    data: bytes = b""


class SavedSession(NamedTuple):
    """A session. `request`: their INVITE while it is unanswered or our 2xx has no ACK; `response`: that 2xx; `invite`: ours, unanswered.

    `timer`: interval of the session timer in seconds, and whether we refresh. `refers`: names of REFERs under way, and the ids of their
    events; `inquiries`: other requests of ours without an answer, by transaction. Credentials are not in it.
    """

    id: str
    state: SessionState
    flow: Flow
    contact: str
    outgoing: bool
    dialog: SavedDialog | None = None
    request: bytes = b""
    response: bytes = b""
    invite: OutgoingRequest | None = None
    branches: tuple[SavedBranch, ...] = ()
    provisional: bool = False
    reliable: SavedProvisional | None = None
    delayed_offer: bool = False
    described: bool = False
    invite_cseq: int = 0
    holds_ack: bool = False
    peer: Peer = NOTHING_KNOWN
    local_body: bytes = b""
    remote_body: bytes = b""
    timer: tuple[int, bool] | None = None
    min_se: int = 0
    refers: tuple[tuple[str, str], ...] = ()
    inquiries: tuple[tuple[str, OutgoingRequest], ...] = ()


class Resuming:
    """Saves sessions and takes them up again."""

    def __init__(
        self,
        context: Context,
        incoming: IncomingCalls,
        outgoing: OutgoingCalls,
        established: Established,
        reliable: ReliableCalls,
        timers: SessionTimers,
        refers: RefersIn,
        inquiries: Inquiries,
    ) -> None:
        self._context = context
        self._incoming = incoming
        self._outgoing = outgoing
        self._established = established
        self._reliable = reliable
        self._timers = timers
        self._refers = refers
        self._inquiries = inquiries

    def save(self, session: Session) -> SavedSession:
        """What is to be known of it."""
        waiting, machine = session.unacknowledged, session.reliable
        theirs = session.state is _S.INCOMING or waiting is not None
        outstanding = machine.outstanding if machine is not None else None
        return SavedSession(
            session.id,
            session.state,
            session.flow,
            session.contact,
            session.outgoing,
            dialog=SavedDialog.of(session.dialog) if session.dialog is not None else None,
            request=_invite(session) if theirs else b"",
            response=waiting.data if waiting is not None else b"",
            invite=session.client.request if session.client is not None and session.dialog is None else None,
            branches=tuple([_branch(early) for early in session.early.values()]) if session.early else (),
            provisional=session.provisional,
            reliable=None
            if machine is None
            else SavedProvisional(machine.rseq)
            if outstanding is None
            else SavedProvisional(machine.rseq, outstanding.status, outstanding.body, machine.last),
            delayed_offer=session.delayed_offer,
            described=session.described,
            invite_cseq=session.invite_cseq,
            holds_ack=session.holds_ack,
            peer=session.peer,
            local_body=session.local_body,
            remote_body=session.remote_body,
            timer=(session.timer.interval, session.timer.ours) if session.timer is not None else None,
            min_se=session.min_se,
            refers=tuple(session.refers.items()) if session.refers else (),
            inquiries=tuple(session.inquiries.items()) if session.inquiries else (),
        )

    def resume(self, saved: SavedSession, credentials: Credentials | None, now: float) -> str:
        """Take it up; returns its name, the same. Raises ParseError when what was saved is not whole."""
        session = Session(saved.id, saved.state, saved.flow, saved.contact, outgoing=saved.outgoing)
        session.dialog = saved.dialog.dialog() if saved.dialog is not None else None
        session.provisional, session.delayed_offer, session.described = saved.provisional, saved.delayed_offer, saved.described
        session.invite_cseq, session.peer, session.min_se = saved.invite_cseq, saved.peer, saved.min_se
        session.local_body, session.remote_body = saved.local_body, saved.remote_body
        session.credentials, session.holds_ack = credentials, saved.holds_ack
        match saved.state:
            case _S.CALLING | _S.CANCELLING:
                self._call_again(session, saved, now)
            case _S.INCOMING:
                self._hear_again(session, saved, now)
            case _ if session.dialog is None:
                raise ParseError("a session without a dialog was saved")
            case _S.ANSWERED | _S.LEAVING if saved.request and saved.response:
                self._answer_again(session, saved, now)
            case _:
                self._stand(session, saved.state, now)
        if saved.refers and session.dialog is not None:
            self._refers.resume(session, session.dialog, dict(saved.refers), now)
        if saved.inquiries and session.state in ALLOWED["request"]:
            self._inquiries.ask_again(session, dict(saved.inquiries), now)
        if saved.timer is not None and session.dialog is not None:
            self._timers.start(session, *saved.timer, now)
        return session.id

    def part(self, saved: SavedSession, status: int, reason: str | None, credentials: Credentials | None, now: float) -> None:
        """End at the far end what nobody here knows any more. Raises ParseError when what was saved is not whole."""
        if saved.state in (_S.CALLING, _S.CANCELLING):
            if saved.invite is not None and saved.provisional:
                cancel = saved.invite.cancel(lines((("Reason", reason),)) if reason else "")
                self._context.layer.start_client(cancel, _nobody, None, now)
            return
        if saved.id in self._context.sessions:
            return
        session = self._context.sessions[self.resume(saved._replace(inquiries=()), credentials, now)]
        if saved.state is _S.INCOMING:
            self._incoming.reject(session, status, None, (("Reason", reason),) if reason else (), now)
        else:
            self._established.bye(session, reason, now)

    def _stand(self, session: Session, state: SessionState, now: float) -> None:
        session.state = _S.UP
        self._context.sessions[session.id] = session
        if state is _S.OFFERED and session.dialog is not None and not session.delayed_offer:
            # Whoever saved it so has noted the answer; whether its ACK went out is not known.
            self._outgoing.send_ack(session, session.dialog, session.invite_cseq)
        if state in (_S.LEAVING, _S.ENDING):
            self._established.bye(session, None, now)

    def _call_again(self, session: Session, saved: SavedSession, now: float) -> None:
        """Send our INVITE as if it were sent again: whoever has it answers what it answered last."""
        if saved.invite is None:
            raise ParseError("a session without its INVITE was saved")
        self._context.sessions[session.id] = session
        if saved.branches:
            session.early = {
                branch.dialog.remote_tag: EarlyDialog(branch.dialog.dialog(), branch.rseq, branch.answered, branch.unanswered)
                for branch in saved.branches
            }
        session.state = _S.CALLING
        self._outgoing.start(session, replace(saved.invite), now)
        if saved.state is _S.CANCELLING:
            self._outgoing.cancel(session, None, now)

    def _transaction(self, session: Session, saved: SavedSession, now: float) -> tuple[Request, InviteServerTransaction]:
        request = parse_message(saved.request)
        if not isinstance(request, Request):
            raise ParseError("a session without its INVITE was saved")
        context = self._context
        transaction = context.layer.start_server(request, session.flow, server_key(request, "INVITE"), now)
        if not isinstance(transaction, InviteServerTransaction):
            raise ParseError("a session without its INVITE was saved")
        if not request.to_tag:
            transaction.head.to_tag = session.id
        session.request = request
        context.sessions[session.id] = session
        return request, transaction

    def _hear_again(self, session: Session, saved: SavedSession, now: float) -> None:
        request, transaction = self._transaction(session, saved, now)
        self._timers.asked(session, request)
        self._incoming.expect_answer(session, transaction, now)
        if saved.reliable is not None:
            last = saved.reliable
            self._reliable.resume(session, last.rseq, last.status, last.body, last.data, now)

    def _answer_again(self, session: Session, saved: SavedSession, now: float) -> None:
        """Our 2xx may never have arrived: it is sent until its ACK comes, as before."""
        _, transaction = self._transaction(session, saved, now)
        self._incoming.repeat_answer(session, transaction, saved.response, now)


def _invite(session: Session) -> bytes:
    """Their INVITE, written once."""
    if isinstance(session.request, Request):
        session.request = session.request.to_bytes()
    return session.request or b""


def _branch(early: EarlyDialog) -> SavedBranch:
    return SavedBranch(SavedDialog.of(early.dialog), early.rseq, early.answered, early.unanswered)


def _nobody(transaction: ClientTransaction, event: Response | Failure, now: float) -> None:
    """Nobody waits for this answer."""
