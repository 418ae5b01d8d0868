"""How far somebody reaches in a tenant: everything, a department and what is below it, or their own person; narrowed by a rights profile.

One place for every way of reading and of changing: what is not in reach is not there for a reader, and a change of it is refused; so is
a change that would lead from a department to what is not in its admin's reach.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from carillon_contracts.config import (
    RESOURCES,
    ConfigChanged,
    Contact,
    Destination,
    Device,
    Extension,
    HouseRuleSet,
    HuntGroup,
    Mailbox,
    Number,
    Resource,
    RightsProfile,
    RingGroup,
    SipCredential,
    Tenant,
    User,
)
from carillon_contracts.inherited import account_codes_for, below
from carillon_contracts.rights import level
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.commands import Bounds
from carillon_directory.domain.documents import differing
from carillon_directory.domain.internal_contacts import InternalContact
from carillon_directory.domain.organisation import department_of, user_of
from carillon_directory.domain.references import Reference, references

#: Of users themselves, whatever the house rules say: who they are to others and what they may do is not theirs to change.
_NEVER_OWN = frozenset(
    {"role", "rights_profile_id", "department_id", "login", "services", "restriction_profile_id", "account_code_policy_id", "trunk_ids"}
    | {"account_code"}
)

#: Of users themselves in a company without house rules.
USUALLY_OWN = frozenset(
    {
        "forwarding",
        "do_not_disturb",
        "quiet_hours",
        "screening",
        "simultaneous",
        "function_keys",
        "outbound_pin",
        "phone_pin",
        "language",
        "ring_seconds",
    }
)
#: Of the tenant itself, only those above it change these.
SOLD = frozenset({"id", "realm", "reseller_id", "limits", "subscription"})
#: What is no department's is there for all of them to use, where it only says how or when calls go, or is a place that calls are led to.
#: Other people, numbers, lines, phones, boxes with others' messages, trunks and rights are not.
COMMON = frozenset(
    {"account_code_policy", "audio", "caller_list", "conference_room", "fax_box", "hunt_group", "look_up_table", "menu", "origin_zone"}
    | {"plan", "playlist", "provisioning_profile", "queue", "recording_policy", "restriction_profile", "ring_group", "schedule", "site"}
)
#: What people see of one another, as of any contact.
_OF_COLLEAGUE = frozenset({"id", "title", "first_name", "last_name", "function", "email", "mobile"})
#: Fields that name what is not in reach and are refused with a reason of their own: a resource that leaves the department, and rights.
_RULED = frozenset({"department_id", "rights_profile_id"})
_OF_MAILBOX = frozenset({"greeting", "emails", "language", "pin", "always_ask_pin", "trusted_numbers"})


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
        return level(self.config, self.bounds.rights_profile, kind)

    def covers(self, resource: Resource) -> bool:
        """Whether the resource is in reach, for reading; colleagues are there for everybody who reads contacts."""
        if isinstance(resource, InternalContact):
            return bool(self.level(Contact.KIND))
        return self.may_change(resource) or (bool(self.bounds.user and self.level(resource.KIND)) and self._is_theirs(resource))

    def may_change(self, resource: Resource) -> bool:
        """Whether the resource is in reach, for changes."""
        if self.bounds.whole:
            return True
        if not self.level(resource.KIND):
            return False
        if self.bounds.user:
            return self._is_own(resource)
        return self.bounds.department == "" or department_of(self.config, resource) in self.departments

    def as_contact(self, resource: Resource) -> frozenset[str]:
        """The fields that people see of a colleague, a group and what both are dialled by: the company's internal contacts."""
        if not self.bounds.user or not self.level(resource.KIND):
            return frozenset()
        match resource:
            case User():
                return _OF_COLLEAGUE
            case RingGroup() | HuntGroup():
                return frozenset({"id", "display_name"})
            case Extension(destination=Destination(user_id=user_id, ring_group_id=group, hunt_group_id=hunted)) if (
                user_id or group or hunted
            ):
                return frozenset({"id"})
            case _:
                return frozenset()

    def _is_own(self, resource: Resource) -> bool:
        """The person, their mailbox and their contacts."""
        match resource:
            case User():
                return resource.id == self.bounds.user
            case Contact():
                return resource.owner_user_id == self.bounds.user
            case Mailbox():
                user = self.config.users.get(self.bounds.user)
                return user is not None and user.mailbox_id == resource.id
            case _:
                return False

    def _is_theirs(self, resource: Resource) -> bool:
        """What they have by others' doing, and the company's contacts."""
        return (isinstance(resource, Contact) and not resource.owner_user_id) or user_of(self.config, resource) == self.bounds.user


