"""`ports.PlanGate`: routing runs the tests and follows past calls."""

from collections.abc import AsyncGenerator
from typing import Any

import grpc
import grpc.aio

from carillon.routing.v1 import routing_pb2 as pb
from carillon_contracts.config import Plan
from carillon_directory.ports import ComparedCalls, GateAway, MovedCalls, RanTest

#: Routing waits up to 3 s of them for the newest configuration.
DEADLINE = 8.0
#: A million calls.
COMPARED_SECONDS = 3600.0
#: Groups and calls of each that are told.
MOST_GROUPS, SAMPLES = 50, 3


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
        return tuple(RanTest(each.plan_test_id, each.passed, tuple(each.reached), each.missed) for each in answer.results)

    async def compare(self, tenant_id: str, plan: Plan, version: int, max_calls: int) -> AsyncGenerator[ComparedCalls, None]:
        """As the port says."""
        if self._routing is None:
            raise GateAway("routing's address is not set")
        request = pb.ComparePlanRequest(config_seq=version, plan=plan.model_dump_json(), max_calls=max_calls, samples=SAMPLES)
        told = self._routing.ComparePlan(request, timeout=COMPARED_SECONDS, metadata=(("carillon-tenant", tenant_id),))
        try:
            async for each in told:
                yield _compared(each)
        except grpc.aio.AioRpcError as error:
            raise GateAway(f"{error.code().name}: {error.details()}") from error
        finally:
            told.cancel()


def _compared(told: pb.ComparePlanResponse) -> ComparedCalls:
    groups = [
        MovedCalls(tuple(each.now), tuple(each.draft), each.calls, tuple(sample.call_id for sample in each.samples)) for each in told.groups
    ]
    further = sum(each.calls for each in groups[MOST_GROUPS:])
    counts = (told.total, told.read, told.by_plan, told.elsewhere, told.not_followed)
    return ComparedCalls(*counts, told.done, tuple(groups[:MOST_GROUPS]), told.ungrouped + further)
