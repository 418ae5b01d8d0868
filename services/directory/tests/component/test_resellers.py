"""Operator, resellers, tenants: who sees and sells what."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import jwt
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.directory.v1 import auth_pb2, auth_pb2_grpc
from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.device_pb2_grpc import DeviceServiceStub
from carillon.directory.v1.history_pb2_grpc import HistoryServiceStub
from carillon.directory.v1.import_pb2_grpc import ImportServiceStub
from carillon.directory.v1.number_pb2_grpc import NumberServiceStub
from carillon.directory.v1.reseller_pb2_grpc import ResellerServiceStub
from carillon.directory.v1.search_pb2_grpc import SearchServiceStub
from carillon.directory.v1.subscription_pb2_grpc import SubscriptionServiceStub
from carillon.directory.v1.tenant_pb2_grpc import TenantServiceStub
from carillon.directory.v1.user_pb2_grpc import UserServiceStub
from carillon_contracts.envelope import Event
from carillon_contracts.letter import LetterRequested
from carillon_contracts.streams import AUDIT, LETTERS, audit_subject, letter_subject
from carillon_directory.adapters.postgres_resellers import PostgresResellers
from carillon_directory.app import running
from carillon_directory.settings import DirectorySettings
from carillon_kit import postgres
from carillon_kit.auth import OPERATOR, RESELLER, issue_token
from carillon_kit.bus import Bus
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


async def ends(call: Callable[[], Any]) -> grpc.StatusCode:
    """What it is refused with, sooner or later (the deadline is generous)."""
    async with asyncio.timeout(30):
        while True:
            try:
                await call()
            except grpc.aio.AioRpcError as error:
                return error.code()


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


async def test_a_reseller_acts_inside_its_tenants_and_the_tenant_knows(
    west: grpc.aio.Channel, tree: int, client: Client, nats_url: str
) -> None:
    tenants: Any = TenantServiceStub(west)
    for other in ("east-1", "free", "nobody"):
        assert await code(tenants.EnterTenant(pb.EnterTenantRequest(id=other))) == MISSING
    assert await code(tenants.EnterTenant(pb.EnterTenantRequest(id="lake-1", reason="a\0b"))) == INVALID
    entered = await tenants.EnterTenant(pb.EnterTenantRequest(id="lake-1", reason="asked to"))
    async with channel(f"127.0.0.1:{tree}", entered.access_token) as link:
        users: Any = UserServiceStub(link)
        await users.CreateUser(pb.CreateUserRequest(user=pb.User(id="ann", last_name="Archer")))
        changes = (await HistoryServiceStub(link).ListChanges(pb.ListChangesRequest(resource="user"))).changes
        assert [(each.actor, each.resource_id) for each in changes] == [("reseller/west/key/west", "ann")]
        access: Any = auth_pb2_grpc.AccessServiceStub(link)
        assert await code(access.CreateApiKey(auth_pb2.CreateApiKeyRequest(display_name="x", role="admin"))) == DENIED
        assert await code(access.SetPassword(auth_pb2.SetPasswordRequest(user_id="ann", password="a long enough one"))) == DENIED
        assert await code(users.ResetLine(pb.ResetLineRequest(user_id="ann"))) == DENIED
        taken_over = pb.UpdateUserRequest(user=pb.User(id="ann", email="me@west.example"))
        assert await code(users.UpdateUser(taken_over)) == DENIED, "a code for a new password goes there"
        assert (await users.UpdateUser(pb.UpdateUserRequest(user=pb.User(id="ann", title="Dr")))).user.title == "Dr"
        own: Any = TenantServiceStub(link)
        assert await code(own.GetTenant(pb.GetTenantRequest(id="west-1"))) == MISSING
        assert await code(own.EnterTenant(pb.EnterTenantRequest(id="west-1"))) == DENIED
        assert await code(own.ListTenants(pb.ListTenantsRequest())) == DENIED
        assert await code(ResellerServiceStub(link).ListResellers(pb.ListResellersRequest())) == DENIED
    assert await code(TenantServiceStub(client(tree, "admin", "lake-1")).EnterTenant(pb.EnterTenantRequest(id="lake-1"))) == DENIED
    bus = await Bus.connect(nats_url, "listener")
    try:
        async with asyncio.timeout(30):
            async for told in bus.follow(AUDIT.name, audit_subject("lake-1", "tenant_entered")):
                event = Event.from_json(told.data)
                assert event.data == {"reseller_id": "west", "by": "key/west", "reason": "asked to"}
                assert event.subject == "tenant/lake-1"
                break
    finally:
        await bus.close()


@pytest.mark.feature("P-3", "D-19")
async def test_a_reseller_inside_makes_administrators_in_its_own_name_and_those_there_are_told(
    west: grpc.aio.Channel, tree: int, client: Client, nats_url: str
) -> None:
    await TenantServiceStub(west).CreateTenant(tenant("west-6"))
    people, admin = UserServiceStub(client(tree, "admin", "west-6")), pb.USER_ROLE_ADMIN
    for user in (
        pb.User(id="zoe", last_name="Zed", role=admin, email="zoe@x.example", language="fr"),
        pb.User(id="yan", last_name="Young", role=admin),
        pb.User(id="bob", last_name="Baker", email="bob@x.example"),
    ):
        await people.CreateUser(pb.CreateUserRequest(user=user))
    entered = await TenantServiceStub(west).EnterTenant(pb.EnterTenantRequest(id="west-6"))
    async with channel(f"127.0.0.1:{tree}", entered.access_token) as link:
        users: Any = UserServiceStub(link)
        await users.CreateUser(pb.CreateUserRequest(user=pb.User(id="new", first_name="Nora", last_name="Noir", email="n@x.example")))
        await users.UpdateUser(pb.UpdateUserRequest(user=pb.User(id="new", role=admin)))
        await users.DeleteUser(pb.DeleteUserRequest(id="yan"))
        access: Any = auth_pb2_grpc.AccessServiceStub(link)
        assert (await access.SendWelcome(auth_pb2.SendWelcomeRequest(user_id="new"))).email == "n@x.example"
    by, letters, told = "reseller/west/key/west", set(), set()
    async with await Bus.connect(nats_url, "listener") as bus, asyncio.timeout(60):
        async for message in bus.follow(LETTERS.name, letter_subject("west-6")):
            letter = LetterRequested.model_validate(Event.from_json(message.data).data)
            letters.add((letter.to, letter.subject, *(line for line in letter.text.splitlines() if "admin" in line)))
            if len(letters) == 4:
                break
        async for message in bus.follow(AUDIT.name, audit_subject("west-6", ">")):
            event = Event.from_json(message.data)
            told.add((event.type.split(".")[2], event.data.get("user_id") or event.data.get("about"), event.data.get("by")))
            if ("access_changed", "new", by) in told and len([each for each in told if each[0] == "administrator_changed"]) == 2:
                break
    made, gone = "Nora Noir (new): est maintenant administrateur (admin)", "Young (yan): n’est plus administrateur"
    head = f"{by}, extérieur à votre entreprise, a changé qui administre west-6 :"
    subject, theirs = "Les administrateurs de west-6 ont changé", {each for each in letters if each[0] == ("zoe@x.example",)}
    assert theirs == {(("zoe@x.example",), subject, head, line) for line in (made, gone)}
    assert {each[0] for each in letters - theirs} == {("n@x.example",)}, "of the second change, and the welcome"
    assert {each for each in told if each[0] == "administrator_changed"} == {("administrator_changed", name, by) for name in ("new", "yan")}


async def test_what_was_sold_is_seen_inside_and_changed_above(west: grpc.aio.Channel, tree: int, client: Client) -> None:
    above: Any = SubscriptionServiceStub(west)
    inside = client(tree, "admin", "west-1")
    own, company = SubscriptionServiceStub(inside), TenantServiceStub(inside)
    sold = pb.TenantSubscription(id="west-1", subscription=pb.Subscription(product="Large", users=1), limits=pb.CallLimits(max_calls=4))
    made = (await above.UpdateSubscription(pb.UpdateSubscriptionRequest(tenant_subscription=sold, reason="ordered"))).tenant_subscription
    assert (made.subscription.users, made.limits.max_calls, made.reseller_id) == (1, 4, "west")
    users: Any = UserServiceStub(inside)
    await users.CreateUser(pb.CreateUserRequest(user=pb.User(id="ann", last_name="Archer")))
    assert await code(users.CreateUser(pb.CreateUserRequest(user=pb.User(id="ben", last_name="Baker")))) == HELD
    seen = (await own.GetSubscription(pb.GetSubscriptionRequest(id="west-1"))).tenant_subscription
    assert (seen.subscription.product, seen.in_use.users) == ("Large", 1)
    before = await own.GetSubscription(pb.GetSubscriptionRequest(id="west-1", as_of=pb.AsOf(config_seq=1)))
    assert before.tenant_subscription.subscription.product == ""
    more = pb.TenantSubscription(id="west-1", subscription=pb.Subscription(users=9))
    assert await code(own.UpdateSubscription(pb.UpdateSubscriptionRequest(tenant_subscription=more))) == DENIED
    sold_to_it: list[dict[str, Any]] = [{"subscription": {"users": 9}}, {"limits": {}}, {"reseller_id": "lake"}, {"realm": "mine.example"}]
    for fields in sold_to_it:
        wanted = pb.UpdateTenantRequest(tenant=pb.Tenant(id="west-1", **fields), update_mask=FieldMask(paths=list(fields)))
        assert await code(company.UpdateTenant(wanted)) == DENIED, fields
    assert await code(company.GetTenant(pb.GetTenantRequest(id="lake-1"))) == MISSING
    assert await code(company.UpdateTenant(pb.UpdateTenantRequest(tenant=pb.Tenant(id="lake-1", language="fr")))) == MISSING
    changed = await company.UpdateTenant(
        pb.UpdateTenantRequest(tenant=pb.Tenant(id="west-1", language="fr", operator=pb.Destination(user_id="ann")))
    )
    assert (changed.tenant.language, changed.tenant.subscription.users) == ("fr", 1)
    assert await code(above.GetSubscription(pb.GetSubscriptionRequest(id="east-1"))) == MISSING
    assert (
        await code(above.UpdateSubscription(pb.UpdateSubscriptionRequest(tenant_subscription=pb.TenantSubscription(id="free")))) == MISSING
    )
    listed = await above.ListSubscriptions(pb.ListSubscriptionsRequest(filter="subscription.product:LARGE", order_by="id desc"))
    assert [each.id for each in listed.tenant_subscriptions] == ["west-1"]
    long_ago = pb.AsOf(time=Timestamp(seconds=1))
    assert not (await above.ListSubscriptions(pb.ListSubscriptionsRequest(as_of=long_ago))).tenant_subscriptions
    assert await code(above.ListSubscriptions(pb.ListSubscriptionsRequest(as_of=pb.AsOf(config_seq=1)))) == INVALID


async def found(link: grpc.aio.Channel, query: str) -> list[tuple[str, str, str]]:
    answer = await SearchServiceStub(link).SearchTenants(pb.SearchTenantsRequest(query=query))
    return [(each.tenant_id, each.result.kind, each.result.id) for each in answer.results]


@pytest.mark.feature("D-21")
async def test_a_search_over_tenants_finds_what_is_below(west: grpc.aio.Channel, tree: int, client: Client) -> None:
    operator = client(tree)
    for name, mac in (("lake-1", "0015651200aa"), ("east-1", "0015651200ab")):
        inside = client(tree, "operator", name)
        await TenantServiceStub(operator).UpdateTenant(
            pb.UpdateTenantRequest(tenant=pb.Tenant(id=name, display_name=f"Boulangerie {name}"))
        )
        number = f"+4121555{70 + int(mac[-1], 16)}00"
        await NumberServiceStub(inside).CreateNumber(pb.CreateNumberRequest(number=pb.Number(id=number, label="Reception")))
        await DeviceServiceStub(inside).CreateDevice(pb.CreateDeviceRequest(device=pb.Device(id="d1", mac=mac)))
        await UserServiceStub(inside).CreateUser(pb.CreateUserRequest(user=pb.User(id="zoe", last_name="Quillfeather")))
    lake, east = ("lake-1", "number", "+41215558000"), ("east-1", "number", "+41215558100")
    assert await found(operator, "boulangerie") == [("east-1", "tenant", "east-1"), ("lake-1", "tenant", "lake-1")]
    assert await found(west, "Boulangerie") == [("lake-1", "tenant", "lake-1")]
    for query in ("+41 21 555", "021 555", "0041 21 555"):
        assert set(await found(operator, query)) >= {lake, east}, query
        assert await found(west, query) == [lake], query
    assert await found(west, "00:15:65:12:00:aa") == [("lake-1", "device", "d1")]
    assert await found(west, "00:15:65:12:00:ab") == []
    async with asyncio.timeout(30):
        # It looks into tenants for a while only; what it made of them it has the next time.
        while await found(operator, "quillfeather") != [("east-1", "user", "zoe"), ("lake-1", "user", "zoe")]:
            pass
    assert await found(west, "quillfeather") == [], "what lies inside is for who enters"
    assert await found(operator, "100%_") == await found(operator, "") == await found(operator, "a\0b") == []
    assert await code(found(operator, "x" * 201)) == INVALID
    assert await code(found(client(tree, "admin", "lake-1"), "x")) == DENIED


async def test_a_tenant_goes_when_nothing_is_left_in_it_and_may_come_again(west: grpc.aio.Channel, tree: int, client: Client) -> None:
    tenants: Any = TenantServiceStub(west)
    await tenants.CreateTenant(tenant("west-8"))
    inside = client(tree, "operator", "west-8")
    await UserServiceStub(inside).CreateUser(pb.CreateUserRequest(user=pb.User(id="ann", last_name="Archer")))
    access: Any = auth_pb2_grpc.AccessServiceStub(inside)
    key = await access.CreateApiKey(auth_pb2.CreateApiKeyRequest(display_name="x", role="admin"))
    gone = pb.DeleteTenantRequest(id="west-8", reason="moved away")
    assert await code(tenants.DeleteTenant(gone)) == HELD
    assert await code(tenants.DeleteTenant(pb.DeleteTenantRequest(id="east-1"))) == MISSING
    assert await code(TenantServiceStub(client(tree, "admin", "west-8")).DeleteTenant(gone)) == DENIED
    alone = pb.ApplyTenantRequest(tenant=pb.Tenant(id="west-8", realm="west-8.example", reseller_id="west"), prune=True)
    await ImportServiceStub(inside).ApplyTenant(alone)
    assert await code(tenants.DeleteTenant(pb.DeleteTenantRequest(id="west-8", etag="0"))) == grpc.StatusCode.ABORTED
    await tenants.DeleteTenant(gone)
    assert "west-8" not in await listed(west)
    for call in (tenants.GetTenant(pb.GetTenantRequest(id="west-8")), tenants.DeleteTenant(gone)):
        assert await code(call) == MISSING
    assert await code(UserServiceStub(inside).CreateUser(pb.CreateUserRequest(user=pb.User(id="x", last_name="X")))) == MISSING
    auth: Any = auth_pb2_grpc.AuthServiceStub(inside)
    assert await code(auth.ExchangeApiKey(auth_pb2.ExchangeApiKeyRequest(api_key=key.secret))) == grpc.StatusCode.UNAUTHENTICATED
    other = pb.CreateTenantRequest(tenant=pb.Tenant(id="west-7", realm="west-8.example"))
    assert (await tenants.CreateTenant(other)).tenant.reseller_id == "west"
    again = (await tenants.CreateTenant(tenant("west-8b"))).tenant
    assert again.config_seq == 1
    reborn = await tenants.CreateTenant(pb.CreateTenantRequest(tenant=pb.Tenant(id="west-8", realm="west-80.example")))
    assert reborn.tenant.config_seq == 5
    assert not (await UserServiceStub(inside).ListUsers(pb.ListUsersRequest())).users


async def test_a_past_is_no_other_reseller_s_and_brings_no_key_back(
    west: grpc.aio.Channel, tree: int, client: Client, postgres_dsn: str
) -> None:
    operator: Any = ResellerServiceStub(client(tree))
    await operator.CreateReseller(pb.CreateResellerRequest(reseller=pb.Reseller(id="rival")))
    tenants: Any = TenantServiceStub(west)
    await tenants.CreateTenant(tenant("past-1"))
    inside = client(tree, "operator", "past-1")
    access: Any = auth_pb2_grpc.AccessServiceStub(inside)
    asked = auth_pb2.CreateApiKeyRequest(display_name="x", role="admin")
    key = await access.CreateApiKey(asked)
    await UserServiceStub(inside).CreateUser(pb.CreateUserRequest(user=pb.User(id="ann", last_name="Archer")))
    await access.SetPassword(auth_pb2.SetPasswordRequest(user_id="ann", password="a long enough one"))
    auth: Any = auth_pb2_grpc.AuthServiceStub(client(tree))
    login = auth_pb2.LoginRequest(login="ann@past-1.example", password="a long enough one")
    tokens = (await auth.Login(login)).tokens
    alone = pb.ApplyTenantRequest(tenant=pb.Tenant(id="past-1", realm="past-1.example", reseller_id="west"), prune=True)
    pool = await postgres.open_pool(postgres_dsn)
    try:
        kept = {name: await pool.fetch(f"select * from {name} where tenant = 'past-1'") for name in ("api_key", "login", "refresh_token")}
        assert all(kept.values())
        await ImportServiceStub(inside).ApplyTenant(alone)
        await tenants.DeleteTenant(pb.DeleteTenantRequest(id="past-1"))
        for name, rows in kept.items():
            assert not await pool.fetch(f"select from {name} where tenant = 'past-1'"), name
            # As one left them that was killed between the two.
            marks = ", ".join(f"${number}" for number in range(1, len(rows[0]) + 1))
            await pool.executemany(f"insert into {name} values ({marks})", [tuple(row) for row in rows])
        exchange = auth_pb2.ExchangeApiKeyRequest(api_key=key.secret)
        assert await code(auth.ExchangeApiKey(exchange)) == grpc.StatusCode.UNAUTHENTICATED
        async with channel(f"127.0.0.1:{tree}", issue_token(KEY, "key/rival", None, [RESELLER], reseller="rival")) as link:
            assert await code(TenantServiceStub(link).CreateTenant(tenant("past-1"))) == grpc.StatusCode.ALREADY_EXISTS
        assert (await tenants.CreateTenant(tenant("past-1"))).tenant.reseller_id == "west"
        await UserServiceStub(inside).CreateUser(pb.CreateUserRequest(user=pb.User(id="ann", last_name="Another")))
        refresh = auth_pb2.RefreshRequest(refresh_token=tokens.refresh_token)
        for call in (auth.ExchangeApiKey(exchange), auth.Login(login), auth.Refresh(refresh)):
            assert await code(call) == grpc.StatusCode.UNAUTHENTICATED
    finally:
        await pool.close()
    await ImportServiceStub(inside).ApplyTenant(alone)
    await tenants.DeleteTenant(pb.DeleteTenantRequest(id="past-1"))
    assert (await TenantServiceStub(client(tree)).CreateTenant(tenant("past-1"))).tenant.reseller_id == "", "operators may"


async def test_who_is_inside_waits_for_nobody_s_sale(tree: int, client: Client, postgres_dsn: str) -> None:
    await TenantServiceStub(client(tree)).CreateTenant(tenant("busy-1"))
    inside: Any = TenantServiceStub(client(tree, "admin", "busy-1"))
    pool = await postgres.open_pool(postgres_dsn)
    try:
        async with PostgresResellers(pool).selling():
            renamed = pb.UpdateTenantRequest(tenant=pb.Tenant(id="busy-1", display_name="Busy"))
            assert (await inside.UpdateTenant(renamed, timeout=30)).tenant.display_name == "Busy"
    finally:
        await pool.close()


async def test_going_back_leaves_what_was_sold(west: grpc.aio.Channel, tree: int, client: Client) -> None:
    tenants: Any = TenantServiceStub(west)
    await tenants.CreateTenant(tenant("west-9"))
    inside = client(tree, "admin", "west-9")
    company, history = TenantServiceStub(inside), HistoryServiceStub(inside)
    named = await company.UpdateTenant(pb.UpdateTenantRequest(tenant=pb.Tenant(id="west-9", display_name="Nine")))
    bought = await tenants.UpdateTenant(pb.UpdateTenantRequest(tenant=pb.Tenant(id="west-9", subscription=pb.Subscription(users=5))))
    assert await code(history.UndoChange(pb.UndoChangeRequest(config_seq=bought.tenant.config_seq))) == DENIED
    await history.RestoreTenant(pb.RestoreTenantRequest(moment=pb.AsOf(config_seq=named.tenant.config_seq - 1)))
    now = (await company.GetTenant(pb.GetTenantRequest(id="west-9"))).tenant
    assert (now.display_name, now.subscription.users) == ("", 5)


async def test_a_reseller_s_past_is_seen_by_who_was_above_it(west: grpc.aio.Channel, tree: int, client: Client) -> None:
    operator, seller = ResellerServiceStub(client(tree)), ResellerServiceStub(west)

    async def told(of: Any) -> list[tuple[str, str, str, str]]:
        changes, token = [], ""
        while True:
            page = await of.ListResellerChanges(pb.ListResellerChangesRequest(reseller_id="pond", page_size=1, page_token=token))
            changes += page.changes
            if not (token := page.next_page_token):
                return [
                    (
                        each.fact,
                        each.before["display_name"] if each.HasField("before") and "display_name" in each.before else "",
                        each.after["display_name"] if each.HasField("after") and "display_name" in each.after else "",
                        each.reason,
                    )
                    for each in changes
                ]

    async def update(**fields: Any) -> None:
        await operator.UpdateReseller(pb.UpdateResellerRequest(reseller=pb.Reseller(id="pond", **fields)))

    made = pb.CreateResellerRequest(reseller=pb.Reseller(id="pond", display_name="A", parent_reseller_id="east"), reason="new")
    await operator.CreateReseller(made)
    assert await told(seller) == []
    await update(display_name="B", parent_reseller_id="lake")
    await update(display_name="C")
    await operator.DeleteReseller(pb.DeleteResellerRequest(id="pond", reason="closed"))
    assert await told(operator) == [
        ("deleted", "C", "", "closed"),
        ("updated", "B", "C", ""),
        ("updated", "A", "B", ""),
        ("created", "", "A", "new"),
    ]
    assert await told(seller) == [("deleted", "C", "", "closed"), ("updated", "B", "C", ""), ("created", "", "B", "")]
    last = (await operator.ListResellerChanges(pb.ListResellerChangesRequest(reseller_id="pond"))).changes[0].seq
    assert await code(seller.GetReseller(pb.GetResellerRequest(id="pond"))) == MISSING
    then = await seller.GetReseller(pb.GetResellerRequest(id="pond", as_of=pb.AsOf(config_seq=last - 1)))
    assert (then.reseller.display_name, then.reseller.parent_reseller_id) == ("C", "lake")
    assert await code(seller.GetReseller(pb.GetResellerRequest(id="pond", as_of=pb.AsOf(config_seq=last - 3)))) == MISSING
    below = pb.ListResellersRequest(as_of=pb.AsOf(config_seq=last - 1), filter="parent_reseller_id = lake", order_by="id desc")
    assert [each.id for each in (await seller.ListResellers(below)).resellers] == ["pond"]


async def test_the_tree_is_kept_whole(tree: int, client: Client) -> None:
    resellers: Any = ResellerServiceStub(client(tree))

    def update(**fields: Any) -> Any:
        return resellers.UpdateReseller(pb.UpdateResellerRequest(reseller=pb.Reseller(**fields)))

    assert await code(update(id="west", parent_reseller_id="lake")) == INVALID
    assert await code(update(id="west", parent_reseller_id="nobody")) == INVALID
    assert await code(update(id="west", etag="0", display_name="W")) == grpc.StatusCode.ABORTED
    assert (await update(id="west", display_name="West SA")).reseller.etag == "2"
    assert (await update(id="west", display_name="West SA")).reseller.etag == "2", "nothing was changed"
    for name in ("a\0b", "a\nb", "x" * 2001):
        assert await code(update(id="west", display_name=name)) == INVALID
        named = pb.CreateResellerRequest(reseller=pb.Reseller(id="named", display_name=name))
        assert await code(resellers.CreateReseller(named)) == INVALID
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
        entered = await TenantServiceStub(link).EnterTenant(pb.EnterTenantRequest(id="lake-1"))
        own, theirs = (jwt.decode(each, options={"verify_signature": False}) for each in (tokens.access_token, entered.access_token))
        assert theirs["iat"] == own["iat"], "what ends the one ends the other, whenever it entered"
        assert theirs["exp"] <= own["exp"]
        async with channel(f"127.0.0.1:{tree}", entered.access_token) as inside:
            await UserServiceStub(inside).ListUsers(pb.ListUsersRequest())
            await operator.RevokeApiKey(auth_pb2.RevokeApiKeyRequest(id=made.api_key.id))
            for over in (lambda: listed(link), lambda: UserServiceStub(inside).ListUsers(pb.ListUsersRequest())):
                assert await ends(over) == grpc.StatusCode.UNAUTHENTICATED, "also where it went in with the key"


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
