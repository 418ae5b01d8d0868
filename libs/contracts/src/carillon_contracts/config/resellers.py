"""Who sells to tenants; kept above them, in no tenant's configuration."""

from typing import ClassVar

from carillon_contracts.config.values import Email, Resource


class Reseller(Resource):
    """Stands between the operator and tenants, and sees those below it; resellers form a tree."""

    KIND: ClassVar[str] = "reseller"
    PLURAL: ClassVar[str] = "resellers"
    display_name: str = ""
    #: The reseller above; empty: the operator.
    parent_reseller_id: str = ""
    emails: tuple[Email, ...] = ()
