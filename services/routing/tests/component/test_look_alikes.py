"""Two tenants with the same ids and numbers: nothing of one is in a decision, trace or simulation of the other."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from pydantic import SecretStr

from carillon.common.v1 import call_application_pb2 as pb
from carillon.common.v1.call_application_pb2_grpc import CallApplicationStub
from carillon.routing.v1 import routing_pb2
from carillon.routing.v1.routing_pb2_grpc import RoutingServiceStub
from carillon_contracts.streams import CALLS, CONFIG
from carillon_kit.auth import OPERATOR, issue_token
from carillon_kit.bus import MemoryBus
from carillon_kit.grpc_client import channel
from carillon_routing.app import running
from carillon_routing.settings import RoutingSettings
from carillon_routing.testing import publish_company

pytestmark = pytest.mark.feature("R-23", "P-3")
KEY = "k" * 32
NUMBER, OWN = "+41215550100", "+41215550101"


def company(mark: str, digit: str) -> dict[str, Any]:
    """All that a person reads or a phone is given bears the mark; ids and numbers are the same for every tenant."""
    says = [{"text": f"{mark} speaks", "language": "en"}]
    rules = [{"id": name, "last_name": f"{mark}-{name}", "ring_seconds": 2 * int(digit) + 10} for name in ("anna", "ben")]
    rules[0]["forwarding"] = {"no_answer": {"external_number": f"+4179000000{digit}"}}  # type: ignore[assignment]
    plan = {"id": "p", "entry": "ask", "nodes": [
        {"id": "ask", "menu": {"menu_id": "m", "keys": [{"key": "1", "next": "split"}]}},
        {"id": "split", "split": {"shares": [{"percent": 50, "next": "group"}, {"percent": 50, "next": "group"}]}},
        {"id": "group", "ring_group": {"ring_group_id": "g", "ways": {"otherwise": "end"}}},
        {"id": "end", "announcement": {"announcements": says}},
    ]}  # fmt: skip
    return {
        "tenant": {"id": mark, "realm": f"{mark}.example", "country": "CH", "language": "en", "main_number": NUMBER},
        "users": rules,
        "extensions": [{"id": "101", "destination": {"user_id": "anna"}}, {"id": "102", "destination": {"user_id": "ben"}}],
        "trunks": [{"id": "carrier", "address": f"192.0.2.{digit}"}],
        "mailboxes": [{"id": "main"}],
        "menus": [{"id": "m", "prompt": says, "keys": [{"key": "2", "destination": {"mailbox_id": "main"}}]}],
        "ring_groups": [{"id": "g", "members": [{"user_id": "ben"}, {"external_number": f"+4179000000{digit}"}]}],
        "plans": [plan],
        "plan_drafts": [{**plan, "id": "d", "plan_id": "p"}],
        "plan_tests": [{"id": f"t-{mark}", "plan_id": "p", "dialled": NUMBER, "at": "2026-01-06T10:00", "reaches": {"user_id": "ben"}}],
        "numbers": [{"id": NUMBER, "destination": {"plan_id": "p"}}, {"id": OWN, "destination": {"user_id": "anna"}}],
    }


TENANTS = {"acme": ("acme", "1"), "evil": ("evil", "7")}


class Tenant:
    """Asks as one of the two, and hears what must not be heard."""

    def __init__(self, name: str, link: Any) -> None:
        self.name = name
        mark, digit = next(each for tenant, each in TENANTS.items() if tenant != name)
        self.foreign = (mark, f"+4179000000{digit}", f"192.0.2.{digit}")
        self.calls: Any = CallApplicationStub(link)
        self.routing: Any = RoutingServiceStub(link)

    def own(self, answer: Message) -> str:
        """The answer as text, in which nothing is the other tenant's."""
        text = MessageToJson(answer) + getattr(answer, "inputs", b"").decode()
        assert not [each for each in self.foreign if each in text], text
        return text

    async def follow(self, dialled: str, *outcomes: pb.Outcome, user: str = "") -> list[str]:
        direction = pb.DIRECTION_FROM_USER if user else pb.DIRECTION_INBOUND
        call = pb.CallFacts(
            tenant_id=self.name,
            call_id="c1",
            direction=direction,
            dialled=dialled,
            caller_user_id=user,
            caller_number="101" if user else "",
        )
        texts, cursor = [], b""
        for outcome in (pb.Outcome(entered=pb.Entered()), *outcomes):
            answer = await self.calls.Next(pb.NextRequest(call=call, cursor=cursor, outcome=outcome))
            texts.append(self.own(answer))
            cursor = answer.cursor
        return texts


@pytest.fixture
async def tenants() -> AsyncIterator[list[Tenant]]:
    bus = MemoryBus()
    for stream in (CONFIG, CALLS):
        await bus.ensure_stream(stream)
    for mark, digit in TENANTS.values():
        await publish_company(bus, company(mark, digit))
    token = issue_token(KEY, "test", None, [OPERATOR])
    async with running(RoutingSettings(token_key=SecretStr(KEY)), bus) as port:
        links = [channel(f"127.0.0.1:{port}", token, name) for name in TENANTS]
        yield [Tenant(name, link) for name, link in zip(TENANTS, links, strict=True)]
        for link in links:
            await link.close(None)


NOBODY = pb.Outcome(ring=pb.RingOutcome(result=pb.RING_RESULT_NO_ANSWER))
ONE = pb.Outcome(gather=pb.GatherOutcome(digits="1"))


async def test_decisions_and_traces_are_the_tenants_own(tenants: list[Tenant]) -> None:
    for tenant in tenants * 2:
        digit = TENANTS[tenant.name][1]
        menu, group, end = await tenant.follow(NUMBER, ONE, NOBODY)
        assert f"{tenant.name} speaks" in menu
        assert f"+4179000000{digit}" in group
        assert f"{tenant.name} speaks" in end
        rings, forwarded = await tenant.follow(OWN, NOBODY)
        assert f'"stop_after_ms": {(2 * int(digit) + 10) * 1000}' in rings or f'"stopAfterMs": {(2 * int(digit) + 10) * 1000}' in rings
        assert f"+4179000000{digit}" in forwarded
        (inside,) = await tenant.follow("102", user="anna")
        assert f"{tenant.name}-anna" in inside


async def test_a_cursor_of_one_tenant_is_answered_from_the_other_ones_configuration_alone(tenants: list[Tenant]) -> None:
    mine, other = tenants
    call = pb.CallFacts(tenant_id=mine.name, call_id="c1", direction=pb.DIRECTION_INBOUND, dialled=NUMBER)
    answer = await mine.calls.Next(pb.NextRequest(call=call, outcome=pb.Outcome(entered=pb.Entered())))
    call.tenant_id = other.name
    other.own(await other.calls.Next(pb.NextRequest(call=call, cursor=answer.cursor, outcome=ONE)))


async def test_simulations_and_tests_of_plans_are_the_tenants_own(tenants: list[Tenant]) -> None:
    for tenant in tenants:
        for draft in ("", "d"):
            request = routing_pb2.SimulateRequest(dialled=NUMBER, keys=["1"], results={"ben": "busy"}, plan_draft_id=draft)
            text = tenant.own(await tenant.routing.Simulate(request))
            assert f"+4179000000{TENANTS[tenant.name][1]}" in text
            tested = await tenant.routing.TestPlan(routing_pb2.TestPlanRequest(plan_id="p", plan_draft_id=draft))
            assert [each.plan_test_id for each in tested.results] == [f"t-{tenant.name}"]
            tenant.own(tested)
