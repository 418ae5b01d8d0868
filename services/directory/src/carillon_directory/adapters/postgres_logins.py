"""Logins, refresh tokens and API keys in Postgres; every write is one statement or one transaction.

Always: a wrong try is counted and a code is used up under the row's lock, so that replicas and restarts forget none. Whoever changes
several tables does it in the order invitation, login, refresh_token (the tenant's log too), so that none waits for another that waits.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from carillon_contracts.streams import LETTERS
from carillon_directory.adapters.ended_tokens import END, NOW
from carillon_directory.adapters.tenant_log import PostgresTenantLog
from carillon_directory.domain.logins import Tries
from carillon_kit import outbox


@dataclass(frozen=True, slots=True)
class StoredLogin:
    """A login as it is kept."""

    tenant: str
    user_id: str
    password_hash: str = field(repr=False)
    totp_sealed: str = field(default="", repr=False)
    totp_confirmed: bool = False
    totp_step: int = 0
    recovery_hashes: tuple[str, ...] = field(default=(), repr=False)
    tries: Tries = field(default_factory=Tries)
    last_login_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A system's key as it is kept."""

    id: str
    tenant: str
    display_name: str
    role: str
    hash: bytes = field(repr=False)
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    #: Of a key with the role reseller: whose.
    reseller: str = ""
    #: Of a key with the role department_admin: which department's.
    department: str = ""
    rights_profile: str = ""


@dataclass(frozen=True, slots=True)
class TakenRefresh:
    """Whose a refresh token is; `reused`: it had been used before."""

    tenant: str
    user_id: str
    family: UUID
    reused: bool


_LOGIN = """
select tenant, user_id, password_hash, totp_sealed, totp_confirmed, totp_step, recovery_hashes, failures, locks, locked_until, last_login_at
  from login where tenant = $1 and user_id = $2"""
_LOGINS = _LOGIN.replace("user_id = $2", "user_id > $2 order by user_id limit $3")
_SET_PASSWORD = """
insert into login (tenant, user_id, password_hash) values ($1, $2, $3)
    on conflict (tenant, user_id) do update
   set password_hash = $3, failures = 0, locks = 0, locked_until = null, changed_at = clock_timestamp()"""
_SET_TRIES = "update login set failures = $3, locks = $4, locked_until = $5 where tenant = $1 and user_id = $2"
_LET_IN = """
update login set failures = 0, locks = 0, locked_until = null, totp_step = $3, recovery_hashes = $4, last_login_at = $5
 where tenant = $1 and user_id = $2"""
_BEGIN_TOTP = """
update login set totp_sealed = $3, totp_confirmed = false, totp_step = 0, recovery_hashes = '{}' where tenant = $1 and user_id = $2"""
_CONFIRM_TOTP = """
update login set totp_confirmed = true, totp_step = $3, recovery_hashes = $4
 where tenant = $1 and user_id = $2 and totp_sealed <> '' and totp_step < $3"""
_REMOVE_TOTP = """
update login set totp_sealed = '', totp_confirmed = false, totp_step = 0, recovery_hashes = '{}' where tenant = $1 and user_id = $2"""
#: It waits for whoever is changing the login, who takes away the refresh tokens there are and would not see this one.
_NEW_REFRESH = """
insert into refresh_token (hash, family, tenant, user_id, expires_at)
select $1::bytea, $2::uuid, tenant, user_id, $5::timestamptz from login
 where tenant = $3 and user_id = $4 and changed_at <= $6 for share"""
_TAKE_REFRESH = """
update refresh_token set used_at = $2 where hash = $1 and used_at is null and expires_at > $2 returning tenant, user_id, family"""
_CHANGED = "update login set changed_at = clock_timestamp() where tenant = $1 and user_id = $2"
_END_FAMILY = "delete from refresh_token where family = $1"
_USED_REFRESH = "select tenant, user_id, family from refresh_token where hash = $1 and used_at is not null"
_FORGET_OLD = "delete from refresh_token where expires_at < $1"
_INVITE = """
insert into invitation (tenant, user_id, hash, expires_at, sent_at) values ($1, $2, $3, $4, clock_timestamp())
    on conflict (tenant, user_id) do update set hash = $3, expires_at = $4, sent_at = clock_timestamp()
 where invitation.sent_at <= clock_timestamp() - $5::interval"""
