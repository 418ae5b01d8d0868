"""What a UserAgent wants done or tells its user; the complete list of its outputs.

Invariant: for each session exactly one of SessionCancelled, SessionFailed, SessionEnded is the last output; after
`reject()` none of them follows, because the user ended the session itself.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from carillon_sip.flow import Flow
from carillon_sip.message import Request, Response
from carillon_sip.replaces import Replaces
from carillon_sip.uri import NameAddr

EndedBy: TypeAlias = Literal["remote", "local", "timeout"]


@dataclass(frozen=True, slots=True)
class Send:
    """Send these bytes over the flow: one datagram, or bytes of a stream (connect first when there is no connection)."""

    flow: Flow
    data: bytes


@dataclass(frozen=True, slots=True)
class CloseFlow:
    """Close the stream connection: its far end broke the framing rules or a limit."""

    flow: Flow


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A request outside any dialog (REGISTER, OPTIONS, ...): answer with `respond(transaction, ...)` within 64*T1."""

    transaction: str
    request: Request
    flow: Flow


@dataclass(frozen=True, slots=True)
class InviteReceived:
    """A new call; 100 Trying has been sent. `request.body` is the offer, or empty (delayed offer).

    Answer with `ring`, `answer`, `reject` or `redirect`. `replaces` is the session that it is to replace (RFC 3891), or None:
    whether the caller may is the user's to decide; after `answer` the user ends the other (`bye`, `cancel`).
    """

    session: str
    request: Request
    flow: Flow
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class SessionCancelled:
    """The caller gave up before our final answer; 200 to CANCEL and 487 have been sent. The session is gone.

    `reason` is the CANCEL's Reason header (RFC 3326) or "" ; "timeout" when nobody answered within the setting's limit,
    "no PRACK" when a reliable provisional response was never acknowledged (504 has been sent).
    """

    session: str
    reason: str


@dataclass(frozen=True, slots=True)
class SessionAcked:
    """The ACK to our 2xx; `body` is the answer when our 2xx carried the offer, else empty."""

    session: str
    body: bytes


@dataclass(frozen=True, slots=True)
class SessionProgress:
    """A provisional response above 100 to our INVITE; several branches of a fork may each send theirs.

    A reliable one (RFC 3262) has been acknowledged with PRACK, unless `wants_answer`: its body is the offer to our INVITE
    without one, and `prack(session, body)` with the answer is ours to call.
    """

    session: str
    response: Response
    wants_answer: bool = False


@dataclass(frozen=True, slots=True)
class ProvisionalAcked:
    """The caller's PRACK to a reliable provisional response of ours; `body` is the answer when that carried the offer, else empty."""

    session: str
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class SessionAnswered:
    """The first 2xx to our INVITE. ACK has been sent, empty: the 2xx is the answer to the offer in our INVITE.

    When the INVITE had no body, the 2xx carries the offer and `ack(session, body)` is ours to call; or `ack(session, b"")` when
    the Invite says that the ACK is the user's.
    """

    session: str
    response: Response


