"""Who calls: lists, zones, countries. Numbers are compared in E.164; a caller inside is known by user and extension."""

import re
from collections.abc import Mapping
from typing import Any, cast

import phonenumbers

from carillon_contracts.config import CallerList, OriginEntry
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.dialling import to_e164
from carillon_routing.domain.facts import CallFacts
from carillon_routing.domain.short_numbers import from_exchange, trunks_to

#: Of these the country code alone tells, where one country has it; asking phonenumbers takes a tenth of a millisecond.
_PLAIN = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_REGIONS: Mapping[str, tuple[str, ...]] = {str(code): regions for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()}


def normalised(config: TenantConfig, number: str) -> str:
    """In E.164 where it can be; extensions and what is no number stay as they are; empty: withheld."""
    if not number or number.startswith("+") or number in config.extensions or trunks_to(config, number):
        return number
    return to_e164(number, config.tenant.country) or number


def on_list(config: TenantConfig, call: CallFacts, list_id: str) -> tuple[bool, str]:
    """Whether the caller is on the list, and why."""
    found = config.get(CallerList, list_id)
    if found is None:
        return False, "there is no such list"
    number = normalised(config, call.caller_number)
    if not number:
        return found.withheld, "the caller shows no number, " + ("as some on the list" if found.withheld else "and only numbers are listed")
    places = config.derived("routing caller lists", CallerList, _places)[list_id]
    beginnings = ((number[:length], False) for length in range(1, len(number) + 1))
    first = min((places[key] for key in ((number, True), *beginnings) if key in places), default=None)
    if first is not None:
        entry = found.callers[first]
        label = f" ({entry.label})" if entry.label else ""
        return True, f"{number} is {entry.prefix}{label}" if entry.exact else f"{number} begins with {entry.prefix}{label}"
    return False, f"{number} is none of {len(found.callers)} on the list"


def _places(lists: Mapping[str, CallerList]) -> dict[str, dict[tuple[str, bool], int]]:
    """Of every list: where a prefix, or (True) a whole number, stands first."""
    return {
        each.id: {(entry.prefix, entry.exact): place for place, entry in reversed([*enumerate(each.callers)])} for each in lists.values()
    }


def comes_from(config: TenantConfig, call: CallFacts, entry: OriginEntry) -> tuple[bool, str]:
    """Whether one of the entry's conditions holds, and which."""
    number = normalised(config, call.caller_number)
    if entry.internal and call.caller_user_id:
        return True, f"user/{call.caller_user_id} calls from inside"
    if entry.internal and from_exchange(config, call):
        return True, f"{number} is one of that exchange's"
    if not number:
        return entry.withheld, "the caller shows no number"
    if number in entry.numbers:
        return True, f"{number} is listed"
    prefix = max((prefix for prefix in entry.prefixes if number.startswith(prefix)), key=len, default=None)
    if prefix is not None:
        return True, f"{number} begins with {prefix}"
    country = country_of(number)
    if country and country in entry.countries:
        return True, f"{number} is in {country}"
    if entry.origin_zone_id:
        return _in_zone(config, number, country, entry.origin_zone_id)
    return False, f"{number}{f' of {country}' if country else ''} matches none of the entry's conditions"


def _in_zone(config: TenantConfig, number: str, country: str, zone_id: str) -> tuple[bool, str]:
    zone = cast(Any, config.resources.get("origin_zone", {}).get(zone_id))
    if zone is None:
        return False, f"there is no origin_zone/{zone_id}"
    prefix = max((prefix for prefix in zone.prefixes if number.startswith(prefix)), key=len, default=None)
    if prefix is not None:
        return True, f"{number} begins with {prefix} of origin_zone/{zone_id}"
    if country and country in zone.countries:
        return True, f"{number} is in {country} of origin_zone/{zone_id}"
    return False, f"{number} is not in origin_zone/{zone_id}"


def country_of(number: str) -> str:
    """ISO 3166 of a number in E.164; empty if it has none."""
    if not number.startswith("+"):
        return ""
    if _PLAIN.fullmatch(number):
        regions = next((found for length in (2, 3, 4) if (found := _REGIONS.get(number[1:length]))), ())
        if len(regions) == 1:
            return regions[0]
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number)) or ""
    except phonenumbers.NumberParseException:
        return ""


def owner_of(config: TenantConfig, number: str) -> str:
    """The user whose personal contact has this number; of several the first by id; empty if there is none."""
    for contact in config.resources.get("contact", {}).values():
        held = cast(Any, contact)
        owner: str = getattr(held, "user_id", "") or getattr(held, "owner_user_id", "")
        if owner and number in (getattr(held, "phone", ""), getattr(held, "mobile", "")):
            return owner
    return ""
