"""Logins, second factors, tokens and keys, through the gRPC doors of the running service."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import grpc.aio
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf.field_mask_pb2 import FieldMask

from carillon.directory.v1 import auth_pb2 as pb
from carillon.directory.v1 import directory_pb2
from carillon.directory.v1.auth_pb2_grpc import AccessServiceStub, AuthServiceStub
from carillon.directory.v1.batch_pb2_grpc import BatchServiceStub
from carillon.directory.v1.department_pb2_grpc import DepartmentServiceStub
from carillon.directory.v1.extension_pb2_grpc import ExtensionServiceStub
from carillon.directory.v1.history_pb2_grpc import HistoryServiceStub
from carillon.directory.v1.import_pb2_grpc import ImportServiceStub
from carillon.directory.v1.mailbox_pb2_grpc import MailboxServiceStub
from carillon.directory.v1.rights_profile_pb2_grpc import RightsProfileServiceStub
from carillon.directory.v1.search_pb2_grpc import SearchServiceStub
from carillon.directory.v1.sip_credential_pb2_grpc import SipCredentialServiceStub
from carillon.directory.v1.tenant_pb2_grpc import TenantServiceStub
from carillon.directory.v1.user_pb2_grpc import UserServiceStub
from carillon_contracts.envelope import Event
from carillon_contracts.letter import LetterRequested
from carillon_contracts.streams import AUDIT, LETTERS
from carillon_directory.app import running
from carillon_directory.domain.logins import code_at
from carillon_directory.settings import DirectorySettings
from carillon_kit.bus import Bus
from carillon_kit.grpc_client import channel
from carillon_kit.pages import encode_token

Code = grpc.StatusCode
PASSWORD = "correct horse battery"
Client = Callable[..., grpc.aio.Channel]


class Doors:
    """Stubs for the operator, for the admin's door, and for whoever has a token."""

    def __init__(self, port: int, operator: grpc.aio.Channel, tenant: str) -> None:
        self.port = port
        self.tenant = tenant
        self.auth = AuthServiceStub(operator)
        self.access = AccessServiceStub(operator)
        self._channels: list[grpc.aio.Channel] = []

    def with_token(self, token: str) -> grpc.aio.Channel:
        made = channel(f"127.0.0.1:{self.port}", token)
        self._channels.append(made)
        return made

    async def login(self, user: str = "ann", password: str = PASSWORD, code: str = "", realm: str = "") -> pb.LoginResponse:
        login = f"{user}@{realm or self.tenant + '.example'}"
        return await self.auth.Login(pb.LoginRequest(login=login, password=password, code=code))

    async def close(self) -> None:
        for each in self._channels:
            await each.close(None)


_serial = iter(range(1, 1000))


@pytest.fixture
async def doors(port: int, client: Callable[..., grpc.aio.Channel]) -> AsyncIterator[Doors]:
    """A tenant of its own with the user Ann, who has a password."""
    tenant = f"logins-{next(_serial)}"
    made = directory_pb2.Tenant(id=tenant, realm=f"{tenant}.example")
    await TenantServiceStub(client(port)).CreateTenant(directory_pb2.CreateTenantRequest(tenant=made))
    operator = client(port, "operator", tenant)
    user = directory_pb2.User(id="ann", last_name="Archer")
    await UserServiceStub(operator).CreateUser(directory_pb2.CreateUserRequest(user=user))
    found = Doors(port, operator, tenant)
    await found.access.SetPassword(pb.SetPasswordRequest(user_id="ann", password=PASSWORD))
    yield found
    await found.close()


async def refused(call: Any) -> Code:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value.code()


@pytest.mark.feature("P-3")
async def test_a_person_logs_in_and_is_known_by_the_token(doors: Doors) -> None:
    tokens = (await doors.login()).tokens
    me = await AuthServiceStub(doors.with_token(tokens.access_token)).WhoAmI(pb.WhoAmIRequest())
    assert (me.subject, me.tenant_id, list(me.roles)) == ("user/ann", doors.tenant, ["user"])


@pytest.mark.feature("P-3")
async def test_anyone_can_check_a_token_with_the_published_key(doors: Doors) -> None:
    token = (await doors.login()).tokens.access_token
    keys = json.loads((await doors.auth.ListPublicKeys(pb.ListPublicKeysRequest())).jwks)["keys"]
    key = next(each for each in keys if each["kid"] == jwt.get_unverified_header(token)["kid"])
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "="))
    claims = jwt.decode(token, public, algorithms=["EdDSA"], audience="carillon")
    assert claims["tenant"] == doors.tenant
    assert claims["exp"] - datetime.now(UTC).timestamp() <= 600


@pytest.mark.feature("P-3")
async def test_what_is_wrong_is_never_told(doors: Doors) -> None:
    for attempt in (doors.login(password="wrong"), doors.login(user="nobody"), doors.login(realm="nowhere.example"), doors.login(user="")):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await attempt
        assert error.value.code() is Code.UNAUTHENTICATED
        assert error.value.details() == "the login, the password or the code is wrong, or the login is locked"


@pytest.mark.feature("P-3")
async def test_five_wrong_tries_lock_and_an_admin_unlocks(doors: Doors) -> None:
    for _ in range(5):
        assert await refused(doors.login(password="wrong")) is Code.UNAUTHENTICATED
    assert await refused(doors.login()) is Code.UNAUTHENTICATED, "locked"
    assert (await doors.access.GetLogin(pb.GetLoginRequest(user_id="ann"))).HasField("locked_until")
    await doors.access.UnlockLogin(pb.UnlockLoginRequest(user_id="ann"))
    assert (await doors.login()).tokens.access_token


