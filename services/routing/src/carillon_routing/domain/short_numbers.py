"""Digits that stand for a number: short codes, contacts' short numbers, and the ranges of other exchanges that a trunk leads to.

Always: who dials sees their own contacts and their department's codes before the company's; nobody sees another's.
"""

from collections.abc import Mapping

from carillon_contracts.config import Contact, ShortCode, Trunk, User
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.departments import departments_of
from carillon_routing.domain.facts import CallFacts


def stands_for(config: TenantConfig, user: User | None, digits: str) -> tuple[str, str]:
    """The number (E.164) that a user means by these digits, and by which resource; empty: they stand for none."""
    codes = config.derived("routing short codes", ShortCode, _by_code).get(digits, ())
    if codes:
        parts = [each.id for each in departments_of(config, user)] if user is not None else []
        for department in (*parts, ""):
            found = next((code for code in codes if code.department_id == department), None)
            if found is not None:
                return found.number, f"short_code/{found.id}"
    contacts = config.derived("routing short contacts", Contact, _by_short_number).get(digits, ())
    for owner in (user.id, "") if user is not None else ("",):
        contact = next((each for each in contacts if each.owner_user_id == owner), None)
        if contact is not None:
            return contact.phone or contact.mobile, f"contact/{contact.id}"
    return "", ""


def trunks_to(config: TenantConfig, digits: str) -> tuple[Trunk, ...]:
    """Trunks to exchanges that have the digits in a range of theirs, best first."""
    ranges = config.derived("routing short ranges", Trunk, _with_ranges)
    return tuple(trunk for trunk in ranges if any(span.holds(digits) for span in trunk.short_ranges))


def is_exchange(config: TenantConfig, trunk_id: str) -> bool:
    """Whether the trunk leads to another exchange."""
    trunk = config.trunks.get(trunk_id)
    return trunk is not None and bool(trunk.short_ranges)


def from_exchange(config: TenantConfig, call: CallFacts) -> bool:
    """Whether a user of another exchange calls, known by a short number of its own."""
    trunk = config.trunks.get(call.trunk_id)
    return trunk is not None and any(span.holds(call.caller_number) for span in trunk.short_ranges)


def _by_code(codes: Mapping[str, ShortCode]) -> dict[str, tuple[ShortCode, ...]]:
    found: dict[str, tuple[ShortCode, ...]] = {}
    for code in codes.values():
        found[code.code] = (*found.get(code.code, ()), code)
    return found


def _by_short_number(contacts: Mapping[str, Contact]) -> dict[str, tuple[Contact, ...]]:
    found: dict[str, tuple[Contact, ...]] = {}
    for contact in contacts.values():
        if contact.short_number:
            found[contact.short_number] = (*found.get(contact.short_number, ()), contact)
    return found


def _with_ranges(trunks: Mapping[str, Trunk]) -> tuple[Trunk, ...]:
    return tuple(sorted((trunk for trunk in trunks.values() if trunk.short_ranges), key=lambda trunk: (trunk.priority, trunk.id)))
