"""CPU of one `Next`: the decision alone, and with its proto messages (no network): `python services/routing/benchmarks/next.py`."""

# ruff: noqa: T201
import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import yaml

from carillon.common.v1 import call_application_pb2 as pb
from carillon_kit import grpc_server
from carillon_kit.auth import SERVICE, Principal
from carillon_kit.clock import ManualClock
from carillon_routing.grpc_api import RoutingApplication
from carillon_routing.projections.configuration import Configuration
from carillon_routing.testing import SimulatedCall, config_of

ROUNDS = 5000
FILE = Path(__file__).parents[3] / "cli/src/carillon_cli/demo/dupont.yaml"


async def measure(name: str, one: Callable[[], Awaitable[object]]) -> None:
    """Mean of many, by the process's CPU clock."""
    await one()
    start = time.process_time()
    for _ in range(ROUNDS):
        await one()
    print(f"{name:50} {(time.process_time() - start) / ROUNDS * 1e6:7.1f} us")


async def main() -> None:
    """A call to the main number in hours, its second step, and a user's call to an outside number."""
    config = config_of(yaml.safe_load(FILE.read_bytes()))
    configuration = Configuration(ManualClock())
    configuration.adopt(config)
    routing = RoutingApplication(configuration, ManualClock(datetime(2026, 1, 6, 9, 15, tzinfo=UTC)))
    grpc_server._principal.set(Principal("media", None, frozenset({SERVICE})))
    grpc_server._tenant.set(config.tenant_id)
    facts = pb.CallFacts(tenant_id=config.tenant_id, direction=pb.DIRECTION_INBOUND, dialled="+41215550100", caller_number="+41791112233")
    outside = pb.CallFacts(tenant_id=config.tenant_id, direction=pb.DIRECTION_FROM_USER, dialled="0791234567", caller_user_id="elise")
    entered = pb.Outcome(entered=pb.Entered())
    first = pb.NextRequest(call=facts, outcome=entered)
    cursor = (await routing.Next(first, None)).cursor
    second = pb.NextRequest(call=facts, cursor=cursor, outcome=pb.Outcome(ring=pb.RingOutcome(result=pb.RING_RESULT_NO_ANSWER)))

    async def decision() -> object:
        return SimulatedCall.from_outside(config, "+41215550100", "2026-01-06 10:15")

    await measure("decision alone: main number in hours", decision)
    for name, question in (
        ("main number in hours", first),
        ("then no answer", second),
        ("to outside", pb.NextRequest(call=outside, outcome=entered)),
    ):
        raw = question.SerializeToString()

        async def served(raw: bytes = raw) -> object:
            return (await routing.Next(pb.NextRequest.FromString(raw), None)).SerializeToString()

        await measure(f"Next with proto: {name}", served)


if __name__ == "__main__":
    asyncio.run(main())