@pytest.mark.feature("P-3")
async def test_many_tries_at_once_are_all_counted(doors: Doors) -> None:
    await asyncio.gather(*(refused(doors.login(password=f"wrong {n}")) for n in range(12)))
    assert await refused(doors.login()) is Code.UNAUTHENTICATED


@pytest.mark.feature("P-3")
async def test_a_lock_survives_a_restart(nats_url: str, postgres_dsn: str, settings: DirectorySettings, doors: Doors) -> None:
    for _ in range(5):
        await refused(doors.login(password="wrong"))
    async with running(settings) as port, channel(f"127.0.0.1:{port}", "x") as other:
        assert await refused(AuthServiceStub(other).Login(pb.LoginRequest(login=f"ann@{doors.tenant}.example", password=PASSWORD)))


@pytest.mark.feature("P-3")
async def test_a_refresh_token_is_good_once_and_its_theft_ends_the_login(doors: Doors) -> None:
    first = (await doors.login()).tokens
    second = (await doors.auth.Refresh(pb.RefreshRequest(refresh_token=first.refresh_token))).tokens
    assert second.refresh_token != first.refresh_token
    assert await refused(doors.auth.Refresh(pb.RefreshRequest(refresh_token=first.refresh_token))) is Code.UNAUTHENTICATED
    assert await refused(doors.auth.Refresh(pb.RefreshRequest(refresh_token=second.refresh_token))) is Code.UNAUTHENTICATED


@pytest.mark.feature("P-3")
async def test_logging_out_ends_the_refresh_tokens(doors: Doors) -> None:
    tokens = (await doors.login()).tokens
    await doors.auth.Logout(pb.LogoutRequest(refresh_token=tokens.refresh_token))
    assert await refused(doors.auth.Refresh(pb.RefreshRequest(refresh_token=tokens.refresh_token))) is Code.UNAUTHENTICATED
    await doors.auth.Logout(pb.LogoutRequest(refresh_token="rt_nothing"))


@pytest.mark.feature("P-3")
async def test_a_new_password_counts_at_once_and_ends_other_logins(doors: Doors) -> None:
    tokens = (await doors.login()).tokens
    own = AuthServiceStub(doors.with_token(tokens.access_token))
    short = pb.ChangePasswordRequest(old_password=PASSWORD, new_password="short")
    assert await refused(own.ChangePassword(short)) is Code.INVALID_ARGUMENT
    wrong = pb.ChangePasswordRequest(old_password="wrong", new_password="another long password")
    assert await refused(own.ChangePassword(wrong)) is Code.UNAUTHENTICATED
    await own.ChangePassword(pb.ChangePasswordRequest(old_password=PASSWORD, new_password="another long password"))
    assert await refused(doors.login()) is Code.UNAUTHENTICATED
    assert (await doors.login(password="another long password")).tokens.access_token
    assert await refused(doors.auth.Refresh(pb.RefreshRequest(refresh_token=tokens.refresh_token))) is Code.UNAUTHENTICATED


