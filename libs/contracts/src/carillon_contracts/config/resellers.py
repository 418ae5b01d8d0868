"""Who sells to tenants; kept above them, in no tenant's configuration."""

from typing import Annotated, ClassVar

from pydantic import Field

from carillon_contracts.config.values import Email, Resource


class Reseller(Resource):
    """Stands between the operator and tenants, and sees those below it; resellers form a tree."""

    KIND: ClassVar[str] = "reseller"
    PLURAL: ClassVar[str] = "resellers"
    display_name: str = ""
    #: The reseller above; empty: the operator.
    parent_reseller_id: str = ""
    emails: tuple[Email, ...] = ()
    #: Of the reseller and of those below it, all together; None: as many as wanted.
    max_tenants: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
