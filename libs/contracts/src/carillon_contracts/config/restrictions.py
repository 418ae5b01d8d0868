"""What may be called: classes of numbers, prefixes, codes."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from carillon_contracts.config.values import Name, Resource, Shape

CallClass = Literal["internal", "local", "national", "mobile", "international", "premium"]
Prefix = Annotated[str, StringConstraints(pattern=r"^\+[0-9]{0,15}$")]


class RestrictionProfile(Resource):
    """Which calls its users may make; emergency calls always. A denied prefix beats a class, an allowed one beats both."""

    KIND: ClassVar[str] = "restriction_profile"
    PLURAL: ClassVar[str] = "restriction_profiles"
    display_name: str = ""
    barred: tuple[CallClass, ...] = ()
    allowed_prefixes: tuple[Prefix, ...] = ()
    denied_prefixes: tuple[Prefix, ...] = ()
    #: Classes that need the user's outbound PIN.
    pin_needed: tuple[CallClass, ...] = ()


class AccountCode(Shape):
    """A code and what it stands for."""

    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,15}$")]
    label: Name = ""


class AccountCodePolicy(Resource):
    """Codes by which calls are charged."""

    KIND: ClassVar[str] = "account_code_policy"
    PLURAL: ClassVar[str] = "account_code_policies"
    display_name: str = ""
    codes: tuple[AccountCode, ...] = ()
    #: Classes of calls that need a code.
    needed: tuple[CallClass, ...] = ()
    #: Whether only codes of the list are taken; else any of the right length.
    validated: bool = True
    min_length: Annotated[int, Field(ge=1, le=15)] = 1
    max_length: Annotated[int, Field(ge=1, le=15)] = 15
    #: Wrong tries until the line is blocked.
    blocked_after: Annotated[int, Field(ge=1, le=100)] = 10
    users_may_see: bool = False
    users_may_change: bool = False

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.min_length > self.max_length:
            raise ValueError("min_length is above max_length")
        codes = [each.code for each in self.codes]
        if len(set(codes)) != len(codes):
            raise ValueError("codes: each code may stand once")
        if any(not self.min_length <= len(code) <= self.max_length for code in codes):
            raise ValueError(f"codes: each has {self.min_length} to {self.max_length} digits")
        return self
