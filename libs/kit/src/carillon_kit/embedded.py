"""Embedded NATS and Postgres: the servers' binaries as Python packages, for one machine and for tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class NatsUser:
    """A NATS user; empty `publish`/`subscribe`: everything is allowed."""

    name: str
    password: str
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()


class EmbeddedNats:
    """nats-server with JetStream in `folder`."""

    def __init__(self, folder: Path | str, port: int, users: tuple[NatsUser, ...] = (), host: str = "127.0.0.1") -> None:
        raise NotImplementedError

    def set_users(self, users: tuple[NatsUser, ...]) -> None:
        """Use these users from the next `prepare()` or `reload()` on."""
        raise NotImplementedError

    def url(self, user: str | None = None) -> str:
        """`nats://user:password@host:port`"""
        raise NotImplementedError

    def prepare(self) -> None:
        """Make folders and write the configuration."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """The command line that runs the server in the foreground."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Environment variables to add for the command."""
        raise NotImplementedError

    async def wait_ready(self, timeout: float = 10.0) -> None:
        """Return once JetStream answers; raises `TimeoutError`."""
        raise NotImplementedError

    def reload(self, pid: int) -> None:
        """Rewrite the configuration and have the process `pid` read it (SIGHUP)."""
        raise NotImplementedError

    async def start(self) -> None:
        """Prepare, run, wait until ready (for tests; `carillon up` runs the command itself)."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Stop in order, bounded."""
        raise NotImplementedError


class EmbeddedPostgres:
    """Postgres in `folder`; as root it runs as `nobody`."""

    def __init__(self, folder: Path | str, port: int, host: str = "127.0.0.1") -> None:
        raise NotImplementedError

    def dsn(self, database: str = "postgres") -> str:
        """The superuser's DSN."""
        raise NotImplementedError

    def prepare(self) -> None:
        """`initdb` once, folders, owners."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """The command line that runs the server in the foreground (drops to `nobody` itself when root). Stop fast with SIGINT."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Environment variables to add for the command."""
        raise NotImplementedError

    async def wait_ready(self, timeout: float = 10.0) -> None:
        """Return once it takes connections; raises `TimeoutError`."""
        raise NotImplementedError

    def reload(self, pid: int) -> None:
        """Have the process `pid` read its configuration (SIGHUP)."""
        raise NotImplementedError

    async def start(self) -> None:
        """Prepare, run, wait until ready."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Stop fast, bounded."""
        raise NotImplementedError


async def ensure_database(dsn: str, database: str) -> None:
    """Create `database` unless it is there; `dsn` is a superuser's."""
    raise NotImplementedError


async def ensure_role_and_schema(dsn: str, name: str, password: str) -> str:
    """Role and schema `name` in the database of `dsn` (a superuser's), search_path set; returns the role's DSN."""
    raise NotImplementedError
