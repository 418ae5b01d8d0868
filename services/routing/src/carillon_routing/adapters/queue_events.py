"""What happened on floors, at hunt groups and to calls that routing makes itself becomes published events: the one mapping between the two,
and the relay's publisher.

Always: each stored event is one published event with the same id and, as `seq`, its version: nothing is missing, nothing told twice.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from carillon_contracts import queue as published
from carillon_contracts.envelope import Event, EventData
from carillon_contracts.streams import (
    QUEUES,
    agent_subject,
    call_back_subject,
    emergency_notice_subject,
    hunt_group_subject,
    queue_subject,
)
from carillon_kit.bus import Bus, Outgoing
from carillon_kit.event_store import RawEvent
from carillon_routing.adapters.call_orders import EVENTS as ORDER_EVENTS
from carillon_routing.adapters.call_orders import ORDERS, Told
from carillon_routing.adapters.floor_log import PREFIX
from carillon_routing.domain.queues import events as e

SOURCE = "carillon/routing"
#: Streams of who comes and goes at a tenant's hunt groups.
HUNTING = "hunting/"
_HUNTING: dict[str, Callable[..., EventData]] = {
    "member_logged_in": published.HuntGroupMemberLoggedIn,
    "member_logged_out": published.HuntGroupMemberLoggedOut,
}


class QueuePublisher:
    """What the relay publishes with."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def __call__(self, events: Sequence[RawEvent]) -> None:
        """One by one, each acknowledged before the next. Raises for an event of a newer version of the software, which can publish it."""
        for stored in events:
            for item in outgoing(stored):
                await self._bus.publish(QUEUES.name, item.subject, item.payload, message_id=item.message_id)


def outgoing(stored: RawEvent) -> list[Outgoing]:
    """The message of a stored event; none for what is published elsewhere."""
    if stored.stream.startswith(HUNTING):
        return [_of_hunt_group(stored, stored.stream.removeprefix(HUNTING))]
    if stored.stream.startswith(ORDERS):
        return [_of_order(stored, stored.stream.removeprefix(ORDERS))]
    if stored.stream.startswith(PREFIX):
        return [_of_floor(stored, stored.stream.removeprefix(PREFIX))]
    return []


def _of_hunt_group(stored: RawEvent, tenant: str) -> Outgoing:
    about = stored.data
    data, group = _HUNTING[stored.type](**about), about["hunt_group_id"]
    return _message(stored, hunt_group_subject(tenant, group, data.fact()), data, f"hunt_groups/{group}", tenant, stored.at)


def _of_order(stored: RawEvent, tenant: str) -> Outgoing:
    told = Told.model_validate(stored.data)
    data = ORDER_EVENTS[stored.type].model_validate(stored.data)
    if told.call_back_id:
        subject, about = call_back_subject(tenant, told.call_back_id, data.fact()), f"call_backs/{told.call_back_id}"
    else:
        subject, about = emergency_notice_subject(tenant, told.notice_id, data.fact()), f"emergency_notices/{told.notice_id}"
    return _message(stored, subject, data, about, tenant, stored.at, told.call_id)


def _of_floor(stored: RawEvent, tenant: str) -> Outgoing:
    event = e.EVENTS[stored.type].model_validate(stored.data)
    at = datetime.fromtimestamp(event.at, UTC)
    data = _data(event)
    if isinstance(event, e.CallerEvent):
        # Events of an older version did not say which queue.
        queue_id = event.queue_id or "_"
        leg_id = event.leg_id if isinstance(event, e.LegKnown) else None
        return _message(stored, queue_subject(tenant, queue_id, data.fact()), data, event.call_id, tenant, at, event.call_id, leg_id)
    if isinstance(event, e.AgentEvent):
        return _message(stored, agent_subject(tenant, event.agent_id, data.fact()), data, f"agents/{event.agent_id}", tenant, at)
    raise ValueError(f"{type(event).__name__} is of nobody")


def _data(event: e.FloorEvent) -> EventData:
    match event:
        case e.CallerJoined(queue_id=queue_id):
            return published.QueueCallerJoined(
                queue_id=queue_id,
                caller=event.number,
                position=event.position,
                priority=event.priority,
                joined_at=_time(event.joined_at),
                skills=event.skills,
                skills_for=event.skills_for,
            )
        case e.AgentsOffered(queue_id=queue_id):
            return published.QueueAgentsOffered(queue_id=queue_id, agent_ids=event.agent_ids)
        case e.RingBegan(queue_id=queue_id):
            return published.QueueAgentsRung(queue_id=queue_id, agent_ids=event.agent_ids)
        case e.OfferFailed(queue_id=queue_id):
            return published.QueueOfferMissed(queue_id=queue_id, results=event.results)
        case e.OfferLapsed(queue_id=queue_id):
            return published.QueueOfferLapsed(queue_id=queue_id, agent_ids=event.agent_ids)
        case e.AgentConnected(queue_id=queue_id):
            return published.QueueAgentConnected(queue_id=queue_id, agent_id=event.agent_id, waited_seconds=event.waited_seconds)
        case e.LegKnown(queue_id=queue_id):
            return published.QueueTalkBegan(queue_id=queue_id, agent_id=event.agent_id)
        case e.AgentReleased(queue_id=queue_id):
            until = _time(event.wrap_up_until)
            return published.QueueAgentReleased(queue_id=queue_id, agent_id=event.agent_id, wrap_up_until=until)
        case e.CallerReleased(queue_id=queue_id):
            return published.QueueCallerReleased(queue_id=queue_id, reason=event.reason)
        case e.CallerLeft(queue_id=queue_id):
            return published.QueueCallerLeft(
                queue_id=queue_id, reason=event.reason, position=event.position, waited_seconds=event.waited_seconds
            )
        case e.CallerRanked(queue_id=queue_id):
            return published.QueueCallerRanked(
                queue_id=queue_id, from_queue_id=event.from_queue_id, priority=event.priority, position=event.position
            )
        case e.CallbackRequested(queue_id=queue_id):
            return published.QueueCallbackRequested(queue_id=queue_id, number=event.number, position=event.position)
        case e.CallbackStarted(queue_id=queue_id):
            return published.QueueCallbackStarted(queue_id=queue_id, via_call_id=event.via, agent_id=event.agent_id)
        case e.AgentLoggedIn():
            return published.AgentLoggedIn(agent_id=event.agent_id)
        case e.AgentLoggedOut():
            return published.AgentLoggedOut(agent_id=event.agent_id)
        case e.AgentPaused():
            return published.AgentPaused(agent_id=event.agent_id, reason=event.reason)
        case e.AgentResumed():
            return published.AgentResumed(agent_id=event.agent_id)
        case _:
            raise ValueError(f"{type(event).__name__} is published as nothing")


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _message(
    stored: RawEvent,
    subject: str,
    data: EventData,
    about: str,
    tenant: str,
    at: datetime,
    call_id: str | None = None,
    leg_id: str | None = None,
) -> Outgoing:
    more: dict[str, Any] = {} if leg_id is None else {"legid": leg_id}
    event = Event(
        id=UUID(str(stored.event_id)),
        source=SOURCE,
        type=f"carillon.{data.TYPE}",
        subject=about,
        time=at,
        data=data.model_dump(mode="json"),
        tenantid=tenant,
        callid=call_id,
        seq=stored.version,
        **more,
    )
    return Outgoing(subject, event.to_json(), str(event.id))
