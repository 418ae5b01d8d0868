"""What a UserAgent's user asks for when it takes more than a few arguments; and the settings of a user agent."""

from dataclasses import dataclass, field

from carillon_sip.digest import Credentials
from carillon_sip.flow import Flow
from carillon_sip.timers import Timing
from carillon_sip.uri import NameAddr

HeaderFields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Invite:
    """A new call to place. An empty `body` is a delayed offer: the 2xx brings the offer, `ack()` answers it.

    `headers` are further (name, value) fields; a Content-Type among them replaces `application/sdp`. With `credentials`
    the stack answers one 401/407 challenge by itself (same Call-ID, next CSeq). `route` is a preloaded route set.
    `acks`: the stack acknowledges the 2xx at once; else `ack()` with an empty body is the user's, when it has noted the answer.
    """

    flow: Flow
    request_uri: str
    from_: NameAddr
    to: NameAddr
    contact: NameAddr
    body: bytes = b""
    headers: HeaderFields = ()
    max_forwards: int = 70
    call_id: str | None = None
    cseq: int = 1
    route: tuple[str, ...] = ()
    credentials: Credentials | None = None
    acks: bool = True


@dataclass(frozen=True, slots=True)
class RequestOut:
    """A request to send as a client: outside a dialog, or within `session`'s dialog when that is given.

    Within a session only `method`, `headers`, `body`, `content_type` are used. REGISTERs of one binding share
    `call_id` and count `cseq` up. With `credentials` the stack answers one 401/407 challenge by itself, with the next
    CSeq: the next request's follows `response.cseq.number`.
    """

    method: str
    flow: Flow | None = None
    request_uri: str = ""
    from_: NameAddr | None = None
    to: NameAddr | None = None
    contact: NameAddr | None = None
    headers: HeaderFields = ()
    body: bytes = b""
    content_type: str | None = None
    max_forwards: int = 70
    call_id: str | None = None
    cseq: int = 1
    session: str | None = None
    credentials: Credentials | None = None


#: What a user agent takes without being asked for more.
CORE_METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "INFO")
#: Everything that the library has an answer for.
FULL_METHODS = (*CORE_METHODS, "PRACK", "UPDATE", "REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE")
#: Every option tag that the library obeys: RFC 3262, RFC 4028, RFC 3891, RFC 4488.
FULL_EXTENSIONS = ("100rel", "timer", "replaces", "norefersub")


@dataclass(frozen=True, slots=True)
class UserAgentSettings:
    """Limits and identity of a user agent; every limit is explicit.

    `methods` are allowed (others get 405, or 501 when no RFC names them); `extensions` are the option tags that are
    offered in Supported and that a Require header may hold (others get 420); each switches its machinery on (see
    FULL_METHODS, FULL_EXTENSIONS). `session_expires` and `min_se` are seconds (RFC 4028); 0 is no session timer of ours.
    `event_packages` are those that may be subscribed to (others get 489); with none, SUBSCRIBE is a RequestReceived like any other.
    `refer_seconds` is how long the progress of a REFER is told.
    `max_transactions` counts server transactions: above it new requests
    outside a dialog get a stateless 503 with `retry_after_seconds`. `ring_seconds` ends an INVITE nobody answers.
    """

    user_agent: str = "Carillon"
    contact_user: str = ""
    methods: tuple[str, ...] = CORE_METHODS
    extensions: tuple[str, ...] = ()
    timing: Timing = field(default_factory=Timing)
    max_transactions: int = 20_000
    max_sessions: int = 10_000
    max_stream_flows: int = 4_096
    max_message_bytes: int = 65_536
    retry_after_seconds: int = 5
    ring_seconds: float = 600.0
    session_expires: int = 1800
    min_se: int = 90
    event_packages: tuple[str, ...] = ()
    max_subscriptions: int = 50_000
    subscription_seconds: int = 3600
    min_subscription_seconds: int = 60
    max_subscription_seconds: int = 7200
    refer_seconds: int = 180
