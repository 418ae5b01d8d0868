"""Logging in, second factors, and the tokens that people and systems get: load, decide, keep.

Always: a refusal says nothing of what was wrong and takes the same work; what was kept under a lock decides, not what was read before;
a refresh token is good once, and its second use ends the whole login.
"""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from carillon_contracts import audit
from carillon_contracts.streams import AUDIT
from carillon_directory.adapters.postgres_logins import PostgresLogins, StoredLogin
from carillon_directory.adapters.token_keys import TokenKeys
from carillon_directory.domain import logins
from carillon_directory.domain.outcomes import Refused
from carillon_directory.domain.texts import text_error
from carillon_directory.passwords import Passwords
from carillon_directory.people import People, Person, check_password
from carillon_kit.auth import ADMIN, Verified, sign_token
from carillon_kit.clock import Clock
from carillon_kit.errors import FailedPrecondition, InvalidArgument, Unauthenticated
from carillon_kit.ids import Ids
from carillon_kit.sealing import Sealer

#: Purpose of the seals of authenticators' secrets.
SECOND_FACTORS = "second factors"
_WRONG = "the login, the password or the code is wrong, or the login is locked"
_TOTP_BYTES, _SECRET_BYTES, _RECOVERY_BYTES = 20, 32, 10
_REFRESH = "rt_"


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


class Authentication:
    """What `AuthService` of auth.proto does, but for letters."""

    def __init__(
        self,
        people: People,
        store: PostgresLogins,
        passwords: Passwords,
        keys: TokenKeys,
        sealer: Sealer,
        clock: Clock,
        ids: Ids,
        lifetimes: Lifetimes,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._wake = wake
        self._people = people
        self._store = store
        self._passwords = passwords
        self._keys = keys
        self._sealer = sealer
        self._clock = clock
        self._ids = ids
        self._lifetimes = lifetimes

    # -- logging in ----------------------------------------------------------------------------------------------------

    async def log_in(self, login: str, password: str, code: str, source: str) -> Tokens | None:
        """Tokens; None: the password is right and a code is needed. Raises `Unauthenticated`."""
        issued = await self._store.now()
        person = await self._people.named(login)
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
            self._people.tell(person.tenant, audit.LoginLocked(login=person.login, until=after.locked_until, source=source), person.login)

    def _failed(self, login: str, tenant: str, source: str) -> Unauthenticated:
        shown = login[:100]
        self._people.tell(tenant, audit.LoginFailed(login=shown, source=source), shown)
        return Unauthenticated(_WRONG)

    async def refresh(self, token: str, source: str) -> Tokens:
        """New tokens for a refresh token. Raises `Unauthenticated`."""
        issued = await self._store.now()
        taken = await self._store.take_refresh(logins.digest(token), self._clock.now())
        if taken is None:
            raise Unauthenticated("the refresh token does not count (any more); log in again")
        person = await self._people.person(taken.tenant, taken.user_id)
        if taken.reused:
            login = person.login if person is not None else taken.user_id
            self._people.tell(taken.tenant, audit.LoginReused(login=login, source=source), login)
            raise Unauthenticated("the refresh token was used before; log in again")
        if person is None:
            await self._store.end_family(taken.family)
            raise Unauthenticated("the user does not exist any more")
        return await self._tokens(person, taken.family, issued)

    async def log_out(self, token: str) -> None:
        """End the login of a refresh token; one that does not count changes nothing."""
        taken = await self._store.take_refresh(logins.digest(token), self._clock.now())
        if taken is not None:
            await self._store.end_family(taken.family)

    async def exchange(self, api_key: str) -> Tokens:
        """A token for a system's key, which counts no longer than the key. Raises `Unauthenticated`."""
        issued = await self._store.now()
        key_id, _, secret = api_key.removeprefix(logins.KEY).partition("_")
        now = self._clock.now()
        stored = await self._store.use_key(key_id, now) if api_key.startswith(logins.KEY) else None
        if stored is None or not hmac.compare_digest(stored.hash, logins.digest(secret)):
            raise Unauthenticated("the key does not count")
        if stored.expires_at is not None and stored.expires_at <= now:
            raise Unauthenticated("the key does not count")
        if stored.tenant and isinstance(await self._people.directory.read(stored.tenant), Refused):
            raise Unauthenticated("the key does not count")
        within = (stored.department, stored.rights_profile, stored.reseller)
        return self._access(issued, f"key/{stored.id}", stored.tenant, [stored.role], *within, until=stored.expires_at)

    async def enter(self, tenant: str, token: Verified, reason: str) -> Tokens:
        """An admin's token in a tenant, in the name of the reseller's; there is no other way in than this, and it is told for sure.

        It has the reseller's own token's time and counts no longer: what ends that one, known here or not yet, ends this one.
        """
        if wrong := text_error(reason):
            raise InvalidArgument({"reason": wrong})
        seller = token.principal
        issued = await self._store.now() if token.issued is None else datetime.fromtimestamp(token.issued, UTC)
        until = None if token.expires is None else datetime.fromtimestamp(token.expires, UTC)
        subject = f"reseller/{seller.reseller}/{seller.subject}"
        event = audit.TenantEntered(reseller_id=seller.reseller, by=seller.subject, reason=reason)
        now, event_id = self._clock.now(), self._ids.uuid7()
        about = f"tenant/{tenant}"
        told = audit.audit_event(event, tenant, event_id=event_id, source="carillon/directory", about=about, at=now)
        await self._store.tell(AUDIT.name, (event_id, *told))
        self._wake()
        return self._access(issued, subject, tenant, [str(ADMIN)], reseller=seller.reseller, until=until)

    async def _tokens(self, person: Person, family: UUID, issued: datetime) -> Tokens:
        access = self._access(issued, person.subject, person.tenant, person.roles, person.department, person.rights_profile)
        refresh = _REFRESH + self._ids.token(_SECRET_BYTES)
        expires = self._clock.now() + self._lifetimes.refresh
        if not await self._store.new_refresh(logins.digest(refresh), family, person.tenant, person.user_id, expires, issued):
            raise Unauthenticated("the login was changed meanwhile; log in again")
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
        check_password("new_password", new, person)
        await self._store.set_password(tenant, user_id, await self._passwords.hash(new))
        self._people.tell_changed(tenant, "password_set", user_id, person.subject)

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
        codes = ["-".join(logins.fours(self._ids.token(_RECOVERY_BYTES))) for _ in range(logins.RECOVERY_CODES)]
        hashes = [logins.recovery_hash(each) for each in codes]
        if step is None or not await self._store.confirm_second_factor(tenant, user_id, step, hashes):
            raise InvalidArgument({"code": "is not the authenticator's code of now"})
        self._people.tell_changed(tenant, "second_factor_added", user_id, f"user/{user_id}")
        return codes

    async def _proven(self, tenant: str, user_id: str, password: str, source: str) -> tuple[Person, StoredLogin]:
        """The caller, who says the password again; wrong ones count as at the door."""
        person, stored = await self._people.person(tenant, user_id), await self._store.get(tenant, user_id)
        right = await self._passwords.matches(password, stored.password_hash if stored is not None else None)
        if person is None or stored is None:
            raise Unauthenticated(_WRONG)
        if not right or stored.tries.locked(self._clock.now()):
            await self._count_failure(person, source)
            raise self._failed(person.login, tenant, source)
        return person, stored

    def _totp_secret(self, row: StoredLogin) -> bytes:
        return bytes.fromhex(self._sealer.open(row.totp_sealed, row.tenant, row.user_id))
