"""`ports.PlanGate`: routing runs the tests."""

from typing import Any

import grpc
import grpc.aio

from carillon.routing.v1 import routing_pb2 as pb
from carillon_contracts.config import Plan
from carillon_directory.ports import GateAway, RanTest

#: Routing waits up to 3 s of them for the newest configuration.
DEADLINE = 8.0


class RoutingGate:
    """`routing` is a stub of RoutingService; None: routing is not reached from here."""

    def __init__(self, routing: Any | None) -> None:
        self._routing = routing

    async def run(self, tenant_id: str, plan: Plan, version: int) -> tuple[RanTest, ...]:
        """As the port says."""
        if self._routing is None:
            raise GateAway("routing's address is not set")
        request = pb.TestPlanRequest(plan_id=plan.id, config_seq=version, plan=plan.model_dump_json())
        try:
            answer = await self._routing.TestPlan(request, timeout=DEADLINE, metadata=(("carillon-tenant", tenant_id),))
        except grpc.aio.AioRpcError as error:
            raise GateAway(f"{error.code().name}: {error.details()}") from error
        return tuple(RanTest(each.plan_test_id, each.passed, tuple(each.reached)) for each in answer.results)
