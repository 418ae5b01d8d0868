"""A typed SIP user agent without I/O: bytes, flows and `now` in; bytes to send, events and the next timer out.

Invariant: no asyncio, sockets, clock or randomness inside; the shell around it brings them.
"""

from carillon_sip.commands import Invite, RequestOut, UserAgentSettings
from carillon_sip.digest import Credentials
from carillon_sip.errors import ParseError, SipError, WrongState
from carillon_sip.flow import Flow
from carillon_sip.message import Request, Response
from carillon_sip.outputs import (
    CloseFlow,
    InviteReceived,
    Output,
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
    SessionReinvited,
    SessionRequest,
)
from carillon_sip.timers import Timing
from carillon_sip.uri import NameAddr, Uri
from carillon_sip.user_agent import UserAgent

__all__ = [
    "CloseFlow",
    "Credentials",
    "Flow",
    "Invite",
    "InviteReceived",
    "NameAddr",
    "Output",
    "ParseError",
    "ReinviteAnswered",
    "ReinviteFailed",
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
    "SessionReinvited",
    "SessionRequest",
    "SipError",
    "Timing",
    "Uri",
    "UserAgent",
    "UserAgentSettings",
    "WrongState",
]
