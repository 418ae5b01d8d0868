"""`RoutingService`: what would become of a call, and whether a plan passes its tests."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from math import inf

from pydantic import ValidationError

from carillon.routing.v1 import routing_pb2 as pb
from carillon.routing.v1.routing_pb2_grpc import RoutingServiceServicer
from carillon_contracts.config import Plan
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.auth import ADMIN, OPERATOR, SERVICE
from carillon_kit.clock import Clock
from carillon_kit.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable
from carillon_kit.grpc_server import current_tenant
from carillon_routing.adapters.sentences import library
from carillon_routing.domain.plan_tests import run_tests
from carillon_routing.domain.simulate import with_draft, with_plan
from carillon_routing.grpc_compare import TELL_SECONDS, Comparisons
from carillon_routing.grpc_replay import Replays
from carillon_routing.grpc_simulate import simulated
from carillon_routing.projections.configuration import Configuration, config_of

SERVICE_NAME = "carillon.routing.v1.RoutingService"
_ADMINS = frozenset({str(OPERATOR), str(ADMIN)})
RIGHTS = {
    "Simulate": _ADMINS,
    "ReplayCall": _ADMINS,
    "ComparePlan": _ADMINS | {str(SERVICE)},
    "TestPlan": _ADMINS | {str(SERVICE)},
    "TestPlanWithProgress": _ADMINS | {str(SERVICE)},
}
#: How long TestPlan waits for a version of the configuration that was stored just now.
CATCH_UP_SECONDS = 3.0
#: After so long a simulated call is not followed any further; so long one waits until those before are simulated.
SIMULATE_SECONDS, TURN_SECONDS = 5.0, 4.0


class Routing(RoutingServiceServicer):
    """Reads the caller's tenant's configuration; changes nothing."""

    def __init__(self, configuration: Configuration, clock: Clock, replays: Replays, comparisons: Comparisons) -> None:
        self._replays = replays
        self._comparisons = comparisons
        self._configuration = configuration
        self._clock = clock
        self._simulating = asyncio.Lock()

    async def Simulate(self, request: pb.SimulateRequest, context: object) -> pb.SimulateResponse:
        """See routing.proto."""
        if request.language:
            await asyncio.to_thread(library)
        config = self._config(request.plan_draft_id)
        # A queue may take many turns: live calls do not wait for them, and share the processor with one simulation at most.
        async with self._turn():
            until = self._clock.monotonic() + SIMULATE_SECONDS
            try:
                return await asyncio.to_thread(simulated, config, request, self._clock.now(), lambda: self._clock.monotonic() > until)
            finally:
                # Nobody may be there any more for whom it is followed.
                until = -inf

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._simulating.acquire()
        except TimeoutError:
            raise Unavailable("other calls are being simulated; try again") from None
        try:
            yield
        finally:
            self._simulating.release()

    async def ReplayCall(self, request: pb.ReplayCallRequest, context: object) -> pb.ReplayCallResponse:
        """See routing.proto."""
        draft = request.plan_draft_id
        return await self._replays.replay(request, self._config(draft) if draft else None)

    async def ComparePlan(self, request: pb.ComparePlanRequest, context: object) -> AsyncIterator[pb.ComparePlanResponse]:
        """See routing.proto."""
        await self._known(request.config_seq)
        config = self._config("")
        if request.plan:
            plan = _plan(request)
        elif (draft := config.plan_drafts.get(request.plan_draft_id)) is None:
            raise NotFound(f"plan_drafts/{request.plan_draft_id}")
        else:
            plan = draft.plan(config.plans.get(draft.plan_id))
        async with aclosing(self._comparisons.compare(request, config, plan)) as comparison:
            async for told in comparison:
                yield told

    async def TestPlan(self, request: pb.TestPlanRequest, context: object) -> pb.TestPlanResponse:
        """See routing.proto."""
        async with aclosing(self._tested(request)) as steps:
            return [step async for step in steps][-1].done

    async def TestPlanWithProgress(
        self, request: pb.TestPlanWithProgressRequest, context: object
    ) -> AsyncIterator[pb.TestPlanWithProgressResponse]:
        """See routing.proto."""
        async with aclosing(self._tested(request.test)) as steps:
            async for step in steps:
                yield step

    async def _tested(self, request: pb.TestPlanRequest) -> AsyncGenerator[pb.TestPlanWithProgressResponse, None]:
        await self._known(request.config_seq)
        active = self._config("")
        config = self._config(request.plan_draft_id)
        if request.plan:
            plan = _plan(request)
            if plan.id != request.plan_id:
                raise InvalidArgument({"plan": f"is {plan.id!r}, not {request.plan_id!r}"})
            config = with_plan(active, plan)
        if request.plan_id not in config.plans:
            raise NotFound(f"plans/{request.plan_id}")
        results, total, told = [], len(config.plan_tests), self._clock.monotonic()
        for ran, tested in enumerate(run_tests(active, config, request.plan_id), 1):
            if tested is not None:
                results.append(
                    pb.PlanTestResult(plan_test_id=tested.test_id, passed=tested.passed, reached=tested.reached, missed=tested.missed)
                )
            if (now := self._clock.monotonic()) - told > TELL_SECONDS:
                told = now
                yield pb.TestPlanWithProgressResponse(total=total, ran=ran)
            await asyncio.sleep(0)
        done = pb.TestPlanResponse(results=results, passed=all(result.passed for result in results))
        yield pb.TestPlanWithProgressResponse(total=total, ran=total, done=done)

    async def _known(self, config_seq: int) -> None:
        """Raises `FailedPrecondition` for a version that is not known here in time."""
        if not await self._configuration.until(current_tenant(), config_seq, CATCH_UP_SECONDS):
            raise FailedPrecondition([("VERSION", "config_seq", f"version {config_seq} is not known here yet")])

    def _config(self, draft_id: str) -> TenantConfig:
        config = config_of(self._configuration, current_tenant())
        if not draft_id:
            return config
        draft = config.plan_drafts.get(draft_id)
        if draft is None:
            raise NotFound(f"plan_drafts/{draft_id}")
        return with_draft(config, draft)


def _plan(request: pb.TestPlanRequest | pb.ComparePlanRequest) -> Plan:
    if request.plan_draft_id:
        raise InvalidArgument({"plan": "stands instead of plan_draft_id"})
    try:
        plan = Plan.model_validate_json(request.plan)
    except ValidationError as error:
        raise InvalidArgument({"plan": f"is no plan: {error.errors(include_url=False, include_input=False)[0]['msg']}"}) from error
    return plan
