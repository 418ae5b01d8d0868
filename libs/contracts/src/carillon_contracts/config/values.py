"""Values that every resource is made of, and the base of all resources."""

from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ConfigDict, StringConstraints

from carillon_contracts.envelope import Frozen

E164 = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{4,14}$")]
ResourceId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9+*#][a-z0-9+*#._-]{0,63}$")]
TenantId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Language = Annotated[str, StringConstraints(pattern=r"^([a-z]{2}(-[A-Z]{2})?)?$")]
ClockTime = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
HangUpReason = Literal["normal", "busy", "rejected"]
#: An argon2id hash in its usual text form.
PinHash = Annotated[str, StringConstraints(pattern=r"^(\$argon2id\$[A-Za-z0-9+/=$,.-]{20,200})?$")]
#: ISO 3166-1 alpha-2.
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s\r\n<>,;]+@[^@\s\r\n<>,;]+$", max_length=254)]
#: A short text of a person's or a thing's card.
Name = Annotated[str, StringConstraints(max_length=100)]


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


class Departmental(Resource):
    """A resource that may belong to a department; its admins see and change it."""

    #: Empty: the whole tenant's.
    department_id: str = ""


def exactly_one(value: Shape, names: tuple[str, ...]) -> str:
    found = [name for name in names if getattr(value, name) is not None]
    if len(found) != 1:
        raise ValueError(f"exactly one of {', '.join(names)} must be set, not {', '.join(found) or 'none'}")
    return found[0]
