"""What operators do with a media node: see and lift its bans, take it out of service."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import grpc.aio

from carillon.media.v1 import node_pb2, security_pb2
from carillon.media.v1.node_pb2_grpc import NodeServiceServicer
from carillon.media.v1.security_pb2_grpc import SecurityServiceServicer
from carillon_contracts.config import User
from carillon_contracts.inherited import departments_from
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.auth import ADMIN, DEPARTMENT_ADMIN, OPERATOR, SERVICE, Principal
from carillon_kit.clock import Clock
from carillon_kit.errors import InvalidArgument, NotFound, PermissionDenied, Unavailable
from carillon_kit.grpc_server import current_principal, current_tenant
from carillon_media.domain.guard import Ban
from carillon_media.handlers.gate import Gate
from carillon_rtp.protocol import PlaneError
from carillon_rtp.values import PlaneStatistics

SECURITY = "carillon.media.v1.SecurityService"
SECURITY_RIGHTS: Mapping[str, frozenset[str]] = {
    "ListBans": frozenset({OPERATOR}),
    "LiftBan": frozenset({OPERATOR}),
    "UnlockLine": frozenset({OPERATOR, ADMIN, DEPARTMENT_ADMIN}),
}
NODE = "carillon.media.v1.NodeService"
NODE_RIGHTS: Mapping[str, frozenset[str]] = {name: frozenset({OPERATOR, SERVICE}) for name in ("GetNode", "GetMediaPlane", "Drain")}


#: Has the other nodes let SIP users try again, in somebody's name.
Tell = Callable[[Sequence[str], str], None]


class SecurityApi(SecurityServiceServicer):
    """`SecurityService`."""

    def __init__(self, gate: Gate, clock: Clock, config_of: Callable[[str], TenantConfig | None], tell: Tell) -> None:
        self._gate = gate
        self._tell = tell
        self._config_of = config_of
        self._clock = clock

    async def ListBans(
        self, request: security_pb2.ListBansRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> security_pb2.ListBansResponse:
        """Sources, then accounts; of each those that end last first."""
        sources = [security_pb2.Ban(source=ban.name, **self._facts(ban)) for ban in self._gate.bans()]
        accounts = [security_pb2.Ban(account=ban.name, **self._facts(ban)) for ban in self._gate.locks()]
        return security_pb2.ListBansResponse(bans=[*sources, *accounts])

    async def LiftBan(
        self, request: security_pb2.LiftBanRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> security_pb2.LiftBanResponse:
        """NOT_FOUND when there is none."""
        by, named = current_principal().subject, request.WhichOneof("banned")
        if named is None:
            raise InvalidArgument({"banned": "an address or an account is needed"})
        done = self._gate.lift(request.source, by) if named == "source" else self._gate.unlock(request.account, by)
        if not done:
            raise NotFound(f"ban of {request.source or request.account}")
        return security_pb2.LiftBanResponse()

    async def UnlockLine(
        self, request: security_pb2.UnlockLineRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> security_pb2.UnlockLineResponse:
        """Every credential that is the user's, or that they are a guest on; the other nodes are told."""
        config = self._config_of(current_tenant())
        user = config.users.get(request.user_id) if config is not None else None
        if config is None or user is None:
            raise NotFound(f"user {request.user_id!r}")
        check_reach(config, user, current_principal())
        own = [each.id for each in config.sip_credentials.values() if request.user_id in (each.user_id, each.home_user_id)]
        by = current_principal().subject
        self._tell(own, by)
        return security_pb2.UnlockLineResponse(accounts=[account for account in own if self._gate.unlock(account, by)])

    def _facts(self, ban: Ban) -> dict[str, Any]:
        until: datetime = self._clock.now() + timedelta(seconds=ban.until - self._clock.monotonic())
        return {"reason": ban.reason, "until": until, "offence": ban.offence}


def plane_fields(told: PlaneStatistics) -> dict[str, Any]:
    """As `GetMediaPlaneResponse` has them."""
    fields = told.to_json()
    uptime, cpu = (timedelta(milliseconds=fields.pop(name)) for name in ("uptime_ms", "cpu_ms"))
    return fields | {"uptime": uptime, "cpu": cpu, "ports_used": told.ports_total - told.ports_free}


def check_reach(config: TenantConfig, user: User, principal: Principal) -> None:
    """A department's admin lets its people try again and those of the departments below: raises `NotFound` for others,
    `PermissionDenied` for who stands above."""
    if principal.roles & {OPERATOR, ADMIN}:
        return
    if not principal.department or all(each.id != principal.department for each in departments_from(config, user.department_id)):
        raise NotFound(f"user {user.id!r}")
    equal = user.role == "department_admin" and user.department_id == principal.department
    if (user.role == "admin" or equal) and principal.subject != f"user/{user.id}":
        raise PermissionDenied(f"user {user.id!r} stands above you: their role is {user.role}")


class Drainable(Protocol):
    """A node that can be taken out of service."""

    @property
    def draining(self) -> bool: ...
    @property
    def calls(self) -> int: ...
    def drain(self) -> None: ...


class NodeApi(NodeServiceServicer):
    """`NodeService`. `end` makes the process end in order; `plane` asks the media plane, and raises PlaneError."""

    def __init__(self, name: str, node: Drainable, end: Callable[[], None], plane: Callable[[], Awaitable[PlaneStatistics]]) -> None:
        self._name = name
        self._plane = plane
        self._node = node
        self._end = end

    async def GetNode(self, request: node_pb2.GetNodeRequest, context: grpc.aio.ServicerContext[Any, Any]) -> node_pb2.GetNodeResponse:
        """Its state and how many calls it has."""
        return node_pb2.GetNodeResponse(name=self._name, state=self._state(), calls=self._node.calls)

    async def GetMediaPlane(
        self, request: node_pb2.GetMediaPlaneRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> node_pb2.GetMediaPlaneResponse:
        """Asked now."""
        try:
            told = await self._plane()
        except PlaneError as error:
            raise Unavailable(f"the media plane does not answer: {error.message}") from error
        return node_pb2.GetMediaPlaneResponse(name=self._name, **plane_fields(told))

    async def Drain(self, request: node_pb2.DrainRequest, context: grpc.aio.ServicerContext[Any, Any]) -> node_pb2.DrainResponse:
        """The answer is the node's state from now on."""
        self._node.drain()
        self._end()
        return node_pb2.DrainResponse(name=self._name, state=self._state(), calls=self._node.calls)

    def _state(self) -> str:
        return "draining" if self._node.draining else "serving"
