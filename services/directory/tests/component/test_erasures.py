"""A person is erased: from the log in Postgres, from the files of the bus, for every replica and for who reads from the beginning."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import pytest

from carillon.directory.v1 import contact_pb2_grpc, history_pb2_grpc, import_pb2_grpc, user_pb2_grpc
from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.person_pb2_grpc import PersonServiceStub
from carillon_contracts.config_events import fold
from carillon_contracts.envelope import Event
from carillon_contracts.erasure import SERVICES, PersonErasureOrdered, answer_event, read_order
from carillon_contracts.streams import CONFIG, ERASURES
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory import io_erasures
from carillon_directory.app import running
from carillon_kit.bus import Bus, ConsumerSpec, Delivered
from carillon_kit.dead_letters import MemoryDeadLetters
from carillon_kit.embedded import EmbeddedNats
from carillon_kit.testing import eventually, fresh_database

from .conftest import Client, settings_for

pytestmark = pytest.mark.feature("P-8")
TENANT = "acme"
WORDS = (b"Quillfeather", b"quillfeather", b"791234567", "Zoé".encode())
#: Of another tenant; what was the person's cannot be read.
_FAILING = """
insert into erasure (erasure_id, tenant, pseudonym, requested_by, reason, up_to, body, own)
values ($1, 'other', $2, 'user/quillfeather', '', 1, $3, '[["quillfeather"]]')"""
QUICK = {"erasure_seconds": 0.05, "erasure_grace_seconds": 0}


async def obedient(bus: Bus, done: list[str]) -> None:
    """Answers for the services that are not there."""

    async def handle(batch: list[Delivered]) -> None:
        for delivered in batch:
            order = read_order(delivered.subject, delivered.data)
            done.append(order.data.user_id)
            for name in SERVICES:
                event_id, subject, payload = answer_event(order, name, {"rows": 2}, datetime.now(UTC))
                await bus.publish(ERASURES.name, subject, payload, str(event_id))

    await bus.ensure_stream(ERASURES)
    await bus.consume(ConsumerSpec(ERASURES.name, "others", "carillon._operator.erasure.*.ordered"), handle, MemoryDeadLetters())


def company() -> pb.ApplyTenantRequest:
    return pb.ApplyTenantRequest(
        tenant=pb.Tenant(id=TENANT, realm="acme.example"),
        mailboxes=[pb.Mailbox(id="zoe-quillfeather", emails=["zoe@quillfeather.example"])],
        users=[
            pb.User(
                id="zoe.quillfeather", last_name="Quillfeather", first_name="Zoé", mobile="+41791234567", mailbox_id="zoe-quillfeather"
            ),
            pb.User(id="bob", last_name="Baker", description="stands in for Zoé Quillfeather, 079 123 45 67"),
        ],
        sip_credentials=[pb.SipCredential(id="acme-quillfeather", user_id="zoe.quillfeather", password="correct-horse")],
        extensions=[pb.Extension(id="101", destination=pb.Destination(user_id="zoe.quillfeather"))],
        ring_groups=[pb.RingGroup(id="team", members=[pb.RingMember(user_id="zoe.quillfeather"), pb.RingMember(user_id="bob")])],
    )


class Said:
    """A log in memory."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def warning(self, event: str, **values: Any) -> None:
        self.lines.append({"event": event, **values})

    info = error = warning


class Erasure:
    """What a test sees of one that is done."""

    def __init__(self, link: Any, first: pb.ErasePersonResponse, before: int) -> None:
        self.link, self.first, self.before = link, first, before

    async def told(self) -> pb.Erasure:
        answer = await PersonServiceStub(self.link).GetErasure(pb.GetErasureRequest(erasure_id=self.first.erasure_id))
        found: pb.Erasure = answer.erasure
        return found

    async def is_done(self) -> bool:
        return (await self.told()).HasField("done_time")


@pytest.fixture
def dsn() -> str:
    """A fresh database for each test."""
    return fresh_database()


@pytest.fixture
async def erased(nats_server: EmbeddedNats, dsn: str, client: Client) -> AsyncIterator[Erasure]:
    """Somebody who was there, named by others, is erased while the process is killed once."""
    settings = settings_for(nats_server.url(), dsn, **QUICK)
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(await Bus.connect(nats_server.url(), "test"))
        async with running(settings) as port:
            link = client(port, "operator", TENANT)
            await import_pb2_grpc.ImportServiceStub(link).ApplyTenant(company())
            await contact_pb2_grpc.ContactServiceStub(link).CreateContact(
                pb.CreateContactRequest(contact=pb.Contact(id="mum", last_name="Quillfeather-Mother", owner_user_id="zoe.quillfeather"))
            )
            kept = await everything_in(dsn)
            assert all(word in kept for word in WORDS)
            await eventually(lambda: all(any(word in each for each in files_of(nats_server).values()) for word in WORDS))
            before = (await history_pb2_grpc.HistoryServiceStub(link).ListChanges(pb.ListChangesRequest(page_size=1))).changes[0].config_seq
            first = await PersonServiceStub(link).ErasePerson(pb.ErasePersonRequest(user_id="zoe.quillfeather", reason="asked for"))
        # Nobody has answered yet: it goes on in another process.
        await obedient(bus, [])
        port = await stack.enter_async_context(running(settings))
        erasure = Erasure(client(port, "operator", TENANT), first, before)
        await eventually(erasure.is_done)
        yield erasure


