"""What media tells others by gRPC about trunks: registrations and servers as this node sees them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import grpc.aio

from carillon.media.v1 import media_pb2 as pb
from carillon.media.v1.media_pb2_grpc import TrunkStateServiceServicer
from carillon_kit import pages
from carillon_kit.auth import ADMIN, OPERATOR, SERVICE
from carillon_kit.clock import Clock
from carillon_kit.grpc_server import current_tenant
from carillon_media.handlers.trunks import ServerState, Trunks, TrunkState

TRUNK_STATES = "carillon.media.v1.TrunkStateService"
TRUNK_STATE_RIGHTS: Mapping[str, frozenset[str]] = {"ListTrunkStates": frozenset({ADMIN, OPERATOR, SERVICE})}


class TrunkStateApi(TrunkStateServiceServicer):
    """`TrunkStateService`."""

    def __init__(self, trunks: Trunks, clock: Clock) -> None:
        self._trunks = trunks
        self._clock = clock

    async def ListTrunkStates(
        self, request: pb.ListTrunkStatesRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListTrunkStatesResponse:
        """By id."""
        states = self._trunks.states(current_tenant())
        page, token = pages.cut(states, lambda state: state.line.trunk.id, request.page_size, request.page_token)
        return pb.ListTrunkStatesResponse(trunks=[self._message(state) for state in page], next_page_token=token)

    def _message(self, state: TrunkState) -> pb.TrunkState:
        registration = state.registration
        message = pb.TrunkState(
            trunk_id=state.line.trunk.id,
            registration=registration.state if registration is not None else "off",
            reason=state.line.fault,
            calls=state.calls,
            usable=state.usable,
            servers=[_server(server) for server in state.servers],
        )
        if registration is not None:
            message.reason = registration.reason
            message.sip_status = registration.sip_status
            now, monotonic = self._clock.now(), self._clock.monotonic()
            if registration.state == "registered":
                message.expires_at.FromDatetime(now + timedelta(seconds=registration.expires_at - monotonic))
            message.next_attempt_at.FromDatetime(now + timedelta(seconds=max(0.0, registration.next_at - monotonic)))
        return message


def _server(state: ServerState) -> pb.TrunkServerState:
    message = pb.TrunkServerState(address=state.address, state=state.health.state)
    if state.since is not None:
        message.since.FromDatetime(state.since)
    return message
