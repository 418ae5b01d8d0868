"""How a company is divided, and what holds for its parts: sites, departments, rights, rules, limits, what was bought."""

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from carillon_contracts.config.destinations import Destination
from carillon_contracts.config.values import E164, Country, Departmental, Email, Language, Resource, Shape, TimeZoneName

Count = Annotated[int, Field(ge=0, le=1_000_000)]


class CallLimits(Shape):
    """Calls at once and new calls a minute; 0: no limit. Calls to emergency numbers pass every limit."""

    max_calls: Count = 0
    max_calls_in: Count = 0
    max_calls_out: Count = 0
    max_calls_per_minute: Count = 0


class Subscription(Shape):
    """What a tenant has bought; None: as many as wanted. More is refused with the reason."""

    product: str = ""
    users: Count | None = None
    numbers: Count | None = None
    menu_nodes: Count | None = None
    queues: Count | None = None
    conference_rooms: Count | None = None
    trunks: Count | None = None
    #: Whether calls may be recorded.
    recording: bool = True
    #: The last day; None: without end.
    valid_until: date | None = None
    trial: bool = False
    #: Nobody calls nor is called, but for help.
    suspended: bool = False


class Site(Resource):
    """A place of the company."""

    KIND: ClassVar[str] = "site"
    PLURAL: ClassVar[str] = "sites"
    display_name: str = ""
    #: Street and town, for emergency services.
    address: str = ""
    country: Country | Literal[""] = ""
    #: Put before a number dialled without it, in the national form without trunk prefix (`21` for Lausanne).
    area_code: Annotated[str, StringConstraints(pattern=r"^[0-9]{0,6}$")] = ""
    time_zone: TimeZoneName = ""
    language: Language = ""
    #: Shown outside for users of the site without their own; one of the tenant's.
    main_number: E164 | Literal[""] = ""
    operator: Destination | None = None


class Department(Resource):
    """A part of the company; departments form a tree."""

    KIND: ClassVar[str] = "department"
    PLURAL: ClassVar[str] = "departments"
    display_name: str = ""
    #: The department above; empty: none.
    parent_id: str = ""
    site_id: str = ""
    main_number: E164 | Literal[""] = ""
    operator: Destination | None = None
    limits: CallLimits = CallLimits()
    #: Of users who have none of their own, here and below.
    restriction_profile_id: str = ""
    account_code_policy_id: str = ""
    trunk_ids: tuple[str, ...] = ()


class Right(Shape):
    """What may be done with one kind of resource; `*` is every kind. Who may write may read."""

    resource: Annotated[str, StringConstraints(pattern=r"^(\*|[a-z][a-z_]{0,63})$")]
    level: Literal["read", "write"] = "read"


class RightsProfile(Resource):
    """Rights that an admin composed; it narrows what the role of its holder allows."""

    KIND: ClassVar[str] = "rights_profile"
    PLURAL: ClassVar[str] = "rights_profiles"
    display_name: str = ""
    rights: tuple[Right, ...] = ()


class HouseRuleSet(Resource):
    """Rules of the company; there is one, with the id `default`."""

    KIND: ClassVar[str] = "house_rule_set"
    PLURAL: ClassVar[str] = "house_rule_sets"
    id: Literal["default"]
    #: Instant messages go to users of the tenant alone.
    messages_inside_only: bool = False
    #: Phones show a colleague's extension instead of the full number.
    extensions_for_numbers: bool = False
    #: Fields of `User` that users may change themselves.
    users_may_change: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,63}$")], ...] = ()
    #: Of users for whom neither they nor their departments have any.
    restriction_profile_id: str = ""
    account_code_policy_id: str = ""
    trunk_ids: tuple[str, ...] = ()


class EmergencyRecipient(Departmental):
    """Who is told of an emergency call from a department (none: from anywhere) and what is below it."""

    KIND: ClassVar[str] = "emergency_recipient"
    PLURAL: ClassVar[str] = "emergency_recipients"
    display_name: str = ""
    site_id: str = ""
    emails: tuple[Email, ...] = ()
    #: Called at once, until they acknowledge it.
    phones: tuple[E164, ...] = ()
    #: In which phones are told; empty: the tenant's.
    language: Language = ""