async def everything_in(dsn: str) -> bytes:
    """All rows of all tables, bytes as they are."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch("select table_name from information_schema.tables where table_schema = current_schema()")
        rows = [str(row) for table in tables for row in await connection.fetch(f"select * from {table['table_name']}")]
    finally:
        await connection.close()
    return "\n".join(rows).encode()


def files_of(server: EmbeddedNats) -> dict[Path, bytes]:
    """What the bus has on the disk."""
    return {path: path.read_bytes() for path in (Path(server.folder) / "jetstream").rglob("*") if path.is_file()}


async def test_nothing_names_them_any_more(erased: Erasure, nats_server: EmbeddedNats, dsn: str) -> None:
    kept = await everything_in(dsn)
    assert b"erased-" in kept
    assert [word for word in WORDS if word in kept] == []
    files = files_of(nats_server)
    assert any(b"erased-" in content for content in files.values())
    assert [(path.name, word) for path, content in files.items() for word in WORDS if word in content] == []
    told = await erased.told()
    assert {each.service for each in told.services} == {"directory", *SERVICES}
    assert told.waits_for == ""
    assert "Quillfeather" not in str(told)


async def test_who_reads_the_stream_from_the_beginning_finds_every_version_and_a_pseudonym(
    erased: Erasure, nats_server: EmbeddedNats
) -> None:
    async with await Bus.connect(nats_server.url(), "reader") as bus:
        config = TenantConfig(TENANT)
        follower = bus.follow(CONFIG.name, f"carillon.{TENANT}.config.>")
        async with asyncio.timeout(30):
            async for message in follower:
                config = fold(config, Event.from_json(message.data)).config
                if config.seq == erased.before:
                    assert erased.first.pseudonym in config.users
                if config.seq == erased.first.config_seq + 1:
                    break
        await follower.close()
    assert set(config.users) == {"bob"}
    assert config.users["bob"].description == "stands in for erased, erased"


async def test_the_past_is_read_and_nobody_comes_back(erased: Erasure) -> None:
    users = user_pb2_grpc.UserServiceStub(erased.link)
    then = await users.ListUsers(pb.ListUsersRequest(as_of=pb.AsOf(config_seq=erased.before)))
    assert {(each.id, each.last_name) for each in then.users} == {(erased.first.pseudonym, "erased"), ("bob", "Baker")}
    history = history_pb2_grpc.HistoryServiceStub(erased.link)
    changes = (await history.ListChanges(pb.ListChangesRequest(page_size=100))).changes
    assert (changes[0].resource, changes[0].fact, changes[0].resource_id) == ("person", "erased", erased.first.pseudonym)
    assert "uillfeather" not in str(changes)
    await history.RestoreTenant(pb.RestoreTenantRequest(moment=pb.AsOf(config_seq=erased.before)))
    assert [each.id for each in (await users.ListUsers(pb.ListUsersRequest())).users] == ["bob"]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await history.UndoChange(pb.UndoChangeRequest(config_seq=erased.before + 1, last_config_seq=erased.first.config_seq))
    assert refused.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await history.UndoChange(pb.UndoChangeRequest(config_seq=changes[0].config_seq))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    found = [each.id for each in (await users.ListUsers(pb.ListUsersRequest())).users]
    assert found == ["bob"]


async def test_one_that_always_fails_holds_up_no_other_and_the_log_names_it_alone(
    client: Client, nats_url: str, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Said()
    monkeypatch.setattr(io_erasures, "_log", said)
    failing = PersonErasureOrdered(erasure_id=str(UUID(int=1)), ids={}, user_id="quillfeather", pseudonym="erased-000000000000")
    async with running(settings_for(nats_url, dsn, **QUICK)) as port, await Bus.connect(nats_url, "test") as bus:
        connection = await asyncpg.connect(dsn)
        await connection.execute(_FAILING, UUID(int=1), failing.pseudonym, failing.model_dump_json())
        await connection.execute(_FAILING, UUID(int=2), failing.pseudonym, '{"ids": "quillfeather"}')
        await connection.close()
        await obedient(bus, [])
        link = client(port, "operator", TENANT)
        await import_pb2_grpc.ImportServiceStub(link).ApplyTenant(company())
        first = await PersonServiceStub(link).ErasePerson(pb.ErasePersonRequest(user_id="zoe.quillfeather"))
        await eventually(Erasure(link, first, 0).is_done)
    assert {"event": "erasure delayed", "erasure_id": str(UUID(int=1)), "error": "ValueError"} in said.lines
    assert {"event": "erasure delayed", "erasure_id": str(UUID(int=2)), "error": "ValidationError"} in said.lines
    assert "uillfeather" not in str(said.lines)


async def test_a_dry_run_and_a_refusal_change_nothing(client: Client, nats_url: str, dsn: str) -> None:
    async with running(settings_for(nats_url, dsn, **QUICK)) as port:
        link = client(port, "operator", TENANT)
        await import_pb2_grpc.ImportServiceStub(link).ApplyTenant(company())
        persons = PersonServiceStub(link)
        dry = await persons.ErasePerson(pb.ErasePersonRequest(user_id="zoe.quillfeather", dry_run=True))
        assert not dry.erasure_id
        assert ("user", "deleted") in {(each.resource, each.fact) for each in dry.changes}
        menu = pb.Menu(
            id="m",
            prompt=[pb.Announcement(text="1")],
            keys=[pb.MenuKey(key="1", destination=pb.Destination(user_id="zoe.quillfeather"))],
        )
        await import_pb2_grpc.ImportServiceStub(link).ApplyTenant(pb.ApplyTenantRequest(menus=[menu]))
        with pytest.raises(grpc.aio.AioRpcError) as held:
            await persons.ErasePerson(pb.ErasePersonRequest(user_id="zoe.quillfeather"))
        assert held.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        user = await user_pb2_grpc.UserServiceStub(link).GetUser(pb.GetUserRequest(id="zoe.quillfeather"))
        assert user.user.first_name == "Zoé"
