"""`HuntGroupControlService`: who is logged in at the hunt groups of the caller's tenant."""

from datetime import datetime

from carillon.routing.v1 import hunt_groups_pb2 as pb
from carillon.routing.v1.hunt_groups_pb2_grpc import HuntGroupControlServiceServicer
from carillon_contracts.config import HuntGroup
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.auth import ADMIN, OPERATOR
from carillon_kit.errors import InvalidArgument, NotFound, Unavailable
from carillon_kit.grpc_server import current_tenant
from carillon_routing.domain.attendance import log_in_groups
from carillon_routing.ports import Attendance, AttendanceAway
from carillon_routing.projections.configuration import Configuration

SERVICE_NAME = "carillon.routing.v1.HuntGroupControlService"
RIGHTS = dict.fromkeys(("GetHuntGroups", "LogInMember", "LogOutMember"), frozenset({str(OPERATOR), str(ADMIN)}))
#: People can wait longer than calls.
SECONDS = 3.0
_Seen = dict[tuple[str, str], tuple[bool, datetime]]


class HuntGroupControl(HuntGroupControlServiceServicer):
    """Without a database everything is UNAVAILABLE."""

    def __init__(self, attendance: Attendance, configuration: Configuration) -> None:
        self._attendance = attendance
        self._configuration = configuration

    async def GetHuntGroups(self, request: pb.GetHuntGroupsRequest, context: object) -> pb.GetHuntGroupsResponse:
        """See hunt_groups.proto."""
        config = self._config()
        if request.hunt_group_id and request.hunt_group_id not in config.hunt_groups:
            raise NotFound(f"hunt_groups/{request.hunt_group_id}")
        wanted = (request.hunt_group_id,) if request.hunt_group_id else tuple(sorted(config.hunt_groups))
        return pb.GetHuntGroupsResponse(hunt_groups=await self._states(config, wanted))

    async def LogInMember(self, request: pb.LogInMemberRequest, context: object) -> pb.LogInMemberResponse:
        """See hunt_groups.proto."""
        return pb.LogInMemberResponse(hunt_groups=await self._set(request.user_id, request.hunt_group_id, logged_in=True))

    async def LogOutMember(self, request: pb.LogOutMemberRequest, context: object) -> pb.LogOutMemberResponse:
        """See hunt_groups.proto."""
        return pb.LogOutMemberResponse(hunt_groups=await self._set(request.user_id, request.hunt_group_id, logged_in=False))

    async def _set(self, user_id: str, group_id: str, *, logged_in: bool) -> list[pb.HuntGroupState]:
        config = self._config()
        if user_id not in config.users:
            raise NotFound(f"users/{user_id}")
        if group_id and group_id not in config.hunt_groups:
            raise NotFound(f"hunt_groups/{group_id}")
        groups = log_in_groups(config, user_id, group_id or None)
        if not groups:
            raise InvalidArgument({"user_id": "logs in and out " + (f"nowhere in {group_id}" if group_id else "at no hunt group")})
        try:
            await self._attendance.record(config.tenant_id, user_id, groups, logged_in=logged_in, seconds=SECONDS)
        except AttendanceAway as away:
            raise Unavailable(str(away)) from away
        return await self._states(config, groups)

    def _config(self) -> TenantConfig:
        tenant = current_tenant()
        return self._configuration.current(tenant) or TenantConfig(tenant)

    async def _states(self, config: TenantConfig, groups: tuple[str, ...]) -> list[pb.HuntGroupState]:
        try:
            seen = await self._attendance.read(config.tenant_id, SECONDS)
        except AttendanceAway as away:
            raise Unavailable(str(away)) from away
        return [_state(config.hunt_groups[each], seen) for each in groups]


def _state(group: HuntGroup, seen: _Seen) -> pb.HuntGroupState:
    state = pb.HuntGroupState(hunt_group_id=group.id)
    for member in group.members:
        logged_in, changed_at = seen.get((group.id, member.user_id), (False, None))
        shown = state.members.add(user_id=member.user_id, logged_in=logged_in or member.permanent, permanent=member.permanent)
        if changed_at is not None and not member.permanent:
            shown.changed_at.FromDatetime(changed_at)
    return state
