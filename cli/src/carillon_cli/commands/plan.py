"""`carillon plan`: plans and their drafts, checked; a draft is activated when the plan's tests pass, and a plan is rolled back."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import grpc.aio

from carillon.directory.v1 import plan_draft_pb2, plan_draft_pb2_grpc, plan_pb2, plan_pb2_grpc
from carillon.routing.v1 import routing_pb2
from carillon.routing.v1.routing_pb2_grpc import RoutingServiceStub
from carillon_cli import company
from carillon_cli.commands.apply import text_of
from carillon_cli.commands.history import listed
from carillon_cli.commands.history import told as changes
from carillon_cli.commands.replay import conditions
from carillon_cli.errors import CliError
from carillon_cli.render.findings import found
from carillon_cli.render.tables import table
from carillon_cli.system import RPC_SECONDS, System, ask, load, readable, system_arguments
from carillon_contracts.languages import LANGUAGES

#: The directory waits for routing, which runs the tests.
TESTED_SECONDS = 20.0
#: A million calls.
COMPARED_SECONDS = 3600.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Subcommands of `carillon plan`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    drafts = verbs.add_parser("list", help="plans, and the drafts of each")
    activate = verbs.add_parser("activate", help="put a draft in its plan's place")
    activate.add_argument("draft", metavar="DRAFT")
    activate.add_argument("--force", action="store_true", help="whatever its tests say; needs --reason")
    back = verbs.add_parser("rollback", help="make a plan what it was before its last change")
    back.add_argument("plan", metavar="PLAN")
    back.add_argument("--to", type=int, default=0, metavar="VERSION", help="what it was at that version of the configuration instead")
    for each in (activate, back):
        each.add_argument("--reason", default="", help="kept in the history")
        each.add_argument("--dry-run", action="store_true", help="only say what would change, and what the tests say")
    compare = verbs.add_parser("compare", help="which past calls would go elsewhere with a draft")
    compare.add_argument("draft", metavar="DRAFT")
    compare.add_argument("--calls", type=int, default=0, metavar="N", help="of the newest ones, at most (default: 100000)")
    compare.add_argument("--samples", type=int, default=0, metavar="N", help="calls told in full of each group (default: 3)")
    check = verbs.add_parser("check", help="what is wrong and what is odd about a plan; exit code 1 when it would be refused")
    check.add_argument("plan", metavar="PLAN")
    check.add_argument("--draft", action="store_true", help="PLAN is a draft")
    check.add_argument("--file", type=Path, help="as it stands in this YAML file, before it is applied")
    check.add_argument("--language", choices=LANGUAGES, default="", help="default: the tenant's")
    past = verbs.add_parser("history", help="what became of a plan, newest first")
    past.add_argument("plan", metavar="PLAN")
    past.add_argument("--last", type=int, default=20, metavar="N", help="how many changes (default: 20)")
    for each in (drafts, activate, back, compare, check, past):
        system_arguments(each)


def run(options: argparse.Namespace) -> int:
    """Do it and print what came of it."""
    system = load(options.data)
    verbs: dict[str, Callable[[System, str, argparse.Namespace], Coroutine[Any, Any, int]]] = {
        "list": _list,
        "activate": _activate,
        "rollback": _roll_back,
        "compare": _compare,
        "check": _check,
        "history": _history,
    }
    return asyncio.run(verbs[options.verb](system, system.tenant(options.tenant), options))


async def _list(system: System, tenant: str, options: argparse.Namespace) -> int:
    async with system.channel("directory", tenant) as directory:
        plans: Any = plan_pb2_grpc.PlanServiceStub(directory)
        drafts: Any = plan_draft_pb2_grpc.PlanDraftServiceStub(directory)
        known = await _every(plans.ListPlans, plan_pb2.ListPlansRequest, "plans")
        found = await _every(drafts.ListPlanDrafts, plan_draft_pb2.ListPlanDraftsRequest, "plan_drafts")
    rows = [(each.id, each.etag, len(each.nodes), ", ".join(d.id for d in found if d.plan_id == each.id)) for each in known]
    print("\n".join(table(("plan", "version", "nodes", "drafts"), rows)))
    return 0


async def _every(rpc: Any, request: Any, field: str) -> list[Any]:
    found: list[Any] = []
    token = ""
    while True:
        page = await ask(rpc(request(page_token=token), timeout=RPC_SECONDS), "directory")
        found += getattr(page, field)
        token = page.next_page_token
        if not token:
            return found


async def _activate(system: System, tenant: str, options: argparse.Namespace) -> int:
    request = plan_pb2.ActivatePlanRequest(plan_draft_id=options.draft, reason=options.reason, dry_run=options.dry_run, force=options.force)
    async with system.channel("directory", tenant) as directory:
        service: Any = plan_pb2_grpc.PlanServiceStub(directory)
        done = await ask(service.ActivatePlan(request, timeout=TESTED_SECONDS), "directory")
    print("\n".join(_lines(done, "activated", dry_run=options.dry_run)))
    return 0 if done.gate.passed or options.force else 1


async def _roll_back(system: System, tenant: str, options: argparse.Namespace) -> int:
    request = plan_pb2.RollBackPlanRequest(id=options.plan, reason=options.reason, dry_run=options.dry_run, config_seq=options.to)
    async with system.channel("directory", tenant) as directory:
        service: Any = plan_pb2_grpc.PlanServiceStub(directory)
        done = await ask(service.RollBackPlan(request, timeout=TESTED_SECONDS), "directory")
    print("\n".join(_lines(done, "rolled back", dry_run=options.dry_run)))
    return 0


def _lines(done: Any, verb: str, *, dry_run: bool) -> Sequence[str]:
    gate = done.gate
    tests = [
        f"  {'passed' if test.passed else 'FAILED'}  {test.plan_test_id}: came by {', '.join(test.reached) or 'nothing'}"
        for test in gate.tests
    ]
    said = f"would be {verb}" if dry_run else f"is {verb}, version {done.config_seq}"
    return [
        f"plan {done.plan.id} {said}",
        *(f"  node {change.node_id} {change.fact}" for change in done.changes),
        *([] if done.changes else ["  no node differs"]),
        *(tests or [f"  {'it has no tests' if gate.asked else 'its tests could not be run: routing does not answer'}"]),
    ]


async def _compare(system: System, tenant: str, options: argparse.Namespace) -> int:
    request = routing_pb2.ComparePlanRequest(plan_draft_id=options.draft, max_calls=options.calls, samples=options.samples)
    async with system.channel("routing", tenant) as routing:
        service: Any = RoutingServiceStub(routing)
        try:
            async for told in service.ComparePlan(request, timeout=COMPARED_SECONDS):
                print(
                    f"{told.read} of {told.total} calls, {told.by_plan} by the plan, {told.elsewhere} would go elsewhere", file=sys.stderr
                )
                if told.done:
                    print("\n".join(compared(told)))
        except grpc.aio.AioRpcError as error:
            raise readable(error, "routing") from error
    return 0


def compared(told: routing_pb2.ComparePlanResponse) -> list[str]:
    """Who would go elsewhere, the largest group first, with examples."""
    lines = [f"{told.elsewhere} of {told.by_plan} calls by the plan would go elsewhere ({told.read} calls read)"]
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


async def _check(system: System, tenant: str, options: argparse.Namespace) -> int:
    request = plan_pb2.CheckPlanRequest(language=options.language)
    if options.file is not None:
        request.plan.CopyFrom(_in_file(options.file, options.plan))
    elif options.draft:
        request.plan_draft_id = options.plan
    else:
        request.plan_id = options.plan
    async with system.channel("directory", tenant) as directory:
        service: Any = plan_pb2_grpc.PlanServiceStub(directory)
        answer = await ask(service.CheckPlan(request, timeout=RPC_SECONDS), "directory")
    print("\n".join(found(answer.findings)))
    return 1 if any(each.severity == plan_pb2.FINDING_SEVERITY_ERROR for each in answer.findings) else 0


def _in_file(file: Path, plan: str) -> plan_pb2.Plan:
    _, data = company.load(text_of(file), str(file))
    held = next((each for each in company.request(data).plans if each.id == plan), None)
    if held is None:
        raise CliError(f"{file} has no plan {plan}")
    return held


async def _history(system: System, tenant: str, options: argparse.Namespace) -> int:
    for line in changes(await listed(system, tenant, "plan", options.plan, options.last)):
        print(line)
    return 0
