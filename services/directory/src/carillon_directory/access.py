"""What administrators see to: others' logins, and systems' keys."""

from collections.abc import Iterator
from datetime import datetime

from carillon_contracts.config import Department, RightsProfile
from carillon_directory.adapters.postgres_logins import PostgresLogins, StoredKey, StoredLogin
from carillon_directory.domain import logins
from carillon_directory.domain.bounds import Reach, cares_for
from carillon_directory.domain.commands import Asked
from carillon_directory.domain.texts import text_error
from carillon_directory.passwords import Passwords
from carillon_directory.people import Choose, People, Person, check_password, person_in
from carillon_kit.auth import ADMIN, DEPARTMENT_ADMIN, OPERATOR, RESELLER
from carillon_kit.clock import Clock
from carillon_kit.errors import InvalidArgument, NotFound, PermissionDenied
from carillon_kit.ids import Ids

_SECRET_BYTES, _PASSWORD_BYTES = 32, 12
#: Logins that are read at a time.
_SOME = 500


class Access:
    """Logins and keys, as they are given and taken away."""

    def __init__(self, people: People, store: PostgresLogins, passwords: Passwords, clock: Clock, ids: Ids) -> None:
        self._people = people
        self._store = store
        self._passwords = passwords
        self._clock = clock
        self._ids = ids

    async def set_password(self, tenant: str, user_id: str, password: str, by: str) -> tuple[str, str]:
        """The login and the password if it was made here. Raises `NotFound`, `InvalidArgument`."""
        person = await self._people.person(tenant, user_id)
        if person is None:
            raise NotFound(f"user {user_id!r}")
        made = "" if password else "-".join(logins.fours(self._ids.token(_PASSWORD_BYTES)))
        check_password("password", password or made, person)
        await self._store.set_password(tenant, user_id, await self._passwords.hash(password or made))
        self._people.tell_changed(tenant, "password_set", user_id, by)
        return person.login, made

    async def renew(self, tenant: str, user_id: str, by: str) -> tuple[str, str]:
        """As `grpc_verbs.Logins`."""
        await self._store.forget_invitation(tenant, user_id)
        if await self._store.get(tenant, user_id) is None:
            return "", ""
        await self._store.remove_second_factor(tenant, user_id)
        return await self.set_password(tenant, user_id, "", by)

    async def remove_login(self, tenant: str, user_id: str, by: str) -> None:
        """Raises `NotFound`."""
        if not await self._store.remove(tenant, user_id):
            raise NotFound(f"login of user {user_id!r}")
        self._people.tell_changed(tenant, "login_removed", user_id, by)

    async def remove_second_factor(self, tenant: str, user_id: str, by: str) -> None:
        """Raises `NotFound`."""
        if not await self._store.remove_second_factor(tenant, user_id):
            raise NotFound(f"login of user {user_id!r}")
        self._people.tell_changed(tenant, "second_factor_removed", user_id, by)

    async def unlock(self, tenant: str, user_id: str, by: str) -> None:
        """Raises `NotFound`."""
        if await self._store.change_tries(tenant, user_id, lambda _: logins.Tries()) is None:
            raise NotFound(f"login of user {user_id!r}")
        self._people.tell_changed(tenant, "unlocked", user_id, by)

    async def login(self, tenant: str, user_id: str) -> tuple[Person, StoredLogin]:
        """How a login stands. Raises `NotFound`."""
        person, stored = await self._people.person(tenant, user_id), await self._store.get(tenant, user_id)
        if person is None or stored is None:
            raise NotFound(f"login of user {user_id!r}")
        return person, stored

    async def logins(self, tenant: str, choose: Choose, locked: bool, after: str, limit: int) -> list[tuple[Person, StoredLogin]]:
        """Logins by user id, of those that are chosen; `locked`: those alone that are locked now."""
        config, found, now = await self._people.config(tenant), list[tuple[Person, StoredLogin]](), self._clock.now()
        wanted, last = choose(config), after
        while len(found) < limit:
            some = await self._store.logins(tenant, last, _SOME)
            for stored in some:
                person = person_in(config, stored.user_id)
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
        config = await self._people.config(tenant)
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
        config = await self._people.config(tenant)
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
        stored = await self._store.new_key(key_id, tenant, display_name, role, logins.digest(secret), by, expires_at, *within)
        self._people.tell_changed(tenant, "api_key_created", key_id, by)
        return stored, f"{logins.KEY}{key_id}_{secret}"

    async def list_keys(self, tenant: str, after: str, limit: int) -> list[StoredKey]:
        """Keys by id."""
        return await self._store.keys(tenant, after, limit)

    async def revoke_key(self, tenant: str, key_id: str, by: str) -> None:
        """Raises `NotFound`."""
        if not await self._store.revoke_key(tenant, key_id):
            raise NotFound(f"api key {key_id!r}")
        self._people.tell_changed(tenant, "api_key_revoked", key_id, by)


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
