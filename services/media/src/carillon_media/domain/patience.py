"""Requests that calls go before: whoever registers or subscribes may wait a little when a node has too much to do, who talks may not.

Invariant: as many wait as fit, none longer than `LONGEST` seconds; the same datagram waits once, however often it was sent again. What is
dropped is sent again by its phone (RFC 3261 section 17.1.2.2), so work that nobody waits for any more is not done.
"""

from collections.abc import Iterator

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
        #: Datagrams that did not fit or waited too long, for metrics.
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
        """Those that waited longest, at most so many, each with where it came from."""
        while self._entries and most > 0:
            key = next(iter(self._entries))
            if now - self._entries.pop(key) > self._longest:
                self.dropped += 1
                continue
            most -= 1
            yield key[1], key[0]
