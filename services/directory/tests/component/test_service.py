"""The admin API over real gRPC, on real Postgres and NATS."""

import asyncio
import itertools
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from carillon.directory.v1 import directory_pb2 as pb
from carillon_contracts.config import RESOURCES
from carillon_kit import pages

_SERIAL = itertools.count(1)
_STUBS: dict[str, Any] = {
    service: getattr(import_module(f"carillon.directory.v1.{Path(file.name).stem}_pb2_grpc"), f"{service}Stub")
    for file in pb.DESCRIPTOR.public_dependencies
    for service in file.services_by_name
}
_SERVICES = {name.removesuffix("Service").lower(): stub for name, stub in _STUBS.items()}


class Api:
    """Every stub on one channel: `api.user.CreateUser(...)`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel

    def __getattr__(self, name: str) -> Any:
        return _SERVICES[name.replace("_", "")](self.channel)


class Company:
    """A fresh tenant with an operator's and an admin's access to it."""

    def __init__(self, tenant: str, operator: Api, admin: Api) -> None:
        self.id = tenant
        self.operator = operator
        self.admin = admin

    async def seq(self) -> int:
        """The configuration's version now."""
        response = await self.operator.tenant.GetTenant(pb.GetTenantRequest(id=self.id))
        return int(response.tenant.config_seq)

    def user(self, **fields: Any) -> pb.CreateUserRequest:
        return pb.CreateUserRequest(user=pb.User(**{"id": "ann", "last_name": "Archer"} | fields), reason="a new colleague")


@pytest.fixture
async def company(port: int, client: Callable[..., grpc.aio.Channel]) -> Company:
    tenant = f"acme{next(_SERIAL)}"
    made = Company(tenant, Api(client(port, "operator", tenant)), Api(client(port, "admin", tenant)))
    await made.operator.tenant.CreateTenant(pb.CreateTenantRequest(tenant=pb.Tenant(id=tenant, realm=f"{tenant}.example")))
    return made


