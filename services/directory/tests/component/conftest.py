"""The service on real servers, and its clients."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc.aio
import pytest

from carillon_directory.app import running
from carillon_directory.settings import DirectorySettings
from carillon_kit.auth import ADMIN, OPERATOR, SERVICE, issue_token
from carillon_kit.grpc_client import channel

KEY = "a-key-that-is-long-enough-for-hs256"


def settings_for(nats_url: str, postgres_dsn: str, **more: Any) -> DirectorySettings:
    return DirectorySettings(nats_url=nats_url, postgres_dsn=postgres_dsn, token_key=KEY, **more)


@pytest.fixture(scope="module")
def settings(nats_url: str, postgres_dsn: str) -> DirectorySettings:
    """Of the module's servers."""
    return settings_for(nats_url, postgres_dsn)


@pytest.fixture(scope="module")
async def port(settings: DirectorySettings) -> AsyncIterator[int]:
    """The service, in this process."""
    async with running(settings) as port:
        yield port


Client = Callable[..., grpc.aio.Channel]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Makes channels: `client(port, role, tenant)`."""
    made: list[grpc.aio.Channel] = []

    def make(port: int, role: str = "operator", tenant: str | None = None) -> grpc.aio.Channel:
        roles = {"operator": OPERATOR, "admin": ADMIN, "service": SERVICE}
        token = issue_token(KEY, f"{role}@{tenant or 'above'}", tenant if role == "admin" else None, [roles[role]])
        made.append(channel(f"127.0.0.1:{port}", token, tenant))
        return made[-1]

    yield make
    for each in made:
        await each.close(None)
