"""`carillon plan`: plans and their drafts, checked; a draft is activated when the plan's tests pass, and a plan is rolled back."""

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from carillon.directory.v1 import plan_draft_pb2, plan_draft_pb2_grpc, plan_pb2, plan_pb2_grpc
from carillon_cli import company
from carillon_cli.commands import activate, compare
from carillon_cli.commands.apply import text_of
from carillon_cli.commands.history import listed
from carillon_cli.commands.history import told as changes
from carillon_cli.errors import CliError
from carillon_cli.render.findings import found
from carillon_cli.render.tables import table
from carillon_cli.system import RPC_SECONDS, System, ask, load, pages, system_arguments
from carillon_contracts.languages import LANGUAGES


def arguments(parser: argparse.ArgumentParser) -> None:
    """Subcommands of `carillon plan`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    drafts = verbs.add_parser("list", help="plans, and the drafts of each")
    activate.arguments(verbs.add_parser("activate", help="put a draft in its plan's place"))
    back = verbs.add_parser("rollback", help="make a plan what it was before its last change")
    back.add_argument("plan", metavar="PLAN")
    back.add_argument("--to", type=int, default=0, metavar="VERSION", help="what it was at that version of the configuration instead")
    back.add_argument("--reason", default="", help="kept in the history")
    back.add_argument("--dry-run", action="store_true", help="only say what would change, and what the tests say")
    compare.arguments(verbs.add_parser("compare", help="which past calls would go elsewhere with a draft"))
    check = verbs.add_parser("check", help="what is wrong and what is odd about a plan; exit code 1 when it would be refused")
    check.add_argument("plan", metavar="PLAN")
    check.add_argument("--draft", action="store_true", help="PLAN is a draft")
    check.add_argument("--file", type=Path, help="as it stands in this YAML file, before it is applied")
    check.add_argument("--language", choices=LANGUAGES, default="", help="default: the tenant's")
    past = verbs.add_parser("history", help="what became of a plan, newest first")
    past.add_argument("plan", metavar="PLAN")
    past.add_argument("--last", type=int, default=20, metavar="N", help="how many changes (default: 20)")
    for each in (drafts, back, check, past):
        system_arguments(each)


def run(options: argparse.Namespace) -> int:
    """Do it and print what came of it."""
    system = load(options.data)
    verbs: dict[str, Callable[[System, str, argparse.Namespace], Coroutine[Any, Any, int]]] = {
        "list": _list,
        "activate": activate.activate,
        "rollback": _roll_back,
        "compare": compare.compare,
        "check": _check,
        "history": _history,
    }
    return asyncio.run(verbs[options.verb](system, system.tenant(options.tenant), options))


async def _list(system: System, tenant: str, options: argparse.Namespace) -> int:
    async with system.channel("directory", tenant) as directory:
        plans: Any = plan_pb2_grpc.PlanServiceStub(directory)
        drafts: Any = plan_draft_pb2_grpc.PlanDraftServiceStub(directory)
        known = [each async for page in pages(plans.ListPlans, plan_pb2.ListPlansRequest(), "directory") for each in page.plans]
        asked = plan_draft_pb2.ListPlanDraftsRequest()
        found = [each async for page in pages(drafts.ListPlanDrafts, asked, "directory") for each in page.plan_drafts]
    rows = [(each.id, each.etag, len(each.nodes), ", ".join(d.id for d in found if d.plan_id == each.id)) for each in known]
    print("\n".join(table(("plan", "version", "nodes", "drafts"), rows)))
    return 0


async def _roll_back(system: System, tenant: str, options: argparse.Namespace) -> int:
    request = plan_pb2.RollBackPlanRequest(id=options.plan, reason=options.reason, dry_run=options.dry_run, config_seq=options.to)
    async with system.channel("directory", tenant) as directory:
        service: Any = plan_pb2_grpc.PlanServiceStub(directory)
        done = await ask(service.RollBackPlan(request, timeout=activate.TESTED_SECONDS), "directory")
    print("\n".join(activate.told(done, "rolled back", dry_run=options.dry_run)))
    return 0


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
