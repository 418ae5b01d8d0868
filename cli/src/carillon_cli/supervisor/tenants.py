"""What the supervisor knows of the tenants: a fold of their configuration events.

Always: it follows the published stream like any other subscriber and asks the directory nothing.
"""

from collections.abc import Mapping

from carillon_contracts import config_events
from carillon_contracts.envelope import Event
from carillon_contracts.tenant_config import TenantConfig


def fold(known: Mapping[str, TenantConfig], raw: bytes) -> dict[str, TenantConfig]:
    """The tenants after one event of the stream. Raises `pydantic.ValidationError` or `ConfigGap` for what cannot be folded."""
    event = Event.from_json(raw)
    config = known.get(event.tenantid, TenantConfig(event.tenantid))
    return {**known, event.tenantid: config_events.fold(config, event).config}


def complete(known: Mapping[str, TenantConfig]) -> dict[str, TenantConfig]:
    """Those whose tenant resource is there already."""
    return {tenant: config for tenant, config in known.items() if tenant in config.resources.get("tenant", {})}