@dataclass(frozen=True, slots=True)
class SessionFailed:
    """Our INVITE came to nothing: final status >= 300, 408 on timeout, 503 on transport failure, 487 after `cancel`.

    `response` is None when no response says so. Nothing comes after. `contacts` of a 3xx: where to try instead, best first.
    """

    session: str
    status: int
    reason: str
    response: Response | None = None
    contacts: tuple[NameAddr, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionReinvited:
    """The far end offers new media: answer with `accept_reinvite` or `reject_reinvite`. Empty body: an offer is wanted.

    `method` is INVITE, or UPDATE (RFC 3311) or PRACK (RFC 3262), which also come before the call is answered, and always
    with an offer; an UPDATE that the user leaves without an answer is refused with 504 after 16*T1.
    """

    session: str
    body: bytes
    method: str = "INVITE"
    #: Where the far end speaks from now; None: nothing says that it has moved.
    flow: Flow | None = None


@dataclass(frozen=True, slots=True)
class SessionRefreshed:
    """An UPDATE without an offer came and was answered: a refresh, or a new identity in its headers (RFC 4916)."""

    session: str
    request: Request


@dataclass(frozen=True, slots=True)
class ReinviteAnswered:
    """Our re-INVITE (UPDATE) was accepted, and ACKed; `body` is the answer."""

    session: str
    body: bytes
    method: str = "INVITE"


@dataclass(frozen=True, slots=True)
class ReinviteFailed:
    """Our re-INVITE (UPDATE) was refused; the session goes on as it was. 491: both sent one, try again after a pause.

    `retry_after` is that pause in seconds: of the response's Retry-After, or by RFC 3261 section 14.1; 0 when there is none.
    """

    session: str
    status: int
    method: str = "INVITE"
    retry_after: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """An answered session is over: BYE came ("remote"), our BYE is done ("local"), or the far end fell silent ("timeout").

    `reason` is the Reason header of the BYE, or a short word of the stack: "no ACK", "481", ...
    """

    session: str
    by: EndedBy
    reason: str


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """Another request within a session's dialog (INFO, UPDATE, ...): answer with `respond(transaction, ...)`."""

    session: str
    transaction: str
    request: Request


@dataclass(frozen=True, slots=True)
class ReferReceived:
    """The far end asks us to call `refer_to` (RFC 3515): answer with `accept_refer` or `decline_refer`.

    `session` is the call it came in, None outside any. `replaces`: that call is to replace this dialog (an attended transfer).
    `subscribes`: progress is wanted, by `notify_refer`.
    """

    refer: str
    session: str | None
    request: Request
    flow: Flow
    refer_to: NameAddr
    referred_by: NameAddr | None
    replaces: Replaces | None
    subscribes: bool


@dataclass(frozen=True, slots=True)
class ReferAnswered:
    """The final answer to our REFER: 2xx taken; 408, 503 when none came. Not `subscribed`: nothing follows."""

    refer: str
    status: int
    subscribed: bool


@dataclass(frozen=True, slots=True)
class ReferProgress:
    """A NOTIFY about our REFER: status and reason of the far end's call (0 and "" when it does not say). `ended`: the last."""

    refer: str
    status: int
    reason: str
    ended: bool


@dataclass(frozen=True, slots=True)
class SubscribeReceived:
    """A new subscription (RFC 6665): `accept_subscription` or `reject_subscription` within 32*T1. `expires` 0: the state once."""

    subscription: str
    request: Request
    event: str
    expires: int
    flow: Flow


@dataclass(frozen=True, slots=True)
class StateWanted:
    """A subscription was refreshed, or too much waited for it: `notify` the whole state."""

    subscription: str


@dataclass(frozen=True, slots=True)
class SubscriptionEnded:
    """A subscription is over: "unsubscribed", "fetched", "timeout" (not refreshed, or no answer), "transport", or a NOTIFY's status."""

    subscription: str
    reason: str


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """A response to a request made with `request()`; status < 200: more will come, else it is the last."""

    transaction: str
    response: Response


@dataclass(frozen=True, slots=True)
class RequestTimedOut:
    """No final response to a request made with `request()`: "timeout" (64*T1) or "transport" (the flow failed)."""

    transaction: str
    reason: Literal["timeout", "transport"]


Output: TypeAlias = (
    Send
    | CloseFlow
    | RequestReceived
    | InviteReceived
    | SessionCancelled
    | SessionAcked
    | ProvisionalAcked
    | SessionProgress
    | SessionAnswered
    | SessionFailed
    | SessionReinvited
    | SessionRefreshed
    | ReinviteAnswered
    | ReinviteFailed
    | SessionEnded
    | SessionRequest
    | ReferReceived
    | ReferAnswered
    | ReferProgress
    | SubscribeReceived
    | StateWanted
    | SubscriptionEnded
    | ResponseReceived
    | RequestTimedOut
)