_FORGET_INVITATION = "delete from invitation where tenant = $1 and user_id = $2"
_USE_INVITATION = "delete from invitation where hash = $1 and expires_at > $2 returning tenant, user_id"
_KEY_COLUMNS = (
    "id, tenant, display_name, role, hash, created_by, created_at, expires_at, last_used_at, reseller, department, rights_profile"
)
_NEW_KEY = f"""
insert into api_key (id, tenant, display_name, role, hash, created_by, expires_at, reseller, department, rights_profile)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
returning {_KEY_COLUMNS}"""
_KEYS = f"select {_KEY_COLUMNS} from api_key where tenant = $1 and id > $2 order by id limit $3"
_USE_KEY = f"""
with used as (
    update api_key set last_used_at = $2::timestamptz
     where id = $1 and (last_used_at is null or last_used_at < $2::timestamptz - interval '1 minute'))
select {_KEY_COLUMNS} from api_key where id = $1"""


class PostgresLogins:
    """See the module; an absent server raises what asyncpg raises."""

    def __init__(self, pool: "asyncpg.Pool[Any]", log: PostgresTenantLog) -> None:
        self._pool = pool
        self._log = log

    async def now(self) -> datetime:
        """The time of a token that is given for what is read after this."""
        moment: datetime = await self._pool.fetchval(NOW)
        return moment

    async def get(self, tenant: str, user_id: str) -> StoredLogin | None:
        """The login, or None."""
        return _login(await self._pool.fetchrow(_LOGIN, tenant, user_id))

    async def logins(self, tenant: str, after: str, limit: int) -> list[StoredLogin]:
        """Logins of a tenant by user id."""
        return [found for row in await self._pool.fetch(_LOGINS, tenant, after, limit) if (found := _login(row)) is not None]

    async def set_password(self, tenant: str, user_id: str, password_hash: str) -> None:
        """Make or change a login; its tries are forgotten, its refresh tokens and a code in a letter end."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_FORGET_INVITATION, tenant, user_id)
            await connection.execute(_SET_PASSWORD, tenant, user_id, password_hash)
            await connection.execute("delete from refresh_token where tenant = $1 and user_id = $2", tenant, user_id)

    async def remove(self, tenant: str, user_id: str) -> bool:
        """Whether there was one; a code in a letter ends too."""
        async with self._pool.acquire() as connection, connection.transaction():
            invited: str = await connection.execute(_FORGET_INVITATION, tenant, user_id)
            done: str = await connection.execute("delete from login where tenant = $1 and user_id = $2", tenant, user_id)
            await connection.execute("delete from refresh_token where tenant = $1 and user_id = $2", tenant, user_id)
        return (invited, done) != ("DELETE 0", "DELETE 0")

    async def change_tries(self, tenant: str, user_id: str, change: Callable[[Tries], Tries]) -> Tries | None:
        """Change the tries under the row's lock; None: there is no such login."""
        async with self._pool.acquire() as connection, connection.transaction():
            row = _login(await connection.fetchrow(f"{_LOGIN} for update", tenant, user_id))
            if row is None:
                return None
            tries = change(row.tries)
            await connection.execute(_SET_TRIES, tenant, user_id, tries.failures, tries.locks, tries.locked_until)
        return tries

    async def let_in(self, tenant: str, user_id: str, now: datetime, check: Callable[[StoredLogin], tuple[int, list[str]] | None]) -> bool:
        """Under the row's lock: `check` says which code step counts now and which recovery codes are left, or None: not let in."""
        async with self._pool.acquire() as connection, connection.transaction():
            row = _login(await connection.fetchrow(f"{_LOGIN} for update", tenant, user_id))
            passed = check(row) if row is not None and not row.tries.locked(now) else None
            if passed is None:
                return False
            await connection.execute(_LET_IN, tenant, user_id, passed[0], passed[1], now)
        return True

    async def begin_second_factor(self, tenant: str, user_id: str, sealed: str) -> None:
        """Keep a new secret that does not count yet."""
        await self._pool.execute(_BEGIN_TOTP, tenant, user_id, sealed)

    async def confirm_second_factor(self, tenant: str, user_id: str, step: int, recovery_hashes: list[str]) -> bool:
        """The secret counts from now on; False: the step was used meanwhile, or there is no secret."""
        done: str = await self._pool.execute(_CONFIRM_TOTP, tenant, user_id, step, recovery_hashes)
        return done != "UPDATE 0"

    async def remove_second_factor(self, tenant: str, user_id: str) -> bool:
        """Whether there is such a login."""
        done: str = await self._pool.execute(_REMOVE_TOTP, tenant, user_id)
        return done != "UPDATE 0"

    async def new_refresh(self, token_hash: bytes, family: UUID, tenant: str, user_id: str, expires_at: datetime, issued: datetime) -> bool:
        """A refresh token is given out; False: the login was changed, or ended, after the time `issued`, and there is none."""
        done: str = await self._pool.execute(_NEW_REFRESH, token_hash, family, tenant, user_id, expires_at, issued)
        return done != "INSERT 0 0"

    async def take_refresh(self, token_hash: bytes, now: datetime) -> TakenRefresh | None:
        """Use a refresh token up; one that was used before ends its family, also what is being given of it, and every access token of the
        login. None: unknown or too old."""
        row = await self._pool.fetchrow(_TAKE_REFRESH, token_hash, now)
        if row is not None:
            return TakenRefresh(row["tenant"], row["user_id"], row["family"], reused=False)
        row = await self._pool.fetchrow(_USED_REFRESH, token_hash)
        if row is None:
            return None
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(END, row["tenant"], [row["user_id"]])
            await connection.execute(_CHANGED, row["tenant"], row["user_id"])
            await connection.execute(_END_FAMILY, row["family"])
        return TakenRefresh(row["tenant"], row["user_id"], row["family"], reused=True)

    async def end_family(self, family: UUID) -> None:
        """No token of this login counts any more."""
        await self._pool.execute(_END_FAMILY, family)

    async def forget_old(self, now: datetime) -> None:
        """Delete refresh tokens that are past."""
        await self._pool.execute(_FORGET_OLD, now)

    async def invite(
        self,
        tenant: str,
        version: int,
        user_id: str,
        code_hash: bytes,
        expires_at: datetime,
        pause: timedelta,
        letter: tuple[UUID, str, bytes],
    ) -> bool:
        """A code is good from now on, and its letter is sent: both, or neither if the last one was sent less than `pause` ago.

        False: the tenant is at another version than the letter was written by, and nothing was done.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            if not await self._log.stands_at(connection, tenant, version):
                return False
            if await connection.execute(_INVITE, tenant, user_id, code_hash, expires_at, pause) != "INSERT 0 0":
                await outbox.put(connection, LETTERS.name, [letter])
        return True

    async def forget_invitation(self, tenant: str, user_id: str) -> None:
        """The code in the user's last letter is good no more."""
        await self._pool.execute(_FORGET_INVITATION, tenant, user_id)

    async def tell(self, stream: str, message: tuple[UUID, str, bytes]) -> None:
        """Have it published for sure: (message id, subject, payload)."""
        async with self._pool.acquire() as connection:
            await outbox.put(connection, stream, [message])

    async def use_invitation(self, code_hash: bytes, now: datetime, password_hash: str) -> tuple[str, str] | None:
        """Take a code and set the password with it: (tenant, user id); None: the code is not good (any more)."""
        async with self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(_USE_INVITATION, code_hash, now)
            if row is None:
                return None
            await connection.execute(_SET_PASSWORD, row["tenant"], row["user_id"], password_hash)
            await connection.execute("delete from refresh_token where tenant = $1 and user_id = $2", row["tenant"], row["user_id"])
        return row["tenant"], row["user_id"]

    async def invited(self, code_hash: bytes, now: datetime) -> tuple[str, str] | None:
        """Whose a code is that is good now."""
        row = await self._pool.fetchrow("select tenant, user_id from invitation where hash = $1 and expires_at > $2", code_hash, now)
        return None if row is None else (row["tenant"], row["user_id"])

    async def new_key(
        self,
        key_id: str,
        tenant: str,
        display_name: str,
        role: str,
        key_hash: bytes,
        created_by: str,
        expires_at: datetime | None,
        reseller: str,
        department: str,
        rights_profile: str,
    ) -> StoredKey:
        """Keep a new key."""
        within = (reseller, department, rights_profile)
        row = await self._pool.fetchrow(_NEW_KEY, key_id, tenant, display_name, role, key_hash, created_by, expires_at, *within)
        return _key(row)

    async def keys(self, tenant: str, after: str, limit: int) -> list[StoredKey]:
        """Keys of a tenant by id."""
        return [_key(row) for row in await self._pool.fetch(_KEYS, tenant, after, limit)]

    async def use_key(self, key_id: str, now: datetime) -> StoredKey | None:
        """The key, which is noted as used now."""
        row = await self._pool.fetchrow(_USE_KEY, key_id, now)
        return None if row is None else _key(row)

    async def revoke_key(self, tenant: str, key_id: str) -> bool:
        """Whether there was one."""
        done: str = await self._pool.execute("delete from api_key where tenant = $1 and id = $2", tenant, key_id)
        return done != "DELETE 0"


def _login(row: Any) -> StoredLogin | None:
    if row is None:
        return None
    return StoredLogin(
        row["tenant"],
        row["user_id"],
        row["password_hash"],
        row["totp_sealed"],
        row["totp_confirmed"],
        row["totp_step"],
        tuple(row["recovery_hashes"]),
        Tries(row["failures"], row["locks"], row["locked_until"]),
        row["last_login_at"],
    )


def _key(row: Any) -> StoredKey:
    return StoredKey(**dict(row))
