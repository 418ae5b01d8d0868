"""`RoutingService`: what would become of a call, and whether a plan passes its tests."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC

from pydantic import ValidationError

from carillon.routing.v1 import routing_pb2 as pb
from carillon.routing.v1.routing_pb2_grpc import RoutingServiceServicer
from carillon_contracts.config import Plan, Tenant
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.auth import ADMIN, OPERATOR, SERVICE
from carillon_kit.clock import Clock
from carillon_kit.errors import FailedPrecondition, InvalidArgument, NotFound
from carillon_kit.grpc_server import current_tenant
from carillon_routing.domain.facts import CallFacts, Direction, RingResult
from carillon_routing.domain.queue_steps import REASONS
from carillon_routing.domain.simulate import Assumed, run_tests, simulate, with_draft, with_plan
from carillon_routing.grpc_compare import Comparisons, turn_message
from carillon_routing.grpc_explain import explained, teller_for
from carillon_routing.grpc_replay import Replays
from carillon_routing.projections.configuration import Configuration

SERVICE_NAME = "carillon.routing.v1.RoutingService"
_ADMINS = frozenset({str(OPERATOR), str(ADMIN)})
RIGHTS = {"Simulate": _ADMINS, "ReplayCall": _ADMINS, "ComparePlan": _ADMINS, "TestPlan": _ADMINS | {str(SERVICE)}}
#: How long TestPlan waits for a version of the configuration that was stored just now.
CATCH_UP_SECONDS = 3.0
_RESULTS: dict[str, RingResult] = {
    "answered": "answered",
    "no_answer": "no_answer",
    "busy": "busy",
    "unreachable": "unreachable",
    "congested": "congested",
    "rejected": "rejected",
}
MAX_ASSUMED = 1000


class Routing(RoutingServiceServicer):
    """Reads the caller's tenant's configuration; changes nothing."""

    def __init__(self, configuration: Configuration, clock: Clock, replays: Replays, comparisons: Comparisons) -> None:
        self._replays = replays
        self._comparisons = comparisons
        self._configuration = configuration
        self._clock = clock

    async def Simulate(self, request: pb.SimulateRequest, context: object) -> pb.SimulateResponse:
        """See routing.proto."""
        config = self._config(request.plan_draft_id)
        assumed = _assumed(request)
        if not 1 <= len(request.dialled) <= 128:
            raise InvalidArgument({"dialled": "must be 1 to 128 characters"})
        user_id = request.caller_user_id
        if user_id and user_id not in config.users:
            raise InvalidArgument({"caller_user_id": f"no user {user_id!r}"})
        try:
            at = request.at.ToDatetime(tzinfo=UTC) if request.HasField("at") else self._clock.now()
        except (ValueError, OverflowError) as error:
            raise InvalidArgument({"at": "is not a moment of the years 1 to 9999"}) from error
        caller = config.extension_of(user_id) if user_id else request.caller[:64]
        direction: Direction = "from_user" if user_id else "inbound"
        call = CallFacts(config.tenant_id, "simulation", direction, request.dialled, caller, caller_user_id=user_id)
        teller = teller_for(config, request.language) if request.language else None
        turns = []
        for turn in simulate(config, call, at, assumed):
            turns.append(turn_message(turn))
            if teller is not None:
                turns[-1].explained.CopyFrom(explained(teller, turn))
        return pb.SimulateResponse(turns=turns, config_seq=config.seq)

    async def ReplayCall(self, request: pb.ReplayCallRequest, context: object) -> pb.ReplayCallResponse:
        """See routing.proto."""
        return await self._replays.replay(request)

    async def ComparePlan(self, request: pb.ComparePlanRequest, context: object) -> AsyncIterator[pb.ComparePlanResponse]:
        """See routing.proto."""
        config = self._config("")
        draft = config.plan_drafts.get(request.plan_draft_id)
        if draft is None:
            raise NotFound(f"plan_drafts/{request.plan_draft_id}")
        async for told in self._comparisons.compare(request, config, draft):
            yield told

    async def TestPlan(self, request: pb.TestPlanRequest, context: object) -> pb.TestPlanResponse:
        """See routing.proto."""
        tenant = current_tenant()
        if not await self._configuration.until(tenant, request.config_seq, CATCH_UP_SECONDS):
            raise FailedPrecondition([("VERSION", "config_seq", f"version {request.config_seq} is not known here yet")])
        active = self._config("")
        config = self._config(request.plan_draft_id)
        if request.plan:
            config = with_plan(active, _plan(request))
        if request.plan_id not in config.plans:
            raise NotFound(f"plans/{request.plan_id}")
        results = []
        for tested in run_tests(active, config, request.plan_id):
            if tested is not None:
                results.append(pb.PlanTestResult(plan_test_id=tested.test_id, passed=tested.passed, reached=tested.reached))
            await asyncio.sleep(0)
        return pb.TestPlanResponse(results=results, passed=all(result.passed for result in results))

    def _config(self, draft_id: str) -> TenantConfig:
        tenant = current_tenant()
        config = self._configuration.current(tenant)
        if config is None or config.get(Tenant, tenant) is None:
            raise NotFound(f"tenant/{tenant}")
        if not draft_id:
            return config
        draft = config.plan_drafts.get(draft_id)
        if draft is None:
            raise NotFound(f"plan_drafts/{draft_id}")
        return with_draft(config, draft)


def _plan(request: pb.TestPlanRequest) -> Plan:
    if request.plan_draft_id:
        raise InvalidArgument({"plan": "stands instead of plan_draft_id"})
    try:
        plan = Plan.model_validate_json(request.plan)
    except ValidationError as error:
        raise InvalidArgument({"plan": f"is no plan: {error.errors(include_url=False, include_input=False)[0]['msg']}"}) from error
    if plan.id != request.plan_id:
        raise InvalidArgument({"plan": f"is {plan.id!r}, not {request.plan_id!r}"})
    return plan


def _assumed(request: pb.SimulateRequest) -> Assumed:
    if len(request.results) > MAX_ASSUMED or len(request.keys) > MAX_ASSUMED:
        raise InvalidArgument({"results": f"at most {MAX_ASSUMED}, and as many keys"})
    wrong = {f"results.{who}": f"{result!r} is no result" for who, result in request.results.items() if result not in _RESULTS}
    queue = next((reason for reason in REASONS if reason == (request.queue_result or "answered")), None)
    if queue is None:
        wrong["queue_result"] = f"must be one of {', '.join(REASONS)}"
    if wrong or queue is None:
        raise InvalidArgument(wrong)
    return Assumed({who: _RESULTS[result] for who, result in request.results.items()}, tuple(request.keys), queue)
