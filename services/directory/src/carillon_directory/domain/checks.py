"""What must hold of a resource among the others of its tenant; what holds of it alone, its model in `carillon_contracts.config` checks."""

from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import islice
from typing import get_args

from carillon_contracts.config import (
    Agent,
    Destination,
    Extension,
    ForwardingRule,
    PagingGroup,
    ParkingLot,
    Plan,
    PlanDraft,
    PlanTest,
    Resource,
    RingGroup,
    Schedule,
    Tenant,
    User,
)
from carillon_contracts.inherited import account_codes_for
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.graphs import loop_violation, nesting_violation, plan_violations
from carillon_directory.domain.index import Index
from carillon_directory.domain.outcomes import Holder, Violation
from carillon_directory.domain.references import Reference, exists, references

_NOBODY: frozenset[tuple[str, str]] = frozenset()
#: Every activation runs them.
MOST_TESTS = 200


def violations(
    config: TenantConfig, resource: Resource, expected: Collection[tuple[str, str]] = _NOBODY, before: Resource | None = None
) -> list[Violation]:
    """What is wrong with `resource` in `config` (which holds it already), fields relative to the resource; `before`: what it was.

    `expected`: (kind, id) of resources that are asked for in the same breath and refused for another reason; referring to them is no error.
    """
    found = [
        Violation(reference.path, dangling(reference))
        for reference in references(resource)
        if not exists(config, reference.kind, reference.resource_id) and (reference.kind, reference.resource_id) not in expected
    ]
    if isinstance(resource, Plan):
        found += plan_violations(resource)
    if isinstance(resource, User):
        found += _self_forwarding(config, resource, before)
        found += _account_code(config, resource, before)
    if isinstance(resource, Schedule):
        found += _repeated_dates(resource)
    found += _taken_digits(config, resource)
    if isinstance(resource, PlanDraft):
        found += plan_violations(resource.plan())
    if isinstance(resource, PlanTest):
        found += _test_violations(config, resource)
    if isinstance(resource, Agent):
        found += _second_agents(config, resource)
    loop = nesting_violation(config, resource) if isinstance(resource, RingGroup) else loop_violation(config, resource)
    return [*found, loop] if loop is not None else found


def dangling(reference: Reference) -> str:
    """Said of what is not there, or not for whoever asks."""
    if reference.kind == "number":
        return f"{reference.resource_id} is not a number of this tenant"
    return f"no {reference.kind} {reference.resource_id!r}"


def _test_violations(config: TenantConfig, test: PlanTest) -> list[Violation]:
    ours = test.caller_user_id or test.dialled in config.numbers
    found = [] if ours else [Violation("dialled", f"{test.dialled} is not a number of this tenant")]
    if test.caller_user_id and test.caller:
        found.append(Violation("caller", "a user calls, who has an extension"))
    try:
        year = datetime.fromisoformat(test.at).year
    except ValueError:
        year = 0
    if not 2 <= year <= 9998:  # It is looked at in other time zones too.
        found.append(Violation("at", f"{test.at} is not a moment of the years 2 to 9998"))
    for name in ("busy_user_ids", "absent_user_ids", "unreachable_user_ids"):
        missing = [user_id for user_id in getattr(test, name) if user_id not in config.users]
        found += [Violation(name, f"no user {user_id!r}") for user_id in missing]
    return found


def too_many_tests(config: TenantConfig, index: Index, test: PlanTest, before: Resource | None) -> Iterator[Violation]:
    """A plan has so many tests at most; what it had before may stay. Tests of other plans may lead to it."""
    if isinstance(before, PlanTest) and before.plan_id == test.plan_id:
        return
    referring = (name for kind, name in index.referring(Plan.KIND, test.plan_id) if kind == PlanTest.KIND and name != test.id)
    own = (name for name in referring if config.plan_tests[name].plan_id == test.plan_id)
    if sum(1 for _ in islice(own, MOST_TESTS)) == MOST_TESTS:
        yield Violation("plan_id", f"plan {test.plan_id!r} has {MOST_TESTS} tests already, which is the most")


