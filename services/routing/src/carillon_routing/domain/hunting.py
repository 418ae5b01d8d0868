"""Who of a hunt group rings when: idle members who are logged in."""

from carillon_contracts.config import HuntGroup
from carillon_routing.domain.asks import BusyUsers, LoggedIn
from carillon_routing.domain.members import TALKS, PassedOver, Slot, reached
from carillon_routing.domain.reach import Reach
from carillon_routing.domain.walk import Walk


def hunted(walk: Walk, group: HuntGroup) -> tuple[Slot, ...]:
    """The group's timetable; nobody: all are busy."""
    idle = _idle(walk, group)
    if not idle:
        walk.note(f"hunt_group/{group.id}", False, "nobody who is logged in is idle")
    slots: list[Slot] = []
    for turn, reach in enumerate(idle):
        start, stop = 0, group.timeout_seconds
        if group.strategy == "first_idle":
            start, stop = turn * group.ring_seconds, min((turn + 1) * group.ring_seconds, group.timeout_seconds)
        subject, who = (f"user/{reach.user_id}", "") if reach.user_id else (f"member {turn + 1}", f"{reach} ")
        if start >= stop:
            walk.note(f"hunt_group/{group.id} {subject}", False, f"{who}would ring from {start} s, after the group's {stop} s")
            continue
        walk.note(f"hunt_group/{group.id} {subject}", True, f"{group.strategy}: {who}rings from {start} s to {stop} s")
        slots.append(Slot(str(turn + 1), reach, start, stop))
    return tuple(slots)


def _idle(walk: Walk, group: HuntGroup) -> list[Reach]:
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
    idle: list[Reach] = []
    for member in group.members:
        found = _found(walk, group, member.user_id, logged_in=member.user_id in there, talks=member.user_id in busy)
        if isinstance(found, Reach) and found not in idle:
            idle.append(found)
        else:
            reason = found.reason if isinstance(found, PassedOver) else f"{found.user_id or found.number} rings already"
            walk.note(f"hunt_group/{group.id} user/{member.user_id}", False, reason)
    return idle


def _found(walk: Walk, group: HuntGroup, user_id: str, *, logged_in: bool, talks: bool) -> Reach | PassedOver:
    user = walk.config.users.get(user_id)
    if not logged_in:
        return PassedOver("is not logged in")
    if user_id == walk.call.caller_user_id:
        return PassedOver("is the caller")
    if talks:
        return PassedOver(TALKS)
    found = reached(walk, group, user) if user is not None else PassedOver("does not exist")
    if isinstance(found, PassedOver) or not found.user_id or found.user_id == user_id:
        return found
    if found.user_id == walk.call.caller_user_id:
        return PassedOver(f"user/{found.user_id} is the caller")
    return PassedOver(f"user/{found.user_id} {TALKS}") if walk.ask(BusyUsers((found.user_id,), walk.hops)) else found
