"""What is odd about a plan that may be saved all the same: entries that can never match, menus nobody can leave, ways that end in nothing;
and short numbers that nobody reaches.

Always: a finding is certain by what is configured now; what the hand sets for a while (a schedule's mode) counts for nothing.
"""

from collections.abc import Iterator
from itertools import chain

from carillon_contracts.config import (
    BUILT_IN,
    CalendarNode,
    CallerList,
    Contact,
    Extension,
    LookUpTable,
    MenuNode,
    ModeNode,
    OriginEntry,
    OriginNode,
    OriginZone,
    Plan,
    PlanNode,
    Resource,
    Schedule,
    ShortCode,
    SubPlanNode,
    SwitchNode,
)
from carillon_contracts.emergency_numbers import countries_in, is_emergency
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.finding import Finding
from carillon_directory.domain.group_findings import ending, goes_on, shut_in, without_end
from carillon_directory.domain.openings import covered, never_open


def findings(config: TenantConfig, plan: Plan) -> list[Finding]:
    """Of a plan that `config` holds or may come to hold; it breaks none of the rules of `graphs` and `checks`."""
    return [each for index, node in enumerate(plan.nodes) for each in _of_node(config, plan, node, f"nodes[{index}]")]


def of_number(config: TenantConfig, resource: Resource) -> list[Finding]:
    """Of an extension, a short code or a contact: nobody reaches what has the number of help in its tenant's or a site's country."""
    match resource:
        case Extension(id=digits):
            path = "id"
        case ShortCode(code=digits):
            path = "code"
        case Contact(short_number=digits):
            path = "short_number"
        case _:
            return []
    countries = sorted(country for country in countries_in(config) if is_emergency(digits, frozenset({country})))
    return [Finding("number_calls_help", "", path, {"number": digits, "countries": ", ".join(countries)})] if countries else []


def _of_node(config: TenantConfig, plan: Plan, node: PlanNode, path: str) -> Iterator[Finding]:
    at = f"{path}.{node.kind}"
    if node.calendar is not None:
        yield from _calendar(config, node.id, node.calendar, at)
    elif node.origin is not None:
        yield from _origin(config, node.id, node.origin, at)
    elif node.mode is not None:
        yield from _mode(node.id, node.mode, at)
    elif node.switch is not None:
        yield from _switch(config, plan, node.id, node.switch, at)
    elif node.caller_list is not None:
        listed = config.get(CallerList, node.caller_list.caller_list_id)
        if listed is not None and not listed.callers and not listed.withheld:
            yield Finding("list_empty", node.id, f"{at}.listed", {"list": listed.id})
    elif node.look_up is not None:
        table = config.get(LookUpTable, node.look_up.look_up_table_id)
        if table is not None and not table.rows:
            yield Finding("table_empty", node.id, f"{at}.found", {"table": table.id})
    elif node.menu is not None:
        yield from _menu(config, node.id, node.menu, at)
    elif node.sub_plan is not None:
        yield from _sub_plan(config, node.id, node.sub_plan, at)
    elif node.return_to is not None:
        if not any(other.sub_plan is not None and other.sub_plan.plan_id == plan.id for other in _nodes(config, plan)):
            yield Finding("return_unused", node.id, at)
    else:
        yield from _ends(config, node, at)


def _nodes(config: TenantConfig, plan: Plan) -> Iterator[PlanNode]:
    """Of every plan, with this one as it would be."""
    yield from chain.from_iterable(each.nodes for each in config.plans.values() if each.id != plan.id)
    yield from plan.nodes


# -- entries that can never match --------------------------------------------------------------------------------------


def _calendar(config: TenantConfig, name: str, node: CalendarNode, at: str) -> Iterator[Finding]:
    before: list[Schedule] = []
    for index, entry in enumerate(node.entries):
        schedule = config.schedules.get(entry.schedule_id)
        if schedule is None:
            continue
        where = f"{at}.entries[{index}].schedule_id"
        if never_open(schedule):
            yield Finding("calendar_never_open", name, where, {"schedule": schedule.id})
        elif covered(schedule, before, config.tenant.time_zone):
            others = ", ".join(dict.fromkeys(each.id for each in before))
            yield Finding("calendar_shadowed", name, where, {"schedule": schedule.id, "before": others})
        before.append(schedule)


def _origin(config: TenantConfig, name: str, node: OriginNode, at: str) -> Iterator[Finding]:
    seen: list[str] = []
    countries: set[str] = set()
    exact: set[str] = set()
    internal = withheld = False
    for index, entry in enumerate(node.entries):
        zone = config.get(OriginZone, entry.origin_zone_id) if entry.origin_zone_id else None
        prefixes = (*entry.prefixes, *(zone.prefixes if zone is not None else ()))
        here = {*entry.countries, *(zone.countries if zone is not None else ())}
        fresh = (
            any(number not in exact and not number.startswith(tuple(seen)) for number in entry.numbers)
            or any(not prefix.startswith(tuple(seen)) for prefix in prefixes)
            or bool(here - countries)
            or (entry.internal and not internal)
            or (entry.withheld and not withheld)
        )
        if not fresh:
            kind = "origin_empty" if _says_nothing(entry, zone) else "origin_shadowed"
            yield Finding(kind, name, f"{at}.entries[{index}]", {"entry": str(index + 1), "zone": entry.origin_zone_id})
        seen += prefixes
        countries |= here
        exact |= set(entry.numbers)
        internal, withheld = internal or entry.internal, withheld or entry.withheld


