"""The lives of plans: a draft is activated, a plan is rolled back."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from pydantic import ValidationError

from carillon.directory.v1 import directory_pb2 as pb
from carillon_contracts.config import PastCallsBound
from carillon_directory.adapters.proto_mapping import to_document, to_message
from carillon_directory.domain.commands import Asked
from carillon_directory.domain.documents import dump
from carillon_directory.grpc_common import bounds_of, or_raise
from carillon_directory.grpc_findings import PlanChecks
from carillon_directory.grpc_verbs import Verb
from carillon_directory.handlers import TooBusy
from carillon_directory.plan_lives import Activated, Changed, Failing, Gate, NotTested, PlanLives, TooManyElsewhere
from carillon_directory.ports import ComparedCalls, RanTest, RanTests
from carillon_kit.errors import FailedPrecondition, InvalidArgument, Unavailable
from carillon_kit.grpc_server import current_principal, current_tenant


class PlanVerbs:
    """What PlanService has beside what every kind of resource has."""

    def __init__(self, lives: PlanLives, checks: PlanChecks) -> None:
        self._lives = lives
        self.by_name: dict[str, Verb] = {
            "ActivatePlan": self.activate,
            "ActivatePlanWithProgress": self.activate_with_progress,
            "RollBackPlan": self.roll_back,
            "CheckPlan": checks.check,
        }

    async def activate(self, request: pb.ActivatePlanRequest, context: object) -> pb.ActivatePlanResponse:
        """See plan.proto."""
        async with aclosing(self._activation(request)) as steps:
            async for step in steps:
                if isinstance(step, pb.ActivatePlanResponse):
                    return step
        raise Unavailable("the activation did not end")

    async def activate_with_progress(
        self, request: pb.ActivatePlanWithProgressRequest, context: object
    ) -> AsyncIterator[pb.ActivatePlanWithProgressResponse]:
        """See plan.proto."""
        async with aclosing(self._activation(request.activation)) as steps:
            async for step in steps:
                match step:
                    case pb.ActivatePlanResponse():
                        yield pb.ActivatePlanWithProgressResponse(done=step)
                    case pb.PlanTestsRun():
                        yield pb.ActivatePlanWithProgressResponse(tests=step)
                    case _:
                        yield pb.ActivatePlanWithProgressResponse(progress=step)

    async def _activation(
        self, request: pb.ActivatePlanRequest
    ) -> AsyncGenerator[pb.PlanTestsRun | pb.PastCallsCompared | pb.ActivatePlanResponse, None]:
        activation = self._lives.activate(
            current_tenant(),
            _asked(request),
            request.plan_draft_id,
            request.etag,
            force=request.force,
            dry_run=request.dry_run,
            past_calls=_bound(request.compare_past_calls) if request.HasField("compare_past_calls") else None,
        )
        try:
            async with aclosing(activation) as steps:
                async for step in steps:
                    match step:
                        case RanTests(total, ran):
                            yield pb.PlanTestsRun(total=total, ran=ran)
                        case ComparedCalls():
                            yield _compared(step)
                        case _:
                            yield pb.ActivatePlanResponse(**_told(_activated(step)))
        except TooBusy as busy:
            raise Unavailable(str(busy)) from busy

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


def _bound(message: pb.PastCallsBound) -> PastCallsBound:
    """Raises `InvalidArgument`."""
    try:
        return PastCallsBound.model_validate(to_document(message))
    except ValidationError as error:
        raise InvalidArgument({f"compare_past_calls.{each['loc'][0]}": each["msg"] for each in error.errors()}) from error


def _activated(step: Activated) -> Changed:
    match step:
        case NotTested(why):
            raise Unavailable(f"it could not be found out what the plan would do, so it stays as it is; routing: {why}")
        case Failing(tests):
            raise FailedPrecondition([("PLAN_TEST", f"plan_test/{test.test_id}", _failure(test)) for test in tests])
        case TooManyElsewhere(plan_id, compared, most):
            said = f"{compared.elsewhere} of {compared.by_plan} past calls would go elsewhere, at most {most} may"
            moved = [f"{each.calls} from {' -> '.join(each.now)} to {' -> '.join(each.draft)}" for each in compared.groups[:3]]
            raise FailedPrecondition([("PAST_CALLS", f"plan/{plan_id}", ": ".join([said, "; ".join(moved)]))])
        case _:
            return or_raise(step)


def _failure(test: RanTest) -> str:
    missed = f", and not by {test.missed}" if test.missed else ""
    return f"fails: the call came by {', '.join(test.reached) or 'nothing'}{missed}"


def _told(done: Changed) -> dict[str, Any]:
    return {
        "plan": to_message(dump(done.plan), pb.Plan),
        "changes": [pb.NodeChange(node_id=name, fact=fact) for name, fact in done.nodes],
        "gate": _gate(done.gate),
        "config_seq": done.version,
    }


def _gate(gate: Gate) -> pb.PlanGate:
    tests = [
        pb.PlanTestOutcome(plan_test_id=test.test_id, passed=test.passed, reached=test.reached, missed=test.missed) for test in gate.tests
    ]
    return pb.PlanGate(
        asked=not gate.away, passed=gate.passed, tests=tests, past_calls=None if gate.compared is None else _compared(gate.compared)
    )


def _compared(found: ComparedCalls) -> pb.PastCallsCompared:
    return pb.PastCallsCompared(
        total=found.total,
        read=found.read,
        by_plan=found.by_plan,
        elsewhere=found.elsewhere,
        not_followed=found.not_followed,
        done=found.done,
        groups=[pb.MovedCalls(now=each.now, draft=each.draft, calls=each.calls, call_ids=each.call_ids) for each in found.groups],
        ungrouped=found.ungrouped,
        waiting=found.waiting,
    )
