"""The keys that tokens are signed with: made, rotated and published here, checked everywhere.

Always: a key is published before it signs, and goes on to count until the last token that it signed is past; the private half is kept
sealed. Replicas share the keys by the database; which of them makes the next one does not matter.
"""

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from carillon_contracts.envelope import Event
from carillon_contracts.keys import KeyPublished
from carillon_contracts.streams import KEYS, key_subject
from carillon_kit.bus import Bus, Outgoing, PublishFailed
from carillon_kit.clock import Clock
from carillon_kit.ids import Ids
from carillon_kit.logs import get_logger
from carillon_kit.postgres import UNAVAILABLE
from carillon_kit.sealing import Sealer

#: Purpose of the seals of private keys.
SIGNING_KEYS = "token signing keys"
#: A new key signs only after this, so that it is known everywhere; the very first one signs at once.
SETTLE = timedelta(seconds=30)
#: Published again so often, for a bus that lost its store.
REPUBLISH_SECONDS = 600.0
_RETRY_SECONDS = 1.0
_NEW = """
insert into signing_key (kid, private_sealed, public_x, created_at)
select $1, $2, $3, $4 where not exists (select from signing_key where created_at > $5)"""
_ALL = "select kid, private_sealed, public_x, created_at from signing_key where created_at > $1 order by created_at desc"
_FORGET = "delete from signing_key where created_at < $1"
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key."""

    kid: str
    private: Ed25519PrivateKey = field(repr=False)
    #: The public half as a JWK has it (RFC 8037 section 2).
    x: str
    created_at: datetime


class TokenKeys:
    """Call `refresh` before the first token; run `run` as a task."""

    def __init__(self, pool: "asyncpg.Pool[Any]", bus: Bus, sealer: Sealer, clock: Clock, ids: Ids, rotate_hours: float) -> None:
        self._pool = pool
        self._bus = bus
        self._sealer = sealer
        self._clock = clock
        self._ids = ids
        self._rotate = timedelta(hours=rotate_hours)
        self._keys: Sequence[SigningKey] = ()

    @property
    def keys(self) -> Sequence[SigningKey]:
        """Every key that counts, the newest first."""
        return self._keys

    def signing(self) -> SigningKey:
        """The key to sign with now; raises `LookupError` before `refresh`."""
        now = self._clock.now()
        settled = (key for key in self._keys if now - key.created_at >= SETTLE)
        found = next(settled, self._keys[-1] if self._keys else None)
        if found is None:
            raise LookupError("there is no key to sign with yet")
        return found

    async def refresh(self) -> None:
        """Make a key if the newest is old, forget those that are past, read the rest. Raises what asyncpg raises."""
        now = self._clock.now()
        private = Ed25519PrivateKey.generate()
        kid = self._ids.token(8)
        x, sealed = _base64(private.public_key().public_bytes_raw()), self._sealer.seal(_base64(private.private_bytes_raw()), kid)
        await self._pool.execute(_NEW, kid, sealed, x, now, now - self._rotate)
        await self._pool.execute(_FORGET, now - 2 * self._rotate)
        rows = await self._pool.fetch(_ALL, now - 2 * self._rotate)
        self._keys = [self._read(row) for row in rows]

    async def publish(self) -> None:
        """Have every service know the keys; raises `PublishFailed`."""
        messages = []
        for key in self._keys:
            event = Event(
                id=self._ids.uuid7(),
                source="carillon/directory",
                type=f"carillon.{KeyPublished.TYPE}",
                subject=f"key/{key.kid}",
                time=self._clock.now(),
                data=KeyPublished(kid=key.kid, x=key.x).model_dump(mode="json"),
                tenantid="_operator",
            )
            messages.append(Outgoing(key_subject(key.kid), event.to_json(), str(event.id)))
        if await self._bus.publish_many(KEYS.name, messages):
            raise PublishFailed("the stream of keys refused a key")

    async def run(self) -> None:
        """Refresh and publish until cancelled; the database's or the bus's absence only delays."""
        while True:
            pause = min(REPUBLISH_SECONDS, self._rotate.total_seconds() / 4)
            try:
                await self.refresh()
                await self.publish()
            except (*UNAVAILABLE, PublishFailed) as error:
                _log.warning("keys of tokens could not be published", error=f"{type(error).__name__}: {error}")
                pause = _RETRY_SECONDS
            await asyncio.sleep(pause)

    def _read(self, row: Any) -> SigningKey:
        raw = base64.urlsafe_b64decode(self._sealer.open(row["private_sealed"], row["kid"]) + "=")
        return SigningKey(row["kid"], Ed25519PrivateKey.from_private_bytes(raw), row["public_x"], row["created_at"])


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
