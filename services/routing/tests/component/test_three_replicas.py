"""Three processes of routing on one Postgres and one NATS, killed one after the other: limits, shares, queues and their events."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import grpc.aio
import pytest

from carillon.common.v1 import call_application_pb2 as pb
from carillon.common.v1.call_application_pb2_grpc import CallApplicationStub
from carillon.routing.v1 import hunt_groups_pb2, queues_pb2
from carillon.routing.v1.hunt_groups_pb2_grpc import HuntGroupControlServiceStub
from carillon.routing.v1.queues_pb2_grpc import QueueControlServiceStub
from carillon_contracts.call import CallEnded
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CALLS, CONFIG, QUEUES, call_subject
from carillon_kit.auth import ADMIN, SERVICE, issue_token
from carillon_kit.bus import Bus
from carillon_kit.clock import SystemClock
from carillon_kit.embedded import free_port
from carillon_kit.grpc_client import channel
from carillon_kit.testing import eventually, nats_url, postgres_dsn  # noqa: F401
from carillon_routing.testing import publish_company

KEY = "k" * 32
REPLICAS = 3
LIMIT = 7
#: What a slow machine may take for what takes milliseconds.
PATIENT = """
from carillon_routing.adapters import postgres_facts
from carillon_routing.handlers import attendance, deciding
from carillon_routing.handlers.floors import Floors
postgres_facts.DATABASE_SECONDS = attendance.DATABASE_SECONDS = deciding.FACTS_SECONDS = 30.0
Floors.execute.__defaults__ = (30.0,)
import runpy
runpy.run_module("carillon_routing", run_name="__main__")
"""
SHARES = [{"percent": 30, "next": "anna"}, {"percent": 70, "next": "ben"}]
NODES: list[dict[str, Any]] = [
    {"id": "few", "limit": {"max_calls": LIMIT, "within": "anna", "over": "ben"}},
    {"id": "anna", "destination": {"destination": {"user_id": "anna"}}},
    {"id": "ben", "destination": {"destination": {"user_id": "ben"}}},
]
COMPANY = {
    "tenant": {"id": "acme", "realm": "acme.example", "country": "CH", "language": "fr"},
    "users": [{"id": each, "last_name": each} for each in ("anna", "ben")],
    "agents": [{"id": "a1", "user_id": "anna"}, {"id": "a2", "user_id": "ben"}],
    "queues": [{"id": "hotline", "members": [{"agent_id": "a1"}, {"agent_id": "a2"}]}],
    "hunt_groups": [{"id": "support", "strategy": "all_idle", "members": [{"user_id": "anna"}]}],
    "trunks": [{"id": "carrier", "address": "192.0.2.1"}],
    "plans": [
        {"id": "limited", "entry": "few", "nodes": NODES},
        {"id": "shared", "entry": "s", "nodes": [{"id": "s", "split": {"shares": SHARES}}, *NODES[1:]]},
    ],
    "numbers": [
        {"id": "+41215550100", "destination": {"plan_id": "limited"}},
        {"id": "+41215550101", "destination": {"plan_id": "shared"}},
        {"id": "+41215550102", "destination": {"queue_id": "hotline"}},
    ],
}


class Replicas:
    """Processes by number; media asks one, and another one when it does not answer."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self.ports = [free_port() for _ in range(REPLICAS)]
        self.processes = [self._start(number) for number in range(REPLICAS)]

    def _start(self, number: int) -> "subprocess.Popen[bytes]":
        own = {"CARILLON_NODE": f"r{number}", "CARILLON_GRPC_LISTEN": f"127.0.0.1:{self.ports[number]}"}
        return subprocess.Popen([sys.executable, "-c", PATIENT], env={**self._environment, **own})

    def kill(self, number: int) -> None:
        """Without any farewell."""
        self.processes[number].kill()
        self.processes[number].wait(30)

    def link(self, number: int, role: Any = SERVICE) -> grpc.aio.Channel:
        """To one of them."""
        return channel(f"127.0.0.1:{self.ports[number]}", issue_token(KEY, "media", "acme" if role is ADMIN else None, [role]), "acme")

    async def next(self, number: int, call_id: str, dialled: str, cursor: bytes = b"") -> pb.NextResponse:
        """The step, from this one or the next that is alive."""
        facts = pb.CallFacts(
            tenant_id="acme",
            call_id=call_id,
            direction=pb.DIRECTION_INBOUND,
            caller_number="+41791112233",
            dialled=dialled,
            trunk_id="carrier",
        )
        outcome = pb.Outcome(wait=pb.WaitOutcome(end=pb.WAIT_END_TIMED_OUT)) if cursor else pb.Outcome(entered=pb.Entered())
        request = pb.NextRequest(call=facts, cursor=cursor, outcome=outcome)
        for attempt in range(2 * REPLICAS):
            async with self.link((number + attempt) % REPLICAS) as link:
                try:
                    return await CallApplicationStub(link).Next(request, timeout=60)
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
        raise AssertionError("no replica answers")


