"""Nodes of a plan, and the ways on from them."""

from collections.abc import Container, Iterator

from carillon_contracts.config import PlanNode, ReturnNode, SubPlanNode, Ways
from carillon_routing.domain import branches, causes, destinations, effects, groups, menus, queueing
from carillon_routing.domain.cursor import PlayWait
from carillon_routing.domain.facts import Play, RingResult
from carillon_routing.domain.walk import (
    ENDS,
    LIKE,
    LOOP,
    MAX_DEPTH,
    MAX_PHRASES,
    REASONS,
    Move,
    Stop,
    ToDestination,
    ToNode,
    ToSender,
    Walk,
    name_of,
)


def enter_node(walk: Walk, plan_id: str, node_id: str) -> Move:
    """What the node says; from here on its ways count."""
    walk.sender = (plan_id, node_id)
    node = walk.node(walk.sender)
    subject = f"plan/{plan_id} node {node_id}"
    if node is None:
        return walk.broken(subject, "there is no such node")
    chosen = branches.choose(walk, subject, node)
    if chosen is not None:
        return ToNode(plan_id, chosen)
    return effects.carry_out(walk, subject, node) or _carry_out(walk, subject, node)


def _carry_out(walk: Walk, subject: str, node: PlanNode) -> Move:
    if node.destination is not None:
        walk.note(subject, True, "sends the call to a destination", name_of(node.destination.destination))
        return ToDestination(node.destination.destination, node.destination.ring_seconds)
    if node.ring_group is not None:
        walk.note(subject, True, "rings a group", f"ring_group/{node.ring_group.ring_group_id}")
        return groups.ring_group(walk, node.ring_group.ring_group_id)
    if node.hunt_group is not None:
        walk.note(subject, True, "rings idle members of a group", f"hunt_group/{node.hunt_group.hunt_group_id}")
        return groups.hunt_group(walk, node.hunt_group.hunt_group_id)
    if node.menu is not None:
        walk.note(subject, True, "plays a menu", f"menu/{node.menu.menu_id}")
        return menus.enter(walk, node.menu.menu_id)
    if node.queue is not None:
        walk.note(subject, True, "a queue", f"queue/{node.queue.queue_id}")
        return queueing.enter(walk, node.queue.queue_id)
    if node.mailbox is not None:
        return destinations.mailbox(walk, node.mailbox.mailbox_id)
    if node.announcement is not None:
        following = node.announcement.next
        walk.note(subject, True, "speaks", f"node {following}" if following else "hang_up")
        return Stop(Play(walk.speak(node.announcement.announcements)[:MAX_PHRASES]), PlayWait(following[:64]))
    if node.hang_up is not None:
        walk.note(subject, True, f"ends the call: {node.hang_up.reason}", "hang_up")
        return Stop(causes.hang_up(node.hang_up.cause) if node.hang_up.cause else REASONS[node.hang_up.reason])
    if node.sub_plan is not None:
        return _sub_plan(walk, subject, node.sub_plan)
    if node.return_to is not None:
        return _return(walk, subject, node.return_to)
    return walk.broken(subject, "a kind of node that this version does not know")


def _sub_plan(walk: Walk, subject: str, node: SubPlanNode) -> Move:
    plan = walk.plan(node.plan_id)
    if plan is None:
        return walk.broken(subject, f"there is no plan {node.plan_id}")
    if len(walk.stack) >= MAX_DEPTH or walk.sender is None:
        walk.note(subject, False, f"{MAX_DEPTH} sub-plans are inside one another already", "hang_up")
        return Stop(LOOP)
    walk.note(subject, True, "runs a plan and waits for its return", f"plan/{plan.id} node {plan.entry}")
    walk.stack = (*walk.stack, walk.sender)
    return ToNode(plan.id, plan.entry)


def _return(walk: Walk, subject: str, node: ReturnNode) -> Move:
    name = node.exit or "the plain exit"
    if not walk.stack:
        walk.note(subject, False, f"{name}: no plan ran this one", "hang_up")
        return Stop(ENDS["answered"])
    back, walk.stack = walk.stack[-1], walk.stack[:-1]
    caller = walk.node(back)
    if caller is None or caller.sub_plan is None:
        return walk.broken(f"plan/{back[0]} node {back[1]}", "the node that ran this plan is gone")
    chosen = next((each.next for each in caller.sub_plan.exits if each.name == node.exit), caller.sub_plan.next)
    walk.note(subject, bool(chosen), f"returns by {name} to plan/{back[0]} node {back[1]}", f"node {chosen}" if chosen else "hang_up")
    return ToNode(back[0], chosen) if chosen else Stop(ENDS["answered"])


def back_to_sender(walk: Walk, move: ToSender) -> Move:
    """The way of the node that sent the call, by what became of it; the end if it has none. An answered call never goes `otherwise`."""
    ways = walk.sender_ways()
    if ways is None or walk.sender is None:
        walk.note("ways", False, f"{move.result}: no node waits for the call", f"hang_up {move.end.cause}")
        return Stop(move.end)
    subject = f"plan/{walk.sender[0]} node {walk.sender[1]}"
    outcome = move.result + (f", cause {move.cause}" if move.cause else "")
    pairs = list(_given(ways))
    given = dict(pairs)
    wanted = _preferred(given, move.result, move.cause)
    for name, following in pairs:
        if name == wanted:
            walk.note(f"{subject} {name}", True, f"the outcome was {outcome}", f"node {following}")
        else:
            reason = (
                f"the outcome was {outcome}; another way was taken" if name == "otherwise" else f"the outcome was {outcome}, not {name}"
            )
            walk.note(f"{subject} {name}", False, reason, f"node {following}")
    if chosen := given.get(wanted, ""):
        return ToNode(walk.sender[0], chosen)
    return _without_way(walk, move, subject)


def gave_up(walk: Walk) -> Move:
    """The caller hung up: the sender's way for that, for the sake of the notices on it."""
    ways = walk.sender_ways()
    if ways is None or walk.sender is None or not ways.gave_up:
        return Stop(ENDS["answered"])
    walk.note(f"plan/{walk.sender[0]} node {walk.sender[1]} gave_up", True, "the caller hung up", f"node {ways.gave_up}")
    return ToNode(walk.sender[0], ways.gave_up)


def _given(ways: Ways) -> Iterator[tuple[str, str]]:
    """Name and node of every way that a ringing can take, in the order of being looked at."""
    for each in ways.causes:
        yield f"cause {each.cause}", each.next
    for name in ("answered", "no_answer", "busy", "unreachable", "congested", "rejected", "otherwise"):
        if following := getattr(ways, name):
            yield name, following


def _preferred(given: Container[str], result: RingResult, cause: int) -> str:
    """The name of the way to take; empty: there is none."""
    names = [f"cause {cause}", result, LIKE.get(result, ""), "otherwise" if result != "answered" else ""]
    return next((name for name in names if name in given), "")


def _without_way(walk: Walk, move: ToSender, subject: str) -> Move:
    """A group's own destinations count where its node gives no way."""
    node = walk.node(walk.sender) if walk.sender is not None else None
    own = groups.own_way(walk.config, node, move.result) if node is not None else None
    if own is not None:
        name, destination = own
        walk.note(name, True, f"{move.result}, and {subject} gives no way", name_of(destination))
        walk.leave()
        return ToDestination(destination)
    walk.note(subject, False, f"the outcome was {move.result}; the node gives no way for it", f"hang_up {move.end.cause}")
    return Stop(move.end)
