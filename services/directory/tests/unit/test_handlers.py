"""Load, decide, store: writers that meet, states that are cached, the past, the history."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from carillon_contracts.config import ConfigChanged
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory import looking_back
from carillon_directory.domain.commands import CreateResource, DeleteResource, ErasePerson, UpdateResource
from carillon_directory.domain.erasing.decide import Erasing
from carillon_directory.domain.outcomes import Exists, Invalid, Missing, Stale
from carillon_directory.handlers import Directory, Erased, Executed, TenantStates, TooBusy
from carillon_directory.looking_back import Page
from carillon_directory.ports import Message, Outrun, Recorded
from carillon_directory.testing import MemoryTenantLog, company_command
from carillon_kit.clock import ManualClock
from carillon_kit.ids import SequenceIds

START = datetime(2026, 1, 5, 9, tzinfo=UTC)


class World:
    """A log with a clock; `replica()` is one more process on it."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.log = MemoryTenantLog(self.clock, SequenceIds())

    def replica(self, capacity: int = 1000) -> Directory:
        return Directory(self.log, TenantStates(self.log, capacity), attempts=3)


@pytest.fixture
async def world(company: dict[str, Any]) -> World:
    world = World()
    assert isinstance(await world.replica().execute("acme", company_command(company)), Executed)
    return world


def user(name: str) -> CreateResource:
    return CreateResource(actor="tester", kind="user", document={"id": name, "last_name": name})


def rename(resource_id: str, first_name: str) -> UpdateResource:
    return UpdateResource(actor="tester", kind="user", resource_id=resource_id, document={"first_name": first_name}, paths=("first_name",))


def config(result: object) -> TenantConfig:
    assert isinstance(result, TenantConfig), result
    return result


@pytest.mark.feature("D-22")
async def test_two_writers_at_once_both_succeed_on_fresh_state(world: World) -> None:
    one, two = world.replica(), world.replica()
    results = await asyncio.gather(one.execute("acme", user("cleo")), two.execute("acme", user("dave")), one.execute("acme", user("eve")))
    assert [type(result) for result in results] == [Executed] * 3
    state = config(await world.replica().read("acme"))
    assert {"cleo", "dave", "eve"} <= set(state.users)
    assert state.seq == 16


async def test_of_two_writers_of_one_id_the_second_hears_that_it_exists(world: World) -> None:
    results = await asyncio.gather(*(world.replica().execute("acme", user("cleo")) for _ in range(2)))
    assert sorted(type(result).__name__ for result in results) == ["Executed", "Exists"]
    assert Exists("user", "cleo") in results


async def test_a_change_made_elsewhere_is_seen(world: World) -> None:
    here, there = world.replica(), world.replica()
    config(await here.read("acme"))
    await there.execute("acme", rename("ann", "Ann"))
    assert config(await here.read("acme")).users["ann"].first_name == "Ann"


class Unwritten:
    """Where no erasure begins."""

    async def begin(self, tenant_id: str, expected: int, erasing: Erasing, by: str, reason: str) -> None:
        raise AssertionError("only a dry run was asked for")


class Outrunning(MemoryTenantLog):
    """A log in which another writer is always first."""

    attempts = 0

    async def append(self, tenant_id: str, expected: int, changes: Sequence[ConfigChanged], news: Sequence[Message] = ()) -> None:
        self.attempts += 1
        raise Outrun("always")


async def test_a_writer_that_is_always_outrun_gives_up(company: dict[str, Any]) -> None:
    log = Outrunning(ManualClock(START), SequenceIds())
    with pytest.raises(TooBusy):
        await Directory(log, TenantStates(log), attempts=3).execute("acme", company_command(company))
    assert log.attempts == 3


async def test_a_number_of_another_tenant_is_refused_and_free_again_once_given_up(world: World, company: dict[str, Any]) -> None:
    other = {"tenant": {"id": "other", "realm": "other.example"}, "numbers": [{"id": "+41215550900"}]}
    refused = await world.replica().execute("other", company_command(other))
    assert isinstance(refused, Invalid)
    assert [each.field for each in refused.violations] == ["numbers[0].id"]
    company["tenant"]["main_number"] = company["users"][0]["caller_number"] = ""
    company["numbers"] = []
    assert isinstance(await world.replica().execute("acme", company_command(company, prune=True)), Executed)
    assert isinstance(await world.replica().execute("other", company_command(other)), Executed)


async def test_a_dry_run_says_the_changes_and_stores_none(world: World, company: dict[str, Any]) -> None:
    company["users"][0]["first_name"] = "Ann"
    directory = world.replica()
    result = await directory.execute("acme", company_command(company), dry_run=True)
    assert isinstance(result, Executed)
    assert [change.resource_id for change in result.changes] == ["ann"]
    assert config(await directory.read("acme")).seq == result.config.seq == 13