@pytest.fixture(scope="module")
def replicas(nats_url: str, postgres_dsn: str) -> Iterator[Replicas]:  # noqa: F811
    environment = {
        **os.environ,
        "CARILLON_NATS_URL": nats_url,
        "CARILLON_POSTGRES_DSN": postgres_dsn,
        "CARILLON_TOKEN_KEY": KEY,
        "CARILLON_QUEUES_UP_SECONDS": "60",
        "CARILLON_LOG_LEVEL": "ERROR",
    }
    found = Replicas(environment)
    yield found
    for process in found.processes:
        process.kill()
        process.wait(30)


@pytest.fixture
async def bus(nats_url: str, replicas: Replicas) -> AsyncIterator[Bus]:  # noqa: F811
    """The company is known to every replica, and all are up."""
    async with await Bus.connect(nats_url, "test") as bus:
        for stream in (CONFIG, CALLS, QUEUES):
            await bus.ensure_stream(stream)
        await publish_company(bus, COMPANY)

        async def knows(number: int) -> bool:
            try:
                async with replicas.link(number, ADMIN) as link:
                    stub = QueueControlServiceStub(link)
                    return bool((await stub.GetQueues(queues_pb2.GetQueuesRequest(), timeout=60, wait_for_ready=True)).queues)
            except grpc.aio.AioRpcError:
                return False

        for number, process in enumerate(replicas.processes):
            if process.poll() is None:
                await eventually(lambda number=number: knows(number))  # type: ignore[misc]
        yield bus


@pytest.mark.feature("R-16", "R-26")
async def test_a_limit_and_shares_are_exact_while_one_of_three_replicas_is_killed(replicas: Replicas, bus: Bus) -> None:
    answered, numbers = asyncio.Semaphore(0), ("+41215550100", "+41215550101")

    async def one(number: int, dialled: str) -> tuple[str, str]:
        step = (await replicas.next(number % REPLICAS, f"{dialled}-{number}", dialled)).step
        answered.release()
        return dialled, str(step.ring.targets[0].user_id)

    async def killer() -> None:
        for _ in range(20):
            await answered.acquire()
        await asyncio.to_thread(replicas.kill, 1)

    *found, _ = await asyncio.gather(*(one(number, dialled) for number in range(30) for dialled in numbers), killer())
    rung = Counter(each for each in found if each is not None)
    assert {dialled: rung[dialled, "anna"] for dialled in numbers} == {"+41215550100": LIMIT, "+41215550101": 9}


async def over(bus: Bus, call_id: str) -> None:
    data = CallEnded(cause="normal_clearing", by="caller")
    event = Event(
        id=uuid4(),
        source="test",
        type=f"carillon.{data.TYPE}",
        subject=call_id,
        time=SystemClock().now(),
        data=data.model_dump(mode="json"),
        tenantid="acme",
        callid=call_id,
    )
    await bus.publish(CALLS.name, call_subject("acme", call_id, "ended"), event.to_json(), str(event.id))


