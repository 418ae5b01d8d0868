"""Registration events, published by media on `carillon.<tenant>.registration.<fact>`."""

from datetime import datetime
from typing import ClassVar, Literal

from carillon_contracts.envelope import EventData


class Registered(EventData):
    """A device registered or refreshed with something new; plain refreshes are not published."""

    TYPE: ClassVar[str] = "registration.registered.v1"
    user_id: str
    sip_user: str
    contact: str
    user_agent: str = ""
    source: str = ""
    expires_at: datetime


class Unregistered(EventData):
    """A device left or was not heard of any more."""

    TYPE: ClassVar[str] = "registration.unregistered.v1"
    user_id: str
    sip_user: str
    contact: str
    reason: Literal["asked", "expired"]
