"""What was dialled: an emergency number, an extension, one of the tenant's own numbers, an outside number, or nothing known."""

from dataclasses import dataclass
from functools import lru_cache

import phonenumbers

from carillon_contracts.config import Extension, Number
from carillon_contracts.tenant_config import TenantConfig

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
    """One of the tenant's numbers."""

    number: Number


@dataclass(frozen=True, slots=True)
class ToOutside:
    """E.164 with its plus sign."""

    number: str


@dataclass(frozen=True, slots=True)
class ToNothing:
    """Why it leads nowhere."""

    reason: str


Dialled = ToEmergency | ToExtension | ToOwnNumber | ToOutside | ToNothing


def dialled_by_user(config: TenantConfig, dialled: str) -> Dialled:
    """What one of the tenant's users means by these digits. Emergency first, then the tenant's own, then the world."""
    digits = dialled.translate(_SEPARATORS)
    country = config.tenant.country
    if is_emergency(digits, country):
        return ToEmergency(digits)
    extension = config.extensions.get(digits)
    if extension is not None:
        return ToExtension(extension)
    if digits.isdecimal() and len(digits) <= 6 and not digits.startswith("0"):
        return ToNothing(f"{digits} is not an extension of {config.tenant_id}")
    number = to_e164(digits, country)
    if not number:
        return ToNothing(f"{dialled!r} is neither an extension nor a number as dialled from {country}")
    own = config.numbers.get(number)
    return ToOwnNumber(own) if own is not None else ToOutside(number)


def dialled_from_trunk(config: TenantConfig, dialled: str) -> Dialled:
    """Which of the tenant's numbers a carrier means; never the outside world."""
    number = dialled if dialled in config.numbers else to_e164(dialled.translate(_SEPARATORS), config.tenant.country)
    own = config.numbers.get(number)
    return ToOwnNumber(own) if own is not None else ToNothing(f"{number or repr(dialled)} is not a number of {config.tenant_id}")


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
def is_emergency(digits: str, country: str) -> bool:
    """Police, fire, ambulance of the country, as dialled there."""
    return digits.isdecimal() and len(digits) <= 6 and phonenumbers.is_emergency_number(digits, country)
