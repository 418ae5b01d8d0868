"""`carillon simulate`: what would become of a call, with the reasons; and `--test` runs what is stored for a plan. No call is made."""

import argparse
import asyncio
import re
import sys
from datetime import datetime
from typing import Any

import grpc.aio
from google.protobuf.json_format import MessageToDict, MessageToJson

from carillon.routing.v1 import routing_pb2 as pb
from carillon.routing.v1.routing_pb2_grpc import RoutingServiceStub
from carillon_cli import assumptions
from carillon_cli.assumptions import pairs
from carillon_cli.commands.activate import TESTED_SECONDS, tested, tests_run
from carillon_cli.errors import CliError
from carillon_cli.render.explain import step_text, trace_lines
from carillon_cli.system import RPC_SECONDS, System, ask, load, readable, system_arguments
from carillon_contracts.call import TraceLine
from carillon_contracts.languages import LANGUAGES

_NUMBER = re.compile(r"-|\+?[0-9]{1,32}")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon simulate`."""
    parser.add_argument("caller", nargs="?", default="", help="a number, or a user's extension or id; `-`: withheld")
    parser.add_argument("dialled", nargs="?", default="", help="one of the tenant's numbers, or what the user dials")
    parser.add_argument("--at", help="a moment with its offset, 2026-03-02T10:15+01:00; default: now")
    parser.add_argument(
        "--result", action="append", default=[], metavar="WHO=RESULT", help="alain=busy, +41791112233=no_answer; others answer"
    )
    parser.add_argument("--key", action="append", default=[], metavar="DIGITS", help="pressed at the first menu, the second, ...")
    parser.add_argument(
        "--queue",
        default="",
        metavar="REASON",
        help="what happens in queues: answered, full, no_agents, waited_too_long, left_by_key, called_back or removed",
    )
    parser.add_argument("--mode", action="append", default=[], metavar="SCHEDULE=MODE", help="as if it were set by hand: office=night")
    parser.add_argument("--busy", action="append", default=[], metavar="USER", help="talks: hunt groups and queues pass by")
    parser.add_argument("--away", action="append", default=[], metavar="USER", help="no phone is registered")
    parser.add_argument(
        "--logged-out", action="append", default=[], metavar="USER", help="is not logged in at hunt groups and queues; all others are"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a variable that the call brings along")
    parser.add_argument("--caller-name", default="", help="as the carrier tells it")
    parser.add_argument("--trunk", default="", metavar="TRUNK", help="the carrier that brings the call")
    parser.add_argument("--json", action="store_true", help="the answer as data")
    parser.add_argument("--draft", default="", help="a draft that decides in its plan's place")
    parser.add_argument("--language", choices=LANGUAGES, default="", help="tell it in sentences of this language")
    assumptions.arguments(parser)
    parser.add_argument("--test", metavar="PLAN", help="run the tests of this plan instead; exit code 1 when one fails")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print each decision with its conditions, or the tests' results."""
    system = load(options.data)
    if not options.test and not options.dialled:
        raise CliError("who calls what?", "carillon simulate CALLER DIALLED, or --test PLAN")
    return asyncio.run(_run(system, options))


async def _run(system: System, options: argparse.Namespace) -> int:
    async with system.channel("routing", system.tenant(options.tenant)) as routing:
        service = RoutingServiceStub(routing)
        if options.test:
            request = pb.TestPlanRequest(plan_id=options.test, plan_draft_id=options.draft)
            ran = await _tested(service, request)
            for result in ran.results:
                print(tested(result))
            return 0 if ran.passed else 1
        answer = await ask(service.Simulate(_request(system, options), timeout=RPC_SECONDS), "routing")
    if options.json:
        print(MessageToJson(answer, preserving_proto_field_name=True))
        return 0
    for number, turn in enumerate(answer.turns, 1):
        after = turn.at.ToMilliseconds() - answer.turns[0].at.ToMilliseconds()
        print("\n".join([f"{number}. configuration {answer.config_seq}, after {after / 1000:g} s", *told(turn)]))
    return 0


async def _tested(service: Any, request: pb.TestPlanRequest) -> pb.TestPlanResponse:
    told: pb.TestPlanWithProgressResponse
    try:
        async for told in service.TestPlanWithProgress(pb.TestPlanWithProgressRequest(test=request), timeout=TESTED_SECONDS):
            if told.HasField("done"):
                return told.done
            print(tests_run(told), file=sys.stderr)
    except grpc.aio.AioRpcError as error:
        raise readable(error, "routing") from error
    raise CliError("the tests did not end")


def told(turn: pb.SimulatedTurn) -> list[str]:
    """The conditions, the step, and what is assumed to become of it."""
    if turn.HasField("explained"):
        said = [f"    {'+' if each.matched else '-'} {each.sentence}" for each in turn.explained.conditions]
        became = [f"    {turn.outcome_sentence}"] if turn.outcome_sentence else []
        return [*said, f"    => {turn.explained.step_sentence}", *became]
    lines = [TraceLine(subject=line.subject, matched=line.matched, reason=line.reason, next=line.next) for line in turn.trace]
    kind = turn.step.WhichOneof("kind") if turn.HasField("step") else None
    details = MessageToDict(getattr(turn.step, kind), preserving_proto_field_name=True) if kind else {}
    became = [f"    {' '.join([turn.outcome, *turn.outcome_values.values()])}"] if turn.outcome else []
    return [*trace_lines(lines), f"    => {step_text(kind, details) if kind else 'waits for an agent'}", *became]


def _request(system: System, options: argparse.Namespace) -> pb.SimulateRequest:
    known = system.entry(system.tenant(options.tenant))["users"]
    users = {user["id"]: user["id"] for user in known} | {user["extension"]: user["id"] for user in known if user.get("extension")}
    if options.caller not in users and not _NUMBER.fullmatch(options.caller):
        raise CliError(f"{options.caller!r} is neither a number nor a user's extension", "`-` is a caller who shows no number")
    request = pb.SimulateRequest(
        caller="" if options.caller == "-" else options.caller,
        caller_user_id=users.get(options.caller, ""),
        dialled=options.dialled,
        results=pairs("--result", options.result),
        keys=options.key,
        queue_result=options.queue,
        plan_draft_id=options.draft,
        language=options.language,
        schedule_modes=pairs("--mode", options.mode),
        busy_user_ids=options.busy,
        unregistered_user_ids=options.away,
        logged_out_user_ids=options.logged_out,
        variables=pairs("--set", options.set),
        caller_name=options.caller_name,
        trunk_id=options.trunk,
    )
    request.MergeFrom(assumptions.request(options))
    if options.at:
        try:
            moment = datetime.fromisoformat(options.at)
        except ValueError as error:
            raise CliError(f"--at: {options.at!r} is not a moment", "2026-03-02T10:15+01:00") from error
        if moment.tzinfo is None:
            raise CliError(f"--at: {options.at!r} has no offset", "2026-03-02T10:15+01:00")
        request.at.FromDatetime(moment)
    return request
