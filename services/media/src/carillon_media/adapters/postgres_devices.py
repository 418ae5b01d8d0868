"""Bindings in Postgres, written behind: a REGISTER is answered from memory, the table follows within a second.

Invariant: the service runs while Postgres is away; then the latest state of each binding waits in memory and is written when it is
back. What was stored is loaded once, when the database is first reached.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg

from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_kit.postgres import MigrationError, migrate, open_pool
from carillon_media.handlers.registrar import Device
from carillon_sip.flow import Flow
from carillon_sip.registrar import Binding

_log = get_logger(__name__)
FLUSH_SECONDS = 0.25
RETRY_SECONDS = 2.0
WRITE_SECONDS = 10.0
_SAVE = """
insert into registration (sip_user, contact, node, tenant, user_id, binding, registered_at, expires_at)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::timestamptz[], $8::timestamptz[])
on conflict (sip_user, contact) do update set node = excluded.node, tenant = excluded.tenant, user_id = excluded.user_id,
  binding = excluded.binding, registered_at = excluded.registered_at, expires_at = excluded.expires_at
"""
_REMOVE = """
delete from registration r using unnest($1::text[], $2::text[]) as gone(sip_user, contact)
 where r.sip_user = gone.sip_user and r.contact = gone.contact and r.node = $3
"""
_LOAD = "select sip_user, tenant, user_id, binding, registered_at, expires_at from registration where node = $1 and expires_at > $2"


class PostgresDevices:
    """`handlers.registrar.DeviceStore`; run `run` as a task."""

    def __init__(self, dsn: str, node: str, clock: Clock) -> None:
        self._dsn = dsn
        self._node = node
        self._clock = clock
        self._pending: dict[tuple[str, str], Device | None] = {}
        self.ready = asyncio.Event()

    def save(self, devices: Iterable[Device]) -> None:
        """Added or refreshed."""
        for device in devices:
            self._pending[device.sip_user, device.binding.key] = device

    def remove(self, devices: Iterable[Device]) -> None:
        """Gone."""
        for device in devices:
            self._pending[device.sip_user, device.binding.key] = None

    async def run(self, loaded: Callable[[Iterable[Device]], None]) -> None:
        """Connect, hand `loaded` what was stored, then write what waits, until cancelled; flushes once more at the end."""
        pool = await self._connect(loaded)
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                await self._flush(pool)
        finally:
            await asyncio.shield(self._last(pool))

    async def _connect(self, loaded: Callable[[Iterable[Device]], None]) -> "asyncpg.Pool[Any]":
        while True:
            try:
                pool = await open_pool(self._dsn, max_size=2)
                await migrate(pool, "carillon_media.migrations")
                now = self._clock.now()
                rows = await pool.fetch(_LOAD, self._node, now)
                loaded([self._device(row) for row in rows])
                self.ready.set()
                return pool
            except (OSError, asyncpg.PostgresError, MigrationError) as error:
                _log.warning("registrations are kept in memory only", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    def _device(self, row: "asyncpg.Record") -> Device:
        data = row["binding"]
        flow = Flow(data["transport"], tuple(data["local"]), tuple(data["remote"]))
        left: timedelta = row["expires_at"] - self._clock.now()
        binding = Binding(
            contact=data["contact"],
            expires_at=self._clock.monotonic() + left.total_seconds(),
            call_id=data["call_id"],
            cseq=data["cseq"],
            flow=flow,
            q=data["q"],
            user_agent=data["user_agent"],
            instance=data["instance"],
            path=tuple(data["path"]),
            reg_id=data.get("reg_id", 0),
        )
        return Device(row["tenant"], row["sip_user"], row["user_id"], binding, row["registered_at"], row["expires_at"])

    async def _last(self, pool: "asyncpg.Pool[Any]") -> None:
        await self._flush(pool)
        pool.terminate()

    async def _flush(self, pool: "asyncpg.Pool[Any]") -> None:
        if not self._pending:
            return
        pending, self._pending = self._pending, {}
        saved = [device for device in pending.values() if device is not None]
        gone = [key for key, device in pending.items() if device is None]
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                if saved:
                    await pool.execute(_SAVE, *_columns(saved, self._node))
                if gone:
                    await pool.execute(_REMOVE, [key[0] for key in gone], [key[1] for key in gone], self._node)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            _log.warning("registrations wait for the database", waiting=len(pending), error=str(error))
            self._pending = {**pending, **self._pending}


def _columns(devices: Sequence[Device], node: str) -> list[list[Any]]:
    plain = [replace(device.binding, expires_at=0.0) for device in devices]
    return [
        [device.sip_user for device in devices],
        [device.binding.key for device in devices],
        [node for _ in devices],
        [device.tenant for device in devices],
        [device.user_id for device in devices],
        [_json(binding) for binding in plain],
        [device.registered_at for device in devices],
        [device.expires_at for device in devices],
    ]


def _json(binding: Binding) -> dict[str, Any]:
    return {
        "contact": binding.contact,
        "call_id": binding.call_id,
        "cseq": binding.cseq,
        "transport": binding.flow.transport,
        "local": list(binding.flow.local),
        "remote": list(binding.flow.remote),
        "q": binding.q,
        "user_agent": binding.user_agent,
        "instance": binding.instance,
        "path": list(binding.path),
        "reg_id": binding.reg_id,
    }


class NoDevices:
    """`handlers.registrar.DeviceStore` without a database."""

    def save(self, devices: Iterable[Device]) -> None:
        """Kept in memory only."""

    def remove(self, devices: Iterable[Device]) -> None:
        """Kept in memory only."""
