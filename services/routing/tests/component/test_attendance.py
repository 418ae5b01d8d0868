"""Agents and members of hunt groups log in by code and by gRPC in the running service; what they did outlives it."""

import grpc
import grpc.aio
import pytest
from pydantic import SecretStr

from carillon.common.v1 import call_application_pb2 as pb
from carillon.common.v1.call_application_pb2_grpc import CallApplicationStub
from carillon.routing.v1 import hunt_groups_pb2, queues_pb2
from carillon.routing.v1.hunt_groups_pb2_grpc import HuntGroupControlServiceStub
from carillon.routing.v1.queues_pb2_grpc import QueueControlServiceStub
from carillon_contracts.streams import CALLS, CONFIG
from carillon_kit.auth import ADMIN, SERVICE, issue_token
from carillon_kit.bus import MemoryBus
from carillon_kit.grpc_client import channel
from carillon_kit.testing import postgres_dsn  # noqa: F401
from carillon_routing.adapters import postgres_facts
from carillon_routing.app import running
from carillon_routing.handlers import attendance, deciding
from carillon_routing.settings import RoutingSettings
from carillon_routing.testing import publish_company

KEY = "k" * 32
MEMBERS = [{"user_id": "anna"}, {"user_id": "ben"}, {"user_id": "carl", "permanent": True}]
COMPANY = {
    "tenant": {"id": "acme", "realm": "acme.example", "country": "CH", "language": "fr"},
    "users": [{"id": each, "last_name": each} for each in ("anna", "ben", "carl")],
    "hunt_groups": [{"id": "support", "strategy": "all_idle", "members": MEMBERS}],
    "agents": [{"id": "a1", "user_id": "anna"}],
    "queues": [{"id": "hotline", "members": [{"agent_id": "a1"}]}],
    "trunks": [{"id": "carrier", "address": "192.0.2.1"}],
    "numbers": [{"id": "+41215550100", "destination": {"hunt_group_id": "support"}}],
}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine may take its time."""
    for module, name in ((postgres_facts, "DATABASE_SECONDS"), (attendance, "DATABASE_SECONDS"), (deciding, "FACTS_SECONDS")):
        monkeypatch.setattr(module, name, 30.0)


class House:
    """The service through gRPC."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def step(self, call_id: str, dialled: str, user: str = "") -> pb.Step:
        """The first step of a call of a user, or of a carrier."""
        facts = pb.CallFacts(
            tenant_id="acme",
            call_id=call_id,
            direction=pb.DIRECTION_FROM_USER if user else pb.DIRECTION_INBOUND,
            caller_number="101" if user else "+41791112233",
            caller_user_id=user,
            dialled=dialled,
            trunk_id="" if user else "carrier",
        )
        async with channel(f"127.0.0.1:{self.port}", issue_token(KEY, "media", None, [SERVICE]), "acme") as link:
            request = pb.NextRequest(call=facts, outcome=pb.Outcome(entered=pb.Entered()))
            return (await CallApplicationStub(link).Next(request, timeout=60)).step

    async def rung(self, call_id: str) -> set[str]:
        """Who is rung by a call to the group."""
        return {target.user_id for target in (await self.step(call_id, "+41215550100")).ring.targets}

    def admin(self) -> grpc.aio.Channel:
        return channel(f"127.0.0.1:{self.port}", issue_token(KEY, "boss", "acme", [ADMIN]), "acme")

    async def agent(self) -> str:
        async with self.admin() as link:
            found = await QueueControlServiceStub(link).GetQueues(queues_pb2.GetQueuesRequest(), timeout=60)
        return str(found.agents[0].state)


@pytest.mark.feature("R-9", "R-10", "R-19")
async def test_who_logs_in_is_rung_also_after_a_restart(postgres_dsn: str) -> None:  # noqa: F811
    bus = MemoryBus()
    for stream in (CONFIG, CALLS):
        await bus.ensure_stream(stream)
    await publish_company(bus, COMPANY)
    settings = RoutingSettings(token_key=SecretStr(KEY), postgres_dsn=postgres_dsn, queues_up_seconds=60)
    async with running(settings, bus) as port:
        house = House(port)
        assert await house.rung("c1") == {"carl"}
        assert (await house.step("c2", "*45", "anna")).WhichOneof("kind") == "play"
        assert await house.rung("c3") == {"anna", "carl"}
        assert await house.agent() == "idle"
        await house.step("c4", "*47", "anna")
        assert await house.agent() == "paused"
    async with running(settings, bus) as port:
        house = House(port)
        assert await house.rung("c5") == {"anna", "carl"}
        assert await house.agent() == "paused"
        async with house.admin() as link:
            stub = HuntGroupControlServiceStub(link)
            log_in = hunt_groups_pb2.LogInMemberRequest(user_id="ben", hunt_group_id="support")
            (state,) = (await stub.LogInMember(log_in, timeout=60)).hunt_groups
            assert [(m.user_id, m.logged_in, m.HasField("changed_at")) for m in state.members] == [
                ("anna", True, True),
                ("ben", True, True),
                ("carl", True, False),
            ]
            since = (await stub.LogInMember(log_in, timeout=60)).hunt_groups[0].members[1].changed_at
            assert since == state.members[1].changed_at
            await stub.LogOutMember(hunt_groups_pb2.LogOutMemberRequest(user_id="anna"), timeout=60)
            assert await house.rung("c6") == {"ben", "carl"}
            for user, group, code in (
                ("carl", "support", grpc.StatusCode.INVALID_ARGUMENT),
                ("nobody", "", grpc.StatusCode.NOT_FOUND),
                ("anna", "none", grpc.StatusCode.NOT_FOUND),
            ):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await stub.LogOutMember(hunt_groups_pb2.LogOutMemberRequest(user_id=user, hunt_group_id=group), timeout=60)
                assert refused.value.code() == code
        await house.step("c7", "*45", "anna")
        assert await house.agent() == "idle", "logging in ends a pause"
        await house.step("c8", "*46", "anna")
        assert (await house.agent(), await house.rung("c9")) == ("logged_out", {"ben", "carl"})


@pytest.mark.feature("R-9")
async def test_without_a_database_nobody_can_log_in_and_all_members_are_rung() -> None:
    bus = MemoryBus()
    for stream in (CONFIG, CALLS):
        await bus.ensure_stream(stream)
    await publish_company(bus, COMPANY)
    async with running(RoutingSettings(token_key=SecretStr(KEY)), bus) as port:
        house = House(port)
        assert await house.rung("c1") == {"anna", "ben", "carl"}
        async with house.admin() as link:
            with pytest.raises(grpc.aio.AioRpcError) as away:
                await HuntGroupControlServiceStub(link).GetHuntGroups(hunt_groups_pb2.GetHuntGroupsRequest(), timeout=60)
            assert away.value.code() == grpc.StatusCode.UNAVAILABLE
