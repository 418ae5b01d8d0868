"""Routing as media sees it: the real service over gRPC, its configuration from a stream."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID
from zoneinfo import ZoneInfo

import grpc
import pytest
import yaml
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from pydantic import SecretStr

from carillon.common.v1 import call_application_pb2 as pb
from carillon.common.v1.call_application_pb2_grpc import CallApplicationStub
from carillon_contracts.config import ConfigChanged
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CONFIG, config_subject
from carillon_kit.auth import ADMIN, SERVICE, issue_token
from carillon_kit.bus import Bus, MemoryBus
from carillon_kit.clock import SystemClock, write_clock_file
from carillon_kit.grpc_client import channel
from carillon_kit.testing import eventually, nats_url  # noqa: F401
from carillon_routing.app import running
from carillon_routing.settings import RoutingSettings
from carillon_routing.testing import changes_of

if TYPE_CHECKING:
    from carillon.common.v1.call_application_pb2_grpc import CallApplicationAsyncStub

FILE = Path(__file__).parents[4] / "cli/src/carillon_cli/demo/dupont.yaml"
KEY = "k" * 32


async def publish(bus: Bus, seq: int, change: ConfigChanged, tenant: str = "dupont") -> None:
    """As the directory's relay does."""
    event = Event(
        id=UUID(int=seq),
        source="carillon/directory",
        type=change.event_type,
        subject=f"{change.resource}/{change.resource_id}",
        time=SystemClock().now(),
        data=change.model_dump(mode="json"),
        tenantid=tenant,
        configseq=seq,
    )
    await bus.publish(CONFIG.name, config_subject(tenant, change.resource, change.action), event.to_json(), str(event.id))


