"""Resellers and tenants themselves, many in one step; and what tenants were that are no more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.batch_pb2_grpc import BatchServiceStub
from carillon.directory.v1.reseller_pb2_grpc import ResellerServiceStub
from carillon.directory.v1.tenant_pb2_grpc import TenantServiceStub
from carillon.directory.v1.user_pb2_grpc import UserServiceStub
from carillon_directory.app import running
from carillon_directory.grpc_batch import packed
from carillon_directory.settings import DirectorySettings
from carillon_kit.auth import RESELLER, issue_token
from carillon_kit.grpc_client import channel

from .conftest import KEY

pytestmark = pytest.mark.feature("D-24", "P-1")
Client = Callable[..., grpc.aio.Channel]
INVALID, MISSING, DENIED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED
HELD, EXISTS, STALE = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.ABORTED


@pytest.fixture
async def operator(port: int, client: Client) -> grpc.aio.Channel:
    return client(port)


@pytest.fixture
async def seller(port: int) -> AsyncIterator[Callable[[str], grpc.aio.Channel]]:
    made: list[grpc.aio.Channel] = []

    def link(name: str) -> grpc.aio.Channel:
        made.append(channel(f"127.0.0.1:{port}", issue_token(KEY, f"key/{name}", None, [RESELLER], reseller=name)))
        return made[-1]

    yield link
    for each in made:
        await each.close(None)


async def batch(link: grpc.aio.Channel, *requests: Message, **options: Any) -> pb.ApplyInstallationBatchResponse:
    request = pb.ApplyInstallationBatchRequest(requests=packed(requests), **options)
    answer: pb.ApplyInstallationBatchResponse = await BatchServiceStub(link).ApplyInstallationBatch(request)
    return answer


async def refusal(link: grpc.aio.Channel, *requests: Message) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await batch(link, *requests)
    return error.value.code(), str(error.value.details())


def reseller(name: str, **fields: Any) -> pb.CreateResellerRequest:
    return pb.CreateResellerRequest(reseller=pb.Reseller(id=name, **fields))


def tenant(name: str, seller: str = "", **fields: Any) -> pb.CreateTenantRequest:
    return pb.CreateTenantRequest(tenant=pb.Tenant(id=name, reseller_id=seller, **{"realm": f"{name}.example", **fields}))


async def there(link: grpc.aio.Channel, prefix: str) -> tuple[list[str], list[str]]:
    """Resellers and tenants of the prefix."""
    sellers = (await ResellerServiceStub(link).ListResellers(pb.ListResellersRequest(page_size=1000))).resellers
    tenants = (await TenantServiceStub(link).ListTenants(pb.ListTenantsRequest(page_size=1000))).tenants
    return [each.id for each in sellers if each.id.startswith(prefix)], [each.id for each in tenants if each.id.startswith(prefix)]


async def test_a_tree_and_its_tenants_are_made_changed_and_taken_out_in_one_step_each(operator: grpc.aio.Channel) -> None:
    """What is named may come after what names it."""
    making = (
        tenant("a-1", "a-below"),
        reseller("a-below", parent_reseller_id="a"),
        reseller("a", max_tenants=2),
        tenant("a-2", "a"),
    )
    dry = await batch(operator, *making, dry_run=True)
    assert not dry.responses
    assert await there(operator, "a") == ([], [])
    made = await batch(operator, *making, reason="they begin")
    told = [("tenant", "a-1"), ("reseller", "a-below"), ("reseller", "a"), ("tenant", "a-2")]
    assert [(each.resource, each.resource_id) for each in made.changes] == told == [(e.resource, e.resource_id) for e in dry.changes]
    assert {each.fact for each in made.changes} == {"created"}
    first, below = pb.CreateTenantResponse(), pb.CreateResellerResponse()
    assert made.responses[0].Unpack(first)
    assert made.responses[1].Unpack(below)
    assert (first.tenant.reseller_id, first.tenant.config_seq, below.reseller.etag) == ("a-below", 1, "1")
    assert await there(operator, "a") == (["a", "a-below"], ["a-1", "a-2"])

    changing = (
        pb.UpdateTenantRequest(tenant=pb.Tenant(id="a-1", etag="1", reseller_id="a", display_name="One")),
        pb.UpdateResellerRequest(reseller=pb.Reseller(id="a", etag="1", display_name="A")),
        pb.DeleteResellerRequest(id="a-below"),
        pb.DeleteTenantRequest(id="a-2"),
    )
    changed = await batch(operator, *changing)
    assert [(each.fact, list(each.fields)) for each in changed.changes] == [
        ("updated", ["display_name", "reseller_id"]),
        ("updated", ["display_name"]),
        ("deleted", []),
        ("deleted", []),
    ]
    assert await there(operator, "a") == (["a"], ["a-1"])
    past = await ResellerServiceStub(operator).ListResellerChanges(pb.ListResellerChangesRequest(reseller_id="a-below"))
    assert [(each.fact, each.reason) for each in past.changes] == [("deleted", ""), ("created", "they begin")]


async def test_one_that_is_refused_leaves_nothing_of_the_others(operator: grpc.aio.Channel) -> None:
    await batch(operator, reseller("b", max_tenants=1), reseller("b-other"), tenant("b-1", "b"))
    kept = await there(operator, "b")
    new = (reseller("b-new"), tenant("b-new", "b-new"))
    refused: list[tuple[Message, grpc.StatusCode, str]] = [
        (tenant("b-2", "b"), HELD, "max_tenants"),
        (pb.UpdateTenantRequest(tenant=pb.Tenant(id="b-1", reseller_id="b-none")), INVALID, "requests[2].tenant.reseller_id"),
        (tenant("b-3", realm="b-1.example"), INVALID, "requests[2].tenant.realm"),
        (tenant("b-3", realm="b-new.example"), INVALID, "requests[2].tenant.realm"),
        (tenant("b-3", time_zone="Nowhere"), INVALID, "requests[2].tenant.time_zone"),
        (tenant("b\0c", realm="b-3.example"), INVALID, "requests[2].tenant.id"),
        (tenant("b-1"), EXISTS, "b-1"),
        (tenant("b-new"), INVALID, "requests[2].tenant.id"),
        (reseller("b"), EXISTS, "b"),
        (reseller("b-3", parent_reseller_id="b-none"), INVALID, "requests[2].reseller.parent_reseller_id"),
        (reseller("b-3", display_name="a\0b"), INVALID, "requests[2].reseller.display_name"),
        (pb.UpdateResellerRequest(reseller=pb.Reseller(id="b", display_name="a\nb")), INVALID, "requests[2].reseller.display_name"),
        (pb.UpdateResellerRequest(reseller=pb.Reseller(id="b", etag="9", display_name="B")), STALE, "etag"),
        (pb.UpdateTenantRequest(tenant=pb.Tenant(id="b-1", etag="9", display_name="B")), STALE, "etag"),
        (pb.UpdateTenantRequest(tenant=pb.Tenant(id="b-1"), update_mask=FieldMask(paths=["no"])), INVALID, "requests[2].update_mask.no"),
        (pb.DeleteResellerRequest(id="b"), HELD, "tenant/b-1"),
        (pb.DeleteResellerRequest(id="b-none"), MISSING, "b-none"),
        (pb.DeleteTenantRequest(id="b-none"), MISSING, "b-none"),
        (pb.DeleteTenantRequest(id="b-1", reason="mine"), INVALID, "requests[2].reason"),
        (pb.CreateUserRequest(user=pb.User(id="ann")), INVALID, "requests[2].@type"),
    ]
    for request, code, text in refused:
        got, told = await refusal(operator, *new, request)
        assert (got, text in told) == (code, True), (request, told)
        assert await there(operator, "b") == kept, request
    assert (await refusal(operator))[0] == INVALID
    circle = (
        pb.UpdateResellerRequest(reseller=pb.Reseller(id="b", parent_reseller_id="b-other")),
        pb.UpdateResellerRequest(reseller=pb.Reseller(id="b-other", parent_reseller_id="b")),
    )
    assert (await refusal(operator, *circle))[0] == INVALID


async def test_a_realm_goes_from_one_tenant_to_another_in_a_batch(operator: grpc.aio.Channel) -> None:
    await batch(operator, tenant("c-1"), tenant("c-2"))
    moved = pb.UpdateTenantRequest(tenant=pb.Tenant(id="c-1", realm="c-new.example"))
    taken = pb.UpdateTenantRequest(tenant=pb.Tenant(id="c-2", realm="c-1.example"))
    assert (await refusal(operator, taken, moved))[0] == INVALID, "in the order given"
    await batch(operator, moved, taken)
    answer = await TenantServiceStub(operator).GetTenant(pb.GetTenantRequest(id="c-2"))
    assert answer.tenant.realm == "c-1.example"


async def test_a_reseller_s_batch_is_of_its_own_tenants(
    operator: grpc.aio.Channel, seller: Callable[[str], grpc.aio.Channel], port: int, client: Client
) -> None:
    await batch(operator, reseller("d"), reseller("d-below", parent_reseller_id="d"), reseller("d-east"), tenant("d-9", "d-east"))
    link = seller("d")
    made = await batch(link, tenant("d-1"), tenant("d-2", "d-below"))
    first = pb.CreateTenantResponse()
    assert made.responses[0].Unpack(first)
    assert first.tenant.reseller_id == "d"
    assert (await refusal(link, tenant("d-3"), tenant("d-4", "d-east")))[0] == INVALID
    assert (await refusal(link, tenant("d-3"), pb.DeleteTenantRequest(id="d-9")))[0] == MISSING
    assert (await refusal(link, tenant("d-3"), reseller("d-5")))[0] == DENIED
    assert (await refusal(client(port, "admin", "d-1"), pb.DeleteTenantRequest(id="d-1")))[0] == DENIED
    assert await there(link, "d") == (["d", "d-below"], ["d-1", "d-2"])


async def test_two_replicas_at_once_lose_nothing_of_one_another(settings: DirectorySettings, client: Client) -> None:
    async with running(settings) as one, running(settings) as two:
        links = [client(port) for port in (one, two)]
        await batch(links[0], reseller("e", max_tenants=4), tenant("e"))

        async def make(number: int) -> grpc.StatusCode:
            named = pb.UpdateTenantRequest(tenant=pb.Tenant(id="e", display_name=f"{number}"))
            request = pb.ApplyInstallationBatchRequest(
                requests=packed([tenant(f"e-{number}a", "e"), named, tenant(f"e-{number}b", "e"), reseller(f"e-{number}")])
            )
            call = BatchServiceStub(links[number % 2]).ApplyInstallationBatch(request)
            return await call.code()

        answers = await asyncio.gather(*map(make, range(6)))
        assert sorted(answers, key=str) == [HELD] * 4 + [grpc.StatusCode.OK] * 2
        ok = [number for number, answer in enumerate(answers) if answer == grpc.StatusCode.OK]
        assert await there(links[1], "e") == (
            ["e", *(f"e-{number}" for number in ok)],
            ["e", *(f"e-{number}{half}" for number in ok for half in "ab")],
        )
        assert (await TenantServiceStub(links[1]).GetTenant(pb.GetTenantRequest(id="e"))).tenant.config_seq == 3


async def test_what_a_tenant_was_is_told_also_when_it_is_gone(
    operator: grpc.aio.Channel, seller: Callable[[str], grpc.aio.Channel], port: int, client: Client
) -> None:
    await batch(operator, reseller("f"), reseller("f-east"))
    link = seller("f")
    tenants: Any = TenantServiceStub(link)
    made = pb.CreateTenantRequest(tenant=pb.Tenant(id="f-1", realm="f-1.example"), reason="ordered")
    await tenants.CreateTenant(made)
    inside = client(port, "admin", "f-1")
    users: Any = UserServiceStub(inside)
    await users.CreateUser(pb.CreateUserRequest(user=pb.User(id="ann", last_name="Archer")))
    await tenants.UpdateTenant(pb.UpdateTenantRequest(tenant=pb.Tenant(id="f-1", display_name="One")))
    then = (await tenants.ListTenantChanges(pb.ListTenantChangesRequest(id="f-1"))).changes[0].time
    await users.DeleteUser(pb.DeleteUserRequest(id="ann"))

    async def told(of: grpc.aio.Channel) -> list[tuple[str, str]]:
        found, token = [], ""
        while True:
            page = await TenantServiceStub(of).ListTenantChanges(pb.ListTenantChangesRequest(id="f-1", page_size=1, page_token=token))
            found += [(each.fact, each.reason) for each in page.changes]
            if not (token := page.next_page_token):
                return found

    assert await told(inside) == [("updated", ""), ("created", "ordered")]
    await tenants.DeleteTenant(pb.DeleteTenantRequest(id="f-1", reason="moved away"))
    assert await told(link) == await told(operator) == [("deleted", "moved away"), ("updated", ""), ("created", "ordered")]
    for request in (pb.ListTenantsRequest(), pb.ListTenantsRequest(filter="id = f-1")):
        assert not (await tenants.ListTenants(request)).tenants
        request.as_of.time.CopyFrom(then)
        assert [each.display_name for each in (await tenants.ListTenants(request)).tenants] == ["One"]
    past = pb.GetTenantRequest(id="f-1", as_of=pb.AsOf(time=then))
    assert (await tenants.GetTenant(past)).tenant.display_name == "One"
    east: Any = TenantServiceStub(seller("f-east"))
    for call in (east.GetTenant(past), east.ListTenantChanges(pb.ListTenantChangesRequest(id="f-1")), tenants.GetTenant(made_id("f-1"))):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call
        assert error.value.code() == MISSING
    with pytest.raises(grpc.aio.AioRpcError, match="counts within one tenant"):
        await tenants.ListTenants(pb.ListTenantsRequest(as_of=pb.AsOf(config_seq=1)))


def made_id(name: str) -> pb.GetTenantRequest:
    return pb.GetTenantRequest(id=name)
