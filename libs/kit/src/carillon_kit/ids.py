"""Identifiers and unguessable tokens as an argument.

Invariant: `uuid7()` values of one source sort in the order they were made (RFC 9562 section 5.7); tokens come from the
operating system's random source, except in tests.
"""

import hashlib
import os
import time
from typing import Protocol
from uuid import UUID

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62


class Ids(Protocol):
    """A source of identifiers."""

    def uuid7(self) -> UUID:
        """A new UUIDv7."""

    def token(self, nbytes: int = 8) -> str:
        """`nbytes` random bytes as lower-case hex."""


class SystemIds:
    """UUIDv7 by the wall clock, monotonic within this process; tokens by `os.urandom`."""

    def __init__(self) -> None:
        self._last = 0

    def uuid7(self) -> UUID:
        """RFC 9562 section 6.2 method 3: milliseconds, 12 bits of sub-millisecond time, 62 random bits."""
        nanoseconds = time.time_ns()
        milliseconds, rest = divmod(nanoseconds, 1_000_000)
        stamp = (milliseconds << 12) | (rest << 12) // 1_000_000
        if stamp <= self._last:
            stamp = self._last + 1
        self._last = stamp
        return _uuid7(stamp, int.from_bytes(os.urandom(8)))

    def token(self, nbytes: int = 8) -> str:
        """Unguessable: `nbytes` of `os.urandom` as hex."""
        return os.urandom(nbytes).hex()


class SequenceIds:
    """Deterministic identifiers for tests: the same seed gives the same sequence, in order."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._count = 0

    def uuid7(self) -> UUID:
        """The next of the sequence: its time is the count, its random part comes from seed and count."""
        self._count += 1
        return _uuid7(self._count, int.from_bytes(self._digest(8)))

    def token(self, nbytes: int = 8) -> str:
        """The next of the sequence, as hex."""
        self._count += 1
        return self._digest(nbytes).hex()

    def _digest(self, nbytes: int) -> bytes:
        return hashlib.shake_128(f"{self._seed}/{self._count}".encode()).digest(nbytes)


def _uuid7(stamp: int, random: int) -> UUID:
    milliseconds, fraction = stamp >> 12, stamp & 0xFFF
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | _VERSION_7 | fraction << 64 | _VARIANT | (random & 0x3FFF_FFFF_FFFF_FFFF)
    return UUID(int=value)
