"""The company itself."""

from typing import Annotated, ClassVar, Literal

from pydantic import StringConstraints

from carillon_contracts.config.values import E164, Language, Resource, TenantId, TimeZoneName


class Tenant(Resource):
    """One company."""

    KIND: ClassVar[str] = "tenant"
    PLURAL: ClassVar[str] = "tenants"
    id: TenantId
    display_name: str = ""
    #: SIP domain and digest realm, unique in the installation.
    realm: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "CH"
    time_zone: Annotated[TimeZoneName, StringConstraints(min_length=1)] = "Europe/Zurich"
    language: Annotated[Language, StringConstraints(min_length=2)] = "en"
    main_number: E164 | Literal[""] = ""
