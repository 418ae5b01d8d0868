"""Which devices may fetch their files, and the passwords made for them, in Postgres."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

_PREPARE = """
insert into provisioned_device (tenant, device_id, hash) values ($1, $2, $3)
    on conflict (tenant, device_id)
    do update set hash = $3, withdrawn = false, fetched_at = null, file = '', user_agent = '', source = ''"""
_WITHDRAW = """
insert into provisioned_device (tenant, device_id, withdrawn) values ($1, $2, true)
    on conflict (tenant, device_id) do update set hash = null, withdrawn = true"""
_COLUMNS = "tenant, device_id, hash is not null as prepared, withdrawn, fetched_at, file, user_agent, source"
_DEVICE = f"select {_COLUMNS} from provisioned_device where hash = $1"
_STANDS = f"select {_COLUMNS} from provisioned_device where tenant = $1 and device_id = $2"
_FETCHED = """
insert into provisioned_device (tenant, device_id, fetched_at, file, user_agent, source) values ($1, $2, $3, $4, $5, $6)
    on conflict (tenant, device_id) do update set fetched_at = $3, file = $4, user_agent = $5, source = $6"""
_TENANT = "select tenant from claim where kind = 'device' and value = $1"
_PASSWORDS = "select credential_id, ha1_sha256, sealed from provisioned_password where tenant = $1 and credential_id = any($2::text[])"
_KEEP = """
insert into provisioned_password (tenant, credential_id, ha1_sha256, sealed) values ($1, $2, $3, $4)
    on conflict (tenant, credential_id) do update set ha1_sha256 = $3, sealed = $4"""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """How a device stands, and its last fetch."""

    tenant: str
    device_id: str
    #: It has an address of its own.
    prepared: bool = False
    withdrawn: bool = False
    fetched_at: datetime | None = None
    file: str = ""
    user_agent: str = ""
    source: str = ""


class PostgresProvisioning:
    """An absent server raises what asyncpg raises."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool

    async def prepare(self, tenant: str, device_id: str, secret_hash: bytes) -> None:
        """A new secret counts, a former one no more."""
        await self._pool.execute(_PREPARE, tenant, device_id, secret_hash)

    async def withdraw(self, tenant: str, device_id: str) -> None:
        """Neither a secret nor a certificate counts until it is prepared again."""
        await self._pool.execute(_WITHDRAW, tenant, device_id)

    async def tenant_of(self, mac: str) -> str | None:
        """Whose the device with a MAC is."""
        found: str | None = await self._pool.fetchval(_TENANT, mac)
        return found

    async def by_secret(self, secret_hash: bytes) -> Provisioned | None:
        """Whose the secret is."""
        row = await self._pool.fetchrow(_DEVICE, secret_hash)
        return None if row is None else Provisioned(**dict(row))

    async def of_device(self, tenant: str, device_id: str) -> Provisioned | None:
        """How it stands."""
        row = await self._pool.fetchrow(_STANDS, tenant, device_id)
        return None if row is None else Provisioned(**dict(row))

    async def fetched(self, device: Provisioned, at: datetime, file: str, user_agent: str, source: str) -> None:
        """Remember a fetch."""
        await self._pool.execute(_FETCHED, device.tenant, device.device_id, at, file, user_agent[:200], source)

    async def passwords(self, tenant: str, credential_ids: list[str]) -> dict[str, tuple[str, str]]:
        """By credential: the hash that it counts for, and the sealed password."""
        rows = await self._pool.fetch(_PASSWORDS, tenant, credential_ids)
        return {row["credential_id"]: (row["ha1_sha256"], row["sealed"]) for row in rows}

    async def keep_password(self, tenant: str, credential_id: str, ha1_sha256: str, sealed: str) -> None:
        """A password was made for a phone."""
        await self._pool.execute(_KEEP, tenant, credential_id, ha1_sha256, sealed)
