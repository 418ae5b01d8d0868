"""Conference rooms."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from carillon_contracts.config.values import Language, PinHash, Resource


class ConferenceRoom(Resource):
    """A room where several parties hear each other; PIN and password are kept as hashes."""

    KIND: ClassVar[str] = "conference_room"
    PLURAL: ClassVar[str] = "conference_rooms"
    display_name: str = ""
    #: Whoever calls from this user's line opens the room without a PIN.
    owner_user_id: str = ""
    creator_pin_hash: PinHash = Field(default="", repr=False)
    participant_password_hash: PinHash = Field(default="", repr=False)
    announcement: Literal["none", "sound", "name"] = "sound"
    recording: bool = False
    language: Language = ""
    period_from: AwareDatetime | Literal[""] = ""
    period_to: AwareDatetime | Literal[""] = ""
    max_parties: Annotated[int, Field(ge=2, le=200)] = 50
    emails: tuple[Annotated[str, StringConstraints(pattern=r"^[^@\s\r\n<>,;]+@[^@\s\r\n<>,;]+$", max_length=254)], ...] = ()
    music_id: str = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.period_from and self.period_to and self.period_from >= self.period_to:
            raise ValueError("period_to must come after period_from")
        return self
