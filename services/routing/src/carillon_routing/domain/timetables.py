"""A ring group as a timetable: who starts to ring when, and who stops when. One way for all three strategies, and for groups in groups."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, repeat

from carillon_contracts.config import RingGroup, RingMember
from carillon_routing.domain.hunting import hunted
from carillon_routing.domain.members import TALKS, PassedOver, Slot, reached, talking
from carillon_routing.domain.reach import Reach, reach_number
from carillon_routing.domain.ring_orders import ordered
from carillon_routing.domain.walk import Walk

#: Seconds of a member that does not say: an outside phone needs 4 to 5 before it rings at all.
USER_SECONDS = 5
EXTERNAL_SECONDS = 20
#: Targets of one step.
MAX_TARGETS = 100
#: Ring groups inside one another (the directory keeps a group out of itself), and groups inside a group in all.
MAX_NESTED = 5
MAX_GROUPS = 20


@dataclass(frozen=True, slots=True)
class _Part:
    """A member who rings: from its own beginning on who rings when, and how long it rings where the next one waits for it."""

    position: int
    slots: tuple[Slot, ...]
    seconds: int


def timetable(walk: Walk, group: RingGroup, inside: tuple[str, ...] = (), last_hop: int = 0) -> tuple[tuple[Slot, ...], bool]:
    """Who rings when, and whether anybody was passed over who is busy or wants no calls; why each member is in it or not is in the trace.

    The group's time-out cuts all. `inside`: the groups that it is a member of; each group counts as a hop of the call, up to `last_hop`."""
    last_hop = last_hop or walk.hops + MAX_GROUPS
    parts: list[_Part] = []
    talks, busy = talking(walk, group), False
    for index in ordered(walk, group):
        position, member = index + 1, group.members[index]
        if member.ring_group_id is not None or member.hunt_group_id is not None:
            part = _group(walk, group, position, member, inside, last_hop)
        else:
            part = _single(walk, group, position, member, talks, alone=not inside and len(group.members) == 1)
        if isinstance(part, _Part) and group.strategy != "sequential":
            part = _not_twice(part, [slot.reach for each in parts for slot in each.slots])
        if isinstance(part, PassedOver):
            busy = busy or part.busy
            walk.note(f"ring_group/{group.id} member {position}", False, part.reason)
        else:
            parts.append(part)
    return tuple(islice(_slots(walk, group, parts), MAX_TARGETS)), busy


def _slots(walk: Walk, group: RingGroup, parts: Sequence[_Part]) -> Iterator[Slot]:
    for part, start, stop in _times(group, parts):
        for slot in part.slots:
            first, last = start + slot.start, min(start + slot.stop, stop)
            subject, who = f"ring_group/{group.id} member {part.position}", str(slot.reach)
            if first >= last:
                walk.note(subject, False, f"{who} would ring from {first} s, after the group's {stop} s")
                continue
            walk.note(subject, True, f"{group.strategy}: {who} rings from {first} s to {last} s", who)
            yield Slot(str(part.position), slot.reach, first, last)


def _times(group: RingGroup, parts: Sequence[_Part]) -> Iterator[tuple[_Part, int, int]]:
    """Member, start and stop in seconds."""
    start = 0
    rounds = MAX_TARGETS if group.wrap and group.strategy == "sequential" else 1
    for part in islice(chain.from_iterable(repeat(parts, rounds)), MAX_TARGETS):
        if rounds > 1 and start >= group.timeout_seconds:
            return
        match group.strategy:
            case "parallel":
                yield part, 0, group.timeout_seconds
            case "sequential":
                yield part, start, min(start + part.seconds, group.timeout_seconds)
            case "progressive":
                yield part, start, group.timeout_seconds
        start += part.seconds


def _not_twice(part: _Part, before: Sequence[Reach]) -> _Part | PassedOver:
    """Without whom another member rings already."""
    kept = tuple(slot for slot in part.slots if slot.reach not in before)
    if not kept:
        return PassedOver(f"{part.slots[0].reach.user_id or part.slots[0].reach.number} rings already")
    return replace(part, slots=kept)


def _single(walk: Walk, group: RingGroup, position: int, member: RingMember, talks: frozenset[str], *, alone: bool) -> _Part | PassedOver:
    """A user or a number; who calls the group does not ring, unless `alone` in it."""
    reach = _reach(walk, group, member, talks)
    if isinstance(reach, PassedOver):
        return reach
    if reach.user_id and reach.user_id == walk.call.caller_user_id and not alone:
        return PassedOver(f"user/{reach.user_id} is the caller")
    seconds = member.ring_seconds or (USER_SECONDS if reach.user_id else EXTERNAL_SECONDS)
    return _Part(position, (Slot("", reach, 0, group.timeout_seconds),), seconds)


def _reach(walk: Walk, group: RingGroup, member: RingMember, talks: frozenset[str]) -> Reach | PassedOver:
    """How the member is reached, or why not. A user who calls the group calls its outside members too."""
    caller = walk.config.users.get(walk.call.caller_user_id) if walk.call.direction == "from_user" else None
    if member.external_number is not None:
        reach, reason = reach_number(walk, caller, member.external_number)
        return reach or PassedOver(reason)
    user = walk.config.users.get(member.user_id or "")
    if user is None:
        return PassedOver(f"user/{member.user_id} does not exist")
    return PassedOver(f"user/{user.id} {TALKS}", busy=True) if user.id in talks else reached(walk, group, user)


def _group(walk: Walk, group: RingGroup, position: int, member: RingMember, inside: tuple[str, ...], last_hop: int) -> _Part | PassedOver:
    """A group in the group."""
    inner = walk.config.ring_groups.get(member.ring_group_id or "") or walk.config.hunt_groups.get(member.hunt_group_id or "")
    name = f"ring_group/{member.ring_group_id}" if member.ring_group_id is not None else f"hunt_group/{member.hunt_group_id}"
    if inner is None:
        return PassedOver(f"{name} does not exist")
    around = (*inside, group.id)
    if isinstance(inner, RingGroup) and (inner.id in around or len(around) >= MAX_NESTED):
        return PassedOver(f"{name} is inside itself, or more than {MAX_NESTED} groups deep")
    if walk.hops >= last_hop:
        return PassedOver(f"more than {MAX_GROUPS} groups are inside this one")
    walk.hops += 1
    walk.note(f"ring_group/{group.id} member {position}", True, "rings a group", name)
    slots, busy = timetable(walk, inner, around, last_hop) if isinstance(inner, RingGroup) else (hunted(walk, inner), True)
    if not slots:
        return PassedOver(f"nobody of {name} can be rung", busy)
    return _Part(position, slots, member.ring_seconds or inner.timeout_seconds)
