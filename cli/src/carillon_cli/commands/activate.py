"""`carillon activate DRAFT`: a draft takes its plan's place once the tests pass and it was shown which past calls would go elsewhere.

If any would, nothing changes and the exit code is 1; `--max-elsewhere N` says how many may. Ctrl-C during the comparison changes nothing.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import grpc.aio

from carillon.directory.v1 import plan_pb2, plan_pb2_grpc
from carillon_cli.commands.compare import COMPARED_SECONDS, progress
from carillon_cli.errors import CliError
from carillon_cli.system import System, load, readable, system_arguments, whole

#: The directory waits for routing, which runs the tests.
TESTED_SECONDS = 310.0
USUAL_CALLS = 10_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon activate`."""
    parser.add_argument("draft", metavar="DRAFT")
    parser.add_argument("--reason", default="", help="kept in the history")
    parser.add_argument("--dry-run", action="store_true", help="only say what would change, and what tests and past calls say")
    parser.add_argument("--force", action="store_true", help="whatever tests and past calls say; needs --reason")
    parser.add_argument(
        "--calls",
        type=whole,
        default=USUAL_CALLS,
        metavar="N",
        help=f"so many of the newest are followed (default: {USUAL_CALLS}; 0: none)",
    )
    parser.add_argument("--max-elsewhere", metavar="N", default="0", help="so many of them may go elsewhere (default: 0), or `any`")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Activate it and print what came of it."""
    system = load(options.data)
    return asyncio.run(activate(system, system.tenant(options.tenant), options))


def request(options: argparse.Namespace) -> plan_pb2.ActivatePlanRequest:
    """Raises `CliError`."""
    asked = plan_pb2.ActivatePlanRequest(plan_draft_id=options.draft, reason=options.reason, dry_run=options.dry_run, force=options.force)
    if options.max_elsewhere != "any" and not (options.max_elsewhere.isdecimal() and len(options.max_elsewhere) <= 9):
        raise CliError(f"--max-elsewhere: {options.max_elsewhere!r} is neither a number nor `any`")
    if options.calls and not options.force:
        asked.compare_past_calls.max_calls = options.calls
        if options.max_elsewhere != "any":
            asked.compare_past_calls.max_elsewhere = int(options.max_elsewhere)
    return asked


async def activate(system: System, tenant: str, options: argparse.Namespace) -> int:
    """The exit code."""
    asked = plan_pb2.ActivatePlanWithProgressRequest(activation=request(options))
    shown = ""
    async with system.channel("directory", tenant) as directory:
        service: Any = plan_pb2_grpc.PlanServiceStub(directory)
        try:
            async for answer in service.ActivatePlanWithProgress(asked, timeout=COMPARED_SECONDS + TESTED_SECONDS):
                if answer.WhichOneof("answer") == "done":
                    print("\n".join(told(answer.done, "activated", dry_run=options.dry_run)))
                    return 0 if answer.done.gate.passed or options.force else 1
                line = tests_run(answer.tests) if answer.WhichOneof("answer") == "tests" else progress(answer.progress)
                if line != shown:
                    print(shown := line, file=sys.stderr)
                if answer.progress.done:
                    print("\n".join(elsewhere(answer.progress)))
        except grpc.aio.AioRpcError as error:
            raise readable(error, "directory") from error
    raise CliError("the activation did not end")


def tests_run(told: Any) -> str:
    """How far the tests are."""
    return f"{told.ran} of {told.total} tests of plans were run"


def elsewhere(found: plan_pb2.PastCallsCompared) -> list[str]:
    """Who would go elsewhere, the largest group first."""
    lines = [f"{found.elsewhere} of {found.by_plan} past calls by the plan would go elsewhere ({found.read} calls read)"]
    if found.not_followed:
        lines.append(f"{found.not_followed} calls cannot be followed: what their decisions were made of was not kept")
    for group in found.groups:
        lines.append(f"  {group.calls} calls, for example {', '.join(group.call_ids)}")
        lines += [f"    now:   {' -> '.join(group.now)}", f"    draft: {' -> '.join(group.draft)}"]
    return [*lines, *([f"  {found.ungrouped} calls more, in smaller groups"] if found.ungrouped else [])]


def told(done: Any, verb: str, *, dry_run: bool) -> Sequence[str]:
    """What became of a plan, node by node, and what its tests say."""
    gate = done.gate
    tests = [f"  {tested(test)}" for test in gate.tests]
    said = f"would be {verb}" if dry_run else f"is {verb}, version {done.config_seq}"
    return [
        f"plan {done.plan.id} {said}",
        *(f"  node {change.node_id} {change.fact}" for change in done.changes),
        *([] if done.changes else ["  no node differs"]),
        *(tests or [f"  {'it has no tests' if gate.asked else 'its tests could not be run: routing does not answer'}"]),
    ]


def tested(test: Any) -> str:
    """What became of a plan's test."""
    missed = f", not by {test.missed}" if test.missed else ""
    return f"{'passed' if test.passed else 'FAILED'}  {test.plan_test_id}: came by {', '.join(test.reached) or 'nothing'}{missed}"
