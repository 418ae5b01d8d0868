"""An admin watches numbers: their calls are told as they happen, nobody else's, and not for ever."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import grpc
import pytest
from pydantic import SecretStr

from carillon.routing.v1 import explain_pb2 as pb
from carillon.routing.v1.explain_pb2_grpc import ExplainServiceStub
from carillon_contracts.call import CallEnded, CallStarted, LegAnswered, RingEnded, RoutingDecided, TraceLine
from carillon_contracts.envelope import Event, EventData
from carillon_contracts.streams import CALLS, CONFIG, call_subject
from carillon_kit.auth import ADMIN, issue_token
from carillon_kit.bus import MemoryBus
from carillon_kit.clock import SystemClock
from carillon_kit.grpc_client import channel
from carillon_routing.app import running
from carillon_routing.domain.watching import MAX_CALLS, Watching
from carillon_routing.grpc_explain import teller_for
from carillon_routing.settings import RoutingSettings
from carillon_routing.testing import config_of, publish_company

pytestmark = pytest.mark.feature("R-20")
KEY = "k" * 32
COMPANY: dict[str, Any] = {
    "tenant": {"id": "acme", "realm": "acme.example", "country": "CH", "language": "fr"},
    "users": [{"id": "anna", "first_name": "Anna", "last_name": "Meyer"}],
}
OTHER = {**COMPANY, "tenant": {**COMPANY["tenant"], "id": "other", "realm": "other.example"}}
_ids = itertools.count(1)


def started(caller: str, dialled: str) -> CallStarted:
    return CallStarted(direction="inbound", caller=caller, dialled=dialled)


def event(call_id: str, seq: int, data: EventData, tenant: str = "acme") -> Event:
    return Event(
        id=UUID(int=next(_ids)),
        source="carillon/media",
        type=f"carillon.{data.TYPE}",
        subject=call_id,
        time=SystemClock().now(),
        data=data.model_dump(mode="json"),
        tenantid=tenant,
        callid=call_id,
        seq=seq,
    )


def raw(call_id: str, seq: int, data: EventData) -> bytes:
    return event(call_id, seq, data).to_json()


async def publish(bus: MemoryBus, call_id: str, *data: EventData, tenant: str = "acme", first: int = 1) -> None:
    for seq, each in enumerate(data, first):
        made = event(call_id, seq, each, tenant)
        await bus.publish(CALLS.name, call_subject(tenant, call_id, each.TYPE.split(".")[1]), made.to_json(), str(made.id))


@asynccontextmanager
async def service() -> AsyncIterator[tuple[MemoryBus, Any]]:
    bus = MemoryBus()
    for stream in (CONFIG, CALLS):
        await bus.ensure_stream(stream)
    await publish_company(bus, COMPANY)
    await publish_company(bus, OTHER)
    async with running(RoutingSettings(token_key=SecretStr(KEY)), bus) as port:
        token = issue_token(KEY, "admin", "acme", [ADMIN])
        async with channel(f"127.0.0.1:{port}", token) as link:
            yield bus, ExplainServiceStub(link)


async def test_calls_of_the_numbers_are_told_as_they_happen() -> None:
    async with service() as (bus, stub), asyncio.timeout(30):
        await publish(bus, "before", started("+41791112233", "+41215550100"))
        call = stub.WatchNumbers(pb.WatchNumbersRequest(numbers=["079 111 22 33"], language="de"))
        assert (await call.read()).HasField("until")
        line = TraceLine(subject="user/anna forwarding busy", matched=False, reason="the outcome was no_answer, not busy")
        mine = (
            started("+41791112233", "+41215550100"),
            RoutingDecided(application="routing", step="hang_up", details={"cause": 17}, trace=(line,)),
            RingEnded(result="busy"),
            CallEnded(cause="user_busy", by="system"),
        )
        await publish(bus, "elsewhere", started("+41791112233", "+41215550100"), tenant="other")
        await publish(bus, "unknown", started("+41790000000", "+41215550100"), RingEnded(result="busy"))
        await publish(bus, "before", RingEnded(result="busy"))
        await publish(bus, "mine", *mine[:1])
        for unreadable in (b"no JSON", b"{}", event("mine", 9, RingEnded(result="busy")).model_copy(update={"data": {}}).to_json()):
            await bus.publish(CALLS.name, call_subject("acme", "mine", "ring_ended"), unreadable, str(next(_ids)))
        await publish(bus, "mine", *mine[1:], first=2)
        told = [await call.read() for _ in mine]
        assert {each.call_id for each in told} == {"mine"}
        assert [each.part.kind for each in told] == ["started_inbound", "decision", "ring_ended", "ended_system"]
        assert told[1].text.splitlines()[1:] == [
            "    - Benutzer Anna Meyer, Umleitung bei: besetzt: das Ergebnis war: keine Antwort, nicht: besetzt",
            "    => Also: der Anruf endet: besetzt",
        ]
        call.cancel()


async def test_watching_ends_by_itself_and_what_makes_no_sense_is_refused() -> None:
    async with service() as (_, stub), asyncio.timeout(30):
        told = [each async for each in stub.WatchNumbers(pb.WatchNumbersRequest(numbers=["101"], seconds=1))]
        assert [each.HasField("until") for each in told] == [True]
        for wrong in (
            {},
            {"numbers": ["1"] * 21},
            {"numbers": [""]},
            {"numbers": ["1"], "seconds": 3601},
            {"numbers": ["1"], "language": "xx"},
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.WatchNumbers(pb.WatchNumbersRequest(**wrong)).read()
            assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_only_so_many_watch_at_a_time() -> None:
    async with service() as (_, stub), asyncio.timeout(30):
        watchers = [stub.WatchNumbers(pb.WatchNumbersRequest(numbers=["101"])) for _ in range(5)]
        for each in watchers:
            await each.read()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.WatchNumbers(pb.WatchNumbersRequest(numbers=["101"])).read()
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        for each in watchers:
            each.cancel()


def test_what_is_watched_is_bounded_and_forgotten_when_it_ends() -> None:
    config = config_of(COMPANY)
    watching = Watching(config, ["+41791112233"], teller_for(config, "en"))
    for index in range(MAX_CALLS + 2):
        watching.part(raw(f"c{index}", 1, started("", "0791112233")))
    assert watching.left_out == 2
    assert watching.wants("carillon.acme.call.c1.bridged")
    assert not watching.wants(f"carillon.acme.call.c{MAX_CALLS}.bridged")
    assert watching.part(raw("c1", 2, CallEnded(cause="normal_clearing", by="caller"))) is not None
    assert not watching.wants("carillon.acme.call.c1.bridged")
    assert watching.part(raw("c1", 3, LegAnswered())) is None
    assert watching.part(raw("new", 1, started("", "+41791112233"))) is not None
