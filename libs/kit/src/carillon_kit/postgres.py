"""Postgres: the connection pool and the migrations.

Invariant: a migration that ran is never edited (its hash is kept), and two migrators at once leave the schema as one would.
"""

from typing import Any

import asyncpg


class MigrationError(Exception):
    """A migration was edited, is missing, is numbered twice, or failed."""


async def open_pool(dsn: str, *, min_size: int = 1, max_size: int = 10, timeout: float = 10.0, **options: Any) -> "asyncpg.Pool[Any]":
    """A pool on `dsn`, waiting up to `timeout` seconds for the server; jsonb is read and written as Python values."""
    raise NotImplementedError


async def migrate(pool: "asyncpg.Pool[Any]", package: str | None = None, *, timeout: float = 60.0) -> list[str]:
    """Run kit's migrations (event, relay, inbox, dead_letter), then those of `package`; returns the names of the new ones."""
    raise NotImplementedError
