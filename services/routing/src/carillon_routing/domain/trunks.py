"""Which trunks take a number, and in what order: the longest matching prefix first, then the lower priority figure, then the id."""

from carillon_contracts.config import Trunk
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.short_numbers import trunks_to


def candidates(config: TenantConfig, number: str) -> list[tuple[Trunk, str]]:
    """Trunks that take the number, best first, each with the prefix that matched (empty: it takes all). Of a number that is not E.164:
    those to an exchange that has it."""
    if not number.startswith("+"):
        return [(trunk, "") for trunk in trunks_to(config, number)]
    found = [(trunk, prefix) for trunk in config.trunks.values() if (prefix := _longest(trunk, number)) is not None]
    return sorted(found, key=lambda item: (-len(item[1]), item[0].priority, item[0].id))


def for_emergency(config: TenantConfig) -> list[tuple[Trunk, str]]:
    """Every trunk by priority, whatever its prefixes."""
    return [(trunk, "") for trunk in sorted(config.trunks.values(), key=lambda trunk: (trunk.priority, trunk.id))]


def _longest(trunk: Trunk, number: str) -> str | None:
    if not trunk.prefixes:
        return ""
    return max((prefix for prefix in trunk.prefixes if number.startswith(prefix)), key=len, default=None)
