"""Embedded NATS and Postgres: the servers' binaries as Python packages, for one machine and for tests.

Both offer the same doors to a supervisor that runs them as its own children: `prepare()`, `command()`, `environment()`,
`await wait_ready(timeout)`, `reload(pid)`, `stop_signal`; and `start()`/`stop()` to who has no supervisor. Needs the extra
`carillon-kit[embedded]`.
"""

from carillon_kit.embedded.nats import EmbeddedNats, NatsUser
from carillon_kit.embedded.postgres import EmbeddedPostgres, ensure_database, ensure_role_and_schema
from carillon_kit.embedded.server import EmbeddedServer, free_port

__all__ = [
    "EmbeddedNats",
    "EmbeddedPostgres",
    "EmbeddedServer",
    "NatsUser",
    "ensure_database",
    "ensure_role_and_schema",
    "free_port",
]
