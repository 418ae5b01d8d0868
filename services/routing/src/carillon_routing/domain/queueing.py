"""The way into a queue and out of it."""

from carillon_contracts.config import Destination, Queue, QueueWays
from carillon_routing.domain.cursor import QueueWait
from carillon_routing.domain.facts import HangUp
from carillon_routing.domain.queue_steps import EnterQueue, QueueReason
from carillon_routing.domain.walk import ENDS, Move, Stop, ToDestination, ToNode, Walk, name_of

_ENDS: dict[QueueReason, HangUp] = {
    "full": HangUp(17, 486, "the queue is full"),
    "no_agents": HangUp(20, 480, "no agent is logged in"),
}


def enter(walk: Walk, queue_id: str) -> Move:
    """The caller waits."""
    queue = walk.config.queues.get(queue_id)
    if queue is None:
        return walk.broken(f"queue/{queue_id}", "there is no such queue")
    priority = _priority(walk, queue)
    walk.note(f"queue/{queue_id}", True, f"the caller waits for an agent, priority {priority}", f"queue/{queue_id}")
    return Stop(EnterQueue(queue_id, priority), QueueWait(queue_id, priority, int(walk.now.timestamp() * 1000)))


def _priority(walk: Walk, queue: Queue) -> int:
    best = 0
    for rule in queue.priorities:
        matched = walk.call.caller_number.startswith(rule.prefixes)
        walk.note(f"queue/{queue.id} priority {rule.priority}", matched, f"{walk.call.caller_number or 'withheld'} is compared")
        best = max(best, rule.priority) if matched else best
    return best


def left(walk: Walk, queue_id: str, reason: QueueReason) -> Move:
    """The way of the node that sent the call, then the queue's own, then the end."""
    subject = f"queue/{queue_id} {reason}"
    node = walk.node(walk.sender) if walk.sender is not None else None
    ways = node.queue.ways if node is not None and node.queue is not None and node.queue.queue_id == queue_id else QueueWays()
    following: str = getattr(ways, reason, "") or ("" if reason in ("answered", "called_back") else ways.otherwise)
    if following and walk.sender is not None:
        walk.note(subject, True, "the node says where to", f"node {following}")
        return ToNode(walk.sender[0], following)
    queue = walk.config.queues.get(queue_id)
    destination: Destination | None = getattr(queue, reason, None)
    if destination is not None:
        walk.note(subject, True, "the queue says where to", name_of(destination))
        walk.sender = None
        return ToDestination(destination)
    walk.note(subject, True, "neither node nor queue says where to", "hang_up")
    return Stop(_ENDS.get(reason, ENDS["answered"]))
