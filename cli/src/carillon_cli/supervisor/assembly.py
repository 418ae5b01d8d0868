"""One running system: what is started in which order, kept, described in `run.json`, and ended.

Always: `run.json` is there only while every process was ready once and none was given up; it is rewritten whenever a pid or a tenant
changes, and removed before anything is ended.
"""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import asyncpg

from carillon_cli.errors import CliError
from carillon_cli.supervisor import catalogue, nats_users
from carillon_cli.supervisor.layout import GRPC_SERVICES, LONGEST_SOCKET_PATH, Folders, Options
from carillon_cli.supervisor.lock import write_pids
from carillon_cli.supervisor.log import Log, render
from carillon_cli.supervisor.policy import RestartPolicy, hopeless
from carillon_cli.supervisor.processes import Processes
from carillon_cli.supervisor.run_file import Facts, run_file
from carillon_cli.supervisor.secrets import Secrets, read_json, write_private
from carillon_cli.supervisor.tenants import complete, fold
from carillon_contracts.streams import CONFIG
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.auth import OPERATOR, issue_token
from carillon_kit.bus import Bus, Follower
from carillon_kit.embedded import EmbeddedNats, EmbeddedPostgres, NatsUser, ensure_database, ensure_role_and_schema

DATABASE = "carillon"
START_SECONDS = 60.0
#: A process that dies so often before the system was ever ready is a reason to give up.
GIVE_UP = 3
#: NATS and Postgres may have to wait for what an earlier run of theirs still holds.
SERVERS = (catalogue.NATS, catalogue.POSTGRES)
GIVE_UP_SERVERS = 5
REACH_SECONDS = 5.0
UNSET = "Unset the variable, and `carillon up` starts a server of its own."
#: Several changes in a row make one new `run.json`.
SETTLE_SECONDS = 0.05
#: At most so much of the time goes into writing it: of a large tenant it takes half a second.
RUN_FILE_SHARE = 0.1


