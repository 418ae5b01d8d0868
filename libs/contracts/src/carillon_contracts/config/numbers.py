"""Numbers from carriers, and the digits that users dial."""

from datetime import date
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from carillon_contracts.config.destinations import Destination
from carillon_contracts.config.values import E164, Departmental, Name, Resource


class Number(Departmental):
    """A number from a carrier; the id is E.164 with its plus sign. Without destination and group it is free."""

    KIND: ClassVar[str] = "number"
    PLURAL: ClassVar[str] = "numbers"
    id: E164
    label: str = ""
    destination: Destination | None = None
    #: Several numbers that share a destination; it counts in place of the own one.
    number_group_id: str = ""
    number_block_id: str = ""
    service: Literal["voice", "fax", "conference", "other"] = "voice"
    #: Who holds the contract for it.
    owner: Name = ""
    comment: str = ""
    ordered_on: date | None = None
    #: Playlist that who calls it hears in place of the ringing tone.
    ringback_music_id: str = ""

    #: Where a call goes when a fax machine's calling tone is heard in its first seconds; None: nowhere else.
    fax_destination: Destination | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.destination is not None and self.number_group_id:
            raise ValueError("destination and number_group_id: only one of them")
        return self


class NumberBlock(Resource):
    """Numbers that were ordered together, first to last."""

    KIND: ClassVar[str] = "number_block"
    PLURAL: ClassVar[str] = "number_blocks"
    first: E164
    last: E164
    owner: Name = ""
    comment: str = ""
    ordered_on: date | None = None
    trunk_id: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if len(self.first) != len(self.last) or self.first > self.last:
            raise ValueError("last is below first, or not as long")
        if self.size > 100_000:
            raise ValueError("a block has at most 100000 numbers")
        return self

    @property
    def size(self) -> int:
        """How many numbers."""
        return int(self.last) - int(self.first) + 1

    def __contains__(self, number: str) -> bool:
        return len(number) == len(self.first) and self.first <= number <= self.last


class NumberGroup(Departmental):
    """Service numbers that share one destination, mostly a plan."""

    KIND: ClassVar[str] = "number_group"
    PLURAL: ClassVar[str] = "number_groups"
    display_name: str = ""
    destination: Destination


class Extension(Departmental):
    """Digits that the tenant's users dial; the id is the digits."""

    KIND: ClassVar[str] = "extension"
    PLURAL: ClassVar[str] = "extensions"
    id: Annotated[str, StringConstraints(pattern=r"^[0-9]{2,6}$")]
    destination: Destination
    #: The number that it is a short number of; such ones come and go with the number's assignment.
    number_id: str = ""


class ExtensionRange(Departmental):
    """Extensions that are given automatically, first to last; several ranges are used in the order of their ids."""

    KIND: ClassVar[str] = "extension_range"
    PLURAL: ClassVar[str] = "extension_ranges"
    first: Annotated[str, StringConstraints(pattern=r"^[0-9]{2,6}$")]
    last: Annotated[str, StringConstraints(pattern=r"^[0-9]{2,6}$")]
    site_id: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if len(self.first) != len(self.last) or self.first > self.last:
            raise ValueError("last is below first, or not as long")
        return self


class ShortCode(Departmental):
    """Speed dial for the whole tenant, or for a department and what is below it."""

    KIND: ClassVar[str] = "short_code"
    PLURAL: ClassVar[str] = "short_codes"
    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}$")]
    #: What is called: E.164.
    number: E164
    label: Name = ""


class ShortNumberRule(Resource):
    """How short numbers are made of numbers that are assigned; there is one, with the id `default`.

    `+41215550101` becomes prefix + its last two and prefix + its last three digits: 401 and 4101.
    """

    KIND: ClassVar[str] = "short_number_rule"
    PLURAL: ClassVar[str] = "short_number_rules"
    id: Literal["default"]
    prefix: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,2}$")] = "4"
    #: Of external contacts.
    contact_prefix: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,2}$")] = "5"
    #: How many last digits; empty: two and three.
    lengths: tuple[Annotated[int, Field(ge=1, le=4)], ...] = ()
    #: None is made.
    off: bool = False

    @property
    def used_lengths(self) -> tuple[int, ...]:
        """The lengths that count."""
        return self.lengths or (2, 3)
