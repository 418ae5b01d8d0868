"""The whole service on a real bus and database: published events in, records out, by gRPC."""

import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.cdr.v1 import cdr_pb2 as pb
from carillon.cdr.v1.cdr_pb2_grpc import LedgerServiceStub, RecordServiceStub
from carillon_cdr.app import serve
from carillon_cdr.domain.publication import record_id
from carillon_cdr.domain.record import fold
from carillon_cdr.settings import CdrSettings
from carillon_cdr.testing import START, Script
from carillon_contracts.config import ConfigChanged
from carillon_contracts.config.changes import RESET_LINE
from carillon_contracts.envelope import Event
from carillon_contracts.record import CallRecorded
from carillon_contracts.streams import CALLS, CONFIG, RECORDS
from carillon_kit.auth import ADMIN, OPERATOR, SERVICE, issue_token
from carillon_kit.bus import Bus, Outgoing
from carillon_kit.grpc_client import channel
from carillon_kit.postgres import open_pool
from carillon_kit.testing import eventually

KEY = "0123456789abcdef0123456789abcdef"


def token(role: str, tenant: str | None = None) -> str:
    return issue_token(KEY, "test", tenant, {role})


@pytest.fixture(scope="module")
def settings(nats_url: str, postgres_dsn: str) -> CdrSettings:
    return CdrSettings(nats_url=nats_url, postgres_dsn=postgres_dsn, token_key=KEY, grpc_listen="127.0.0.1:0")


@pytest.fixture(scope="module")
async def target(settings: CdrSettings) -> AsyncIterator[str]:
    async with serve(settings) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
async def bus(nats_url: str, target: str) -> AsyncIterator[Bus]:
    async with await Bus.connect(nats_url, "test") as connected:
        yield connected


@pytest.fixture
async def records(target: str) -> AsyncIterator[Any]:
    async with channel(target, token(ADMIN, "dupont")) as opened:
        yield RecordServiceStub(opened)


async def publish(bus: Bus, *scripts: Script, copy: str = "") -> None:
    messages = [message for script in scripts for message in script.messages()]
    random.Random(5).shuffle(messages)
    items = [Outgoing(subject, body, f"{Event.from_json(body).id}{copy}") for subject, body in messages]
    assert await bus.publish_many(CALLS.name, items) == []


async def get(stub: Any, call_id: str) -> pb.Record:
    found: list[pb.Record] = []

    async def there() -> bool:
        try:
            found.append((await stub.GetRecord(pb.GetRecordRequest(call_id=call_id))).record)
        except grpc.aio.AioRpcError as error:
            return error.code() != grpc.StatusCode.NOT_FOUND
        return True

    await eventually(there)
    return found[0]


def refused_field(error: grpc.aio.AioRpcError) -> str:
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    return (error.details() or "").split(":")[0]


@pytest.mark.feature("C-1")
async def test_a_call_published_twice_and_out_of_order_is_one_record_that_is_published_once(bus: Bus, records: Any, target: str) -> None:
    script = Script("twice").talk()
    await publish(bus, script)
    await publish(bus, script, copy="again")
    record = await get(records, "twice")
    made = fold("dupont", "twice", script.events)
    assert (record.status, record.direction, record.answered_by) == (pb.CALL_STATUS_ANSWERED, pb.CALL_DIRECTION_INTERNAL, "bob")
    assert (record.talk_seconds, record.started_at.ToDatetime(UTC)) == (12.5, START)
    assert [leg.leg_id for leg in record.legs] == ["a", "b1"]
    published: list[Event] = []
    follower = bus.follow(RECORDS.name, "carillon.dupont.cdr.recorded")
    async for message in follower:
        published.append(Event.from_json(message.data))
        if published[-1].callid == "twice":
            break
    await follower.close()
    assert published[-1].id == record_id("dupont", "twice")
    assert CallRecorded.model_validate(published[-1].data) == made


