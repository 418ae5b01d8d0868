"""Ring groups and hunt groups: who rings when, and where a call goes that nobody took."""

from collections.abc import Sequence

from carillon_contracts.config import Destination, HuntGroup, PlanNode, RingGroup
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.cursor import GroupWait
from carillon_routing.domain.facts import RingResult, RingTarget
from carillon_routing.domain.hunting import hunted
from carillon_routing.domain.members import Slot
from carillon_routing.domain.reach import ring_all, target_of
from carillon_routing.domain.timetables import timetable
from carillon_routing.domain.walk import ENDS, Move, Stop, ToDestination, ToSender, Walk, name_of


def own_way(config: TenantConfig, node: PlanNode, result: RingResult) -> tuple[str, Destination] | None:
    """Where a group that this node rings sends the call itself, with its name for the trace; None: nowhere."""
    if result == "answered":
        return None
    if node.ring_group is not None:
        return _own_way(config, node.ring_group.ring_group_id, result, hunt=False)
    return _own_way(config, node.hunt_group.hunt_group_id, result, hunt=True) if node.hunt_group is not None else None


def _own_way(config: TenantConfig, group_id: str, result: RingResult, *, hunt: bool) -> tuple[str, Destination] | None:
    group: RingGroup | HuntGroup | None = config.hunt_groups.get(group_id) if hunt else config.ring_groups.get(group_id)
    if group is None:
        return None
    if isinstance(group, HuntGroup) and result == "busy" and group.all_busy is not None:
        return f"hunt_group/{group_id} all_busy", group.all_busy
    return (f"{group.KIND}/{group_id} no_answer", group.no_answer) if group.no_answer is not None else None


def rang(walk: Walk, wait: GroupWait, result: RingResult, cause: int = 0) -> Move:
    """A group node's ways come before the group's own; for every other sender it is the other way round."""
    node = walk.node(walk.sender) if walk.sender is not None else None
    rung = (node.hunt_group.hunt_group_id if node.hunt_group else "") if node and wait.hunt else ""
    rung = node.ring_group.ring_group_id if node and node.ring_group and not wait.hunt else rung
    own = _own_way(walk.config, wait.group_id, result, hunt=wait.hunt)
    if own is None or result == "answered" or rung == wait.group_id:
        return ToSender(result, ENDS[result], cause)
    walk.note(own[0], True, f"the outcome was {result}", name_of(own[1]))
    return ToDestination(own[1])


def ring_group(walk: Walk, group_id: str) -> Move:
    """Its timetable."""
    group = walk.config.ring_groups.get(group_id)
    if group is None:
        return walk.broken(f"ring_group/{group_id}", "there is no such group")
    walk.arrive()
    slots, busy = timetable(walk, group)
    if not slots:
        walk.note(f"ring_group/{group_id}", False, "nobody can be rung")
        return rang(walk, GroupWait(group_id), "busy" if busy else "unreachable")
    return _step(walk, slots, GroupWait(group_id))


def _step(walk: Walk, slots: Sequence[Slot], wait: GroupWait) -> Stop:
    targets: list[RingTarget] = []
    names: set[str] = set()
    for slot in slots:
        name = slot.name if slot.name not in names else f"{slot.name}.{len(targets)}"
        names.add(name)
        targets.append(target_of(name, slot.reach, slot.start * 1000, slot.stop * 1000))
    return ring_all(walk, targets, wait)


def hunt_group(walk: Walk, group_id: str) -> Move:
    """Idle members who are logged in."""
    group = walk.config.hunt_groups.get(group_id)
    if group is None:
        return walk.broken(f"hunt_group/{group_id}", "there is no such group")
    walk.arrive()
    slots = hunted(walk, group)
    if not slots:
        return rang(walk, GroupWait(group_id, hunt=True), "busy")
    return _step(walk, slots, GroupWait(group_id, hunt=True))
