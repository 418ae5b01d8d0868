"""Calls that routing makes itself, later, published by routing: back to users for whom a colleague or the lines were busy, on
`carillon.<tenant>.call_back.<id>.<fact>`, and to those who must know of calls for help, on
`carillon.<tenant>.emergency_notice.<id>.<fact>`.

Always: both have one `seq` a tenant, from 1 without a gap; each begins with `requested` and has `ended` once. `callid` is the call that
it came from.
"""

from typing import ClassVar, Literal

from carillon_contracts.envelope import EventData

#: What stands in the way: the colleague talks, our own limit of the trunks is reached, or carriers say that they can take no more.
Blocked = Literal["colleague", "limit", "carrier"]
CallBackResult = Literal["reached", "not_reached", "expired", "cancelled"]
NoticeResult = Literal["acknowledged", "not_acknowledged"]


class CallBackEventData(EventData):
    """Base: whose it is, and which number they want."""

    call_back_id: str
    user_id: str
    number: str


class CallBackRequested(CallBackEventData):
    """The user is called as soon as the number can be called."""

    TYPE: ClassVar[str] = "call_back.requested.v1"
    blocked: Blocked


class CallBackStarted(CallBackEventData):
    """The user's phones ring, in the call `via_call_id`; then the number is called."""

    TYPE: ClassVar[str] = "call_back.started.v1"
    via_call_id: str
    #: From 1.
    tries: int


class CallBackMissed(CallBackEventData):
    """The two were not connected; it is tried again."""

    TYPE: ClassVar[str] = "call_back.missed.v1"
    via_call_id: str


class CallBackEnded(CallBackEventData):
    """Nothing more comes of it."""

    TYPE: ClassVar[str] = "call_back.ended.v1"
    result: CallBackResult


class EmergencyNoticeEventData(EventData):
    """Base: whose phone, and the emergency number that was called."""

    notice_id: str
    phone: str
    number: str


class EmergencyNoticeRequested(EmergencyNoticeEventData):
    """The phone is to be called and told."""

    TYPE: ClassVar[str] = "emergency_notice.requested.v1"


class EmergencyNoticeStarted(EmergencyNoticeEventData):
    """The phone rings, in the call `via_call_id`."""

    TYPE: ClassVar[str] = "emergency_notice.started.v1"
    via_call_id: str
    #: From 1.
    tries: int


class EmergencyNoticeMissed(EmergencyNoticeEventData):
    """Nobody acknowledged it; it is tried again."""

    TYPE: ClassVar[str] = "emergency_notice.missed.v1"
    via_call_id: str


class EmergencyNoticeEnded(EmergencyNoticeEventData):
    """Nothing more comes of it."""

    TYPE: ClassVar[str] = "emergency_notice.ended.v1"
    result: NoticeResult


CALL_BACK_EVENTS: tuple[type[CallBackEventData], ...] = (CallBackRequested, CallBackStarted, CallBackMissed, CallBackEnded)
EMERGENCY_NOTICE_EVENTS: tuple[type[EmergencyNoticeEventData], ...] = (
    EmergencyNoticeRequested,
    EmergencyNoticeStarted,
    EmergencyNoticeMissed,
    EmergencyNoticeEnded,
)