def shown(reach: Reach, change: ConfigChanged) -> bool:
    """Whether the change is shown: what it made and what it was made of are both in reach; not of what has no document (an erasure), or one
    that is a resource no more."""
    documents = [each for each in (change.before, change.after) if each is not None]
    try:
        return bool(documents) and all(reach.covers(RESOURCES[change.resource].model_validate(each)) for each in documents)
    except (KeyError, ValidationError):
        return False


def sees_account_code(config: TenantConfig, bounds: Bounds, user: User) -> bool:
    """Whether the user's account code is shown: to people themselves if the policy that counts for them lets them see it."""
    if not bounds.user:
        return True
    policy = account_codes_for(config, user)
    return policy is not None and policy.users_may_see


def out_of_reach(reach: Reach, resources: Iterable[Resource]) -> str:
    """Why whoever asks may not change what is there, even if nothing of it would differ; empty if they may."""
    if reach.bounds.whole:
        return ""
    return next(filter(None, (_out_of_reach(reach, each) for each in resources)), "")


def _out_of_reach(reach: Reach, resource: Resource) -> str:
    what = f"{resource.KIND} {resource.id!r}"
    if reach.level(resource.KIND) != "write":
        return f"the rights profile does not allow changing {what}"
    if not reach.may_change(resource):
        return f"{what} is out of reach: it is not {'yours' if reach.bounds.user else 'of the departments that you administer'}"
    return ""


def led_outside(reach: Reach, before: Resource | None, resource: Resource) -> Iterator[Reference]:
    """What a department's admin makes the resource refer to that is neither in their reach nor `COMMON`; what it referred to stays."""
    if reach.bounds.department == "" or reach.bounds.user:
        return
    known = {(each.kind, each.resource_id) for each in references(before)} if before is not None else set()
    for each in references(resource):
        named = reach.config.resources.get(each.kind, {}).get(each.resource_id)
        if named is None or each.path in _RULED or (each.kind, each.resource_id) in known or reach.may_change(named):
            continue
        if each.kind not in COMMON or department_of(reach.config, named):
            yield each


def forbidden(before: Reach, after: Reach, actor: str, changes: Sequence[ConfigChanged]) -> str:
    """Why whoever asks may not make the changes of what is in reach; empty if they may."""
    bounds = after.bounds
    if bounds.inside and (reason := next(filter(None, map(_sold, changes)), "")):
        return reason
    if bounds.visiting and (reason := next(filter(None, map(_taking_over, changes)), "")):
        return reason
    if bounds.whole:
        return ""
    for change in changes:
        resource = after.config.resources.get(change.resource, {}).get(change.resource_id)
        reason = _out_of_reach(after, resource) if resource is not None else ""
        if reason := reason or _own_fields(before, change) or _raising((before, after), actor, change):
            return reason
    return ""


def cares_for(reach: Reach, actor: str, user: User) -> bool:
    """Whether whoever asks sees to the user's login: all of the tenant's, or of a department those who do not stand above its admin."""
    if reach.bounds.whole:
        return True
    theirs = reach.level(User.KIND) == "write" and not reach.bounds.user and reach.may_change(user)
    return theirs and (actor == f"user/{user.id}" or not _stands_above(reach, user))