@pytest.mark.feature("P-8")
async def test_an_erasure_reads_the_whole_log_in_steps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = UpdateResource(actor="tester", kind="user", resource_id="bob", document={"last_name": "Butcher"}, paths=("last_name",))
    directory = world.replica()
    assert isinstance(await directory.execute("acme", renamed), Executed)
    monkeypatch.setattr("carillon_directory.handlers._STEP", 5)
    spans: list[tuple[int, int | None]] = []
    load = world.log.load

    async def noted(tenant_id: str, after: int = 0, up_to: int | None = None) -> list[Recorded]:
        spans.append((after, up_to))
        return await load(tenant_id, after, up_to)

    monkeypatch.setattr(world.log, "load", noted)
    order = ErasePerson(actor="tester", user_id="bob", pseudonym="erased-abcdef012345", erasure_id="e")
    erased = await directory.erase("acme", order, Unwritten(), dry_run=True)
    assert isinstance(erased, Erased)
    assert {"baker", "butcher"} <= erased.erasing.order.texts.keys()
    assert spans[-3:] == [(0, 5), (5, 10), (10, 14)]


@pytest.mark.feature("P-8")
async def test_a_log_that_is_rewritten_while_it_is_read_is_read_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cold = world.replica()
    _rewrite_behind(world, monkeypatch, lambda after, up_to: after == 5)
    read = config(await cold.read("acme"))
    assert (read.seq, read.users["ann"].last_name) == (14, "erased")
    assert config(await cold.read("acme", 7)).users["ann"].last_name == "erased"


@pytest.mark.feature("P-8")
async def test_a_past_that_is_rewritten_while_it_is_read_is_read_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = world.replica()
    config(await directory.read("acme"))
    _rewrite_behind(world, monkeypatch, lambda after, up_to: up_to == 6)
    assert config(await directory.read("acme", 6)).users["ann"].last_name == "erased"


def _rewrite_behind(world: World, monkeypatch: pytest.MonkeyPatch, reads: Callable[[int, int | None], bool]) -> None:
    """Let the log be read five changes at a time, and be rewritten behind the first read (after, up to) that is meant."""
    monkeypatch.setattr("carillon_directory.handlers._STEP", 5)
    load = world.log.load

    async def rewritten_meanwhile(tenant_id: str, after: int = 0, up_to: int | None = None) -> list[Recorded]:
        found = await load(tenant_id, after, up_to)
        if reads(after, up_to):
            monkeypatch.setattr(world.log, "load", load)
            world.log.rewrite("acme", lambda change: _renamed(change, "ann"))
            said = ConfigChanged(resource="person", resource_id="erased-abcdef012345", action="erased", actor="tester")
            await world.log.append("acme", 13, [said])
        return found

    monkeypatch.setattr(world.log, "load", rewritten_meanwhile)


def _renamed(change: ConfigChanged, user_id: str) -> ConfigChanged:
    if (change.resource, change.resource_id) != ("user", user_id) or change.after is None:
        return change
    return change.model_copy(update={"after": {**change.after, "last_name": "erased"}})


@pytest.mark.feature("D-22")
async def test_one_resource_of_the_past_is_what_the_whole_was(world: World) -> None:
    directory = world.replica()
    await directory.execute("acme", rename("ann", "Ann"))
    await directory.execute("acme", user("cleo"))
    await directory.execute("acme", DeleteResource(actor="tester", kind="user", resource_id="cleo"))
    await directory.execute("acme", rename("ann", "Anna"))
    for version in range(1, 18):
        then = config(await directory.read("acme", version)).users
        for name in ("ann", "bob", "cleo", "nobody"):
            assert await directory.read_one("acme", "user", name, version) == then.get(name), (version, name)
    assert isinstance(await directory.read_one("acme", "user", "ann", 99), Invalid)
    assert isinstance(await directory.read_one("nobody", "user", "ann", 1), Missing)
    assert await directory.read_one("acme", "user", "ann", START.replace(hour=8)) is None


@pytest.mark.feature("D-22")
async def test_the_past_is_read_by_version_and_by_time(world: World) -> None:
    directory = world.replica()
    world.clock.advance(60)
    await directory.execute("acme", rename("ann", "Ann"))
    world.clock.advance(60)
    await directory.execute("acme", rename("ann", "Anna"))
    by_version = [config(await directory.read("acme", seq)).users["ann"].first_name for seq in (13, 14, 15)]
    assert by_version == ["", "Ann", "Anna"]
    moments = [START.replace(minute=minute, second=second) for minute, second in ((0, 0), (0, 59), (1, 0), (1, 59), (2, 0), (30, 0))]
    by_time = [config(await directory.read("acme", moment)).users["ann"].first_name for moment in moments]
    assert by_time == ["", "", "Ann", "Ann", "Anna", "Anna"]
    assert await directory.read("acme", START.replace(hour=8)) == Missing("tenant", "acme")
    assert await directory.read("acme", 0) == Missing("tenant", "acme")
    future = await directory.read("acme", 16)
    assert isinstance(future, Invalid)
    assert future.violations[0].field == "as_of.config_seq"


