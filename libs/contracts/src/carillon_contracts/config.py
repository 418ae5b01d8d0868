"""The resources of a tenant as configuration events carry them, and the event itself.

Names and meanings are those of `carillon.directory.v1`; a proto message in its JSON form (original field names, enum values
without their prefix in lower case) is one of these models and back. Each model checks itself; references are checked by the directory.
"""

import ipaddress
import re
from datetime import date
from typing import Annotated, Any, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from carillon_contracts.envelope import EventData, Frozen

E164 = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{4,14}$")]
ResourceId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9+*#][a-z0-9+*#._-]{0,63}$")]
TenantId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Language = Annotated[str, StringConstraints(pattern=r"^([a-z]{2}(-[A-Z]{2})?)?$")]
ClockTime = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
HangUpReason = Literal["normal", "busy", "rejected"]


def _time_zone(value: str) -> str:
    if value:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"unknown time zone {value!r}") from error
    return value


TimeZoneName = Annotated[str, AfterValidator(_time_zone)]


class Shape(Frozen):
    """A value inside a resource; unknown fields are refused where people write them, see `Resource`."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Resource(Shape):
    """Base of all resources. `KIND` names it in subjects, events, history and YAML (plural: `PLURAL`)."""

    KIND: ClassVar[str]
    PLURAL: ClassVar[str]
    id: ResourceId
    #: Changes with every change of the resource; made by the directory.
    etag: str = ""


def _exactly_one(value: Shape, names: tuple[str, ...]) -> str:
    found = [name for name in names if getattr(value, name) is not None]
    if len(found) != 1:
        raise ValueError(f"exactly one of {', '.join(names)} must be set, not {', '.join(found) or 'none'}")
    return found[0]


class Announcement(Shape):
    """A phrase spoken by the system; no language means the tenant's."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    language: Language = ""


class Destination(Shape):
    """Where a call can be sent: exactly one of the fields is set."""

    user_id: str | None = None
    ring_group_id: str | None = None
    menu_id: str | None = None
    plan_id: str | None = None
    mailbox_id: str | None = None
    external_number: E164 | None = None
    announcement: Announcement | None = None
    hang_up: HangUpReason | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        _exactly_one(self, DESTINATION_KINDS)
        return self

    @property
    def kind(self) -> str:
        """The name of the field that is set."""
        return _exactly_one(self, DESTINATION_KINDS)


DESTINATION_KINDS = (
    "user_id",
    "ring_group_id",
    "menu_id",
    "plan_id",
    "mailbox_id",
    "external_number",
    "announcement",
    "hang_up",
)


class Tenant(Resource):
    """One company."""

    KIND: ClassVar[str] = "tenant"
    PLURAL: ClassVar[str] = "tenants"
    id: TenantId
    display_name: str = ""
    #: SIP domain and digest realm, unique in the installation.
    realm: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "CH"
    time_zone: Annotated[TimeZoneName, StringConstraints(min_length=1)] = "Europe/Zurich"
    language: Annotated[Language, StringConstraints(min_length=2)] = "en"
    main_number: E164 | Literal[""] = ""


class Forwarding(Shape):
    """Where a user's calls go by outcome; None: back to whoever sent the call to the user."""

    busy: Destination | None = None
    no_answer: Destination | None = None
    unreachable: Destination | None = None


class User(Resource):
    """A person with a line."""

    KIND: ClassVar[str] = "user"
    PLURAL: ClassVar[str] = "users"
    last_name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    first_name: Annotated[str, StringConstraints(max_length=100)] = ""
    email: Annotated[str, StringConstraints(pattern=r"^([^@\s\r\n<>,;]+@[^@\s\r\n<>,;]+)?$", max_length=254)] = ""
    language: Language = ""
    mobile: E164 | Literal[""] = ""
    caller_number: E164 | Literal[""] = ""
    ring_seconds: Annotated[int, Field(ge=10, le=90)] = 20
    forwarding: Forwarding = Forwarding()
    mailbox_id: str = ""

    @property
    def full_name(self) -> str:
        """First and last name, for displays."""
        return f"{self.first_name} {self.last_name}".strip()


class Extension(Resource):
    """Digits that the tenant's users dial; the id is the digits."""

    KIND: ClassVar[str] = "extension"
    PLURAL: ClassVar[str] = "extensions"
    id: Annotated[str, StringConstraints(pattern=r"^[0-9]{2,6}$")]
    destination: Destination


class SipCredential(Resource):
    """What a device registers with; the id is the SIP user name. Only hashes are kept (RFC 8760: HA1 by algorithm)."""

    KIND: ClassVar[str] = "sip_credential"
    PLURAL: ClassVar[str] = "sip_credentials"
    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    user_id: str
    realm: str = ""
    ha1_md5: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{32})?$")] = ""
    ha1_sha256: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""


