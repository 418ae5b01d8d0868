"""The services of auth.proto: who somebody is, and who may log in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.directory.v1 import auth_pb2 as pb
from carillon.directory.v1.auth_pb2_grpc import (
    AccessServiceServicer,
    AuthServiceServicer,
    add_AccessServiceServicer_to_server,
    add_AuthServiceServicer_to_server,
)
from carillon_contracts.inherited import below
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.access import Access
from carillon_directory.adapters.postgres_logins import StoredKey, StoredLogin
from carillon_directory.adapters.postgres_resellers import PostgresResellers
from carillon_directory.adapters.token_keys import SigningKey, TokenKeys
from carillon_directory.authentication import Authentication, Tokens
from carillon_directory.domain.bounds import Reach
from carillon_directory.domain.commands import Asked
from carillon_directory.grpc_common import bounds_of, check_not_visiting, position_of
from carillon_directory.invitations import Invitations
from carillon_directory.people import Person
from carillon_directory.whole_tenant import current_whole_tenant
from carillon_kit import pages
from carillon_kit.auth import ADMIN, ANYONE, DEPARTMENT_ADMIN, OPERATOR, Principal, Role
from carillon_kit.errors import InvalidArgument, PermissionDenied
from carillon_kit.grpc_server import GrpcServer, current_principal

_PACKAGE = "carillon.directory.v1"
_LONGEST = 512
_PERSONS = frozenset(map(str, Role))
_ADMINS = frozenset({str(OPERATOR), str(ADMIN)})
_SCOPED = _ADMINS | {str(DEPARTMENT_ADMIN)}
#: What a department's admin does for its people.
_CARING = ("SendWelcome", "UnlockLogin", "GetLogin", "ListLogins")
_OPEN = ("Login", "Refresh", "Logout", "ExchangeApiKey", "ForgotPassword", "ChoosePassword", "ListPublicKeys")
_OWN = ("WhoAmI", "ChangePassword", "BeginSecondFactor", "ConfirmSecondFactor")


@dataclass(frozen=True, slots=True)
class Logins:
    """What the two services do."""

    authentication: Authentication
    invitations: Invitations
    access: Access


def add_services(server: GrpcServer, logins: Logins, keys: TokenKeys, resellers: PostgresResellers) -> None:
    """Both services with their rights."""
    rights = dict.fromkeys(_OPEN, ANYONE) | dict.fromkeys(_OWN, _PERSONS)
    server.add(add_AuthServiceServicer_to_server, AuthApi(logins, keys), f"{_PACKAGE}.AuthService", rights)
    access = pb.DESCRIPTOR.services_by_name["AccessService"]
    rights = {method.name: _SCOPED if method.name in _CARING else _ADMINS for method in access.methods}
    server.add(add_AccessServiceServicer_to_server, AccessApi(logins, resellers), access.full_name, rights)


class AuthApi(AuthServiceServicer):
    """See auth.proto."""

    def __init__(self, logins: Logins, keys: TokenKeys) -> None:
        self._authentication = logins.authentication
        self._invitations = logins.invitations
        self._keys = keys

    async def Login(self, request: pb.LoginRequest, context: object) -> pb.LoginResponse:
        """See auth.proto."""
        _check_lengths(login=request.login, password=request.password, code=request.code)
        tokens = await self._authentication.log_in(request.login, request.password, request.code, _source(context))
        return pb.LoginResponse(second_factor_needed=True) if tokens is None else pb.LoginResponse(tokens=_tokens(tokens))

    async def Refresh(self, request: pb.RefreshRequest, context: object) -> pb.RefreshResponse:
        """See auth.proto."""
        _check_lengths(refresh_token=request.refresh_token)
        return pb.RefreshResponse(tokens=_tokens(await self._authentication.refresh(request.refresh_token, _source(context))))

    async def Logout(self, request: pb.LogoutRequest, context: object) -> pb.LogoutResponse:
        """See auth.proto."""
        _check_lengths(refresh_token=request.refresh_token)
        await self._authentication.log_out(request.refresh_token)
        return pb.LogoutResponse()

    async def ExchangeApiKey(self, request: pb.ExchangeApiKeyRequest, context: object) -> pb.ExchangeApiKeyResponse:
        """See auth.proto."""
        _check_lengths(api_key=request.api_key)
        return pb.ExchangeApiKeyResponse(tokens=_tokens(await self._authentication.exchange(request.api_key)))

    async def ForgotPassword(self, request: pb.ForgotPasswordRequest, context: object) -> pb.ForgotPasswordResponse:
        """See auth.proto."""
        _check_lengths(login=request.login)
        await self._invitations.forgot_password(request.login)
        return pb.ForgotPasswordResponse()

    async def ChoosePassword(self, request: pb.ChoosePasswordRequest, context: object) -> pb.ChoosePasswordResponse:
        """See auth.proto."""
        _check_lengths(code=request.code, password=request.password)
        return pb.ChoosePasswordResponse(login=await self._invitations.choose_password(request.code, request.password))

    async def ListPublicKeys(self, request: pb.ListPublicKeysRequest, context: object) -> pb.ListPublicKeysResponse:
        """See auth.proto."""
        return pb.ListPublicKeysResponse(jwks=orjson.dumps({"keys": [_jwk(key) for key in self._keys.keys]}).decode())

    async def WhoAmI(self, request: pb.WhoAmIRequest, context: object) -> pb.WhoAmIResponse:
        """See auth.proto."""
        principal = current_principal()
        return pb.WhoAmIResponse(subject=principal.subject, tenant_id=principal.tenant or "", roles=sorted(principal.roles))

    async def ChangePassword(self, request: pb.ChangePasswordRequest, context: object) -> pb.ChangePasswordResponse:
        """See auth.proto."""
        _check_lengths(old_password=request.old_password, new_password=request.new_password)
        tenant, user_id = _myself(current_principal())
        await self._authentication.change_password(tenant, user_id, request.old_password, request.new_password, _source(context))
        return pb.ChangePasswordResponse()

    async def BeginSecondFactor(self, request: pb.BeginSecondFactorRequest, context: object) -> pb.BeginSecondFactorResponse:
        """See auth.proto."""
        _check_lengths(password=request.password)
        secret, uri = await self._authentication.begin_second_factor(*_myself(current_principal()), request.password, _source(context))
        return pb.BeginSecondFactorResponse(secret=secret, uri=uri)

    async def ConfirmSecondFactor(self, request: pb.ConfirmSecondFactorRequest, context: object) -> pb.ConfirmSecondFactorResponse:
        """See auth.proto."""
        _check_lengths(code=request.code)
        codes = await self._authentication.confirm_second_factor(*_myself(current_principal()), request.code)
        return pb.ConfirmSecondFactorResponse(recovery_codes=codes)


class AccessApi(AccessServiceServicer):
    """See auth.proto. The tenant is the caller's; an operator who names none means the operator's own people."""

    def __init__(self, logins: Logins, resellers: PostgresResellers) -> None:
        self._access = logins.access
        self._invitations = logins.invitations
        self._resellers = resellers

    async def SetPassword(self, request: pb.SetPasswordRequest, context: object) -> pb.SetPasswordResponse:
        """See auth.proto."""
        _check_user(request.user_id)
        _check_lengths(password=request.password)
        check_not_visiting()
        login, made = await self._access.set_password(_tenant(), request.user_id, request.password, _by())
        return pb.SetPasswordResponse(login=login, password=made)

    async def SendWelcome(self, request: pb.SendWelcomeRequest, context: object) -> pb.SendWelcomeResponse:
        """See auth.proto."""
        tenant = await self._caring(request.user_id)
        return pb.SendWelcomeResponse(email=await self._invitations.welcome(tenant, request.user_id, _by()))

    async def RemoveLogin(self, request: pb.RemoveLoginRequest, context: object) -> pb.RemoveLoginResponse:
        """See auth.proto."""
        _check_user(request.user_id)
        await self._access.remove_login(_tenant(), request.user_id, _by())
        return pb.RemoveLoginResponse()

    async def RemoveSecondFactor(self, request: pb.RemoveSecondFactorRequest, context: object) -> pb.RemoveSecondFactorResponse:
        """See auth.proto."""
        _check_user(request.user_id)
        await self._access.remove_second_factor(_tenant(), request.user_id, _by())
        return pb.RemoveSecondFactorResponse()

    async def UnlockLogin(self, request: pb.UnlockLoginRequest, context: object) -> pb.UnlockLoginResponse:
        """See auth.proto."""
        await self._access.unlock(await self._caring(request.user_id), request.user_id, _by())
        return pb.UnlockLoginResponse()

    async def GetLogin(self, request: pb.GetLoginRequest, context: object) -> pb.GetLoginResponse:
        """See auth.proto."""
        person, stored = await self._access.login(await self._caring(request.user_id), request.user_id)
        return pb.GetLoginResponse(
            login=person.login,
            second_factor=stored.totp_confirmed,
            failures=stored.tries.failures,
            locked_until=_stamp(stored.tries.locked_until),
            last_login_at=_stamp(stored.last_login_at),
        )

    async def ListLogins(self, request: pb.ListLoginsRequest, context: object) -> pb.ListLoginsResponse:
        """See auth.proto."""
        tenant, bounds = _tenant(), bounds_of(current_principal())
        _check_lengths(role=request.role, department_id=request.department_id)
        if request.role not in ("", *_PERSONS):
            raise InvalidArgument({"role": f"must be one of {', '.join(sorted(_PERSONS))}"})
        after = position_of(request.page_token, {"after": str}).get("after", "")
        size = pages.page_size(request.page_size)

        def choose(config: TenantConfig) -> Callable[[Person], bool]:
            reach = Reach.of(config, bounds)
            departments = below(config, request.department_id) if request.with_below else {request.department_id}

            def wanted(person: Person) -> bool:
                user = config.users.get(person.user_id)
                of_department = not request.department_id or person.department in departments
                return request.role in ("", *person.roles) and of_department and (user is None or reach.covers(user))

            return wanted

        found = await self._access.logins(tenant, choose, request.locked, after, size + 1)
        token = pages.encode_token({"after": found[size - 1][1].user_id}) if len(found) > size else ""
        return pb.ListLoginsResponse(logins=[_login(*each) for each in found[:size]], next_page_token=token)

    async def _caring(self, user_id: str) -> str:
        """The tenant of a user whose login the caller sees to; raises what `check_cares` raises."""
        _check_user(user_id)
        principal, tenant = current_principal(), _tenant()
        await self._access.check_cares(tenant, user_id, Asked(actor=principal.subject, bounds=bounds_of(principal)))
        return tenant

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: object) -> pb.CreateApiKeyResponse:
        """See auth.proto."""
        check_not_visiting()
        try:
            expires = request.expires_at.ToDatetime(UTC) if request.HasField("expires_at") else None
        except (ValueError, OverflowError) as error:
            raise InvalidArgument({"expires_at": "is not a moment of the years 1 to 9999"}) from error
        if request.reseller_id and request.reseller_id not in await self._resellers.all():
            raise InvalidArgument({"reseller_id": f"no reseller {request.reseller_id[:64]!r}"})
        within = (request.reseller_id, request.department_id, request.rights_profile_id)
        asked = (_tenant(), request.display_name, request.role, expires, _by(), *within)
        stored, secret = await self._access.create_key(*asked)
        return pb.CreateApiKeyResponse(api_key=_key(stored), secret=secret)

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: object) -> pb.ListApiKeysResponse:
        """See auth.proto."""
        after = position_of(request.page_token, {"after": str}).get("after", "")
        size = pages.page_size(request.page_size)
        found: Sequence[StoredKey] = await self._access.list_keys(_tenant(), after, size + 1)
        token = pages.encode_token({"after": found[size - 1].id}) if len(found) > size else ""
        return pb.ListApiKeysResponse(api_keys=[_key(each) for each in found[:size]], next_page_token=token)

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, context: object) -> pb.RevokeApiKeyResponse:
        """See auth.proto."""
        _check_lengths(id=request.id)
        await self._access.revoke_key(_tenant(), request.id, _by())
        return pb.RevokeApiKeyResponse()


def _tenant() -> str:
    """The caller's tenant; empty for an operator who names none."""
    principal = current_principal()
    try:
        return current_whole_tenant()
    except InvalidArgument:
        if str(OPERATOR) not in principal.roles:
            raise
        return ""


