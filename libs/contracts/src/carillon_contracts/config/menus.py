"""Interactive menus."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator

from carillon_contracts.config.destinations import Announcement, Destination
from carillon_contracts.config.values import Departmental, Language, Shape

#: A key is waited for so long where the menu does not say: before the prompt comes again, and in a simple reception, where it does not.
KEY_SECONDS = 60
RECEPTION_SECONDS = 5


class MenuKey(Shape):
    """What a key does: a destination, or a message, after which the menu is played again."""

    key: Annotated[str, StringConstraints(pattern=r"^[0-9*#]$")]
    destination: Destination | None = None
    message: Annotated[tuple[Announcement, ...], Field(max_length=20)] = ()
    language: Language = ""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.destination is None) == (not self.message):
            raise ValueError("exactly one of destination, message must be set")
        return self


class Menu(Departmental):
    """An interactive menu."""

    KIND: ClassVar[str] = "menu"
    PLURAL: ClassVar[str] = "menus"
    display_name: str = ""
    introduction: tuple[Announcement, ...] = ()
    prompt: Annotated[tuple[Announcement, ...], Field(min_length=1)]
    keys: tuple[MenuKey, ...] = ()
    extension_dialling: bool = False
    wrong_key: tuple[Announcement, ...] = ()
    no_key: tuple[Announcement, ...] = ()
    #: 0: see `key_seconds`.
    timeout_seconds: Annotated[int, Field(ge=0, le=60)] = 0
    replays: Annotated[int, Field(ge=0, le=9)] = 2
    no_choice: Destination | None = None
    #: Spoken to who chose nothing, before `no_choice` or the end.
    no_choice_message: tuple[Announcement, ...] = ()
    #: Open by this schedule alone; empty: always.
    schedule_id: str = ""
    #: Where a caller goes when it is not; None: hang up.
    out_of_hours: Destination | None = None
    #: Every caller goes there at once, without a word.
    redirect: Destination | None = None
    #: In all, over every replay; then `timed_out`, or as who chose nothing.
    overall_seconds: Annotated[int, Field(ge=10, le=3600)] = 180
    timed_out: Destination | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        keys = [key.key for key in self.keys]
        if len(set(keys)) != len(keys):
            raise ValueError("keys: each key may stand once")
        if not self.keys and not self.extension_dialling:
            raise ValueError("keys: at least one key, or extension_dialling")
        return self

    @property
    def key_seconds(self) -> int:
        """How long a key is waited for after the prompt."""
        return self.timeout_seconds or (KEY_SECONDS if self.replays else RECEPTION_SECONDS)
