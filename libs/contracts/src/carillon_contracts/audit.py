"""Audit events, published on `carillon.<tenant>.audit.<fact>`: attacks, refusals, logins, and who listened to whom.

What concerns one known account goes to its tenant; what concerns an address, or an account that does not exist, concerns no tenant
and goes to the operator under the name `OPERATOR`, which no tenant can have. Never a password, a digest or a nonce.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Literal, Protocol
from uuid import UUID

from carillon_contracts.envelope import Event, EventData
from carillon_contracts.streams import audit_subject

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


class RecordingDeleted(EventData):
    """A call's recording was deleted: by a person or system (its token's subject), or because its `retention` was over."""

    TYPE: ClassVar[str] = "audit.recording_deleted.v1"
    recording_id: str
    call_id: str
    deleted_by: str
    reason: str = ""


class CallSupervised(EventData):
    """A supervisor took part in somebody's talk, in another way than before, or no more."""

    TYPE: ClassVar[str] = "audit.call_supervised.v1"
    #: User ids.
    supervisor: str
    supervised: str
    mode: Literal["listen", "whisper", "barge", "ended"]
    #: The supervised call.
    call_id: str


class RequestRefused(EventData):
    """Somebody called the API without a right to; alike refusals of a minute are told together."""

    TYPE: ClassVar[str] = "audit.request_refused.v1"
    #: `carillon.directory.v1.UserService/DeleteUser`; empty: many different ones.
    rpc: str
    reason: Literal["unauthenticated", "permission_denied"]
    #: The token's subject; empty: there was no token that counts.
    by: str
    #: IP address.
    source: str
    times: int = 1


class LoginFailed(EventData):
    """A wrong password or code, or a login that does not exist or is locked."""

    TYPE: ClassVar[str] = "audit.login_failed.v1"
    login: str
    #: IP address.
    source: str


class LoginLocked(EventData):
    """Too many wrong tries: nothing is taken for a while."""

    TYPE: ClassVar[str] = "audit.login_locked.v1"
    login: str
    until: datetime
    #: Address of the last try.
    source: str


class LoginReused(EventData):
    """A refresh token came a second time: somebody has a copy. Everything that came of that login is ended."""

    TYPE: ClassVar[str] = "audit.login_reused.v1"
    login: str
    source: str


class AccessChanged(EventData):
    """Somebody changed who may log in, or a key of a system."""

    TYPE: ClassVar[str] = "audit.access_changed.v1"
    action: Literal[
        "password_set",
        "login_removed",
        "second_factor_added",
        "second_factor_removed",
        "unlocked",
        "api_key_created",
        "api_key_revoked",
        "device_prepared",
        "device_withdrawn",
        "welcomed",
    ]
    #: Id of the user, the key or the device.
    about: str
    by: str


class ProvisioningRefused(EventData):
    """Somebody asked for a phone's settings with a secret that does not count, or for another phone's."""

    TYPE: ClassVar[str] = "audit.provisioning_refused.v1"
    file: str
    #: IP address.
    source: str
    user_agent: str
    #: Nothing is given to this address any more for a while.
    kept_out: bool


class TenantEntered(EventData):
    """Somebody of a reseller got a token of an admin of the tenant; what is done with it has `reseller/<reseller_id>/<by>` as its actor."""

    TYPE: ClassVar[str] = "audit.tenant_entered.v1"
    reseller_id: str
    #: The token's subject.
    by: str
    reason: str = ""


class AdministratorChanged(EventData):
    """Somebody from outside of the tenant, a reseller that entered it or an operator, made a user an administrator or took that away; the
    tenant's administrators of before are told by e-mail."""

    TYPE: ClassVar[str] = "audit.administrator_changed.v1"
    user_id: str
    #: Roles; empty: there was, or is, no such user.
    was: str = ""
    now: str = ""
    #: As the tenant's history names them.
    by: str


class PersonErased(EventData):
    """Nothing names this person any more but copies outside (backups, letters that were delivered); `counts`: by service, then by what."""

    TYPE: ClassVar[str] = "audit.person_erased.v1"
    erasure_id: str
    #: What stands in their place wherever they were named.
    pseudonym: str
    by: str
    counts: Mapping[str, Mapping[str, int]]


class EmergencyCalled(EventData):
    """Somebody called for help; told once a call (and once a transfer there), whether or not it was answered."""

    TYPE: ClassVar[str] = "audit.emergency_called.v1"
    call_id: str
    #: As it was dialled: `117`.
    number: str
    user_id: str
    user_name: str = ""
    extension: str = ""
    #: What the emergency service was shown.
    callback_number: str = ""
    #: The user's own, or the nearest department's; empty: unknown.
    site_id: str = ""
    address: str = ""
    department_id: str = ""
    #: Whom a letter goes to.
    recipients: tuple[str, ...] = ()
    #: Which phones are called.
    phones: tuple[str, ...] = ()
    #: Who is connected, when the user sent another's call there: number, `withheld`; empty: the user.
    connects: str = ""


def audit_event(event: EventData, tenant: str, *, event_id: UUID, source: str, about: str, at: datetime) -> tuple[str, bytes]:
    """Subject and payload of an audit event; an empty tenant is the operator's."""
    tenant = tenant or OPERATOR
    envelope = Event(
        id=event_id,
        source=source,
        type=f"carillon.{event.TYPE}",
        subject=about,
        time=at,
        data=event.model_dump(mode="json"),
        tenantid=tenant,
    )
    return audit_subject(tenant, event.fact()), envelope.to_json()


class RefusedCall(Protocol):
    """What a gRPC server knows of a call that it refused."""

    @property
    def method(self) -> str: ...
    @property
    def reason(self) -> Literal["unauthenticated", "permission_denied"]: ...
    @property
    def subject(self) -> str: ...
    @property
    def tenant(self) -> str: ...
    @property
    def peer(self) -> str: ...


def request_refused(refusal: RefusedCall, times: int, *, event_id: UUID, source: str, at: datetime) -> tuple[str, bytes]:
    """Subject and payload for some alike refusals."""
    event = RequestRefused(rpc=refusal.method, reason=refusal.reason, by=refusal.subject, source=refusal.peer, times=times)
    return audit_event(event, refusal.tenant, event_id=event_id, source=source, about=f"rpc/{refusal.method}", at=at)
