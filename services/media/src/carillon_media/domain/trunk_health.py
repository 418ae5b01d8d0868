"""Whether a carrier's server answers: OPTIONS asked in time, calls that heard nothing, and when it is asked again.

Invariant: a server is down only after it was silent or said that it cannot; any other answer makes it up. Times are monotonic seconds.
"""

from dataclasses import dataclass, replace
from typing import Literal

State = Literal["unknown", "up", "down"]
#: A server that is down is asked at least so often.
DOWN_PING = 10.0
#: A server that is never asked is tried again by a call after this.
HOLD = 30.0
#: Answers to OPTIONS that say "send me no calls"; any other answer shows that somebody is there.
_CANNOT = frozenset({408, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Health:
    """A server as it was last seen. `ping`: seconds between OPTIONS, 0: never asked."""

    ping: float
    state: State = "unknown"
    next_at: float = 0.0
    sip_status: int = 0

    def usable(self, now: float) -> bool:
        """Whether calls may try it."""
        return self.state != "down" or (not self.ping and now >= self.next_at)

    def due(self, now: float) -> bool:
        """Whether OPTIONS should go out."""
        return bool(self.ping) and now >= self.next_at


def asked(health: Health, now: float) -> Health:
    """OPTIONS went out."""
    return replace(health, next_at=now + _interval(health))


def answered(health: Health, status: int, now: float) -> Health:
    """It answered OPTIONS, or a call."""
    if status in _CANNOT:
        return replace(_down(health, now), sip_status=status)
    return replace(health, state="up", next_at=max(health.next_at, now + health.ping) if health.ping else 0.0, sip_status=status)


def silent(health: Health, now: float) -> Health:
    """It said nothing to OPTIONS, or to a call."""
    return replace(_down(health, now), sip_status=0)


def _down(health: Health, now: float) -> Health:
    down = replace(health, state="down")
    return replace(down, next_at=now + (_interval(down) if health.ping else HOLD))


def _interval(health: Health) -> float:
    return min(health.ping, DOWN_PING) if health.state == "down" else health.ping
