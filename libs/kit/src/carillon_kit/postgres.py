"""Postgres: the connection pool and the migrations.

Invariant: a migration that ran is never edited (its hash is kept), and two migrators at once leave the schema as one would. Each
migration is one transaction, unless its first line is `-- no transaction` (for `create index concurrently`).
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from typing import Any

import asyncpg
import orjson
from tenacity import AsyncRetrying, RetryCallState, retry, retry_if_exception_type, retry_if_not_result, wait_exponential, wait_fixed

from carillon_kit import logs

KIT_MIGRATIONS = "carillon_kit.migrations"
_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_NO_TRANSACTION = "-- no transaction"
_RETRY_SECONDS = 0.1
_LONGEST_RETRY_SECONDS = 1.0
_LONGEST_MIGRATION = 3600
_RESET_SECONDS = 5.0
_LOCK = "select pg_try_advisory_lock(hashtextextended('carillon_kit.migrate:' || current_schema(), 0))"
_TABLE = """
create table if not exists schema_migration (
    package text not null, name text not null, sha256 text not null, applied_at timestamptz not null default clock_timestamp(),
    primary key (package, name))
"""
#: The server is away, restarting, full or too slow: the same statement will do later.
UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # What asyncpg makes of a server that dies in the very middle of an operation.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
)
_log = logs.get_logger(__name__)


class MigrationError(Exception):
    """A migration was edited, is missing, is numbered twice, or failed."""


@dataclass(frozen=True, slots=True)
class Migration:
    """A numbered SQL file of a package."""

    package: str
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Hex digest of the file's text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


async def open_pool(dsn: str, *, min_size: int = 1, max_size: int = 10, timeout: float = 10.0, **options: Any) -> "asyncpg.Pool[Any]":
    """A pool on `dsn`, waiting up to `timeout` seconds for the server; json and jsonb are read and written as Python values.

    A connection is given back as it is, without a round trip that would reset it: who changes its session takes it by `own_session`.
    A statement may take 30 s (`command_timeout`) unless `options` (passed to `asyncpg.create_pool`) say otherwise. Raises
    `ConnectionError` when the server cannot be had, `ValueError` for an empty DSN.
    """
    if not dsn:
        raise ValueError("no Postgres DSN: set CARILLON_POSTGRES_DSN")
    options.setdefault("command_timeout", 30)
    options.setdefault("max_inactive_connection_lifetime", 300)
    options.setdefault("reset", _as_it_is)
    last: BaseException | None = None

    async def connect() -> "asyncpg.Pool[Any]":
        return await asyncpg.create_pool(dsn, min_size=min_size, max_size=max_size, init=_init, timeout=timeout, **options)

    def note(state: RetryCallState) -> None:
        nonlocal last
        last = state.outcome.exception() if state.outcome is not None else None

    insist = AsyncRetrying(
        retry=retry_if_exception_type((OSError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError)),
        wait=wait_exponential(_RETRY_SECONDS, max=_LONGEST_RETRY_SECONDS),
        before_sleep=note,
    )
    try:
        async with asyncio.timeout(timeout):
            return await insist(connect)
    except TimeoutError as error:
        raise ConnectionError(f"Postgres does not answer within {timeout} s: {last}") from error


async def _as_it_is(connection: Any) -> None:
    """Open transactions and listeners are ended by asyncpg before this is called."""


@asynccontextmanager
async def own_session(pool: "asyncpg.Pool[Any]", timeout: float | None = None) -> AsyncIterator[Any]:
    """A connection for session locks and the like: nothing of them is left when it is given back, however the block ends."""
    connection: Any
    async with pool.acquire(timeout=timeout) as connection:
        try:
            yield connection
        finally:
            await _end_session(connection)


async def _end_session(connection: Any) -> None:
    """Leave nothing of its session locks, listeners and settings; a connection that cannot be reset is closed."""
    try:
        await connection.reset(timeout=_RESET_SECONDS)
    except BaseException as error:
        # InterfaceError: the server has cut it, and the pool may have it back already.
        with suppress(asyncpg.InterfaceError):
            connection.terminate()
        if not isinstance(error, asyncpg.InterfaceError):
            raise


async def migrate(pool: "asyncpg.Pool[Any]", package: str | None = None, *, timeout: float = 60.0) -> list[str]:
    """Run kit's migrations (event, relay, inbox, dead_letter, outbox), then those of `package`; returns the names of the new ones.

    Waits up to `timeout` seconds for another migrator (by polling: a blocking lock deadlocks with `create index concurrently`); each
    migration may then take an hour.
    Raises `MigrationError` for files that were edited, are missing or are numbered twice, and before any new one ran.
    """
    packages = [name for name in (KIT_MIGRATIONS, package) if name is not None]
    migrations = [migration for name in packages for migration in find_migrations(name)]
    async with own_session(pool, timeout) as connection:
        async with asyncio.timeout(timeout):
            await _lock(connection)
        return await _apply(connection, packages, migrations)


def find_migrations(package: str) -> list[Migration]:
    """The package's files `NNNN_name.sql` in order; raises `MigrationError` for other names and for a number used twice."""
    found = []
    for file in files(package).iterdir():
        if file.name.endswith(".sql"):
            if not _NAME.fullmatch(file.name):
                raise MigrationError(f"{package}/{file.name}: not named NNNN_name.sql")
            found.append(Migration(package, file.name, file.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.name)
    for one, next_one in pairwise(found):
        if one.name[:4] == next_one.name[:4]:
            raise MigrationError(f"{package}: {one.name} and {next_one.name} have one number")
    return found


@retry(retry=retry_if_not_result(bool), wait=wait_fixed(_RETRY_SECONDS))
async def _lock(connection: Any) -> bool:
    """Wait until the lock is had, as long as the caller lets it."""
    return bool(await connection.fetchval(_LOCK))


async def _apply(connection: Any, packages: list[str], migrations: list[Migration]) -> list[str]:
    await connection.execute(_TABLE)
    rows = await connection.fetch("select package, name, sha256 from schema_migration")
    done = {(row["package"], row["name"]): row["sha256"] for row in rows}
    _check(done, packages, migrations)
    applied = []
    for migration in migrations:
        if (migration.package, migration.name) in done:
            continue
        try:
            await _apply_one(connection, migration)
        except asyncpg.PostgresError as error:
            raise MigrationError(f"{migration.package}/{migration.name}: {error}") from error
        _log.info("migrated", package=migration.package, migration=migration.name)
        applied.append(migration.name)
    return applied


def _check(done: dict[tuple[str, str], str], packages: list[str], migrations: list[Migration]) -> None:
    known = {(m.package, m.name): m for m in migrations}
    for key, sha256 in done.items():
        if key in known and known[key].sha256 != sha256:
            raise MigrationError(f"{key[0]}/{key[1]} was edited after it ran; write a new migration")
        if key not in known and key[0] in packages:
            raise MigrationError(f"{key[0]}/{key[1]} ran here and is missing now: is this an older program?")
    newest = {package: max((name for p, name in done if p == package), default="") for package in packages}
    for migration in migrations:
        if (migration.package, migration.name) not in done and migration.name < newest[migration.package]:
            raise MigrationError(f"{migration.package}/{migration.name} is numbered before {newest[migration.package]}, which ran already")


async def _apply_one(connection: Any, migration: Migration) -> None:
    remember = "insert into schema_migration (package, name, sha256) values ($1, $2, $3)"
    if migration.sql.startswith(_NO_TRANSACTION):
        await connection.execute(migration.sql, timeout=_LONGEST_MIGRATION)
        await connection.execute(remember, migration.package, migration.name, migration.sha256)
        return
    async with connection.transaction():
        await connection.execute(migration.sql, timeout=_LONGEST_MIGRATION)
        await connection.execute(remember, migration.package, migration.name, migration.sha256)


async def _init(connection: Any) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, encoder=_to_json, decoder=orjson.loads, schema="pg_catalog")


def _to_json(value: Any) -> str:
    return orjson.dumps(value).decode()
