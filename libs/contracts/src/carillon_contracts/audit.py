"""Audit events, published by media on `carillon.<tenant>.audit.<fact>`: attacks and what was done about them, and who listened to whom.

What concerns one known account goes to its tenant; what concerns an address, or an account that does not exist, concerns no tenant
and goes to the operator under the name `OPERATOR`, which no tenant can have. Never a password, a digest or a nonce.
"""

from typing import ClassVar, Literal

from carillon_contracts.envelope import EventData

#: Stands for a tenant where none is concerned: tenants' names begin with a letter or digit, so no tenant's user sees these.
OPERATOR = "_operator"


class AuthenticationFailed(EventData):
    """A wrong password, or an account that does not exist; of several from the same source one a minute is told."""

    TYPE: ClassVar[str] = "audit.authentication_failed.v1"
    #: IP address.
    source: str
    transport: str
    account: str
    #: SIP method.
    method: str
    #: How many since this was told last.
    times: int = 1


class SourceBanned(EventData):
    """Nothing is taken from this address any more, but for devices that are registered from there."""

    TYPE: ClassVar[str] = "audit.source_banned.v1"
    #: IP address, or the first 64 bits of an IPv6 address as a network.
    source: str
    reason: Literal["failures", "unanswered_challenges", "flood"]
    seconds: float
    #: Bans of this address so far, this one included.
    offence: int
    #: Accounts that it tried last, at most ten.
    accounts: tuple[str, ...] = ()


class BanLifted(EventData):
    """Somebody let a source or an account in again before its time."""

    TYPE: ClassVar[str] = "audit.ban_lifted.v1"
    #: The one that is let in; the other is empty.
    source: str = ""
    account: str = ""
    #: Who did it: the token's subject.
    by: str


class AccountLocked(EventData):
    """Too many wrong passwords for one account: for a while only addresses that had the right one before may try."""

    TYPE: ClassVar[str] = "audit.account_locked.v1"
    account: str
    seconds: float
    offence: int
    #: Address of the last failure.
    source: str


class FloodRefused(EventData):
    """A source sends more requests without proving itself than are answered; told at most once a minute."""

    TYPE: ClassVar[str] = "audit.flood_refused.v1"
    source: str
    transport: str
    #: Requests refused or dropped since this was told last.
    requests: int


class CallSupervised(EventData):
    """A supervisor took part in somebody's talk, in another way than before, or no more."""

    TYPE: ClassVar[str] = "audit.call_supervised.v1"
    #: User ids.
    supervisor: str
    supervised: str
    mode: Literal["listen", "whisper", "barge", "ended"]
    #: The supervised call.
    call_id: str
