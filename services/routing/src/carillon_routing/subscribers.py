"""What call events say of the queues: who answered, whose part is over, which call has ended.

Always: an event of a call that is on no floor costs nothing but a look-up; one that comes twice changes nothing. What other replicas
wrote is read once a batch: a call comes on a floor before the events that follow from it.
"""

import orjson

from carillon_contracts.queue import agents_of
from carillon_contracts.streams import CALLS
from carillon_kit.bus import ConsumerSpec, Delivered, Retry
from carillon_routing.domain.queues import commands as c
from carillon_routing.handlers.floors import FloorAway, Floors

FACTS = ("ring_ended", "bridged", "leg_ended", "ended")
CONSUMER = ConsumerSpec(
    stream=CALLS.name,
    durable="routing-queues",
    subject=tuple(f"carillon.*.call.*.{fact}" for fact in FACTS),
    max_ack_pending=512,
    linger=0.01,
)


class CallSubscriber:
    """Tells the floors."""

    def __init__(self, floors: Floors) -> None:
        self._floors = floors

    async def handle(self, messages: list[Delivered]) -> None:
        """Raises `Retry` while the database is away, ValueError or KeyError for what is no event of a call."""
        looked: set[str] = set()
        try:
            for message in messages:
                await self._one(message, looked)
        except FloorAway as away:
            raise Retry(1.0) from away

    async def _one(self, message: Delivered, looked: set[str]) -> None:
        """`looked`: tenants whose floor was read since the messages came."""
        _, tenant, _, call_id, fact = message.subject.split(".")
        floor = self._floors.known(tenant)
        if floor is None or (floor.of_call(call_id) is None and tenant not in looked):
            floor = await self._floors.read(tenant, 2.0)
            looked.add(tenant)
        if floor.of_call(call_id) is None:
            return
        event = orjson.loads(message.data)
        for command in _commands(fact, call_id, event):
            await self._floors.execute(tenant, command, 2.0)


def _commands(fact: str, call_id: str, event: dict[str, object]) -> list[c.Command]:
    data = event.get("data")
    if not isinstance(data, dict):
        raise ValueError(f"no data in {fact} of call {call_id}")
    match fact:
        case "ring_ended":
            agents = agents_of(data.get("targets", {}))
            return [c.AgentAnswered(call_id, agent_id) for agent_id, result in agents.items() if result == "answered"]
        case "bridged":
            return [c.Bridged(call_id, data["legs"][1])]
        case "leg_ended":
            return [c.LegOver(call_id, str(event.get("legid", "")))]
        case _:
            return [c.CallOver(call_id)]
