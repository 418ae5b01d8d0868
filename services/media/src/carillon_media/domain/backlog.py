"""How long calls wait for us: the sign that they come faster than they can be served.

What counts is the shortest wait of late, not the longest (as in CoDel, RFC 8289 section 3.1): one call that waits for something of its
own says nothing of the others, and after a machine stood still once the waits are short again at once.

Invariant: a call counts as waiting from its `began` to its `served`. Times are monotonic seconds.
"""

#: Fewer calls that wait are no queue: they may wait for something of their own.
MANY = 8
#: Whoever has waited so long for what has deadlines of its own says nothing of new calls any more.
LONGEST = 10.0


class Backlog:
    """`high` while many wait and the shortest wait is longer than `seconds`, for as long."""

    __slots__ = ("_before", "_begun", "_last", "_least", "_seconds", "_since", "_waiting")

    def __init__(self, seconds: float = 0.5) -> None:
        self._seconds = seconds
        self._waiting = 0
        #: Since when somebody waits, and when a call was served last.
        self._since = self._last = float("-inf")
        #: When this span of `seconds` began, the shortest wait in it and in the one before.
        self._begun, self._least, self._before = float("-inf"), 0.0, 0.0

    def began(self, now: float) -> None:
        """A call has something to do."""
        if not self._waiting:
            self._since = now
            if now - self._last >= self._seconds:
                self._begun, self._least, self._before = now, 0.0, 0.0
        self._waiting += 1

    def served(self, came: float, now: float) -> None:
        """What a call had to do since `came` is done."""
        self._waiting -= 1
        self._last = now
        if now - self._begun < self._seconds:
            self._least = min(self._least, now - came)
        else:
            self._begun, self._before, self._least = now, self._least, now - came

    def high(self, now: float) -> bool:
        """New calls are better refused."""
        if self._waiting < MANY:
            return False
        quiet = now - max(self._last, self._since)
        return quiet < LONGEST if quiet > self._seconds else min(self._least, self._before) > self._seconds