def _by() -> str:
    return current_principal().subject


def _myself(principal: Principal) -> tuple[str, str]:
    """Tenant and user id of a person's token."""
    kind, _, user_id = principal.subject.partition("/")
    if kind != "user" or not user_id:
        raise PermissionDenied("the token is no person's")
    return principal.tenant or "", user_id


def _check_user(user_id: str) -> None:
    if not 1 <= len(user_id) <= 64 or not user_id.isprintable():
        raise InvalidArgument({"user_id": "must be the id of a user"})


def _check_lengths(**fields: str) -> None:
    violations = {
        name: f"at most {_LONGEST} characters, no NUL" for name, value in fields.items() if len(value) > _LONGEST or "\0" in value
    }
    if violations:
        raise InvalidArgument(violations)


def _source(context: object) -> str:
    """Address of the caller, without its port."""
    kind, _, rest = str(getattr(context, "peer", str)()).partition(":")
    return rest.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else kind


def _tokens(tokens: Tokens) -> pb.Tokens:
    return pb.Tokens(
        access_token=tokens.access,
        access_token_expires_at=_stamp(tokens.access_expires_at),
        refresh_token=tokens.refresh,
        refresh_token_expires_at=_stamp(tokens.refresh_expires_at),
    )


def _key(stored: StoredKey) -> pb.ApiKey:
    return pb.ApiKey(
        id=stored.id,
        display_name=stored.display_name,
        role=stored.role,
        reseller_id=stored.reseller,
        department_id=stored.department,
        rights_profile_id=stored.rights_profile,
        created_by=stored.created_by,
        created_at=_stamp(stored.created_at),
        expires_at=_stamp(stored.expires_at),
        last_used_at=_stamp(stored.last_used_at),
    )


def _login(person: Person, stored: StoredLogin) -> pb.LoginState:
    return pb.LoginState(
        user_id=person.user_id,
        login=person.login,
        role=person.roles[0],
        department_id=person.department,
        rights_profile_id=person.rights_profile,
        second_factor=stored.totp_confirmed,
        failures=stored.tries.failures,
        locked_until=_stamp(stored.tries.locked_until),
        last_login_at=_stamp(stored.last_login_at),
    )


def _jwk(key: SigningKey) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.kid, "x": key.x}


def _stamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
