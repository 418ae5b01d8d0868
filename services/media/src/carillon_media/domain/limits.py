"""What limits are made of: numbers, token buckets, failures that are forgiven with time, tables that do not grow.

Invariant: time is monotonic seconds and an argument; nothing here knows what is counted.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """Limits. Rates are per second; a success gives back what its request and its challenge took."""

    #: Requests of one source that have not proved themselves.
    source_burst: float = 2000.0
    source_rate: float = 50.0
    #: The same of one registered device, before it takes from its source's.
    device_burst: float = 100.0
    device_rate: float = 10.0
    #: Of all sources together that never proved themselves.
    strangers_burst: float = 5000.0
    strangers_rate: float = 1000.0
    #: 503s to one source; past that it is dropped in silence.
    refusal_burst: float = 50.0
    refusal_rate: float = 10.0
    #: So many failures make a ban or a lock; one is forgiven every so many seconds.
    failures: float = 20.0
    forgiven_seconds: float = 30.0
    #: What an unanswered challenge, and a connection closed for flooding, count as, over TCP and TLS.
    challenge_weight: float = 0.2
    flood_weight: float = 4.0
    #: First, second, third ban of the same source or account; the last is repeated.
    ban_seconds: tuple[float, ...] = (60.0, 300.0, 1800.0, 10_800.0, 86_400.0)
    #: After so long without a new one, earlier bans are forgotten.
    offence_seconds: float = 86_400.0
    #: A source that proved itself is no stranger for so long.
    proof_seconds: float = 3600.0
    #: An address that had an account's password is not locked out of it for so long.
    owner_seconds: float = 7 * 86_400.0
    report_seconds: float = 60.0
    max_sources: int = 20_000
    max_accounts: int = 20_000
    max_bans: int = 10_000
    max_devices: int = 200_000


@dataclass(slots=True)
class Bucket:
    """A token bucket: `level` tokens at the time `at`."""

    level: float
    at: float

    def take(self, rate: float, burst: float, now: float, tokens: float = 1.0) -> bool:
        """Take tokens if they are there."""
        level = min(burst, self.level + (now - self.at) * rate)
        self.at = now
        self.level = level - tokens if level >= tokens else level
        return level >= tokens

    def give(self, burst: float, tokens: float) -> None:
        """Give tokens back."""
        self.level = min(burst, self.level + tokens)


@dataclass(slots=True)
class Failures:
    """Failures that are not yet forgiven, and the bans they led to."""

    points: float = 0.0
    at: float = 0.0
    offences: int = 0
    last_offence: float = float("-inf")

    def add(self, weight: float, now: float, settings: GuardSettings) -> bool:
        """Whether the limit is reached; then the count begins anew."""
        self.points = max(0.0, self.points - (now - self.at) / settings.forgiven_seconds) + weight
        self.at = now
        if self.points <= settings.failures - 1.0:  # so that a little forgiving between two failures does not cost one more
            return False
        self.points = 0.0
        return True

    def offend(self, now: float, settings: GuardSettings) -> float:
        """How long the ban lasts that begins now."""
        if now - self.last_offence > settings.offence_seconds:
            self.offences = 0
        seconds = settings.ban_seconds[min(self.offences, len(settings.ban_seconds) - 1)]
        self.offences += 1
        self.last_offence = now + seconds
        return seconds


class Table(Generic[T]):
    """The newest `size` entries by name."""

    def __init__(self, size: int, make: Callable[[], T]) -> None:
        self._size = size
        self._make = make
        self._entries: dict[str, T] = {}

    def find(self, name: str) -> T | None:
        """The entry if there is one; it gets no newer."""
        return self._entries.get(name)

    def use(self, name: str) -> T:
        """The entry, made if need be; it is the newest now."""
        found = self._entries.pop(name, None)
        if found is None:
            found = self._make()
            if len(self._entries) >= self._size:
                del self._entries[next(iter(self._entries))]
        self._entries[name] = found
        return found

    def forget(self, name: str) -> None:
        """Take it out."""
        self._entries.pop(name, None)

    def items(self) -> Iterable[tuple[str, T]]:
        """By name, the newest last."""
        return self._entries.items()

    def __len__(self) -> int:
        return len(self._entries)
