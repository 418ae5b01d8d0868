"""A whole company in one request, the example company among them."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import grpc
import grpc.aio
import pytest
import yaml

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1 import import_pb2_grpc, ring_group_pb2_grpc, tenant_pb2_grpc, user_pb2_grpc
from carillon_directory.adapters.proto_mapping import to_message


@pytest.fixture(scope="module")
def dupont() -> pb.ApplyTenantRequest:
    """The example company that ships with the command line."""
    text = files("carillon_cli").joinpath("demo/dupont.yaml").read_text(encoding="utf-8")
    return to_message(yaml.safe_load(text), pb.ApplyTenantRequest)


def company(tenant: str) -> pb.ApplyTenantRequest:
    return pb.ApplyTenantRequest(
        tenant=pb.Tenant(id=tenant, realm=f"{tenant}.example"),
        users=[pb.User(id="ann", last_name="Archer"), pb.User(id="bob", last_name="Baker")],
        sip_credentials=[pb.SipCredential(id=f"{tenant}-1", user_id="ann")],
        extensions=[pb.Extension(id="101", destination=pb.Destination(user_id="ann"))],
    )


Client = Callable[..., grpc.aio.Channel]


def importer(channel: grpc.aio.Channel) -> Any:
    return import_pb2_grpc.ImportServiceStub(channel)


async def seq(channel: grpc.aio.Channel, tenant: str) -> int:
    response = await tenant_pb2_grpc.TenantServiceStub(channel).GetTenant(pb.GetTenantRequest(id=tenant))
    return int(response.tenant.config_seq)


@pytest.mark.feature("D-22")
async def test_dupont_applies_cleanly_and_the_second_time_changes_nothing(port: int, client: Client, dupont: pb.ApplyTenantRequest) -> None:
    operator = client(port)
    first = await importer(operator).ApplyTenant(dupont)
    assert len(first.changes) == first.config_seq
    assert {change.fact for change in first.changes} == {"created"}
    assert [each.id for each in first.new_credentials] == [f"dupont-10{digit}" for digit in range(1, 7)]
    assert len({each.password for each in first.new_credentials}) == 6
    again = await importer(operator).ApplyTenant(dupont)
    assert (len(again.changes), len(again.new_credentials), again.config_seq) == (0, 0, first.config_seq)
    pruned = pb.ApplyTenantRequest()
    pruned.CopyFrom(dupont)
    pruned.prune = True
    assert not (await importer(operator).ApplyTenant(pruned)).changes


@pytest.mark.feature("D-2")
@pytest.mark.feature("D-13")
async def test_dupont_is_as_the_story_says(port: int, client: Client, dupont: pb.ApplyTenantRequest) -> None:
    await importer(client(port)).ApplyTenant(dupont)
    channel = client(port, "admin", "dupont")
    users = (await user_pb2_grpc.UserServiceStub(channel).ListUsers(pb.ListUsersRequest())).users
    assert sorted(user.id for user in users) == ["alain", "bernard", "claire", "david", "dumas", "elise"]
    alain = next(user for user in users if user.id == "alain")
    assert alain.ring_seconds == 60
    assert alain.forwarding.unreachable.external_number == alain.mobile
    assert alain.forwarding.busy.ring_group_id == "sales"
    groups = {
        group.id: group
        for group in (await ring_group_pb2_grpc.RingGroupServiceStub(channel).ListRingGroups(pb.ListRingGroupsRequest())).ring_groups
    }
    assert groups["support"].strategy == pb.RING_STRATEGY_SEQUENTIAL
    assert groups["sales"].strategy == pb.RING_STRATEGY_PARALLEL
    assert all(member.ring_seconds >= 20 for member in groups["on-call"].members)


async def test_a_dry_run_lists_the_changes_and_makes_none(port: int, client: Client) -> None:
    operator = client(port)
    request = company("dry")
    request.dry_run = True
    answer = await importer(operator).ApplyTenant(request)
    assert [(change.resource, change.resource_id) for change in answer.changes] == [
        ("tenant", "dry"),
        ("user", "ann"),
        ("user", "bob"),
        ("sip_credential", "dry-1"),
        ("extension", "101"),
    ]
    assert (answer.config_seq, len(answer.new_credentials)) == (0, 0)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await seq(operator, "dry")
    assert error.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.feature("R-2")
async def test_what_is_odd_about_plans_is_told_also_in_a_dry_run(port: int, client: Client) -> None:
    """An entry whose schedule is never open, in the plan alone; the draft in its place has none."""
    request = company("odd")
    request.schedules.add(id="never")
    hours = pb.CalendarNode(entries=[pb.CalendarEntry(schedule_id="never", next="end")], otherwise="end")
    end = pb.PlanNode(id="end", hang_up=pb.HangUpNode())
    request.plans.add(id="hours", entry="a", nodes=[pb.PlanNode(id="a", calendar=hours), end])
    request.plan_drafts.add(id="plain", plan_id="hours", entry="end", nodes=[end])
    for request.dry_run in (True, False):
        answer = await importer(client(port)).ApplyTenant(request)
        (odd,) = answer.warnings
        assert (odd.plan_id, odd.plan_draft_id) == ("hours", "")
        assert [(each.kind, each.node_id, each.field) for each in odd.findings] == [
            ("calendar_never_open", "a", "nodes[0].calendar.entries[0].schedule_id")
        ]
    again = await importer(client(port)).ApplyTenant(request)
    assert not again.warnings, "nothing is saved"


@pytest.mark.feature("P-1")
@pytest.mark.parametrize("dry_run", [True, False])
async def test_every_error_is_listed_and_nothing_changes(port: int, client: Client, dry_run: bool) -> None:
    operator = client(port)
    tenant = f"wrong{dry_run}".lower()
    version = (await importer(operator).ApplyTenant(company(tenant))).config_seq
    request = company(tenant)
    request.dry_run = dry_run
    request.users[0].first_name = "Ann"
    request.users[1].ring_seconds = 1
    request.extensions[0].destination.user_id = "nobody"
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await importer(operator).ApplyTenant(request)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "users[1].ring_seconds" in str(error.value.details())
    assert "extensions[0].destination.user_id" in str(error.value.details())
    assert await seq(operator, tenant) == version


async def test_an_update_names_the_fields_that_differ(port: int, client: Client) -> None:
    operator = client(port)
    await importer(operator).ApplyTenant(company("fields"))
    request = company("fields")
    request.users[0].first_name = "Ann"
    request.users[0].ring_seconds = 30
    request.sip_credentials[0].password = "chosen-by-hand"
    answer = await importer(operator).ApplyTenant(request)
    assert [(change.resource_id, change.fact, list(change.fields)) for change in answer.changes] == [
        ("ann", "updated", ["first_name", "ring_seconds"]),
        ("fields-1", "updated", ["password"]),
    ]


async def test_prune_deletes_what_is_not_named(port: int, client: Client) -> None:
    operator = client(port)
    await importer(operator).ApplyTenant(company("prune"))
    request = company("prune")
    del request.users[1]
    assert not (await importer(operator).ApplyTenant(request)).changes
    request.prune = True
    (change,) = (await importer(operator).ApplyTenant(request)).changes
    assert (change.resource, change.resource_id, change.fact) == ("user", "bob", "deleted")


@pytest.mark.feature("P-3")
async def test_an_admin_applies_to_the_own_tenant_only_and_never_what_was_sold_to_it(port: int, client: Client) -> None:
    await importer(client(port)).ApplyTenant(company("mine"))
    admin = client(port, "admin", "mine")
    request = company("mine")
    request.users[0].first_name = "Ann"
    assert len((await importer(admin).ApplyTenant(request)).changes) == 1
    request.tenant.display_name = "Mine"
    assert len((await importer(admin).ApplyTenant(request)).changes) == 1
    request.tenant.subscription.users = 900
    codes = []
    for wrong in (request, company("theirs")):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await importer(admin).ApplyTenant(wrong)
        codes.append(error.value.code())
    assert codes == [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT]
    without = pb.ApplyTenantRequest(users=[pb.User(id="cleo", last_name="Carter")])
    assert len((await importer(admin).ApplyTenant(without)).changes) == 1
