"""What happens to one login at once, on connections of their own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import combinations_with_replacement
from typing import Any
from uuid import uuid4

import pytest

from carillon_contracts.config import ConfigChanged
from carillon_directory.adapters.postgres_logins import PostgresLogins
from carillon_directory.adapters.tenant_log import PostgresTenantLog
from carillon_directory.app import MIGRATIONS
from carillon_kit import postgres
from carillon_kit.event_store import PostgresEventStore
from carillon_kit.ids import SystemIds

pytestmark = pytest.mark.feature("P-3")
SOON = datetime.now(UTC) + timedelta(hours=1)
_WAITING = "select count(*) from pg_stat_activity where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0"
_serial = iter(range(1, 1000))


class Place:
    """A tenant's log with a user, who has a login, a refresh token and an open invitation."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.tenant = f"locks-{next(_serial)}"
        self.log = PostgresTenantLog(pool, PostgresEventStore(pool), SystemIds())
        self.store = PostgresLogins(pool, self.log)
        self.code = self.tenant.encode()

    async def fill(self) -> None:
        await self.log.append(self.tenant, 0, [change("created", None, {"id": "ann"})])
        await self.store.set_password(self.tenant, "ann", "first")
        assert await self.give(self.code, await self.store.now())
        assert await self.invite(1)

    async def give(self, refresh: bytes, issued: datetime) -> bool:
        return await self.store.new_refresh(refresh, uuid4(), self.tenant, "ann", SOON, issued)

    async def refreshes(self) -> int:
        count: int = await self.pool.fetchval("select count(*) from refresh_token where tenant = $1", self.tenant)
        return count

    async def invite(self, version: int, code: bytes = b"", pause: timedelta = timedelta()) -> bool:
        letter = (uuid4(), f"carillon._operator.letter.{self.tenant}.requested", b"{}")
        return await self.store.invite(self.tenant, version, "ann", code or self.code, SOON, pause, letter)

    async def letters(self) -> int:
        count: int = await self.pool.fetchval("select count(*) from outbox where subject like $1", f"%.{self.tenant}.%")
        return count

    async def waiting(self, most: int) -> None:
        """Until so many wait for a lock of somebody."""
        async with asyncio.timeout(30):
            while await self.pool.fetchval(_WAITING) < most:
                pass


def change(action: str, before: Any, after: Any) -> ConfigChanged:
    return ConfigChanged.model_validate(
        {"actor": "olga", "resource": "user", "resource_id": "ann", "action": action, "before": before, "after": after}
    )


@pytest.fixture(scope="module")
async def pool(postgres_dsn: str) -> AsyncIterator[Any]:
    made = await postgres.open_pool(postgres_dsn)
    await postgres.migrate(made, MIGRATIONS)
    yield made
    await made.close()


@pytest.fixture
async def place(pool: Any) -> Place:
    made = Place(pool)
    await made.fill()
    return made


ACTS: Mapping[str, Callable[[Place], Awaitable[Any]]] = {
    "a password is set": lambda place: place.store.set_password(place.tenant, "ann", "second"),
    "the login is removed": lambda place: place.store.remove(place.tenant, "ann"),
    "a code is used": lambda place: place.store.use_invitation(place.code, datetime.now(UTC), "third"),
    "the user is deleted": lambda place: place.log.append(place.tenant, 1, [change("deleted", {"id": "ann"}, None)]),
}


#: A tenant's log has one writer at a time anyway.
PAIRS = [pair for pair in combinations_with_replacement(ACTS, 2) if pair != ("the user is deleted",) * 2]


@pytest.mark.parametrize("held", ["invitation", "login", "refresh_token"])
@pytest.mark.parametrize(("first", "second"), PAIRS)
async def test_none_waits_for_one_that_waits_for_it(place: Place, first: str, second: str, held: str) -> None:
    async with asyncio.timeout(60), place.pool.acquire() as connection:
        acts: list[asyncio.Future[Any]] = []
        async with connection.transaction():
            await connection.execute(f"select from {held} where tenant = $1 and user_id = 'ann' for update", place.tenant)
            for number, act in enumerate((first, second), start=1):
                acts.append(asyncio.ensure_future(ACTS[act](place)))
                await place.waiting(number)
        await asyncio.gather(*acts)


