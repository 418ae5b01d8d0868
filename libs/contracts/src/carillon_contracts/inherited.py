"""What holds for a user who has nothing of their own: their department's, or the nearest above it that has one, or the house rules'."""

from collections.abc import Iterator

from carillon_contracts.config import AccountCodePolicy, Department, HouseRuleSet, Resource, Site, User
from carillon_contracts.tenant_config import TenantConfig

#: Departments above one another, at most; a circle ends here.
MAX_DEPTH = 100


def departments_from(config: TenantConfig, department_id: str) -> Iterator[Department]:
    """The department, then those above it."""
    seen: set[str] = set()
    while department_id and department_id not in seen and len(seen) < MAX_DEPTH:
        seen.add(department_id)
        department = config.get(Department, department_id)
        if department is None:
            return
        yield department
        department_id = department.parent_id


def below(config: TenantConfig, department_id: str) -> frozenset[str]:
    """The department and all that are below it."""
    children: dict[str, list[str]] = {}
    for department in config.all(Department).values():
        children.setdefault(department.parent_id, []).append(department.id)
    found: set[str] = set()
    ahead = [department_id]
    while ahead:
        here = ahead.pop()
        if here not in found:
            found.add(here)
            ahead += children.get(here, [])
    return frozenset(found)


def site_of(config: TenantConfig, user: User) -> Site | None:
    """The user's own, or the nearest department's."""
    site_id = user.site_id or next((each.site_id for each in departments_from(config, user.department_id) if each.site_id), "")
    return config.get(Site, site_id) if site_id else None


def holders(config: TenantConfig, user: User) -> Iterator[Resource]:
    """Whose word counts for the user, the nearest first."""
    yield user
    yield from departments_from(config, user.department_id)
    rules = config.get(HouseRuleSet, "default")
    if rules is not None:
        yield rules


def restriction_profile_of(config: TenantConfig, user: User) -> tuple[str, str]:
    """The profile's id and whose it is (`department/sales`); both empty: none."""
    return _nearest(config, user, "restriction_profile_id")


def account_code_policy_of(config: TenantConfig, user: User) -> tuple[str, str]:
    """The policy's id and whose it is; both empty: none."""
    return _nearest(config, user, "account_code_policy_id")


def account_codes_for(config: TenantConfig, user: User) -> AccountCodePolicy | None:
    """The account code policy that counts for the user; None: there is none."""
    return config.get(AccountCodePolicy, account_code_policy_of(config, user)[0])


def trunks_of(config: TenantConfig, user: User) -> tuple[tuple[str, ...], str]:
    """The only trunks for the user's calls and whose they are; both empty: any."""
    for each in holders(config, user):
        found: tuple[str, ...] = each.trunk_ids  # type: ignore[attr-defined]
        if found:
            return found, _name(each)
    return (), ""


def _nearest(config: TenantConfig, user: User, field: str) -> tuple[str, str]:
    for each in holders(config, user):
        if found := str(getattr(each, field)):
            return found, _name(each)
    return "", ""


def _name(resource: Resource) -> str:
    return f"{resource.KIND}/{resource.id}"
