"""Destinations: how each is entered, and what its ringing leads to."""

from carillon_contracts.config import Destination, Number, User
from carillon_routing.domain import menus, queueing, trunks
from carillon_routing.domain.cursor import ExternalWait, GroupWait, PlayWait, UserWait
from carillon_routing.domain.facts import Delegate, Play, Ring, RingResult, TrunkTarget, UserTarget
from carillon_routing.domain.identity import shown_inside, shown_outside
from carillon_routing.domain.timetables import timetable
from carillon_routing.domain.walk import (
    ENDS,
    MAX_FORWARDS,
    NO_TRUNK,
    REASONS,
    UNKNOWN_NUMBER,
    WAY_OF,
    Move,
    Stop,
    ToDestination,
    ToNode,
    ToOutside,
    ToSender,
    Walk,
    name_of,
)

#: How long an outside number rings that a plan or a forwarding calls, when the node does not say.
EXTERNAL_RING_SECONDS = 60
#: Trunks that are tried for one number.
MAX_TRUNKS = 10


def enter(walk: Walk, move: ToDestination) -> Move:
    """Carry the destination out."""
    destination = move.destination
    if destination.user_id is not None:
        return _ring_user(walk, destination.user_id, move.ring_seconds)
    if destination.ring_group_id is not None:
        return ring_group(walk, destination.ring_group_id)
    if destination.queue_id is not None:
        return queueing.enter(walk, destination.queue_id)
    if destination.menu_id is not None:
        return menus.enter(walk, destination.menu_id)
    if destination.plan_id is not None:
        return _plan(walk, destination.plan_id)
    if destination.mailbox_id is not None:
        return mailbox(walk, destination.mailbox_id)
    if destination.external_number is not None:
        return _external(walk, destination.external_number, move.ring_seconds)
    if destination.announcement is not None:
        walk.note("announcement", True, "is spoken; then the call ends", "hang_up")
        return Stop(Play(walk.speak((destination.announcement,))), PlayWait())
    if destination.conference_room_id is not None:
        return _conference(walk, destination.conference_room_id)
    reason = destination.hang_up or "normal"
    walk.note("hang_up", True, f"the destination is to hang up: {reason}", "hang_up")
    return Stop(REASONS[reason])


def _plan(walk: Walk, plan_id: str) -> Move:
    plan = walk.config.plans.get(plan_id)
    if plan is None:
        return walk.broken(f"plan/{plan_id}", "there is no such plan")
    walk.note(f"plan/{plan_id}", True, "starts at its first node", f"node {plan.entry}")
    return ToNode(plan_id, plan.entry)


def own_number(walk: Walk, number: Number, because: str) -> Move:
    """One of the tenant's numbers: where it leads, without a carrier."""
    if number.destination is None:
        walk.note(f"number {number.id}", False, f"{because}; the number leads nowhere yet", "hang_up")
        return ToSender("unreachable", UNKNOWN_NUMBER)
    walk.note(f"number {number.id}", True, because, name_of(number.destination))
    return ToDestination(number.destination)


def mailbox(walk: Walk, mailbox_id: str) -> Move:
    """Voicemail decides from here on."""
    if mailbox_id not in walk.config.mailboxes:
        return walk.broken(f"mailbox/{mailbox_id}", "there is no such mailbox")
    walk.note(f"mailbox/{mailbox_id}", True, "takes a message", "voicemail")
    arguments = {"mailbox_id": mailbox_id}
    if walk.language:
        arguments["language"] = walk.language
    return Stop(Delegate("voicemail", arguments))


def _conference(walk: Walk, room_id: str) -> Move:
    """The conference application decides from here on."""
    if room_id not in walk.config.conference_rooms:
        return walk.broken(f"conference_room/{room_id}", "there is no such room")
    walk.note(f"conference_room/{room_id}", True, "lets callers in", "conference")
    arguments = {"conference_room_id": room_id}
    if walk.language:
        arguments["language"] = walk.language
    return Stop(Delegate("conference", arguments))


def _ring_user(walk: Walk, user_id: str, ring_seconds: int) -> Move:
    user = walk.config.users.get(user_id)
    if user is None:
        walk.note(f"user/{user_id}", False, "there is no such user")
        return ToSender("unreachable", ENDS["unreachable"])
    seconds = ring_seconds or user.ring_seconds
    said = "as the node says" if ring_seconds else "as the user wants"
    walk.note(f"user/{user_id}", True, f"rings on all devices for {seconds} s, {said}")
    number, name = shown_inside(walk.config, walk.call)
    target = UserTarget(f"user:{user_id}", user_id, 0, seconds * 1000)
    return Stop(Ring((target,), number, name, walk.asks_after_answer()), UserWait(user_id))


def user_rang(walk: Walk, user_id: str, result: RingResult) -> Move:
    """The user's forwarding by outcome; without one, back to who sent the call."""
    user = walk.config.users.get(user_id)
    forward = _forwarding(walk, user, result) if user is not None else None
    if forward is None:
        return ToSender(result, ENDS[result])
    if walk.forwards >= MAX_FORWARDS:
        walk.note(f"user/{user_id} forwarding", False, f"the call was forwarded {MAX_FORWARDS} times already")
        return ToSender(result, ENDS[result])
    walk.forwards += 1
    return ToDestination(forward)


