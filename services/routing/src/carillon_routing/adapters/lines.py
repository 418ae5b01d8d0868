"""How trunks stand, by media's `ListTrunkStates`."""

from collections.abc import Mapping
from typing import Any

import grpc.aio

from carillon.media.v1 import media_pb2 as pb
from carillon_kit.auth import ADMIN
from carillon_kit.logs import get_logger
from carillon_routing.adapters.peers import Sign, signed

_log = get_logger(__name__)
#: Less than what a decision of a call may wait for.
DEADLINE = 0.15


class TrunkLines:
    """`ports.Lines`; `states` is a stub of TrunkStateService."""

    def __init__(self, states: Any, sign: Sign) -> None:
        self._states = states
        self._sign = sign

    async def __call__(self, tenant: str) -> Mapping[str, tuple[int, bool]] | None:
        """As the port says."""
        metadata = signed(self._sign, "routing", tenant, ADMIN)
        try:
            found = await self._states.ListTrunkStates(pb.ListTrunkStatesRequest(), timeout=DEADLINE, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            _log.warning("media does not say how trunks stand", tenant=tenant, code=error.code().name, details=error.details())
            return None
        return {trunk.trunk_id: (trunk.calls, trunk.usable) for trunk in found.trunks}
