"""Where a call can be sent, and what the system says."""

from typing import Annotated, Literal, Self

from pydantic import StringConstraints, model_validator

from carillon_contracts.config.values import E164, HangUpReason, Language, Shape, exactly_one


class Announcement(Shape):
    """A phrase spoken by the system, or an audio file (`text` is spoken when it cannot be had); no language means the tenant's.

    Where a call is on its way, `{caller_number}`, `{dialled}` and other variables in the text stand for what they hold."""

    text: Annotated[str, StringConstraints(max_length=2000)] = ""
    language: Language = ""
    audio_id: str = ""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.text and not self.audio_id:
            raise ValueError("text or audio_id must be set")
        return self


class Destination(Shape):
    """Where a call can be sent: exactly one of the fields is set."""

    user_id: str | None = None
    ring_group_id: str | None = None
    menu_id: str | None = None
    plan_id: str | None = None
    mailbox_id: str | None = None
    external_number: E164 | None = None
    announcement: Announcement | None = None
    hang_up: HangUpReason | None = None
    hunt_group_id: str | None = None
    queue_id: str | None = None
    extension_id: str | None = None
    conference_room_id: str | None = None
    #: Of the caller's department, or the nearest above it that has one, or the site, else the tenant's.
    operator: Literal[True] | None = None
    fax_box_id: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, DESTINATION_KINDS)
        return self

    @property
    def kind(self) -> str:
        """The name of the field that is set."""
        return next(name for name in DESTINATION_KINDS if getattr(self, name) is not None)


DESTINATION_KINDS = (
    "user_id",
    "ring_group_id",
    "menu_id",
    "plan_id",
    "mailbox_id",
    "external_number",
    "announcement",
    "hang_up",
    "hunt_group_id",
    "queue_id",
    "extension_id",
    "conference_room_id",
    "operator",
    "fax_box_id",
)
