"""The configuration's past over real gRPC: undone, compared, restored."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.any_pb2 import Any as Packed

from carillon.directory.v1 import batch_pb2_grpc, history_pb2_grpc, site_pb2_grpc, tenant_pb2_grpc, user_pb2_grpc
from carillon.directory.v1 import directory_pb2 as pb
from carillon_cli.commands import diff, history, restore, undo
from carillon_cli.system import System
from carillon_directory.settings import DirectorySettings
from carillon_kit.auth import OPERATOR, issue_token

pytestmark = pytest.mark.feature("D-22")
_SERIAL = itertools.count(1)


class Company:
    """A fresh tenant with one user, `ann`."""

    def __init__(self, tenant: str, channel: grpc.aio.Channel, operator: grpc.aio.Channel) -> None:
        self.id = tenant
        self.history: Any = history_pb2_grpc.HistoryServiceStub(channel)
        self.as_operator: Any = history_pb2_grpc.HistoryServiceStub(operator)
        self.tenants: Any = tenant_pb2_grpc.TenantServiceStub(operator)
        self.users: Any = user_pb2_grpc.UserServiceStub(channel)
        self.batches: Any = batch_pb2_grpc.BatchServiceStub(channel)
        self.sites: Any = site_pb2_grpc.SiteServiceStub(channel)

    async def rename(self, name: str) -> int:
        """The version that it made."""
        answer = await self.users.UpdateUser(pb.UpdateUserRequest(user=pb.User(id="ann", last_name=name)))
        return int(answer.user.etag)

    async def name(self) -> str:
        return str((await self.users.GetUser(pb.GetUserRequest(id="ann"))).user.last_name)


@pytest.fixture
async def company(port: int, client: Callable[..., grpc.aio.Channel]) -> Company:
    tenant = f"past{next(_SERIAL)}"
    made = Company(tenant, client(port, "admin", tenant), client(port, "operator", tenant))
    await made.tenants.CreateTenant(pb.CreateTenantRequest(tenant=pb.Tenant(id=tenant, realm=f"{tenant}.example")))
    await made.users.CreateUser(pb.CreateUserRequest(user=pb.User(id="ann", last_name="Archer")))
    return made


def at(version: int) -> pb.AsOf:
    return pb.AsOf(config_seq=version)


async def test_a_change_is_undone_as_a_change_and_a_later_one_is_a_conflict(company: Company) -> None:
    renamed = await company.rename("Baker")
    shown = await company.history.UndoChange(pb.UndoChangeRequest(config_seq=renamed, dry_run=True))
    assert ([tuple(each.fields) for each in shown.changes], await company.name()) == ([("last_name",)], "Baker")
    undone = await company.history.UndoChange(pb.UndoChangeRequest(config_seq=renamed, reason="a mistake"))
    assert (undone.config_seq, await company.name()) == (renamed + 1, "Archer")
    last = (await company.history.ListChanges(pb.ListChangesRequest(page_size=1))).changes[0]
    assert (last.actor, last.reason, last.fact) == (f"admin@{company.id}", "a mistake", "updated")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await company.history.UndoChange(pb.UndoChangeRequest(config_seq=renamed))
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert await company.name() == "Archer"


async def test_several_changes_are_undone_together(company: Company) -> None:
    first = await company.rename("Baker")
    await company.sites.CreateSite(pb.CreateSiteRequest(site=pb.Site(id="geneva")))
    last = await company.rename("Cooper")
    undone = await company.history.UndoChange(pb.UndoChangeRequest(config_seq=first, last_config_seq=last))
    assert [(each.resource, each.fact) for each in undone.changes] == [("user", "updated"), ("site", "deleted")]
    assert await company.name() == "Archer"


async def test_two_moments_are_compared_page_by_page(company: Company) -> None:
    await company.rename("Baker")
    await company.sites.CreateSite(pb.CreateSiteRequest(site=pb.Site(id="geneva")))
    request = pb.CompareConfigurationsRequest(to=at(4), page_size=1)
    getattr(request, "from").CopyFrom(at(2))
    first = await company.history.CompareConfigurations(request)
    await company.rename("Cooper")
    request.page_token = first.next_page_token
    second = await company.history.CompareConfigurations(request)
    found = [*first.differences, *second.differences]
    assert sorted((each.resource, each.fact, tuple(each.fields)) for each in found) == [
        ("site", "created", ()),
        ("user", "updated", ("last_name",)),
    ]
    assert (second.from_config_seq, second.to_config_seq, second.next_page_token) == (2, 4, "")
    user = next(each for each in found if each.resource == "user")
    assert (user.before["last_name"], user.after["last_name"]) == ("Archer", "Baker")


async def test_everything_is_what_it_was_at_a_moment(company: Company) -> None:
    await company.rename("Baker")
    await company.sites.CreateSite(pb.CreateSiteRequest(site=pb.Site(id="geneva")))
    restored = await company.history.RestoreTenant(pb.RestoreTenantRequest(moment=at(2)))
    assert sorted((each.resource, each.fact) for each in restored.changes) == [("site", "deleted"), ("user", "updated")]
    request = pb.CompareConfigurationsRequest()
    getattr(request, "from").CopyFrom(at(2))
    assert not (await company.history.CompareConfigurations(request)).differences
    again = await company.history.RestoreTenant(pb.RestoreTenantRequest(moment=at(2)))
    assert (len(again.changes), again.config_seq) == (0, restored.config_seq)


async def test_a_moment_inside_a_change_of_several_resources_is_its_end(company: Company) -> None:
    """An extension of the batch leads to a user that the same batch makes after it."""
    boxes = [Packed(), Packed()]
    boxes[0].Pack(pb.CreateExtensionRequest(extension=pb.Extension(id="101", destination=pb.Destination(user_id="bob"))))
    boxes[1].Pack(pb.CreateUserRequest(user=pb.User(id="bob", last_name="Baker")))
    made = await company.batches.ApplyBatch(pb.ApplyBatchRequest(requests=boxes))
    await company.rename("Cooper")
    restored = await company.history.RestoreTenant(pb.RestoreTenantRequest(moment=at(made.config_seq - 1)))
    assert [(each.resource, each.resource_id, each.fact) for each in restored.changes] == [("user", "ann", "updated")]
    (change,) = (await company.history.ListChanges(pb.ListChangesRequest(page_size=1))).changes
    assert change.reason == f"restored to version {made.config_seq}"


async def test_an_admin_does_not_bring_back_what_was_sold(company: Company) -> None:
    await company.tenants.UpdateTenant(pb.UpdateTenantRequest(tenant=pb.Tenant(id=company.id, subscription=pb.Subscription(users=1))))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await company.history.UndoChange(pb.UndoChangeRequest(config_seq=3))
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert not (await company.history.RestoreTenant(pb.RestoreTenantRequest(moment=at(2)))).changes
    assert len((await company.as_operator.UndoChange(pb.UndoChangeRequest(config_seq=3))).changes) == 1


async def test_moments_that_are_none_are_refused_by_field(company: Company) -> None:
    undo, restore = company.as_operator.UndoChange, company.as_operator.RestoreTenant
    for call in (
        undo(pb.UndoChangeRequest()),
        undo(pb.UndoChangeRequest(config_seq=99)),
        undo(pb.UndoChangeRequest(config_seq=2, last_config_seq=1)),
        undo(pb.UndoChangeRequest(config_seq=1)),
        restore(pb.RestoreTenantRequest()),
        restore(pb.RestoreTenantRequest(moment=at(99))),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.feature("P-6")
async def test_the_command_line_goes_the_same_ways(company: Company, port: int, settings: DirectorySettings) -> None:
    token = issue_token(settings.token_key.get_secret_value(), "operator", None, [OPERATOR])
    system = System(Path(), {"grpc": {"directory": f"127.0.0.1:{port}"}, "admin_token": token})
    renamed = await company.rename("Baker")
    assert [each.config_seq for each in await history.listed(system, company.id, "user", "ann", 1)] == [renamed]
    request = pb.CompareConfigurationsRequest(page_size=1)
    getattr(request, "from").CopyFrom(at(1))
    assert [each.resource_id for each in await diff.compared(system, company.id, request)] == ["ann"]
    await undo.undone(system, company.id, pb.UndoChangeRequest(config_seq=renamed))
    assert await company.name() == "Archer"
    await restore.restored(system, company.id, pb.RestoreTenantRequest(moment=at(renamed)))
    assert await company.name() == "Baker"
    await restore.restored_resource(system, company.id, pb.RestoreResourceRequest(resource="user", resource_id="ann", moment=at(1)))


async def test_one_resource_is_what_it_was_and_others_stay(company: Company) -> None:
    await company.sites.CreateSite(pb.CreateSiteRequest(site=pb.Site(id="geneva")))
    renamed = await company.rename("Baker")
    request = pb.RestoreResourceRequest(resource="user", resource_id="ann", moment=at(renamed - 1), dry_run=True)
    shown = (await company.history.RestoreResource(request)).difference
    assert (shown.fact, list(shown.fields), shown.before["last_name"], shown.after["last_name"]) == (
        "updated", ["last_name"], "Baker", "Archer",
    )  # fmt: skip
    assert await company.name() == "Baker"
    request.dry_run = False
    assert (await company.history.RestoreResource(request)).config_seq == renamed + 1
    assert await company.name() == "Archer"
    assert not (await company.history.RestoreResource(request)).HasField("difference")
    (change,) = (await company.history.ListChanges(pb.ListChangesRequest(page_size=1))).changes
    assert change.reason == f"restored to version {renamed - 1}"
    request.moment.config_seq = renamed
    request.etag = str(renamed)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await company.history.RestoreResource(request)
    assert refused.value.code() == grpc.StatusCode.ABORTED


async def test_a_deleted_resource_comes_back_and_a_new_one_goes_unless_something_refers_to_it(company: Company) -> None:
    made = (await company.sites.CreateSite(pb.CreateSiteRequest(site=pb.Site(id="geneva")))).site
    version = int(made.etag)
    gone = pb.RestoreResourceRequest(resource="site", resource_id="geneva", moment=at(version - 1))
    assert (await company.history.RestoreResource(gone)).difference.fact == "deleted"
    back = pb.RestoreResourceRequest(resource="site", resource_id="geneva", moment=at(version))
    assert (await company.history.RestoreResource(back)).difference.fact == "created"
    await company.users.UpdateUser(pb.UpdateUserRequest(user=pb.User(id="ann", site_id="geneva")))
    for request, code in (
        (gone, grpc.StatusCode.FAILED_PRECONDITION),
        (pb.RestoreResourceRequest(resource="site", resource_id="paris", moment=at(version)), grpc.StatusCode.NOT_FOUND),
        (pb.RestoreResourceRequest(resource="castle", resource_id="geneva", moment=at(version)), grpc.StatusCode.INVALID_ARGUMENT),
        (pb.RestoreResourceRequest(resource="site", resource_id="geneva"), grpc.StatusCode.INVALID_ARGUMENT),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await company.history.RestoreResource(request)
        assert refused.value.code() == code
