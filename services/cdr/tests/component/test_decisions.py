"""Decisions of many calls, as routing reads them to compare plans."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.cdr.v1 import cdr_pb2 as pb
from carillon.cdr.v1.cdr_pb2_grpc import RecordServiceStub
from carillon_cdr.app import serve
from carillon_cdr.settings import CdrSettings
from carillon_cdr.testing import START
from carillon_kit.auth import ADMIN, issue_token
from carillon_kit.grpc_client import channel
from carillon_kit.postgres import open_pool

pytestmark = pytest.mark.feature("R-21")
KEY = "0123456789abcdef0123456789abcdef"
CALLS = 230
_RECORD = "insert into call_record select $1, $2, $3, 'inbound', 'answered', '', '', '', '{}'::json"
_EVENT = "insert into call_event values ($1, $2, $3, gen_random_uuid(), $4, $5, $6)"
DECIDED = "carillon.call.routing_decided.v1"


async def fill(pool: "asyncpg.Pool[Any]", tenant: str) -> None:
    """A call a minute, two decisions each, and something else between."""
    for number in range(CALLS):
        at, name = START + timedelta(minutes=number), f"c{number:03}"
        await pool.execute(_RECORD, tenant, name, at)
        for seq, kind in enumerate((DECIDED, "carillon.call.leg_offered.v1", DECIDED), 1):
            await pool.execute(_EVENT, tenant, name, seq, kind, at, json.dumps({"seq": seq, "of": tenant}).encode())


@pytest.fixture(scope="module")
async def target(nats_url: str, postgres_dsn: str) -> AsyncIterator[str]:
    settings = CdrSettings(nats_url=nats_url, postgres_dsn=postgres_dsn, token_key=KEY, grpc_listen="127.0.0.1:0")
    async with serve(settings) as port:
        pool = await open_pool(postgres_dsn)
        for tenant in ("dupont", "martin"):
            await fill(pool, tenant)
        await pool.close()
        yield f"127.0.0.1:{port}"


async def read(target: str, **wanted: Any) -> tuple[int, list[pb.DecidedCall]]:
    found: list[pb.DecidedCall] = []
    total = -1
    async with channel(target, issue_token(KEY, "test", "dupont", {ADMIN})) as opened:
        stub: Any = RecordServiceStub(opened)
        async for page in stub.StreamDecisions(pb.StreamDecisionsRequest(**wanted), timeout=30):
            total = page.total
            found += page.calls
    return total, found


async def test_every_call_comes_once_newest_first_with_its_decisions_alone(target: str) -> None:
    total, calls = await read(target)
    assert total == CALLS
    assert [call.call_id for call in calls] == [f"c{number:03}" for number in reversed(range(CALLS))]
    assert all([json.loads(raw) for raw in call.events] == [{"seq": seq, "of": "dupont"} for seq in (1, 3)] for call in calls)


async def test_a_time_and_a_number_of_calls_bound_it(target: str) -> None:
    after, before = Timestamp(), Timestamp()
    after.FromDatetime(START + timedelta(minutes=5))
    before.FromDatetime(START + timedelta(minutes=9))
    total, calls = await read(target, after=after, before=before)
    assert (total, [call.call_id for call in calls]) == (4, ["c008", "c007", "c006", "c005"])
    total, calls = await read(target, max_calls=3)
    assert (total, [call.call_id for call in calls]) == (3, ["c229", "c228", "c227"])
