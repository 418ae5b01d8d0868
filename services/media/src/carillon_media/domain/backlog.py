"""How many calls may be in set-up at once: the sign that they come faster than they can be served, before those let in suffer.

By Little's law a call waits as long as `calls in set-up here / calls served a second`. Calls in set-up are allowed up to the rate at which
calls were served of late times the seconds that one may wait. Beyond that, new ones are refused when they are what makes it grow: more
have been let in since than were served (a crowd that another service held up and let go at once is no fault of those who come now, and
shrinks by itself).

Invariants: a call counts here from `began` to `through`, but not from `left` to `returned`: what waits for others (a question to routing)
says nothing of us. A rate is learnt downwards only while calls queue up: who has little to do is not slow; upwards at once: as fast as
calls were served they can be, also after the disk or the machine stood still. Times are monotonic seconds.
"""

from math import exp
from typing import Literal

#: Served a second by a process of which nothing is known yet.
AT_FIRST = 100.0
#: Fewer are no crowd, however slow we are: they may wait for something of their own.
MANY = 8
#: How much of a crowd that is as large as it may be is let in besides while it shrinks and grows.
SLACK = 0.5
#: New calls for each one that is served while there are more than that, so that they get fewer.
SHRINK = 0.9
#: How far a call's set-up is: nobody was asked yet, somebody is asked, it goes on with the answer.
Stage = Literal["new", "away", "back"]
#: Seconds after which a rate that falls has gone most of the way to what it is now, and between two looks at it.
MEMORY, LOOK = 2.0, 0.25


class Backlog:
    """`high` while calls that are let in would wait for us longer than about one and a half times `seconds`."""

    __slots__ = ("_grown", "_here", "_looked", "_rate", "_seconds", "_served")

    def __init__(self, seconds: float = 0.5) -> None:
        self._seconds = seconds
        self._here = 0
        #: Let in less served since there were more here than should be; never below 0.
        self._grown = 0.0
        #: Calls a second that we can serve; served since the last look.
        self._rate, self._served = AT_FIRST, 0.0
        self._looked = float("-inf")

    @property
    def _limit(self) -> float:
        return max(MANY, self._seconds * self._rate)

    def began(self, now: float) -> None:
        """A call was let in."""
        self._look(now)
        self._here += 1
        self._grown += self._here > self._limit

    def left(self) -> None:
        """A call waits for somebody else: half of its work is done."""
        self._done(0.5)

    def returned(self) -> None:
        """It goes on here."""
        self._here += 1

    def through(self, stage: Stage) -> None:
        """A call knows where it goes, or is over."""
        if stage == "away":
            return
        self._done(1.0 if stage == "new" else 0.5)

    def _done(self, share: float) -> None:
        self._served += share
        limit = self._limit
        self._grown = max(0.0, self._grown - share * (1 if self._here <= (1 + SLACK) * limit else SHRINK))
        self._here -= 1
        if self._here <= limit:
            self._grown = 0.0

    def high(self, now: float) -> bool:
        """New calls are better refused."""
        self._look(now)
        return self._here > self._limit and self._grown >= max(MANY, SLACK * self._limit)

    def _look(self, now: float) -> None:
        elapsed = now - self._looked
        if elapsed < LOOK:
            return
        measured = self._served / elapsed
        self._looked, self._served = now, 0.0
        if measured > self._rate:
            self._rate = measured
        elif self._here > self._limit:
            self._rate += (measured - self._rate) * (1 - exp(-elapsed / MEMORY))
