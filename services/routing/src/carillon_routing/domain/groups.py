"""Ring groups and hunt groups: who rings when, and where a call goes that nobody took."""

from zoneinfo import ZoneInfo

from carillon_contracts.config import Destination, HuntGroup, PlanNode, RingGroup
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.asks import AnsweredToday, BusyUsers, Draw, LoggedIn
from carillon_routing.domain.cursor import GroupWait
from carillon_routing.domain.facts import RingResult, RingTarget, TrunkTarget, UserTarget
from carillon_routing.domain.identity import shown_inside, shown_outside
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
    targets, lines = timetable(walk.config, group, walk.call, _order(walk, group))
    walk.noted(lines)
    if not targets:
        walk.note(f"ring_group/{group_id}", False, "nobody can be rung")
        return rang(walk, GroupWait(group_id), "unreachable")
    return _step(walk, targets, GroupWait(group_id))


def _step(walk: Walk, targets: tuple[RingTarget, ...], wait: GroupWait) -> Stop:
    outside = any(isinstance(target, TrunkTarget) for target in targets)
    number, name = shown_outside(walk.config, walk.call) if outside else shown_inside(walk.config, walk.call)
    return Stop(walk.ring(targets, number, name), wait)


def _order(walk: Walk, group: RingGroup) -> tuple[int, ...]:
    """Indexes of the members as they come."""
    listed = tuple(range(len(group.members)))
    subject = f"ring_group/{group.id} order"
    match group.order:
        case "priority":
            return listed
        case "random":
            order = tuple(sorted(listed, key=lambda index: walk.rank(f"{group.id} {index} {walk.hops}")))
            walk.note(subject, True, f"random, by the call: members {_positions(order)}")
            return order
        case "round_robin":
            number = walk.ask(Draw(f"ring_group/{group.id}", walk.hops))
            turn = number if isinstance(number, int) and not isinstance(number, bool) else walk.rank(group.id)
            order = tuple((turn + index) % len(listed) for index in listed)
            walk.note(subject, number is not None, f"round robin, turn {turn + 1}: members {_positions(order)}")
            return order
        case "least_called":
            day = f"{walk.now.astimezone(ZoneInfo(walk.config.tenant.time_zone)):%Y-%m-%d}"
            users = tuple(sorted({member.user_id for member in group.members if member.user_id}))
            answer = walk.ask(AnsweredToday(users, day))
            answered = answer if isinstance(answer, dict) else {}
            counts = [_count(answered.get(member.user_id or "")) for member in group.members]
            order = tuple(sorted(listed, key=lambda index: (counts[index], index)))
            said = ", ".join(f"{index + 1} with {counts[index]}" for index in order)
            walk.note(subject, answer is not None, f"fewest calls on {day} first: members {said}")
            return order


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _positions(order: tuple[int, ...]) -> str:
    return ", ".join(str(index + 1) for index in order)


def hunt_group(walk: Walk, group_id: str) -> Move:
    """Idle members who are logged in."""
    group = walk.config.hunt_groups.get(group_id)
    if group is None:
        return walk.broken(f"hunt_group/{group_id}", "there is no such group")
    idle = _idle(walk, group)
    if not idle:
        walk.note(f"hunt_group/{group_id}", False, "nobody who is logged in is idle")
        return rang(walk, GroupWait(group_id, hunt=True), "busy")
    targets: list[RingTarget] = []
    for turn, user_id in enumerate(idle):
        start, stop = 0, group.timeout_seconds
        if group.strategy == "first_idle":
            start, stop = turn * group.ring_seconds, min((turn + 1) * group.ring_seconds, group.timeout_seconds)
        if start >= stop:
            walk.note(f"hunt_group/{group_id} user/{user_id}", False, f"would ring from {start} s, after the group's {stop} s")
            continue
        walk.note(f"hunt_group/{group_id} user/{user_id}", True, f"{group.strategy}: rings from {start} s to {stop} s")
        targets.append(UserTarget(f"{turn + 1}:user:{user_id}", user_id, start * 1000, stop * 1000))
    return _step(walk, tuple(targets), GroupWait(group_id, hunt=True))


def _idle(walk: Walk, group: HuntGroup) -> list[str]:
    """In the order of the list."""
    present: set[object] = set()
    if not all(member.permanent for member in group.members):
        answer = walk.ask(LoggedIn(group.id, walk.hops))
        present = set(answer) if isinstance(answer, list) else {member.user_id for member in group.members}
        if answer is None:
            walk.note(f"hunt_group/{group.id}", False, "who is logged in could not be read in time; all count as logged in")
    there = [member.user_id for member in group.members if member.permanent or member.user_id in present]
    answer = walk.ask(BusyUsers(tuple(there), walk.hops)) if there else []
    busy = set(answer) if isinstance(answer, list) else set()
    idle = []
    for member in group.members:
        reason = ""
        if member.user_id not in there:
            reason = "is not logged in"
        elif member.user_id == walk.call.caller_user_id:
            reason = "is the caller"
        elif member.user_id in busy:
            reason = "talks or is being rung"
        elif member.user_id not in walk.config.users or walk.config.users[member.user_id].do_not_disturb:
            reason = "is not to be disturbed" if member.user_id in walk.config.users else "does not exist"
        if reason:
            walk.note(f"hunt_group/{group.id} user/{member.user_id}", False, reason)
        else:
            idle.append(member.user_id)
    return idle
