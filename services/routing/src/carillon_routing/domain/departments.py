"""Where in the company a user belongs."""

from carillon_contracts.config import Department, Site, User
from carillon_contracts.inherited import departments_from
from carillon_contracts.tenant_config import TenantConfig


def departments_of(config: TenantConfig, user: User) -> tuple[Department, ...]:
    """The user's, then those above it."""
    return tuple(departments_from(config, user.department_id))


def site_of(config: TenantConfig, user: User) -> Site | None:
    """The user's own, or the nearest department's."""
    site_id = user.site_id or next((each.site_id for each in departments_of(config, user) if each.site_id), "")
    return config.get(Site, site_id) if site_id else None
