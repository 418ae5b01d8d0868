"""`QueueControlService`: the floor of the caller's tenant, and what people with the right do on it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from carillon.routing.v1 import queues_pb2 as pb
from carillon.routing.v1.queues_pb2_grpc import QueueControlServiceServicer
from carillon_contracts.rights import Asker
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.auth import ADMIN, DEPARTMENT_ADMIN, OPERATOR, USER
from carillon_kit.clock import Clock
from carillon_kit.errors import InvalidArgument, NotFound, PermissionDenied, Unavailable
from carillon_kit.grpc_server import current_principal, current_tenant
from carillon_routing.domain.disturbing import undisturbed
from carillon_routing.domain.queue_rights import agents_of, queues_of
from carillon_routing.domain.queues import commands as c
from carillon_routing.domain.queues.decide import Refused, agents_on
from carillon_routing.domain.queues.floor import AgentState, Caller, Floor
from carillon_routing.handlers.floors import FloorAway, Floors, FloorsWhenUp
from carillon_routing.projections.configuration import Configuration

SERVICE_NAME = "carillon.routing.v1.QueueControlService"
#: What each of them sees and does is `queue_rights`'.
_ROLES = frozenset({str(OPERATOR), str(ADMIN), str(DEPARTMENT_ADMIN), str(USER)})
_VERBS = ("GetQueues", "WatchQueues", "LogInAgent", "LogOutAgent", "PauseAgent", "ResumeAgent", "RankCaller", "ReleaseCaller")
RIGHTS = dict.fromkeys(_VERBS, _ROLES)
#: People can wait longer than calls.
SECONDS = 3.0
#: A watcher hears at least so often, and at most.
QUIET_SECONDS = 30.0
PACE_SECONDS = 0.25
MAX_REASON = 64


class QueueControl(QueueControlServiceServicer):
    """Without a database everything is UNAVAILABLE."""

    def __init__(self, floors: FloorsWhenUp, configuration: Configuration, clock: Clock) -> None:
        self._floors = floors
        self._configuration = configuration
        self._clock = clock

    async def GetQueues(self, request: pb.GetQueuesRequest, context: object) -> pb.GetQueuesResponse:
        """See queues.proto."""
        tenant, asker = current_tenant(), _asker()
        self._allowed(tenant, asker, request.queue_id)
        queues, agents = self._state(tenant, asker, request.queue_id, await self._read(tenant))
        return pb.GetQueuesResponse(queues=queues, agents=agents)

    async def WatchQueues(self, request: pb.WatchQueuesRequest, context: object) -> AsyncIterator[pb.WatchQueuesResponse]:
        """See queues.proto."""
        tenant, asker = current_tenant(), _asker()
        self._allowed(tenant, asker, request.queue_id)
        floors = self._alive()
        while True:
            floor = await self._read(tenant)
            self._allowed(tenant, asker, request.queue_id)
            queues, agents = self._state(tenant, asker, request.queue_id, floor)
            yield pb.WatchQueuesResponse(queues=queues, agents=agents)
            shown, since = floor, self._clock.monotonic()
            try:
                await floors.until(tenant, lambda now, shown=shown: now is not shown, QUIET_SECONDS)  # type: ignore[misc]
            except FloorAway as away:
                raise Unavailable(str(away)) from away
            await asyncio.sleep(max(0.0, since + PACE_SECONDS - self._clock.monotonic()))

    async def LogInAgent(self, request: pb.LogInAgentRequest, context: object) -> pb.LogInAgentResponse:
        """See queues.proto."""
        return pb.LogInAgentResponse(agent=await self._agent(request.agent_id, c.LogIn(request.agent_id)))

    async def LogOutAgent(self, request: pb.LogOutAgentRequest, context: object) -> pb.LogOutAgentResponse:
        """See queues.proto."""
        return pb.LogOutAgentResponse(agent=await self._agent(request.agent_id, c.LogOut(request.agent_id)))

    async def PauseAgent(self, request: pb.PauseAgentRequest, context: object) -> pb.PauseAgentResponse:
        """See queues.proto."""
        if len(request.reason) > MAX_REASON or not (request.reason or "x").isprintable():
            raise InvalidArgument({"reason": f"must be at most {MAX_REASON} printable characters"})
        return pb.PauseAgentResponse(agent=await self._agent(request.agent_id, c.Pause(request.agent_id, request.reason)))

    async def ResumeAgent(self, request: pb.ResumeAgentRequest, context: object) -> pb.ResumeAgentResponse:
        """See queues.proto."""
        return pb.ResumeAgentResponse(agent=await self._agent(request.agent_id, c.Resume(request.agent_id)))

    async def RankCaller(self, request: pb.RankCallerRequest, context: object) -> pb.RankCallerResponse:
        """See queues.proto."""
        priority = request.priority if request.HasField("priority") else None
        if priority is not None and not 0 <= priority <= 9:
            raise InvalidArgument({"priority": "must be 0 to 9"})
        if priority is None and not request.queue_id:
            raise InvalidArgument({"priority": "or queue_id must be given"})
        await self._allowed_caller(request.call_id, request.queue_id)
        await self._do(current_tenant(), c.Rank(request.call_id, priority, request.queue_id))
        return pb.RankCallerResponse()

    async def ReleaseCaller(self, request: pb.ReleaseCallerRequest, context: object) -> pb.ReleaseCallerResponse:
        """See queues.proto."""
        await self._allowed_caller(request.call_id)
        await self._do(current_tenant(), c.Remove(request.call_id))
        return pb.ReleaseCallerResponse()

    async def _agent(self, agent_id: str, command: c.Command) -> pb.AgentState:
        tenant, asker = current_tenant(), _asker()
        config = self._config(tenant)
        theirs = queues_of(config, asker)
        if agent_id in config.agents and agent_id not in agents_of(config, asker, theirs):
            raise PermissionDenied(f"agents/{agent_id} is of no queue that you see to")
        floor = await self._do(tenant, command)
        return _agent_state(config, floor, agent_id, self._clock.now().timestamp(), theirs)

    def _allowed(self, tenant: str, asker: Asker, *queue_ids: str) -> None:
        """Raises `NotFound`, and `PermissionDenied` for who sees to none of the queues, or not to these."""
        config = self._config(tenant)
        theirs = queues_of(config, asker)
        for queue_id in filter(None, queue_ids):
            if queue_id not in config.queues:
                raise NotFound(f"queues/{queue_id}")
            if queue_id not in theirs:
                raise PermissionDenied(f"you do not see to queues/{queue_id}")
        if not theirs and not asker.whole_tenant:
            raise PermissionDenied("you see to no queue")

    async def _allowed_caller(self, call_id: str, *queue_ids: str) -> None:
        """The caller waits in one of their queues, and goes to one of them. A caller who is unknown is told of by what is done next."""
        tenant, asker = current_tenant(), _asker()
        self._allowed(tenant, asker, *queue_ids)
        if asker.whole_tenant:
            return
        caller = (await self._read(tenant)).callers.get(call_id)
        if caller is not None:
            self._allowed(tenant, asker, caller.queue_id)

    def _config(self, tenant: str) -> TenantConfig:
        return self._configuration.current(tenant) or TenantConfig(tenant)

    def _alive(self) -> Floors:
        try:
            return self._floors.get()
        except FloorAway as away:
            raise Unavailable(str(away)) from away

    async def _do(self, tenant: str, command: c.Command) -> Floor:
        try:
            return await self._alive().execute(tenant, command, SECONDS)
        except Refused as refused:
            raise NotFound(str(refused)) from refused
        except FloorAway as away:
            raise Unavailable(str(away)) from away

    async def _read(self, tenant: str) -> Floor:
        try:
            return await self._alive().read(tenant, SECONDS)
        except FloorAway as away:
            raise Unavailable(str(away)) from away

    def _state(self, tenant: str, asker: Asker, queue_id: str, floor: Floor) -> tuple[list[pb.QueueState], list[pb.AgentState]]:
        config = self._config(tenant)
        theirs, now = queues_of(config, asker), self._clock.now().timestamp()
        queues = [_queue_state(floor, config, each) for each in sorted(theirs) if queue_id in ("", each)]
        agents = sorted(agents_of(config, asker, theirs) & config.agents.keys())
        return queues, [_agent_state(config, floor, each, now, theirs) for each in agents]


def _asker() -> Asker:
    """Who asks; whose token a rights profile narrows comes no further than the server."""
    principal = current_principal()
    return Asker.of(principal.roles, principal.subject, principal.department)


def _queue_state(floor: Floor, config: TenantConfig, queue_id: str) -> pb.QueueState:
    waiting = floor.waiting(queue_id)
    others = [caller for caller in floor.callers.values() if caller.queue_id == queue_id and (caller.agent_id or caller.released)]
    state = floor.queue(queue_id)
    return pb.QueueState(
        queue_id=queue_id,
        callers=[*(_caller(each, place) for place, each in enumerate(waiting, 1)), *(_caller(each, 0) for each in others)],
        waiting=len(waiting),
        agents_logged_in=agents_on(floor, config.queues[queue_id]),
        answered=state.answered,
        left=state.left,
        average_talk_seconds=round(state.average),
    )


def _caller(caller: Caller, position: int) -> pb.QueuedCaller:
    doing = "talking" if caller.agent_id else "leaving" if caller.released else "offered" if caller.offered else "waiting"
    shown = pb.QueuedCaller(
        call_id=caller.call_id,
        number=caller.number,
        position=position,
        priority=caller.priority,
        state=doing,
        agent_ids=[caller.agent_id] if caller.agent_id else caller.offered,
        callback=caller.callback,
    )
    shown.joined_at.FromMilliseconds(round(caller.joined_at * 1000))
    return shown


def _agent_state(config: TenantConfig, floor: Floor, agent_id: str, now: float, seen: frozenset[str]) -> pb.AgentState:
    """`seen`: queues whose callers are told of; a caller of another one, or of one that is gone, is nobody's business."""
    agent = floor.agents.get(agent_id) or AgentState(agent_id)
    caller = floor.callers.get(agent.call_id)
    if caller is not None:
        doing = "talking" if caller.agent_id else "offered"
    elif not agent.logged_in:
        doing = "logged_out"
    elif agent.paused:
        doing = "paused"
    elif agent.wrap_up_until > now:
        doing = "wrap_up"
    elif agent.hold_until > now:
        doing = "held_off"
    else:
        doing = "undisturbed" if _undisturbed(config, agent_id, now) else "idle"
    return pb.AgentState(
        agent_id=agent.agent_id,
        state=doing,
        pause_reason=agent.paused,
        call_id=agent.call_id if caller is not None and caller.queue_id in seen else "",
        calls=agent.calls,
        missed=agent.missed,
    )


def _undisturbed(config: TenantConfig, agent_id: str, now: float) -> bool:
    agent = config.agents.get(agent_id)
    user = config.users.get(agent.user_id) if agent is not None else None
    return user is not None and undisturbed(config, datetime.fromtimestamp(now, UTC), user)[0]