def _raising(reaches: Sequence[Reach], actor: str, change: ConfigChanged) -> str:
    """Nobody whose rights are narrowed gives rights to anybody, or takes over the line or the login of somebody above them."""
    what = f"{change.resource} {change.resource_id!r}"
    if change.resource == RightsProfile.KIND:
        return f"{what}: rights are not changed by those whose own are narrowed"
    if change.resource == User.KIND:
        was, now = (reach.config.users.get(change.resource_id) for reach in reaches)
        given = now is not None and (now.role != (was.role if was else "user"))
        if given or (was and now and was.rights_profile_id != now.rights_profile_id):
            field = "role" if given else "rights_profile_id"
            return f"{what}: {field} is not changed by those whose own rights are narrowed"
    for reach in reaches:
        resource = reach.config.resources.get(change.resource, {}).get(change.resource_id)
        for user_id in (*_whose_lines(reach.config, resource), *(_called_by(resource) if reach is reaches[0] else ())):
            user = reach.config.users.get(user_id)
            if user is not None and _stands_above(reach, user) and actor != f"user/{user.id}":
                return f"{what} is of user {user.id!r}, whose role ({user.role}) is above yours"
    return ""


def _whose_lines(config: TenantConfig, resource: Resource | None) -> Sequence[str]:
    """Ids of those who are called, or log in, with what the resource holds."""
    match resource:
        case User():
            return (resource.id,)
        case SipCredential():
            return (resource.user_id, resource.home_user_id)
        case Device():
            lines = (config.sip_credentials.get(line.sip_credential_id) for line in resource.lines)
            return [user_id for each in lines if each is not None for user_id in (each.user_id, each.home_user_id)]
        case Mailbox():
            return [user.id for user in config.users.values() if user.mailbox_id == resource.id]
        case _:
            return ()


def _called_by(resource: Resource | None) -> Sequence[str]:
    """The id of who is called by it so far, and would be no more."""
    destination = resource.destination if isinstance(resource, Number | Extension) else None
    return (destination.user_id or "",) if destination is not None else ()


def _stands_above(reach: Reach, user: User) -> bool:
    """Full admins; for a department's admin those of the same one and of others; for whom a profile narrows every admin."""
    if user.role == "department_admin" and not reach.bounds.rights_profile:
        return user.department_id not in reach.departments - {reach.bounds.department}
    return user.role != "user"


def _sold(change: ConfigChanged) -> str:
    if change.resource != Tenant.KIND:
        return ""
    if change.before is None or change.after is None:
        return "only those above tenants make and delete them"
    named = sorted(SOLD.intersection(differing(change.before, change.after)))
    return f"what was sold to the tenant is changed by those above it alone: {', '.join(named)}" if named else ""


def _taking_over(change: ConfigChanged) -> str:
    """Whoever has a user's address is sent a code to choose a new password with."""
    if change.resource != User.KIND or change.before is None or change.after is None:
        return ""
    moved = (change.before.get("email") or "") != (change.after.get("email") or "")
    return f"user {change.resource_id!r}: email is changed by the tenant's own people, and those above it" if moved else ""


def _own_fields(reach: Reach, change: ConfigChanged) -> str:
    """Users change of themselves what the house rules name, and of their mailbox what is heard and where messages go."""
    if not reach.bounds.user or change.resource not in (User.KIND, Mailbox.KIND):
        return ""
    if change.before is None or change.after is None:
        return f"users neither make nor delete a {change.resource}"
    rules = reach.config.get(HouseRuleSet, "default")
    allowed = _OF_MAILBOX if change.resource == Mailbox.KIND else frozenset(rules.users_may_change if rules else USUALLY_OWN) - _NEVER_OWN
    if change.resource == User.KIND and _changes_account_code(reach.config, reach.bounds.user):
        allowed |= {"account_code"}
    kept = [name for name in differing(change.before, change.after) if name not in allowed]
    return f"the house rules do not let users change {', '.join(kept)}" if kept else ""


def _changes_account_code(config: TenantConfig, user_id: str) -> bool:
    user = config.users.get(user_id)
    policy = account_codes_for(config, user) if user is not None else None
    return policy is not None and policy.users_may_change
