"""What a call in a queue does next, of what the queue saw.

Always: the same arguments give the same step, so that a past one can be made again.
"""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import assert_never, cast

from carillon_contracts.config import Queue
from carillon_contracts.queue import AGENT_TARGET
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.cursor import Cursor, QueueWait
from carillon_routing.domain.facts import Advance, CallFacts, Play, Ring, TraceLine, UserTarget, Wait
from carillon_routing.domain.identity import shown_inside
from carillon_routing.domain.members import TALKS
from carillon_routing.domain.queue_steps import QueueSeen
from carillon_routing.domain.queues.assign import spared
from carillon_routing.domain.queues.speech import called_back, heard, offered_back
from carillon_routing.domain.recordings import recorded
from carillon_routing.domain.walk import Walk

#: Media asks at least so often.
MAX_WAIT_MS = 30_000
#: While the database is away.
AWAY_MS = 2_000
#: Agents who are told of in a trace.
MOST_SPARED = 10
#: Of `QueueWait.first`.
BEHIND, TOLD = 1, 2


def queued(config: TenantConfig, call: CallFacts, cursor: Cursor, seen: QueueSeen) -> Advance:
    """The step; the queue of the cursor exists, and that in which the caller was seen."""
    wait = cast(QueueWait, cursor.wait)
    if seen.queue_id and seen.queue_id != wait.queue_id:
        # Welcomed there as whoever comes.
        wait = replace(wait, queue_id=seen.queue_id, turn=0, offers=0, first=0)
        cursor = replace(cursor, wait=wait)
    queue = config.queues[wait.queue_id]
    match seen.what:
        case "away":
            line = TraceLine(f"queue/{queue.id}", False, "its state cannot be had now; the caller waits on")
            return _advance(seen, Wait(max_ms=AWAY_MS, signalled=False), cursor, line)
        case "called_back":
            line = TraceLine(f"queue/{queue.id}", True, f"{call.caller_number} keeps position {seen.position} and is called back")
            return _advance(seen, Play(called_back(cursor.language, config.tenant.language)), cursor, line)
        case "rings":
            return _ring(config, queue, call, cursor, seen)
        case "waits":
            return _wait(config, queue, call, cursor, wait, seen)
        case _:
            assert_never(seen.what)


def _ring(config: TenantConfig, queue: Queue, call: CallFacts, cursor: Cursor, seen: QueueSeen) -> Advance:
    users = {agent_id: config.agents[agent_id].user_id for agent_id in seen.offered if agent_id in config.agents}
    stop = queue.ring_seconds * 1000
    targets = tuple(UserTarget(f"{AGENT_TARGET}{agent_id}", user_id, 0, stop) for agent_id, user_id in users.items())
    number, name = shown_inside(config, call)
    # Asked again after the agent has hung up, so that the plan goes on with a caller who is still there.
    step = Ring(targets, number, name, ask_after_answer=True, music=True, music_id=queue.hold_music_id)
    reason = f"{queue.strategy}: offered to {', '.join(users)} after {seen.at - seen.joined_at:.0f} s"
    line = TraceLine(f"queue/{queue.id}", True, reason, ", ".join(f"user/{user}" for user in users.values()))
    walk = Walk(config, call, datetime.fromtimestamp(seen.at, UTC))
    walk.take_up(cursor)
    step = recorded(walk, step, cursor.wait)
    return _advance(seen, step, cursor, *_spared(config, queue, call, seen), line, *walk.trace)


def _wait(config: TenantConfig, queue: Queue, call: CallFacts, cursor: Cursor, wait: QueueWait, seen: QueueSeen) -> Advance:
    language = config.tenant.language
    first = _first(queue, wait, seen.position)
    told_now = first == TOLD and wait.first != TOLD
    phrases = heard(queue, seen.position, seen.estimated_seconds, wait.turn, cursor.language, language, first=told_now)
    every = min(MAX_WAIT_MS, queue.announcements.every_seconds * 1000)
    waited = seen.at - seen.joined_at
    offers, after = wait.offers, queue.callback.offer_after_seconds
    if after and may_be_called_back(queue, call, calls_back=seen.calls_back):
        if waited >= after * (offers + 1):
            phrases += offered_back(queue, cursor.language, language)
            offers = int(waited // after)
        every = max(1, min(every, int((after * (offers + 1) - waited) * 1000)))
    wait = replace(wait, turn=wait.turn + 1, offers=offers, first=first)
    step = Wait(phrases, queue.leave_key + callback_key(queue, call, wait, calls_back=seen.calls_back), every, music_id=queue.hold_music_id)
    reason = f"position {seen.position}, priority {seen.priority}, waiting {waited:.0f} s"
    lines = (*_spared(config, queue, call, seen), TraceLine(f"queue/{queue.id}", True, reason))
    return _advance(seen, step, replace(cursor, wait=wait), *lines)


def _spared(config: TenantConfig, queue: Queue, call: CallFacts, seen: QueueSeen) -> tuple[TraceLine, ...]:
    """The first agents who are passed over by wishes of their own, logged in or not, and who talk elsewhere."""
    agents = (config.agents[member.agent_id] for member in queue.members if member.agent_id in config.agents)
    reasons = ((agent.user_id, spared(config, queue, agent, call.caller_number, seen.at)) for agent in agents)
    found = islice(((user_id, reason) for user_id, reason in reasons if reason), MOST_SPARED)
    passed = (*found, *((user_id, TALKS) for user_id in seen.busy))
    return tuple(TraceLine(f"queue/{queue.id} user/{user_id}", False, f"user/{user_id} {reason}") for user_id, reason in passed)


def _first(queue: Queue, wait: QueueWait, position: int) -> int:
    """Who comes to an empty queue is welcomed in the first wait, and told in the next one."""
    if not queue.announcements.first_in_line or wait.first == TOLD:
        return wait.first
    return BEHIND if position > 1 else TOLD if wait.turn else 0


def becomes_first(wait: QueueWait, position: int) -> bool:
    """Whether the wait ends because nobody stands before any more, which is to be said."""
    return wait.first == BEHIND and position == 1


def callback_key(queue: Queue, call: CallFacts, wait: QueueWait, *, calls_back: bool) -> str:
    """Where being called back is offered from the beginning, or was."""
    offered = wait.offers or not queue.callback.offer_after_seconds
    return queue.callback_key if offered and may_be_called_back(queue, call, calls_back=calls_back) else ""


def may_be_called_back(queue: Queue, call: CallFacts, *, calls_back: bool) -> bool:
    """Where callers can be called back, one whose number is known."""
    return calls_back and bool(queue.callback_key and call.caller_number)


def _advance(seen: QueueSeen, step: Wait | Ring | Play, cursor: Cursor, *lines: TraceLine) -> Advance:
    return Advance(step, cursor, lines, cursor.config_seq, seen=seen)
