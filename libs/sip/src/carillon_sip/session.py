"""A session: one call leg made by INVITE, from the first message to the last (RFC 3261 sections 13 to 15).

Invariant: `state` says which commands are allowed (`ALLOWED`); a session that is OVER is in no table any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from carillon_sip.dialog import Dialog
from carillon_sip.digest import Credentials
from carillon_sip.errors import WrongState
from carillon_sip.flow import Flow
from carillon_sip.message import Request
from carillon_sip.transaction_invite_client import InviteClientTransaction
from carillon_sip.transaction_invite_server import InviteServerTransaction


class SessionState(StrEnum):
    """Where a session is."""

    INCOMING = "incoming"  # their INVITE has no final answer
    ANSWERED = "answered"  # our 2xx has no ACK
    LEAVING = "leaving"  # as ANSWERED, and we want to send BYE
    CALLING = "calling"  # our INVITE has no final answer
    CANCELLING = "cancelling"  # as CALLING, and we gave it up
    OFFERED = "offered"  # their 2xx brought the offer, our ACK waits for the answer
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
class Session:
    """`id` is our tag. `server`, `client`: the INVITE or re-INVITE without a final answer, theirs and ours."""

    id: str
    state: SessionState
    flow: Flow
    contact: str
    outgoing: bool
    invite: Request | None = None
    server: InviteServerTransaction | None = None
    client: InviteClientTransaction | None = None
    dialog: Dialog | None = None
    unacknowledged: Unacknowledged | None = None
    credentials: Credentials | None = None
    challenged: bool = False
    provisional: bool = False
    delayed_offer: bool = False
    reason: str = ""
    #: ACKs that we sent, by CSeq and the far end's tag, for when a 2xx comes again.
    acks: dict[tuple[int, str], bytes] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether its timers mean nothing any more."""
        return self.state is SessionState.OVER

    def allows(self, command: str) -> bool:
        """Whether the command does something now; False: it comes too late. Raises WrongState when it was never possible."""
        if self.state in ALLOWED[command]:
            return True
        if self.state in (SessionState.ENDING, SessionState.OVER):
            return False
        raise WrongState(f"{command} of a session that is {self.state}")
