"""Identifiers and tokens from a pool of the operating system's randomness: one system call for a hundred of them.

Invariant: every byte of the pool is used once; `uuid7()` values of one process sort in the order they were made.
"""

import os
import time
from uuid import UUID

_POOL = 4096
_VERSION_AND_VARIANT = (0x7 << 76) | (0b10 << 62)


class PooledIds:
    """`carillon_kit.ids.Ids`, for the hot path."""

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0
        self._last = 0

    def _take(self, nbytes: int) -> bytes:
        if nbytes > _POOL:
            return os.urandom(nbytes)
        end = self._at + nbytes
        if end > len(self._pool):
            self._pool = os.urandom(_POOL)
            self._at, end = 0, nbytes
        taken = self._pool[self._at : end]
        self._at = end
        return taken

    def token(self, nbytes: int = 8) -> str:
        """Unguessable: `nbytes` of the pool as hex."""
        return self._take(nbytes).hex()

    def uuid7(self) -> UUID:
        """RFC 9562 section 6.2 method 3: milliseconds, 12 bits of sub-millisecond time, 62 random bits."""
        milliseconds, rest = divmod(time.time_ns(), 1_000_000)
        stamp = max((milliseconds << 12) | (rest << 12) // 1_000_000, self._last + 1)
        self._last = stamp
        random = int.from_bytes(self._take(8), "big") & 0x3FFF_FFFF_FFFF_FFFF
        return UUID(int=(stamp >> 12 & 0xFFFF_FFFF_FFFF) << 80 | (stamp & 0xFFF) << 64 | _VERSION_AND_VARIANT | random)
