"""Logging in, second factors, tokens and systems' keys: load, decide, keep.

Always: a refusal says nothing of what was wrong and takes the same work; what was kept under a lock decides, not what was read before;
a refresh token is good once, and its second use ends the whole login.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from carillon_contracts import audit
from carillon_contracts.config import Department, RightsProfile, User
from carillon_contracts.config.features import codes_of
from carillon_contracts.envelope import Event, EventData
from carillon_contracts.letter import LetterRequested
from carillon_contracts.streams import AUDIT, letter_subject
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.adapters.postgres_logins import PostgresLogins, StoredKey, StoredLogin
from carillon_directory.adapters.token_keys import TokenKeys
from carillon_directory.domain import logins
from carillon_directory.domain import welcome as letters
from carillon_directory.domain.bounds import Reach, cares_for
from carillon_directory.domain.commands import Asked
from carillon_directory.domain.logins import Login
from carillon_directory.domain.outcomes import Refused
from carillon_directory.domain.texts import text_error
from carillon_directory.handlers import Directory
from carillon_directory.passwords import Passwords
from carillon_directory.ports import Audit, Realms
from carillon_kit.auth import ADMIN, DEPARTMENT_ADMIN, OPERATOR, RESELLER, Principal, sign_token
from carillon_kit.clock import Clock
from carillon_kit.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Unauthenticated
from carillon_kit.ids import Ids
from carillon_kit.sealing import Sealer

#: Purpose of the seals of authenticators' secrets.
SECOND_FACTORS = "second factors"
_WRONG = "the login, the password or the code is wrong, or the login is locked"
_TOTP_BYTES, _SECRET_BYTES, _PASSWORD_BYTES, _RECOVERY_BYTES, _CODE_BYTES = 20, 32, 12, 10, 16
_REFRESH, _KEY = "rt_", "ck_"
#: Logins that are read at a time.
_SOME = 500


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long tokens count."""

    access: timedelta = timedelta(minutes=10)
    refresh: timedelta = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login, a refresh or a key gives; a system gets no refresh token."""

    access: str = field(repr=False)
    access_expires_at: datetime
    refresh: str = field(default="", repr=False)
    refresh_expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """A user, or (without a tenant) one of the operator's people."""

    tenant: str
    user_id: str
    login: str
    roles: Sequence[str]
    #: Of a department's admin, and of whom an admin's rights are narrowed.
    department: str = ""
    rights_profile: str = ""

    @property
    def subject(self) -> str:
        """As tokens name it."""
        return f"user/{self.user_id}"


#: By a tenant's configuration: whose logins are wanted.
Choose = Callable[[TenantConfig], Callable[[Person], bool]]


def _person_in(config: TenantConfig, user_id: str) -> Person | None:
    """A user; with the configuration of no tenant one of the operator's people."""
    if not config.tenant_id:
        return Person("", user_id, user_id, [str(OPERATOR)])
    user = config.users.get(user_id)
    if user is None:
        return None
    login = f"{user.login or user.id}@{config.tenant.realm}"
    return Person(config.tenant_id, user_id, login, [user.role], user.department_id, user.rights_profile_id)


