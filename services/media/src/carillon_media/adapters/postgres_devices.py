"""Bindings in Postgres, shared by all media nodes: a REGISTER counts at once, and is answered when it is written, with all that came
meanwhile, or at the latest after `SETTLED_SECONDS` (at once while Postgres is away); other nodes follow within a second.

Invariant: what was heard last of a binding wins, whichever node heard it. A row that is gone stays until it would have run out, so that
every node reads that it is; of a SIP user the last one stays for `REMEMBERED`. The column `heard_at` is when a row became known (of one
that is gone, when it left; when it was heard last is in its binding). One that ran out while its node was dead or could not write gives
way to whatever that node has heard of the phone since. Rows are read by the transaction that changed them, so that none is passed over,
however late it commits.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from carillon_kit.clock import Clock
from carillon_media.adapters.database import Pool
from carillon_media.handlers.registrar import REMEMBERED, Device
from carillon_sip.flow import Flow
from carillon_sip.registrar import Binding

#: Rows of nodes that died are swept so long after they ran out, and so often.
SWEEP_AFTER = timedelta(seconds=60)
SWEEP_SECONDS = 30.0
#: Before a phone by UDP sends its REGISTER again.
SETTLED_SECONDS = 0.4
_SAVE = """
insert into registration (sip_user, contact, node, tenant, user_id, binding, registered_at, expires_at, heard_at, gone)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::timestamptz[], $8::timestamptz[],
  $9::timestamptz[], $10::boolean[])
on conflict (sip_user, contact) do update set node = excluded.node, tenant = excluded.tenant, user_id = excluded.user_id,
  binding = excluded.binding, registered_at = excluded.registered_at, expires_at = excluded.expires_at, heard_at = excluded.heard_at,
  gone = excluded.gone, changed = pg_current_xact_id()
where registration.heard_at <= excluded.heard_at
  or (registration.gone and registration.heard_at = registration.expires_at and registration.expires_at < excluded.expires_at)
"""
_COLUMNS = "sip_user, node, tenant, user_id, binding, registered_at, expires_at, heard_at, gone"
_LOAD = f"select {_COLUMNS} from registration where gone or expires_at > $1"
_HORIZON = "select pg_snapshot_xmin(pg_current_snapshot())::text"
_CHANGED = f"select {_COLUMNS} from registration where changed >= $1::text::xid8 and node <> $2"
_LOST = f"""
update registration set gone = true, heard_at = expires_at, binding = binding || jsonb_build_object('heard_at', heard_at),
  changed = pg_current_xact_id()
where not gone and expires_at < $1 returning {_COLUMNS}
"""
_SWEEP = """
delete from registration r where gone and expires_at < $1 and (expires_at < $2 or exists (
  select from registration other where other.sip_user = r.sip_user and (other.heard_at, other.contact) > (r.heard_at, r.contact)))
"""


class PostgresDevices:
    """`handlers.registrar.DeviceStore` and a `database.Table`.

    `loaded` is told what stands at the start (and what had left), `elsewhere` what other nodes changed, `lost` the devices of nodes that
    died, which nobody else announces.
    """

    def __init__(
        self,
        node: str,
        clock: Clock,
        loaded: Callable[[Iterable[Device]], None],
        elsewhere: Callable[[Iterable[Device]], None],
        lost: Callable[[Iterable[Device]], None],
    ) -> None:
        self._node = node
        self._clock = clock
        self._loaded = loaded
        self._elsewhere = elsewhere
        self._lost = lost
        self._pending: dict[tuple[str, str], Device] = {}
        self._horizon = "0"
        self._swept_at = 0.0
        #: Told when somebody waits for what is to be written.
        self.hurried: Callable[[], None] = lambda: None
        self._settled: list[Callable[[], None]] = []
        #: The database is there.
        self._well = False

    def save(self, devices: Iterable[Device]) -> None:
        """Added or refreshed, or gone."""
        for device in devices:
            self._pending[device.sip_user, device.binding.key] = device

    def settled(self, done: Callable[[], None]) -> None:
        """Call `done` once when all that was saved so far is written, or cannot be soon."""
        if not self._well or not self._pending:
            done()
            return
        late: asyncio.TimerHandle | None = None

        def settle() -> None:
            if late is not None and not late.cancelled():
                late.cancel()
                done()

        late = asyncio.get_running_loop().call_later(SETTLED_SECONDS, settle)
        self._settled.append(settle)
        self.hurried()

    async def load(self, pool: "Pool[Any]") -> None:
        """Everything that is registered anywhere."""
        self._horizon = await pool.fetchval(_HORIZON)
        self._well = True
        self._loaded([self._device(row) for row in await pool.fetch(_LOAD, self._clock.now())])

    async def turn(self, pool: "Pool[Any]") -> None:
        """Write what waits, read what others wrote, sweep now and then."""
        await self._flush(pool)
        horizon = await pool.fetchval(_HORIZON)
        rows = await pool.fetch(_CHANGED, self._horizon, self._node)
        self._horizon, self._well = horizon, True
        if rows:
            self._elsewhere([self._device(row) for row in rows])
        if self._clock.monotonic() - self._swept_at > SWEEP_SECONDS:
            self._swept_at = self._clock.monotonic()
            now = self._clock.now()
            self._lost([self._device(row) for row in await pool.fetch(_LOST, now - SWEEP_AFTER)])
            await pool.execute(_SWEEP, now - SWEEP_AFTER, now - REMEMBERED)

    async def hurry(self, pool: "Pool[Any]") -> None:
        """Write what waits."""
        await self._flush(pool)

    async def close(self, pool: "Pool[Any]") -> None:
        """Write what waits."""
        await self._flush(pool)

    async def _flush(self, pool: "Pool[Any]") -> None:
        pending, self._pending = self._pending, {}
        settled, self._settled = self._settled, []
        try:
            if pending:
                await pool.execute(_SAVE, *_columns(list(pending.values()), self._node))
        except BaseException:
            # Also when the service ends meanwhile: `close` writes it then.
            self._pending = {**pending, **self._pending}
            self._well = False
            raise
        finally:
            for settle in settled:
                settle()

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
        node = "" if row["node"] == self._node else row["node"]
        left_at = row["heard_at"] if row["gone"] else None
        heard_at = datetime.fromisoformat(data["heard_at"]) if left_at and "heard_at" in data else row["heard_at"]
        whose = (row["tenant"], row["sip_user"], row["user_id"])
        return Device(*whose, binding, row["registered_at"], row["expires_at"], heard_at, node, left_at)


def _columns(devices: Sequence[Device], node: str) -> list[list[Any]]:
    return [
        [device.sip_user for device in devices],
        [device.binding.key for device in devices],
        [node for _ in devices],
        [device.tenant for device in devices],
        [device.user_id for device in devices],
        [_json(device) for device in devices],
        [device.registered_at for device in devices],
        [device.expires_at for device in devices],
        [device.known_at for device in devices],
        [device.left_at is not None for device in devices],
    ]


def _json(device: Device) -> dict[str, Any]:
    binding = device.binding
    return {
        "heard_at": device.heard_at.isoformat(),
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
