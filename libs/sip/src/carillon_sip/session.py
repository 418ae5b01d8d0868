"""A session: one call leg made by INVITE, from the first message to the last (RFC 3261 sections 13 to 15).

Invariant: `state` says which commands are allowed (`ALLOWED`); a session that is OVER is in no table any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from carillon_sip.dialog import Dialog
from carillon_sip.digest import Credentials
from carillon_sip.errors import WrongState
from carillon_sip.flow import Flow
from carillon_sip.message import Request
from carillon_sip.outgoing import OutgoingRequest
from carillon_sip.peer import NOTHING_KNOWN, Peer
from carillon_sip.session_interval import SessionTimer, TimerOffer
from carillon_sip.transaction import ServerTransaction
from carillon_sip.transaction_invite_client import InviteClientTransaction
from carillon_sip.transaction_invite_server import InviteServerTransaction

if TYPE_CHECKING:
    from carillon_sip.dialog_requests import DialogRequest
    from carillon_sip.reliable_server import ReliableProvisionals


class SessionState(StrEnum):
    """Where a session is."""

    INCOMING = "incoming"  # their INVITE has no final answer
    ANSWERED = "answered"  # our 2xx has no ACK
    LEAVING = "leaving"  # as ANSWERED, and we want to send BYE
    CALLING = "calling"  # our INVITE has no final answer
    CANCELLING = "cancelling"  # as CALLING, and we gave it up
    OFFERED = "offered"  # their 2xx waits for our ACK, because it brought the offer or the user wants it so
    UP = "up"
    ENDING = "ending"  # our BYE has no answer
    OVER = "over"


_S = SessionState

#: Where each command does something; a command for a session that is ENDING or OVER is too late and ignored.
ALLOWED: Mapping[str, frozenset[SessionState]] = {
    "ring": frozenset({_S.INCOMING}),
    "answer": frozenset({_S.INCOMING}),
    "reject": frozenset({_S.INCOMING}),
    "ack": frozenset({_S.OFFERED}),
    "cancel": frozenset({_S.CALLING, _S.CANCELLING, _S.OFFERED, _S.UP}),
    "prack": frozenset({_S.CALLING, _S.CANCELLING}),
    "update": frozenset(_S) - {_S.ENDING, _S.OVER},
    "bye": frozenset({_S.ANSWERED, _S.LEAVING, _S.OFFERED, _S.UP}),
    "reinvite": frozenset({_S.UP, _S.ANSWERED, _S.LEAVING, _S.OFFERED}),
    "accept_reinvite": frozenset({_S.UP, _S.ANSWERED, _S.LEAVING}),
    "reject_reinvite": frozenset({_S.UP, _S.ANSWERED, _S.LEAVING}),
    "request": frozenset({_S.UP, _S.ANSWERED, _S.OFFERED}),
}


@dataclass(slots=True, eq=False)
class Unacknowledged:
    """A 2xx of ours that waits for its ACK; sent again and again until `ends_at` (section 13.3.1.4)."""

    session: "Session"
    transaction: InviteServerTransaction
    data: bytes
    interval: float
    ends_at: float
    done: bool = False


@dataclass(slots=True, eq=False)
class AnswerLimit:
    """How long an INVITE, theirs or ours, may go without a final answer."""

    session: "Session"
    transaction: InviteServerTransaction | InviteClientTransaction

    @property
    def done(self) -> bool:
        """Whether it was answered."""
        return self.session.server is not self.transaction and self.session.client is not self.transaction


@dataclass(slots=True, eq=False)
class EarlyDialog:
    """A dialog that a provisional response made (section 12.1): its last RSeq in order, and how far offer and answer are.

    `answered`: the offer of the INVITE, or of the provisional response, has its answer. `unanswered`: the RAck of a
    provisional response whose offer waits for our PRACK.
    """

    dialog: Dialog
    rseq: int | None = None
    answered: bool = False
    unanswered: str = ""


@dataclass(slots=True, eq=False)
class Session:
    """`id` is our tag. `server`, `client`: the INVITE or re-INVITE without a final answer, theirs and ours.

    `request`: their INVITE, until its ACK. `offer_server`: their UPDATE or PRACK with an offer that has no answer; `update`: our
    UPDATE under way. `described`: the offer of their INVITE was answered by a reliable provisional response. `local_body`,
    `remote_body`: the last descriptions.
    """

    id: str
    state: SessionState
    flow: Flow
    contact: str
    outgoing: bool
    request: Request | bytes | None = None
    server: InviteServerTransaction | None = None
    client: InviteClientTransaction | None = None
    dialog: Dialog | None = None
    unacknowledged: Unacknowledged | None = None
    credentials: Credentials | None = None
    challenged: bool = False
    provisional: bool = False
    delayed_offer: bool = False
    #: The ACK for the 2xx is the user's, also when it need not carry an answer.
    holds_ack: bool = False
    reason: str = ""
    invite_cseq: int = 0
    early: dict[str, EarlyDialog] | None = None
    peer: Peer = NOTHING_KNOWN
    reliable: "ReliableProvisionals | None" = None
    described: bool = False
    offer_server: ServerTransaction | None = None
    offer_method: str = ""
    update: "DialogRequest | None" = None
    refreshing: bool = False
    local_body: bytes = b""
    remote_body: bytes = b""
    asked: TimerOffer | None = None
    asked_by_update: TimerOffer | None = None
    timer: SessionTimer | None = None
    min_se: int = 0
    timer_tries: int = 0
    #: REFERs of theirs that are told how they go: the ids of their events by name.
    refers: dict[str, str] | None = None
    #: Requests of ours within it that have no final answer, by the names of their transactions.
    inquiries: dict[str, OutgoingRequest] | None = None
    #: ACKs that we sent, by CSeq and the far end's tag, for when a 2xx comes again.
    acks: dict[tuple[int, str], bytes] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether its timers mean nothing any more."""
        return self.state is SessionState.OVER

    @property
    def offered(self) -> bool:
        """Whether an UPDATE or PRACK of theirs waits for our answer to its offer."""
        return self.offer_server is not None and not self.offer_server.done

    def early_with(self, remote_tag: str) -> EarlyDialog | None:
        """The early dialog with that branch of our INVITE."""
        return self.early.get(remote_tag) if self.early is not None else None

    def stop_timer(self) -> None:
        """No session timer runs any more."""
        timer, self.timer = self.timer, None
        if timer is not None:
            timer.expiry.stop()
            if timer.refresh is not None:
                timer.refresh.stop()

    def allows(self, command: str) -> bool:
        """Whether the command does something now; False: it comes too late. Raises WrongState when it was never possible."""
        if self.state in ALLOWED[command]:
            return True
        if self.state in (SessionState.ENDING, SessionState.OVER):
            return False
        raise WrongState(f"{command} of a session that is {self.state}")
