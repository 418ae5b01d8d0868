"""Who the called side sees: the caller's number and name, inside and outside."""

from carillon_contracts.config import User
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.facts import CallFacts

#: Number (empty: withheld) and name.
Shown = tuple[str, str]


def shown_inside(config: TenantConfig, call: CallFacts) -> Shown:
    """A user's extension and name; an outside caller as the carrier said."""
    user = config.users.get(call.caller_user_id)
    if user is None:
        return call.caller_number, call.caller_name
    if _withheld(config, call, user):
        return "", ""
    return config.extension_of(user.id) or call.caller_number, user.full_name


def shown_outside(config: TenantConfig, call: CallFacts) -> Shown:
    """A user's own outside number, else the tenant's main number; an outside caller keeps its number when its call is sent on."""
    user = config.users.get(call.caller_user_id)
    if call.direction == "inbound" or user is None:
        return call.caller_number, call.caller_name
    if _withheld(config, call, user):
        return "", ""
    return user.caller_number or config.tenant.main_number, ""


def _withheld(config: TenantConfig, call: CallFacts, user: User) -> bool:
    """No number given although the user has one to give."""
    return call.withheld or (not call.caller_number and bool(config.extension_of(user.id)))
