"""What is odd about menus, groups, queues and number groups by themselves, whoever sends calls there.

Always: a finding is certain by what is configured now; `path` is in the resource, and no node is named.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from carillon_contracts.config import (
    Destination,
    Extension,
    HuntGroup,
    Menu,
    Number,
    NumberGroup,
    Plan,
    Queue,
    QueueWays,
    Resource,
    RingGroup,
    Ways,
)
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.finding import Finding

#: Kinds that have findings of their own.
KINDS: tuple[type[Resource], ...] = (Menu, Queue, HuntGroup, RingGroup, NumberGroup)
_WAITED = ("ring_group", "hunt_group", "queue")


def findings_of(config: TenantConfig, resource: Resource) -> list[Finding]:
    """Of a resource of `KINDS` that `config` holds; nothing of any other."""
    match resource:
        case Menu():
            return list(_menu(config, resource))
        case Queue():
            return list(_queue(config, resource))
        case HuntGroup() | RingGroup():
            return list(_group(config, resource))
        case NumberGroup():
            return list(_number_group(config, resource))
        case _:
            return []


# -- menus -------------------------------------------------------------------------------------------------------------


def ways_out(menu: Menu) -> tuple[tuple[str, Destination], ...]:
    """Field and destination of whatever ends a stay in the menu, but hanging up."""
    keys = [(f"keys[{index}].destination", key.destination) for index, key in enumerate(menu.keys)]
    named = (*keys, ("no_choice", menu.no_choice), ("timed_out", menu.timed_out))
    if menu.redirect is not None:
        named = (("redirect", menu.redirect),)
    elif menu.schedule_id:
        named = (*named, ("out_of_hours", menu.out_of_hours))
    return tuple((path, found) for path, found in named if found is not None)


def shut_in(config: TenantConfig, destinations: Iterable[Destination]) -> tuple[str, ...]:
    """The menus that these lead to if nobody gets out of them but by hanging up; empty if somebody can. Each menu is looked at once."""
    ahead, seen = list(destinations), dict[str, None]()
    while ahead:
        here = ahead.pop()
        menu = config.menus.get(here.menu_id or "")
        if menu is None or (menu.extension_dialling and menu.redirect is None):
            return ()
        if menu.id not in seen:
            seen[menu.id] = None
            ahead += [found for _, found in ways_out(menu)]
    return tuple(sorted(seen))


def _menu(config: TenantConfig, menu: Menu) -> Iterator[Finding]:
    redirected = _circle(config, menu, "redirect")
    if redirected:
        yield Finding("menu_round", "", "redirect", {"menus": ", ".join(redirected)})
        return
    within = shut_in(config, [Destination(menu_id=menu.id)])
    if within == (menu.id,) and menu.redirect is None:
        yield Finding("menu_no_way_out", "", "keys", {"menu": menu.id})
    elif within:
        yield Finding("menus_no_way_out", "", "keys" if menu.redirect is None else "redirect", {"menus": ", ".join(within)})
    if menu.redirect is not None:
        return
    if menu.schedule_id and menu.out_of_hours is None:
        yield Finding("menu_closed_ends", "", "out_of_hours", {"menu": menu.id, "schedule": menu.schedule_id})
    elif closed := _circle(config, menu, "out_of_hours"):
        yield Finding("menu_round", "", "out_of_hours", {"menus": ", ".join(closed)})


def _circle(config: TenantConfig, menu: Menu, way: str) -> tuple[str, ...]:
    """The menus that send each other every caller (or every one who comes when the same schedule is closed) and come back to this one."""
    met = dict[str, None]()
    here: Menu | None = menu
    while here is not None and here.id not in met:
        met[here.id] = None
        onward = here.redirect if here.redirect is not None else here.out_of_hours if way == "out_of_hours" else None
        same = here.redirect is not None or here.schedule_id == menu.schedule_id
        here = config.menus.get(onward.menu_id or "") if onward is not None and same else None
    return tuple(met) if here is not None and here.id == menu.id else ()


# -- groups, queues, numbers -------------------------------------------------------------------------------------------


def _queue(config: TenantConfig, queue: Queue) -> Iterator[Finding]:
    if not queue.members:
        yield Finding("queue_empty", "", "members", {"queue": queue.id})
    if without_end(queue):
        yield Finding("queue_without_end", "", "max_wait_seconds", {"queue": queue.id})
    if _sent_by_nodes_alone(config, queue):
        return
    for reason in ending(queue):
        yield Finding(f"queue_{reason}_ends", "", reason, {"queue": queue.id})


def without_end(queue: Queue) -> bool:
    """Who finds no agent there waits until they hang up."""
    return not (queue.max_wait_seconds or queue.leave_without_agents or queue.leave_key)


def ending(queue: Queue) -> Iterator[str]:
    """Why callers may leave the queue for whom it has no destination."""
    may = {
        "full": True,
        "no_agents": queue.leave_without_agents,
        "waited_too_long": bool(queue.max_wait_seconds),
        "left_by_key": bool(queue.leave_key),
    }
    yield from (reason for reason, happens in may.items() if happens and getattr(queue, reason) is None)


def _group(config: TenantConfig, group: HuntGroup | RingGroup) -> Iterator[Finding]:
    if group.no_answer is not None or _sent_by_nodes_alone(config, group):
        return
    who = {"who": f"{group.KIND}/{group.id}"}
    yield Finding("group_no_answer_ends", "", "no_answer", who)
    if isinstance(group, HuntGroup) and group.all_busy is None:
        yield Finding("group_busy_ends", "", "all_busy", who)


def _sent_by_nodes_alone(config: TenantConfig, resource: Queue | HuntGroup | RingGroup) -> bool:
    """Nodes of plans send calls there, and nothing else does: what they say, or do not say, is told with the plan."""
    here = (f"{resource.KIND}_id", resource.id)
    if here not in config.derived("findings nodes", Plan, _of_nodes):
        return False
    by_menu = config.derived("findings menus", Menu, lambda menus: _named(found for each in menus.values() for _, found in ways_out(each)))
    by_plan = config.derived("findings plans", Plan, lambda plans: _named(_destinations(plans.values())))
    by_others = [config.derived(f"findings {kind.KIND}", kind, _of_numbers) for kind in (Number, Extension, NumberGroup)]
    return not any(here in found for found in (by_menu, by_plan, *by_others))


def _of_nodes(plans: Mapping[str, Plan]) -> frozenset[tuple[str, str]]:
    """Groups and queues that nodes send calls to and wait for."""
    nodes = [node for plan in plans.values() for node in plan.nodes]
    return frozenset((f"{kind}_id", getattr(each, f"{kind}_id")) for kind in _WAITED for node in nodes if (each := getattr(node, kind)))


def _destinations(plans: Iterable[Plan]) -> Iterator[Destination]:
    yield from (node.destination.destination for plan in plans for node in plan.nodes if node.destination is not None)


def _of_numbers(resources: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    return _named(each.destination for each in resources.values() if each.destination is not None)


def _named(destinations: Iterable[Destination]) -> frozenset[tuple[str, str]]:
    """Groups and queues among them."""
    kinds = {f"{kind}_id" for kind in _WAITED}
    return frozenset((each.kind, getattr(each, each.kind)) for each in destinations if each.kind in kinds)


def _number_group(config: TenantConfig, group: NumberGroup) -> Iterator[Finding]:
    used = config.derived("findings number groups", Number, lambda numbers: frozenset(each.number_group_id for each in numbers.values()))
    if group.id not in used:
        yield Finding("number_group_empty", "", "id", {"group": group.id})
    if group.destination.operator is not None and config.tenant.operator is None:
        yield Finding("no_operator", "", "destination.operator", {"group": group.id})


def goes_on(ways: Ways | QueueWays, *outcomes: str) -> bool:
    """The node says where to, for one of these."""
    return any(getattr(ways, outcome) for outcome in (*outcomes, "otherwise"))
