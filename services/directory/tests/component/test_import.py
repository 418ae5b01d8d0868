"""A company in parts, in and out, by the running service."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.import_pb2_grpc import ImportServiceStub

pytestmark = pytest.mark.feature("D-20", "P-1")
Client = Callable[..., grpc.aio.Channel]


def parts(tenant: str, users: int, **options: Any) -> Iterator[pb.ImportTenantRequest]:
    yield pb.ImportTenantRequest(part=pb.ApplyTenantRequest(tenant=pb.Tenant(id=tenant, realm=f"{tenant}.example"), **options))
    for number in range(users):
        user = pb.User(id=f"u{number}", last_name=f"Name {number}")
        credential = pb.SipCredential(id=f"{tenant}-{number}", user_id=user.id)
        yield pb.ImportTenantRequest(part=pb.ApplyTenantRequest(users=[user], sip_credentials=[credential]))


async def imported(channel: grpc.aio.Channel, requests: Iterator[pb.ImportTenantRequest]) -> tuple[int, pb.ApplyTenantResponse]:
    whole, announced = pb.ApplyTenantResponse(), 0
    async for answer in ImportServiceStub(channel).ImportTenant(requests, timeout=100):
        announced = answer.progress.resources or announced
        whole.MergeFrom(answer.applied)
    return announced, whole


async def exported(channel: grpc.aio.Channel, as_of: pb.AsOf | None = None) -> tuple[pb.ApplyTenantRequest, int]:
    whole, version = pb.ApplyTenantRequest(), 0
    async for answer in ImportServiceStub(channel).ExportTenant(pb.ExportTenantRequest(as_of=as_of)):
        whole.MergeFrom(answer.part)
        version = answer.config_seq
    return whole, version


async def test_parts_are_joined_and_applied_at_once(port: int, client: Client) -> None:
    operator = client(port)
    announced, dry = await imported(operator, parts("parts", 3, dry_run=True))
    assert (announced, len(dry.changes), dry.config_seq, len(dry.new_credentials)) == (6, 7, 0, 0)
    announced, made = await imported(operator, parts("parts", 3))
    assert (announced, len(made.changes), made.config_seq) == (6, 7, 7)
    assert len({each.password for each in made.new_credentials}) == 3
    _, again = await imported(operator, parts("parts", 3))
    assert (len(again.changes), again.config_seq) == (0, 7)


async def test_what_is_wrong_in_a_late_part_leaves_nothing_of_the_others(port: int, client: Client) -> None:
    def requests() -> Iterator[pb.ImportTenantRequest]:
        yield from parts("late", 3)
        yield pb.ImportTenantRequest(part=pb.ApplyTenantRequest(users=[pb.User(id="u3")]))

    with pytest.raises(grpc.aio.AioRpcError) as error:
        await imported(client(port), requests())
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "users[3].last_name" in str(error.value.details())
    with pytest.raises(grpc.aio.AioRpcError) as missing:
        await exported(client(port, "operator", "late"))
    assert missing.value.code() == grpc.StatusCode.NOT_FOUND


async def test_what_was_exported_is_imported_without_a_change(port: int, client: Client) -> None:
    await imported(client(port), parts("round", 3))
    admin = client(port, "admin", "round")
    whole, version = await exported(admin)
    assert (whole.tenant.id, len(whole.users), version) == ("round", 3, 7)
    assert not any(each.password for each in whole.sip_credentials)
    whole.prune = True
    _, answer = await imported(admin, iter([pb.ImportTenantRequest(part=whole)]))
    assert (len(answer.changes), answer.config_seq) == (0, 7)


async def test_an_earlier_version_can_be_exported(port: int, client: Client) -> None:
    await imported(client(port), parts("early", 2))
    whole, version = await exported(client(port, "operator", "early"), pb.AsOf(config_seq=2))
    assert ([each.id for each in whole.users], len(whole.sip_credentials), version) == (["u0"], 0, 2)
