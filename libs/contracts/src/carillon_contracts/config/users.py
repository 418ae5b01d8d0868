"""People and what their devices register with."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from carillon_contracts.config.features import DoorPhone
from carillon_contracts.config.reachability import Forwarding, ScreeningRule, Secretary, SimultaneousTarget, WeekRange
from carillon_contracts.config.values import E164, Departmental, Language, Name, Resource, Shape


class Services(Shape):
    """What a user has; what is off is not offered."""

    fixed_line: bool = True
    mobile: bool = True
    messaging: bool = True
    fax: bool = True
    conference: bool = True


class FunctionKey(Shape):
    """A key of the user's phones, whichever they are: watches a colleague (and picks up and transfers), or dials."""

    key: Annotated[int, Field(ge=1, le=200)]
    #: Whom it watches.
    user_id: str = ""
    #: What it dials: digits, or E.164.
    number: Annotated[str, StringConstraints(pattern=r"^(\+?[0-9*#]{1,32})?$")] = ""
    label: Name = ""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.user_id) == bool(self.number):
            raise ValueError("exactly one of user_id, number must be set")
        return self


class User(Departmental):
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
    #: None: the user is no door phone.
    door_phone: DoorPhone | None = None
    #: No call rings; forwarding goes as for a busy line.
    do_not_disturb: bool = False
    #: Ring together with the user's own devices.
    simultaneous: Annotated[tuple[SimultaneousTarget, ...], Field(max_length=10)] = ()
    #: The first rule that the caller matches decides.
    screening: Annotated[tuple[ScreeningRule, ...], Field(max_length=50)] = ()
    #: As do not disturb, at these hours.
    quiet_hours: Annotated[tuple[WeekRange, ...], Field(max_length=20)] = ()
    #: Who is rung first for the user.
    secretary: Secretary | None = None
    #: Empty: the tenant's.
    recording_policy_id: str = ""
    hold_music_id: str = ""
    ringback_music_id: str = ""
    busy_music_id: str = ""
    title: Name = ""
    function: Name = ""
    description: str = ""
    #: Unique in the tenant; made from the name if left empty at creation.
    login: Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9._@-]{0,99})?$")] = ""
    role: Literal["user", "department_admin", "admin"] = "user"
    rights_profile_id: str = ""
    site_id: str = ""
    services: Services = Services()
    #: Name shown on colleagues' phones; empty: first and last name.
    display_name: Name = ""
    #: The number is not shown outside.
    withhold: bool = False
    restriction_profile_id: str = ""
    account_code_policy_id: str = ""
    #: The user's own, taken beside those of the policy.
    account_code: Annotated[str, StringConstraints(pattern=r"^[0-9]{0,15}$")] = ""
    #: Trunks for the user's calls; empty: those of the department, or any (`carillon_contracts.inherited`).
    trunk_ids: tuple[str, ...] = ()
    #: Asked for before certain calls (`RestrictionProfile.pin_needed`); kept as a hash, see `carillon_kit.pins`.
    outbound_pin_hash: str = ""
    #: By which the user logs in on any phone of the tenant (`Feature` phone_login); kept likewise.
    phone_pin_hash: str = ""
    provisioning_profile_id: str = ""
    function_keys: Annotated[tuple[FunctionKey, ...], Field(max_length=200)] = ()

    @model_validator(mode="after")
    def _keys(self) -> Self:
        keys = [each.key for each in self.function_keys]
        if len(set(keys)) != len(keys):
            raise ValueError("function_keys: each key may stand once")
        return self

    @property
    def full_name(self) -> str:
        """First and last name, for displays."""
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def shown_name(self) -> str:
        """What colleagues see in calls and lists."""
        return self.display_name or self.full_name


class SipCredential(Resource):
    """What a device registers with; the id is the SIP user name. Only hashes are kept (RFC 8760: HA1 by algorithm)."""

    KIND: ClassVar[str] = "sip_credential"
    PLURAL: ClassVar[str] = "sip_credentials"
    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    user_id: str
    #: Whose the device is while somebody else (`user_id`) is logged in on it; empty: nobody else is.
    home_user_id: str = ""
    realm: str = ""
    ha1_md5: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{32})?$")] = ""
    ha1_sha256: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
