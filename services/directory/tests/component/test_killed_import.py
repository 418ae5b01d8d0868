"""A directory that is killed while a company is imported, a batch applied or a tenant restored: all of it is there, or nothing."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc.aio
import pytest
from google.protobuf.any_pb2 import Any as Packed

from carillon.directory.v1 import batch_pb2_grpc, history_pb2_grpc, import_pb2_grpc, tenant_pb2_grpc
from carillon.directory.v1 import directory_pb2 as pb
from carillon_contracts.config_events import changes_of
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CONFIG
from carillon_kit import postgres
from carillon_kit.auth import OPERATOR, issue_token
from carillon_kit.bus import Bus
from carillon_kit.embedded import free_port
from carillon_kit.grpc_client import channel
from carillon_kit.testing import fresh_database

KEY = "a-key-that-is-long-enough-for-hs256"
USERS = 500
#: Resources that a batch makes and a restoration takes away.
BATCH = 600
RESOURCES = 2 * USERS + 1
PATIENCE = 120.0
#: What the log's table is asked while it is written to, by a connection of its own.
_WRITING = "select count(*) from pg_stat_activity where state = 'active' and query like '%insert into event%' and pid <> pg_backend_pid()"
#: Seconds after all parts were received; None: when it was answered.
MOMENTS = [0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.3, 1.6, 2.0, 2.5, 3.0, 4.0, None]


def parts(tenant: str) -> Iterator[pb.ImportTenantRequest]:
    yield pb.ImportTenantRequest(part=pb.ApplyTenantRequest(tenant=pb.Tenant(id=tenant, realm=f"{tenant}.example")))
    for start in range(0, USERS, 250):
        part = pb.ApplyTenantRequest()
        for number in range(start, start + 250):
            part.users.add(id=f"u{number}", last_name=f"Name {number}")
            part.numbers.add(id=f"+4121{5_000_000 + number}", destination=pb.Destination(user_id=f"u{number}"))
        yield pb.ImportTenantRequest(part=part)


class Killable:
    """The directory as a process."""

    def __init__(self, nats_url: str, dsn: str) -> None:
        self.port = free_port()
        self._env = os.environ | {
            "CARILLON_NATS_URL": nats_url,
            "CARILLON_POSTGRES_DSN": dsn,
            "CARILLON_TOKEN_KEY": KEY,
            "CARILLON_GRPC_LISTEN": f"127.0.0.1:{self.port}",
        }

    def inside(self, tenant: str) -> AbstractAsyncContextManager[grpc.aio.Channel]:
        """As somebody of the tenant."""
        return channel(f"127.0.0.1:{self.port}", issue_token(KEY, "operator", None, [OPERATOR]), tenant)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[asyncio.subprocess.Process, grpc.aio.Channel]]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "carillon_directory", env=self._env, stderr=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
        )
        try:
            async with channel(f"127.0.0.1:{self.port}", issue_token(KEY, "operator", None, [OPERATOR])) as made:
                await asyncio.wait_for(made.channel_ready(), PATIENCE)
                yield process, made
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def imported(made: grpc.aio.Channel, tenant: str, sent: asyncio.Event) -> int:
    """The version that was answered; 0: the directory died before it answered."""
    version = 0
    try:
        async for answer in import_pb2_grpc.ImportServiceStub(made).ImportTenant(parts(tenant), timeout=PATIENCE):
            sent.set()
            version = answer.applied.config_seq or version
    except grpc.aio.AioRpcError:
        return 0
    return version


async def version_of(made: grpc.aio.Channel, tenant: str) -> int:
    try:
        return int((await tenant_pb2_grpc.TenantServiceStub(made).GetTenant(pb.GetTenantRequest(id=tenant))).tenant.config_seq)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        return 0


async def published(nats_url: str, tenant: str, count: int) -> list[int]:
    """The versions of the tenant in the stream, once there are so many."""
    versions: list[int] = []
    async with asyncio.timeout(PATIENCE), await Bus.connect(nats_url, "reader") as bus:
        if count:
            async for message in bus.follow(CONFIG.name, f"carillon.{tenant}.config.>"):
                versions += [seq for seq, _ in changes_of(Event.from_json(message.data))]
                if len(versions) >= count:
                    break
    return versions


async def whole_or_nothing(made: grpc.aio.Channel, nats_url: str, tenant: str, answered: int) -> int:
    """What is there after a restart; the same import then completes it."""
    there = await version_of(made, tenant)
    assert there in (0, RESOURCES)
    assert answered in (0, there)
    assert await published(nats_url, tenant, there) == list(range(1, there + 1))
    assert await imported(made, tenant, asyncio.Event()) == RESOURCES
    assert await published(nats_url, tenant, RESOURCES) == list(range(1, RESOURCES + 1))
    return there


async def killed(process: asyncio.subprocess.Process, dsn: str, act: Coroutine[Any, Any, int]) -> int:
    """The version that was answered (0: none) by a directory that is killed while its log is written to."""
    pool, acting = await postgres.open_pool(dsn), asyncio.ensure_future(act)
    async with asyncio.timeout(PATIENCE):
        while not acting.done() and not await pool.fetchval(_WRITING):
            await asyncio.sleep(0.001)
    process.kill()
    await process.wait()
    await pool.close()
    return await acting


async def answered(call: Awaitable[Any]) -> int:
    """The version in an answer; 0: the directory died before it answered."""
    try:
        return int((await call).config_seq)
    except grpc.aio.AioRpcError:
        return 0


async def batched(inside: AbstractAsyncContextManager[grpc.aio.Channel]) -> int:
    packed = []
    for number in range(BATCH):
        box = Packed()
        box.Pack(pb.CreateContactRequest(contact=pb.Contact(id=f"c{number}", last_name=f"Contact {number}")))
        packed.append(box)
    async with inside as made:
        return await answered(batch_pb2_grpc.BatchServiceStub(made).ApplyBatch(pb.ApplyBatchRequest(requests=packed), timeout=PATIENCE))


async def restored(inside: AbstractAsyncContextManager[grpc.aio.Channel]) -> int:
    """What it was before the batch."""
    request = pb.RestoreTenantRequest(moment=pb.AsOf(config_seq=RESOURCES))
    async with inside as made:
        return await answered(history_pb2_grpc.HistoryServiceStub(made).RestoreTenant(request, timeout=PATIENCE))


@pytest.mark.feature("D-20", "D-22")
async def test_killed_while_the_log_is_written_nothing_or_all_is_there(nats_url: str) -> None:
    dsn, tenant = fresh_database(), "midway"
    directory = Killable(nats_url, dsn)
    async with directory.running() as (process, made):
        told = await killed(process, dsn, imported(made, tenant, asyncio.Event()))
    async with directory.running() as (_, made):
        await whole_or_nothing(made, nats_url, tenant, told)


@pytest.mark.slow
@pytest.mark.feature("D-20", "D-22")
async def test_killed_in_a_batch_and_in_a_restoration_nothing_or_all_is_there(nats_url: str) -> None:
    dsn, tenant, version = fresh_database(), "later", RESOURCES
    directory = Killable(nats_url, dsn)
    async with directory.running() as (process, made):
        assert await imported(made, tenant, asyncio.Event()) == version
        told = await killed(process, dsn, batched(directory.inside(tenant)))
    for act in (batched, restored):
        async with directory.running() as (process, made):
            there = await version_of(made, tenant)
            assert there in (version, version + BATCH)
            assert told in (0, there)
            assert there == version + BATCH or await act(directory.inside(tenant)) == version + BATCH
            version += BATCH
            assert await published(nats_url, tenant, version) == list(range(1, version + 1))
            if act is batched:
                told = await killed(process, dsn, restored(directory.inside(tenant)))


@pytest.mark.slow
@pytest.mark.feature("D-20", "D-22")
@pytest.mark.timeout(900)
async def test_killed_at_many_moments_nothing_or_all_is_there(nats_url: str) -> None:
    found = set()
    for number, moment in enumerate(MOMENTS):
        directory, sent, tenant = Killable(nats_url, fresh_database()), asyncio.Event(), f"moment-{number}"
        async with directory.running() as (process, made):
            importing = asyncio.create_task(imported(made, tenant, sent))
            await asyncio.wait_for(sent.wait(), PATIENCE)
            await asyncio.wait((importing,), timeout=moment)
            process.kill()
            await process.wait()
            answered = await importing
        async with directory.running() as (_, made):
            found.add(await whole_or_nothing(made, nats_url, tenant, answered))
    assert found == {0, RESOURCES}
