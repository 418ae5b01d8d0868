"""The company itself."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from carillon_contracts.config.destinations import Destination
from carillon_contracts.config.features import USUAL_CODES, FeatureCode, PickupScope, check_codes
from carillon_contracts.config.organisation import CallLimits, Subscription
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
    #: Of callers from outside for whom nothing has chosen one: all are spoken, in an order that each call decides.
    caller_languages: Annotated[tuple[Annotated[Language, StringConstraints(min_length=2)], ...], Field(max_length=4)] = ()
    main_number: E164 | Literal[""] = ""
    #: Only those that differ from the usual ones.
    feature_codes: Annotated[tuple[FeatureCode, ...], Field(max_length=len(USUAL_CODES))] = ()
    pickup_scope: PickupScope = "tenant"
    #: Pressed while a user talks: parks the other side; empty: nothing does.
    park_digits: Annotated[str, StringConstraints(pattern=r"^([*#][0-9*#]{1,4})?$")] = ""

    @model_validator(mode="after")
    def _codes(self) -> Self:
        check_codes(self.feature_codes)
        return self

    #: Defaults of the users'; empty: no recording, the installation's sounds.
    recording_policy_id: str = ""
    hold_music_id: str = ""
    ringback_music_id: str = ""
    busy_music_id: str = ""
    operator: Destination | None = None
    #: Who sells to it; empty: the operator itself.
    reseller_id: str = ""
    limits: CallLimits = CallLimits()
    subscription: Subscription = Subscription()
