"""`carillon queues`: who waits and who answers, now; agents log in, out, pause and resume; callers are moved and let go."""

import argparse
import asyncio

from carillon.routing.v1 import queues_pb2 as pb
from carillon.routing.v1.queues_pb2_grpc import QueueControlServiceStub
from carillon_cli.render.tables import table
from carillon_cli.system import RPC_SECONDS, ask, load, system_arguments

VERBS = {
    "login": (pb.LogInAgentRequest, "LogInAgent"),
    "logout": (pb.LogOutAgentRequest, "LogOutAgent"),
    "pause": (pb.PauseAgentRequest, "PauseAgent"),
    "resume": (pb.ResumeAgentRequest, "ResumeAgent"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `carillon queues`."""
    parser.add_argument("verb", nargs="?", choices=("show", *VERBS, "rank", "release"), default="show", help="default: show")
    parser.add_argument("who", nargs="*", metavar="AGENT|CALL_ID", help="the agents, or the callers, that it is about")
    parser.add_argument("--reason", default="", help="of a pause")
    parser.add_argument("--priority", type=int, help="0 to 9, for rank")
    parser.add_argument("--queue", default="", help="only this queue; for rank: the queue to move to")
    system_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Do it and show the state."""
    asyncio.run(_run(options))
    return 0


async def _run(options: argparse.Namespace) -> None:
    system = load(options.data)
    async with system.channel("routing", system.tenant(options.tenant)) as routing:
        service = QueueControlServiceStub(routing)
        for who in options.who:
            await ask(_verb(service, options, who), "routing")
        moved = options.verb == "rank"
        state = await ask(service.GetQueues(pb.GetQueuesRequest(queue_id="" if moved else options.queue), timeout=RPC_SECONDS), "routing")
    print("\n".join(shown(state)))


def _verb(service: QueueControlServiceStub, options: argparse.Namespace, who: str):  # type: ignore[no-untyped-def]
    if options.verb == "rank":
        request = pb.RankCallerRequest(call_id=who, queue_id=options.queue, priority=options.priority)
        return service.RankCaller(request, timeout=RPC_SECONDS)
    if options.verb == "release":
        return service.ReleaseCaller(pb.ReleaseCallerRequest(call_id=who), timeout=RPC_SECONDS)
    if options.verb == "pause":
        return service.PauseAgent(pb.PauseAgentRequest(agent_id=who, reason=options.reason), timeout=RPC_SECONDS)
    make, name = VERBS.get(options.verb, VERBS["resume"])
    return getattr(service, name)(make(agent_id=who), timeout=RPC_SECONDS)


def shown(state: pb.GetQueuesResponse) -> list[str]:
    """A table of callers, and one of agents."""
    callers = [
        (queue.queue_id, each.position or "", each.number or "withheld", each.priority, each.state, ",".join(each.agent_ids), each.call_id)
        for queue in state.queues
        for each in queue.callers
    ]
    agents = [(each.agent_id, each.state, each.pause_reason, each.calls, each.missed, each.call_id) for each in state.agents]
    heads = [f"{q.queue_id}: {q.waiting} waiting, {q.agents_logged_in} agents logged in, {q.answered} answered" for q in state.queues]
    found = table(("queue", "place", "caller", "priority", "state", "agents", "call"), callers) if callers else []
    return [*heads, "", *found, "", *table(("agent", "state", "pause", "calls", "missed", "call"), agents)]
