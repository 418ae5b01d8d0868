"""What a tenant has bought against what it would have."""

from collections.abc import Iterator
from datetime import date

from carillon_contracts.config import Tenant
from carillon_contracts.tenant_config import TenantConfig

#: Field of `Subscription` -> the kind that it counts.
_COUNTED = {"users": "user", "numbers": "number", "queues": "queue", "conference_rooms": "conference_room", "trunks": "trunk"}


def excesses(before: TenantConfig, after: TenantConfig, today: date | None = None) -> Iterator[tuple[str, str]]:
    """(what, reason) for each count that grew above what was bought; what is above already may stay and shrink."""
    if not after.all(Tenant):
        return
    bought = after.tenant.subscription
    grown = False
    for field in (*_COUNTED, "menu_nodes"):
        had, has, limit = _count(before, field), _count(after, field), getattr(bought, field)
        grown = grown or has > had
        if limit is not None and has > had and has > limit:
            yield field, f"{limit} were bought, this would make {has}"
    if grown and today is not None and bought.valid_until is not None and today > bought.valid_until:
        yield "valid_until", f"the subscription ended on {bought.valid_until}; nothing can be added"
    if not bought.recording and _count(after, "recording") > _count(before, "recording"):
        yield "recording", "recording was not bought"


def in_use(config: TenantConfig) -> dict[str, int]:
    """Field of `SubscriptionUse` -> how many there are."""
    return {field: _count(config, field) for field in (*_COUNTED, "menu_nodes")}


def _count(config: TenantConfig, field: str) -> int:
    if field == "menu_nodes":
        return len(config.menus) + sum(len(plan.nodes) for plan in config.plans.values())
    return len(config.resources.get(_COUNTED.get(field, "recording_policy"), {}))
