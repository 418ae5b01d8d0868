"""Nodes of a plan that look at something and choose a way, without a sound."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator

from carillon_contracts.config.values import Language, Resource, Shape

NextNode = Annotated[str, StringConstraints(min_length=1)]
#: Begins with a letter, so that it is told from what the call brings (`caller_number`, see `BUILT_IN`).
VariableName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
#: What can be read like a variable without being set.
BUILT_IN = ("caller_number", "caller_name", "caller_user_id", "dialled", "language", "trunk_id")
#: Digits that a number begins with, in E.164 with its plus sign; or those of an extension.
Prefix = Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{1,15}$")]


class CalendarEntry(Shape):
    """If the schedule is open, go to `next`."""

    schedule_id: str
    next: str


class CalendarNode(Shape):
    """The first entry whose schedule is open wins."""

    entries: Annotated[tuple[CalendarEntry, ...], Field(min_length=1)]
    otherwise: str


class OriginEntry(Shape):
    """Matches when any of its conditions does."""

    #: Exact numbers: E.164, or extensions for callers inside.
    numbers: Annotated[tuple[Prefix, ...], Field(max_length=1000)] = ()
    prefixes: Annotated[tuple[Prefix, ...], Field(max_length=1000)] = ()
    #: ISO 3166: `CH`.
    countries: Annotated[tuple[Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")], ...], Field(max_length=250)] = ()
    origin_zone_id: str = ""
    #: The caller shows no number.
    withheld: bool = False
    #: The caller is a user of the tenant.
    internal: bool = False
    next: NextNode

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not (self.numbers or self.prefixes or self.countries or self.origin_zone_id or self.withheld or self.internal):
            raise ValueError("at least one of numbers, prefixes, countries, origin_zone_id, withheld, internal")
        return self


class OriginNode(Shape):
    """The first entry that the caller matches wins."""

    entries: Annotated[tuple[OriginEntry, ...], Field(min_length=1, max_length=100)]
    otherwise: NextNode


class CallerListNode(Shape):
    """A white or black list, by where its two ways lead."""

    caller_list_id: str
    listed: NextNode
    otherwise: NextNode


class ModeWay(Shape):
    """If the schedule's manual mode is this one, go to `next`."""

    mode: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.-]{1,64}$")]
    next: NextNode


class ModeNode(Shape):
    """By the manual mode of a schedule (day, night, lunch, closed); `otherwise`: it has none, or another."""

    schedule_id: str
    entries: Annotated[tuple[ModeWay, ...], Field(min_length=1, max_length=20)]
    otherwise: NextNode


class LimitNode(Shape):
    """At most `max_calls` at once, and at most `max_starts` in `per_seconds`, go `within`; the others `over`.

    A call counts until it leaves the first user, group, queue or outside number that it comes to within, or ends.
    Nodes that have the same `counter` share it, whatever plan they stand in; empty: the node has its own.
    """

    max_calls: Annotated[int, Field(ge=0, le=100_000)] = 0
    max_starts: Annotated[int, Field(ge=0, le=100_000)] = 0
    per_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0
    counter: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.-]{0,64}$")] = ""
    within: NextNode
    over: NextNode

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if not self.max_calls and not self.max_starts:
            raise ValueError("max_calls or max_starts must be given")
        if bool(self.max_starts) != bool(self.per_seconds):
            raise ValueError("max_starts and per_seconds belong together")
        return self


class Share(Shape):
    """Percent of the calls that go to `next`."""

    percent: Annotated[int, Field(ge=1, le=100)]
    next: NextNode


class SplitNode(Shape):
    """Exact shares of the calls: after any run of them each way has its quota, to less than one call."""

    shares: Annotated[tuple[Share, ...], Field(min_length=1, max_length=20)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = sum(share.percent for share in self.shares)
        if total != 100:
            raise ValueError(f"shares: make {total} percent, must be 100")
        return self


class LanguageNode(Shape):
    """The call's language from here on; several: both are spoken, in an order that the call decides."""

    languages: Annotated[tuple[Annotated[Language, StringConstraints(min_length=2)], ...], Field(min_length=1, max_length=4)]
    next: NextNode


class SetVariableNode(Shape):
    """Give a variable of the call a value: a text, or what `source` (a variable, or one of `BUILT_IN`) holds now."""

    name: VariableName
    value: Annotated[str, StringConstraints(max_length=200)] = ""
    source: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_]{0,31})?$")] = ""
    next: NextNode

    @model_validator(mode="after")
    def _own(self) -> Self:
        if self.name in BUILT_IN:
            raise ValueError(f"name: {self.name} cannot be set")
        if self.value and self.source:
            raise ValueError("value and source: only one of them")
        return self


class LookUpRow(Shape):
    """A key of a table and what stands there."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    value: Annotated[str, StringConstraints(max_length=200)] = ""


class LookUpTable(Resource):
    """Keys and values that plans look up."""

    KIND: ClassVar[str] = "look_up_table"
    PLURAL: ClassVar[str] = "look_up_tables"
    display_name: str = ""
    rows: Annotated[tuple[LookUpRow, ...], Field(max_length=10_000)] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        keys = {row.key for row in self.rows}
        if len(keys) != len(self.rows):
            raise ValueError("rows: each key may stand once")
        return self


class LookUpNode(Shape):
    """Find what `source` holds among a table's keys, exactly or by the longest key it begins with; the value becomes a variable."""

    look_up_table_id: str
    source: VariableName = "caller_number"
    longest_prefix: bool = False
    variable: VariableName
    found: NextNode
    otherwise: NextNode

    @model_validator(mode="after")
    def _own(self) -> Self:
        if self.variable in BUILT_IN:
            raise ValueError(f"variable: {self.variable} cannot be set")
        return self


class SwitchWay(Shape):
    """If the variable holds this, go to `next`."""

    value: Annotated[str, StringConstraints(max_length=200)]
    next: NextNode


class SwitchNode(Shape):
    """By what a variable (or one of `BUILT_IN`) holds."""

    variable: VariableName
    entries: Annotated[tuple[SwitchWay, ...], Field(min_length=1, max_length=100)]
    otherwise: NextNode
