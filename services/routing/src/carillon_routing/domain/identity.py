"""Who the called side sees: the caller's number and name, inside and outside."""

from collections.abc import Mapping

from carillon_contracts.config import HouseRuleSet, Number, User
from carillon_contracts.inherited import site_of
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.facts import CallFacts
from carillon_routing.domain.short_numbers import from_exchange

#: Number (empty: withheld) and name.
Shown = tuple[str, str]


def shown_inside(config: TenantConfig, call: CallFacts) -> Shown:
    """A user's extension and name; an outside caller as the carrier said."""
    user = config.users.get(call.caller_user_id)
    if user is None:
        return _colleague(config, call) or (call.caller_number, call.caller_name)
    if _withheld(config, call, user):
        return "", ""
    return config.extension_of(user.id) or call.caller_number, user.shown_name


def _colleague(config: TenantConfig, call: CallFacts) -> Shown | None:
    """Extension and name of the user whose number or mobile calls from outside, where the house rules want extensions for numbers."""
    rules = config.get(HouseRuleSet, "default")
    if rules is None or not rules.extensions_for_numbers or not call.caller_number:
        return None
    user_id: str | None = config.derived("routing users by mobile", User, _by_mobile).get(call.caller_number)
    number = config.numbers.get(call.caller_number)
    if number is not None and number.destination is not None:
        user_id = number.destination.user_id
    user = config.users.get(user_id or "")
    extension = config.extension_of(user.id) if user is not None else ""
    return (extension, user.shown_name) if user is not None and extension else None


def _by_mobile(users: Mapping[str, User]) -> dict[str, str]:
    return {user.mobile: user.id for user in users.values() if user.mobile}


def shown_outside(config: TenantConfig, call: CallFacts) -> Shown:
    """A user's own outside number, else the main one; an outside caller keeps its number when its call is sent on, unless it is a short
    one of another exchange, which means nothing outside."""
    user = config.users.get(call.caller_user_id)
    if from_exchange(config, call):
        return config.tenant.main_number, call.caller_name
    if call.direction == "inbound" or user is None:
        return call.caller_number, call.caller_name
    if user.withhold or _withheld(config, call, user):
        return "", ""
    return _outside_number(config, user), ""


def for_help(config: TenantConfig, call: CallFacts) -> Shown:
    """As outside, but nobody who calls for help is withheld: they must be found and called back."""
    user = config.users.get(call.caller_user_id)
    return (call.caller_number, call.caller_name) if user is None else (_outside_number(config, user), "")


def _outside_number(config: TenantConfig, user: User) -> str:
    """The one set for the user if it may be shown; else the site's main number, else the tenant's."""
    number = config.numbers.get(user.caller_number)
    if number is not None and _may_show(number, user):
        return number.id
    site = site_of(config, user)
    return (site.main_number if site is not None else "") or config.tenant.main_number


def _may_show(number: Number, user: User) -> bool:
    """One of the tenant's, but no other user's own."""
    return number.destination is None or number.destination.user_id in (None, user.id)


def _withheld(config: TenantConfig, call: CallFacts, user: User) -> bool:
    """No number given although the user has one to give."""
    return call.withheld or (not call.caller_number and bool(config.extension_of(user.id)))
