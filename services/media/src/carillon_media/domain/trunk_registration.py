"""Our registration with one carrier (RFC 3261 section 10.2): when the next REGISTER is due, and what its answer means.

Invariant: a binding is refreshed before it expires; after failures the delay grows, more slowly for a carrier that is silent than for
one that says no; while the last binding lives we count as registered, whatever a refresh came to. Times are monotonic seconds.
"""

from dataclasses import dataclass, replace
from typing import Literal

State = Literal["registering", "registered", "failed"]
#: First delay after silence or an overload, and after a refusal; each doubles up to its longest.
SILENT_FIRST, SILENT_LONGEST = 2.0, 120.0
REFUSED_FIRST, REFUSED_LONGEST = 30.0, 1800.0
#: A refresh leaves so much time for repeating it, or half of what was granted if that is less.
REFRESH_BEFORE = 60.0
_MAX_DOUBLINGS = 16
#: Final answers that mean "not now" rather than "not you".
_PASSING = frozenset({408, 430, 480, 500, 502, 503, 504, 580, 600})


@dataclass(frozen=True, slots=True)
class Registration:
    """As it stands; `sip_status` and `reason` are of the last failure, 0 and empty when there was none since."""

    state: State = "registering"
    next_at: float = 0.0
    expires_at: float = 0.0
    failures: int = 0
    sip_status: int = 0
    reason: str = ""
    #: Seconds to ask for, when the carrier wanted more than we (423); 0: as configured.
    at_least: int = 0


def granted(registration: Registration, seconds: float, now: float) -> Registration:
    """200 with a binding of so many seconds."""
    wait = max(seconds / 2, seconds - REFRESH_BEFORE)
    return Registration("registered", now + wait, now + seconds, at_least=registration.at_least)


def refused(
    registration: Registration, status: int, reason: str, now: float, *, share: float, retry_after: float = 0.0, min_expires: int = 0
) -> Registration:
    """Any other final answer. `share`, 0 to 1, spreads the attempts of many trunks (RFC 5626 section 4.5)."""
    if status == 423 and min_expires > registration.at_least:
        # "the UA MAY retry the registration after making the expiration interval ... equal to or greater than" Min-Expires.
        return replace(registration, next_at=now, at_least=min_expires)
    first, longest = (SILENT_FIRST, SILENT_LONGEST) if status in _PASSING else (REFUSED_FIRST, REFUSED_LONGEST)
    wait = max(min(retry_after, REFUSED_LONGEST), _delay(registration.failures, first, longest, share))
    failed = _failed(registration, status, reason, now, wait)
    # A carrier that says no has no binding of ours any more.
    return failed if status in _PASSING else replace(failed, state="failed", expires_at=0.0)


def silent(registration: Registration, now: float, *, share: float) -> Registration:
    """No answer at all."""
    return _failed(registration, 0, "no answer", now, _delay(registration.failures, SILENT_FIRST, SILENT_LONGEST, share))


def aged(registration: Registration, now: float) -> Registration:
    """The same a little later: a binding that could not be refreshed ends."""
    if registration.state == "registered" and registration.expires_at <= now:
        return replace(registration, state="failed", reason=registration.reason or "expired")
    return registration


def _failed(registration: Registration, status: int, reason: str, now: float, delay: float) -> Registration:
    alive = registration.state == "registered" and registration.expires_at > now
    return replace(
        registration,
        state="registered" if alive else "failed",
        next_at=now + delay,
        failures=registration.failures + 1,
        sip_status=status,
        reason=reason,
    )


def _delay(failures: int, first: float, longest: float, share: float) -> float:
    """50 to 100 % of the doubled delay."""
    return float(min(longest, first * 2 ** min(failures, _MAX_DOUBLINGS)) * (0.5 + share / 2))
