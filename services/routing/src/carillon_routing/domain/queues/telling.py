"""What an event says besides the change itself, for those who were not there: in which queue, at which place, after how long, whom.

Always: nothing on the floor depends on it.
"""

from collections.abc import Iterable
from typing import Any

from carillon_routing.domain.queues import events as e
from carillon_routing.domain.queues.floor import Caller, Floor, evolve


def told(floor: Floor, happened: Iterable[e.FloorEvent]) -> list[e.FloorEvent]:
    """The events, one after the other from this floor on, with all that is to be told of them."""
    found = []
    for event in happened:
        after = evolve(floor, event)
        if isinstance(event, e.CallerEvent):
            caller = floor.callers.get(event.call_id) or after.callers.get(event.call_id)
            if caller is not None:
                event = event.model_copy(update=_more(event, caller, floor, after))
        found.append(event)
        floor = after
    return found


def _more(event: e.CallerEvent, caller: Caller, floor: Floor, after: Floor) -> dict[str, Any]:
    more: dict[str, Any] = {"queue_id": event.queue_id or caller.queue_id}
    match event:
        case e.CallerJoined():
            more["position"] = after.position(caller)
        case e.CallerRanked():
            more |= {"from_queue_id": caller.queue_id, "position": after.position(after.callers[event.call_id])}
        case e.RingBegan() | e.OfferLapsed():
            more["agent_ids"] = caller.offered
        case e.AgentConnected():
            more["waited_seconds"] = max(0.0, event.at - caller.joined_at)
        case e.LegKnown():
            more["agent_id"] = caller.agent_id
        case e.CallerLeft():
            until = caller.connected_at or event.at
            more |= {"position": 0 if caller.connected_at else floor.position(caller), "waited_seconds": max(0.0, until - caller.joined_at)}
        case e.CallbackRequested():
            more["position"] = floor.position(caller)
        case e.CallbackStarted():
            more["agent_id"] = next(iter(caller.offered), "")
        case _:
            pass
    return more
