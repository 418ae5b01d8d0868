"""What was dialled: an emergency number, an extension, one of the tenant's own numbers, an outside number, or nothing known."""

from dataclasses import dataclass
from functools import lru_cache

import phonenumbers

from carillon_contracts.config import Extension, Number
from carillon_contracts.emergency_numbers import countries_of, is_emergency
from carillon_contracts.inherited import site_of
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.public_numbers import public_number
from carillon_routing.domain.short_numbers import is_exchange, stands_for, trunks_to

_SEPARATORS = str.maketrans("", "", " \t-./()")


@dataclass(frozen=True, slots=True)
class ToEmergency:
    """Police, fire, ambulance: as dialled."""

    number: str


@dataclass(frozen=True, slots=True)
class ToExtension:
    """One of the tenant's extensions."""

    extension: Extension


@dataclass(frozen=True, slots=True)
class ToOwnNumber:
    """One of the tenant's numbers; `by`: the resource whose short number was dialled."""

    number: Number
    by: str = ""


@dataclass(frozen=True, slots=True)
class ToOutside:
    """E.164 with its plus sign, or digits as dialled: of another exchange's range, or a public short number. `by`: the resource whose
    short number was dialled."""

    number: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class ToNothing:
    """Why it leads nowhere."""

    reason: str


Dialled = ToEmergency | ToExtension | ToOwnNumber | ToOutside | ToNothing


def dialled_by_user(config: TenantConfig, dialled: str, user_id: str = "") -> Dialled:
    """What one of the tenant's users means by these digits. Emergency first, then the tenant's own, then short numbers (the public
    ones last), then the world as it is dialled from the user's site."""
    digits = dialled.translate(_SEPARATORS)
    if is_emergency(digits, countries_of(config, (user_id,))):
        return ToEmergency(digits)
    extension = config.extensions.get(digits)
    if extension is not None:
        return ToExtension(extension)
    user = config.users.get(user_id)
    country = config.tenant.country
    number, by = stands_for(config, user, digits)
    if not number and (trunks := trunks_to(config, digits)):
        return ToOutside(digits, f"trunk/{trunks[0].id}")
    if not number and public_number(config, user, digits) is not None:
        return ToOutside(digits)
    if not number:
        site = site_of(config, user) if user is not None else None
        country = (site.country if site is not None else "") or country
        number = local_number(site.area_code, digits, country) if site is not None else ""
    if not number and digits.isdecimal() and len(digits) <= 6 and not digits.startswith("0"):
        return ToNothing(f"{digits} is not an extension of {config.tenant_id}")
    number = number or to_e164(digits, country)
    if not number:
        return ToNothing(f"{dialled!r} is neither an extension nor a number as dialled from {country}")
    own = config.numbers.get(number)
    return ToOwnNumber(own, by) if own is not None else ToOutside(number, by)


def dialled_from_trunk(config: TenantConfig, dialled: str, trunk_id: str = "") -> Dialled:
    """Which of the tenant's numbers a carrier means, or another exchange, which may dial extensions too; never the outside world, and
    no help: nobody would find who called for it."""
    digits = dialled.translate(_SEPARATORS)
    number = dialled if dialled in config.numbers else to_e164(digits, config.tenant.country)
    own = config.numbers.get(number)
    if own is not None:
        return ToOwnNumber(own)
    extension = config.extensions.get(digits) if is_exchange(config, trunk_id) else None
    if extension is not None and not is_emergency(digits, countries_of(config)):
        return ToExtension(extension)
    return ToNothing(f"{number or repr(dialled)} is not a number of {config.tenant_id}")


@lru_cache(4096)
def to_e164(dialled: str, country: str) -> str:
    """E.164 with its plus sign, of `+...`, the international prefix, or a national number of the country; empty if it cannot be one."""
    try:
        number = phonenumbers.parse(dialled, country)
    except phonenumbers.NumberParseException:
        return ""
    if number.extension or not phonenumbers.is_possible_number(number):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(4096)
def local_number(area_code: str, digits: str, country: str) -> str:
    """E.164 of a number that is dialled without the area code of its place; empty if it is none."""
    if not area_code or not digits.isdecimal() or digits.startswith("0"):
        return ""
    try:
        number = phonenumbers.parse(area_code + digits, country)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(number) or phonenumbers.national_significant_number(number) != area_code + digits:
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