async def refused(call: Any) -> tuple[grpc.StatusCode, dict[str, str]]:
    """The code of a refusal, and its reasons by field, by holder or by resource."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    status = rpc_status.from_call(error.value)  # type: ignore[arg-type]
    reasons: dict[str, str] = {}
    for detail in status.details if status is not None else ():
        bad, held, info = error_details_pb2.BadRequest(), error_details_pb2.PreconditionFailure(), error_details_pb2.ResourceInfo()
        if detail.Unpack(bad):
            reasons |= {each.field: each.description for each in bad.field_violations}
        if detail.Unpack(held):
            reasons |= {each.subject: each.description for each in held.violations}
        if detail.Unpack(info):
            reasons[info.resource_name] = info.description
    return error.value.code(), reasons


@pytest.mark.feature("D-2")
@pytest.mark.feature("P-1")
async def test_a_user_is_made_read_changed_and_deleted(company: Company) -> None:
    users = company.admin.user
    created = (await users.CreateUser(company.user(first_name="Ann", forwarding={"busy": {"external_number": "+41795550901"}}))).user
    assert (created.id, created.ring_seconds, created.etag) == ("ann", 20, "2")
    assert (await users.GetUser(pb.GetUserRequest(id="ann"))).user == created
    change = pb.UpdateUserRequest(user=pb.User(id="ann", etag=created.etag, last_name="Baker", email="ann@acme.example"))
    change.update_mask.paths.extend(["last_name"])
    updated = (await users.UpdateUser(change)).user
    assert (updated.last_name, updated.first_name, updated.email, updated.etag) == ("Baker", "Ann", "", "3")
    assert updated.forwarding.busy.external_number == "+41795550901"
    await users.DeleteUser(pb.DeleteUserRequest(id="ann", etag=updated.etag))
    assert (await refused(users.GetUser(pb.GetUserRequest(id="ann"))))[0] == grpc.StatusCode.NOT_FOUND
    assert await company.seq() == 4


@pytest.mark.feature("P-1")
async def test_wrong_input_names_its_field_and_changes_nothing(company: Company) -> None:
    before = await company.seq()
    api = company.admin
    destination = pb.Destination(user_id="nobody")
    member = pb.RingMember(external_number="+41795550901")
    wrong = [
        (api.user.CreateUser(pb.CreateUserRequest()), "user"),
        (api.user.CreateUser(company.user(last_name="")), "user.last_name"),
        (api.user.CreateUser(company.user(ring_seconds=5)), "user.ring_seconds"),
        (api.user.CreateUser(company.user(id="Not An Id")), "user.id"),
        (api.user.CreateUser(company.user(last_name="nul\x00")), "user.last_name"),
        (api.extension.CreateExtension(pb.CreateExtensionRequest(extension=pb.Extension(id="1"))), "extension.destination"),
        (
            api.extension.CreateExtension(pb.CreateExtensionRequest(extension=pb.Extension(id="101", destination=destination))),
            "extension.destination.user_id",
        ),
        (
            api.ring_group.CreateRingGroup(
                pb.CreateRingGroupRequest(ring_group=pb.RingGroup(id="g", members=[member, member, pb.RingMember(user_id="nobody")]))
            ),
            "ring_group.members[2].user_id",
        ),
        (
            api.number.CreateNumber(
                pb.CreateNumberRequest(number=pb.Number(id="+4121555", destination=pb.Destination(hang_up=pb.HANG_UP_REASON_UNSPECIFIED)))
            ),
            "number.destination.hang_up",
        ),
        (api.user.CreateUser(pb.CreateUserRequest(user=company.user().user, reason="nul\x00")), "reason"),
        (api.user.ListUsers(pb.ListUsersRequest(page_size=-1)), "page_size"),
        (api.user.ListUsers(pb.ListUsersRequest(page_token="rubbish")), "page_token"),
        (api.user.ListUsers(pb.ListUsersRequest(as_of=pb.AsOf(config_seq=99))), "as_of.config_seq"),
        (api.history.ListChanges(pb.ListChangesRequest(resource="unicorn")), "resource"),
    ]
    for call, field in wrong:
        code, reasons = await refused(call)
        assert code == grpc.StatusCode.INVALID_ARGUMENT
        assert field in reasons
        assert reasons[field]
    assert await company.seq() == before


async def test_a_mask_with_an_unknown_path_is_refused(company: Company) -> None:
    await company.admin.user.CreateUser(company.user())
    request = pb.UpdateUserRequest(user=pb.User(id="ann", first_name="Ann"))
    request.update_mask.paths.extend(["first_name", "surname"])
    code, reasons = await refused(company.admin.user.UpdateUser(request))
    assert (code, reasons) == (grpc.StatusCode.INVALID_ARGUMENT, {"update_mask.surname": "no field 'surname'"})
    assert await company.seq() == 2


@pytest.mark.feature("P-1")
async def test_an_old_etag_is_aborted(company: Company) -> None:
    users = company.admin.user
    etag = (await users.CreateUser(company.user())).user.etag
    await users.UpdateUser(pb.UpdateUserRequest(user=pb.User(id="ann", etag=etag, first_name="Ann")))
    for call in (
        users.UpdateUser(pb.UpdateUserRequest(user=pb.User(id="ann", etag=etag, first_name="Other"))),
        users.DeleteUser(pb.DeleteUserRequest(id="ann", etag=etag)),
    ):
        assert (await refused(call))[0] == grpc.StatusCode.ABORTED
    assert (await users.GetUser(pb.GetUserRequest(id="ann"))).user.first_name == "Ann"


async def test_a_second_one_of_the_same_id_exists(company: Company) -> None:
    await company.admin.user.CreateUser(company.user())
    code, reasons = await refused(company.admin.user.CreateUser(company.user()))
    assert (code, list(reasons)) == (grpc.StatusCode.ALREADY_EXISTS, ["user 'ann'"])


@pytest.mark.feature("D-4")
@pytest.mark.feature("P-1")
async def test_a_deletion_that_something_holds_names_the_holders(company: Company) -> None:
    api = company.admin
    await api.user.CreateUser(company.user())
    await api.extension.CreateExtension(
        pb.CreateExtensionRequest(extension=pb.Extension(id="101", destination=pb.Destination(user_id="ann")))
    )
    await api.ring_group.CreateRingGroup(
        pb.CreateRingGroupRequest(ring_group=pb.RingGroup(id="team", members=[pb.RingMember(user_id="ann")]))
    )
    before = await company.seq()
    code, reasons = await refused(api.user.DeleteUser(pb.DeleteUserRequest(id="ann")))
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert reasons == {
        "extension/101": "destination.user_id depends on user 'ann'",
        "ring_group/team": "members[0].user_id depends on user 'ann'",
    }
    assert await company.seq() == before


@pytest.mark.feature("D-19")
async def test_a_password_is_shown_once_and_never_kept(company: Company) -> None:
    api = company.admin
    await api.user.CreateUser(company.user())
    credential = pb.SipCredential(id=f"{company.id}-101", user_id="ann")
    made = (await api.sip_credential.CreateSipCredential(pb.CreateSipCredentialRequest(sip_credential=credential))).sip_credential
    assert len(made.password) == 24
    read = (await api.sip_credential.GetSipCredential(pb.GetSipCredentialRequest(id=credential.id))).sip_credential
    assert (read.user_id, read.password) == ("ann", "")
    update = pb.UpdateSipCredentialRequest(sip_credential=pb.SipCredential(id=credential.id, password="chosen-by-hand"))
    assert (await api.sip_credential.UpdateSipCredential(update)).sip_credential.password == ""
    changes = (await api.history.ListChanges(pb.ListChangesRequest(resource="sip_credential"))).changes
    assert [change.fact for change in changes] == ["updated", "created"]
    assert "chosen-by-hand" not in str(changes)
    assert made.password not in str(changes)
    assert "ha1" not in str(changes)


@pytest.mark.feature("D-6")
async def test_a_number_and_a_realm_are_one_tenants_only(company: Company, port: int, client: Callable[..., grpc.aio.Channel]) -> None:
    number = pb.CreateNumberRequest(number=pb.Number(id=f"+4121555{1000 + next(_SERIAL)}"))
    other = Api(client(port, "operator", f"{company.id}-other"))
    stolen = pb.CreateTenantRequest(tenant=pb.Tenant(id=f"{company.id}-other", realm=f"{company.id}.example"))
    code, reasons = await refused(other.tenant.CreateTenant(stolen))
    assert (code, list(reasons)) == (grpc.StatusCode.INVALID_ARGUMENT, ["tenant.realm"])
    stolen.tenant.realm = f"{company.id}-other.example"
    await other.tenant.CreateTenant(stolen)
    results = await asyncio.gather(company.admin.number.CreateNumber(number), other.number.CreateNumber(number), return_exceptions=True)
    assert sum(isinstance(result, grpc.aio.AioRpcError) for result in results) == 1
    loser = company.admin if isinstance(results[0], grpc.aio.AioRpcError) else other
    code, reasons = await refused(loser.number.CreateNumber(number))
    assert (code, list(reasons)) == (grpc.StatusCode.INVALID_ARGUMENT, ["number.id"])


async def test_a_list_is_paged_and_shows_one_version(company: Company) -> None:
    users = company.admin.user
    for name in ("dave", "bob", "ann", "cleo", "eve"):
        await users.CreateUser(company.user(id=name))
    first = await users.ListUsers(pb.ListUsersRequest(page_size=2))
    assert [user.id for user in first.users] == ["ann", "bob"]
    await users.DeleteUser(pb.DeleteUserRequest(id="cleo"))
    second = await users.ListUsers(pb.ListUsersRequest(page_size=2, page_token=first.next_page_token))
    for skip in (-1, 2**40):
        forged = pages.encode_token(pages.decode_token(first.next_page_token) | {"skip": skip})
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await users.ListUsers(pb.ListUsersRequest(page_size=2, page_token=forged))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    third = await users.ListUsers(pb.ListUsersRequest(page_size=2, page_token=second.next_page_token))
    assert [user.id for user in [*second.users, *third.users]] == ["cleo", "dave", "eve"]
    assert third.next_page_token == ""
    assert [user.id for user in (await users.ListUsers(pb.ListUsersRequest())).users] == ["ann", "bob", "dave", "eve"]


@pytest.mark.feature("D-22")
async def test_the_past_is_read_by_version_and_by_time(company: Company) -> None:
    users, history = company.admin.user, company.admin.history
    await users.CreateUser(company.user())
    await users.UpdateUser(pb.UpdateUserRequest(user=pb.User(id="ann", first_name="Ann"), reason="she told us"))
    await users.DeleteUser(pb.DeleteUserRequest(id="ann"))
    changes = (await history.ListChanges(pb.ListChangesRequest(resource="user", resource_id="ann"))).changes
    assert [(change.config_seq, change.fact) for change in changes] == [(4, "deleted"), (3, "updated"), (2, "created")]
    updated = changes[1]
    assert (updated.actor, updated.reason) == (f"admin@{company.id}", "she told us")
    assert (updated.before["first_name"], updated.after["first_name"]) == ("", "Ann")
    assert not changes[0].HasField("after")
    assert not changes[2].HasField("before")
    for as_of in (pb.AsOf(config_seq=3), pb.AsOf(time=updated.time)):
        assert (await users.GetUser(pb.GetUserRequest(id="ann", as_of=as_of))).user.first_name == "Ann"
    gone = pb.GetUserRequest(id="ann", as_of=pb.AsOf(config_seq=1))
    assert (await refused(users.GetUser(gone)))[0] == grpc.StatusCode.NOT_FOUND
    long_ago = pb.GetUserRequest(id="ann", as_of=pb.AsOf(time=Timestamp(seconds=1)))
    assert (await refused(users.GetUser(long_ago)))[0] == grpc.StatusCode.NOT_FOUND


@pytest.mark.feature("D-22")
async def test_the_history_is_paged_newest_first(company: Company) -> None:
    for name in ("ann", "bob", "cleo"):
        await company.admin.user.CreateUser(company.user(id=name))
    seen, token = [], ""
    while True:
        page = await company.admin.history.ListChanges(pb.ListChangesRequest(page_size=3, page_token=token))
        seen += [change.resource_id for change in page.changes]
        token = page.next_page_token
        if not token:
            break
    assert seen == ["cleo", "bob", "ann", company.id]


async def test_many_writers_at_once_lose_nothing(company: Company) -> None:
    await asyncio.gather(*(company.admin.user.CreateUser(company.user(id=f"user{index}")) for index in range(20)))
    assert await company.seq() == 21
    changes = (await company.admin.history.ListChanges(pb.ListChangesRequest(resource="user"))).changes
    assert [change.config_seq for change in changes] == list(range(21, 1, -1))


@pytest.mark.feature("D-1")
async def test_tenants_are_listed_and_changed(company: Company) -> None:
    tenants = company.operator.tenant
    found = await tenants.ListTenants(pb.ListTenantsRequest(page_size=1000))
    assert company.id in [tenant.id for tenant in found.tenants]
    changed = await tenants.UpdateTenant(pb.UpdateTenantRequest(tenant=pb.Tenant(id=company.id, display_name="Acme", country="FR")))
    assert (changed.tenant.display_name, changed.tenant.country, changed.tenant.config_seq) == ("Acme", "FR", 2)
    code, reasons = await refused(tenants.UpdateTenant(pb.UpdateTenantRequest(tenant=pb.Tenant(id=company.id, time_zone="Mars/Base"))))
    assert (code, list(reasons)) == (grpc.StatusCode.INVALID_ARGUMENT, ["tenant.time_zone"])


def every_rpc() -> list[tuple[str, str, bool]]:
    return [
        (service.name, method.name, service.name == "TenantService")
        for service in pb.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]


@pytest.mark.feature("P-3")
@pytest.mark.parametrize(("service", "method", "operators_only"), every_rpc())
async def test_no_rpc_answers_without_the_right(
    company: Company, port: int, client: Callable[..., grpc.aio.Channel], service: str, method: str, operators_only: bool
) -> None:
    request = getattr(pb, f"{method}Request")()

    async def code(channel: grpc.aio.Channel, **options: Any) -> grpc.StatusCode:
        call = getattr(_STUBS[service](channel), method)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call(request, **options)
        return error.value.code()

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as naked:
        assert await code(naked) == grpc.StatusCode.UNAUTHENTICATED
    assert await code(client(port, "service", company.id)) == grpc.StatusCode.PERMISSION_DENIED
    foreign = (("carillon-tenant", "someone-else"),)
    assert await code(company.admin.channel, metadata=foreign) == grpc.StatusCode.PERMISSION_DENIED
    if operators_only:
        assert await code(company.admin.channel) == grpc.StatusCode.PERMISSION_DENIED


def test_every_kind_of_resource_has_its_service() -> None:
    others = {"batch", "person", "reseller", "history", "import", "auth", "access", "search", "provisioning", "csv", "subscription"}
    assert {name.replace("_", "") for name in RESOURCES} | others == set(_SERVICES)


@pytest.mark.feature("M-2", "D-22")
async def test_a_carrier_s_password_goes_in_and_never_comes_out(company: Company) -> None:
    api = company.admin
    account = pb.TrunkCredential(id="account", username="acme", realm="carrier.example", password="hush-hush")
    made = await api.trunk_credential.CreateTrunkCredential(pb.CreateTrunkCredentialRequest(trunk_credential=account))
    renamed = pb.UpdateTrunkCredentialRequest(trunk_credential=pb.TrunkCredential(id="account", username="acme-2"))
    await api.trunk_credential.UpdateTrunkCredential(renamed)
    got = await api.trunk_credential.GetTrunkCredential(pb.GetTrunkCredentialRequest(id="account"))
    listed = await api.trunk_credential.ListTrunkCredentials(pb.ListTrunkCredentialsRequest())
    history = await api.history.ListChanges(pb.ListChangesRequest(resource="trunk_credential"))
    assert (made.trunk_credential.password, got.trunk_credential.username) == ("", "acme-2")
    assert len(history.changes) == 2
    told = f"{made}{got}{listed}{history}"
    assert "hush" not in told
    assert "sealed" not in told


@pytest.mark.feature("M-2")
async def test_a_company_is_applied_with_its_carrier_s_account_twice_with_one_effect(company: Company) -> None:
    registering = pb.TrunkRegistration()
    request = pb.ApplyTenantRequest(
        trunk_credentials=[pb.TrunkCredential(id="account", username="acme", password="hush-hush")],
        trunks=[
            pb.Trunk(id="carrier", address="sip.carrier.example", registration=registering, trunk_credential_id="account", ping_seconds=30)
        ],
    )
    first = await company.admin.__getattr__("import").ApplyTenant(request)
    again = await company.admin.__getattr__("import").ApplyTenant(request)
    assert [(change.resource, change.fact) for change in first.changes] == [("trunk_credential", "created"), ("trunk", "created")]
    assert list(again.changes) == []
    assert "hush" not in f"{first}"
