"""What media does alone while no application answers: calls between extensions and emergency calls still go through."""

from collections.abc import Mapping

from carillon_contracts.tenant_config import TenantConfig
from carillon_media.domain.facts import CallFacts
from carillon_media.domain.steps import Ring, RingTarget, Step, TrunkTarget

_RING_MS = 30_000
_EMERGENCY_RING_MS = 120_000
#: Dialled as they are; by ISO 3166 country, with 112 everywhere.
EMERGENCY: Mapping[str, frozenset[str]] = {
    "CH": frozenset({"117", "118", "143", "144", "147", "1414"}),
    "FR": frozenset({"15", "17", "18", "114", "115", "119", "196"}),
    "DE": frozenset({"110"}),
    "AT": frozenset({"122", "133", "144"}),
    "BE": frozenset({"100", "101", "110"}),
    "NL": frozenset({"113"}),
    "IT": frozenset({"113", "115", "118"}),
    "LU": frozenset({"113"}),
    "GB": frozenset({"999"}),
}


def is_emergency(country: str, dialled: str) -> bool:
    """Whether these digits call for help."""
    return dialled == "112" or dialled in EMERGENCY.get(country, frozenset())


def fallback(config: TenantConfig | None, facts: CallFacts, caller_number: str) -> Step | None:
    """The step for a call that has just begun; None: it cannot be helped without the application."""
    if config is None or facts.direction != "from_user":
        return None
    if is_emergency(config.tenant.country, facts.dialled):
        trunks = sorted(config.trunks.values(), key=lambda trunk: (trunk.priority, trunk.id))
        targets = tuple(
            RingTarget(f"emergency-{index}", TrunkTarget(trunk.id, facts.dialled), index * 15_000, _EMERGENCY_RING_MS)
            for index, trunk in enumerate(trunks[:4])
        )
        return Ring(targets, caller_number or config.tenant.main_number, facts.caller_name) if targets else None
    extension = config.extensions.get(facts.dialled) if not config.tenant.subscription.suspended else None
    if extension is None or extension.destination.user_id is None:
        return None
    target = RingTarget("fallback", extension.destination.user_id, 0, _RING_MS)
    return Ring((target,), facts.caller, facts.caller_name)
