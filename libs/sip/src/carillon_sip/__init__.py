"""A typed SIP user agent without I/O: bytes, flows and `now` in; bytes to send, events and the next timer out.

Invariant: no asyncio, sockets, clock or randomness inside; the shell around it brings them.
"""

from carillon_sip.commands import FULL_EXTENSIONS, FULL_METHODS, Invite, RequestOut, UserAgentSettings
from carillon_sip.digest import Credentials
from carillon_sip.errors import ParseError, SipError, WrongState
from carillon_sip.flow import Flow
from carillon_sip.message import Request, Response
from carillon_sip.outputs import (
    CloseFlow,
    InviteReceived,
    Output,
    ProvisionalAcked,
    ReferAnswered,
    ReferProgress,
    ReferReceived,
    ReinviteAnswered,
    ReinviteFailed,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    Send,
    SessionAcked,
    SessionAnswered,
    SessionCancelled,
    SessionEnded,
    SessionFailed,
    SessionProgress,
    SessionRefreshed,
    SessionReinvited,
    SessionRequest,
    StateWanted,
    SubscribeReceived,
    SubscriptionEnded,
)
from carillon_sip.refer import Refer
from carillon_sip.replaces import Replaces
from carillon_sip.timers import Timing
from carillon_sip.uri import NameAddr, Uri
from carillon_sip.user_agent import UserAgent

__all__ = [
    "FULL_EXTENSIONS",
    "FULL_METHODS",
    "CloseFlow",
    "Credentials",
    "Flow",
    "Invite",
    "InviteReceived",
    "NameAddr",
    "Output",
    "ParseError",
    "ProvisionalAcked",
    "Refer",
    "ReferAnswered",
    "ReferProgress",
    "ReferReceived",
    "ReinviteAnswered",
    "ReinviteFailed",
    "Replaces",
    "Request",
    "RequestOut",
    "RequestReceived",
    "RequestTimedOut",
    "Response",
    "ResponseReceived",
    "Send",
    "SessionAcked",
    "SessionAnswered",
    "SessionCancelled",
    "SessionEnded",
    "SessionFailed",
    "SessionProgress",
    "SessionRefreshed",
    "SessionReinvited",
    "SessionRequest",
    "SipError",
    "StateWanted",
    "SubscribeReceived",
    "SubscriptionEnded",
    "Timing",
    "Uri",
    "UserAgent",
    "UserAgentSettings",
    "WrongState",
]
