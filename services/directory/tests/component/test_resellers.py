"""Operator, resellers, tenants: who sees and sells what."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from carillon.directory.v1 import auth_pb2, auth_pb2_grpc
from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.reseller_pb2_grpc import ResellerServiceStub
from carillon.directory.v1.tenant_pb2_grpc import TenantServiceStub
from carillon.directory.v1.user_pb2_grpc import UserServiceStub
from carillon_directory.app import running
from carillon_directory.settings import DirectorySettings
from carillon_kit.auth import OPERATOR, RESELLER, issue_token
from carillon_kit.grpc_client import channel

from .conftest import KEY

pytestmark = pytest.mark.feature("D-24")
Client = Callable[..., grpc.aio.Channel]
INVALID, MISSING, DENIED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED
HELD = grpc.StatusCode.FAILED_PRECONDITION


async def code(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code()


def tenant(name: str, reseller: str = "") -> pb.CreateTenantRequest:
    return pb.CreateTenantRequest(tenant=pb.Tenant(id=name, realm=f"{name}.example", reseller_id=reseller))


@pytest.fixture(scope="module")
async def tree(port: int) -> int:
    """west above lake; east beside them, with two tenants at most."""
    async with channel(f"127.0.0.1:{port}", issue_token(KEY, "olga", None, [OPERATOR])) as link:
        resellers: Any = ResellerServiceStub(link)
        for wanted in (pb.Reseller(id="west"), pb.Reseller(id="lake", parent_reseller_id="west"), pb.Reseller(id="east", max_tenants=2)):
            await resellers.CreateReseller(pb.CreateResellerRequest(reseller=wanted))
        tenants: Any = TenantServiceStub(link)
        for request in (tenant("free"), tenant("west-1", "west"), tenant("lake-1", "lake"), tenant("east-1", "east")):
            await tenants.CreateTenant(request)
    return port


@pytest.fixture
async def west(tree: int) -> AsyncIterator[grpc.aio.Channel]:
    async with channel(f"127.0.0.1:{tree}", issue_token(KEY, "key/west", None, [RESELLER], reseller="west"), "west-1") as link:
        yield link


async def listed(link: grpc.aio.Channel, reseller: str = "", size: int = 50) -> list[str]:
    tenants: Any = TenantServiceStub(link)
    names, token = [], ""
    while True:
        page = await tenants.ListTenants(pb.ListTenantsRequest(reseller_id=reseller, page_size=size, page_token=token))
        names += [each.id for each in page.tenants]
        if not (token := page.next_page_token):
            return names


async def test_operators_see_all_and_a_reseller_s_by_name(tree: int, client: Client) -> None:
    link = client(tree)
    assert {"free", "west-1", "lake-1", "east-1"} <= set(await listed(link))
    assert await listed(link, "west", size=1) == ["lake-1", "west-1"]
    assert await listed(link, "lake") == ["lake-1"]
    assert await code(listed(link, "nobody")) == INVALID


async def test_a_reseller_sees_and_sells_below_itself_alone(west: grpc.aio.Channel) -> None:
    tenants: Any = TenantServiceStub(west)
    resellers: Any = ResellerServiceStub(west)
    assert await listed(west) == ["lake-1", "west-1"]
    assert [each.id for each in (await resellers.ListResellers(pb.ListResellersRequest())).resellers] == ["lake", "west"]
    assert await code(listed(west, "east")) == INVALID
    assert await code(resellers.GetReseller(pb.GetResellerRequest(id="east"))) == MISSING
    for other in ("east-1", "free"):
        assert await code(tenants.GetTenant(pb.GetTenantRequest(id=other))) == MISSING
        renamed = pb.UpdateTenantRequest(tenant=pb.Tenant(id=other, display_name="Mine"))
        assert await code(tenants.UpdateTenant(renamed)) == MISSING
    new = (await tenants.CreateTenant(tenant("west-2"))).tenant
    assert new.reseller_id == "west"
    given = pb.UpdateTenantRequest(tenant=pb.Tenant(id="west-2", reseller_id="lake"))
    assert (await tenants.UpdateTenant(given)).tenant.reseller_id == "lake"
    assert await code(tenants.CreateTenant(tenant("west-3", "east"))) == INVALID
    away = pb.UpdateTenantRequest(tenant=pb.Tenant(id="west-2"), update_mask=FieldMask(paths=["reseller_id"]))
    assert await code(tenants.UpdateTenant(away)) == INVALID
    assert await code(resellers.CreateReseller(pb.CreateResellerRequest(reseller=pb.Reseller(id="x")))) == DENIED
    assert await code(UserServiceStub(west).ListUsers(pb.ListUsersRequest())) == DENIED


async def test_a_reseller_has_as_many_tenants_as_it_may(tree: int, client: Client) -> None:
    tenants: Any = TenantServiceStub(client(tree))
    await tenants.CreateTenant(tenant("east-2", "east"))
    assert await code(tenants.CreateTenant(tenant("east-3", "east"))) == HELD
    assert await code(tenants.UpdateTenant(pb.UpdateTenantRequest(tenant=pb.Tenant(id="free", reseller_id="east")))) == HELD
    same = pb.UpdateTenantRequest(tenant=pb.Tenant(id="east-2", reseller_id="east", display_name="Two"))
    assert (await tenants.UpdateTenant(same)).tenant.display_name == "Two"


async def test_the_tree_is_kept_whole(tree: int, client: Client) -> None:
    resellers: Any = ResellerServiceStub(client(tree))

    def update(**fields: Any) -> Any:
        return resellers.UpdateReseller(pb.UpdateResellerRequest(reseller=pb.Reseller(**fields)))

    assert await code(update(id="west", parent_reseller_id="lake")) == INVALID
    assert await code(update(id="west", parent_reseller_id="nobody")) == INVALID
    assert await code(update(id="west", etag="0", display_name="W")) == grpc.StatusCode.ABORTED
    assert (await update(id="west", display_name="West SA")).reseller.etag == "2"
    assert await code(update(id="nobody", display_name="W")) == MISSING
    again = pb.CreateResellerRequest(reseller=pb.Reseller(id="west"))
    assert await code(resellers.CreateReseller(again)) == grpc.StatusCode.ALREADY_EXISTS
    assert await code(resellers.DeleteReseller(pb.DeleteResellerRequest(id="west"))) == HELD
    await resellers.CreateReseller(pb.CreateResellerRequest(reseller=pb.Reseller(id="gone")))
    await resellers.DeleteReseller(pb.DeleteResellerRequest(id="gone"))
    assert await code(resellers.GetReseller(pb.GetResellerRequest(id="gone"))) == MISSING


async def test_a_reseller_s_key_is_good_for_it_alone(tree: int, client: Client) -> None:
    operator: Any = auth_pb2_grpc.AccessServiceStub(client(tree))
    wrong = auth_pb2.CreateApiKeyRequest(display_name="x", role="operator", reseller_id="lake")
    assert await code(operator.CreateApiKey(wrong)) == INVALID
    unknown = auth_pb2.CreateApiKeyRequest(display_name="x", role="reseller", reseller_id="nobody")
    assert await code(operator.CreateApiKey(unknown)) == INVALID
    made = await operator.CreateApiKey(auth_pb2.CreateApiKeyRequest(display_name="shop", role="reseller", reseller_id="lake"))
    assert made.api_key.reseller_id == "lake"
    auth: Any = auth_pb2_grpc.AuthServiceStub(client(tree))
    tokens = (await auth.ExchangeApiKey(auth_pb2.ExchangeApiKeyRequest(api_key=made.secret))).tokens
    async with channel(f"127.0.0.1:{tree}", tokens.access_token) as link:
        assert set(await listed(link)) <= {"lake-1", "west-2"}


async def test_two_replicas_at_once_sell_no_more_than_the_limit(settings: DirectorySettings, client: Client) -> None:
    async with running(settings) as one, running(settings) as two:
        links = [client(port) for port in (one, two)]
        resellers: Any = ResellerServiceStub(links[0])
        await resellers.CreateReseller(pb.CreateResellerRequest(reseller=pb.Reseller(id="race", max_tenants=2)))

        async def sell(number: int) -> grpc.StatusCode:
            tenants: Any = TenantServiceStub(links[number % 2])
            call = tenants.CreateTenant(tenant(f"race-{number}", "race"))
            return await call.code()  # type: ignore[no-any-return]

        answers = await asyncio.gather(*map(sell, range(8)))
        assert sorted(answers, key=str) == [HELD] * 6 + [grpc.StatusCode.OK] * 2
        assert len(await listed(links[1], "race")) == 2
