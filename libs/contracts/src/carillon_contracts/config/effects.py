"""Nodes of a plan that tell or ask the outside: e-mail, web-hook, who handled this caller before."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from carillon_contracts.config.branches import NextNode, VariableName
from carillon_contracts.config.values import Shape

EmailAddress = Annotated[str, StringConstraints(pattern=r"^[^@\s\r\n<>,;]+@[^@\s\r\n<>,;]+$", max_length=254)]
WebAddress = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.\[\]:-]+(/[!-~]*)?$", max_length=500)]


class EmailNode(Shape):
    """Send an e-mail and go on; `{caller_number}` and other variables in its texts are filled in.

    It is taken for delivery before the call goes on, once a call and node; `failed`: it could not be; empty: as `next`.
    """

    recipients: Annotated[tuple[EmailAddress, ...], Field(min_length=1, max_length=20)]
    subject: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    text: Annotated[str, StringConstraints(max_length=2000)] = ""
    next: NextNode
    failed: str = ""


class WebhookNode(Shape):
    """POST the call's facts as JSON, signed, and go on by what the other side says.

    Its answer may be a JSON object of texts: those named in `variables` are set. `failed`: no answer in time, or none of 200 to 299;
    empty: as `next`.
    """

    url: WebAddress
    timeout_ms: Annotated[int, Field(ge=50, le=10_000)] = 1000
    variables: Annotated[tuple[VariableName, ...], Field(max_length=20)] = ()
    next: NextNode
    failed: str = ""


class StickySource(Shape):
    """Where to ask whom the caller belongs to."""

    kind: Literal["history", "contact_owner", "http"]
    #: Of `http`: GET with `?caller=<E.164>`; answers a JSON object with `user_id`.
    url: WebAddress | Literal[""] = ""
    timeout_ms: Annotated[int, Field(ge=50, le=10_000)] = 1000
    #: Of `history`: how long ago the last talk may be.
    days: Annotated[int, Field(ge=1, le=366)] = 30

    @model_validator(mode="after")
    def _address(self) -> Self:
        if (self.kind == "http") != bool(self.url):
            raise ValueError("url: belongs to kind http")
        return self


class StickyAgentNode(Shape):
    """A known caller goes to who last handled them, by the first source that knows; else, and if that fails, the plan goes on."""

    sources: Annotated[tuple[StickySource, ...], Field(min_length=1, max_length=5)]
    #: Callers of this list are never sent to their agent.
    except_caller_list_id: str = ""
    #: Digits put before a national number without them: `021`.
    area_code: Annotated[str, StringConstraints(pattern=r"^[0-9]{0,6}$")] = ""
    reach: Literal["extension", "mobile", "both"] = "extension"
    ring_seconds: Annotated[int, Field(ge=5, le=120)] = 20
    #: Nobody known, or not reached.
    next: NextNode
