"""Public short numbers that are no emergency (116117, directory enquiries), dialled as they are at the user's site.

Always: an extension or another exchange's range comes first; what is for text messages or of one carrier alone is none; a number whose
cost nobody knows is premium, so that nobody profits from a gap; nobody who mistypes an extension pays for it: a premium number as long as
an extension, with the same first digit, is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from phonenumbers import ShortNumberCost

from carillon_contracts.config import CallClass, Extension, User
from carillon_contracts.inherited import site_of
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.short_numbers import trunks_to

_LONGEST = 6


@dataclass(frozen=True, slots=True)
class PublicNumber:
    """`in_full`: as if it were a national number in E.164, for the prefixes of trunks and restriction profiles; never dialled."""

    in_full: str
    call_class: CallClass


def public_number(config: TenantConfig, user: User | None, digits: str) -> PublicNumber | None:
    """What these digits are in the country of the user's site, else of the tenant; None: no public short number."""
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > _LONGEST or digits.startswith("0"):
        return None
    if digits in config.extensions or trunks_to(config, digits):
        return None
    site = site_of(config, user) if user is not None else None
    found = _of_country(digits, (site.country if site is not None else "") or config.tenant.country)
    if found is None or found.call_class != "premium":
        return found
    return None if _shape(digits) in config.derived("routing shapes of extensions", Extension, _shapes) else found


def in_full(config: TenantConfig, user: User | None, number: str) -> str:
    """The number itself; of a public short number `PublicNumber.in_full`."""
    public = public_number(config, user, number)
    return public.in_full if public is not None else number


def _shapes(extensions: Mapping[str, Extension]) -> frozenset[tuple[int, str]]:
    return frozenset(map(_shape, extensions))


def _shape(digits: str) -> tuple[int, str]:
    """What an extension and a slip of the finger have in common: length and first digit."""
    return len(digits), digits[:1]


@lru_cache(4096)
def _of_country(digits: str, country: str) -> PublicNumber | None:
    code = phonenumbers.country_code_for_region(country)
    number = phonenumbers.PhoneNumber(country_code=code, national_number=int(digits))
    if not phonenumbers.is_valid_short_number_for_region(number, country):
        return None
    if phonenumbers.is_sms_service_for_region(number, country) or phonenumbers.is_carrier_specific_for_region(number, country):
        return None
    cost = phonenumbers.expected_cost_for_region(number, country)
    cheap = cost in (ShortNumberCost.TOLL_FREE, ShortNumberCost.STANDARD_RATE)
    return PublicNumber(f"+{code}{digits}", "national" if cheap else "premium")