async def published(bus: Bus, kinds: tuple[str, ...]) -> list[Event]:
    """What a tenant's subscriber has seen, up to a mark that is set now."""
    mark = f"carillon.acme.queue.mark.{uuid4().hex}"
    await bus.publish(QUEUES.name, mark, b"", mark)
    found = []
    async for message in bus.follow(QUEUES.name, "carillon.acme.>"):
        if message.subject == mark:
            break
        if ".mark." not in message.subject:
            found.append(Event.from_json(message.data))
    return [event for event in found if event.type.split(".")[1] in kinds]


class Watcher:
    """Who watches the hotline at one replica."""

    def __init__(self, replicas: Replicas, number: int) -> None:
        self.seen: list[queues_pb2.QueueState] = []
        self.ended: grpc.StatusCode | None = None
        self.task = asyncio.ensure_future(self._watch(replicas, number))

    async def _watch(self, replicas: Replicas, number: int) -> None:
        async with replicas.link(number, ADMIN) as link:
            try:
                async for state in QueueControlServiceStub(link).WatchQueues(queues_pb2.WatchQueuesRequest(queue_id="hotline")):
                    self.seen.append(state.queues[0])
            except grpc.aio.AioRpcError as error:
                self.ended = error.code()

    def saw(self, doing: str, count: int) -> bool:
        """Whether so many callers were in this state at once."""
        return any(sum(caller.state == doing for caller in state.callers) == count for state in self.seen)


@pytest.mark.feature("R-9", "R-10")
async def test_every_fact_of_queue_and_group_is_told_once_though_a_replica_is_killed(replicas: Replicas, bus: Bus) -> None:
    calls = [f"queued{number}" for number in range(9)]
    first = await asyncio.gather(*(replicas.next(number % REPLICAS, call_id, "+41215550102") for number, call_id in enumerate(calls)))
    assert {step.step.WhichOneof("kind") for step in first} == {"wait"}
    watchers = Watcher(replicas, 0), Watcher(replicas, 2)
    await eventually(lambda: all(watcher.saw("waiting", 9) for watcher in watchers))
    async with replicas.link(0, ADMIN) as link:
        agents, group = QueueControlServiceStub(link), HuntGroupControlServiceStub(link)
        for agent_id in ("a1", "a2", "a1"):
            await agents.LogInAgent(queues_pb2.LogInAgentRequest(agent_id=agent_id), timeout=60)
        for _ in range(2):
            await group.LogInMember(hunt_groups_pb2.LogInMemberRequest(hunt_group_id="support", user_id="anna"), timeout=60)
    await eventually(lambda: all(watcher.saw("offered", 2) for watcher in watchers))
    replicas.kill(0)
    for call_id in calls:
        await over(bus, call_id)

    async def all_left() -> bool:
        return sum(event.type.endswith("caller_left.v1") for event in await published(bus, ("queue",))) >= len(calls)

    await eventually(all_left)
    await eventually(lambda: watchers[0].ended is grpc.StatusCode.UNAVAILABLE)
    await eventually(lambda: not watchers[1].seen[-1].callers)
    assert watchers[1].ended is None
    watchers[1].task.cancel()
    told = await published(bus, ("queue", "agent"))
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    facts = Counter((event.callid or event.subject, event.type.split(".")[2]) for event in told)
    assert all(facts[call_id, "caller_joined"] == facts[call_id, "caller_left"] == 1 for call_id in calls)
    assert facts["agents/a1", "logged_in"] == facts["agents/a2", "logged_in"] == 1
    groups = await published(bus, ("hunt_group",))
    assert [(event.seq, event.type, event.data["user_id"]) for event in groups] == [(1, "carillon.hunt_group.member_logged_in.v1", "anna")]
