"""`ComparePlan`: past calls followed with another plan in a plan's place, by processes of their own."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from google.protobuf.timestamp_pb2 import Timestamp

from carillon.routing.v1 import routing_pb2 as pb
from carillon_contracts.config import Plan
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import Clock
from carillon_kit.errors import InvalidArgument, Unavailable
from carillon_routing.adapters.comparers import comparers
from carillon_routing.adapters.past_calls import PastCalls
from carillon_routing.domain.comparison import Counts, Group
from carillon_routing.domain.facts import Advance
from carillon_routing.domain.queue_steps import EnterQueue
from carillon_routing.grpc_api import step_message, trace_messages

MOST_CALLS, USUAL_CALLS = 1_000_000, 100_000
MOST_SAMPLES, USUAL_SAMPLES = 20, 3
#: Comparisons that may wait, and those of one tenant that may be there at all: nobody keeps the others out.
MOST_WAITING, MOST_OF_TENANT = 10, 3
#: How often the progress is told.
TELL_SECONDS = 0.5


class Comparisons:
    """One at a time, in the order of asking; `processes`: at most so many follow calls, 0: as many as there are cores, up to 4."""

    def __init__(self, calls: PastCalls, clock: Clock, processes: int = 0) -> None:
        self._calls = calls
        self._clock = clock
        self._processes = processes
        self._line = _Line()

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
        async with aclosing(self._line.turn(config.tenant_id)) as turn:
            async for waiting in turn:
                if waiting:
                    yield pb.ComparePlanResponse(waiting=waiting, config_seq=config.seq)
                    continue
                async with aclosing(self._compare(config, plan, after, before, most, samples)) as steps:
                    async for step in steps:
                        yield step

    async def _compare(
        self, config: TenantConfig, plan: Plan, after: Timestamp | None, before: Timestamp | None, most: int, samples: int
    ) -> AsyncGenerator[pb.ComparePlanResponse, None]:
        async with aclosing(self._calls.stream(config.tenant_id, after, before, most)) as pages:
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


class _Line:
    """Who compares, and who waits for it."""

    def __init__(self) -> None:
        self._tenants: dict[object, str] = {}
        self._moved = asyncio.Event()

    async def turn(self, tenant: str) -> AsyncGenerator[int, None]:
        """How many come before, at least every second; last 0: the turn lasts until the generator is closed. Raises `Unavailable`."""
        if list(self._tenants.values()).count(tenant) >= MOST_OF_TENANT:
            raise Unavailable(f"{MOST_OF_TENANT} comparisons of {tenant} run or wait already; try again when one is over")
        if len(self._tenants) > MOST_WAITING:
            raise Unavailable(f"{MOST_WAITING} comparisons wait already; try again when some are over")
        mine = object()
        self._tenants[mine] = tenant
        try:
            while before := list(self._tenants).index(mine):
                yield before
                with suppress(TimeoutError):
                    async with asyncio.timeout(TELL_SECONDS):
                        await self._moved.wait()
            yield 0
        finally:
            del self._tenants[mine]
            self._moved.set()
            self._moved = asyncio.Event()


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
