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
    """A device left, was not heard of any more, its credential was deleted, or the connection that it registered for is gone (RFC 5626)."""

    TYPE: ClassVar[str] = "registration.unregistered.v1"
    user_id: str
    sip_user: str
    contact: str
    reason: Literal["asked", "expired", "connection_lost", "deleted"]


class TrunkRegistered(EventData):
    """We are registered with a carrier, for the first time or again; plain refreshes are not published."""

    TYPE: ClassVar[str] = "registration.trunk_registered.v1"
    trunk_id: str
    server: str
    expires_at: datetime


class TrunkUnregistered(EventData):
    """We are not registered with a carrier any more, or could not be. `sip_status` is its last answer, 0: none."""

    TYPE: ClassVar[str] = "registration.trunk_unregistered.v1"
    trunk_id: str
    reason: Literal["refused", "silent", "removed"]
    sip_status: int = 0


class TrunkServerUp(EventData):
    """A carrier's server answers again, and gets calls again."""

    TYPE: ClassVar[str] = "registration.trunk_server_up.v1"
    trunk_id: str
    server: str


class TrunkServerDown(EventData):
    """A carrier's server does not answer, or says that it cannot (`sip_status`); it gets no calls until it answers."""

    TYPE: ClassVar[str] = "registration.trunk_server_down.v1"
    trunk_id: str
    server: str
    sip_status: int = 0
