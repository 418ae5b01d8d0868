"""What a plan may become, and what must hold of it whatever it becomes."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from carillon_contracts.config.destinations import Destination
from carillon_contracts.config.plans import Plan, PlanNode
from carillon_contracts.config.values import E164, Resource, ResourceId, Shape


class PlanDraft(Resource):
    """A draft of a plan; it decides no call."""

    KIND: ClassVar[str] = "plan_draft"
    PLURAL: ClassVar[str] = "plan_drafts"
    display_name: str = ""
    plan_id: ResourceId
    entry: str
    nodes: Annotated[tuple[PlanNode, ...], Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        ids = [node.id for node in self.nodes]
        if len(set(ids)) != len(ids):
            raise ValueError("nodes: each id may stand once")
        return self

    def plan(self, active: Plan | None = None) -> Plan:
        """The plan as it would be: its nodes are the draft's, and so is its name if the draft gives one; everything else stays."""
        if active is None:
            return Plan(id=self.plan_id, display_name=self.display_name, entry=self.entry, nodes=self.nodes)
        name = self.display_name or active.display_name
        return active.model_copy(update={"display_name": name, "entry": self.entry, "nodes": self.nodes})


class AssumedMode(Shape):
    """A schedule as if it had been set by hand."""

    schedule_id: str
    mode: Literal["automatic", "day", "night", "lunch", "closed"]


class AssumedResult(Shape):
    """What becomes of ringing a user or an outside number."""

    user_id: str = ""
    external_number: E164 | None = None
    result: Literal["answered", "no_answer", "busy", "unreachable", "congested", "rejected"]

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.user_id) == (self.external_number is not None):
            raise ValueError("user_id or external_number is needed, and not both")
        return self


class PlanTest(Resource):
    """A call from `caller` to `dialled` at `at` (the tenant's local time) must come by `reaches`, and on its way by `comes_by` in order."""

    KIND: ClassVar[str] = "plan_test"
    PLURAL: ClassVar[str] = "plan_tests"
    display_name: str = ""
    plan_id: str
    caller: Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{0,15}$")] = ""
    #: The user who calls; empty: the call comes from outside.
    caller_user_id: str = ""
    dialled: Annotated[str, StringConstraints(pattern=r"^\+?[0-9*#]{1,32}$")]
    at: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]$")]
    keys: Annotated[tuple[Annotated[str, StringConstraints(pattern=r"^[0-9*#]{0,32}$")], ...], Field(max_length=20)] = ()
    busy_user_ids: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    absent_user_ids: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    unreachable_user_ids: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    modes: Annotated[tuple[AssumedMode, ...], Field(max_length=20)] = ()
    results: Annotated[tuple[AssumedResult, ...], Field(max_length=100)] = ()
    #: Why the caller leaves queues.
    queue_result: Literal["answered", "full", "waited_too_long", "no_agents", "left_by_key"] = "answered"
    comes_by: Annotated[tuple[Annotated[str, StringConstraints(min_length=1, max_length=200)], ...], Field(max_length=50)] = ()
    reaches: Destination
