"""For tests: embedded servers as pytest fixtures, and waiting without sleeping.

In a conftest.py: `from carillon_kit.testing import nats_url, postgres_dsn  # noqa: F401`. Each fixture stands alone.
`nats_url`: a fresh NATS server per test module. `postgres_dsn`: a fresh database, role and schema per test module, on one server
per test run. Needs the extra `carillon-kit[testing]`.
"""

import asyncio
import atexit
import functools
import inspect
import secrets
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from carillon_kit.embedded import EmbeddedNats, EmbeddedPostgres, ensure_database, ensure_role_and_schema, free_port

_POLL_SECONDS = 0.01


async def eventually(condition: Callable[[], bool | Awaitable[bool]], timeout: float = 120.0) -> None:
    """Return once `condition()` (or what it awaits) is true; raises `TimeoutError` after `timeout` seconds (so a failing test only)."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return
        if time.monotonic() > deadline:
            said = inspect.getsource(condition).strip() if inspect.isfunction(condition) else condition
            raise TimeoutError(f"not true within {timeout} s: {said}")
        await asyncio.sleep(_POLL_SECONDS)


@pytest.fixture(scope="module")
def nats_server() -> Iterator[EmbeddedNats]:
    """A fresh NATS server with JetStream, without users; may be killed and started again by the test."""
    with tempfile.TemporaryDirectory(prefix="carillon-nats-") as folder:
        server = EmbeddedNats(folder, free_port(), durable=False).run()
        yield server
        server.close()


@pytest.fixture(scope="module")
def nats_url() -> Iterator[str]:
    """The address of a fresh NATS server with JetStream, without users."""
    with tempfile.TemporaryDirectory(prefix="carillon-nats-") as folder:
        server = EmbeddedNats(folder, free_port(), durable=False).run()
        yield server.url()
        server.close()


@pytest.fixture(scope="module")
def postgres_dsn() -> str:
    """DSN of a fresh role whose search_path is its own schema, in a fresh database."""
    return fresh_database()


def fresh_database(role: str = "tester") -> str:
    """Make a database, and a role with its schema in it, on the test run's server; returns the role's DSN."""

    async def make() -> str:
        server = shared_postgres()
        database = f"test_{secrets.token_hex(6)}"
        await ensure_database(server.dsn(), database)
        return await ensure_role_and_schema(server.dsn(database), role, "tester")

    return _in_own_loop(make)


@functools.cache
def shared_postgres() -> EmbeddedPostgres:
    """One Postgres server per process, stopped when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="carillon-postgres-"))
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder, free_port(), durable=False).run()
    atexit.register(_put_down, server, folder)
    return server


def _put_down(server: EmbeddedPostgres, folder: Path) -> None:
    server.close()
    shutil.rmtree(folder, ignore_errors=True)


def _in_own_loop(make: Callable[[], Awaitable[str]]) -> str:
    """Run to the end in a thread of its own: the caller may be inside a running loop."""
    from concurrent.futures import ThreadPoolExecutor

    async def main() -> str:
        return await make()

    shared_postgres()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(main())).result(timeout=30)
