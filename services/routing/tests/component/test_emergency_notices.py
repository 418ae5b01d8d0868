"""Calls for help on a real NATS: one letter and one audit event a call, however often its beginning is told."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import uuid4

import pytest

from carillon_contracts.audit import EmergencyCalled
from carillon_contracts.call import CallStarted, LegDeflected, LegTransferred
from carillon_contracts.envelope import Event, EventData
from carillon_contracts.letter import LetterRequested
from carillon_contracts.streams import AUDIT, LETTERS, call_subject
from carillon_kit.bus import Bus, Delivered, MemoryBus, Retry
from carillon_kit.clock import SystemClock
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.testing import nats_url, postgres_dsn  # noqa: F401
from carillon_routing.adapters.call_orders import PostgresOrders
from carillon_routing.adapters.emergency_notices import TOO_LATE, EmergencyNotices
from carillon_routing.ports import Orders, OrdersAway
from carillon_routing.testing import small_company

pytestmark = pytest.mark.feature("D-16")


def started(call_id: str, dialled: str, at: datetime) -> Delivered:
    return told(call_id, CallStarted(direction="from_user", caller="101", caller_user_id="anna", dialled=dialled), at)


def told(call_id: str, fact: EventData, at: datetime) -> Delivered:
    event = Event(
        id=uuid4(),
        source="carillon/media/n",
        type=f"carillon.{fact.TYPE}",
        subject=call_id,
        time=at,
        data=fact.model_dump(mode="json"),
        tenantid="acme",
        callid=call_id,
        legid="a",
        seq=1,
    )
    return Delivered(call_subject("acme", call_id, fact.fact()), event.to_json(), 1, {}, str(event.id), 1, at)


async def read(bus: Bus, stream: str, subject: str) -> list[Event]:
    """Up to the last call's."""
    follower, found = bus.follow(stream, subject), list[Event]()
    async for message in follower:
        found.append(Event.from_json(message.data))
        if "last" in (found[-1].callid, found[-1].data.get("call_id")):
            break
    await follower.close()
    return found


@pytest.fixture
async def orders(postgres_dsn: str) -> AsyncIterator[PostgresOrders]:  # noqa: F811
    pool = await open_pool(postgres_dsn)
    await migrate(pool, "carillon_routing.migrations")
    kept = PostgresOrders(SystemClock(), patience=30)
    kept.adopt(pool)
    yield kept
    await pool.close()


class Away:
    """`ports.Orders` without its database."""

    async def add(self, *order: str, **more: str) -> bool:
        raise OrdersAway("the database is away")


async def test_letters_wait_for_no_database() -> None:
    config = small_company(emergency_recipients=[{"id": "all", "emails": ["chief@acme.example"], "phones": ["+41795550911"]}])
    bus, now = MemoryBus(), datetime.now(UTC)
    for stream in (LETTERS, AUDIT):
        await bus.ensure_stream(stream)
    notices = EmergencyNotices(bus, {"acme": config}.get, SystemClock(), cast("Orders", Away()))
    for _ in range(2):
        with pytest.raises(Retry):
            await notices.handle([started("c1", "117", now), started("last", "112", now)])
    async with asyncio.timeout(30):
        written = await read(bus, LETTERS.name, "carillon._operator.letter.acme.requested")
    assert [each.callid for each in written] == ["c1", "last"]


async def test_each_call_is_told_of_once(nats_url: str, orders: PostgresOrders) -> None:  # noqa: F811
    config = small_company(emergency_recipients=[{"id": "all", "emails": ["chief@acme.example"], "phones": ["+41795550911"]}])
    now = datetime.now(UTC)
    async with await Bus.connect(nats_url, "routing") as bus:
        for stream in (LETTERS, AUDIT):
            await bus.ensure_stream(stream)
        notices = EmergencyNotices(bus, {"acme": config}.get, SystemClock(), orders)
        old = started("old", "117", now - TOO_LATE - timedelta(minutes=1))
        sent = LegTransferred(kept="b1", destination="144", requested_by="phone", party="anna", kept_number="+41791112233")
        diverted = LegDeflected(destination="102", party="anna")
        for _ in range(3):
            dialled = started("c1", "117", now), started("c2", "102", now)
            await notices.handle([old, *dialled, told("c3", sent, now), told("c4", diverted, now)])
        await notices.handle([started("last", "112", now)])
        written = await read(bus, LETTERS.name, "carillon._operator.letter.acme.requested")
        seen = await read(bus, AUDIT.name, "carillon.acme.audit.>")
    assert [each.callid for each in written] == ["c1", "c3", "last"]
    assert LetterRequested.model_validate(written[0].data).to == ("chief@acme.example",)
    facts = [EmergencyCalled.model_validate(each.data) for each in seen]
    assert [(fact.call_id, fact.number, fact.extension, fact.connects) for fact in facts] == [
        ("c1", "117", "101", ""),
        ("c3", "144", "101", "+41791112233"),
        ("last", "112", "101", ""),
    ]
    assert [(order.kind, order.who, order.number) for order in await orders.open("acme")] == [
        ("emergency_notice", "+41795550911", number) for number in ("117", "144", "112")
    ]
