"""Which classes of calls a number belongs to, by the numbering plans that the phonenumbers library knows.

Always: a number has at least one class; one that the numbering plan does not know counts as premium too, so that nobody profits from a gap.
"""

from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumberType

from carillon_contracts.config import CallClass, User
from carillon_contracts.inherited import site_of
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.public_numbers import public_number

#: Dearer than their destination: paid to the called side, wholly or in part; and what is none of the known kinds.
_PREMIUM = frozenset({PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST, PhoneNumberType.UNKNOWN})


def classes_of(config: TenantConfig, user: User, number: str) -> tuple[CallClass, ...]:
    """Of an extension, another exchange's short number or one of the tenant's numbers: internal; of a public short number by what it
    costs; else of E.164 as seen from the user's site, their own or their department's."""
    if (public := public_number(config, user, number)) is not None:
        return (public.call_class,)
    if not number.startswith("+") or number in config.numbers:
        return ("internal",)
    site = site_of(config, user)
    country = (site.country if site is not None else "") or config.tenant.country
    main = (site.main_number if site is not None else "") or config.tenant.main_number
    return _outside(number, country, (site.area_code if site is not None else "") or _area_code(main))


@lru_cache(4096)
def _outside(number: str, country: str, area_code: str) -> tuple[CallClass, ...]:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ("international", "premium")
    kind = phonenumbers.number_type(parsed)
    premium: tuple[CallClass, ...] = ("premium",) if kind in _PREMIUM else ()
    region = phonenumbers.region_code_for_number(parsed)
    # No region: the number is none of the plan. A calling code of one country alone still tells the country.
    at_home = region == country if region else phonenumbers.region_codes_for_country_code(parsed.country_code or 0) == (country,)
    if not at_home:
        return ("international", *premium)
    if premium:
        return premium
    if kind in (PhoneNumberType.MOBILE, PhoneNumberType.PAGER):
        return ("mobile",)
    return ("local",) if area_code and _area_code(number) == area_code else ("national",)


@lru_cache(4096)
def _area_code(number: str) -> str:
    """In the national form without trunk prefix; empty: the number has none."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ""
    return phonenumbers.national_significant_number(parsed)[: phonenumbers.length_of_geographical_area_code(parsed)]
