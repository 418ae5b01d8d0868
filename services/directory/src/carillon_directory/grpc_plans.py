"""The lives of plans: a draft is activated, a plan is rolled back."""

from typing import Any

from carillon.directory.v1 import directory_pb2 as pb
from carillon_directory.adapters.proto_mapping import to_message
from carillon_directory.domain.commands import Asked
from carillon_directory.domain.documents import dump
from carillon_directory.grpc_common import bounds_of, or_raise
from carillon_directory.grpc_findings import PlanChecks
from carillon_directory.grpc_verbs import Verb
from carillon_directory.handlers import TooBusy
from carillon_directory.plan_lives import Changed, Failing, Gate, NotTested, PlanLives
from carillon_directory.ports import RanTest
from carillon_kit.errors import FailedPrecondition, InvalidArgument, Unavailable
from carillon_kit.grpc_server import current_principal, current_tenant


class PlanVerbs:
    """What PlanService has beside what every kind of resource has."""

    def __init__(self, lives: PlanLives, checks: PlanChecks) -> None:
        self._lives = lives
        self.by_name: dict[str, Verb] = {"ActivatePlan": self.activate, "RollBackPlan": self.roll_back, "CheckPlan": checks.check}

    async def activate(self, request: pb.ActivatePlanRequest, context: object) -> pb.ActivatePlanResponse:
        """See plan.proto."""
        asked, options = _asked(request), {"force": request.force, "dry_run": request.dry_run}
        try:
            done = await self._lives.activate(current_tenant(), asked, request.plan_draft_id, request.etag, **options)
        except TooBusy as busy:
            raise Unavailable(str(busy)) from busy
        if isinstance(done, NotTested):
            raise Unavailable(f"the plan's tests could not be run, so it stays as it is; routing: {done.why}")
        if isinstance(done, Failing):
            raise FailedPrecondition([("PLAN_TEST", f"plan_test/{test.test_id}", _failure(test)) for test in done.tests])
        return pb.ActivatePlanResponse(**_told(or_raise(done)))

    async def roll_back(self, request: pb.RollBackPlanRequest, context: object) -> pb.RollBackPlanResponse:
        """See plan.proto."""
        if request.config_seq < 0:
            raise InvalidArgument({"config_seq": "must be 0 or a version"})
        asked, options = _asked(request), {"dry_run": request.dry_run}
        try:
            done = await self._lives.roll_back(current_tenant(), asked, request.id, request.etag, request.config_seq, **options)
        except TooBusy as busy:
            raise Unavailable(str(busy)) from busy
        return pb.RollBackPlanResponse(**_told(or_raise(done)))


def _asked(request: Any) -> Asked:
    principal = current_principal()
    return Asked(actor=principal.subject, bounds=bounds_of(principal), reason=request.reason)


def _failure(test: RanTest) -> str:
    return f"fails: the call came by {', '.join(test.reached) or 'nothing'}"


def _told(done: Changed) -> dict[str, Any]:
    return {
        "plan": to_message(dump(done.plan), pb.Plan),
        "changes": [pb.NodeChange(node_id=name, fact=fact) for name, fact in done.nodes],
        "gate": _gate(done.gate),
        "config_seq": done.version,
    }


def _gate(gate: Gate) -> pb.PlanGate:
    tests = [pb.PlanTestOutcome(plan_test_id=test.test_id, passed=test.passed, reached=test.reached) for test in gate.tests]
    return pb.PlanGate(asked=not gate.away, passed=gate.passed, tests=tests)
