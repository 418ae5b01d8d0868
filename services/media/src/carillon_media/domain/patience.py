"""Requests that calls go before: whoever registers or subscribes may wait a little when a node has too much to do, who talks may not.

Invariant: as many wait as fit, none is heard after `LONGEST` seconds, and the same datagram waits once, however often it was sent again.
Who waited too long is to be told to come back later: to answer costs a tenth of what to hear costs, and phones that get no answer send
again and again (RFC 3261 section 17.1.2.2). What does not fit is dropped.
"""

from collections.abc import Iterator
from zlib import crc32

_PATIENT = (b"REGISTER ", b"SUBSCRIBE ", b"PUBLISH ")
Address = tuple[str, int]
#: Phones send a request again after 0.5, 1.5 and 3.5 s.
LONGEST = 2.0
#: A second of an office of thousands that comes back after a power cut.
MOST = 5000


def is_patient(data: bytes) -> bool:
    """Whether the request of a datagram may wait."""
    return data.startswith(_PATIENT)


class Waiting:
    """Datagrams in the order in which they came."""

    def __init__(self, most: int = MOST, longest: float = LONGEST) -> None:
        self._most = most
        self._longest = longest
        self._entries: dict[tuple[Address, bytes], float] = {}
        #: Datagrams that did not fit, for metrics.
        self.dropped = 0

    def __bool__(self) -> bool:
        return bool(self._entries)

    def add(self, data: bytes, remote: Address, now: float) -> None:
        """It came now."""
        if len(self._entries) < self._most:
            self._entries.setdefault((remote, data), now)
        else:
            self.dropped += 1

    def take(self, most: int, now: float) -> Iterator[tuple[bytes, Address]]:
        """Those that are to be heard, at most so many, each with where it came from."""
        while self._entries and most > 0 and not self._is_late(now):
            yield self._first()
            most -= 1

    def late(self, most: int, now: float) -> Iterator[tuple[bytes, Address]]:
        """Those that waited too long, at most so many."""
        while self._entries and most > 0 and self._is_late(now):
            yield self._first()
            most -= 1

    def _is_late(self, now: float) -> bool:
        return now - next(iter(self._entries.values())) > self._longest

    def _first(self) -> tuple[bytes, Address]:
        remote, data = key = next(iter(self._entries))
        del self._entries[key]
        return data, remote


def come_back_after(remote: Address) -> int:
    """Seconds for Retry-After: not the same for all, or they would all come back at once."""
    return 20 + crc32(f"{remote[0]} {remote[1]}".encode()) % 40
