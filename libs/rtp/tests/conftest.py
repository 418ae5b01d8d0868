"""A plane and a client shared by the tests of a module; far ends of their own for each test."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from carillon_rtp.client import Codec, PlaneClient
from carillon_rtp.testing import EventLog, Leg, MakeLeg, PlaneProcess, plane_process, rtp_endpoint


@pytest.fixture(scope="module")
async def plane(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PlaneProcess]:
    async with plane_process(tmp_path_factory.mktemp("plane"), "--rest", "0.2", "--learn", "0.2") as process:
        yield process


@pytest.fixture(scope="module")
async def client(plane: PlaneProcess) -> AsyncIterator[PlaneClient]:
    connected = await PlaneClient.connect(plane.socket, deadline=20, within=30)
    yield connected
    await connected.disconnect()


@pytest.fixture(scope="module")
async def events(client: PlaneClient) -> AsyncIterator[EventLog]:
    log = EventLog(client)
    task = asyncio.create_task(log.read())
    yield log
    task.cancel()


_numbers = itertools.count(1)


@pytest.fixture
def session_name() -> Callable[[], str]:
    """Names no other test has."""
    return lambda: f"session-{next(_numbers)}"


@pytest.fixture
async def make_leg(client: PlaneClient, session_name: Callable[[], str]) -> AsyncIterator[MakeLeg]:
    async with AsyncExitStack() as stack:

        async def make(codec: Codec | None = "PCMA", event_type: int | None = None) -> Leg:
            name = session_name()
            leg = Leg(client, name, await client.open(name), await stack.enter_async_context(rtp_endpoint()))
            stack.push_async_callback(client.close, name)
            if codec is not None:
                await leg.connect(codec, event_type)
            return leg

        yield make