@pytest.mark.feature("P-10")
async def test_the_events_of_a_call_are_listed_as_they_were_published(bus: Bus, records: Any) -> None:
    script = Script("listed").talk()
    await publish(bus, script)
    await get(records, "listed")
    response = await records.ListCallEvents(pb.ListCallEventsRequest(call_id="listed"))
    assert [event.encode() for event in response.events] == [event.to_json() for event in script.events]
    assert [json.loads(event)["seq"] for event in response.events] == list(range(1, 11))


@pytest.mark.feature("C-4")
async def test_records_are_paged_newest_first_and_filtered(bus: Bus, records: Any) -> None:
    later = START + timedelta(days=1)
    scripts = [Script(f"p{number}", start=later + timedelta(minutes=number)).talk() for number in range(5)]
    scripts.append(Script("p5", start=later + timedelta(minutes=5)).started(dialled="103").ended("caller_gave_up"))
    await publish(bus, *scripts)
    for script in scripts:
        await get(records, script.call_id)
    after = Timestamp()
    after.FromDatetime(later)
    request, seen = pb.ListRecordsRequest(page_size=4, after=after), []
    while True:
        response = await records.ListRecords(request)
        seen += [record.call_id for record in response.records]
        if not response.next_page_token:
            break
        request.page_token = response.next_page_token
    assert seen == ["p5", "p4", "p3", "p2", "p1", "p0"]
    for wanted, found in (
        (pb.ListRecordsRequest(after=after, status=pb.CALL_STATUS_CANCELLED), ["p5"]),
        (pb.ListRecordsRequest(after=after, party="103"), ["p5"]),
        (pb.ListRecordsRequest(after=after, party="bob", page_size=1), ["p4"]),
        (pb.ListRecordsRequest(after=after, direction=pb.CALL_DIRECTION_OUTBOUND), []),
        (pb.ListRecordsRequest(after=after, rung_user_id="bob", page_size=2), ["p4", "p3"]),
        (pb.ListRecordsRequest(after=after, rung_user_id="alice"), []),
        (pb.ListRecordsRequest(after=after, user_id="alice", page_size=2), ["p5", "p4"]),
        (pb.ListRecordsRequest(after=after, user_id="bob"), ["p4", "p3", "p2", "p1", "p0"]),
        (pb.ListRecordsRequest(after=after, user_id="102"), []),
    ):
        assert [record.call_id for record in (await records.ListRecords(wanted)).records] == found