def _second_agents(config: TenantConfig, agent: Agent) -> list[Violation]:
    """A user who were two agents would be rung for two callers at once."""
    others = [other.id for other in config.agents.values() if other.user_id == agent.user_id and other.id != agent.id]
    return [Violation("user_id", f"user {agent.user_id!r} is agent {others[0]!r} already")] if others else []


def _self_forwarding(config: TenantConfig, user: User, before: Resource | None) -> list[Violation]:
    """By whatever name: the user, an extension or a number of the user's. What became one since it was set stays until it is changed."""
    if isinstance(before, User) and before.forwarding == user.forwarding:
        return []
    found = []
    for name in get_args(ForwardingRule):
        rule: Destination | None = getattr(user.forwarding, name)
        if rule is not None and user.id in (rule.user_id, _leads_to(config, rule)):
            found.append(Violation(f"forwarding.{name}.{rule.kind}", "a user's calls cannot be forwarded to the same user"))
    return found


def _leads_to(config: TenantConfig, destination: Destination) -> str | None:
    """The user whose extension or number it is."""
    behind = config.extensions.get(destination.extension_id or "") or config.numbers.get(destination.external_number or "")
    return behind.destination.user_id if behind is not None and behind.destination is not None else None


def _account_code(config: TenantConfig, user: User, before: Resource | None) -> list[Violation]:
    """A new code is as long as the policy that counts for the user wants, if there is one; one that a policy outgrew stays until then."""
    fields = ("account_code", "account_code_policy_id")
    if isinstance(before, User) and all(getattr(before, name) == getattr(user, name) for name in fields):
        return []
    policy = account_codes_for(config, user) if user.account_code else None
    if policy is None or policy.min_length <= len(user.account_code) <= policy.max_length:
        return []
    return [Violation("account_code", f"must have {policy.min_length} to {policy.max_length} digits, by account code policy {policy.id!r}")]


def _repeated_dates(schedule: Schedule) -> list[Violation]:
    dates = [exception.date for exception in schedule.exceptions]
    return [
        Violation(f"exceptions[{index}].date", f"{day} stands twice; give its ranges in one exception")
        for index, day in enumerate(dates)
        if day in dates[:index]
    ]


def _taken_digits(config: TenantConfig, resource: Resource) -> list[Violation]:
    """What is dialled means one thing: no extension is a slot, no slot is in two lots, no number in two paging groups."""
    found: list[Violation] = []
    if isinstance(resource, ParkingLot):
        inside = min((digits for digits in config.extensions if resource.holds(digits)), default="")
        if inside:
            found.append(Violation("first_slot", f"extension {inside} lies between {resource.first_slot} and {resource.last_slot}"))
        for other in config.parking_lots.values():
            if other.id != resource.id and (other.holds(resource.first_slot) or resource.holds(other.first_slot)):
                found.append(Violation("first_slot", f"parking lot {other.id!r} has some of these slots"))
    if isinstance(resource, Extension):
        lots = [lot.id for lot in config.parking_lots.values() if lot.holds(resource.id)]
        found += [Violation("id", f"{resource.id} is a slot of parking lot {lot!r}") for lot in lots]
    if isinstance(resource, PagingGroup):
        same = [other.id for other in config.paging_groups.values() if other.id != resource.id and other.number == resource.number]
        found += [Violation("number", f"{resource.number} is paging group {other!r} already") for other in same]
    return found


def realm_holders(before: TenantConfig, after: TenantConfig) -> tuple[Holder, ...]:
    """Credentials whose hashes a change of the realm would make useless."""
    if not before.all(Tenant) or before.tenant.realm == after.tenant.realm:
        return ()
    return tuple(Holder("sip_credential", name, "realm") for name in before.sip_credentials if name in after.sip_credentials)
