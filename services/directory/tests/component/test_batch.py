"""Many changes of many kinds in one step."""

from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.batch_pb2_grpc import BatchServiceStub
from carillon.directory.v1.menu_pb2_grpc import MenuServiceStub
from carillon.directory.v1.tenant_pb2_grpc import TenantServiceStub
from carillon.directory.v1.user_pb2_grpc import UserServiceStub

pytestmark = pytest.mark.feature("P-1")
_serial = iter(range(1, 100))
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def packed(*requests: Message) -> list[Packed]:
    boxes = []
    for request in requests:
        box = Packed()
        box.Pack(request)
        boxes.append(box)
    return boxes


@pytest.fixture
def name() -> str:
    """Of the test's tenant."""
    return f"batch-{next(_serial)}"


@pytest.fixture
async def tenant(port: int, client: Callable[..., grpc.aio.Channel], name: str) -> grpc.aio.Channel:
    await TenantServiceStub(client(port)).CreateTenant(pb.CreateTenantRequest(tenant=pb.Tenant(id=name, realm=f"{name}.example")))
    return client(port, "operator", name)


async def batch(channel: grpc.aio.Channel, *requests: Message, **options: Any) -> pb.ApplyBatchResponse:
    answer: pb.ApplyBatchResponse = await BatchServiceStub(channel).ApplyBatch(pb.ApplyBatchRequest(requests=packed(*requests), **options))
    return answer


async def refusal(channel: grpc.aio.Channel, *requests: Message) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await batch(channel, *requests)
    return error.value.code(), str(error.value.details())


def creations(name: str = "ann") -> tuple[Message, ...]:
    """The extension comes before the user whom it leads to."""
    return (
        pb.CreateExtensionRequest(extension=pb.Extension(id="101", destination=pb.Destination(user_id=name))),
        pb.CreateUserRequest(user=pb.User(id=name, last_name="Archer")),
        pb.CreateSipCredentialRequest(sip_credential=pb.SipCredential(id=f"phone-{next(_serial)}", user_id=name)),
    )


async def users(channel: grpc.aio.Channel) -> dict[str, pb.User]:
    return {each.id: each for each in (await UserServiceStub(channel).ListUsers(pb.ListUsersRequest())).users}


async def test_kinds_and_verbs_are_mixed_and_answered_in_order(tenant: grpc.aio.Channel) -> None:
    first = await batch(tenant, *creations(), reason="they move in")
    credential = pb.CreateSipCredentialResponse()
    assert [each.TypeName().rpartition(".")[2] for each in first.responses] == [
        "CreateExtensionResponse",
        "CreateUserResponse",
        "CreateSipCredentialResponse",
    ]
    assert first.responses[2].Unpack(credential)
    assert credential.sip_credential.password
    assert first.config_seq == 4
    etag = (await users(tenant))["ann"].etag
    second = await batch(
        tenant,
        pb.UpdateUserRequest(user=pb.User(id="ann", etag=etag, first_name="Ann"), update_mask=FieldMask(paths=["first_name"])),
        pb.DeleteExtensionRequest(id="101"),
        pb.CreateUserRequest(user=pb.User(id="bob", last_name="Baker")),
    )
    assert [(each.resource, each.fact) for each in second.changes] == [("user", "updated"), ("extension", "deleted"), ("user", "created")]
    answer = pb.UpdateUserResponse()
    assert second.responses[0].Unpack(answer)
    assert (answer.user.first_name, answer.user.etag) == ("Ann", "5")
    assert second.config_seq == 7


async def test_one_that_is_refused_leaves_nothing_of_the_others(tenant: grpc.aio.Channel) -> None:
    code, told = await refusal(tenant, *creations(), pb.CreateUserRequest(user=pb.User(id="bob")))
    assert (code, "requests[3].user.last_name" in told) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    code, told = await refusal(tenant, *creations(), pb.DeleteUserRequest(id="nobody"))
    assert (code, "nobody" in told) == (grpc.StatusCode.NOT_FOUND, True)
    assert await users(tenant) == {}


@pytest.mark.feature("D-1")
async def test_the_tenant_itself_is_changed_with_what_is_in_it(
    tenant: grpc.aio.Channel, name: str, port: int, client: Callable[..., grpc.aio.Channel]
) -> None:
    """Its operator is a user who comes in the same step."""

    def changed(**fields: Any) -> pb.UpdateTenantRequest:
        return pb.UpdateTenantRequest(tenant=pb.Tenant(**{"id": name, **fields}))

    led, ann = changed(operator=pb.Destination(user_id="ann")), pb.CreateUserRequest(user=pb.User(id="ann", last_name="Archer"))
    assert (await refusal(tenant, led, pb.CreateUserRequest(user=pb.User(id="bob", last_name="Baker"))))[0] == INVALID
    answer = await batch(client(port, "admin", name), led, ann)
    updated = pb.UpdateTenantResponse()
    assert answer.responses[0].Unpack(updated)
    assert (updated.tenant.operator.user_id, updated.tenant.config_seq, updated.tenant.etag) == ("ann", 3, "2")
    other = pb.DeleteUserRequest(id="ann")
    assert (await refusal(tenant, changed(etag="1", language="fr"), other))[0] == grpc.StatusCode.ABORTED
    for wrong, field in (
        (changed(id="else"), "requests[0].tenant.id"),
        (changed(realm="else.example"), "requests[0].tenant.realm"),
        (changed(reseller_id="else"), "requests[0].tenant.reseller_id"),
        (changed(time_zone="Nowhere"), "requests[0].tenant.time_zone"),
        (pb.DeleteTenantRequest(id=name), "requests[0].@type"),
    ):
        code, told = await refusal(tenant, wrong, pb.CreateUserRequest(user=pb.User(id="bob", last_name="Baker")))
        assert (code, told.startswith(f"{field}:")) == (INVALID, True), told
    sold = changed(subscription=pb.Subscription(users=9))
    assert (await refusal(client(port, "admin", name), sold))[0] == grpc.StatusCode.PERMISSION_DENIED
    assert list(await users(tenant)) == ["ann"]


