"""Who calls: lists of callers, and zones that they call from."""

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from carillon_contracts.config.values import Country, Departmental, Name, Resource, Shape


class ListedCaller(Shape):
    """A caller by number, or every number that begins with `prefix`."""

    #: E.164 with its plus sign, at least `+`; matched from its start.
    prefix: Annotated[str, StringConstraints(pattern=r"^\+[0-9]{0,15}$")]
    #: The whole number is meant.
    exact: bool = False
    label: Name = ""


class CallerList(Departmental):
    """Callers that a plan or a user treats alike; whether they are welcome is said where the list is used."""

    KIND: ClassVar[str] = "caller_list"
    PLURAL: ClassVar[str] = "caller_lists"
    display_name: str = ""
    callers: Annotated[tuple[ListedCaller, ...], Field(max_length=2000)] = ()
    #: Callers without a number are on it too.
    withheld: bool = False


class OriginZone(Resource):
    """A part of the world by prefixes and countries."""

    KIND: ClassVar[str] = "origin_zone"
    PLURAL: ClassVar[str] = "origin_zones"
    display_name: str = ""
    prefixes: Annotated[tuple[Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{0,14}$")], ...], Field(max_length=2000)] = ()
    countries: tuple[Country, ...] = ()
