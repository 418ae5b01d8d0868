"""What call events say: facts for `postgres_facts`, and of the queues who answered, whose part is over, which call has ended.

Always: an event of a call that is on no floor costs nothing but a look-up; one that comes twice changes nothing. What other replicas
wrote is read once a batch: a call comes on a floor before the events that follow from it. That a call has ended is written down before the
floors are looked at, so that who comes on a floor at this moment is either seen there or refused (`floor_log`).
"""

import asyncio

import orjson

from carillon_contracts.queue import agents_of
from carillon_contracts.streams import CALLS
from carillon_kit.bus import Bus, ConsumerSpec, Delivered, Retry
from carillon_routing.adapters.call_facts import FACTS as KEPT
from carillon_routing.adapters.call_facts import CallFactsWriter
from carillon_routing.domain.queues import commands as c
from carillon_routing.handlers.floors import FloorAway, Floors

FACTS = ("ring_ended", "bridged", "leg_ended", "ended")
#: Events wait for more of their kind for as long as their publisher did: a transaction of many costs little more than one of one.
CONSUMER = ConsumerSpec(
    stream=CALLS.name,
    # The name of older versions, so that it goes on where they were.
    durable="routing-facts",
    subject=tuple(f"carillon.*.call.*.{fact}" for fact in dict.fromkeys((*KEPT, *FACTS))),
    max_ack_pending=512,
    linger=0.02,
)
#: Consumers of older versions.
_FORMER = ("routing-queues", "routing-calls")
_LOOK_SECONDS = 60.0


async def retire_former(bus: Bus) -> None:
    """Delete what older versions read with, once none of their replicas does any more."""
    for durable in _FORMER:
        while True:
            if await bus.retire(CALLS.name, durable):
                break
            await asyncio.sleep(_LOOK_SECONDS)


class CallSubscriber:
    """Has the facts written down, then tells the floors."""

    def __init__(self, floors: Floors, facts: CallFactsWriter) -> None:
        self._floors = floors
        self._facts = facts

    async def handle(self, messages: list[Delivered]) -> None:
        """Raises `Retry` while the database is away, ValueError or KeyError for what is no event of a call."""
        if kept := [message for message in messages if _fact(message) in KEPT]:
            await self._facts.handle(kept)
        looked: set[str] = set()
        try:
            for message in messages:
                if _fact(message) in FACTS:
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


def _fact(message: Delivered) -> str:
    return message.subject.rsplit(".", 1)[1]


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