class Number(Resource):
    """A number from a carrier; the id is E.164 with its plus sign."""

    KIND: ClassVar[str] = "number"
    PLURAL: ClassVar[str] = "numbers"
    id: E164
    label: str = ""
    destination: Destination | None = None


class DayRange(Shape):
    """Half-open: start inclusive, end exclusive, same day."""

    start: ClockTime
    end: ClockTime

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f"start {self.start} is not before end {self.end}")
        return self


class WeeklyRange(DayRange):
    """Weekdays by ISO 8601: 1 is Monday."""

    weekdays: Annotated[tuple[Annotated[int, Field(ge=1, le=7)], ...], Field(min_length=1)]


class ScheduleException(Shape):
    """Replaces the weekday's ranges on its date; no ranges: closed."""

    date: date
    ranges: tuple[DayRange, ...] = ()
    label: str = ""


class Schedule(Resource):
    """When something is open."""

    KIND: ClassVar[str] = "schedule"
    PLURAL: ClassVar[str] = "schedules"
    display_name: str = ""
    time_zone: TimeZoneName = ""
    ranges: tuple[WeeklyRange, ...] = ()
    exceptions: tuple[ScheduleException, ...] = ()


class RingMember(Shape):
    """A user or an external number in a group; `ring_seconds` 0: 5 for a user, 20 for an external number."""

    user_id: str | None = None
    external_number: E164 | None = None
    ring_seconds: Annotated[int, Field(ge=0, le=60)] = 0

    @model_validator(mode="after")
    def _one(self) -> Self:
        _exactly_one(self, ("user_id", "external_number"))
        if 0 < self.ring_seconds < 5:
            raise ValueError("ring_seconds must be 5 to 60")
        return self


class RingGroup(Resource):
    """Several users or numbers under one destination."""

    KIND: ClassVar[str] = "ring_group"
    PLURAL: ClassVar[str] = "ring_groups"
    display_name: str = ""
    strategy: Literal["parallel", "sequential", "progressive"] = "parallel"
    members: Annotated[tuple[RingMember, ...], Field(min_length=1, max_length=100)]
    timeout_seconds: Annotated[int, Field(ge=10, le=300)] = 45
    no_answer: Destination | None = None


class MenuKey(Shape):
    """What a key does."""

    key: Annotated[str, StringConstraints(pattern=r"^[0-9*#]$")]
    destination: Destination
    language: Language = ""


class Menu(Resource):
    """An interactive menu."""

    KIND: ClassVar[str] = "menu"
    PLURAL: ClassVar[str] = "menus"
    display_name: str = ""
    introduction: tuple[Announcement, ...] = ()
    prompt: Annotated[tuple[Announcement, ...], Field(min_length=1)]
    keys: tuple[MenuKey, ...] = ()
    extension_dialling: bool = False
    wrong_key: tuple[Announcement, ...] = ()
    no_key: tuple[Announcement, ...] = ()
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    replays: Annotated[int, Field(ge=0, le=9)] = 2
    no_choice: Destination | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        keys = [key.key for key in self.keys]
        if len(set(keys)) != len(keys):
            raise ValueError("keys: each key may stand once")
        if not self.keys and not self.extension_dialling:
            raise ValueError("keys: at least one key, or extension_dialling")
        return self


class Ways(Shape):
    """Node ids by outcome; an empty one falls to `otherwise`, and that one, if empty, to hanging up."""

    answered: str = ""
    no_answer: str = ""
    busy: str = ""
    unreachable: str = ""
    otherwise: str = ""


class DestinationNode(Shape):
    """Send the call there; the ways count for a user or an external number."""

    destination: Destination
    ways: Ways = Ways()
    ring_seconds: Annotated[int, Field(ge=0, le=300)] = 0


class CalendarEntry(Shape):
    """If the schedule is open, go to `next`."""

    schedule_id: str
    next: str


class CalendarNode(Shape):
    """The first entry whose schedule is open wins."""

    entries: Annotated[tuple[CalendarEntry, ...], Field(min_length=1)]
    otherwise: str


class RingGroupNode(Shape):
    """Ring a group; its own `no_answer` counts only where no way is given."""

    ring_group_id: str
    ways: Ways = Ways()


class MenuNode(Shape):
    """Play a menu."""

    menu_id: str
    no_choice: str = ""


class MailboxNode(Shape):
    """Take a message."""

    mailbox_id: str


class AnnouncementNode(Shape):
    """Speak, then go on; no next: hang up."""

    announcements: Annotated[tuple[Announcement, ...], Field(min_length=1)]
    next: str = ""


class HangUpNode(Shape):
    """End the call."""

    reason: HangUpReason = "normal"


NODE_KINDS = ("destination", "calendar", "ring_group", "menu", "mailbox", "announcement", "hang_up")