class Assembly:
    """The system of one data folder. `start`, `announce`, then wait as long as you like, then `stop`."""

    def __init__(self, options: Options, log: Log) -> None:
        self.options, self.log = options, log
        self.folders = Folders(options.data)
        self.secrets = Secrets(self.folders.secrets)
        self.processes = Processes(log, RestartPolicy(), self._changed)
        self.tenants: dict[str, TenantConfig] = {}
        self._nats = EmbeddedNats(self.folders.of("nats"), options.ports.nats) if not os.environ.get("CARILLON_NATS_URL") else None
        self._postgres = (
            EmbeddedPostgres(self.folders.of("postgres"), options.ports.postgres) if not os.environ.get("CARILLON_POSTGRES_DSN") else None
        )
        self._plane_folder: tempfile.TemporaryDirectory[str] | None = None
        self._background: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._ready = False
        self._begun = monotonic()
        self._nats_tenants: frozenset[str] = frozenset()

    async def start(self) -> None:
        """Start everything and return when all of it serves. Raises `CliError` when it does not."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._start()
        except TimeoutError as error:
            late = [name for name in self.processes.children if not await self.processes.ready(name)]
            raise CliError(f"not ready after {START_SECONDS:g} s: {', '.join(late)}", f"Their logs are in {self.folders.log}.") from error

    def announce(self) -> None:
        """Write `run.json`, and keep it up to date from now on."""
        self._ready = True
        self._write()
        self._keep(self._rewrite(), "run file")
        self.log.say(f"ready after {monotonic() - self._begun:.1f} s", run_file=str(self.folders.run_file))

    async def stop(self) -> None:
        """Remove `run.json`, end every process in order."""
        self._ready = False
        self.folders.run_file.unlink(missing_ok=True)
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.processes.stop()
        write_pids(self.folders.root, self.processes.pids)
        if self._plane_folder is not None:
            self._plane_folder.cleanup()

    async def tenant_is_known(self, tenant: str, config_seq: int) -> None:
        """Return once the tenant's configuration has come through; the caller sets the deadline."""
        while tenant not in complete(self.tenants) or self.tenants[tenant].seq < config_seq:  # noqa: ASYNC110 - rare, at most a second
            await asyncio.sleep(0.02)

    async def _start(self) -> None:
        watch, starting = asyncio.create_task(self._give_up()), asyncio.create_task(self._bring_up())
        try:
            await asyncio.wait({watch, starting}, return_when=asyncio.FIRST_COMPLETED)
            (starting if starting.done() else watch).result()
        finally:
            watch.cancel()
            starting.cancel()
            await asyncio.gather(watch, starting, return_exceptions=True)

    async def _bring_up(self) -> None:
        socket = self._plane_socket()
        await self.processes.start(catalogue.plane_spec(catalogue.PLANE, self.options, socket))
        async with asyncio.TaskGroup() as group:
            nats = group.create_task(self._start_nats())
            postgres = group.create_task(self._start_postgres())
        backing = catalogue.Backing(postgres.result(), nats.result(), self.secrets.get("token_key"), socket)
        for service in GRPC_SERVICES:
            await self.processes.start(catalogue.service_spec(service, self.options, self.folders, backing))
        async with asyncio.TaskGroup() as group:
            for name in (catalogue.PLANE, *GRPC_SERVICES):
                group.create_task(self._ready_once(name))
        await self.processes.start(catalogue.plane_spec(catalogue.STANDBY, self.options, socket))
        self._keep(self._follow(), "tenants")
        await self._caught_up.wait()

    async def _ready_once(self, name: str) -> None:
        begun = monotonic()
        await self.processes.wait_ready(name)
        self.log.say(f"{name} is ready", after_seconds=round(monotonic() - begun, 2))

    async def _give_up(self) -> None:
        while not (dead := self._hopeless()):  # noqa: ASYNC110 - only while starting
            await asyncio.sleep(0.1)
        last = [f"  {render(name, line, datetime.now(UTC), colour=False)}" for name in dead for line in self.log.last.get(name, [])[-3:]]
        raise CliError("\n".join([f"{', '.join(dead)} cannot start:", *last]), f"Logs are in {self.folders.log}.")

    def _hopeless(self) -> list[str]:
        children = self.processes.children
        servers = hopeless({name: child for name, child in children.items() if name in SERVERS}, GIVE_UP_SERVERS)
        return [*servers, *hopeless({name: child for name, child in children.items() if name not in SERVERS}, GIVE_UP)]

    async def _start_nats(self) -> dict[str, str]:
        """NATS URL of each service and of the operator."""
        names = (*GRPC_SERVICES, nats_users.OPERATOR)
        if self._nats is None:
            try:
                await (await Bus.connect(os.environ["CARILLON_NATS_URL"], "carillon up", timeout=REACH_SECONDS)).close()
            except (OSError, ValueError) as error:
                raise CliError(f"the NATS server of CARILLON_NATS_URL cannot be reached: {error}", UNSET) from error
            return dict.fromkeys(names, os.environ["CARILLON_NATS_URL"])
        self._nats.set_users(self._users())
        self._nats.prepare()
        await self.processes.start(catalogue.server_spec(catalogue.NATS, self._nats))
        await self.processes.wait_ready(catalogue.NATS)
        return {name: self._nats.url(name) for name in names}

    async def _start_postgres(self) -> dict[str, str]:
        """DSN of each service that has a schema."""
        if self._postgres is None:
            try:
                return await self._roles(os.environ["CARILLON_POSTGRES_DSN"])
            except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                raise CliError(f"the Postgres server of CARILLON_POSTGRES_DSN cannot be used: {error}", UNSET) from error
        await asyncio.to_thread(self._postgres.prepare)
        await self.processes.start(catalogue.server_spec(catalogue.POSTGRES, self._postgres))
        await self.processes.wait_ready(catalogue.POSTGRES)
        await ensure_database(self._postgres.dsn(), DATABASE)
        return await self._roles(self._postgres.dsn(DATABASE))

    async def _roles(self, admin: str) -> dict[str, str]:
        self._admin_dsn = admin
        names = catalogue.WITH_DATABASE
        dsns = await asyncio.gather(*(ensure_role_and_schema(admin, name, self.secrets.get(f"postgres-{name}")) for name in names))
        return dict(zip(names, dsns, strict=True))

    def _plane_socket(self) -> Path:
        """Where the media plane listens; elsewhere when the data folder's path is too long for a Unix socket."""
        path = self.folders.root / "plane.sock"
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
            self._plane_folder = tempfile.TemporaryDirectory(prefix="carillon-")
            path = Path(self._plane_folder.name) / "plane.sock"
        path.unlink(missing_ok=True)
        return path

    def _users(self) -> tuple[NatsUser, ...]:
        return nats_users.nats_users(GRPC_SERVICES, complete(self.tenants), lambda name: self.secrets.get(f"nats-{name}"))

    async def _follow(self) -> None:
        """Fold the tenants' configuration; give a new one its NATS user."""
        async with await Bus.connect(self._operator_url(), "carillon-up") as bus:
            follower = bus.follow(CONFIG.name, CONFIG.subjects[0])
            self._keep(self._catch_up(follower), "catching up")
            async for message in follower:
                self.tenants = fold(self.tenants, message.data)
                known = frozenset(complete(self.tenants))
                if known != self._nats_tenants:
                    self._nats_tenants = known
                    self._reload_nats()
                self._news.set()

    async def _catch_up(self, follower: Follower) -> None:
        await follower.caught_up(START_SECONDS)
        self._caught_up.set()

    def _reload_nats(self) -> None:
        if self._nats is None:
            return
        self._nats.set_users(self._users())
        self._nats.prepare()
        if (pid := self.processes.pids.get(catalogue.NATS)) is not None:
            with contextlib.suppress(ProcessLookupError):
                self._nats.reload(pid)

    def _operator_url(self) -> str:
        return os.environ["CARILLON_NATS_URL"] if self._nats is None else self._nats.url(nats_users.OPERATOR)

    def _changed(self) -> None:
        self._news.set()
        write_pids(self.folders.root, self.processes.pids)

    async def _rewrite(self) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            self._news.clear()
            begun = monotonic()
            self._write()
            await asyncio.sleep((monotonic() - begun) / RUN_FILE_SHARE)

    def _write(self) -> None:
        if self._ready:
            write_private(self.folders.run_file, run_file(self._facts()))

    def _facts(self) -> Facts:
        known = complete(self.tenants)
        embedded = self._nats is not None
        return Facts(
            options=self.options,
            nats_url=self._operator_url(),
            nats_host=f"127.0.0.1:{self.options.ports.nats}",
            postgres_dsn=self._admin_dsn,
            admin_token=issue_token(self.secrets.get("token_key"), "operator", None, [OPERATOR]),
            maildir=self.folders.mail,
            clock=self.folders.clock if self.options.test_clock else None,
            processes=self.processes.pids,
            tenants=known,
            sip_passwords=read_json(self.folders.credentials),
            nats_passwords={name: self.secrets.get(f"nats-{nats_users.tenant_user(name)}") for name in known} if embedded else {},
        )

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._background.append(task)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.log.say(f"{task.get_name()} has stopped: {error!r}; run.json is no longer kept up to date", "error")
