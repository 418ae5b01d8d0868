"""`ComparePlan`: past calls followed with another plan in a plan's place, by processes of their own."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from carillon.routing.v1 import routing_pb2 as pb
from carillon_contracts.config import Plan
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import Clock
from carillon_kit.errors import InvalidArgument
from carillon_routing.adapters.comparers import comparers
from carillon_routing.adapters.past_calls import PastCalls
from carillon_routing.domain.comparison import Counts, Group
from carillon_routing.domain.facts import Advance
from carillon_routing.domain.queue_steps import EnterQueue
from carillon_routing.grpc_api import step_message, trace_messages

MOST_CALLS, USUAL_CALLS = 1_000_000, 100_000
MOST_SAMPLES, USUAL_SAMPLES = 20, 3
#: How often the progress is told.
TELL_SECONDS = 0.5


class Comparisons:
    """One at a time; `processes`: at most so many follow calls, 0: as many as there are cores, up to 4."""

    def __init__(self, calls: PastCalls, clock: Clock, processes: int = 0) -> None:
        self._calls = calls
        self._clock = clock
        self._processes = processes
        self._one = asyncio.Lock()

    async def compare(
        self, request: pb.ComparePlanRequest, config: TenantConfig, plan: Plan
    ) -> AsyncGenerator[pb.ComparePlanResponse, None]:
        """See routing.proto."""
        most, samples = request.max_calls or USUAL_CALLS, request.samples or USUAL_SAMPLES
        wrong = {} if 1 <= most <= MOST_CALLS else {"max_calls": f"must be 1 to {MOST_CALLS}"}
        wrong |= {} if 1 <= samples <= MOST_SAMPLES else {"samples": f"must be 1 to {MOST_SAMPLES}"}
        if wrong:
            raise InvalidArgument(wrong)
        after = request.after if request.HasField("after") else None
        before = request.before if request.HasField("before") else None
        async with self._one, aclosing(self._calls.stream(config.tenant_id, after, before, most)) as pages:
            total, _ = await anext(pages)
            yield _progress(Counts(), total, config.seq)
            async with comparers(config, plan, samples, total, self._processes) as them:
                told = self._clock.monotonic()
                async for _, calls in pages:
                    await them.add(calls)
                    if (now := self._clock.monotonic()) - told > TELL_SECONDS:
                        told = now
                        yield _progress(them.counts, total, config.seq)
                found = await them.end()
                done = _progress(them.counts, total, config.seq)
        done.done, done.ungrouped = True, found.ungrouped
        done.groups.extend(_group(each) for each in found.groups)
        yield done


def _progress(counts: Counts, total: int, config_seq: int) -> pb.ComparePlanResponse:
    return pb.ComparePlanResponse(
        total=total,
        read=counts.read,
        by_plan=counts.by_plan,
        elsewhere=counts.elsewhere,
        not_followed=counts.not_followed,
        config_seq=config_seq,
    )


def _group(group: Group) -> pb.ComparedGroup:
    samples = [
        pb.ComparedCall(call_id=each.call_id, now=map(turn_message, each.now), draft=map(turn_message, each.then)) for each in group.samples
    ]
    return pb.ComparedGroup(now=group.now, draft=group.then, calls=group.calls, samples=samples)


def turn_message(turn: Advance) -> pb.SimulatedTurn:
    """A decision of a call that is not made."""
    step = None if isinstance(turn.step, EnterQueue) else step_message(turn.step)
    return pb.SimulatedTurn(step=step, trace=trace_messages(turn.trace))
