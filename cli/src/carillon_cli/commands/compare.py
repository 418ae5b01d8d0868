"""`carillon compare DRAFT`: which past calls would go elsewhere with a draft in its plan's place. Nothing changes; Ctrl-C ends it."""

import argparse
import asyncio
import sys
from typing import Any

import grpc.aio

from carillon.routing.v1 import routing_pb2
from carillon.routing.v1.routing_pb2_grpc import RoutingServiceStub
from carillon_cli.commands.records import moment
from carillon_cli.commands.replay import conditions
from carillon_cli.system import System, load, readable, system_arguments, whole

#: A million calls.
COMPARED_SECONDS = 3600.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon compare`."""
    parser.add_argument("draft", metavar="DRAFT")
    parser.add_argument("--calls", type=whole, default=0, metavar="N", help="of the newest ones, at most (default: 100000)")
    parser.add_argument("--after", help="only calls that began at or after: 2026-03-01T00:00+01:00")
    parser.add_argument("--before", help="only calls that began before")
    parser.add_argument("--samples", type=whole, default=0, metavar="N", help="calls told in full of each group (default: 3)")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print who would go elsewhere."""
    system = load(options.data)
    return asyncio.run(compare(system, system.tenant(options.tenant), options))


def progress(told: Any) -> str:
    """How far a comparison is."""
    if told.waiting:
        return f"waits for {told.waiting} comparison{'s' if told.waiting > 1 else ''} that came before; Ctrl-C gives it up"
    return f"{told.read} of {told.total} calls, {told.by_plan} by the plan, {told.elsewhere} would go elsewhere"


def request(options: argparse.Namespace) -> routing_pb2.ComparePlanRequest:
    """Raises `CliError`."""
    made = routing_pb2.ComparePlanRequest(plan_draft_id=options.draft, max_calls=options.calls, samples=options.samples)
    for name in ("after", "before"):
        if given := getattr(options, name):
            getattr(made, name).FromDatetime(moment(given))
    return made


async def compare(system: System, tenant: str, options: argparse.Namespace) -> int:
    async with system.channel("routing", tenant) as routing:
        service: Any = RoutingServiceStub(routing)
        try:
            shown = ""
            async for told in service.ComparePlan(request(options), timeout=COMPARED_SECONDS):
                if (line := progress(told)) != shown:
                    print(shown := line, file=sys.stderr)
                if told.done:
                    print("\n".join(compared(told)))
        except grpc.aio.AioRpcError as error:
            raise readable(error, "routing") from error
    return 0


def compared(told: routing_pb2.ComparePlanResponse) -> list[str]:
    """Who would go elsewhere, the largest group first, with examples."""
    lines = [f"{told.elsewhere} of {told.by_plan} calls by the plan would go elsewhere ({told.read} calls read)"]
    if not told.read:
        lines.append("no call of that time is kept: nothing was compared")
    if told.not_followed:
        lines.append(f"{told.not_followed} calls cannot be followed: what their decisions were made of was not kept")
    for group in told.groups:
        lines += ["", f"{group.calls} calls", f"  now:   {' -> '.join(group.now)}", f"  draft: {' -> '.join(group.draft)}"]
        for sample in group.samples:
            lines.append(f"  for example {sample.call_id}, with the draft:")
            lines += [line for turn in sample.draft for line in conditions(turn.trace)]
    if told.ungrouped:
        lines += ["", f"{told.ungrouped} calls more, in smaller groups"]
    return lines
