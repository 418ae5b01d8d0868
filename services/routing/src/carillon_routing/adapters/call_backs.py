"""Calls by media's `OriginateCall`: a user's phones ring, then a number is called with the user's rights; or another phone rings alone."""

from collections.abc import Mapping
from typing import Any

import grpc
import grpc.aio

from carillon.media.v1 import call_control_pb2 as pb
from carillon_kit.auth import ADMIN, SERVICE
from carillon_kit.logs import get_logger
from carillon_routing.adapters.peers import Sign, signed

_log = get_logger(__name__)
DEADLINE = 2.0
SUBJECT = "queues"
#: What such a call shows as dialled.
NOTICE = "emergency-notice"


class CallBacks:
    """`ports.CallMaker`; `calls` is a stub of CallControlService."""

    def __init__(self, calls: Any, sign: Sign) -> None:
        self._calls = calls
        self._sign = sign

    async def __call__(self, tenant: str, user_id: str, number: str, ring_seconds: int, call_id: str) -> bool:
        """As the port says. When media does not answer in time the call may be on its way: then its events tell."""
        request = pb.OriginateCallRequest(user_id=user_id, destination=number, ring_seconds=ring_seconds, call_id=call_id)
        return await self._make(tenant, request, ADMIN)

    async def tell(self, tenant: str, phone: str, arguments: Mapping[str, str], ring_seconds: int, call_id: str) -> bool:
        """As the port says."""
        request = pb.OriginateCallRequest(
            phone=phone, destination=NOTICE, ring_seconds=ring_seconds, call_id=call_id, arguments=dict(arguments)
        )
        return await self._make(tenant, request, SERVICE)

    async def _make(self, tenant: str, request: pb.OriginateCallRequest, role: str) -> bool:
        metadata = signed(self._sign, SUBJECT, tenant, role)
        try:
            await self._calls.OriginateCall(request, timeout=DEADLINE, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            who = request.user_id or request.phone
            _log.warning("a call was not made", tenant=tenant, who=who, code=error.code().name, details=error.details())
            return error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        return True