def _forwarding(walk: Walk, user: User, result: RingResult) -> Destination | None:
    chosen = None
    for name in ("busy", "no_answer", "unreachable"):
        destination: Destination | None = getattr(user.forwarding, name)
        if destination is None:
            continue
        matched = name == WAY_OF[result]
        reason = f"the outcome was {result}" if matched else f"the outcome was {result}, not {name}"
        walk.note(f"user/{user.id} forwarding {name}", matched, reason, name_of(destination))
        if matched:
            chosen = destination
    if chosen is None:
        walk.note(f"user/{user.id} forwarding", False, f"nothing is set for {result}; back to who sent the call")
    return chosen


def ring_group(walk: Walk, group_id: str) -> Move:
    """Its timetable."""
    group = walk.config.ring_groups.get(group_id)
    if group is None:
        return walk.broken(f"ring_group/{group_id}", "there is no such group")
    targets, lines = timetable(walk.config, group, walk.call.caller_user_id)
    for line in lines:
        walk.note(line.subject, line.matched, line.reason, line.next)
    if not targets:
        walk.note(f"ring_group/{group_id}", False, "nobody can be rung")
        return group_rang(walk, group_id, "unreachable")
    outside = any(isinstance(target, TrunkTarget) for target in targets)
    number, name = shown_outside(walk.config, walk.call) if outside else shown_inside(walk.config, walk.call)
    return Stop(Ring(targets, number, name, walk.asks_after_answer()), GroupWait(group_id))


def group_rang(walk: Walk, group_id: str, result: RingResult) -> Move:
    """A ring group node's ways come before the group's own `no_answer`; for every other sender it is the other way round."""
    group = walk.config.ring_groups.get(group_id)
    node = walk.node(walk.sender) if walk.sender is not None else None
    by_node = node is not None and node.ring_group is not None and node.ring_group.ring_group_id == group_id
    if group is None or group.no_answer is None or result == "answered" or by_node:
        return ToSender(result, ENDS[result])
    walk.note(f"ring_group/{group_id} no_answer", True, f"the outcome was {result}", name_of(group.no_answer))
    return ToDestination(group.no_answer)


def _external(walk: Walk, number: str, ring_seconds: int) -> Move:
    own = walk.config.numbers.get(number)
    if own is not None:
        return own_number(walk, own, f"{number} is one of {walk.config.tenant_id}'s own: no carrier needed")
    return ToOutside(number, (ring_seconds or EXTERNAL_RING_SECONDS) * 1000)


def call_outside(walk: Walk, move: ToOutside) -> Move:
    """Ring by the best trunk that was not tried yet."""
    found = trunks.for_emergency(walk.config) if move.emergency else trunks.candidates(walk.config, move.number)
    able = {trunk.id for trunk, _ in found}
    for trunk in walk.config.trunks.values():
        if trunk.id not in able:
            walk.note(f"trunk/{trunk.id}", False, f"{move.number} begins with none of {', '.join(trunk.prefixes)}")
    if len(move.tried) >= MAX_TRUNKS:
        walk.note(f"number {move.number}", False, f"{MAX_TRUNKS} trunks were tried, which is enough", "hang_up")
        return ToSender("congested", NO_TRUNK)
    chosen = None
    for trunk, prefix in found:
        if trunk.id in move.tried:
            walk.note(f"trunk/{trunk.id}", False, "was tried already")
        elif chosen is not None:
            walk.note(f"trunk/{trunk.id}", False, f"comes after trunk/{chosen.id} (prefix {prefix or 'any'}, priority {trunk.priority})")
        else:
            chosen = trunk
            reason = f"takes {move.number}: prefix {prefix or 'any'}, priority {trunk.priority}"
            walk.note(f"trunk/{trunk.id}", True, reason, f"{move.number} by trunk/{trunk.id}")
    if chosen is None:
        walk.note(f"number {move.number}", False, "no trunk is left" if move.tried else "no trunk takes it")
        return ToSender("congested" if move.tried else "unreachable", NO_TRUNK)
    number, name = shown_outside(walk.config, walk.call)
    walk.note("caller shown", True, f"{number or 'withheld'} (direction {walk.call.direction})")
    target = TrunkTarget(f"trunk:{chosen.id}", chosen.id, move.number, 0, move.ring_ms)
    wait = ExternalWait(move.number, (*move.tried, chosen.id), move.ring_ms, move.emergency)
    return Stop(Ring((target,), number, name, walk.asks_after_answer()), wait)


def outside_rang(walk: Walk, wait: ExternalWait, result: RingResult) -> Move:
    """The next trunk when this one could not; otherwise back to who sent the call."""
    trunk = wait.tried[-1] if wait.tried else "?"
    if WAY_OF[result] == "unreachable":
        walk.note(f"trunk/{trunk}", False, f"{wait.number} was {result} by it; the next one is tried")
        return ToOutside(wait.number, wait.ring_ms, wait.tried, wait.emergency)
    walk.note(f"number {wait.number}", result == "answered", f"the outcome was {result} by trunk/{trunk}")
    return ToSender(result, ENDS[result])
