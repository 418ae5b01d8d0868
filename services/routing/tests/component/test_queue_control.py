"""Who sees to which queue, through gRPC in the running service; and a caller whom a supervisor puts into another queue."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from pydantic import SecretStr

from carillon.common.v1 import call_application_pb2 as app
from carillon.common.v1.call_application_pb2_grpc import CallApplicationStub
from carillon.routing.v1 import queues_pb2 as pb
from carillon.routing.v1.queues_pb2_grpc import QueueControlServiceStub
from carillon_contracts.streams import CALLS, CONFIG
from carillon_kit.auth import ADMIN, DEPARTMENT_ADMIN, SERVICE, USER, issue_token
from carillon_kit.bus import MemoryBus
from carillon_kit.grpc_client import channel
from carillon_kit.testing import postgres_dsn  # noqa: F401
from carillon_routing.app import running
from carillon_routing.handlers.floors import Floors
from carillon_routing.settings import RoutingSettings
from carillon_routing.testing import publish_company

pytestmark = pytest.mark.feature("R-10", "P-3")
KEY = "k" * 32
USERS = ("anna", "ben", "carl", "boss", "stranger")
COMPANY: dict[str, Any] = {
    "tenant": {"id": "acme", "realm": "acme.example", "country": "CH", "language": "en"},
    "departments": [{"id": "trade"}, {"id": "shop", "parent_id": "trade"}, {"id": "works"}],
    "users": [{"id": each, "last_name": each} for each in USERS],
    "agents": [{"id": f"{each}-agent", "user_id": each} for each in ("anna", "ben", "carl")],
    "queues": [
        {"id": "shop", "department_id": "shop", "members": [{"agent_id": "anna-agent"}], "announcements": {"welcome": [{"text": "Shop"}]}},
        {
            "id": "works",
            "department_id": "works",
            "members": [{"agent_id": "ben-agent"}],
            "announcements": {"welcome": [{"text": "Works"}]},
        },
        {"id": "all", "members": [{"agent_id": "carl-agent"}]},
    ],
    "supervisions": [{"id": "floor", "supervisor_user_ids": ["boss"], "queue_ids": ["works", "all"]}],
    "trunks": [{"id": "carrier", "address": "192.0.2.1"}],
    "numbers": [{"id": "+41215550100", "destination": {"queue_id": "shop"}}],
}
#: Another tenant, with the same ids and numbers.
TWIN = {**COMPANY, "tenant": {**COMPANY["tenant"], "id": "twin", "realm": "twin.example"}}
#: Roles and department of who asks.
WHO: dict[str, tuple[str, str]] = {
    "chief": (str(ADMIN), ""),
    "head": (str(DEPARTMENT_ADMIN), "trade"),
    "boss": (str(USER), ""),
    "anna": (str(USER), ""),
    "stranger": (str(USER), ""),
}
EVERY = {"shop", "works", "all"}


class House:
    """The service, asked by whom you like."""

    def __init__(self, port: int) -> None:
        self.port = port

    def link(self, who: str, tenant: str = "acme") -> grpc.aio.Channel:
        role, department = WHO[who]
        return channel(f"127.0.0.1:{self.port}", issue_token(KEY, f"user/{who}", tenant, [role], department=department), tenant)

    async def ask(self, who: str, rpc: str, request: Any, tenant: str = "acme") -> Any:
        async with self.link(who, tenant) as link:
            return await getattr(QueueControlServiceStub(link), rpc)(request, timeout=60)

    async def call(self, call_id: str, cursor: bytes = b"", tenant: str = "acme") -> app.NextResponse:
        """The next step of a caller from outside."""
        facts = app.CallFacts(
            tenant_id=tenant,
            call_id=call_id,
            direction=app.DIRECTION_INBOUND,
            caller_number="+41791112233",
            dialled="+41215550100",
            trunk_id="carrier",
        )
        outcome = app.Outcome(wait=app.WaitOutcome(end=app.WAIT_END_SIGNALLED)) if cursor else app.Outcome(entered=app.Entered())
        async with channel(f"127.0.0.1:{self.port}", issue_token(KEY, "media", None, [SERVICE]), tenant) as link:
            stub = CallApplicationStub(link)
            if cursor:
                signal = app.AwaitRequest(call=facts, cursor=cursor)
                while not (await stub.Await(signal, timeout=60)).signalled:
                    pass
            return await stub.Next(app.NextRequest(call=facts, cursor=cursor, outcome=outcome), timeout=60)


@contextmanager
def refused(code: grpc.StatusCode) -> Iterator[None]:
    with pytest.raises(grpc.aio.AioRpcError) as found:
        yield
    assert found.value.code() is code, found.value.details()


@pytest.fixture
async def house(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:  # noqa: F811
    monkeypatch.setattr(Floors.execute, "__defaults__", (30.0,))
    bus = MemoryBus()
    for stream in (CONFIG, CALLS):
        await bus.ensure_stream(stream)
    await publish_company(bus, COMPANY)
    await publish_company(bus, TWIN)
    async with running(RoutingSettings(token_key=SecretStr(KEY), postgres_dsn=postgres_dsn, queues_up_seconds=60), bus) as port:
        yield House(port)


async def test_each_sees_and_does_what_is_theirs(house: House) -> None:
    sees = {"chief": EVERY, "head": {"shop"}, "boss": {"works", "all"}}
    agents = {"chief": {"anna-agent", "ben-agent", "carl-agent"}, "head": {"anna-agent"}, "boss": {"ben-agent", "carl-agent"}}
    for who, theirs in sees.items():
        found = await house.ask(who, "GetQueues", pb.GetQueuesRequest())
        assert {queue.queue_id for queue in found.queues} == theirs
        assert {agent.agent_id for agent in found.agents} == agents[who]
    for who in WHO:
        for queue_id in EVERY - sees.get(who, set()):
            with refused(grpc.StatusCode.PERMISSION_DENIED):
                await house.ask(who, "GetQueues", pb.GetQueuesRequest(queue_id=queue_id))
    for who in ("anna", "stranger"):
        with refused(grpc.StatusCode.PERMISSION_DENIED):
            await house.ask(who, "GetQueues", pb.GetQueuesRequest())
    with refused(grpc.StatusCode.NOT_FOUND):
        await house.ask("boss", "GetQueues", pb.GetQueuesRequest(queue_id="none"))
    agents["anna"], requests = {"anna-agent"}, (pb.LogInAgentRequest, pb.PauseAgentRequest, pb.ResumeAgentRequest, pb.LogOutAgentRequest)
    for who in WHO:
        for agent_id in ("anna-agent", "ben-agent", "carl-agent"):
            for request in requests:
                rpc = request.__name__.removesuffix("Request")
                if agent_id in agents.get(who, set()):
                    assert (await house.ask(who, rpc, request(agent_id=agent_id))).agent.agent_id == agent_id
                else:
                    with refused(grpc.StatusCode.PERMISSION_DENIED):
                        await house.ask(who, rpc, request(agent_id=agent_id))


async def test_a_caller_is_moved_and_let_go_by_who_sees_to_the_queue(house: House) -> None:
    step = await house.call("c1")
    assert [prompt.speech.text for prompt in step.step.wait.prompts] == ["Shop"]
    for who, request in (
        ("boss", pb.RankCallerRequest(call_id="c1", priority=9)),  # The caller is in another's queue.
        ("head", pb.RankCallerRequest(call_id="c1", queue_id="works")),  # It would be.
        ("anna", pb.RankCallerRequest(call_id="c1", priority=9)),
    ):
        with refused(grpc.StatusCode.PERMISSION_DENIED):
            await house.ask(who, "RankCaller", request)
    with refused(grpc.StatusCode.PERMISSION_DENIED):
        await house.ask("boss", "ReleaseCaller", pb.ReleaseCallerRequest(call_id="c1"))
    with refused(grpc.StatusCode.NOT_FOUND):
        await house.ask("boss", "ReleaseCaller", pb.ReleaseCallerRequest(call_id="nobody"))
    await house.ask("head", "RankCaller", pb.RankCallerRequest(call_id="c1", priority=7))
    await house.ask("chief", "RankCaller", pb.RankCallerRequest(call_id="c1", queue_id="works"))
    async with asyncio.timeout(60):
        moved = await house.call("c1", step.cursor)
    assert [prompt.speech.text for prompt in moved.step.wait.prompts] == ["Works"]
    assert [(place.queue_id, place.position, place.priority) for place in moved.queues] == [("works", 1, 7)]
    (works, _) = sorted((await house.ask("boss", "GetQueues", pb.GetQueuesRequest())).queues, key=lambda each: -each.waiting)
    assert [(caller.call_id, caller.priority) for caller in works.callers] == [("c1", 7)]
    await house.ask("boss", "ReleaseCaller", pb.ReleaseCallerRequest(call_id="c1"))
    async with asyncio.timeout(60):
        assert (await house.call("c1", moved.cursor)).step.WhichOneof("kind") == "hang_up"


async def test_a_caller_who_is_moved_and_let_go_before_media_asks_leaves_the_queue_that_it_was_moved_to(house: House) -> None:
    step = await house.call("c3")
    await house.ask("chief", "RankCaller", pb.RankCallerRequest(call_id="c3", queue_id="works"))
    await house.ask("boss", "ReleaseCaller", pb.ReleaseCallerRequest(call_id="c3"))
    async with asyncio.timeout(60):
        gone = await house.call("c3", step.cursor)
    assert [(place.queue_id, place.left) for place in gone.queues] == [("works", "removed")]


@pytest.mark.feature("R-23")
async def test_a_tenant_with_the_same_ids_sees_and_moves_nobody_of_another(house: House) -> None:
    async def waiting(tenant: str) -> list[str]:
        found = await house.ask("chief", "GetQueues", pb.GetQueuesRequest(), tenant)
        return [caller.call_id for queue in found.queues for caller in queue.callers]

    await house.call("c1")
    assert (await waiting("acme"), await waiting("twin")) == (["c1"], [])
    for rpc, request in (
        ("RankCaller", pb.RankCallerRequest(call_id="c1", priority=9)),
        ("ReleaseCaller", pb.ReleaseCallerRequest(call_id="c1")),
    ):
        with refused(grpc.StatusCode.NOT_FOUND):
            await house.ask("chief", rpc, request, "twin")
    await house.call("c1", tenant="twin")
    await house.ask("chief", "ReleaseCaller", pb.ReleaseCallerRequest(call_id="c1"), "twin")
    assert await waiting("acme") == ["c1"]
    await house.ask("chief", "LogInAgent", pb.LogInAgentRequest(agent_id="anna-agent"), "twin")
    agents = (await house.ask("chief", "GetQueues", pb.GetQueuesRequest())).agents
    assert {agent.state for agent in agents} == {"logged_out"}
    await house.ask("chief", "ReleaseCaller", pb.ReleaseCallerRequest(call_id="c1"))


async def test_a_watcher_hears_of_their_queues_and_is_sent_away_from_others(house: House) -> None:
    for who, queue_id in (("head", "works"), ("anna", ""), ("stranger", "")):
        async with house.link(who) as link:
            with refused(grpc.StatusCode.PERMISSION_DENIED):
                await QueueControlServiceStub(link).WatchQueues(pb.WatchQueuesRequest(queue_id=queue_id), timeout=60).read()
    async with house.link("head") as link:
        stream: Any = QueueControlServiceStub(link).WatchQueues(pb.WatchQueuesRequest(), timeout=60)
        seen = await stream.read()
        assert [(queue.queue_id, queue.waiting) for queue in seen.queues] == [("shop", 0)]
        await house.call("c2")
        while not (seen := await stream.read()).queues[0].waiting:
            pass
        assert {agent.agent_id for agent in seen.agents} == {"anna-agent"}
        stream.cancel()
