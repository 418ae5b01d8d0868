"""`carillon replay CALL`: the decisions of a past call made again with the configuration of its time; exit code 1 when one differs."""

import argparse
import asyncio
import json
from collections.abc import Iterable

from google.protobuf.json_format import MessageToDict

from carillon.common.v1.call_application_pb2 import TraceEntry
from carillon.routing.v1 import routing_pb2 as pb
from carillon.routing.v1.routing_pb2_grpc import RoutingServiceStub
from carillon_cli.commands.explain import newest
from carillon_cli.render.explain import step_text, trace_lines
from carillon_cli.system import System, ask, load, system_arguments
from carillon_contracts.call import TraceLine

#: Old configurations are folded anew.
REPLAY_SECONDS = 90.0
_WORDS = {
    pb.REPLAY_VERDICT_EQUAL: "equal",
    pb.REPLAY_VERDICT_OTHER_REASONS: "the same step, for other reasons",
    pb.REPLAY_VERDICT_DIFFERENT: "DIFFERENT",
    pb.REPLAY_VERDICT_NOT_REPEATABLE: "not made again",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon replay`."""
    parser.add_argument("call_id", metavar="CALL_ID", help="as `carillon records` shows it, or `last`")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print what came of each decision."""
    system = load(options.data)
    return asyncio.run(_run(system, system.tenant(options.tenant), options.call_id))


async def _run(system: System, tenant: str, call_id: str) -> int:
    if call_id == "last":
        call_id = await newest(system, tenant)
    async with system.channel("routing", tenant) as routing:
        question = RoutingServiceStub(routing).ReplayCall(pb.ReplayCallRequest(call_id=call_id), timeout=REPLAY_SECONDS)
        answer = await ask(question, "routing")
    print("\n".join(told(call_id, answer)))
    return 0 if answer.equal else 1


def told(call_id: str, answer: pb.ReplayCallResponse) -> list[str]:
    """A line a decision, and both where they differ."""
    lines = [f"Call {call_id}: {'equal' if answer.equal else 'not equal'}"]
    for number, each in enumerate(answer.decisions, 1):
        remark = f" ({each.remark})" if each.remark else ""
        step = step_text(each.step_then, json.loads(each.details_then))
        lines.append(f"{number}. configuration {each.config_seq}: {step}: {_WORDS.get(each.verdict, '?')}{remark}")
        if each.verdict in (pb.REPLAY_VERDICT_OTHER_REASONS, pb.REPLAY_VERDICT_DIFFERENT) and each.trace_now:
            lines += ["    then", *conditions(each.trace_then), "    now", *conditions(each.trace_now)]
            kind = each.step_now.WhichOneof("kind")
            details = MessageToDict(getattr(each.step_now, kind), preserving_proto_field_name=True) if kind else {}
            lines.append(f"    => {step_text(kind, details) if kind else 'waits in a queue'}")
    return lines


def conditions(trace: Iterable[TraceEntry]) -> list[str]:
    """A line a condition."""
    return trace_lines([TraceLine(subject=line.subject, matched=line.matched, reason=line.reason, next=line.next) for line in trace])
