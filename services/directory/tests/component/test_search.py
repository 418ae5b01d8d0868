"""Search through the gRPC door: own tenant only, and changes at once."""

from collections.abc import Callable

import grpc
import grpc.aio
import pytest

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.search_pb2_grpc import SearchServiceStub
from carillon.directory.v1.tenant_pb2_grpc import TenantServiceStub
from carillon.directory.v1.user_pb2_grpc import UserServiceStub


@pytest.mark.feature("D-21")
async def test_changes_are_found_at_once_and_only_in_the_own_tenant(port: int, client: Callable[..., grpc.aio.Channel]) -> None:
    tenants = TenantServiceStub(client(port))
    for name in ("find-a", "find-b"):
        await tenants.CreateTenant(pb.CreateTenantRequest(tenant=pb.Tenant(id=name, realm=f"{name}.example")))
        user = pb.User(id="elise", login="elise", last_name="Moreau", first_name="Élise")
        await UserServiceStub(client(port, "operator", name)).CreateUser(pb.CreateUserRequest(user=user))
    search = SearchServiceStub(client(port, "operator", "find-a"))
    (found,) = (await search.Search(pb.SearchRequest(query="elise mor"))).results
    assert (found.kind, found.id, found.display_name) == ("user", "elise", "Élise Moreau")
    changed = pb.User(id="elise", last_name="Lambert")
    await UserServiceStub(client(port, "operator", "find-a")).UpdateUser(pb.UpdateUserRequest(user=changed))
    assert [each.id for each in (await search.Search(pb.SearchRequest(query="lambert"))).results] == ["elise"]
    assert not (await search.Search(pb.SearchRequest(query="moreau"))).results
    other = SearchServiceStub(client(port, "operator", "find-b"))
    assert not (await other.Search(pb.SearchRequest(query="lambert"))).results
    for wrong in (pb.SearchRequest(query="x" * 201), pb.SearchRequest(query="x", kinds=["nothing"]), pb.SearchRequest(page_size=-1)):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await search.Search(wrong)
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
