"""Every stored change reaches the stream CONFIG, in order, whatever dies in between."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1 import import_pb2_grpc, tenant_pb2_grpc, user_pb2_grpc
from carillon_contracts.config import ConfigChanged
from carillon_contracts.config_events import changes_of, fold
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CONFIG
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.app import running
from carillon_directory.settings import DirectorySettings
from carillon_kit import postgres
from carillon_kit.auth import OPERATOR, issue_token
from carillon_kit.bus import Bus
from carillon_kit.embedded import EmbeddedNats, free_port
from carillon_kit.grpc_client import channel
from carillon_kit.testing import eventually, fresh_database

KEY = "a-key-that-is-long-enough-for-hs256"


@pytest.fixture
def dsn() -> str:
    """A fresh database for each test."""
    return fresh_database()


@asynccontextmanager
async def operator(port: int) -> AsyncIterator[grpc.aio.Channel]:
    async with channel(f"127.0.0.1:{port}", issue_token(KEY, "operator", None, [OPERATOR])) as made:
        yield made


def company(tenant: str, users: int = 5) -> pb.ApplyTenantRequest:
    return pb.ApplyTenantRequest(
        tenant=pb.Tenant(id=tenant, realm=f"{tenant}.example"),
        users=[pb.User(id=f"user{index}", last_name=f"User {index}") for index in range(users)],
    )


async def apply(port: int, tenant: str, users: int = 5) -> int:
    async with operator(port) as made:
        return int((await import_pb2_grpc.ImportServiceStub(made).ApplyTenant(company(tenant, users))).config_seq)


class Reader:
    """What a follower of the stream has: events by tenant, and the configuration folded from them."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.subjects: list[str] = []
        self.configs: dict[str, TenantConfig] = {}

    async def read(self, url: str) -> None:
        async with await Bus.connect(url, "reader") as bus:
            await bus.ensure_stream(CONFIG)
            follower = bus.follow(CONFIG.name, "carillon.*.config.>")
            async for message in follower:
                event = Event.from_json(message.data)
                self.events.append(event)
                self.subjects.append(message.subject)
                config = self.configs.get(event.tenantid, TenantConfig(event.tenantid))
                self.configs[event.tenantid] = fold(config, event).config

    def versions(self, tenant: str) -> list[int]:
        """Of every change, in the order in which they came."""
        return [seq for event in self.events if event.tenantid == tenant for seq, _ in changes_of(event)]

    def seq(self, tenant: str) -> int:
        return self.configs.get(tenant, TenantConfig(tenant)).seq


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[Reader]:
    reader = Reader()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reader.read(url))
        yield reader
        task.cancel()


@pytest.mark.feature("P-2")
async def test_each_change_is_one_event_in_order(nats_url: str, dsn: str) -> None:
    async with running(DirectorySettings(nats_url=nats_url, postgres_dsn=dsn, token_key=KEY)) as port, reading(nats_url) as reader:
        await asyncio.gather(*(apply(port, tenant) for tenant in ("one", "two")))
        async with operator(port) as made:
            await user_pb2_grpc.UserServiceStub(made).DeleteUser(
                pb.DeleteUserRequest(id="user0", reason="left"), metadata=(("carillon-tenant", "one"),)
            )
        await eventually(lambda: (reader.seq("one"), reader.seq("two")) == (7, 6))
    of_one = [event for event in reader.events if event.tenantid == "one"]
    assert [event.configseq for event in of_one] == list(range(1, 8))
    assert len({event.id for event in reader.events}) == 13
    last = of_one[-1]
    assert (last.type, last.source, last.subject) == ("carillon.config.user_deleted.v1", "carillon/directory", "user/user0")
    assert reader.subjects[reader.events.index(last)] == "carillon.one.config.user.deleted"
    change = ConfigChanged.model_validate(last.data)
    assert (change.actor, change.reason, change.after) == ("operator", "left", None)
    assert change.before is not None
    assert change.before["last_name"] == "User 0"
    assert sorted(reader.configs["one"].users) == ["user1", "user2", "user3", "user4"]


@pytest.mark.feature("P-2")
async def test_many_changes_of_a_kind_are_one_event_where_each_would_have_been(nats_url: str, dsn: str) -> None:
    async with running(DirectorySettings(nats_url=nats_url, postgres_dsn=dsn, token_key=KEY)) as port, reading(nats_url) as reader:
        await apply(port, "crowd", users=1200)
        await eventually(lambda: reader.seq("crowd") == 1201)
    assert reader.versions("crowd") == list(range(1, 1202))
    assert sorted(reader.configs["crowd"].users) == sorted(f"user{index}" for index in range(1200))
    events = [event for event in reader.events if event.tenantid == "crowd"]
    assert events[0].type == "carillon.config.tenant_created.v1"
    assert {event.type for event in events[1:]} == {"carillon.config.many_changed.v1"}
    assert len(events) < 20
    assert {subject for subject in reader.subjects if ".crowd." in subject} == {
        "carillon.crowd.config.tenant.created",
        "carillon.crowd.config.user.created",
    }
    pool = await postgres.open_pool(dsn)
    assert events[-1].id == await pool.fetchval("select event_id from event where stream = 'tenant-crowd' and version = 1201")
    await pool.close()