@pytest.mark.feature("D-22")
async def test_the_history_is_newest_first_and_of_whom_is_asked(world: World) -> None:
    directory = world.replica()
    await directory.execute("acme", rename("ann", "Ann"))
    await directory.execute("acme", rename("bob", "Bob"))
    everything = await directory.history("acme", None, 100)
    assert isinstance(everything, Page)
    assert [each.version for each in everything.changes] == list(range(15, 0, -1))
    of_ann = await directory.history("acme", None, 100, "user", "ann")
    assert isinstance(of_ann, Page)
    assert [(each.version, each.change.action) for each in of_ann.changes] == [(14, "updated"), (5, "created")]
    older = await directory.history("acme", 14, 1, "user")
    assert isinstance(older, Page)
    assert [each.version for each in older.changes] == [6]
    looked_at_by = set[int]()

    def seen(change: ConfigChanged) -> bool:
        looked_at_by.add(threading.get_ident())
        return change.resource_id == "bob"

    of_bob = await directory.history("acme", None, 100, "user", seen=seen)
    assert isinstance(of_bob, Page)
    assert [each.version for each in of_bob.changes] == [15, 6]
    assert looked_at_by
    assert threading.get_ident() not in looked_at_by


@pytest.mark.feature("D-22", "P-1")
@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("step", [1, 2, 4, 100])
async def test_a_page_of_the_history_reads_so_much_alone_and_all_pages_are_the_whole(
    world: World, size: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked, and whoever sees whatever."""
    monkeypatch.setattr(looking_back, "STEP", step)
    monkeypatch.setattr(looking_back, "MOST", 2 * step)
    directory = world.replica()
    for number in range(3):
        await directory.execute("acme", rename("ann", f"Ann {number}"))
    read: list[int] = []
    load, past_of = world.log.load, world.log.past_of

    async def counted(tenant_id: str, after: int = 0, up_to: int | None = None) -> list[Recorded]:
        found = await load(tenant_id, after, up_to)
        read.append(len(found))
        return found

    async def counted_of(tenant_id: str, kind: str, resource_id: str, before: int, limit: int) -> list[Recorded]:
        found = await past_of(tenant_id, kind, resource_id, before, limit)
        read.append(len(found))
        return found

    whole = await load("acme")
    monkeypatch.setattr(world.log, "load", counted)
    monkeypatch.setattr(world.log, "past_of", counted_of)
    asked: list[tuple[str, str, Callable[[ConfigChanged], bool] | None]] = [
        ("", "", None),
        ("user", "", None),
        ("", "ann", None),
        ("user", "ann", None),
        ("user", "nobody", None),
        ("user", "ann", lambda change: change.action == "created"),
        ("", "", lambda change: False),
        ("", "", lambda change: change.resource == "tenant"),
    ]
    for resource, resource_id, seen in asked:
        found: list[int] = []
        before = None
        while before != 0:
            read.clear()
            page = await directory.history("acme", before, size, resource, resource_id, seen)
            assert isinstance(page, Page)
            assert len(page.changes) <= size
            each_fits = seen is None and bool(resource) == bool(resource_id)
            assert sum(read) <= (size + 1 if each_fits else max(2 * step, size + 1))
            found += [each.version for each in page.changes]
            assert before is None or page.before < before
            before = page.before
        assert found == [
            each.version
            for each in reversed(whole)
            if resource in ("", each.change.resource)
            and resource_id in ("", each.change.resource_id)
            and (seen is None or seen(each.change))
        ]


async def test_only_so_many_states_are_kept_and_none_is_lost(company: dict[str, Any]) -> None:
    world = World()
    directory = world.replica(capacity=2)
    for name in ("one", "two", "three"):
        await directory.execute(name, company_command({"tenant": {"id": name, "realm": f"{name}.example"}}))
    assert [config(await directory.read(name)).tenant.realm for name in ("one", "two", "three")] == [
        "one.example",
        "two.example",
        "three.example",
    ]
    assert await directory.tenants() == ["one", "three", "two"]


@pytest.mark.parametrize("name", ["nobody", "", "No Such", "nul\x00", "../etc"])
async def test_who_is_no_tenant_is_missing(world: World, name: str) -> None:
    assert await world.replica().read(name) == Missing("tenant", name)
    assert await world.replica().history(name, None, 10) == Missing("tenant", name)


@pytest.mark.feature("D-22", "P-1")
async def test_administrators_at_the_same_resource_lose_no_update(world: World) -> None:
    """Each reads, adds a mark and writes with the etag that was read, and reads again if somebody was first."""
    replicas = [world.replica() for _ in range(3)]

    async def mark(directory: Directory, sign: str) -> None:
        while True:
            ann = config(await directory.read("acme")).users["ann"]
            await asyncio.sleep(0)
            command = UpdateResource(
                actor=sign,
                kind="user",
                resource_id="ann",
                document={"description": f"{ann.description}{sign}"},
                paths=("description",),
                etag=ann.etag,
            )
            try:
                result = await directory.execute("acme", command)
            except TooBusy:
                continue
            if isinstance(result, Executed):
                return
            assert isinstance(result, Stale)

    signs = "abcdefghijkl"
    async with asyncio.TaskGroup() as group:
        for number, sign in enumerate(signs):
            group.create_task(mark(replicas[number % 3], sign))
    state = config(await world.replica().read("acme"))
    assert sorted(state.users["ann"].description) == list(signs)
    assert state.seq == 13 + len(signs)
