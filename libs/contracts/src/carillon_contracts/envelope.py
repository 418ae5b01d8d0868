"""The envelope of every published event: CloudEvents 1.0 in JSON with Carillon's extension attributes."""

from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

Utc = datetime


class Frozen(BaseModel):
    """Base of everything published: immutable, and unknown fields of a newer writer are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class EventData(Frozen):
    """Base of an event's `data`; `TYPE` is the CloudEvents type without the prefix `carillon.`, `FACT` the subject's last token."""

    TYPE: ClassVar[str]

    @classmethod
    def fact(cls) -> str:
        """`leg_answered` for `call.leg_answered.v1`."""
        return cls.TYPE.split(".")[1]


class Event(Frozen):
    """One CloudEvent. Extension attributes that do not apply are absent from the JSON (`to_json`)."""

    specversion: Literal["1.0"] = "1.0"
    #: UUIDv7, unique for ever; the broker's and every consumer's duplicate key.
    id: UUID
    #: `carillon/media/<node>`, `carillon/directory`, ...
    source: str
    #: `carillon.call.leg_answered.v1`
    type: str
    #: What it is about: a call id, or `<resource>/<id>`.
    subject: str
    #: UTC with microseconds.
    time: Utc
    datacontenttype: Literal["application/json"] = "application/json"
    data: dict[str, Any] = Field(default_factory=dict)
    tenantid: str
    callid: str | None = None
    legid: str | None = None
    #: Gap-free from 1: per call, or per tenant for what happens in its queues.
    seq: int | None = None
    #: The id of the event that caused this one.
    causationid: UUID | None = None
    correlationid: str | None = None
    traceparent: str | None = None
    #: The tenant's configuration version: the one that this event made, or the one that decided.
    configseq: int | None = None
    #: Something in it was replaced, because somebody was erased: it reads otherwise than when it was made.
    erased: bool | None = None

    @field_validator("time")
    @classmethod
    def _utc(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("time needs an offset")
        return value.astimezone(UTC)

    def to_json(self) -> bytes:
        """The JSON that is published and stored."""
        return self.model_dump_json(exclude_none=True).encode()

    @classmethod
    def from_json(cls, raw: bytes | str) -> Self:
        """Parse and check; raises `pydantic.ValidationError`."""
        return cls.model_validate_json(raw)

    @classmethod
    def received(cls, subject: str, raw: bytes) -> Self:
        """As `from_json`, of what came on a subject; raises ValueError that names the subject."""
        try:
            return cls.from_json(raw)
        except ValidationError as error:
            raise ValueError(f"{subject} is no event: {error}") from error