@pytest.mark.feature("P-3")
async def test_a_second_factor_is_asked_for_and_its_codes_count_once(doors: Doors) -> None:
    own = AuthServiceStub(doors.with_token((await doors.login()).tokens.access_token))
    begun = await own.BeginSecondFactor(pb.BeginSecondFactorRequest(password=PASSWORD))
    assert begun.uri.startswith("otpauth://totp/")
    secret = base64.b32decode(begun.secret + "=" * (-len(begun.secret) % 8))
    now = int(datetime.now(UTC).timestamp()) // 30
    assert await refused(own.ConfirmSecondFactor(pb.ConfirmSecondFactorRequest(code="000"))) is Code.INVALID_ARGUMENT
    confirm = pb.ConfirmSecondFactorRequest(code=code_at(secret, now - 1))
    recovery = (await own.ConfirmSecondFactor(confirm)).recovery_codes
    needed = await doors.login()
    assert needed.second_factor_needed
    assert not needed.tokens.access_token
    code = code_at(secret, int(datetime.now(UTC).timestamp()) // 30)
    assert (await doors.login(code=code)).tokens.access_token
    assert await refused(doors.login(code=code)) is Code.UNAUTHENTICATED, "a code counts once"
    assert (await doors.login(code=recovery[0])).tokens.access_token
    assert await refused(doors.login(code=recovery[0])) is Code.UNAUTHENTICATED
    await doors.access.RemoveSecondFactor(pb.RemoveSecondFactorRequest(user_id="ann"))
    assert (await doors.login()).tokens.access_token


@pytest.mark.feature("P-3")
async def test_a_system_gets_tokens_for_its_key_until_it_is_revoked(doors: Doors) -> None:
    made = await doors.access.CreateApiKey(pb.CreateApiKeyRequest(display_name="crm", role="admin"))
    tokens = (await doors.auth.ExchangeApiKey(pb.ExchangeApiKeyRequest(api_key=made.secret))).tokens
    users = UserServiceStub(doors.with_token(tokens.access_token))
    assert [each.id for each in (await users.ListUsers(directory_pb2.ListUsersRequest())).users] == ["ann"]
    listed = (await doors.access.ListApiKeys(pb.ListApiKeysRequest())).api_keys
    assert [(each.id, each.display_name, each.HasField("last_used_at")) for each in listed] == [(made.api_key.id, "crm", True)]
    await doors.access.RevokeApiKey(pb.RevokeApiKeyRequest(id=made.api_key.id))
    assert await refused(doors.auth.ExchangeApiKey(pb.ExchangeApiKeyRequest(api_key=made.secret))) is Code.UNAUTHENTICATED


@pytest.fixture
async def departments(doors: Doors, client: Client) -> Doors:
    """Ann administers the department trade, below which the shop is, with Sid; Bob is of the board, and Zoe, an admin, of trade."""
    request = directory_pb2.ApplyTenantRequest(
        tenant=directory_pb2.Tenant(id=doors.tenant, realm=f"{doors.tenant}.example"),
        departments=[
            directory_pb2.Department(id="trade"),
            directory_pb2.Department(id="shop", parent_id="trade"),
            directory_pb2.Department(id="board"),
        ],
        rights_profiles=[
            directory_pb2.RightsProfile(id="reader", rights=[directory_pb2.Right(resource="user", level=directory_pb2.RIGHT_LEVEL_READ)])
        ],
        users=[
            directory_pb2.User(
                id="ann", last_name="Archer", department_id="trade", role=directory_pb2.USER_ROLE_DEPARTMENT_ADMIN, email="ann@x.example"
            ),
            directory_pb2.User(id="bob", last_name="Bold", department_id="board", email="bob@x.example"),
            directory_pb2.User(id="sid", last_name="Sold", department_id="shop", email="sid@x.example"),
            directory_pb2.User(id="zoe", last_name="Zed", department_id="trade", role=directory_pb2.USER_ROLE_ADMIN, email="zoe@x.example"),
        ],
    )
    await ImportServiceStub(client(doors.port, "operator", doors.tenant)).ApplyTenant(request)
    for user_id in ("bob", "sid", "zoe"):
        await doors.access.SetPassword(pb.SetPasswordRequest(user_id=user_id, password=PASSWORD))
    return doors


@pytest.mark.feature("P-3")
async def test_a_key_reaches_no_further_than_its_department_and_its_rights_profile(departments: Doors) -> None:
    doors = departments

    async def users_of(**within: Any) -> Any:
        made = await doors.access.CreateApiKey(pb.CreateApiKeyRequest(display_name="crm", **within))
        assert {name: getattr(made.api_key, name) for name in within} == within
        tokens = (await doors.auth.ExchangeApiKey(pb.ExchangeApiKeyRequest(api_key=made.secret))).tokens
        return UserServiceStub(doors.with_token(tokens.access_token))

    async def seen(users: Any) -> list[str]:
        return [each.id for each in (await users.ListUsers(directory_pb2.ListUsersRequest())).users]

    async def renamed(users: Any, user_id: str) -> Any:
        return await users.UpdateUser(directory_pb2.UpdateUserRequest(user=directory_pb2.User(id=user_id, title="Dr")))

    of_trade = await users_of(role="department_admin", department_id="trade")
    assert await seen(of_trade) == ["ann", "sid", "zoe"]
    assert (await renamed(of_trade, "sid")).user.title == "Dr"
    assert await refused(renamed(of_trade, "bob")) is Code.PERMISSION_DENIED
    reading = await users_of(role="admin", rights_profile_id="reader")
    assert await seen(reading) == ["ann", "bob", "sid", "zoe"]
    assert await refused(renamed(reading, "sid")) is Code.PERMISSION_DENIED
    both = await users_of(role="department_admin", department_id="shop", rights_profile_id="reader")
    assert await seen(both) == ["sid"]
    assert await refused(renamed(both, "sid")) is Code.PERMISSION_DENIED
    listed = (await doors.access.ListApiKeys(pb.ListApiKeysRequest())).api_keys
    assert {(each.department_id, each.rights_profile_id) for each in listed} == {("trade", ""), ("", "reader"), ("shop", "reader")}


@pytest.mark.feature("P-3")
@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.CreateApiKeyRequest(display_name="x", role="department_admin"), "department_id"),
        (pb.CreateApiKeyRequest(display_name="x", role="department_admin", department_id="nowhere"), "department_id"),
        (pb.CreateApiKeyRequest(display_name="x", role="admin", department_id="trade"), "department_id"),
        (pb.CreateApiKeyRequest(display_name="x", role="admin", rights_profile_id="none"), "rights_profile_id"),
        (pb.CreateApiKeyRequest(display_name="x", role="user"), "role"),
        (pb.CreateApiKeyRequest(display_name="x", role="admin", reseller_id="a"), "reseller_id"),
    ],
)
async def test_a_key_with_a_scope_that_is_not_there_is_refused(doors: Doors, request_: pb.CreateApiKeyRequest, field: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await doors.access.CreateApiKey(request_)
    assert error.value.code() is Code.INVALID_ARGUMENT
    assert field in (error.value.details() or "")


@pytest.mark.feature("P-3", "D-18", "D-19")
async def test_a_departments_admin_sees_to_the_logins_of_its_people_alone(departments: Doors) -> None:
    doors = departments
    access = AccessServiceStub(doors.with_token((await doors.login()).tokens.access_token))
    for _ in range(5):
        await refused(doors.login("sid", "wrong"))
    logins = (await access.ListLogins(pb.ListLoginsRequest())).logins
    assert [(each.user_id, each.role, each.HasField("locked_until")) for each in logins] == [
        ("ann", "department_admin", False),
        ("sid", "user", True),
        ("zoe", "admin", False),
    ]
    assert (await access.GetLogin(pb.GetLoginRequest(user_id="sid"))).HasField("locked_until")
    await access.UnlockLogin(pb.UnlockLoginRequest(user_id="sid"))
    assert (await doors.login("sid")).tokens.access_token
    assert (await access.SendWelcome(pb.SendWelcomeRequest(user_id="sid"))).email == "sid@x.example"
    for user_id, why in (("bob", Code.NOT_FOUND), ("zoe", Code.PERMISSION_DENIED), ("nobody", Code.NOT_FOUND)):
        assert await refused(access.UnlockLogin(pb.UnlockLoginRequest(user_id=user_id))) is why
        assert await refused(access.SendWelcome(pb.SendWelcomeRequest(user_id=user_id))) is why
        assert await refused(access.GetLogin(pb.GetLoginRequest(user_id=user_id))) is why
    for forbidden in (access.SetPassword(pb.SetPasswordRequest(user_id="sid")), access.RemoveLogin(pb.RemoveLoginRequest(user_id="sid"))):
        assert await refused(forbidden) is Code.PERMISSION_DENIED


@pytest.mark.feature("P-3")
async def test_logins_are_listed_by_role_department_and_lock(departments: Doors) -> None:
    async def listed(**asked: Any) -> list[str]:
        return [each.user_id for each in (await departments.access.ListLogins(pb.ListLoginsRequest(**asked))).logins]

    assert await listed() == ["ann", "bob", "sid", "zoe"]
    assert await listed(role="admin") == ["zoe"]
    assert await listed(department_id="trade") == ["ann", "zoe"]
    assert await listed(department_id="trade", with_below=True) == ["ann", "sid", "zoe"]
    for _ in range(5):
        await refused(departments.login("bob", "wrong"))
    assert await listed(locked=True) == ["bob"]
    page = await departments.access.ListLogins(pb.ListLoginsRequest(page_size=3))
    assert [each.login.partition("@")[0] for each in page.logins] == ["ann", "bob", "sid"]
    assert await listed(page_size=3, page_token=page.next_page_token) == ["zoe"]
    nul = encode_token({"after": "a\0"})
    for wrong in (pb.ListLoginsRequest(role="king"), pb.ListLoginsRequest(page_token="x"), pb.ListLoginsRequest(page_token=nul)):
        assert await refused(departments.access.ListLogins(wrong)) is Code.INVALID_ARGUMENT


@pytest.mark.feature("D-22", "P-3")
async def test_a_departments_admin_reads_the_history_of_what_they_see(departments: Doors, client: Client) -> None:
    users = UserServiceStub(client(departments.port, "operator", departments.tenant))
    for user_id, department in (("bob", "board"), ("sid", "shop"), ("sid", "board")):
        changed = directory_pb2.User(id=user_id, title=department, department_id=department)
        await users.UpdateUser(directory_pb2.UpdateUserRequest(user=changed))
    history = HistoryServiceStub(departments.with_token((await departments.login()).tokens.access_token))
    found: list[Any] = []
    token = ""
    while True:
        page = await history.ListChanges(directory_pb2.ListChangesRequest(page_size=2, page_token=token))
        found += page.changes
        if not (token := page.next_page_token):
            break
    assert {(each.resource, each.resource_id) for each in found} == {
        ("department", "trade"),
        ("department", "shop"),
        ("user", "sid"),
        ("user", "zoe"),
    }
    assert [each.after["title"] for each in found if each.resource_id == "sid" and each.fact == "updated"] == ["shop"]
    assert await refused(history.UndoChange(directory_pb2.UndoChangeRequest(config_seq=2))) is Code.PERMISSION_DENIED


@pytest.mark.feature("P-3")
async def test_keys_that_do_not_do_are_refused_by_field(doors: Doors) -> None:
    past = pb.CreateApiKeyRequest(display_name="x", role="admin")
    past.expires_at.FromDatetime(datetime.now(UTC) - timedelta(hours=1))
    nul = pb.CreateApiKeyRequest(display_name="a\0b", role="admin")
    for request in (pb.CreateApiKeyRequest(display_name="crm", role="operator"), pb.CreateApiKeyRequest(role="admin"), past, nul):
        assert await refused(doors.access.CreateApiKey(request)) is Code.INVALID_ARGUMENT
    for key in ("", "ck_", "ck_x_y", "rt_x", "ck_é"):
        assert await refused(doors.auth.ExchangeApiKey(pb.ExchangeApiKeyRequest(api_key=key))) is Code.UNAUTHENTICATED


@pytest.mark.feature("D-2", "P-3")
async def test_an_admin_whose_rights_are_narrowed_reaches_what_the_profile_says(doors: Doors, client: Client) -> None:
    operator = client(doors.port, "operator", doors.tenant)
    profile = directory_pb2.RightsProfile(
        id="helpdesk", rights=[directory_pb2.Right(resource="extension", level=directory_pb2.RIGHT_LEVEL_READ)]
    )
    await RightsProfileServiceStub(operator).CreateRightsProfile(directory_pb2.CreateRightsProfileRequest(rights_profile=profile))
    changed = directory_pb2.User(id="ann", role=directory_pb2.USER_ROLE_ADMIN, rights_profile_id="helpdesk")
    await UserServiceStub(operator).UpdateUser(directory_pb2.UpdateUserRequest(user=changed))
    own = doors.with_token((await doors.login()).tokens.access_token)
    assert await ExtensionServiceStub(own).ListExtensions(directory_pb2.ListExtensionsRequest()) is not None
    assert await refused(UserServiceStub(own).DeleteUser(directory_pb2.DeleteUserRequest(id="ann"))) is Code.PERMISSION_DENIED
    assert await refused(AccessServiceStub(own).SetPassword(pb.SetPasswordRequest(user_id="ann"))) is Code.PERMISSION_DENIED
    found = (await SearchServiceStub(own).Search(directory_pb2.SearchRequest(query="a"))).results
    assert {each.kind for each in found} <= {"extension"}


@pytest.mark.feature("D-2", "P-3")
async def test_nobody_whose_rights_are_narrowed_gets_or_gives_more(doors: Doors, client: Client) -> None:
    operator = client(doors.port, "operator", doors.tenant)
    write = directory_pb2.RIGHT_LEVEL_WRITE
    profile = directory_pb2.RightsProfile(id="most", rights=[directory_pb2.Right(resource="*", level=write)])
    everything = directory_pb2.ApplyTenantRequest(
        tenant=directory_pb2.Tenant(id=doors.tenant, realm=f"{doors.tenant}.example"),
        departments=[directory_pb2.Department(id="trade")],
        rights_profiles=[profile],
        users=[
            directory_pb2.User(id="ann", last_name="Archer", role=directory_pb2.USER_ROLE_ADMIN, department_id="trade"),
            directory_pb2.User(id="head", last_name="Head", role=directory_pb2.USER_ROLE_DEPARTMENT_ADMIN, department_id="trade"),
            directory_pb2.User(id="most", last_name="Most", role=directory_pb2.USER_ROLE_ADMIN, rights_profile_id="most"),
            directory_pb2.User(id="bob", last_name="Baker", department_id="trade"),
        ],
    )
    await ImportServiceStub(operator).ApplyTenant(everything)
    for own in ("head", "most"):
        await doors.access.SetPassword(pb.SetPasswordRequest(user_id=own, password=PASSWORD))
        link = doors.with_token((await doors.login(own)).tokens.access_token)
        users: Any = UserServiceStub(link)
        raising = [directory_pb2.User(id=name, role=directory_pb2.USER_ROLE_ADMIN) for name in ("bob", *(["head"] * (own == "head")))]
        taking = [directory_pb2.User(id="ann", email="mine@x.example"), directory_pb2.User(id="ann", last_name="Other")]
        widening = directory_pb2.UpdateUserRequest(user=directory_pb2.User(id=own), update_mask=FieldMask(paths=["rights_profile_id"]))
        other = directory_pb2.UpdateUserRequest(user=directory_pb2.User(id="bob", rights_profile_id="most"))
        changes = [*(directory_pb2.UpdateUserRequest(user=each) for each in (*raising, *taking)), other]
        for change in [*changes, widening] if own == "most" else changes:
            assert await refused(users.UpdateUser(change)) is Code.PERMISSION_DENIED
            packed = directory_pb2.ApplyBatchRequest()
            packed.requests.add().Pack(change)
            assert await refused(BatchServiceStub(link).ApplyBatch(packed)) is Code.PERMISSION_DENIED
        assert await refused(users.ResetLine(directory_pb2.ResetLineRequest(user_id="ann"))) is Code.PERMISSION_DENIED
        rewriting = directory_pb2.UpdateRightsProfileRequest(rights_profile=profile)
        rewriting.rights_profile.display_name = "Everything"
        assert await refused(RightsProfileServiceStub(link).UpdateRightsProfile(rewriting)) is Code.PERMISSION_DENIED
        assert (await users.ResetLine(directory_pb2.ResetLineRequest(user_id="bob"))).user.id == "bob"
        mine = directory_pb2.UpdateUserRequest(user=directory_pb2.User(id=own, title="Dr"))
        assert (await users.UpdateUser(mine)).user.title == "Dr"
    raised = directory_pb2.User(id="bob", last_name="Baker", department_id="trade", role=directory_pb2.USER_ROLE_ADMIN)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await ImportServiceStub(link).ApplyTenant(directory_pb2.ApplyTenantRequest(users=[raised]))
    assert error.value.code() is Code.PERMISSION_DENIED
    assert "role is not changed" in (error.value.details() or "")
    assert (await doors.login("ann")).tokens.access_token, "the password is what it was"


@pytest.mark.feature("P-3")
async def test_a_user_may_not_see_to_others_logins(doors: Doors) -> None:
    access = AccessServiceStub(doors.with_token((await doors.login()).tokens.access_token))
    assert await refused(access.SetPassword(pb.SetPasswordRequest(user_id="ann"))) is Code.PERMISSION_DENIED


async def ended(door: Any) -> bool:
    """Its token is refused, sooner or later (the deadline is generous)."""
    async with asyncio.timeout(30):
        while True:
            try:
                await door.WhoAmI(pb.WhoAmIRequest())
            except grpc.aio.AioRpcError as error:
                return error.code() is Code.UNAUTHENTICATED and error.details() == "the token was ended; log in again"


@pytest.mark.feature("P-3")
@pytest.mark.parametrize(
    "how", ["the user is deleted", "a new role", "a new department", "the login is removed", "a new password", "a stolen refresh token"]
)
async def test_an_access_token_ends_with_what_it_stands_for(doors: Doors, client: Client, settings: DirectorySettings, how: str) -> None:
    operator = client(doors.port, "operator", doors.tenant)
    users = UserServiceStub(operator)
    await DepartmentServiceStub(operator).CreateDepartment(
        directory_pb2.CreateDepartmentRequest(department=directory_pb2.Department(id="trade"))
    )
    await users.CreateUser(directory_pb2.CreateUserRequest(user=directory_pb2.User(id="bob", last_name="Baker", login="bob")))
    await doors.access.SetPassword(pb.SetPasswordRequest(user_id="bob", password=PASSWORD))
    tokens, bobs = (await doors.login()).tokens, (await doors.login("bob")).tokens
    own, bob = (AuthServiceStub(doors.with_token(each.access_token)) for each in (tokens, bobs))
    assert (await own.WhoAmI(pb.WhoAmIRequest())).subject == "user/ann"
    await users.UpdateUser(directory_pb2.UpdateUserRequest(user=directory_pb2.User(id="ann", title="Dr")))
    password = PASSWORD
    match how:
        case "the user is deleted":
            await users.DeleteUser(directory_pb2.DeleteUserRequest(id="ann"))
        case "a new role":
            raised = directory_pb2.User(id="ann", role=directory_pb2.USER_ROLE_ADMIN)
            await users.UpdateUser(directory_pb2.UpdateUserRequest(user=raised))
        case "a new department":
            moved = directory_pb2.User(id="ann", department_id="trade")
            await users.UpdateUser(directory_pb2.UpdateUserRequest(user=moved))
        case "the login is removed":
            await doors.access.RemoveLogin(pb.RemoveLoginRequest(user_id="ann"))
        case "a new password":
            password = "another long password"
            await own.ChangePassword(pb.ChangePasswordRequest(old_password=PASSWORD, new_password=password))
        case _:
            await doors.auth.Refresh(pb.RefreshRequest(refresh_token=tokens.refresh_token))
            await refused(doors.auth.Refresh(pb.RefreshRequest(refresh_token=tokens.refresh_token)))
    stays = how not in ("the user is deleted", "the login is removed")
    new = doors.with_token((await doors.login(password=password)).tokens.access_token) if stays else None
    assert await ended(own)
    assert (await bob.WhoAmI(pb.WhoAmIRequest())).subject == "user/bob", "others' tokens count on"
    if new is not None:
        roles = (await AuthServiceStub(new).WhoAmI(pb.WhoAmIRequest())).roles
        assert list(roles) == ["admin" if how == "a new role" else "user"], "who logged in at once has what is theirs now, and keeps it"
    async with running(settings) as port, channel(f"127.0.0.1:{port}", tokens.access_token) as other:
        assert await refused(AuthServiceStub(other).WhoAmI(pb.WhoAmIRequest())) is Code.UNAUTHENTICATED, "nor where one starts later"


@pytest.mark.feature("P-3")
async def test_a_key_s_tokens_end_with_it_and_count_no_longer_than_it(doors: Doors) -> None:
    asked = pb.CreateApiKeyRequest(display_name="crm", role="admin")
    asked.expires_at.FromDatetime(datetime.now(UTC) + timedelta(seconds=300))
    made = await doors.access.CreateApiKey(asked)
    tokens = (await doors.auth.ExchangeApiKey(pb.ExchangeApiKeyRequest(api_key=made.secret))).tokens
    assert tokens.access_token_expires_at.ToDatetime() <= made.api_key.expires_at.ToDatetime()
    own = AuthServiceStub(doors.with_token(tokens.access_token))
    assert (await own.WhoAmI(pb.WhoAmIRequest())).subject == f"key/{made.api_key.id}"
    await doors.access.RevokeApiKey(pb.RevokeApiKeyRequest(id=made.api_key.id))
    assert await ended(own)


@pytest.mark.feature("P-3")
async def test_a_deleted_user_is_out(doors: Doors, client: Callable[..., grpc.aio.Channel]) -> None:
    tokens = (await doors.login()).tokens
    users = UserServiceStub(client(doors.port, "operator", doors.tenant))
    await users.DeleteUser(directory_pb2.DeleteUserRequest(id="ann"))
    assert await refused(doors.login()) is Code.UNAUTHENTICATED
    assert await refused(doors.auth.Refresh(pb.RefreshRequest(refresh_token=tokens.refresh_token))) is Code.UNAUTHENTICATED
    # Whoever comes later under the same id inherits nothing.
    await users.CreateUser(directory_pb2.CreateUserRequest(user=directory_pb2.User(id="ann", last_name="Other", login="ann")))
    assert await refused(doors.login()) is Code.UNAUTHENTICATED
    assert await refused(doors.auth.Refresh(pb.RefreshRequest(refresh_token=tokens.refresh_token))) is Code.UNAUTHENTICATED
    assert await refused(doors.access.GetLogin(pb.GetLoginRequest(user_id="ann"))) is Code.NOT_FOUND


@pytest.mark.feature("P-3")
@pytest.mark.parametrize("how", ["the login is removed", "the user is deleted"])
async def test_a_code_in_a_letter_ends_with_the_login_and_with_the_user(doors: Doors, client: Client, nats_url: str, how: str) -> None:
    users = UserServiceStub(client(doors.port, "operator", doors.tenant))
    await users.UpdateUser(directory_pb2.UpdateUserRequest(user=directory_pb2.User(id="ann", email="ann@x.example")))
    await doors.auth.ForgotPassword(pb.ForgotPasswordRequest(login=f"ann@{doors.tenant}.example"))
    code = code_in(await anext(letters_of(nats_url, doors.tenant)))
    if how == "the login is removed":
        await doors.access.RemoveLogin(pb.RemoveLoginRequest(user_id="ann"))
    else:
        await users.DeleteUser(directory_pb2.DeleteUserRequest(id="ann"))
        await users.CreateUser(directory_pb2.CreateUserRequest(user=directory_pb2.User(id="ann", last_name="Other")))
    late = pb.ChoosePasswordRequest(code=code, password="the former holder's")
    assert await refused(doors.auth.ChoosePassword(late)) is Code.UNAUTHENTICATED


@pytest.mark.feature("D-18", "D-23")
async def test_an_old_etag_hands_no_line_over(doors: Doors, client: Client) -> None:
    operator = client(doors.port, "operator", doors.tenant)
    users, credentials = UserServiceStub(operator), SipCredentialServiceStub(operator)
    line = directory_pb2.SipCredential(id=f"{doors.tenant}-line", user_id="ann")
    old = (await credentials.CreateSipCredential(directory_pb2.CreateSipCredentialRequest(sip_credential=line))).sip_credential.etag
    before = (await users.GetUser(directory_pb2.GetUserRequest(id="ann"))).user.etag
    await users.UpdateUser(directory_pb2.UpdateUserRequest(user=directory_pb2.User(id="ann", title="Dr")))
    assert await refused(users.ResetLine(directory_pb2.ResetLineRequest(user_id="ann", etag=before))) is Code.ABORTED
    assert (await doors.login()).tokens.access_token, "the password is what it was"
    now = (await users.GetUser(directory_pb2.GetUserRequest(id="ann"))).user.etag
    assert (await users.ResetLine(directory_pb2.ResetLineRequest(user_id="ann", etag=now))).password
    for stale in (
        credentials.LogInPhone(directory_pb2.LogInPhoneRequest(sip_credential_id=line.id, user_id="ann", etag=old)),
        credentials.LogOutPhone(directory_pb2.LogOutPhoneRequest(sip_credential_id=line.id, etag=old)),
    ):
        assert await refused(stale) is Code.ABORTED


async def letters_of(nats_url: str, tenant: str) -> AsyncIterator[LetterRequested]:
    async with await Bus.connect(nats_url, "reader") as bus, asyncio.timeout(30):
        async for message in bus.follow(LETTERS.name, f"carillon._operator.letter.{tenant}.>"):
            yield LetterRequested.model_validate(Event.from_json(message.data).data)


def code_in(letter: LetterRequested) -> str:
    found = re.search(r"[0-9a-f]{4}(-[0-9a-f]{4}){7}", letter.text)
    assert found is not None
    return found[0]


@pytest.mark.feature("D-19", "P-3")
async def test_a_new_user_gets_a_letter_and_chooses_a_password_once(
    doors: Doors, client: Callable[..., grpc.aio.Channel], nats_url: str
) -> None:
    users = UserServiceStub(client(doors.port, "operator", doors.tenant))
    user = directory_pb2.User(id="noel", last_name="Noël", email="noel@x.example", language="fr")
    await users.CreateUser(directory_pb2.CreateUserRequest(user=user))
    assert (await doors.access.SendWelcome(pb.SendWelcomeRequest(user_id="noel"))).email == "noel@x.example"
    letter = await anext(letters_of(nats_url, doors.tenant))
    assert letter.to == ("noel@x.example",)
    assert letter.text.startswith("Bonjour Noël,")
    assert f"@{doors.tenant}.example" in letter.text
    code = code_in(letter)
    weak = pb.ChoosePasswordRequest(code=code, password="short")
    assert await refused(doors.auth.ChoosePassword(weak)) is Code.INVALID_ARGUMENT
    chosen = await doors.auth.ChoosePassword(pb.ChoosePasswordRequest(code=code.upper(), password="a long enough one"))
    assert (
        await refused(doors.auth.ChoosePassword(pb.ChoosePasswordRequest(code=code, password="another long one"))) is Code.UNAUTHENTICATED
    )
    login = pb.LoginRequest(login=chosen.login, password="a long enough one")
    assert (await doors.auth.Login(login)).tokens.access_token
    assert await refused(doors.access.SendWelcome(pb.SendWelcomeRequest(user_id="ann"))) is Code.FAILED_PRECONDITION, "no address"


@pytest.mark.feature("D-19")
async def test_the_letter_names_the_tenants_own_code_of_the_mailbox_or_none(
    doors: Doors, client: Callable[..., grpc.aio.Channel], nats_url: str
) -> None:
    operator = client(doors.port, "operator", doors.tenant)
    await MailboxServiceStub(operator).CreateMailbox(directory_pb2.CreateMailboxRequest(mailbox=directory_pb2.Mailbox(id="anns")))
    mine = directory_pb2.User(id="ann", email="ann@x.example", mailbox_id="anns", language="en")
    await UserServiceStub(operator).UpdateUser(directory_pb2.UpdateUserRequest(user=mine))
    letters = letters_of(nats_url, doors.tenant)
    for code, line in (("*123", "Mailbox: dial: *123"), ("", "")):
        voicemail = directory_pb2.FeatureCode(feature=directory_pb2.FEATURE_VOICEMAIL, code=code)
        tenant = directory_pb2.Tenant(id=doors.tenant, feature_codes=[voicemail])
        await TenantServiceStub(operator).UpdateTenant(directory_pb2.UpdateTenantRequest(tenant=tenant))
        await doors.access.SendWelcome(pb.SendWelcomeRequest(user_id="ann"))
        text = (await anext(letters)).text
        assert [each for each in text.splitlines() if each.startswith("Mailbox")] == ([line] if line else [])


@pytest.mark.feature("P-3")
async def test_who_forgot_a_password_is_sent_a_code_and_nothing_is_told(
    doors: Doors, client: Callable[..., grpc.aio.Channel], nats_url: str
) -> None:
    users = UserServiceStub(client(doors.port, "operator", doors.tenant))
    await users.UpdateUser(directory_pb2.UpdateUserRequest(user=directory_pb2.User(id="ann", email="ann@x.example")))
    for login in ("nobody@nowhere.example", f"nobody@{doors.tenant}.example", f"ann@{doors.tenant}.example"):
        await doors.auth.ForgotPassword(pb.ForgotPasswordRequest(login=login))
    code = code_in(await anext(letters_of(nats_url, doors.tenant)))
    await doors.auth.ChoosePassword(pb.ChoosePasswordRequest(code=code, password="a brand new password"))
    assert await refused(doors.login()) is Code.UNAUTHENTICATED
    assert (await doors.login(password="a brand new password")).tokens.access_token


@pytest.mark.feature("D-18", "P-3")
@pytest.mark.parametrize("how", ["reset", "reset without a login", "set"])
async def test_a_code_in_a_letter_is_good_no_more_when_the_line_or_the_password_is_new(
    doors: Doors, client: Client, nats_url: str, how: str
) -> None:
    users = UserServiceStub(client(doors.port, "operator", doors.tenant))
    await users.UpdateUser(directory_pb2.UpdateUserRequest(user=directory_pb2.User(id="ann", email="ann@x.example")))
    if how == "reset without a login":
        await doors.access.RemoveLogin(pb.RemoveLoginRequest(user_id="ann"))
    await doors.access.SendWelcome(pb.SendWelcomeRequest(user_id="ann"))
    code = code_in(await anext(letters_of(nats_url, doors.tenant)))
    if how == "set":
        await doors.access.SetPassword(pb.SetPasswordRequest(user_id="ann", password="a brand new password"))
    else:
        await users.ResetLine(directory_pb2.ResetLineRequest(user_id="ann"))
    late = pb.ChoosePasswordRequest(code=code, password="the former holder's")
    assert await refused(doors.auth.ChoosePassword(late)) is Code.UNAUTHENTICATED


@pytest.mark.feature("P-3")
async def test_wrong_tries_and_refused_calls_are_audited(doors: Doors, nats_url: str) -> None:
    await refused(doors.login(password="wrong"))
    access = AccessServiceStub(doors.with_token((await doors.login()).tokens.access_token))
    await refused(access.SetPassword(pb.SetPasswordRequest(user_id="ann")))
    found: dict[str, Event] = {}
    async with await Bus.connect(nats_url, "auditor") as bus, asyncio.timeout(30):
        async for message in bus.follow(AUDIT.name, f"carillon.{doors.tenant}.audit.>"):
            event = Event.from_json(message.data)
            found[event.type] = event
            if {"carillon.audit.login_failed.v1", "carillon.audit.request_refused.v1", "carillon.audit.access_changed.v1"} <= set(found):
                break
    assert found["carillon.audit.login_failed.v1"].data["login"] == f"ann@{doors.tenant}.example"
    told = found["carillon.audit.request_refused.v1"].data
    assert (told["rpc"], told["reason"], told["by"]) == ("carillon.directory.v1.AccessService/SetPassword", "permission_denied", "user/ann")
    assert PASSWORD not in "".join(str(event.data) for event in found.values())


@pytest.mark.feature("D-18")
async def test_a_reset_line_has_a_new_password_and_new_pins_where_it_had_some(doors: Doors, client: Client, port: int) -> None:
    users = UserServiceStub(client(port, "operator", doors.tenant))
    mine = directory_pb2.User(id="ann", outbound_pin="4711", mobile="+41795550901")
    await users.UpdateUser(directory_pb2.UpdateUserRequest(user=mine))
    reset = await users.ResetLine(directory_pb2.ResetLineRequest(user_id="ann"))
    assert (reset.login, reset.phone_pin) == (f"archer@{doors.tenant}.example", "")
    assert re.fullmatch("[0-9]{6}", reset.outbound_pin)
    with pytest.raises(grpc.aio.AioRpcError):
        await doors.login("archer")
    assert await doors.login("archer", reset.password)
    await users.CreateUser(directory_pb2.CreateUserRequest(user=directory_pb2.User(id="bob", last_name="Baker")))
    other = await users.ResetLine(directory_pb2.ResetLineRequest(user_id="bob"))
    assert (other.login, other.password, other.outbound_pin) == ("", "", "")
