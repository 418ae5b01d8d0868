"""Who is to be called back is called once, by the replica that runs the clock, and again when it could not be begun."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import ManualClock
from carillon_kit.ids import SystemIds
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.testing import eventually, postgres_dsn  # noqa: F401
from carillon_routing.adapters.floor_log import PostgresFloors
from carillon_routing.domain.queues import commands as c
from carillon_routing.handlers.floors import Floors
from carillon_routing.testing import small_company

pytestmark = pytest.mark.feature("R-10")
NUMBER = "+41791112233"


class Media:
    """Answers as told."""

    def __init__(self) -> None:
        self.begins = True
        self.asked: list[tuple[str, str, str, int, str]] = []

    async def __call__(self, tenant: str, user_id: str, number: str, ring_seconds: int, call_id: str) -> bool:
        self.asked.append((tenant, user_id, number, ring_seconds, call_id))
        return self.begins


def company(tenant: str) -> TenantConfig:
    queues = [{"id": "sales", "members": [{"agent_id": "a1"}], "ring_seconds": 20}]
    names = {"id": tenant, "realm": f"{tenant}.example"}
    return small_company(tenant=names, agents=[{"id": "a1", "user_id": "anna"}], queues=queues)


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Any]:  # noqa: F811
    pool = await open_pool(postgres_dsn)
    await migrate(pool, "carillon_routing.migrations")
    yield pool
    await pool.close()


async def test_a_call_back_is_begun_once_and_tried_again_when_it_was_not(pool: Any) -> None:
    clock, media = ManualClock(), Media()
    floors = [Floors(PostgresFloors(pool, SystemIds()), company, clock, str(n), media) for n in range(2)]
    now = clock.now().timestamp()
    for command in (c.Join("c1", "sales", now, number=NUMBER), c.AskCallback("c1", NUMBER), c.CallOver("c1"), c.LogIn("a1")):
        await floors[0].execute("acme", command, 30)
    media.begins = False

    async def ticked(times: int) -> bool:
        for each in floors:
            await each.tick()
        return len(media.asked) >= times

    await eventually(lambda: ticked(1), 30)
    (first,) = media.asked
    assert first[:4] == ("acme", "anna", NUMBER, 20)
    await floors[1].tick()
    assert len(media.asked) == 1, "the next try comes later"
    clock.advance(61)
    media.begins = True
    await eventually(lambda: ticked(2), 30)
    assert len(media.asked) == 2
    await floors[1].execute("acme", c.Bridged(media.asked[1][4], "b1"), 30)
    floor = await floors[1].execute("acme", c.CallOver(media.asked[1][4]), 30)
    assert not floor.callers
    assert not floor.agents["a1"].call_id
