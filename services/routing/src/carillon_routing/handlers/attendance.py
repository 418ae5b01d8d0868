"""What agents dial to begin, end or interrupt their work, carried out: at hunt groups and on the floor of the queues."""

import asyncio

from carillon_kit.logs import get_logger
from carillon_routing.domain.asks import Attend
from carillon_routing.domain.queues import commands as c
from carillon_routing.domain.queues.decide import Refused
from carillon_routing.handlers.floors import FloorAway, FloorsWhenUp
from carillon_routing.ports import Attendance, AttendanceAway

_log = get_logger(__name__)
#: What each part of it may take: media waits 300 ms for a decision.
DATABASE_SECONDS = 0.2


class Attendances:
    """Of all tenants."""

    def __init__(self, floors: FloorsWhenUp, groups: Attendance) -> None:
        self._floors = floors
        self._groups = groups

    async def attend(self, tenant: str, asked: Attend) -> bool | None:
        """True: all of it is kept; None: not all of it, and the same again is needed."""
        try:
            async with asyncio.TaskGroup() as tasks:
                if asked.hunt_group_ids:
                    tasks.create_task(self._member(tenant, asked))
                for agent_id in asked.agent_ids:
                    tasks.create_task(self._agent(tenant, agent_id, asked))
        except* (FloorAway, AttendanceAway, Refused) as away:
            _log.warning("an agent's code was not carried out", user_id=asked.user_id, error=str(away.exceptions[0]))
        else:
            return True
        return None

    async def _member(self, tenant: str, asked: Attend) -> None:
        there = asked.attending == "log_in"
        await self._groups.record(tenant, asked.user_id, asked.hunt_group_ids, logged_in=there, seconds=DATABASE_SECONDS)

    async def _agent(self, tenant: str, agent_id: str, asked: Attend) -> None:
        floors = self._floors.get()
        match asked.attending:
            case "log_in":
                await floors.execute(tenant, c.LogIn(agent_id), DATABASE_SECONDS)
                await floors.execute(tenant, c.Resume(agent_id), DATABASE_SECONDS)
            case "log_out":
                await floors.execute(tenant, c.LogOut(agent_id), DATABASE_SECONDS)
            case "pause":
                await floors.execute(tenant, c.Pause(agent_id, ""), DATABASE_SECONDS)