class PlanNode(Shape):
    """One node of a plan: exactly one kind is set."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
    destination: DestinationNode | None = None
    calendar: CalendarNode | None = None
    ring_group: RingGroupNode | None = None
    menu: MenuNode | None = None
    mailbox: MailboxNode | None = None
    announcement: AnnouncementNode | None = None
    hang_up: HangUpNode | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        _exactly_one(self, NODE_KINDS)
        return self

    @property
    def kind(self) -> str:
        """The name of the field that is set."""
        return _exactly_one(self, NODE_KINDS)


class Plan(Resource):
    """A routing plan: a graph of nodes."""

    KIND: ClassVar[str] = "plan"
    PLURAL: ClassVar[str] = "plans"
    display_name: str = ""
    entry: str
    nodes: Annotated[tuple[PlanNode, ...], Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        ids = [node.id for node in self.nodes]
        if len(set(ids)) != len(ids):
            raise ValueError("nodes: each id may stand once")
        return self


class Mailbox(Resource):
    """Takes messages and mails them."""

    KIND: ClassVar[str] = "mailbox"
    PLURAL: ClassVar[str] = "mailboxes"
    display_name: str = ""
    emails: tuple[Annotated[str, StringConstraints(pattern=r"^[^@\s\r\n<>,;]+@[^@\s\r\n<>,;]+$", max_length=254)], ...] = ()
    greeting: tuple[Announcement, ...] = ()
    language: Language = ""
    max_seconds: Annotated[int, Field(ge=10, le=600)] = 180
    silence_seconds: Annotated[int, Field(ge=2, le=30)] = 5


_HOST_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?")


def _host_port(value: str) -> str:
    match = _HOST_PORT.fullmatch(value)
    if match is None or int(match.group(2) or 5060) not in range(1, 65536):
        raise ValueError(f"{value!r} is not host or host:port")
    return value


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _with_port(data: Any) -> Any:
    """An IP address gets the port of its transport."""
    address = data.get("address") if isinstance(data, dict) else None
    if not isinstance(address, str) or not _HOST_PORT.fullmatch(address) or not _is_ip(address):
        return data
    return data | {"address": f"{address}:{5061 if data.get('transport') == 'tls' else 5060}"}


def _host(address: str) -> str:
    return _HOST_PORT.fullmatch(address)[1].strip("[]").lower()  # type: ignore[index]


def _port(address: str) -> int | None:
    port = _HOST_PORT.fullmatch(address)[2]  # type: ignore[index]
    return int(port) if port else None


#: What may stand in a user part, a user name or a realm: no spaces, quotes, brackets or control characters.
SipWord = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~!*'&=+$,;?/@:#-]{1,128}$")]
SipDomain = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])?$")]


#: Purpose and context of the seal: `Sealer(key, TRUNK_PASSWORDS).open(sealed_password, tenant id, credential id)`.
TRUNK_PASSWORDS = "trunk passwords"


class TrunkCredential(Resource):
    """What we prove ourselves to a carrier with. The password is kept sealed (`carillon_kit.sealing`): only media opens it."""

    KIND: ClassVar[str] = "trunk_credential"
    PLURAL: ClassVar[str] = "trunk_credentials"
    username: SipWord
    #: Challenges of this realm alone are answered; empty: of any.
    realm: Annotated[str, StringConstraints(pattern=r'^[^"\\\x00-\x1f\x7f]{0,128}$')] = ""
    sealed_password: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{0,400}$")] = Field(default="", repr=False)


class TrunkServer(Shape):
    """A further server of a trunk, as `Trunk.address`; that one has priority 0."""

    address: Annotated[str, AfterValidator(_host_port)]
    transport: Literal["udp", "tcp", "tls", "auto"] = "udp"
    #: Lower is tried first.
    priority: Annotated[int, Field(ge=0, le=100)] = 1

    @model_validator(mode="before")
    @classmethod
    def _port_of_an_ip_address(cls, data: Any) -> Any:
        return _with_port(data)

    @property
    def host(self) -> str:
        """Name or IP address, in lower case without brackets."""
        return _host(self.address)

    @property
    def port(self) -> int | None:
        """None: DNS tells."""
        return _port(self.address)


class TrunkRegistration(Shape):
    """How we register with the carrier, so that it knows where to send calls to."""

    #: Domain that we register at; empty: the trunk's host.
    domain: SipDomain = ""
    #: User part of the address of record; empty: the credential's user name.
    user: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9._~!*'&=+$,;?/#-]{1,64})?$")] = ""
    #: What we ask for; the carrier may grant less.
    expires_seconds: Annotated[int, Field(ge=60, le=86_400)] = 600
    #: The number that is called when the carrier does not say which.
    default_number: E164 | Literal[""] = ""


class TrunkNumberFormat(Shape):
    """How a number in E.164 is written for the carrier: in its style, then digits taken off, then others put before.

    Numbers that are not in E.164 (emergency and short ones) are left as they are.
    """

    #: `+41215550100`, `41215550100`, `0041215550100`; national: `0215550100` within the tenant's country, else as international.
    style: Literal["e164", "plain", "international", "national"] = "e164"
    strip_digits: Annotated[int, Field(ge=0, le=15)] = 0
    prepend: Annotated[str, StringConstraints(pattern=r"^\+?[0-9*#]{0,15}$")] = ""


class TrunkIncoming(Shape):
    """How the number that the carrier calls becomes one of ours: digits taken off, then others put before."""

    strip_digits: Annotated[int, Field(ge=0, le=15)] = 0
    prepend: Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{0,15}$")] = ""


class TrunkIdentity(Shape):
    """Which headers tell the carrier who calls."""

    #: Domain of From and the asserted identity; empty: the registration's, or else ours.
    domain: SipDomain = ""
    #: Whose number stands in From: the caller's, or the account that we registered with.
    from_number: Literal["caller", "account"] = "caller"
    asserted: Literal["p_asserted_identity", "p_preferred_identity", "none"] = "p_asserted_identity"
    #: What tells that a call was forwarded.
    diversion: Literal["none", "diversion", "history_info", "both"] = "none"


class Trunk(Resource):
    """A carrier known by its address: `host:port`, or a name without port, whose servers DNS tells (RFC 3263).

    An IP address without port gets the transport's: 5060, or 5061 for TLS. Transport `auto`: DNS tells that too, UDP if it does not.
    """

    KIND: ClassVar[str] = "trunk"
    PLURAL: ClassVar[str] = "trunks"
    display_name: str = ""
    address: Annotated[str, AfterValidator(_host_port)]
    transport: Literal["udp", "tcp", "tls", "auto"] = "udp"
    prefixes: tuple[Annotated[str, StringConstraints(pattern=r"^\+[0-9]*$")], ...] = ()
    priority: int = 0
    #: Tried in the order of their priority when those before are silent or cannot.
    servers: Annotated[tuple[TrunkServer, ...], Field(max_length=8)] = ()
    #: None: the carrier knows us by our address.
    registration: TrunkRegistration | None = None
    trunk_credential_id: str = ""
    dialled_format: TrunkNumberFormat = TrunkNumberFormat()
    caller_format: TrunkNumberFormat = TrunkNumberFormat()
    incoming: TrunkIncoming = TrunkIncoming()
    identity: TrunkIdentity = TrunkIdentity()
    #: OPTIONS to each server so often; 0: never.
    ping_seconds: Annotated[int, Field(ge=0, le=3600)] = 0
    #: A server that says nothing at all for so long is given up for the next.
    silence_seconds: Annotated[int, Field(ge=1, le=30)] = 4
    #: Calls at once in both directions, and new calls a second; 0: no limit. Calls to emergency numbers pass.
    max_calls: Annotated[int, Field(ge=0, le=100_000)] = 0
    max_calls_per_second: Annotated[int, Field(ge=0, le=10_000)] = 0

    @model_validator(mode="before")
    @classmethod
    def _port_of_an_ip_address(cls, data: Any) -> Any:
        return _with_port(data)

    @model_validator(mode="after")
    def _account(self) -> Self:
        if self.registration is not None and not (self.registration.user or self.trunk_credential_id):
            raise ValueError("registration: needs a user or a trunk_credential_id")
        if 0 < self.ping_seconds < 5:
            raise ValueError("ping_seconds: must be 0 or at least 5")
        return self

    @property
    def host(self) -> str:
        """Name or IP address, in lower case without brackets."""
        return _host(self.address)

    @property
    def port(self) -> int | None:
        """None: DNS tells."""
        return _port(self.address)


#: Every kind of resource by its `KIND`, the tenant first, the others so that what is referred to mostly comes before what refers.
RESOURCES: dict[str, type[Resource]] = {
    kind.KIND: kind
    for kind in (Tenant, TrunkCredential, Trunk, Schedule, Mailbox, User, SipCredential, RingGroup, Menu, Plan, Extension, Number)
}


class ConfigChanged(EventData):
    """One accepted change with the whole fact; `configseq` in the envelope is the version it made.

    Published as `carillon.config.<resource>_<fact>.v1` (`carillon.config.user_updated.v1`) on
    `carillon.<tenant>.config.<resource>.<fact>`. `before` and `after` are the resource as JSON; secrets are hashes.
    """

    TYPE: ClassVar[str] = "config.changed.v1"
    resource: str
    resource_id: str
    action: Literal["created", "updated", "deleted"]
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    actor: str
    reason: str = ""

    @property
    def event_type(self) -> str:
        """CloudEvents type of this change."""
        return f"carillon.config.{self.resource}_{self.action}.v1"
