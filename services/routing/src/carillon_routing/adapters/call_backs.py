"""Calls back by media's `OriginateCall`: the agent's phones ring, then the caller is called with the agent's rights."""

from typing import Any

import grpc
import grpc.aio

from carillon.media.v1 import call_control_pb2 as pb
from carillon_kit.auth import ADMIN
from carillon_kit.logs import get_logger
from carillon_routing.adapters.peers import Sign, signed

_log = get_logger(__name__)
DEADLINE = 2.0
SUBJECT = "queues"


class CallBacks:
    """`ports.CallBack`; `calls` is a stub of CallControlService."""

    def __init__(self, calls: Any, sign: Sign) -> None:
        self._calls = calls
        self._sign = sign

    async def __call__(self, tenant: str, user_id: str, number: str, ring_seconds: int, call_id: str) -> bool:
        """As the port says. When media does not answer in time the call may be on its way: then its events tell."""
        request = pb.OriginateCallRequest(user_id=user_id, destination=number, ring_seconds=ring_seconds, call_id=call_id)
        metadata = signed(self._sign, SUBJECT, tenant, ADMIN)
        try:
            await self._calls.OriginateCall(request, timeout=DEADLINE, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            _log.warning("a caller was not called back", tenant=tenant, user_id=user_id, code=error.code().name, details=error.details())
            return error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        return True
