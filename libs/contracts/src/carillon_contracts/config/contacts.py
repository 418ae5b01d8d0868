"""Whom the company and its people know."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import StringConstraints, model_validator

from carillon_contracts.config.values import E164, Departmental, Email, Name


class Contact(Departmental):
    """Somebody outside: the company's, or private to `owner_user_id`. Internal contacts are the users and groups themselves."""

    KIND: ClassVar[str] = "contact"
    PLURAL: ClassVar[str] = "contacts"
    #: Whose; empty: the company's.
    owner_user_id: str = ""
    last_name: Name = ""
    first_name: Name = ""
    company: Name = ""
    function: Name = ""
    email: Email | Literal[""] = ""
    phone: E164 | Literal[""] = ""
    mobile: E164 | Literal[""] = ""
    comment: str = ""
    #: Digits that users dial for `phone`, or `mobile` if there is none; of a personal contact for its owner alone.
    short_number: Annotated[str, StringConstraints(pattern=r"^([0-9]{2,6})?$")] = ""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.last_name and not self.company:
            raise ValueError("last_name or company is needed")
        if self.short_number and not self.phone and not self.mobile:
            raise ValueError("short_number needs phone or mobile")
        return self

    @property
    def full_name(self) -> str:
        """First and last name, or the company's."""
        return f"{self.first_name} {self.last_name}".strip() or self.company
