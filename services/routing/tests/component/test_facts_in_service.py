"""Limits in the running service: counted in its database, given back by call events, and let through without it."""

from itertools import count
from uuid import UUID

import pytest
from pydantic import SecretStr

from carillon.common.v1 import call_application_pb2 as pb
from carillon.common.v1.call_application_pb2_grpc import CallApplicationStub
from carillon_contracts.call import CallEnded
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CALLS, CONFIG, call_subject
from carillon_kit.auth import SERVICE, issue_token
from carillon_kit.bus import Bus, MemoryBus
from carillon_kit.clock import SystemClock
from carillon_kit.grpc_client import channel
from carillon_kit.testing import eventually, postgres_dsn  # noqa: F401
from carillon_routing.adapters import postgres_facts
from carillon_routing.app import running
from carillon_routing.handlers import deciding
from carillon_routing.settings import RoutingSettings
from carillon_routing.testing import publish_company

pytestmark = pytest.mark.feature("R-16")
KEY = "k" * 32
PLAN = {
    "id": "p",
    "entry": "few",
    "nodes": [
        {"id": "few", "limit": {"max_calls": 2, "within": "ring", "over": "end"}},
        {"id": "ring", "destination": {"destination": {"user_id": "anna"}}},
        {"id": "end", "destination": {"destination": {"hang_up": "busy"}}},
    ],
}
COMPANY = {
    "tenant": {"id": "acme", "realm": "acme.example", "country": "CH", "language": "fr"},
    "users": [{"id": "anna", "last_name": "Anna"}],
    "trunks": [{"id": "carrier", "address": "192.0.2.1"}],
    "plans": [PLAN],
    "numbers": [{"id": "+41215550100", "destination": {"plan_id": "p"}}],
}


async def configured() -> MemoryBus:
    bus = MemoryBus()
    for stream in (CONFIG, CALLS):
        await bus.ensure_stream(stream)
    await publish_company(bus, COMPANY)
    return bus


async def ended(bus: Bus, number: int, call_id: str) -> None:
    data = CallEnded(cause="normal_clearing", by="caller")
    event = Event(
        id=UUID(int=1000 + number),
        source="test",
        type=f"carillon.{data.TYPE}",
        subject="x",
        time=SystemClock().now(),
        data=data.model_dump(mode="json"),
        tenantid="acme",
        callid=call_id,
    )
    await bus.publish(CALLS.name, call_subject("acme", call_id, "ended"), event.to_json(), str(event.id))


async def step(port: int, call_id: str) -> str:
    return str((await entered(port, call_id)).step.WhichOneof("kind"))


async def entered(port: int, call_id: str, cursor: bytes = b"", dialled: str = "+41215550100", **arguments: str) -> pb.NextResponse:
    facts = pb.CallFacts(
        tenant_id="acme",
        call_id=call_id,
        direction=pb.DIRECTION_INBOUND,
        caller_number="+41791112233",
        dialled=dialled,
        trunk_id="carrier",
    )
    async with channel(f"127.0.0.1:{port}", issue_token(KEY, "media", None, [SERVICE]), "acme") as link:
        request = pb.NextRequest(call=facts, cursor=cursor, outcome=pb.Outcome(entered=pb.Entered(arguments=arguments)))
        return await CallApplicationStub(link).Next(request, timeout=30)


async def test_a_limit_holds_until_a_call_ends(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    for module, name in ((postgres_facts, "DATABASE_SECONDS"), (deciding, "FACTS_SECONDS")):
        monkeypatch.setattr(module, name, 30.0)
    bus = await configured()
    settings = RoutingSettings(token_key=SecretStr(KEY), postgres_dsn=postgres_dsn, queues_up_seconds=60)
    async with running(settings, bus) as port:
        assert [await step(port, call_id) for call_id in ("c1", "c2", "c3", "c1")] == ["ring", "ring", "hang_up", "ring"]
        await ended(bus, 1, "c1")

        late = (f"late{n}" for n in count())

        async def free() -> bool:
            return await step(port, next(late)) == "ring"

        await eventually(free)
        assert await step(port, "c5") == "hang_up"
        rings = await entered(port, "c2")
        # Who was called sends the caller away, to the same number: the place is given back and taken again.
        again = await entered(port, "c2", rings.cursor, transferred_by="anna")
        assert again.step.WhichOneof("kind") == "ring"
        assert await step(port, "c6") == "hang_up"
        kept = await entered(port, "c2", again.cursor, transferred_by="anna", sent_by="caller")
        assert [line.subject for line in kept.trace if "given back" in line.reason] == []
        assert [line.subject for line in again.trace if "given back" in line.reason] == ["counter p/few"]
        # Who is sent where nobody is gives the place back, and is like any other caller afterwards.
        nowhere = await entered(port, "c2", kept.cursor, "+41215550199", transferred_by="anna")
        assert (nowhere.step.WhichOneof("kind"), nowhere.cursor) == ("hang_up", b"")
        assert await step(port, "c7") == "ring"
        back = await entered(port, "c2", nowhere.cursor, transferred_by="anna")
        assert back.step.WhichOneof("kind") == "hang_up"


async def test_without_a_database_every_call_is_let_through() -> None:
    async with running(RoutingSettings(token_key=SecretStr(KEY)), await configured()) as port:
        assert [await step(port, f"c{n}") for n in range(4)] == ["ring"] * 4
