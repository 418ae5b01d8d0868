"""How many calls a trunk has, and how many new ones came within the last second.

Invariant: a leg is counted once and let go once, whoever says so how often; a call for help is counted and never refused.
"""

from collections import deque

SECOND = 1.0
Key = tuple[str, str]


class TrunkCalls:
    """Calls of all trunks by (tenant, trunk id); a leg is named by a text that is unique in the installation."""

    def __init__(self) -> None:
        self._legs: dict[str, Key] = {}
        self._counts: dict[Key, int] = {}
        self._recent: dict[Key, deque[float]] = {}

    def count(self, key: Key) -> int:
        """Calls now, both directions."""
        return self._counts.get(key, 0)

    def full(self, key: Key, max_calls: int) -> bool:
        """Whether no further call fits; `max_calls` 0: there is no limit."""
        return bool(max_calls) and self.count(key) >= max_calls

    def begin(self, leg: str, key: Key, now: float, *, max_calls: int, max_per_second: int, emergency: bool = False) -> bool:
        """Count a new leg; False: it is over a limit and not counted. A limit of 0 is none."""
        if leg in self._legs:
            return True
        if not emergency and (self.full(key, max_calls) or not self._in_time(key, now, max_per_second)):
            return False
        self._legs[leg] = key
        self._counts[key] = self.count(key) + 1
        return True

    def end(self, leg: str) -> None:
        """The leg is over; nothing happens for one that was never counted."""
        key = self._legs.pop(leg, None)
        if key is None:
            return
        left = self._counts[key] - 1
        if left:
            self._counts[key] = left
        else:
            del self._counts[key]

    def _in_time(self, key: Key, now: float, max_per_second: int) -> bool:
        if not max_per_second:
            self._recent.pop(key, None)
            return True
        recent = self._recent.setdefault(key, deque())
        while recent and recent[0] <= now - SECOND:
            recent.popleft()
        if len(recent) >= max_per_second:
            return False
        recent.append(now)
        return True
