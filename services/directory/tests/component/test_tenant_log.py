"""The contract of a tenant's log, kept by the one in memory and by the one on Postgres."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from carillon_contracts.config import ConfigChanged
from carillon_directory.adapters.tenant_log import PostgresTenantLog
from carillon_directory.app import MIGRATIONS
from carillon_directory.domain.claims import Claim
from carillon_directory.ports import Outrun, TenantLog
from carillon_directory.testing import MemoryTenantLog
from carillon_kit import postgres
from carillon_kit.clock import SystemClock
from carillon_kit.event_store import PostgresEventStore
from carillon_kit.ids import SystemIds


@pytest.fixture(params=["memory", "postgres"])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[TenantLog]:
    if request.param == "memory":
        yield MemoryTenantLog(SystemClock(), SystemIds())
        return
    pool = await postgres.open_pool(request.getfixturevalue("postgres_dsn"))
    await postgres.migrate(pool, MIGRATIONS)
    await pool.execute("truncate event, claim")
    yield PostgresTenantLog(pool, PostgresEventStore(pool), SystemIds())
    await pool.close()


def added(number: str) -> ConfigChanged:
    return ConfigChanged(resource="number", resource_id=number, action="created", after={"id": number, "label": "é"}, actor="x", reason="y")


def dropped(number: str) -> ConfigChanged:
    return ConfigChanged(resource="number", resource_id=number, action="deleted", before={"id": number}, actor="x")


ONE, TWO = "+41215550901", "+41215550902"


async def test_what_was_appended_is_loaded_in_order(log: TenantLog) -> None:
    await log.append("acme", 0, [added(ONE), added(TWO)])
    await log.append("acme", 2, [dropped(ONE)])
    stored = await log.load("acme")
    assert [each.version for each in stored] == [1, 2, 3]
    assert [each.change for each in stored] == [added(ONE), added(TWO), dropped(ONE)]
    assert await log.load("acme", 1, 2) == stored[1:2]
    assert await log.load("nobody") == []
    assert await log.tenants() == ["acme"]


async def test_a_writer_with_an_old_version_is_outrun(log: TenantLog) -> None:
    await log.append("acme", 0, [added(ONE)])
    with pytest.raises(Outrun):
        await log.append("acme", 0, [added(TWO)])
    with pytest.raises(Outrun):
        await log.append("acme", 2, [added(TWO)])
    assert [each.version for each in await log.load("acme")] == [1]
    assert await log.taken_elsewhere("other", {Claim("number", ONE), Claim("number", TWO)}) == {Claim("number", ONE)}


@pytest.mark.feature("D-6")
async def test_a_claim_is_one_tenants_until_it_is_released(log: TenantLog) -> None:
    await log.append("acme", 0, [added(ONE)])
    assert await log.taken_elsewhere("acme", {Claim("number", ONE)}) == frozenset()
    assert await log.taken_elsewhere("acme", frozenset()) == frozenset()
    with pytest.raises(Outrun):
        await log.append("other", 0, [added(TWO), added(ONE)])
    assert await log.load("other") == []
    assert await log.taken_elsewhere("acme", {Claim("number", TWO)}) == frozenset()
    await log.append("acme", 1, [dropped(ONE)])
    await log.append("other", 0, [added(TWO), added(ONE)])
    assert await log.taken_elsewhere("acme", {Claim("number", ONE)}) == {Claim("number", ONE)}


@pytest.mark.feature("D-6")
async def test_of_tenants_that_claim_one_value_at_once_exactly_one_gets_it(log: TenantLog) -> None:
    names = [f"tenant{index}" for index in range(8)]
    results = await asyncio.gather(*(log.append(name, 0, [added(ONE)]) for name in names), return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, Outrun) for result in results) == 7
    assert len(await log.tenants()) == 1


async def test_tenants_that_exchange_claims_at_once_end_with_each_claim_held_once(log: TenantLog) -> None:
    await log.append("a", 0, [added(ONE)])
    await log.append("b", 0, [added(TWO)])
    swaps: list[Any] = [log.append("a", 1, [dropped(ONE), added(TWO)]), log.append("b", 1, [dropped(TWO), added(ONE)])]
    results = await asyncio.gather(*swaps, return_exceptions=True)
    assert all(result is None or isinstance(result, Outrun) for result in results)
    held = {each.change.resource_id for name in "ab" for each in await log.load(name) if each.change.after}
    assert held == {ONE, TWO}
    assert sum(result is None for result in results) <= 1


async def test_a_version_is_found_by_its_time(log: TenantLog) -> None:
    await log.append("acme", 0, [added(ONE)])
    await log.append("acme", 1, [added(TWO)])
    first, second = await log.load("acme")
    instant = timedelta(microseconds=1)
    assert await log.version_at("acme", first.at - instant) == 0
    assert await log.version_at("acme", second.at) == 2
    if first.at < second.at:
        assert await log.version_at("acme", second.at - instant) == 1
    assert await log.version_at("nobody", second.at) == 0


async def test_the_changes_of_one_resource_are_found_from_the_newest(log: TenantLog) -> None:
    await log.append("acme", 0, [added(ONE), added(TWO), dropped(ONE)])
    await log.append("acme", 3, [added(ONE)])
    await log.append("other", 0, [added("+41215550903")])

    async def found(before: int, limit: int, resource_id: str = ONE, tenant_id: str = "acme") -> list[int]:
        return [each.version for each in await log.past_of(tenant_id, "number", resource_id, before, limit)]

    assert await found(9, 9) == [4, 3, 1]
    assert await found(4, 9) == [3, 1]
    assert await found(9, 2) == [4, 3]
    assert await found(1, 9) == await found(9, 9, "no\0body") == await found(9, 9, tenant_id="nobody") == []
    assert [each for each in await log.load("acme") if each.version == 4] == await log.past_of("acme", "number", ONE, 9, 1)


async def test_the_versions_stored_together_end_with_the_last(log: TenantLog) -> None:
    await log.append("acme", 0, [added(ONE)])
    await log.append("acme", 1, [dropped(ONE), added(TWO), added(ONE)])
    await log.append("acme", 4, [dropped(TWO)])
    await log.append("other", 0, [added(TWO)])
    assert [await log.whole("acme", version) for version in range(7)] == [0, 1, 4, 4, 4, 5, 6]
    assert await log.whole("nobody", 3) == 3