def _says_nothing(entry: OriginEntry, zone: OriginZone | None) -> bool:
    """All that the entry has is a zone in which nothing lies."""
    empty = zone is not None and not zone.prefixes and not zone.countries
    return empty and not (entry.numbers or entry.prefixes or entry.countries or entry.withheld or entry.internal)


def _mode(name: str, node: ModeNode, at: str) -> Iterator[Finding]:
    modes = [entry.mode for entry in node.entries]
    for index, mode in enumerate(modes):
        if mode in modes[:index]:
            yield Finding("mode_twice", name, f"{at}.entries[{index}].mode", {"mode": mode})
        elif mode not in ("automatic", "day", "night", "lunch", "closed"):
            yield Finding("mode_unknown", name, f"{at}.entries[{index}].mode", {"mode": mode})


def _switch(config: TenantConfig, plan: Plan, name: str, node: SwitchNode, at: str) -> Iterator[Finding]:
    values = [entry.value for entry in node.entries]
    for index, value in enumerate(values):
        if value in values[:index]:
            yield Finding("value_twice", name, f"{at}.entries[{index}].value", {"value": value})
    if node.variable not in (*BUILT_IN, *_given(config, plan)):
        yield Finding("variable_unset", name, f"{at}.variable", {"variable": node.variable})


def _given(config: TenantConfig, plan: Plan) -> Iterator[str]:
    """Variables that some node gives a value."""
    for node in _nodes(config, plan):
        if node.set_variable is not None:
            yield node.set_variable.name
        if node.look_up is not None:
            yield node.look_up.variable
        if node.webhook is not None:
            yield from node.webhook.variables


# -- menus and ends ----------------------------------------------------------------------------------------------------


def _menu(config: TenantConfig, name: str, node: MenuNode, at: str) -> Iterator[Finding]:
    menu = config.menus.get(node.menu_id)
    if menu is None:
        return
    if menu.redirect is not None:
        if node.keys or node.no_choice:
            yield Finding("menu_redirects", name, f"{at}.menu_id", {"menu": menu.id})
        return
    ways = {way.key: way.next for way in node.keys}
    if menu.extension_dialling or any(following != name for following in ways.values()) or (node.no_choice and node.no_choice != name):
        return
    own = [key.destination for key in menu.keys if key.key not in ways]
    out = menu.out_of_hours if menu.schedule_id else None
    destinations = [each for each in (*own, menu.timed_out, None if node.no_choice else menu.no_choice, out) if each is not None]
    # What leads to the menu itself leads to this node again.
    others = [each for each in destinations if each.menu_id != menu.id]
    if not others:
        yield Finding("menu_no_way_out", name, f"{at}.menu_id", {"menu": menu.id})
    elif within := shut_in(config, others):
        yield Finding("menus_no_way_out", name, f"{at}.menu_id", {"menus": ", ".join(sorted({menu.id, *within}))})


def _sub_plan(config: TenantConfig, name: str, node: SubPlanNode, at: str) -> Iterator[Finding]:
    plan = config.plans.get(node.plan_id)
    if plan is None:
        return
    returns = {each.return_to.exit for each in plan.nodes if each.return_to is not None}
    named = {each.name for each in node.exits}
    for index, each in enumerate(node.exits):
        if each.name not in returns:
            yield Finding("exit_never", name, f"{at}.exits[{index}].name", {"exit": each.name, "plan": plan.id})
    if not node.next and (missing := sorted(returns - named)):
        yield Finding("exit_nowhere", name, f"{at}.next", {"exits": ", ".join(each or "-" for each in missing), "plan": plan.id})


def _ends(config: TenantConfig, node: PlanNode, at: str) -> Iterator[Finding]:
    """Nodes after which a call that nobody took just ends."""
    if node.destination is not None:
        user = config.users.get(node.destination.destination.user_id or "")
        if user is not None and user.forwarding.no_answer is None and not goes_on(node.destination.ways, "no_answer"):
            yield Finding("no_way_on", node.id, f"{at}.ways", {"who": f"user/{user.id}"})
    if node.ring_group is not None:
        group = config.ring_groups.get(node.ring_group.ring_group_id)
        if group is not None and group.no_answer is None and not goes_on(node.ring_group.ways, "no_answer"):
            yield Finding("no_way_on", node.id, f"{at}.ways", {"who": f"ring_group/{group.id}"})
    if node.hunt_group is not None:
        hunted = config.hunt_groups.get(node.hunt_group.hunt_group_id)
        if hunted is not None and hunted.no_answer is None:
            ways, who = node.hunt_group.ways, {"who": f"hunt_group/{hunted.id}"}
            if not goes_on(ways, "no_answer"):
                yield Finding("no_way_on", node.id, f"{at}.ways", who)
            if hunted.all_busy is None and not goes_on(ways, "busy"):
                yield Finding("no_way_busy", node.id, f"{at}.ways", who)
    if node.queue is not None and (queue := config.queues.get(node.queue.queue_id)) is not None:
        if not queue.members:
            yield Finding("queue_empty", node.id, f"{at}.queue_id", {"queue": queue.id})
        if without_end(queue):
            yield Finding("queue_without_end", node.id, f"{at}.queue_id", {"queue": queue.id})
        for reason in ending(queue):
            if not goes_on(node.queue.ways, reason):
                yield Finding(f"queue_{reason}_ends", node.id, f"{at}.ways", {"queue": queue.id})
