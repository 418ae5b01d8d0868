"""What phones can do beyond calling: codes, pickup, parking, paging, supervision, doors."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from carillon_contracts.config.destinations import Destination
from carillon_contracts.config.values import Resource, Shape

Feature = Literal[
    "pick_up_group",
    "pick_up",
    "park",
    "voicemail",
    "forward_on",
    "forward_off",
    "dnd_on",
    "dnd_off",
    "agent_login",
    "agent_logout",
    "agent_pause",
    "phone_login",
    "phone_logout",
    "operator",
    "withhold",
    "call_return",
    "intercom",
    "page",
    "listen",
    "whisper",
    "barge",
    "call_back",
    "call_back_off",
]
#: What is dialled for each feature in a tenant that says nothing else.
USUAL_CODES: Mapping[Feature, str] = {
    "pick_up_group": "*8",
    "pick_up": "**",
    "park": "*7",
    "voicemail": "*97",
    "forward_on": "*21*",
    "forward_off": "#21#",
    "dnd_on": "*78",
    "dnd_off": "*79",
    "agent_login": "*45",
    "agent_logout": "*46",
    "agent_pause": "*47",
    "phone_login": "*11",
    "phone_logout": "*12",
    "operator": "*0",
    "withhold": "*31",
    "call_return": "*69",
    "intercom": "*80",
    "page": "*81",
    "listen": "*82",
    "whisper": "*83",
    "barge": "*84",
    "call_back": "*37",
    "call_back_off": "#37#",
}
#: Slots of one parking lot.
MAX_SLOTS = 100
Slot = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,6}$")]
PickupScope = Literal["tenant", "group"]
SupervisionMode = Literal["listen", "whisper", "barge"]


class FeatureCode(Shape):
    """The code of a feature where it is not the usual one; empty: the feature is off. The operator's may be a single digit."""

    feature: Feature
    code: Annotated[str, StringConstraints(pattern=r"^([*#][0-9*#]{0,7}|[0-9])?$")] = ""

    @model_validator(mode="after")
    def _digit(self) -> Self:
        if self.code.isdecimal() and self.feature != "operator":
            raise ValueError("code: begins with * or #; only the operator's may be a digit")
        return self


def codes_of(changed: tuple[FeatureCode, ...]) -> dict[Feature, str]:
    """Every feature that is on, with its code; a usual code that the tenant gives to another feature is not its own one's any more, so
    that a new usual code never takes one from a tenant that had it before."""
    own = {each.code for each in changed if each.code}
    codes = {feature: code for feature, code in USUAL_CODES.items() if code not in own} | {each.feature: each.code for each in changed}
    return {feature: code for feature, code in codes.items() if code}


def check_codes(changed: tuple[FeatureCode, ...]) -> None:
    """Raises ValueError when a feature stands twice, or two are given the same code."""
    features: dict[str, Feature] = {}
    for each in changed:
        if [other.feature for other in changed].count(each.feature) > 1:
            raise ValueError(f"{each.feature} stands twice")
        if each.code and (other := features.setdefault(each.code, each.feature)) != each.feature:
            raise ValueError(f"{each.code} is the code of {other} and of {each.feature}")


class DoorPhone(Shape):
    """What opens the door that a door phone stands at."""

    open_digits: Annotated[str, StringConstraints(pattern=r"^[0-9*#]{1,8}$")]
    lock_digits: Annotated[str, StringConstraints(pattern=r"^[0-9A-D*#]{1,16}$")]


class PickupGroup(Resource):
    """Every member may take a call that rings at another member's phone."""

    KIND: ClassVar[str] = "pickup_group"
    PLURAL: ClassVar[str] = "pickup_groups"
    display_name: str = ""
    user_ids: Annotated[tuple[str, ...], Field(min_length=1, max_length=200)]


class ParkingLot(Resource):
    """Numbers at which calls are parked; who dials a slot takes its call back."""

    KIND: ClassVar[str] = "parking_lot"
    PLURAL: ClassVar[str] = "parking_lots"
    display_name: str = ""
    first_slot: Slot
    last_slot: Slot
    recall_seconds: Annotated[int, Field(ge=10, le=3600)] = 90
    recall_ring_seconds: Annotated[int, Field(ge=5, le=120)] = 30
    no_answer: Destination | None = None
    paging_group_id: str = ""

    @model_validator(mode="after")
    def _slots(self) -> Self:
        if len(self.first_slot) != len(self.last_slot) or self.first_slot > self.last_slot:
            raise ValueError("last_slot must have as many digits as first_slot and not come before it")
        if len(self.slots) > MAX_SLOTS:
            raise ValueError(f"at most {MAX_SLOTS} slots")
        return self

    @property
    def slots(self) -> tuple[str, ...]:
        """Every slot, in order."""
        width = len(self.first_slot)
        return tuple(f"{number:0{width}}" for number in range(int(self.first_slot), int(self.last_slot) + 1))

    def holds(self, digits: str) -> bool:
        """Whether these digits are one of its slots."""
        return digits.isdecimal() and len(digits) == len(self.first_slot) and self.first_slot <= digits <= self.last_slot


class PagingGroup(Resource):
    """Phones that take a page at once and let everybody near them hear who speaks."""

    KIND: ClassVar[str] = "paging_group"
    PLURAL: ClassVar[str] = "paging_groups"
    display_name: str = ""
    number: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}$")]
    user_ids: Annotated[tuple[str, ...], Field(min_length=1, max_length=200)]
    #: Who may page; empty: every user.
    allowed_user_ids: Annotated[tuple[str, ...], Field(max_length=200)] = ()


class Supervision(Resource):
    """A right of some users to take part in the calls of others, and to see to queues."""

    KIND: ClassVar[str] = "supervision"
    PLURAL: ClassVar[str] = "supervisions"
    display_name: str = ""
    supervisor_user_ids: Annotated[tuple[str, ...], Field(min_length=1, max_length=50)]
    user_ids: Annotated[tuple[str, ...], Field(max_length=1000)] = ()
    modes: Annotated[tuple[SupervisionMode, ...], Field(max_length=3)] = ()
    #: Whose callers and agents they see and see to.
    queue_ids: Annotated[tuple[str, ...], Field(max_length=200)] = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.user_ids and not self.modes:
            raise ValueError("modes: at least one, for the calls of user_ids")
        if not self.user_ids and not self.queue_ids:
            raise ValueError("user_ids or queue_ids must be given")
        return self