async def test_an_etag_that_is_not_the_current_one_refuses_all(tenant: grpc.aio.Channel) -> None:
    await batch(tenant, *creations())
    stale = pb.UpdateUserRequest(user=pb.User(id="ann", etag="1", first_name="X"))
    code, _ = await refusal(tenant, pb.CreateUserRequest(user=pb.User(id="bob", last_name="Baker")), stale)
    assert code == grpc.StatusCode.ABORTED
    assert list(await users(tenant)) == ["ann"]


async def test_what_holds_another_goes_in_the_same_batch(tenant: grpc.aio.Channel) -> None:
    await batch(tenant, pb.CreateUserRequest(user=pb.User(id="ann", last_name="Archer")), *creations("ann")[:1])
    code, _ = await refusal(tenant, pb.DeleteUserRequest(id="ann"))
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    answer = await batch(tenant, pb.DeleteUserRequest(id="ann"), pb.DeleteExtensionRequest(id="101"))
    assert [each.fact for each in answer.changes] == ["deleted", "deleted"]


@pytest.mark.feature("R-2")
@pytest.mark.parametrize("dry_run", [True, False])
async def test_what_is_odd_about_plans_and_short_numbers_is_told(tenant: grpc.aio.Channel, dry_run: bool) -> None:
    hours = pb.CalendarNode(entries=[pb.CalendarEntry(schedule_id="never", next="end")], otherwise="end")
    end = pb.PlanNode(id="end", hang_up=pb.HangUpNode())
    plan = pb.Plan(id="hours", entry="a", nodes=[pb.PlanNode(id="a", calendar=hours), end])
    help_ = pb.Extension(id="117", destination=pb.Destination(hang_up=pb.HANG_UP_REASON_BUSY))
    requests = (
        pb.CreateScheduleRequest(schedule=pb.Schedule(id="never", exceptions=[pb.ScheduleException(date="2026-12-25")])),
        pb.CreatePlanRequest(plan=plan),
        pb.CreateExtensionRequest(extension=help_),
    )
    answer = await batch(tenant, *requests, dry_run=dry_run)
    of_plan, of_extension = answer.warnings
    assert (of_plan.plan_id, [each.kind for each in of_plan.findings]) == ("hours", ["calendar_never_open"])
    assert (of_extension.extension_id, [each.kind for each in of_extension.findings]) == ("117", ["number_calls_help"])
    if not dry_run:
        created = pb.CreateExtensionResponse()
        assert answer.responses[2].Unpack(created)
        assert [(each.kind, each.field) for each in created.warnings] == [("number_calls_help", "id")]


@pytest.mark.feature("R-2")
async def test_what_is_odd_about_menus_and_groups_is_told_when_they_are_saved_and_before(tenant: grpc.aio.Channel) -> None:
    again = pb.MenuKey(key="1", destination=pb.Destination(menu_id="round"))
    menu = pb.Menu(id="round", prompt=[pb.Announcement(text="Press 1.", language="en")], keys=[again])
    request = pb.CreateMenuRequest(menu=menu)
    (odd,) = (await batch(tenant, request, dry_run=True)).warnings
    assert (odd.menu_id, [each.kind for each in odd.findings]) == ("round", ["menu_no_way_out"])
    made = await MenuServiceStub(tenant).CreateMenu(request)
    assert [(each.kind, each.field, each.node_id) for each in made.warnings] == [("menu_no_way_out", "keys", "")]
    assert all(each.reason and each.mend for each in made.warnings)
    mended = pb.UpdateMenuRequest(menu=pb.Menu(id="round", no_choice=pb.Destination(hang_up=pb.HANG_UP_REASON_NORMAL)))
    assert not (await MenuServiceStub(tenant).UpdateMenu(mended)).warnings
    answer = pb.CreateQueueResponse()
    (await batch(tenant, pb.CreateQueueRequest(queue=pb.Queue(id="nobody")))).responses[0].Unpack(answer)
    assert answer.warnings[0].kind == "queue_empty"


async def test_a_dry_run_shows_the_changes_and_makes_none(tenant: grpc.aio.Channel) -> None:
    answer = await batch(tenant, *creations(), dry_run=True)
    assert (len(answer.changes), len(answer.responses), answer.config_seq) == (3, 0, 1)
    assert await users(tenant) == {}


@pytest.mark.parametrize(
    ("requests", "field"),
    [
        ([], "requests"),
        ([Packed(type_url="type.googleapis.com/carillon.directory.v1.CreateTenantRequest")], "requests[0].@type"),
        ([Packed(type_url="nonsense")], "requests[0].@type"),
        ([Packed(type_url="type.googleapis.com/carillon.directory.v1.CreateUserRequest", value=b"\xff")], "requests[0]"),
        ([Packed(type_url="type.googleapis.com/carillon.directory.v1.CreateUserRequest")], "requests[0].user"),
        (packed(pb.DeleteUserRequest(id="x", reason="mine")), "requests[0].reason"),
        (packed(pb.UpdateUserRequest(user=pb.User(id="x"), update_mask=FieldMask(paths=["no"]))), "requests[0].update_mask.no"),
    ],
)
async def test_what_is_no_batch_is_refused_by_field(tenant: grpc.aio.Channel, requests: list[Packed], field: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await BatchServiceStub(tenant).ApplyBatch(pb.ApplyBatchRequest(requests=requests))
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert str(error.value.details()).startswith(f"{field}:")