class World:
    """A routing service that has caught up with Dupont SA, and a clock to be set."""

    def __init__(self, bus: Bus, port: int, clock_file: Path, stack: AsyncExitStack) -> None:
        self.bus = bus
        self.clock_file = clock_file
        self.port = port
        self.stack = stack
        self.seq = 0

    async def stub(self, *, role: str = SERVICE, tenant: str | None = None, named: str | None = "dupont") -> "CallApplicationAsyncStub":
        token = issue_token(KEY, "media", tenant, [role])
        return CallApplicationStub(await self.stack.enter_async_context(channel(f"127.0.0.1:{self.port}", token, named)))

    def set_clock(self, at: str) -> None:
        write_clock_file(self.clock_file, datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Europe/Zurich")))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    bus = MemoryBus()
    await bus.ensure_stream(CONFIG)
    changes = changes_of(yaml.safe_load(FILE.read_text()))
    for seq, change in enumerate(changes, 1):
        await publish(bus, seq, change)
    settings = RoutingSettings(token_key=SecretStr(KEY), clock_file=tmp_path / "clock")
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(running(settings, bus))
        it = World(bus, port, tmp_path / "clock", stack)
        it.seq = len(changes)
        yield it


def call(**fields: object) -> pb.CallFacts:
    usual: dict[str, object] = {
        "tenant_id": "dupont",
        "call_id": "c1",
        "direction": pb.DIRECTION_INBOUND,
        "caller_number": "+41791112233",
        "dialled": "+41215550100",
        "trunk_id": "carrier",
    }
    return pb.CallFacts(**{**usual, **fields})  # type: ignore[arg-type]


ENTERED = pb.Outcome(entered=pb.Entered())


def rang(result: "pb.RingResult.ValueType") -> pb.Outcome:
    return pb.Outcome(ring=pb.RingOutcome(result=result))


async def refused(question: Awaitable[object]) -> tuple[grpc.StatusCode, dict[str, str]]:
    """Code and field violations of an RPC that fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await question
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
    bad = error_details_pb2.BadRequest()
    if status is not None and status.details and status.details[0].Is(bad.DESCRIPTOR):
        status.details[0].Unpack(bad)
    return caught.value.code(), {violation.field: violation.description for violation in bad.field_violations}


@pytest.mark.feature("R-1")
@pytest.mark.feature("R-24")
async def test_a_call_is_led_step_by_step_with_cursor_trace_and_version(world: World) -> None:
    world.set_clock("2026-01-06 10:15")
    stub = await world.stub()
    answer = await stub.Next(pb.NextRequest(call=call(), outcome=ENTERED))
    (target,) = answer.step.ring.targets
    assert (target.user_id, target.start_after_ms, target.stop_after_ms) == ("dumas", 0, 20_000)
    assert answer.step.ring.caller_number == "+41791112233"
    assert answer.config_seq == world.seq
    assert pb.TraceEntry(
        subject="schedule/office",
        matched=True,
        reason="Tue 2026-01-06 10:15 Europe/Zurich is inside 08:00-12:00 of Tue",
        next="node reception",
    ) in list(answer.trace)
    answer = await stub.Next(pb.NextRequest(call=call(), cursor=answer.cursor, outcome=rang(pb.RING_RESULT_NO_ANSWER)))
    assert [(t.user_id, t.start_after_ms) for t in answer.step.ring.targets] == [("bernard", 0), ("claire", 10_000)]


@pytest.mark.feature("R-5")
async def test_the_clock_file_decides_the_hour(world: World) -> None:
    world.set_clock("2026-01-06 22:00")
    answer = await (await world.stub()).Next(pb.NextRequest(call=call(), outcome=ENTERED))
    assert answer.step.delegate.application == "voicemail"
    assert dict(answer.step.delegate.arguments) == {"mailbox_id": "main"}
    assert answer.cursor == b""


async def test_every_kind_of_step_reaches_the_wire(world: World) -> None:
    stub = await world.stub()
    answer = await stub.Next(pb.NextRequest(call=call(dialled="+41215550120"), outcome=ENTERED))
    gather = answer.step.gather
    assert [prompt.speech.language for prompt in gather.prompts] == ["fr", "en", "fr", "en"]
    assert (gather.max_digits, gather.first_digit_timeout_ms) == (1, 5000)
    outcome = pb.Outcome(gather=pb.GatherOutcome(digits="2"))
    answer = await stub.Next(pb.NextRequest(call=call(dialled="+41215550120"), cursor=answer.cursor, outcome=outcome))
    assert answer.step.gather.prompts[0].speech.text.startswith("For support")
    outside = call(direction=pb.DIRECTION_FROM_USER, caller_user_id="elise", caller_number="106", dialled="0791234567", trunk_id="")
    answer = await stub.Next(pb.NextRequest(call=outside, outcome=ENTERED))
    assert answer.step.ring.targets[0].trunk == pb.TrunkTarget(trunk_id="carrier", number="+41791234567")
    assert answer.step.ring.caller_number == "+41215550106"
    answer = await stub.Next(pb.NextRequest(call=call(dialled="+41215559999"), outcome=ENTERED))
    assert answer.step.hang_up == pb.HangUp(cause=1, sip_status=404, reason="unallocated number")


@pytest.mark.feature("R-1")
async def test_a_change_counts_for_the_next_call_and_not_for_one_under_way(world: World) -> None:
    world.set_clock("2026-01-06 10:15")
    stub = await world.stub()
    under_way = await stub.Next(pb.NextRequest(call=call(), outcome=ENTERED))
    plan = {"id": "main", "entry": "n", "nodes": [{"id": "n", "hang_up": {"reason": "busy"}}]}
    await publish(world.bus, world.seq + 1, ConfigChanged(resource="plan", resource_id="main", action="updated", after=plan, actor="t"))

    async def changed() -> bool:
        answer = await stub.Next(pb.NextRequest(call=call(), outcome=ENTERED))
        return answer.step.hang_up.cause == 17

    await eventually(changed)
    answer = await stub.Next(pb.NextRequest(call=call(), cursor=under_way.cursor, outcome=rang(pb.RING_RESULT_BUSY)))
    assert answer.config_seq == world.seq
    assert answer.step.ring.targets[0].user_id == "bernard"


@pytest.mark.parametrize(
    ("question", "field"),
    [
        (pb.NextRequest(call=call(), outcome=rang(pb.RING_RESULT_BUSY), cursor=b"junk"), "cursor"),
        (pb.NextRequest(call=call()), "outcome"),
        (pb.NextRequest(call=call(), outcome=rang(pb.RING_RESULT_BUSY)), "outcome"),
        (pb.NextRequest(call=call(), outcome=rang(pb.RING_RESULT_UNSPECIFIED)), "outcome.ring.result"),
        (pb.NextRequest(call=call(), outcome=pb.Outcome(gather=pb.GatherOutcome(digits="1\r\n"))), "outcome.gather.digits"),
        (pb.NextRequest(call=call(direction=pb.DIRECTION_UNSPECIFIED), outcome=ENTERED), "call.direction"),
        (pb.NextRequest(call=call(dialled="1" * 129), outcome=ENTERED), "call.dialled"),
        (pb.NextRequest(call=call(tenant_id="martin"), outcome=ENTERED), "call.tenant_id"),
        (pb.NextRequest(outcome=ENTERED), "call.direction"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_its_field(world: World, question: pb.NextRequest, field: str) -> None:
    code, violations = await refused((await world.stub()).Next(question))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in violations


async def test_a_cursor_of_another_step_is_refused(world: World) -> None:
    stub = await world.stub()
    answer = await stub.Next(pb.NextRequest(call=call(dialled="+41215550102"), outcome=ENTERED))
    question = pb.NextRequest(call=call(), cursor=answer.cursor, outcome=pb.Outcome(play=pb.PlayOutcome()))
    code, violations = await refused(stub.Next(question))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert violations == {"outcome": "play does not belong to a cursor that waits for a user"}


async def test_a_tenant_that_is_not_known_is_not_found(world: World) -> None:
    stub = await world.stub(named="martin")
    code, _ = await refused(stub.Next(pb.NextRequest(call=call(tenant_id="martin"), outcome=ENTERED)))
    assert code is grpc.StatusCode.NOT_FOUND


@pytest.mark.feature("P-3")
async def test_only_our_own_processes_and_operators_may_ask(world: World) -> None:
    question = pb.NextRequest(call=call(), outcome=ENTERED)
    code, _ = await refused((await world.stub(role=ADMIN, tenant="dupont", named=None)).Next(question))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.port}") as stranger:
        code, _ = await refused(CallApplicationStub(stranger).Next(question))
    assert code is grpc.StatusCode.UNAUTHENTICATED


async def test_on_a_real_nats_it_serves_once_it_has_caught_up(nats_url: str) -> None:  # noqa: F811
    async with await Bus.connect(nats_url, "directory") as bus:
        await bus.ensure_stream(CONFIG)
        for seq, change in enumerate(changes_of(yaml.safe_load(FILE.read_text())), 1):
            await publish(bus, seq, change)
        settings = RoutingSettings(token_key=SecretStr(KEY), nats_url=nats_url)
        token = issue_token(KEY, "media", None, [SERVICE])
        async with running(settings) as port, channel(f"127.0.0.1:{port}", token, "dupont") as to_routing:
            question = pb.NextRequest(call=call(dialled="+41215550102"), outcome=ENTERED)
            answer = await CallApplicationStub(to_routing).Next(question)
            assert answer.step.ring.targets[0].user_id == "alain"
