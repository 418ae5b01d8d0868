"""What the guard must not forget when its process dies: bans, locks, failures, offences and owners, as plain data.

Invariant: times are kept as seconds before or after the moment of saving, so that they hold for a process with another monotonic clock;
what cannot be read is left out, never raised.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from carillon_media.domain.limits import Failures


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class KeptFailures(_Kept):
    """`Failures`; `ago` and `last_offence` relative to the moment of saving (`last_offence` may lie ahead: the end of a ban)."""

    points: float = 0.0
    ago: float = 0.0
    offences: int = 0
    last_offence: float | None = None

    @classmethod
    def of(cls, failures: Failures, now: float) -> "KeptFailures":
        """As they are now."""
        last = failures.last_offence - now if failures.offences else None
        return cls(points=failures.points, ago=now - failures.at, offences=failures.offences, last_offence=last)

    def failures(self, then: float) -> Failures:
        """`then`: the moment of saving in the clock of now."""
        last = float("-inf") if self.last_offence is None else then + self.last_offence
        return Failures(self.points, then - self.ago, self.offences, last)


class KeptBan(_Kept):
    """A ban or lock; `left`: seconds."""

    name: str
    reason: Literal["failures", "unanswered_challenges", "flood"]
    left: float
    offence: int


class KeptEntry(_Kept):
    """A source with the accounts that it tried, or an account with its owners (address: seconds left)."""

    name: str
    failures: KeptFailures = KeptFailures()
    accounts: tuple[str, ...] = ()
    owners: Mapping[str, float] = {}


class GuardMemory(_Kept):
    """Everything; `saved_at` is wall-clock time in seconds since 1970."""

    saved_at: float
    sources: tuple[KeptEntry, ...] = ()
    accounts: tuple[KeptEntry, ...] = ()
    bans: tuple[KeptBan, ...] = ()
    locks: tuple[KeptBan, ...] = ()

    @classmethod
    def read(cls, data: bytes) -> "GuardMemory | None":
        """None: it is no such thing."""
        try:
            return cls.model_validate_json(data)
        except ValidationError:
            return None


def worth_keeping(failures: Failures) -> bool:
    """Whether there is anything to remember."""
    return failures.points > 0 or failures.offences > 0
