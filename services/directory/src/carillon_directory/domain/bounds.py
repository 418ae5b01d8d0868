"""How far somebody reaches in a tenant: everything, a department and what is below it, or their own person; narrowed by a rights profile.

One place for every way of reading and of changing: what is not in reach is not there for a reader, and a change of it is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from carillon_contracts.config import ConfigChanged, Contact, HouseRuleSet, Resource, RightsProfile, User
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.commands import Bounds
from carillon_directory.domain.documents import differing
from carillon_directory.domain.organisation import below, department_of

#: Of users themselves, whatever the house rules say: who they are to others and what they may do is not theirs to change.
_NEVER_OWN = frozenset(
    {"role", "rights_profile_id", "department_id", "login", "services", "restriction_profile_id", "account_code_policy_id", "trunk_ids"}
)


@dataclass(frozen=True, slots=True)
class Reach:
    """Bounds as they are in one configuration; reading many resources asks once."""

    config: TenantConfig
    bounds: Bounds
    departments: frozenset[str]

    @classmethod
    def of(cls, config: TenantConfig, bounds: Bounds) -> "Reach":
        """Work out the departments."""
        known = bounds.department and bounds.department in config.resources.get("department", {})
        return cls(config, bounds, below(config, str(bounds.department)) if known else frozenset())

    def level(self, kind: str) -> str:
        """What the rights profile allows with a kind: `write`, `read`, or nothing."""
        if not self.bounds.rights_profile:
            return "write"
        profile = self.config.get(RightsProfile, self.bounds.rights_profile)
        levels = {right.level for right in profile.rights if right.resource in ("*", kind)} if profile is not None else set()
        return "write" if "write" in levels else "read" if levels else ""

    def covers(self, resource: Resource) -> bool:
        """Whether the resource is in reach, for reading."""
        if self.bounds.whole:
            return True
        if not self.level(resource.KIND):
            return False
        if self.bounds.user:
            return _own(resource, self.bounds.user)
        return self.bounds.department == "" or department_of(self.config, resource) in self.departments


def _own(resource: Resource, user_id: str) -> bool:
    if isinstance(resource, User):
        return resource.id == user_id
    return isinstance(resource, Contact) and resource.owner_user_id == user_id


def forbidden(before: TenantConfig, after: TenantConfig, bounds: Bounds, changes: Sequence[ConfigChanged]) -> str:
    """Why whoever has these bounds may not make the changes; empty if they may."""
    if bounds.whole:
        return ""
    reaches = (Reach.of(before, bounds), Reach.of(after, bounds))
    for change in changes:
        what = f"{change.resource} {change.resource_id!r}"
        if reaches[0].level(change.resource) != "write":
            return f"the rights profile does not allow changing {what}"
        for reach in reaches:
            resource = reach.config.resources.get(change.resource, {}).get(change.resource_id)
            if resource is not None and not reach.covers(resource):
                return f"{what} is out of reach: it is not {'yours' if bounds.user else 'of the departments that you administer'}"
        if reason := _own_fields(before, bounds, change):
            return reason
    return ""


def _own_fields(config: TenantConfig, bounds: Bounds, change: ConfigChanged) -> str:
    """Users change of themselves what the house rules name."""
    if not bounds.user or change.resource != User.KIND:
        return ""
    if change.before is None or change.after is None:
        return "users neither make nor delete users"
    rules = config.get(HouseRuleSet, "default")
    allowed = frozenset(rules.users_may_change if rules is not None else ()) - _NEVER_OWN
    kept = [name for name in differing(change.before, change.after) if name not in allowed]
    return f"the house rules do not let users change {', '.join(kept)}" if kept else ""
