"""A call that is in a queue: what media does next, by what the floor says.

Always: the call itself knows since when it waits (its cursor), so that it gets its old place whatever was lost meanwhile; while the
database is away or slow it waits on with music, and what it asked for is done as soon as that can be.
"""

from typing import cast

from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_routing.domain.cursor import Cursor, QueueWait
from carillon_routing.domain.facts import Advance, CallFacts, Outcome
from carillon_routing.domain.queue_steps import QueueOver, QueuePlace, QueueSeen, Waited
from carillon_routing.domain.queue_turns import Asking, Turn, turn, wait_ends
from carillon_routing.domain.queued import queued
from carillon_routing.domain.queues import commands as c
from carillon_routing.domain.queues.decide import Refused
from carillon_routing.domain.queues.floor import Floor
from carillon_routing.handlers.floors import DATABASE_SECONDS, FloorAway, Floors, FloorsWhenUp

_log = get_logger(__name__)
#: What leaving its queue may take of media's patience with a fax machine; it goes on after that.
FAX_SECONDS = 0.1
#: How long one question of media for a signal is kept open.
AWAIT_SECONDS = 5.0


class QueueCalls:
    """Of all tenants; without floors (no database) nobody can wait."""

    def __init__(self, floors: FloorsWhenUp, clock: Clock) -> None:
        self._floors = floors
        self._clock = clock

    async def go_on(
        self, config: TenantConfig, call: CallFacts, cursor: Cursor, outcome: Outcome | Waited | None, seconds: float = DATABASE_SECONDS
    ) -> Advance | QueueOver:
        """The next step in the queue, or why the caller leaves it. `outcome` None: the caller has just come. Raises nothing.

        `seconds`: what is left for it; after that the caller waits."""
        wait = cast(QueueWait, cursor.wait)
        queue = config.queues.get(wait.queue_id)
        if not self._floors.expected or queue is None:
            return QueueOver("no_agents")
        try:
            floors = self._floors.get()
            asks = Asking(
                config,
                call,
                cursor,
                queue,
                lambda: self._clock.now().timestamp(),
                floors.calls_back,
                lambda queue: floors.busy(call.tenant_id, queue),
            )
            return await self._run(floors, call.tenant_id, turn(asks, outcome), self._clock.monotonic() + seconds)
        except FloorAway as away:
            _log.warning("a caller waits for the database", call_id=call.call_id, error=str(away))
            return queued(config, call, cursor, QueueSeen("away"))

    async def _run(self, floors: Floors, tenant: str, asked: Turn, deadline: float) -> Advance | QueueOver:
        """What is not done at the deadline goes on."""
        try:
            wanted = next(asked)
            while True:
                try:
                    floor = await floors.see_to(tenant, wanted.command, deadline - self._clock.monotonic(), then=wanted.then)
                except FloorAway:
                    if not isinstance(wanted.command, c.Leave):
                        raise
                    # Who leaves is not held up by it.
                    wanted = asked.send(floors.known(tenant) or Floor())
                except Refused as refused:
                    wanted = asked.throw(refused)
                else:
                    wanted = asked.send(floor)
        except StopIteration as over:
            said: Advance | QueueOver = over.value
            return said

    async def called_by_fax(self, call: CallFacts, queue_id: str) -> QueuePlace | None:
        """A fax machine calls, which goes to where faxes go: out of the queue that it stands in (empty: none). Raises nothing."""
        if not self._floors.expected or not queue_id:
            return None
        caller = None
        try:
            floors = self._floors.get()
            known = floors.known(call.tenant_id)
            caller = known.callers.get(call.call_id) if known is not None else None
            await floors.see_to(call.tenant_id, c.Leave(call.call_id, "fax"), FAX_SECONDS)
        except FloorAway as away:
            _log.warning("a fax machine leaves its queue later", call_id=call.call_id, error=str(away))
        if caller is None:
            return QueuePlace(queue_id, left="fax")
        return QueuePlace(caller.queue_id, left="answered" if caller.agent_id else "fax")

    async def signalled(self, call: CallFacts, wait: QueueWait) -> bool:
        """Whether the wait of the call is to end; answers when it is, or after `AWAIT_SECONDS`."""

        try:
            return await self._floors.get().until(call.tenant_id, lambda floor: wait_ends(floor, call.call_id, wait), AWAIT_SECONDS)
        except FloorAway:
            return False
