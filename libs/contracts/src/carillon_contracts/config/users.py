"""People, their extensions and what their devices register with."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from carillon_contracts.config.destinations import Destination
from carillon_contracts.config.features import DoorPhone
from carillon_contracts.config.reachability import Forwarding, ScreeningRule, Secretary, SimultaneousTarget, WeekRange
from carillon_contracts.config.values import E164, Language, Resource


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
