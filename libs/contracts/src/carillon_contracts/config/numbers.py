"""Numbers from carriers."""

from typing import ClassVar

from carillon_contracts.config.destinations import Destination
from carillon_contracts.config.values import E164, Resource


class Number(Resource):
    """A number from a carrier; the id is E.164 with its plus sign."""

    KIND: ClassVar[str] = "number"
    PLURAL: ClassVar[str] = "numbers"
    id: E164
    label: str = ""
    destination: Destination | None = None
