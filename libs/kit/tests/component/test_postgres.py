"""Migrations and the pool, against a real Postgres."""

import asyncio
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from carillon_kit import postgres
from carillon_kit.embedded import free_port
from carillon_kit.postgres import KIT_MIGRATIONS, MigrationError, find_migrations, migrate, open_pool, own_session
from carillon_kit.testing import eventually, fresh_database


@pytest.fixture
async def pool() -> AsyncIterator[Any]:
    pool = await open_pool(await asyncio.to_thread(fresh_database))
    yield pool
    await pool.close()


class Package:
    """A package of migrations that a test writes."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self._folder = folder / name
        self._folder.mkdir()

    def write(self, name: str, sql: str) -> None:
        (self._folder / name).write_text(sql)

    def remove(self, name: str) -> None:
        (self._folder / name).unlink()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"migrations_{tmp_path.name.replace('-', '_')}"
    sys.modules.pop(name, None)
    return Package(tmp_path, name)


async def test_kits_tables_are_made_in_the_roles_own_schema(pool: Any) -> None:
    names = [migration.name for migration in find_migrations(KIT_MIGRATIONS)]
    assert await migrate(pool) == names == sorted(names)
    names = ["event", "relay", "inbox", "dead_letter", "outbox"]
    tables = await pool.fetch("select schemaname, tablename from pg_tables where tablename = any($1)", names)
    assert {row["schemaname"] for row in tables} == {"tester"}
    assert len(tables) == len(names)


async def test_migrations_run_once_and_in_order(pool: Any, package: Package) -> None:
    package.write("0002_more.sql", "alter table thing add column more text;")
    package.write("0001_thing.sql", "create table thing (id int); insert into thing values (1);")
    assert (await migrate(pool, package.name))[-2:] == ["0001_thing.sql", "0002_more.sql"]
    assert await migrate(pool, package.name) == []
    assert await pool.fetchval("select count(*) from thing where more is null") == 1


async def test_an_edited_file_is_refused_before_anything_new_runs(pool: Any, package: Package) -> None:
    package.write("0001_thing.sql", "create table thing (id int);")
    await migrate(pool, package.name)
    package.write("0001_thing.sql", "create table thing (id bigint);")
    package.write("0002_more.sql", "create table more (id int);")
    with pytest.raises(MigrationError, match=r"0001_thing\.sql was edited"):
        await migrate(pool, package.name)
    assert await pool.fetchval("select to_regclass('more') is null")


async def test_a_missing_file_is_refused(pool: Any, package: Package) -> None:
    package.write("0001_thing.sql", "create table thing (id int);")
    await migrate(pool, package.name)
    package.remove("0001_thing.sql")
    with pytest.raises(MigrationError, match="missing"):
        await migrate(pool, package.name)


async def test_a_file_numbered_before_what_ran_is_refused(pool: Any, package: Package) -> None:
    package.write("0002_thing.sql", "create table thing (id int);")
    await migrate(pool, package.name)
    package.write("0001_earlier.sql", "create table earlier (id int);")
    with pytest.raises(MigrationError, match="numbered before"):
        await migrate(pool, package.name)


async def test_a_migration_that_fails_leaves_nothing_behind(pool: Any, package: Package) -> None:
    package.write("0001_thing.sql", "create table thing (id int); select 1 / 0;")
    with pytest.raises(MigrationError, match="division by zero"):
        await migrate(pool, package.name)
    assert await pool.fetchval("select to_regclass('thing') is null")
    package.write("0001_thing.sql", "create table thing (id int);")
    assert (await migrate(pool, package.name)) == ["0001_thing.sql"]


async def test_two_migrators_at_once_do_the_work_once(pool: Any, package: Package) -> None:
    package.write("0001_thing.sql", "create table thing (id int); select pg_sleep(0.1);")
    package.write("0002_index.sql", "-- no transaction\ncreate index concurrently thing_id on thing (id);")
    done = await asyncio.gather(*(migrate(pool, package.name) for _ in range(3)))
    assert sorted(len(names) for names in done) == [0, 0, len(find_migrations(KIT_MIGRATIONS)) + 2]
    assert await pool.fetchval("select count(*) from schema_migration where package = $1", package.name) == 2


async def test_a_migration_of_much_data_may_take_longer_than_another_migrator_is_waited_for(
    pool: Any, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(pool)
    package.write("0001_much.sql", "select pg_sleep(0.6);")

    async def had_at_once(connection: Any) -> bool:
        return True

    monkeypatch.setattr(postgres, "_lock", had_at_once)
    assert await migrate(pool, package.name, timeout=0.5) == ["0001_much.sql"]


@pytest.mark.parametrize("names", [["1_thing.sql"], ["0001_a.sql", "0001_b.sql"], ["0001-Thing.sql"]])
def test_files_are_named_by_the_rule(package: Package, names: list[str]) -> None:
    for name in names:
        package.write(name, "select 1;")
    with pytest.raises(MigrationError):
        find_migrations(package.name)


async def test_json_is_read_and_written_as_python_values(pool: Any) -> None:
    value = {"a": [1, None, "é"]}
    assert await pool.fetchval("select $1::jsonb", value) == value


async def test_a_server_that_does_not_answer_is_a_clear_error() -> None:
    with pytest.raises(ConnectionError, match="does not answer"):
        await open_pool(f"postgresql://x:y@127.0.0.1:{free_port()}/z", timeout=0.3)
    with pytest.raises(ValueError, match="CARILLON_POSTGRES_DSN"):
        await open_pool("")


async def use(pool: Any, act: Callable[[Any], Awaitable[None]]) -> None:
    """In a session with a listener; asyncpg warns of one that is still there when its connection goes back to the pool."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with own_session(pool) as connection:
            await connection.add_listener("news", print)
            await act(connection)


async def test_a_session_that_the_server_cuts_ends_with_what_the_server_says(pool: Any) -> None:
    async def be_cut(connection: Any) -> None:
        await connection.execute("select pg_terminate_backend(pg_backend_pid())")

    with pytest.raises((asyncpg.AdminShutdownError, asyncpg.ConnectionDoesNotExistError)):
        await use(pool, be_cut)
    assert await pool.fetchval("select 1") == 1


async def test_a_session_that_the_server_cut_before_ends_with_the_blocks_own_error(pool: Any) -> None:
    async def fail_later(connection: Any) -> None:
        def is_gone() -> bool:
            try:
                return bool(connection.is_closed())
            except asyncpg.InterfaceError:
                return True

        await pool.execute("select pg_terminate_backend($1)", await connection.fetchval("select pg_backend_pid()"))
        await eventually(is_gone)
        raise LookupError("the block's own")

    with pytest.raises(LookupError, match="the block's own"):
        await use(pool, fail_later)
    assert await pool.fetchval("select 1") == 1


async def test_nothing_of_a_session_is_left_to_the_next(pool: Any) -> None:
    async def lock(connection: Any) -> None:
        await connection.execute("select pg_advisory_lock(7); set work_mem = '1MB'")

    await use(pool, lock)
    assert await pool.fetchval("select count(*) from pg_locks where locktype = 'advisory'") == 0
    assert await pool.fetchval("select count(*) from pg_listening_channels()") == 0
    assert await pool.fetchval("show work_mem") != "1MB"
