"""`ComparePlan`: past calls followed with a draft in its plan's place.

Always: calls are followed some milliseconds at a time, so that live calls are decided meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator

from carillon.routing.v1 import routing_pb2 as pb
from carillon_contracts.config import PlanDraft
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import Clock
from carillon_kit.errors import InvalidArgument
from carillon_routing.adapters.past_calls import PastCalls
from carillon_routing.domain.comparison import Comparison, Group
from carillon_routing.domain.facts import Advance
from carillon_routing.domain.queue_steps import EnterQueue
from carillon_routing.grpc_api import step_message, trace_messages

MOST_CALLS, USUAL_CALLS = 1_000_000, 100_000
MOST_SAMPLES, USUAL_SAMPLES = 20, 3
#: How long calls are followed without a breath, and how often the progress is told.
SLICE_SECONDS = 0.002
TELL_SECONDS = 0.5


class Comparisons:
    """One at a time."""

    def __init__(self, calls: PastCalls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock
        self._one = asyncio.Lock()

    async def compare(
        self, request: pb.ComparePlanRequest, config: TenantConfig, draft: PlanDraft
    ) -> AsyncIterator[pb.ComparePlanResponse]:
        """See routing.proto."""
        most, samples = request.max_calls or USUAL_CALLS, request.samples or USUAL_SAMPLES
        wrong = {} if 1 <= most <= MOST_CALLS else {"max_calls": f"must be 1 to {MOST_CALLS}"}
        wrong |= {} if 1 <= samples <= MOST_SAMPLES else {"samples": f"must be 1 to {MOST_SAMPLES}"}
        if wrong:
            raise InvalidArgument(wrong)
        after = request.after if request.HasField("after") else None
        before = request.before if request.HasField("before") else None
        comparison = Comparison(config, draft.plan(config.plans.get(draft.plan_id)), samples)
        total = 0
        async with self._one:
            told = breath = self._clock.monotonic()
            async for total, calls in self._calls.stream(config.tenant_id, after, before, most):
                for call_id, decisions in calls:
                    comparison.add(call_id, decisions)
                    if self._clock.monotonic() - breath > SLICE_SECONDS:
                        await asyncio.sleep(0)
                        breath = self._clock.monotonic()
                if breath - told > TELL_SECONDS:
                    told = breath
                    yield _progress(comparison, total, config.seq)
        done = _progress(comparison, total, config.seq)
        done.done, done.ungrouped = True, comparison.ungrouped
        done.groups.extend(_group(each) for each in comparison.groups)
        yield done


def _progress(comparison: Comparison, total: int, config_seq: int) -> pb.ComparePlanResponse:
    return pb.ComparePlanResponse(
        total=total,
        read=comparison.read,
        by_plan=comparison.by_plan,
        elsewhere=comparison.elsewhere,
        not_followed=comparison.not_followed,
        config_seq=config_seq,
    )


def _group(group: Group) -> pb.ComparedGroup:
    samples = [
        pb.ComparedCall(call_id=name, now=map(turn_message, now), draft=map(turn_message, then)) for name, now, then in group.samples
    ]
    return pb.ComparedGroup(now=group.now, draft=group.then, calls=group.calls, samples=samples)


def turn_message(turn: Advance) -> pb.SimulatedTurn:
    """A decision of a call that is not made."""
    step = None if isinstance(turn.step, EnterQueue) else step_message(turn.step)
    return pb.SimulatedTurn(step=step, trace=trace_messages(turn.trace))
