"""What media tells others by gRPC: live calls and registrations of the caller's tenant."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import grpc.aio

from carillon.media.v1 import media_pb2 as pb
from carillon.media.v1.media_pb2_grpc import LiveCallServiceServicer, RegistrationServiceServicer
from carillon_kit.auth import ADMIN, DEPARTMENT_ADMIN, OPERATOR, SERVICE, USER
from carillon_kit.grpc_server import current_tenant
from carillon_media.domain.state import CALLER, Parked
from carillon_media.grpc_access import LiveAccess
from carillon_media.handlers.actor import CallActor
from carillon_media.handlers.registrar import Device, Registrar, source_of
from carillon_media.handlers.switchboard import Switchboard
from carillon_media.handlers.watching import Watching

_READERS = frozenset({ADMIN, OPERATOR, SERVICE})
LIVE_CALLS = "carillon.media.v1.LiveCallService"
LIVE_CALL_RIGHTS: Mapping[str, frozenset[str]] = {"ListLiveCalls": _READERS | {DEPARTMENT_ADMIN, USER}}
REGISTRATIONS = "carillon.media.v1.RegistrationService"
REGISTRATION_RIGHTS: Mapping[str, frozenset[str]] = {"ListRegistrations": _READERS}


class LiveCallApi(LiveCallServiceServicer):
    """`LiveCallService`."""

    def __init__(self, board: Switchboard, access: LiveAccess) -> None:
        self._board = board
        self._access = access

    async def ListLiveCalls(
        self, request: pb.ListLiveCallsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListLiveCallsResponse:
        """Those that the caller sees; in no order: `grpc_any_node` puts those of all nodes in one."""
        reached = self._access.reached()
        calls = [live_call(actor) for actor in self._board.calls.values() if self._access.sees(reached, actor)]
        return pb.ListLiveCallsResponse(calls=calls)


class RegistrationApi(RegistrationServiceServicer):
    """`RegistrationService`."""

    def __init__(self, registrar: Registrar, watching: Watching, node: str) -> None:
        self._registrar = registrar
        self._watching = watching
        self._node = node

    async def ListRegistrations(
        self, request: pb.ListRegistrationsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListRegistrationsResponse:
        """In no order; `grpc_any_node` puts those of all nodes in one."""
        tenant = current_tenant() or ""
        devices = self._registrar.devices(tenant, request.user_id)
        departed = self._registrar.departed(tenant, request.user_id)
        users = {device.user_id for device in (*devices, *departed)}
        watchers = {user_id: self._watching.watchers_of(tenant, user_id) for user_id in users}
        notices = self._watching.message_notices

        def listed(found: Iterable[Device]) -> list[pb.Registration]:
            return [registration(device, self._node, watchers[device.user_id], notices.get(device.sip_user, 0)) for device in found]

        return pb.ListRegistrationsResponse(registrations=listed(devices), departed=listed(departed))


def live_call(actor: CallActor) -> pb.LiveCall:
    """A call as it is now."""
    call, state = actor.call, actor.call.state
    message = pb.LiveCall(
        call_id=call.facts.call_id,
        caller=call.facts.caller,
        dialled=call.facts.dialled,
        state=call.doing,
        answered_by=state.answered_by,
        slot=state.phase.slot if isinstance(state.phase, Parked) else "",
        node=call.facts.node,
    )
    message.started_at.FromDatetime(call.facts.started_at)
    if actor.answered_at is not None and CALLER in call.legs:
        message.answered_at.FromDatetime(actor.answered_at)
    for leg in call.legs.values():
        if leg.state != "ended":
            message.legs.add(leg_id=leg.leg_id, party=leg.party, state="held" if leg.held else leg.state)
    return message


def registration(device: Device, here: str, watched_by: Sequence[str], message_notices: int) -> pb.Registration:
    """A device as it is registered; `here` is the name of this node."""
    message = pb.Registration(
        user_id=device.user_id,
        sip_user=device.sip_user,
        contact=device.binding.contact,
        user_agent=device.binding.user_agent,
        source=source_of(device.binding.flow),
        node=device.node or here,
        watched_by=watched_by,
        message_notices=message_notices,
    )
    message.registered_at.FromDatetime(device.registered_at)
    message.expires_at.FromDatetime(device.expires_at)
    message.last_heard_at.FromDatetime(device.heard_at)
    if device.left_at is not None:
        message.left_at.FromDatetime(device.left_at)
    return message
