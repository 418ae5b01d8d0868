"""The call's way through queues, from what decisions say of its place (`details["queues"]`) and from what became of ringing the agents."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from carillon_contracts.queue import agents_of
from carillon_contracts.record import RecordOffer, RecordQueue


def placed(queues: list[RecordQueue], at: datetime, details: Mapping[str, Any]) -> None:
    """A decision: the call came into a queue, stands in it or left it. What makes no sense changes nothing."""
    places = details.get("queues")
    for place in places if isinstance(places, list) else ():
        if isinstance(place, dict) and isinstance(place.get("queue_id"), str):
            _placed(queues, at, place)


def _placed(queues: list[RecordQueue], at: datetime, place: Mapping[str, Any]) -> None:
    queue_id, reason = place["queue_id"], str(place.get("left", ""))
    if not _stands_in(queues) or (queues[-1].queue_id != queue_id and not reason):
        left(queues, at, "moved")
        position, priority = _number(place, "position"), _number(place, "priority")
        queues.append(RecordQueue(queue_id=queue_id, entered_at=at, position=position, priority=priority))
    if reason:
        left(queues, at, reason)


def rang(queues: list[RecordQueue], began: datetime, at: datetime, results: Mapping[str, str]) -> None:
    """A ring step is over that began then."""
    agents = agents_of(results)
    if not agents or not _stands_in(queues):
        return
    now = queues[-1]
    offers = (RecordOffer(at=began, agent_id=agent_id, result=result) for agent_id, result in agents.items())
    answered = next((agent_id for agent_id, result in agents.items() if result == "answered"), "")
    found: dict[str, Any] = {"offers": (*now.offers, *offers)}
    if answered:
        found |= {"answered_by": answered, "answered_at": at, "waited_seconds": (at - now.entered_at).total_seconds()}
    queues[-1] = now.model_copy(update=found)


def left(queues: list[RecordQueue], at: datetime, reason: str) -> None:
    """The call is in no queue any more."""
    if _stands_in(queues):
        now = queues[-1]
        waited = now.waited_seconds if now.answered_at else (at - now.entered_at).total_seconds()
        queues[-1] = now.model_copy(update={"left_at": at, "left_reason": reason, "waited_seconds": waited})


def over(queues: list[RecordQueue], at: datetime, rung: Iterable[str], began: datetime) -> None:
    """The call has ended, while it rang these targets (none: while it did not)."""
    rang(queues, began, at, dict.fromkeys(rung, "given_up"))
    left(queues, at, "answered" if queues and queues[-1].answered_at else "abandoned")


def _stands_in(queues: list[RecordQueue]) -> bool:
    return bool(queues) and not queues[-1].left_reason


def _number(place: Mapping[str, Any], name: str) -> int:
    value = place.get(name, 0)
    return value if isinstance(value, int) else 0
