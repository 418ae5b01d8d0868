"""`ports.PlanGate`: routing runs the tests and follows past calls."""

from collections.abc import AsyncGenerator
from typing import Any

import grpc
import grpc.aio

from carillon.routing.v1 import routing_pb2 as pb
from carillon_contracts.config import Plan
from carillon_directory.ports import ComparedCalls, GateAway, MovedCalls, RanTest, RanTests

#: For all tests: 3 s of them routing waits for the newest configuration.
TESTED_SECONDS = 300.0
#: A million calls.
COMPARED_SECONDS = 3600.0
#: Groups and calls of each that are told.
MOST_GROUPS, SAMPLES = 50, 3


class RoutingGate:
    """`routing` is a stub of RoutingService; None: routing is not reached from here."""

    def __init__(self, routing: Any | None) -> None:
        self._routing = routing

    async def run(self, tenant_id: str, plan: Plan, version: int) -> AsyncGenerator[RanTests, None]:
        """As the port says."""
        if self._routing is None:
            raise GateAway("routing's address is not set")
        test = pb.TestPlanRequest(plan_id=plan.id, config_seq=version, plan=plan.model_dump_json())
        request, so_far = pb.TestPlanWithProgressRequest(test=test), RanTests()
        told = self._routing.TestPlanWithProgress(request, timeout=TESTED_SECONDS, metadata=(("carillon-tenant", tenant_id),))
        try:
            async for each in told:
                so_far = _ran(each)
                yield so_far
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise GateAway(f"{so_far.ran} of {so_far.total} tests were run in {TESTED_SECONDS:g} s, which is the most") from error
            raise GateAway(f"{error.code().name}: {error.details()}") from error
        finally:
            told.cancel()

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


def _ran(told: pb.TestPlanWithProgressResponse) -> RanTests:
    if not told.HasField("done"):
        return RanTests(told.total, told.ran)
    results = (RanTest(each.plan_test_id, each.passed, tuple(each.reached), each.missed) for each in told.done.results)
    return RanTests(told.total, told.ran, tuple(results))


def _compared(told: pb.ComparePlanResponse) -> ComparedCalls:
    groups = [
        MovedCalls(tuple(each.now), tuple(each.draft), each.calls, tuple(sample.call_id for sample in each.samples)) for each in told.groups
    ]
    further = sum(each.calls for each in groups[MOST_GROUPS:])
    counts = (told.total, told.read, told.by_plan, told.elsewhere, told.not_followed)
    return ComparedCalls(*counts, told.done, tuple(groups[:MOST_GROUPS]), told.ungrouped + further, told.waiting)