@pytest.mark.parametrize(
    ("action", "verb", "day"), [pytest.param("updated", RESET_LINE, 9, id="reset"), pytest.param("deleted", "", 20, id="deleted")]
)
@pytest.mark.feature("D-18", "P-3")
async def test_calls_before_a_line_was_reset_or_its_user_deleted_are_not_in_its_list(
    bus: Bus, records: Any, action: Any, verb: str, day: int
) -> None:
    later, own = START + timedelta(days=day), f"{action}-"
    scripts = [Script(f"{own}{number}", start=later + timedelta(minutes=number)).talk() for number in range(2)]
    await publish(bus, *scripts)
    for script in scripts:
        await get(records, script.call_id)
    change = ConfigChanged(resource="user", resource_id="bob", action=action, before={}, after={} if verb else None, actor="x", verb=verb)
    event = Event(
        id=uuid4(),
        source="carillon/directory",
        type=change.event_type,
        subject="bob",
        time=later + timedelta(seconds=30),
        data=change.model_dump(mode="json"),
        tenantid="dupont",
        configseq=9,
    )
    await bus.publish(CONFIG.name, f"carillon.dupont.config.user.{action}", event.to_json(), str(event.id))
    after = Timestamp()
    after.FromDatetime(later)

    async def listed(**where: Any) -> list[str]:
        return [each.call_id for each in (await records.ListRecords(pb.ListRecordsRequest(after=after, **where))).records]

    async def hidden() -> bool:
        return await listed(rung_user_id="bob") == [f"{own}1"]

    await eventually(hidden)
    assert await listed(user_id="bob") == [f"{own}1"]
    assert await listed(user_id="alice") == await listed() == [f"{own}1", f"{own}0"]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ListRecordsRequest(page_size=-1), "page_size"),
        (pb.ListRecordsRequest(page_token="rubbish"), "page_token"),
        (pb.ListRecordsRequest(page_token="eyJ3aGVyZSI6ICJ4In0"), "page_token"),
        (pb.ListRecordsRequest(status=99), "status"),  # type: ignore[arg-type]
        (pb.ListRecordsRequest(direction=99), "direction"),  # type: ignore[arg-type]
        (pb.ListRecordsRequest(party="x" * 300), "party"),
        (pb.ListRecordsRequest(after=Timestamp(seconds=10**15)), "after"),
        (pb.ListRecordsRequest(after=Timestamp(seconds=9), before=Timestamp(seconds=9)), "before"),
    ],
)
@pytest.mark.feature("C-4")
async def test_a_bad_filter_is_refused_by_its_field(records: Any, request_: pb.ListRecordsRequest, field: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await records.ListRecords(request_)
    assert refused_field(refused.value) == field


@pytest.mark.feature("P-3")
async def test_another_tenants_records_are_not_there(bus: Bus, target: str) -> None:
    await publish(bus, Script("secret", tenant="martin").talk())
    async with channel(target, token(OPERATOR), "martin") as opened:
        assert (await get(RecordServiceStub(opened), "secret")).tenant == "martin"
    async with channel(target, token(ADMIN, "dupont")) as opened:
        stub = RecordServiceStub(opened)
        for attempt in (
            stub.GetRecord(pb.GetRecordRequest(call_id="secret")),
            stub.ListCallEvents(pb.ListCallEventsRequest(call_id="secret")),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await attempt
            assert refused.value.code() == grpc.StatusCode.NOT_FOUND
        assert all(record.tenant == "dupont" for record in (await stub.ListRecords(pb.ListRecordsRequest())).records)


@pytest.mark.feature("P-3")
async def test_only_our_own_services_ask_what_they_may_forget(bus: Bus, target: str) -> None:
    await publish(bus, Script("whole").talk())
    async with channel(target, token(ADMIN, "dupont")) as opened:
        await get(RecordServiceStub(opened), "whole")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await LedgerServiceStub(opened).ConfirmCalls(pb.ConfirmCallsRequest())
        assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
    ends = [pb.CallEnd(tenant_id="dupont", call_id=call_id, last_seq=10) for call_id in ("whole", "unheard")]
    async with channel(target, token(SERVICE)) as opened:
        ledger = LedgerServiceStub(opened)
        assert list((await ledger.ConfirmCalls(pb.ConfirmCallsRequest(calls=ends))).call_ids) == ["whole"]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ledger.ConfirmCalls(pb.ConfirmCallsRequest(calls=[pb.CallEnd(tenant_id="dupont", call_id="x")]))
        assert refused_field(refused.value) == "calls.0.last_seq"


@pytest.mark.feature("P-10")
async def test_a_replayed_dead_letter_that_is_still_poison_stays_among_them(bus: Bus, settings: CdrSettings, records: Any) -> None:
    await bus.publish(CALLS.name, "carillon.dupont.call.c9.started", b"\xff", "poison")
    pool = await open_pool(settings.postgres_dsn)
    await eventually(lambda: pool.fetchval("select count(*) = 1 from dead_letter"))
    await pool.execute("update dead_letter set replaying = true, died_at = 'epoch'")
    await eventually(lambda: pool.fetchval("select count(*) = 1 from dead_letter where not replaying and died_at > 'epoch'"))
    await publish(bus, Script("unharmed").talk())
    await get(records, "unharmed")
    await pool.close()
