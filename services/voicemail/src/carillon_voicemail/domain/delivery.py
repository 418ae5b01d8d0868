"""When a failed e-mail is tried again, and when it is given up."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Each failure doubles the delay, from `first_seconds` to `longest_seconds`; `give_up_after` counts from the message's storing."""

    first_seconds: float = 1.0
    longest_seconds: float = 1800.0
    give_up_after: timedelta = timedelta(days=5)

    def delay(self, attempts: int) -> float:
        """Seconds to wait after that many attempts (1 or more)."""
        return min(self.first_seconds * 2.0 ** min(attempts - 1, 62), self.longest_seconds)
