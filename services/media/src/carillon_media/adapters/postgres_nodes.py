"""The media nodes of an installation, each telling in Postgres that it lives and where the others reach it; and leases among them.

Invariant: a lease has one holder as long as the database is reached; a node that does not reach it keeps what it holds, because a carrier
that sees two registrations is served, and one that sees none is not.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from carillon_kit.clock import Clock
from carillon_media.adapters.database import Pool
from carillon_media.handlers.cluster import Cluster
from carillon_sip.flow import Address

BEAT_SECONDS = 2.0
#: A node that was not seen for so long is dead; its phones are not called through it, and its leases are others' to take.
DEAD_SECONDS = 10.0
LEASE = timedelta(seconds=DEAD_SECONDS)
_BEAT = """
insert into media_node (node, host, port, seen_at) values ($1, $2, $3, clock_timestamp())
on conflict (node) do update set host = excluded.host, port = excluded.port, seen_at = excluded.seen_at
"""
_PEERS = "select node, host, port from media_node where node <> $1 and seen_at > clock_timestamp() - $2::interval"
_FORGET = "delete from media_node where node = $1"
_LEASE = """
insert into lease (name, node, until) values ($1, $2, clock_timestamp() + $3::interval)
on conflict (name) do update set node = excluded.node, until = excluded.until where lease.node = $2 or lease.until < clock_timestamp()
returning node
"""
_RELEASE = "delete from lease where node = $1"


class PostgresNodes:
    """A `database.Table`. `address`: where others reach our phones, None while nothing listens. `leases`: by name, who is told."""

    def __init__(
        self,
        node: str,
        clock: Clock,
        address: Callable[[], Address | None],
        cluster: Cluster,
        leases: Mapping[str, Callable[[bool], None]],
    ) -> None:
        self._node = node
        self._clock = clock
        self._address = address
        self._cluster = cluster
        self._leases = leases
        self._beaten_at = float("-inf")

    async def load(self, pool: "Pool[Any]") -> None:
        """Who else is there."""
        await self._look(pool)

    async def turn(self, pool: "Pool[Any]") -> None:
        """Beat now and then."""
        if self._clock.monotonic() - self._beaten_at < BEAT_SECONDS:
            return
        address = self._address()
        if address is None:
            return
        self._beaten_at = self._clock.monotonic()
        await pool.execute(_BEAT, self._node, *address)
        await self._look(pool)
        for name, told in self._leases.items():
            told(await pool.fetchval(_LEASE, name, self._node, LEASE) is not None)

    async def hurry(self, pool: "Pool[Any]") -> None:
        """Nobody waits for it."""

    async def close(self, pool: "Pool[Any]") -> None:
        """Others may take over at once."""
        await pool.execute(_FORGET, self._node)
        await pool.execute(_RELEASE, self._node)

    async def _look(self, pool: "Pool[Any]") -> None:
        rows: Sequence[Any] = await pool.fetch(_PEERS, self._node, timedelta(seconds=DEAD_SECONDS))
        self._cluster.seen({row["node"]: (row["host"], row["port"]) for row in rows})