OVER: Mapping[str, Callable[[Place], Awaitable[Any]]] = {
    **ACTS,
    "a refresh token comes again": lambda place: place.store.take_refresh(place.code, datetime.now(UTC)),
}


@pytest.mark.parametrize("how", OVER)
async def test_no_refresh_token_is_given_to_who_logged_in_before_the_login_was_changed(place: Place, how: str) -> None:
    issued = await place.store.now()
    if how not in ACTS:
        assert await place.store.take_refresh(place.code, datetime.now(UTC)) is not None
    async with asyncio.timeout(60), place.pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute("select from refresh_token where tenant = $1 for update", place.tenant)
            ending = asyncio.ensure_future(OVER[how](place))
            await place.waiting(1)
            giving = asyncio.ensure_future(place.give(b"late " + place.code, issued))
            await place.waiting(2)
        await ending
        assert not await giving
    assert await place.refreshes() == 0
    assert not await place.give(b"later " + place.code, issued)
    there = await place.store.get(place.tenant, "ann") is not None
    assert await place.give(b"new " + place.code, await place.store.now()) is there, "who logs in again has one"


async def test_who_comes_under_an_id_has_no_password_that_was_set_when_the_former_one_had_gone(place: Place) -> None:
    await place.log.append(place.tenant, 1, [change("deleted", {"id": "ann"}, None)])
    await place.store.set_password(place.tenant, "ann", "too late")
    await place.log.append(place.tenant, 2, [change("created", None, {"id": "ann"})])
    assert await place.store.get(place.tenant, "ann") is None


async def test_of_two_who_ask_at_once_for_a_code_one_is_sent_it_and_it_is_good(place: Place) -> None:
    before, minute = await place.letters(), timedelta(minutes=1)
    await place.store.forget_invitation(place.tenant, "ann")
    codes = [f"{place.tenant}/{number}".encode() for number in range(4)]
    assert all(await asyncio.gather(*(place.invite(1, code, minute) for code in codes)))
    assert await place.letters() == before + 1
    good = [code for code in codes if await place.store.invited(code, datetime.now(UTC)) is not None]
    assert len(good) == 1
    assert await place.invite(1, b"later " + place.code, minute)
    assert await place.store.invited(good[0], datetime.now(UTC)) is not None, "the letter that was sent stays good"
    assert await place.invite(1, b"an administrator's " + place.code)
    assert await place.store.invited(good[0], datetime.now(UTC)) is None, "without a pause a new letter voids it"


async def test_no_letter_goes_to_who_is_gone_since_it_was_written(place: Place) -> None:
    before = await place.letters()
    async with asyncio.timeout(60), place.pool.acquire() as connection:
        async with place.log.appending(connection, place.tenant, 1, [change("deleted", {"id": "ann"}, None)]):
            late = asyncio.ensure_future(place.invite(1, b"late " + place.code))
            await place.waiting(1)
        assert not await late
    assert await place.store.invited(b"late " + place.code, datetime.now(UTC)) is None
    assert await place.letters() == before


async def test_a_token_is_given_before_an_end_begins_or_after_it_is_committed(place: Place) -> None:
    before = await place.store.now()
    async with asyncio.timeout(60), place.pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute("delete from login where tenant = $1", place.tenant)
            giving = asyncio.ensure_future(place.store.now())
            await place.waiting(1)
            other = asyncio.ensure_future(place.store.set_password("other", "ann", "x"))
            await place.waiting(2)
        given = await giving
        await other
        (ended,) = [row["at"] for row in await connection.fetch("select at from ended_token where tenant = $1", place.tenant)]
        assert before < ended < given
        await connection.execute("delete from ended_token where tenant = $1", place.tenant)
