"""Several users or numbers under one destination."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from carillon_contracts.config.destinations import Destination
from carillon_contracts.config.values import E164, Resource, Shape, exactly_one


class RingMember(Shape):
    """A user or an external number in a group; `ring_seconds` 0: 5 for a user, 20 for an external number."""

    user_id: str | None = None
    external_number: E164 | None = None
    ring_seconds: Annotated[int, Field(ge=0, le=60)] = 0

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, ("user_id", "external_number"))
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
