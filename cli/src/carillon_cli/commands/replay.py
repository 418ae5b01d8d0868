"""`carillon replay CALL`: the decisions of a past call made again with the configuration of its time; exit code 1 when one differs.

With --config-seq or --draft, instead: the call's way with the configuration of its time and with that one; exit code 1 when it would go
elsewhere.
"""

import argparse
import asyncio
import json
from collections.abc import Iterable
from itertools import takewhile

from google.protobuf.json_format import MessageToDict

from carillon.common.v1.call_application_pb2 import TraceEntry
from carillon.routing.v1 import routing_pb2 as pb
from carillon.routing.v1.routing_pb2_grpc import RoutingServiceStub
from carillon_cli.commands.explain import named
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
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--config-seq", type=int, default=0, metavar="VERSION", help="instead: its way then, and with that version")
    other.add_argument("--draft", default="", help="instead: its way then, and with this draft in its plan's place now")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print what came of each decision."""
    system = load(options.data)
    return asyncio.run(_run(system, system.tenant(options.tenant), options))


async def _run(system: System, tenant: str, options: argparse.Namespace) -> int:
    call_id = await named(system, tenant, options.call_id)
    request = pb.ReplayCallRequest(call_id=call_id)
    if options.config_seq:
        request.config_seq = options.config_seq
    elif options.draft:
        request.plan_draft_id = options.draft
    async with system.channel("routing", tenant) as routing:
        question = RoutingServiceStub(routing).ReplayCall(request, timeout=REPLAY_SECONDS)
        answer = await ask(question, "routing")
    if answer.others:
        print("\n".join(line for each in answer.others for line in elsewhere(each)))
        return 1 if any(each.elsewhere for each in answer.others) else 0
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


def elsewhere(course: pb.OtherCourse) -> list[str]:
    """Both ways, and the reasons from where they part."""
    then, other = f"version {course.config_seq_then}", f"the other ({course.config_seq_other})"
    lines = [f"{'ELSEWHERE' if course.elsewhere else 'the same way'}", f"  {then}: {' -> '.join(course.then)}"]
    lines.append(f"  {other}: {' -> '.join(course.other)}")
    if not course.elsewhere:
        return lines
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(course.then, course.other, strict=False)))
    for name, turns in ((then, course.turns_then), (other, course.turns_other)):
        lines += [f"  step {same + 1} by {name}:", *(line for turn in turns[same : same + 1] for line in conditions(turn.trace))]
    return lines


def conditions(trace: Iterable[TraceEntry]) -> list[str]:
    """A line a condition."""
    return trace_lines([TraceLine(subject=line.subject, matched=line.matched, reason=line.reason, next=line.next) for line in trace])
