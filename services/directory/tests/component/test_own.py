"""What users do with what is theirs, by their own token; and what of others they and department admins see."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from carillon.directory.v1 import (
    account_code_policy_pb2_grpc,
    contact_pb2_grpc,
    department_pb2_grpc,
    device_pb2_grpc,
    extension_pb2_grpc,
    import_pb2_grpc,
    mailbox_pb2_grpc,
    user_pb2_grpc,
)
from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.search_pb2_grpc import SearchServiceStub
from carillon_kit.auth import DEPARTMENT_ADMIN, OPERATOR, USER, issue_token
from carillon_kit.grpc_client import channel

from .conftest import KEY

pytestmark = pytest.mark.feature("D-2", "D-25", "P-3")
TENANT = "own"


@pytest.fixture(scope="module")
async def company(port: int) -> int:
    request = pb.ApplyTenantRequest(
        tenant=pb.Tenant(id=TENANT, realm="own.example"),
        departments=[pb.Department(id="trade"), pb.Department(id="board")],
        mailboxes=[pb.Mailbox(id="anns"), pb.Mailbox(id="bobs")],
        users=[
            pb.User(id="ann", last_name="Archer", mailbox_id="anns", department_id="trade"),
            pb.User(id="bob", last_name="Archer", mailbox_id="bobs", department_id="board"),
        ],
        extensions=[
            pb.Extension(id="101", destination=pb.Destination(user_id="ann")),
            pb.Extension(id="102", destination=pb.Destination(user_id="bob")),
        ],
        contacts=[
            pb.Contact(id="customer", last_name="Customer"),
            pb.Contact(id="bobs-friend", last_name="Friend", owner_user_id="bob"),
        ],
    )
    async with channel(f"127.0.0.1:{port}", issue_token(KEY, "x", None, [OPERATOR]), TENANT) as operator:
        await import_pb2_grpc.ImportServiceStub(operator).ApplyTenant(request)
    return port


@pytest.fixture
async def ann(company: int) -> AsyncIterator[grpc.aio.Channel]:
    async with channel(f"127.0.0.1:{company}", issue_token(KEY, "user/ann", TENANT, [USER])) as link:
        yield link


async def code(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code()


DENIED, MISSING = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND


async def test_users_see_and_change_what_is_their_own(ann: grpc.aio.Channel) -> None:
    users: Any = user_pb2_grpc.UserServiceStub(ann)
    assert [each.id for each in (await users.ListUsers(pb.ListUsersRequest())).users] == ["ann"]
    forwarding = pb.Forwarding(busy=pb.Destination(external_number="+41795550100"))
    mine = pb.User(id="ann", do_not_disturb=True, forwarding=forwarding, function_keys=[pb.FunctionKey(key=1, user_id="bob")])
    mine.outbound_pin = "4711"
    assert (await users.UpdateUser(pb.UpdateUserRequest(user=mine))).user.do_not_disturb
    mailboxes: Any = mailbox_pb2_grpc.MailboxServiceStub(ann)
    heard = pb.Mailbox(id="anns", greeting=[pb.Announcement(text="Good day.")], emails=["ann@own.example"])
    assert (await mailboxes.UpdateMailbox(pb.UpdateMailboxRequest(mailbox=heard))).mailbox.greeting[0].text == "Good day."
    extensions: Any = extension_pb2_grpc.ExtensionServiceStub(ann)
    assert [each.id for each in (await extensions.ListExtensions(pb.ListExtensionsRequest())).extensions] == ["101"]


async def test_users_keep_their_own_contacts_and_read_the_companys(ann: grpc.aio.Channel) -> None:
    contacts: Any = contact_pb2_grpc.ContactServiceStub(ann)
    friend = pb.Contact(id="anns-friend", last_name="Ami", owner_user_id="ann")
    await contacts.CreateContact(pb.CreateContactRequest(contact=friend))
    assert [each.id for each in (await contacts.ListContacts(pb.ListContactsRequest())).contacts] == ["anns-friend", "customer"]
    given_away = pb.Contact(id="anns-friend", owner_user_id="bob")
    assert await code(contacts.UpdateContact(pb.UpdateContactRequest(contact=given_away))) == DENIED
    await contacts.DeleteContact(pb.DeleteContactRequest(id="anns-friend"))
    assert await code(contacts.DeleteContact(pb.DeleteContactRequest(id="customer"))) == DENIED
    assert await code(contacts.CreateContact(pb.CreateContactRequest(contact=pb.Contact(id="x", last_name="X")))) == DENIED


@pytest.mark.feature("D-8")
async def test_colleagues_and_groups_are_contacts_of_everybody(ann: grpc.aio.Channel, company: int) -> None:
    contacts: Any = contact_pb2_grpc.ContactServiceStub(ann)
    listed = contacts.ListInternalContacts
    first = await listed(pb.ListInternalContactsRequest(page_size=1, order_by="display_name desc, id"))
    assert [(each.id, each.display_name, list(each.extensions)) for each in first.internal_contacts] == [("user/ann", "Archer", ["101"])]
    second = await listed(pb.ListInternalContactsRequest(page_size=1, order_by="display_name desc, id", page_token=first.next_page_token))
    assert [each.id for each in second.internal_contacts] == ["user/bob"]
    board = pb.ListInternalContactsRequest(filter="kind = user AND extensions : 102", scope=pb.Scope(department_id="board"))
    assert [each.id for each in (await listed(board)).internal_contacts] == ["user/bob"]
    with pytest.raises(grpc.aio.AioRpcError, match="internal_contact has no field 'outbound_pin'"):
        await listed(pb.ListInternalContactsRequest(filter="outbound_pin = 1"))
    async with channel(f"127.0.0.1:{company}", issue_token(KEY, "x", "own", [DEPARTMENT_ADMIN], department="trade")) as admin:
        everybody = await contact_pb2_grpc.ContactServiceStub(admin).ListInternalContacts(pb.ListInternalContactsRequest())
    assert [each.id for each in everybody.internal_contacts] == ["user/ann", "user/bob"]


async def test_what_is_others_or_the_companys_is_not_for_users(ann: grpc.aio.Channel) -> None:
    users: Any = user_pb2_grpc.UserServiceStub(ann)
    assert await code(users.GetUser(pb.GetUserRequest(id="bob"))) == MISSING
    for wanted in (
        pb.User(id="bob", do_not_disturb=True),
        pb.User(id="ann", role=pb.USER_ROLE_ADMIN),
        pb.User(id="ann", department_id="board"),
        pb.User(id="ann", mailbox_id="bobs"),
        pb.User(id="ann", last_name="Other"),
    ):
        assert await code(users.UpdateUser(pb.UpdateUserRequest(user=wanted))) == DENIED
    assert await code(users.CreateUser(pb.CreateUserRequest(user=pb.User(id="new", last_name="N")))) == DENIED
    assert await code(users.ResetLine(pb.ResetLineRequest(user_id="ann"))) == DENIED
    mailboxes: Any = mailbox_pb2_grpc.MailboxServiceStub(ann)
    assert await code(mailboxes.GetMailbox(pb.GetMailboxRequest(id="bobs"))) == MISSING
    longer = pb.UpdateMailboxRequest(mailbox=pb.Mailbox(id="anns", max_seconds=600))
    assert await code(mailboxes.UpdateMailbox(longer)) == DENIED
    contacts: Any = contact_pb2_grpc.ContactServiceStub(ann)
    assert await code(contacts.GetContact(pb.GetContactRequest(id="bobs-friend"))) == MISSING
    devices: Any = device_pb2_grpc.DeviceServiceStub(ann)
    assert await code(devices.CreateDevice(pb.CreateDeviceRequest(device=pb.Device(id="d")))) == DENIED
    assert await code(SearchServiceStub(ann).ListUses(pb.ListUsesRequest(kind="user", id="ann"))) == DENIED


@pytest.mark.feature("D-21")
async def test_users_find_colleagues_the_companys_contacts_and_what_is_theirs(company: int, ann: grpc.aio.Channel) -> None:
    async def found(query: str) -> list[tuple[str, str]]:
        results = (await SearchServiceStub(ann).Search(pb.SearchRequest(query=query))).results
        return sorted((each.kind, each.id) for each in results)

    async with channel(f"127.0.0.1:{company}", issue_token(KEY, "x", None, [OPERATOR]), TENANT) as admin:
        users: Any = user_pb2_grpc.UserServiceStub(admin)
        away = pb.Forwarding(busy=pb.Destination(external_number="+41795550177"))
        bob = pb.User(id="bob", mobile="+41795550102", description="Zurbriggen knows", login="secret.name", forwarding=away)
        await users.UpdateUser(pb.UpdateUserRequest(user=bob))
    assert await found("archer") == [("user", "ann"), ("user", "bob")]
    assert await found("0795550102") == [("user", "bob")]
    assert await found("102") == [("extension", "102")]
    assert await found("customer") == [("contact", "customer")]
    assert await found("anns") == [("mailbox", "anns")]
    for hidden in ("zurbriggen", "secret", "0795550177", "friend", "bobs", "trade"):
        assert await found(hidden) == [], hidden


@pytest.mark.feature("D-21")
async def test_a_departments_admin_finds_what_is_of_the_department(company: int) -> None:
    token = issue_token(KEY, "user/ann", TENANT, [DEPARTMENT_ADMIN], department="trade")
    async with channel(f"127.0.0.1:{company}", token) as link:
        found = await SearchServiceStub(link).Search(pb.SearchRequest(query="archer"))
    assert [(each.kind, each.id) for each in found.results] == [("user", "ann")]


@pytest.mark.feature("D-14")
async def test_the_account_code_policy_says_whether_users_see_and_change_their_own_code(company: int, ann: grpc.aio.Channel) -> None:
    async with channel(f"127.0.0.1:{company}", issue_token(KEY, "x", None, [OPERATOR]), TENANT) as admin:
        policies: Any = account_code_policy_pb2_grpc.AccountCodePolicyServiceStub(admin)
        departments: Any = department_pb2_grpc.DepartmentServiceStub(admin)
        all_users: Any = user_pb2_grpc.UserServiceStub(admin)
        await policies.CreateAccountCodePolicy(
            pb.CreateAccountCodePolicyRequest(account_code_policy=pb.AccountCodePolicy(id="billed", min_length=3, max_length=4))
        )
        await departments.UpdateDepartment(
            pb.UpdateDepartmentRequest(department=pb.Department(id="trade", account_code_policy_id="billed"))
        )
        await all_users.UpdateUser(pb.UpdateUserRequest(user=pb.User(id="ann", account_code="123")))
        users: Any = user_pb2_grpc.UserServiceStub(ann)

        async def seen() -> str:
            return str((await users.GetUser(pb.GetUserRequest(id="ann"))).user.account_code)

        changed = pb.UpdateUserRequest(user=pb.User(id="ann", account_code="4711"))
        assert await seen() == ""
        assert await code(users.UpdateUser(changed)) == DENIED
        for asked in (pb.ListUsersRequest(filter="account_code = 123"), pb.ListUsersRequest(order_by="account_code")):
            assert await code(users.ListUsers(asked)) == grpc.StatusCode.INVALID_ARGUMENT
        allowing = pb.AccountCodePolicy(id="billed", users_may_see=True, users_may_change=True)
        await policies.UpdateAccountCodePolicy(pb.UpdateAccountCodePolicyRequest(account_code_policy=allowing))
        assert await seen() == "123"
        await users.UpdateUser(changed)
        assert await seen() == "4711"
        too_long = pb.UpdateUserRequest(user=pb.User(id="ann", account_code="47110"))
        assert await code(users.UpdateUser(too_long)) == grpc.StatusCode.INVALID_ARGUMENT
