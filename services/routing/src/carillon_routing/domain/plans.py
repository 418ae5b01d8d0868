"""Nodes of a plan, and the ways on from them."""

from carillon_contracts.config import CalendarNode, PlanNode
from carillon_routing.domain import destinations, menus, queueing
from carillon_routing.domain.cursor import PlayWait
from carillon_routing.domain.facts import Play
from carillon_routing.domain.schedules import is_open
from carillon_routing.domain.walk import MAX_PHRASES, REASONS, WAY_OF, Move, Stop, ToDestination, ToNode, ToSender, Walk, name_of


def enter_node(walk: Walk, plan_id: str, node_id: str) -> Move:
    """What the node says; from here on its ways count."""
    walk.sender = (plan_id, node_id)
    node = walk.node(walk.sender)
    subject = f"plan/{plan_id} node {node_id}"
    if node is None:
        return walk.broken(subject, "there is no such node")
    return _carry_out(walk, subject, node)


def _carry_out(walk: Walk, subject: str, node: PlanNode) -> Move:
    if node.destination is not None:
        walk.note(subject, True, "sends the call to a destination", name_of(node.destination.destination))
        return ToDestination(node.destination.destination, node.destination.ring_seconds)
    if node.calendar is not None:
        return _calendar(walk, subject, node.calendar)
    if node.ring_group is not None:
        walk.note(subject, True, "rings a group", f"ring_group/{node.ring_group.ring_group_id}")
        return destinations.ring_group(walk, node.ring_group.ring_group_id)
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
        return Stop(REASONS[node.hang_up.reason])
    return walk.broken(subject, "a kind of node that this version does not know")


def _calendar(walk: Walk, subject: str, calendar: CalendarNode) -> Move:
    assert walk.sender is not None
    chosen = ""
    for entry in calendar.entries:
        name = f"schedule/{entry.schedule_id}"
        if chosen:
            walk.note(name, False, "not looked at: an entry before it is open", f"node {entry.next}")
            continue
        schedule = walk.config.schedules.get(entry.schedule_id)
        if schedule is None:
            walk.note(name, False, "there is no such schedule", f"node {entry.next}")
            continue
        matched, reason = is_open(schedule, walk.config.tenant.time_zone, walk.now)
        walk.note(name, matched, reason, f"node {entry.next}")
        if matched:
            chosen = entry.next
    if not chosen:
        chosen = calendar.otherwise
        walk.note(f"{subject} otherwise", True, "none of its schedules is open", f"node {chosen}")
    return ToNode(walk.sender[0], chosen)


def back_to_sender(walk: Walk, move: ToSender) -> Move:
    """The way of the node that sent the call, by what became of it; the end if it has none. An answered call never goes `otherwise`."""
    ways = walk.sender_ways()
    way = WAY_OF[move.result]
    if ways is None or walk.sender is None:
        walk.note("ways", False, f"{move.result}: no node waits for the call", f"hang_up {move.end.cause}")
        return Stop(move.end)
    subject = f"plan/{walk.sender[0]} node {walk.sender[1]}"
    chosen = ""
    for name in ("answered", "no_answer", "busy", "unreachable", "otherwise"):
        following: str = getattr(ways, name)
        if not following:
            continue
        if chosen:
            walk.note(f"{subject} {name}", False, f"the outcome was {move.result}; another way was taken", f"node {following}")
        elif name == way or (name == "otherwise" and way != "answered"):
            chosen = following
            walk.note(f"{subject} {name}", True, f"the outcome was {move.result}", f"node {following}")
        else:
            walk.note(f"{subject} {name}", False, f"the outcome was {move.result}, not {name}", f"node {following}")
    if chosen:
        return ToNode(walk.sender[0], chosen)
    return _without_way(walk, move, subject)


def _without_way(walk: Walk, move: ToSender, subject: str) -> Move:
    """A ring group's own `no_answer` counts where its node gives no way."""
    node = walk.node(walk.sender) if walk.sender is not None else None
    if node is not None and node.ring_group is not None and move.result != "answered":
        group = walk.config.ring_groups.get(node.ring_group.ring_group_id)
        if group is not None and group.no_answer is not None:
            walk.note(f"ring_group/{group.id} no_answer", True, f"{move.result}, and {subject} gives no way", name_of(group.no_answer))
            walk.sender = None
            return ToDestination(group.no_answer)
    walk.note(subject, False, f"the outcome was {move.result}; the node gives no way for it", f"hang_up {move.end.cause}")
    return Stop(move.end)