class Process:
    """The directory as a process that may be killed."""

    def __init__(self, nats_url: str, dsn: str) -> None:
        self.port = free_port()
        own = {
            "CARILLON_NATS_URL": nats_url,
            "CARILLON_POSTGRES_DSN": dsn,
            "CARILLON_TOKEN_KEY": KEY,
            "CARILLON_GRPC_LISTEN": f"127.0.0.1:{self.port}",
        }
        self._env = {**os.environ, **own}

    async def start(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "carillon_directory", env=self._env)
        try:
            async with operator(self.port) as made:
                await asyncio.wait_for(made.channel_ready(), timeout=60)
        except BaseException:
            process.kill()
            await process.wait()
            raise
        return process


@pytest.mark.feature("D-22")
async def test_what_was_acknowledged_before_a_kill_is_there_and_published_after_it(nats_url: str, dsn: str) -> None:
    directory = Process(nats_url, dsn)
    process = await directory.start()
    acknowledged: dict[str, int] = {}

    async def write(tenant: str) -> None:
        with contextlib.suppress(grpc.aio.AioRpcError):
            acknowledged[tenant] = await apply(directory.port, tenant, users=20)

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(write(f"killed{number}"))
            await eventually(lambda: len(acknowledged) >= 3)
            process.kill()
        await process.wait()
        process = await directory.start()
        async with reading(nats_url) as reader:
            async with operator(directory.port) as made:
                stored = (await tenant_pb2_grpc.TenantServiceStub(made).ListTenants(pb.ListTenantsRequest(page_size=1000))).tenants
            whole = {tenant.id: 21 for tenant in stored}
            assert {tenant.id: tenant.config_seq for tenant in stored} == whole
            assert acknowledged.items() <= whole.items()
            await eventually(lambda: {tenant: reader.seq(tenant) for tenant in whole} == whole)
        for tenant in whole:
            assert reader.versions(tenant) == list(range(1, 22))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), timeout=30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_stream_that_was_lost_is_built_again(tmp_path: Path, dsn: str) -> None:
    nats = EmbeddedNats(tmp_path / "nats", free_port(), durable=False).run()
    settings: dict[str, Any] = {"nats_url": nats.url(), "postgres_dsn": dsn, "token_key": KEY, "stream_check_seconds": 0.2}
    try:
        async with running(DirectorySettings(**settings)) as port:
            await apply(port, "lost")
            async with reading(nats.url()) as reader:
                await eventually(lambda: reader.seq("lost") == 6)
            nats.close()
            shutil.rmtree(tmp_path / "nats")
            nats = EmbeddedNats(tmp_path / "nats", nats.port, durable=False).run()
            async with reading(nats.url()) as reader:
                await eventually(lambda: reader.seq("lost") == 6)
    finally:
        nats.close()


async def test_a_change_waits_in_the_log_while_the_bus_is_away(tmp_path: Path, dsn: str) -> None:
    nats = EmbeddedNats(tmp_path / "nats", free_port(), durable=False).run()
    try:
        async with running(DirectorySettings(nats_url=nats.url(), postgres_dsn=dsn, token_key=KEY)) as port:
            nats.close()
            assert await apply(port, "patient") == 6
            nats = EmbeddedNats(tmp_path / "nats", nats.port, durable=False).run()
            async with reading(nats.url()) as reader:
                await eventually(lambda: reader.seq("patient") == 6)
    finally:
        nats.close()


async def test_a_cold_start_folds_the_same_configuration(nats_url: str, dsn: str) -> None:
    settings = DirectorySettings(nats_url=nats_url, postgres_dsn=dsn, token_key=KEY)
    users = pb.ListUsersRequest(page_size=1000)
    metadata = (("carillon-tenant", "cold"),)
    async with running(settings) as port, operator(port) as made:
        await apply(port, "cold", users=30)
        before = await user_pb2_grpc.UserServiceStub(made).ListUsers(users, metadata=metadata)
    async with running(settings) as port, operator(port) as made:
        assert await user_pb2_grpc.UserServiceStub(made).ListUsers(users, metadata=metadata) == before
    pool = await postgres.open_pool(dsn)
    assert await pool.fetchval("select count(*) from event where stream = 'tenant-cold'") == 31
    await pool.close()
