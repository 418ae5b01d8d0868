"""Where in the company a user belongs."""

from carillon_contracts.config import Department, Site, User
from carillon_contracts.tenant_config import TenantConfig

#: Departments above one another, at most; a circle ends here.
MAX_DEPTH = 100


def departments_of(config: TenantConfig, user: User) -> tuple[Department, ...]:
    """The user's, then those above it."""
    found: list[Department] = []
    above = user.department_id
    while above and len(found) < MAX_DEPTH and (department := config.get(Department, above)) is not None and department not in found:
        found.append(department)
        above = department.parent_id
    return tuple(found)


def site_of(config: TenantConfig, user: User) -> Site | None:
    """The user's own, or the nearest department's."""
    site_id = user.site_id or next((each.site_id for each in departments_of(config, user) if each.site_id), "")
    return config.get(Site, site_id) if site_id else None
