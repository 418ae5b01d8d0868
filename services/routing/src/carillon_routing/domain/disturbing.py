"""Whether a user may be rung now: screening lists, do not disturb, quiet hours; and a member of a group, or an agent of a queue.

Always: what a user wants to be spared is left to the user; a group or queue passes over do not disturb and quiet hours if it says so, and
over a list of callers never.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from carillon_contracts.config import DailyRange, ProvisioningProfile, User, WeekRange
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain import callers
from carillon_routing.domain.facts import CallFacts, TraceLine
from carillon_routing.domain.schedules import WEEKDAYS

NOT_DISTURBED = "is not to be disturbed"


def screened(config: TenantConfig, call: CallFacts, now: datetime, user: User) -> tuple[bool | None, tuple[TraceLine, ...]]:
    """True: the caller gets through whatever else is set; False: never; None: no rule says anything. And each rule that was looked at."""
    trace: list[TraceLine] = []
    for position, rule in enumerate(user.screening, 1):
        listed, reason = callers.on_list(config, call, rule.caller_list_id)
        subject = f"user/{user.id} screening {position} caller_list/{rule.caller_list_id}"
        if not listed:
            trace.append(TraceLine(subject, False, reason))
            continue
        passes, why = rule.passes == "always", f"{reason}: {rule.passes} gets through"
        if rule.passes == "hours":
            passes, hours = in_hours(config, now, rule.hours)
            why = f"{reason}: gets through at certain hours, and {hours}"
        return passes, (*trace, TraceLine(subject, True, why))
    return None, tuple(trace)


def undisturbed(config: TenantConfig, now: datetime, user: User) -> tuple[bool, tuple[TraceLine, ...]]:
    """Whether nobody is to ring the user now."""
    if user.do_not_disturb:
        return True, (TraceLine(f"user/{user.id} do not disturb", True, "is on"),)
    if not user.quiet_hours:
        return False, ()
    inside, reason = in_hours(config, now, user.quiet_hours)
    return inside, (TraceLine(f"user/{user.id} quiet hours", inside, reason),)


def left_alone(config: TenantConfig, call: CallFacts, now: datetime, user: User, *, through: bool) -> tuple[str, tuple[TraceLine, ...]]:
    """Why a member or agent does not ring for the call (empty: rings), and what was looked at; `through`: whatever they want of quiet."""
    verdict, trace = screened(config, call, now, user)
    if verdict is False:
        return "never takes this caller at this time", trace
    if verdict is True or through:
        return "", trace
    alone, why = undisturbed(config, now, user)
    return NOT_DISTURBED if alone else "", (*trace, *why)


def has_call_waiting(config: TenantConfig, user: User) -> bool:
    """Whether the user's phones ring while the user talks, as far as their provisioning profile says."""
    profile = config.get(ProvisioningProfile, user.provisioning_profile_id) if user.provisioning_profile_id else None
    return profile is None or profile.call_waiting


def in_hours(config: TenantConfig, now: datetime, ranges: tuple[DailyRange, ...]) -> tuple[bool, str]:
    """Whether it is inside one of the ranges by the tenant's wall clock, and why."""
    local = now.astimezone(ZoneInfo(config.tenant.time_zone))
    moment = f"{WEEKDAYS[local.weekday()]} {local:%H:%M} {config.tenant.time_zone}"
    for each in ranges:
        if _inside(each, local):
            return True, f"{moment} is inside {each.start}-{each.end}"
    return False, f"{moment} is outside {', '.join(f'{each.start}-{each.end}' for each in ranges)}"


def _inside(each: DailyRange, local: datetime) -> bool:
    time = f"{local:%H:%M}"
    days = each.weekdays if isinstance(each, WeekRange) and each.weekdays else (1, 2, 3, 4, 5, 6, 7)
    if each.start < each.end:
        return local.isoweekday() in days and each.start <= time < each.end
    if time >= each.start:
        return local.isoweekday() in days
    return time < each.end and (local.date() - timedelta(days=1)).isoweekday() in days
