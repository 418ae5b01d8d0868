"""Decisions in a company of 1,000 numbers, 5,000 users and 200 plans: percentiles of CPU, alone and with the messages; memory.

.venv/bin/python benchmarks/routing.py [--rounds 5000]

CPU time of the thread is measured, so that a machine that others use does not count; its caches are shared all the same.
"""

import argparse
import asyncio
import gc
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from routing_company import company, numbers

from carillon.common.v1 import call_application_pb2 as pb
from carillon_kit import grpc_server
from carillon_kit.auth import SERVICE, Principal, Verified
from carillon_kit.clock import ManualClock
from carillon_routing.domain.asks import Ask
from carillon_routing.domain.facts import CallFacts
from carillon_routing.grpc_api import RoutingApplication
from carillon_routing.handlers.floors import FloorsWhenUp
from carillon_routing.handlers.queue_calls import QueueCalls
from carillon_routing.handlers.slow_answers import SlowAnswers
from carillon_routing.projections.configuration import Configuration
from carillon_routing.testing import World, config_of


class Facts:
    """Answers at once."""

    def __init__(self) -> None:
        self._world = World()

    async def find(self, call: CallFacts, ask: Ask) -> Any:
        return self._world.find(call, ask)

    async def keep(self, tenant: str, call_id: str, key: str, value: Any) -> None:
        raise AssertionError("no answer is late")

    async def read(self, tenant: str, call_id: str, key: str) -> tuple[bool, Any]:
        raise AssertionError("no answer is late")


def percentiles(name: str, rounds: int, one: Callable[[int], Any]) -> None:
    """Of the CPU of one call of `one`, in microseconds."""
    for number in range(50):
        one(number)
    gc.collect()
    gc.freeze()
    found = []
    for number in range(rounds):
        start = time.thread_time_ns()
        one(number)
        found.append((time.thread_time_ns() - start) / 1000)
    found.sort()
    mean = sum(found) / rounds
    print(f"{name:42} mean {mean:6.0f}  p50 {found[rounds // 2]:6.0f}  p99 {found[rounds * 99 // 100]:6.0f}  max {found[-1]:6.0f} us")


async def main() -> None:
    """First questions of calls to all numbers, and the second one after no answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5000)
    options = parser.parse_args()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    config = config_of(company())
    print(f"configuration: {(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024:.0f} MiB")
    configuration = Configuration(ManualClock())
    configuration.adopt(config)
    clock = ManualClock(datetime(2026, 1, 6, 9, 15, tzinfo=UTC))
    facts = Facts()
    slow = SlowAnswers(facts, facts, lambda work, name: asyncio.create_task(work, name=name), clock)
    routing = RoutingApplication(configuration, clock, QueueCalls(FloorsWhenUp(expected=False), clock), facts, slow)
    grpc_server._token.set(Verified(Principal("media", None, frozenset({SERVICE})), None, None))
    grpc_server._tenant.set(config.tenant_id)

    def question(number: int, cursor: bytes = b"") -> bytes:
        call = pb.CallFacts(
            tenant_id="acme",
            call_id=f"c{number}",
            direction=pb.DIRECTION_INBOUND,
            dialled=numbers()[number % 1000],
            caller_number=f"+4179{number:07}",
        )
        ring = pb.Outcome(ring=pb.RingOutcome(result=pb.RING_RESULT_NO_ANSWER))
        return pb.NextRequest(call=call, cursor=cursor, outcome=ring if cursor else pb.Outcome(entered=pb.Entered())).SerializeToString()

    def served(raw: bytes) -> pb.NextResponse:
        """As the server does, without its socket: a coroutine that never waits is run by one send."""
        coroutine = routing.Next(pb.NextRequest.FromString(raw), None)
        try:
            coroutine.send(None)
        except StopIteration as done:
            done.value.SerializeToString()
            return done.value  # type: ignore[no-any-return]
        raise AssertionError("it waits")

    first = [question(number) for number in range(1000)]
    percentiles("first decision with its messages", options.rounds, lambda n: served(first[n % 1000]))
    second = [question(n, answer.cursor) for n in range(1000) if (answer := served(first[n])).step.HasField("ring") and answer.cursor]
    percentiles("second decision, after no answer", options.rounds, lambda n: served(second[n % len(second)]))
    print(f"memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    asyncio.run(main())
