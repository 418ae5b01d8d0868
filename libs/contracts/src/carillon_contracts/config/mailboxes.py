"""Boxes that take messages."""

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from carillon_contracts.config.destinations import Announcement
from carillon_contracts.config.values import E164, Departmental, Language, PinHash


class Mailbox(Departmental):
    """Takes messages and mails them."""

    KIND: ClassVar[str] = "mailbox"
    PLURAL: ClassVar[str] = "mailboxes"
    display_name: str = ""
    emails: tuple[Annotated[str, StringConstraints(pattern=r"^[^@\s\r\n<>,;]+@[^@\s\r\n<>,;]+$", max_length=254)], ...] = ()
    greeting: tuple[Announcement, ...] = ()
    language: Language = ""
    max_seconds: Annotated[int, Field(ge=10, le=600)] = 180
    silence_seconds: Annotated[int, Field(ge=2, le=30)] = 5
    #: Opens the box from elsewhere than its owner's own phone; empty: nothing does.
    pin_hash: PinHash = Field(default="", repr=False)
    #: Of the owner's own phone and of trusted numbers too, while there is a PIN.
    always_ask_pin: bool = False
    #: Who calls from one of them listens.
    trusted_numbers: Annotated[tuple[E164, ...], Field(max_length=20)] = ()
