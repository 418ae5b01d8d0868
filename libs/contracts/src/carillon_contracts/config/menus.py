"""Interactive menus."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator

from carillon_contracts.config.destinations import Announcement, Destination
from carillon_contracts.config.values import Language, Resource, Shape


class MenuKey(Shape):
    """What a key does."""

    key: Annotated[str, StringConstraints(pattern=r"^[0-9*#]$")]
    destination: Destination
    language: Language = ""


class Menu(Resource):
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
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    replays: Annotated[int, Field(ge=0, le=9)] = 2
    no_choice: Destination | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        keys = [key.key for key in self.keys]
        if len(set(keys)) != len(keys):
            raise ValueError("keys: each key may stand once")
        if not self.keys and not self.extension_dialling:
            raise ValueError("keys: at least one key, or extension_dialling")
        return self
