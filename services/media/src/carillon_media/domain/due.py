"""When things are to be looked at again, so that what is not due costs nothing.

Invariant: a name waits once, at the earliest time that was asked for; times are an argument.
"""

import heapq


class Due:
    """Names and when each is due."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._at)

    def note(self, name: str, at: float) -> None:
        """Look at it then, or at the time that it waits for if that is earlier."""
        if at < self._at.get(name, float("inf")):
            self._at[name] = at
            heapq.heappush(self._heap, (at, name))

    def take(self, now: float) -> list[str]:
        """What is due; it waits no more. Who looks and finds that it is not over yet notes it again."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            at, name = heapq.heappop(self._heap)
            if self._at.get(name) == at:
                del self._at[name]
                found.append(name)
        return found
