"""A call that is in a queue: what media does next, by what the floor says.

Always: the call itself knows since when it waits (its cursor), so that it gets its old place whatever was lost meanwhile; while the
database is away it waits on with music.
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
from carillon_routing.handlers.floors import FloorAway, Floors, FloorsWhenUp

_log = get_logger(__name__)
#: What the look for a fax machine's queue may take of media's patience.
FAX_SECONDS = 0.1
#: How long one question of media for a signal is kept open.
AWAIT_SECONDS = 5.0


class QueueCalls:
    """Of all tenants; without floors (no database) nobody can wait."""

    def __init__(self, floors: FloorsWhenUp, clock: Clock) -> None:
        self._floors = floors
        self._clock = clock

    async def go_on(self, config: TenantConfig, call: CallFacts, cursor: Cursor, outcome: Outcome | Waited | None) -> Advance | QueueOver:
        """The next step in the queue, or why the caller leaves it. `outcome` None: the caller has just come. Raises nothing."""
        wait = cast(QueueWait, cursor.wait)
        queue = config.queues.get(wait.queue_id)
        if not self._floors.expected or queue is None:
            return QueueOver("no_agents")
        try:
            floors = self._floors.get()
            asks = Asking(config, call, cursor, queue, lambda: self._clock.now().timestamp(), floors.calls_back)
            return await self._run(floors, call.tenant_id, turn(asks, outcome))
        except FloorAway as away:
            _log.warning("a caller waits for the database", call_id=call.call_id, error=str(away))
            return queued(config, call, cursor, QueueSeen("away"))

    async def _run(self, floors: Floors, tenant: str, asked: Turn) -> Advance | QueueOver:
        try:
            wanted = next(asked)
            while True:
                try:
                    floor = await floors.execute(tenant, wanted.command, then=wanted.then)
                except Refused as refused:
                    wanted = asked.throw(refused)
                else:
                    wanted = asked.send(floor)
        except StopIteration as over:
            said: Advance | QueueOver = over.value
            return said

    async def called_by_fax(self, call: CallFacts) -> QueuePlace | None:
        """A fax machine calls, which goes to where faxes go: out of the queue that it waits in, if it does. Raises nothing."""
        if not self._floors.expected:
            return None
        try:
            floors = self._floors.get()
            caller = (await floors.read(call.tenant_id, FAX_SECONDS)).callers.get(call.call_id)
            if caller is None:
                return None
            reason = "answered" if caller.agent_id else "fax"
            await floors.execute(call.tenant_id, c.Leave(call.call_id, reason))
        except FloorAway as away:
            _log.warning("a fax machine stays in its queue until it is missed there", call_id=call.call_id, error=str(away))
            return None
        return QueuePlace(caller.queue_id, left=reason)

    async def signalled(self, call: CallFacts, wait: QueueWait) -> bool:
        """Whether the wait of the call is to end; answers when it is, or after `AWAIT_SECONDS`."""

        try:
            return await self._floors.get().until(call.tenant_id, lambda floor: wait_ends(floor, call.call_id, wait), AWAIT_SECONDS)
        except FloorAway:
            return False
