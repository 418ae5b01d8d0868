"""Where in the company a user belongs."""

from carillon_contracts.config import Department, User
from carillon_contracts.inherited import departments_from
from carillon_contracts.tenant_config import TenantConfig


def departments_of(config: TenantConfig, user: User) -> tuple[Department, ...]:
    """The user's, then those above it."""
    return tuple(departments_from(config, user.department_id))