class Authentication:
    """What the two services of auth.proto do."""

    def __init__(
        self,
        directory: Directory,
        store: PostgresLogins,
        realms: Realms,
        passwords: Passwords,
        keys: TokenKeys,
        sealer: Sealer,
        trail: Audit,
        clock: Clock,
        ids: Ids,
        lifetimes: Lifetimes,
        console_url: str = "",
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._console_url = console_url
        self._wake = wake
        self._directory = directory
        self._store = store
        self._realms = realms
        self._passwords = passwords
        self._keys = keys
        self._sealer = sealer
        self._trail = trail
        self._clock = clock
        self._ids = ids
        self._lifetimes = lifetimes

    # -- logging in ----------------------------------------------------------------------------------------------------

    async def log_in(self, login: str, password: str, code: str, source: str) -> Tokens | None:
        """Tokens; None: the password is right and a code is needed. Raises `Unauthenticated`."""
        issued = await self._store.now()
        person = await self._person_of(login)
        stored = await self._store.get(person.tenant, person.user_id) if person is not None else None
        right = await self._passwords.matches(password, stored.password_hash if stored is not None else None)
        if person is None or stored is None:
            raise self._failed(login, "", source)
        if right and stored.totp_confirmed and not code and not stored.tries.locked(self._clock.now()):
            return None
        now = self._clock.now()
        if not right or not await self._store.let_in(person.tenant, person.user_id, now, lambda row: self._code_passes(row, code, now)):
            await self._count_failure(person, source)
            raise self._failed(login, person.tenant, source)
        return await self._tokens(person, self._ids.uuid7(), issued)

    def _code_passes(self, row: StoredLogin, code: str, now: datetime) -> tuple[int, list[str]] | None:
        if not row.totp_confirmed:
            return row.totp_step, list(row.recovery_hashes)
        step = logins.step_of(self._totp_secret(row), code, now, row.totp_step)
        if step is not None:
            return step, list(row.recovery_hashes)
        left = logins.without_recovery(row.recovery_hashes, code)
        return None if left is None else (row.totp_step, left)

    async def _count_failure(self, person: Person, source: str) -> None:
        now = self._clock.now()
        before = logins.Tries()

        def one_more(tries: logins.Tries) -> logins.Tries:
            nonlocal before
            before = tries
            return tries if tries.locked(now) else tries.failed(now)

        after = await self._store.change_tries(person.tenant, person.user_id, one_more)
        if after is not None and after.locked_until is not None and after.locks > before.locks:
            self._tell(person.tenant, audit.LoginLocked(login=person.login, until=after.locked_until, source=source), person.login)

    def _failed(self, login: str, tenant: str, source: str) -> Unauthenticated:
        shown = login[:100]
        self._tell(tenant, audit.LoginFailed(login=shown, source=source), shown)
        return Unauthenticated(_WRONG)

    async def refresh(self, token: str, source: str) -> Tokens:
        """New tokens for a refresh token. Raises `Unauthenticated`."""
        issued = await self._store.now()
        taken = await self._store.take_refresh(_digest(token), self._clock.now())
        if taken is None:
            raise Unauthenticated("the refresh token does not count (any more); log in again")
        person = await self._person(taken.tenant, taken.user_id)
        if taken.reused:
            login = person.login if person is not None else taken.user_id
            self._tell(taken.tenant, audit.LoginReused(login=login, source=source), login)
            raise Unauthenticated("the refresh token was used before; log in again")
        if person is None:
            await self._store.end_family(taken.family)
            raise Unauthenticated("the user does not exist any more")
        return await self._tokens(person, taken.family, issued)

    async def log_out(self, token: str) -> None:
        """End the login of a refresh token; one that does not count changes nothing."""
        taken = await self._store.take_refresh(_digest(token), self._clock.now())
        if taken is not None:
            await self._store.end_family(taken.family)

    async def exchange(self, api_key: str) -> Tokens:
        """A token for a system's key, which counts no longer than the key. Raises `Unauthenticated`."""
        issued = await self._store.now()
        key_id, _, secret = api_key.removeprefix(_KEY).partition("_")
        now = self._clock.now()
        stored = await self._store.use_key(key_id, now) if api_key.startswith(_KEY) else None
        if stored is None or not hmac.compare_digest(stored.hash, _digest(secret)) or (stored.expires_at and stored.expires_at <= now):
            raise Unauthenticated("the key does not count")
        if stored.tenant and isinstance(await self._directory.read(stored.tenant), Refused):
            raise Unauthenticated("the key does not count")
        within = (stored.department, stored.rights_profile, stored.reseller)
        return self._access(issued, f"key/{stored.id}", stored.tenant, [stored.role], *within, until=stored.expires_at)

    async def enter(self, tenant: str, seller: Principal, reason: str) -> Tokens:
        """An admin's token in a tenant, in the name of the reseller's; there is no other way in than this, and it is told for sure."""
        if wrong := text_error(reason):
            raise InvalidArgument({"reason": wrong})
        issued = await self._store.now()
        subject = f"reseller/{seller.reseller}/{seller.subject}"
        event = audit.TenantEntered(reseller_id=seller.reseller, by=seller.subject, reason=reason)
        now, event_id = self._clock.now(), self._ids.uuid7()
        about = f"tenant/{tenant}"
        told = audit.audit_event(event, tenant, event_id=event_id, source="carillon/directory", about=about, at=now)
        await self._store.tell(AUDIT.name, (event_id, *told))
        self._wake()
        return self._access(issued, subject, tenant, [str(ADMIN)], reseller=seller.reseller)

    async def _tokens(self, person: Person, family: UUID, issued: datetime) -> Tokens:
        access = self._access(issued, person.subject, person.tenant, person.roles, person.department, person.rights_profile)
        refresh = _REFRESH + self._ids.token(_SECRET_BYTES)
        expires = self._clock.now() + self._lifetimes.refresh
        await self._store.new_refresh(_digest(refresh), family, person.tenant, person.user_id, expires)
        return Tokens(access.access, access.access_expires_at, refresh, expires)

    def _access(
        self,
        issued: datetime,
        subject: str,
        tenant: str,
        roles: Sequence[str],
        department: str = "",
        rights_profile: str = "",
        reseller: str = "",
        until: datetime | None = None,
    ) -> Tokens:
        """`issued`: before all that it says was read, so that whatever changes it meanwhile ends it too."""
        expires = min(self._clock.now() + self._lifetimes.access, until or datetime.max.replace(tzinfo=UTC)).replace(microsecond=0)
        key = self._keys.signing()
        within = {"department": department, "rights_profile": rights_profile, "reseller": reseller}
        token = sign_token(key.private, key.kid, subject, tenant or None, roles, issued, expires, **within)
        return Tokens(token, expires)

    # -- one's own login -----------------------------------------------------------------------------------------------

    async def change_password(self, tenant: str, user_id: str, old: str, new: str, source: str) -> None:
        """Raises `Unauthenticated` when the old one is wrong, `InvalidArgument` when the new one does not do."""
        person, _ = await self._proven(tenant, user_id, old, source)
        _check_password("new_password", new, person)
        await self._store.set_password(tenant, user_id, await self._passwords.hash(new))
        self._changed(tenant, "password_set", user_id, person.subject)

    async def begin_second_factor(self, tenant: str, user_id: str, password: str, source: str) -> tuple[str, str]:
        """A new secret in base 32, and its URI. Raises `Unauthenticated`."""
        person, stored = await self._proven(tenant, user_id, password, source)
        if stored.totp_confirmed:
            raise FailedPrecondition([("STATE", f"user/{user_id}", "has a second factor; an admin can remove it")])
        secret = bytes.fromhex(self._ids.token(_TOTP_BYTES))
        await self._store.begin_second_factor(tenant, user_id, self._sealer.seal(secret.hex(), tenant, user_id))
        return logins.base32(secret), logins.authenticator_uri(secret, person.login)

    async def confirm_second_factor(self, tenant: str, user_id: str, code: str) -> list[str]:
        """Recovery codes. Raises `InvalidArgument` when the code is none of the secret's."""
        stored = await self._store.get(tenant, user_id)
        if stored is None or not stored.totp_sealed or stored.totp_confirmed:
            raise FailedPrecondition([("STATE", f"user/{user_id}", "BeginSecondFactor comes first")])
        step = logins.step_of(self._totp_secret(stored), code, self._clock.now(), stored.totp_step)
        codes = ["-".join(_fours(self._ids.token(_RECOVERY_BYTES))) for _ in range(logins.RECOVERY_CODES)]
        hashes = [logins.recovery_hash(each) for each in codes]
        if step is None or not await self._store.confirm_second_factor(tenant, user_id, step, hashes):
            raise InvalidArgument({"code": "is not the authenticator's code of now"})
        self._changed(tenant, "second_factor_added", user_id, f"user/{user_id}")
        return codes

    async def _proven(self, tenant: str, user_id: str, password: str, source: str) -> tuple[Person, StoredLogin]:
        """The caller, who says the password again; wrong ones count as at the door."""
        person, stored = await self._person(tenant, user_id), await self._store.get(tenant, user_id)
        right = await self._passwords.matches(password, stored.password_hash if stored is not None else None)
        if person is None or stored is None:
            raise Unauthenticated(_WRONG)
        if not right or stored.tries.locked(self._clock.now()):
            await self._count_failure(person, source)
            raise self._failed(person.login, tenant, source)
        return person, stored

    async def choose_password(self, code: str, password: str) -> str:
        """Set the password with a code from a letter; the login. Raises `Unauthenticated`, `InvalidArgument`."""
        now, digest = self._clock.now(), _digest(_code(code))
        found = await self._store.invited(digest, now)
        person = await self._person(*found) if found is not None else None
        if person is None:
            raise Unauthenticated("the code is not good (any more)")
        _check_password("password", password, person)
        if await self._store.use_invitation(digest, now, await self._passwords.hash(password)) is None:
            raise Unauthenticated("the code is not good (any more)")
        self._changed(person.tenant, "password_set", person.user_id, person.subject)
        return person.login

    async def forgot_password(self, login: str) -> None:
        """A letter with a code, if there is such a user with an address; nothing is told of that."""
        person = await self._person_of(login)
        if person is None or not person.tenant:
            return
        config = await self._config(person.tenant)
        user = config.users.get(person.user_id)
        if user is not None and user.email:
            await self._invite(config, user, person.login, letters.reset, timedelta(hours=letters.RESET_HOURS))

    # -- others' logins and keys ---------------------------------------------------------------------------------------

    async def set_password(self, tenant: str, user_id: str, password: str, by: str) -> tuple[str, str]:
        """The login and the password if it was made here. Raises `NotFound`, `InvalidArgument`."""
        person = await self._person(tenant, user_id)
        if person is None:
            raise NotFound(f"user {user_id!r}")
        made = "" if password else "-".join(_fours(self._ids.token(_PASSWORD_BYTES)))
        _check_password("password", password or made, person)
        await self._store.set_password(tenant, user_id, await self._passwords.hash(password or made))
        self._changed(tenant, "password_set", user_id, by)
        return person.login, made

    async def renew(self, tenant: str, user_id: str, by: str) -> tuple[str, str]:
        """As `grpc_verbs.Logins`."""
        await self._store.forget_invitation(tenant, user_id)
        if await self._store.get(tenant, user_id) is None:
            return "", ""
        await self._store.remove_second_factor(tenant, user_id)
        return await self.set_password(tenant, user_id, "", by)

    async def welcome(self, tenant: str, user_id: str, by: str) -> str:
        """Send a user the letter with their access; the address. Raises `NotFound`, `FailedPrecondition`."""
        config = await self._config(tenant)
        user, person = config.users.get(user_id), await self._person(tenant, user_id)
        if user is None or person is None or not tenant:
            raise NotFound(f"user {user_id!r}")
        if not user.email:
            raise FailedPrecondition([("EMAIL", f"user/{user_id}", "has no e-mail address")])
        await self._invite(config, user, person.login, letters.welcome, timedelta(days=letters.WELCOME_DAYS))
        self._changed(tenant, "welcomed", user_id, by)
        return str(user.email)

    async def _invite(
        self,
        config: TenantConfig,
        user: User,
        login: str,
        compose: Callable[[TenantConfig, User, letters.Access], LetterRequested],
        valid: timedelta,
    ) -> None:
        code = "-".join(_fours(self._ids.token(_CODE_BYTES)))
        access = letters.Access(login, code, self._console_url, codes_of(config.tenant.feature_codes).get("voicemail", ""))
        now, event_id = self._clock.now(), self._ids.uuid7()
        letter = compose(config, user, access)
        event = Event(
            id=event_id,
            source="carillon/directory",
            type=f"carillon.{LetterRequested.TYPE}",
            subject=f"user/{user.id}",
            time=now,
            data=letter.model_dump(mode="json"),
            tenantid=config.tenant_id,
        )
        message = (event_id, letter_subject(config.tenant_id), event.to_json())
        await self._store.invite(config.tenant_id, user.id, _digest(_code(code)), now + valid, message)
        self._wake()

    async def remove_login(self, tenant: str, user_id: str, by: str) -> None:
        """Raises `NotFound`."""
        if not await self._store.remove(tenant, user_id):
            raise NotFound(f"login of user {user_id!r}")
        self._changed(tenant, "login_removed", user_id, by)

    async def remove_second_factor(self, tenant: str, user_id: str, by: str) -> None:
        """Raises `NotFound`."""
        if not await self._store.remove_second_factor(tenant, user_id):
            raise NotFound(f"login of user {user_id!r}")
        self._changed(tenant, "second_factor_removed", user_id, by)

    async def unlock(self, tenant: str, user_id: str, by: str) -> None:
        """Raises `NotFound`."""
        if await self._store.change_tries(tenant, user_id, lambda _: logins.Tries()) is None:
            raise NotFound(f"login of user {user_id!r}")
        self._changed(tenant, "unlocked", user_id, by)

    async def login(self, tenant: str, user_id: str) -> tuple[Person, StoredLogin]:
        """How a login stands. Raises `NotFound`."""
        person, stored = await self._person(tenant, user_id), await self._store.get(tenant, user_id)
        if person is None or stored is None:
            raise NotFound(f"login of user {user_id!r}")
        return person, stored

    async def logins(self, tenant: str, choose: Choose, locked: bool, after: str, limit: int) -> list[tuple[Person, StoredLogin]]:
        """Logins by user id, of those that are chosen; `locked`: those alone that are locked now."""
        config, found, now = await self._config(tenant), list[tuple[Person, StoredLogin]](), self._clock.now()
        wanted, last = choose(config), after
        while len(found) < limit:
            some = await self._store.logins(tenant, last, _SOME)
            for stored in some:
                person = _person_in(config, stored.user_id)
                if person is not None and wanted(person) and (stored.tries.locked(now) or not locked):
                    found.append((person, stored))
            if len(some) < _SOME:
                break
            last = some[-1].user_id
        return found[:limit]

    async def check_cares(self, tenant: str, user_id: str, asked: Asked) -> None:
        """Raises `NotFound` for a user that whoever asks does not see, `PermissionDenied` for one who stands above."""
        if asked.bounds.whole:
            return
        config = await self._config(tenant)
        user, reach = config.users.get(user_id), Reach.of(config, asked.bounds)
        if user is None or not reach.covers(user):
            raise NotFound(f"user {user_id!r}")
        if not cares_for(reach, asked.actor, user):
            raise PermissionDenied(f"user {user_id!r} stands above you: their role is {user.role}")

    async def create_key(
        self,
        tenant: str,
        display_name: str,
        role: str,
        expires_at: datetime | None,
        by: str,
        reseller: str = "",
        department: str = "",
        rights_profile: str = "",
    ) -> tuple[StoredKey, str]:
        """The key and its secret. Raises `InvalidArgument`."""
        config = await self._config(tenant)
        violations = dict(_wrong_role(bool(tenant), role, reseller))
        if (role == DEPARTMENT_ADMIN) != bool(department):
            violations["department_id"] = "is needed with the role department_admin, and with it alone"
        elif department and department not in config.resources.get(Department.KIND, {}):
            violations["department_id"] = f"no department {department[:64]!r}"
        if rights_profile and rights_profile not in config.resources.get(RightsProfile.KIND, {}):
            violations["rights_profile_id"] = f"no rights profile {rights_profile[:64]!r}"
        if not 1 <= len(display_name) <= 100:
            violations["display_name"] = "must be 1 to 100 characters"
        elif wrong := text_error(display_name):
            violations["display_name"] = wrong
        if expires_at is not None and expires_at <= self._clock.now():
            violations["expires_at"] = "must be in the future"
        if violations:
            raise InvalidArgument(violations)
        within = (reseller, department, rights_profile)
        key_id, secret = self._ids.token(6), self._ids.token(_SECRET_BYTES)
        stored = await self._store.new_key(key_id, tenant, display_name, role, _digest(secret), by, expires_at, *within)
        self._changed(tenant, "api_key_created", key_id, by)
        return stored, f"{_KEY}{key_id}_{secret}"

    async def list_keys(self, tenant: str, after: str, limit: int) -> list[StoredKey]:
        """Keys by id."""
        return await self._store.keys(tenant, after, limit)

    async def revoke_key(self, tenant: str, key_id: str, by: str) -> None:
        """Raises `NotFound`."""
        if not await self._store.revoke_key(tenant, key_id):
            raise NotFound(f"api key {key_id!r}")
        self._changed(tenant, "api_key_revoked", key_id, by)

    # -- who -----------------------------------------------------------------------------------------------------------

    async def _person_of(self, text: str) -> Person | None:
        """By what somebody types as a login."""
        login = Login.of(text)
        if not login.name or "\0" in text:
            return None
        if not login.realm:
            return await self._person("", login.name)
        tenant = await self._realms.tenant_of(login.realm)
        if tenant is None:
            return None
        config = await self._config(tenant)
        found = next((user for user in config.users.values() if login.name == user.login), None) or config.users.get(login.name)
        return None if found is None else await self._person(tenant, found.id)

    async def _person(self, tenant: str, user_id: str) -> Person | None:
        return _person_in(await self._config(tenant), user_id)

    async def _config(self, tenant: str) -> TenantConfig:
        found = await self._directory.read(tenant)
        return found if isinstance(found, TenantConfig) else TenantConfig(tenant)

    def _totp_secret(self, row: StoredLogin) -> bytes:
        return bytes.fromhex(self._sealer.open(row.totp_sealed, row.tenant, row.user_id))

    def _changed(self, tenant: str, action: str, about: str, by: str) -> None:
        event = audit.AccessChanged.model_validate({"action": action, "about": about, "by": by})
        self._tell(tenant, event, about)

    def _tell(self, tenant: str, event: EventData, about: str) -> None:
        self._trail.tell(tenant, event, f"login/{about}")


def _wrong_role(in_tenant: bool, role: str, reseller: str) -> Iterator[tuple[str, str]]:
    """Fields and reasons."""
    if in_tenant and reseller:
        yield "reseller_id", "is not for a tenant's keys"
    allowed = (ADMIN, DEPARTMENT_ADMIN) if in_tenant else (RESELLER,) if reseller else (OPERATOR,)
    if role not in allowed:
        yield (
            "role",
            f"must be {' or '.join(allowed)} {'in a tenant' if in_tenant else 'with a reseller_id' if reseller else 'above a tenant'}",
        )


def _check_password(name: str, password: str, person: Person) -> None:
    if not logins.password_fits(password, person.login):
        raise InvalidArgument({name: logins.PASSWORD_RULE})


def _code(text: str) -> str:
    """As people type it."""
    return text.replace("-", "").replace(" ", "").lower()


def _fours(text: str) -> list[str]:
    return [text[index : index + 4] for index in range(0, len(text), 4)]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
