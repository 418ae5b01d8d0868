"""What media does alone while no application answers: calls between extensions and emergency calls still go through."""

from carillon_contracts.emergency_numbers import countries_of, is_emergency
from carillon_contracts.tenant_config import TenantConfig
from carillon_media.domain.facts import CallFacts
from carillon_media.domain.steps import Ring, RingTarget, Step, TrunkTarget

_RING_MS = 30_000
_EMERGENCY_RING_MS = 120_000


def fallback(config: TenantConfig | None, facts: CallFacts, caller_number: str) -> Step | None:
    """The step for a call that has just begun; None: it cannot be helped without the application."""
    if config is None or facts.direction != "from_user":
        return None
    if is_emergency(facts.dialled, countries_of(config, (facts.caller_user_id or "",))):
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
