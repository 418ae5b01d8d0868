"""The way into a queue and out of it."""

import re

from carillon_contracts.config import Destination, Queue, QueueNode, QueueWays
from carillon_routing.domain.cursor import QueueWait
from carillon_routing.domain.facts import HangUp
from carillon_routing.domain.queue_steps import EnterQueue, QueueReason
from carillon_routing.domain.walk import ENDS, Move, Stop, ToDestination, ToNode, Walk, name_of

#: `french`, `french:5`.
_SKILL = re.compile(r"([a-z0-9][a-z0-9_.-]{0,31})(?:\s*:\s*(10|[1-9]))?")
#: Of one caller; their text fits into a cursor.
MAX_SKILLS = 7
_ENDS: dict[QueueReason, HangUp] = {
    "full": HangUp(17, 486, "the queue is full"),
    "no_agents": HangUp(20, 480, "no agent is logged in"),
}


def enter(walk: Walk, queue_id: str) -> Move:
    """The caller waits."""
    queue = walk.config.queues.get(queue_id)
    if queue is None:
        return walk.broken(f"queue/{queue_id}", "there is no such queue")
    walk.arrive()
    given = _given(walk, queue_id)
    priority = _priority(walk, queue, given)
    skills = _skills(walk, given)
    lasting = given.skills_for_seconds if skills else 0
    walk.note(f"queue/{queue_id}", True, f"the caller waits for an agent, priority {priority}", f"queue/{queue_id}")
    wait = QueueWait(queue_id, priority, int(walk.now.timestamp() * 1000), skills=skills, skills_for=lasting)
    return Stop(EnterQueue(queue_id, priority, skills), wait)


def _given(walk: Walk, queue_id: str) -> QueueNode:
    """What the node says that sent the call to this queue; nothing if none did."""
    node = walk.node(walk.sender) if walk.sender is not None else None
    given = node.queue if node is not None else None
    return given if given is not None and given.queue_id == queue_id else QueueNode(queue_id=queue_id)


def _skills(walk: Walk, given: QueueNode) -> str:
    """Those that the node asks for, in one form; each level the highest that is asked for."""
    wanted: dict[str, int] = {}
    for part in filter(None, map(str.strip, walk.filled(given.skills).split(","))):
        found = _SKILL.fullmatch(part)
        if found is None:
            walk.note(f"queue/{given.queue_id} skills", False, f"{part!r} is no skill")
        elif found[1] in wanted or len(wanted) < MAX_SKILLS:
            wanted[found[1]] = max(wanted.get(found[1], 0), int(found[2] or 1))
    text = ",".join(f"{name}:{level}" for name, level in wanted.items())
    if text:
        lasting = f", in the first {given.skills_for_seconds} s" if given.skills_for_seconds else ""
        walk.note(f"queue/{given.queue_id} skills", True, f"the agent must know {text}{lasting}")
    return text


def _priority(walk: Walk, queue: Queue, given: QueueNode) -> int:
    best = 0
    if given.priority:
        text = walk.filled(given.priority).strip()
        number = re.fullmatch("[0-9]", text) is not None
        walk.note(f"queue/{queue.id} priority", number, f"the node gives {text!r}" if number else f"{text!r} is no priority from 0 to 9")
        best = int(text) if number else 0
    for rule in queue.priorities:
        matched = walk.call.caller_number.startswith(rule.prefixes)
        walk.note(f"queue/{queue.id} priority {rule.priority}", matched, f"{walk.call.caller_number or 'withheld'} is compared")
        best = max(best, rule.priority) if matched else best
    return best


def left(walk: Walk, queue_id: str, reason: QueueReason) -> Move:
    """The way of the node that sent the call, then the queue's own, then the end; for a caller whom a supervisor put into another queue
    than the node's that queue's own comes first."""
    subject = f"queue/{queue_id} {reason}"
    node = walk.node(walk.sender) if walk.sender is not None else None
    sent = node.queue if node is not None else None
    ways = sent.ways if sent is not None else QueueWays()
    following: str = getattr(ways, reason, "") or ("" if reason in ("answered", "called_back") else ways.otherwise)
    destination: Destination | None = getattr(walk.config.queues.get(queue_id), reason, None)
    moved = sent is not None and sent.queue_id != queue_id
    if following and walk.sender is not None and not (moved and destination is not None):
        walk.note(subject, True, "the node says where to", f"node {following}")
        return ToNode(walk.sender[0], following)
    if destination is not None:
        walk.note(subject, True, "the queue says where to", name_of(destination))
        walk.sender = None
        return ToDestination(destination)
    walk.note(subject, True, "neither node nor queue says where to", "hang_up")
    return Stop(_ENDS.get(reason, ENDS["answered"]))


def wanted(skills: str) -> dict[str, int]:
    """Least levels by name, of what `EnterQueue` and the cursor say; what is none is left out."""
    found = map(_SKILL.fullmatch, skills.split(","))
    return {each[1]: int(each[2] or 1) for each in found if each is not None}
