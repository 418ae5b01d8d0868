"""Who forwarded a call, read from and written to Diversion (RFC 5806) and History-Info (RFC 7044), with causes as RFC 4458 has them.

Invariant: a list of diversions is in the order in which they happened, and at most `MAX_DIVERSIONS` long: the last ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from carillon_contracts.tenant_config import TenantConfig
from carillon_media.domain.causes import RingResult
from carillon_media.domain.identity import phone_number
from carillon_sip.errors import ParseError
from carillon_sip.message import Request
from carillon_sip.uri import NameAddr, Uri

Reason = Literal["unconditional", "user-busy", "no-answer", "unavailable", "deflection", "unknown"]
MAX_DIVERSIONS = 10
#: RFC 7544 section 7.2: reasons of Diversion as causes of History-Info.
_CAUSES: Mapping[Reason, int] = {
    "unconditional": 302,
    "user-busy": 486,
    "no-answer": 408,
    "unavailable": 503,
    "deflection": 480,
    "unknown": 404,
}
_REASONS: Mapping[int, Reason] = {cause: reason for reason, cause in _CAUSES.items()}
_BY_RESULT: Mapping[str, Reason] = {"busy": "user-busy", "rejected": "user-busy", "no_answer": "no-answer", "unreachable": "unavailable"}


@dataclass(frozen=True, slots=True)
class Diverted:
    """A number that the call was for before it was sent on, and why it was."""

    number: str
    reason: Reason = "unknown"


def diversions_of(request: Request) -> tuple[Diverted, ...]:
    """What a carrier tells: Diversion, or History-Info where there is none. What cannot be read is left out."""
    found = [_diverted(value) for value in request.headers.all("Diversion")[:MAX_DIVERSIONS]]
    listed = [each for each in reversed(found) if each is not None]
    return tuple(listed) or _history(request.headers.all("History-Info"))


def sent_on_by(config: TenantConfig | None, dialled: str, inbound: bool, result: RingResult | None) -> Diverted | None:
    """The number of ours that a call to the outside was for at first; None: it was dialled as it is. `result`: of the users rung before."""
    reason = _BY_RESULT.get(result or "", "unconditional")
    if inbound and dialled.startswith("+"):
        return Diverted(dialled, reason)
    extension = config.extensions.get(dialled) if config is not None else None
    if config is None or extension is None:
        return None
    user = config.users.get(extension.destination.user_id or "")
    number = (user.caller_number if user is not None else "") or config.tenant.main_number
    return Diverted(number, reason) if number else None


def diversion_values(diversions: Sequence[Diverted], domain: str) -> list[str]:
    """Values of Diversion, the last one on top (RFC 5806 section 4)."""
    return [f"{NameAddr(Uri('sip', each.number, domain))};reason={each.reason};privacy=off" for each in reversed(diversions)]


def history_value(diversions: Sequence[Diverted], target: str, domain: str) -> str:
    """The value of History-Info, from the first number to the one that is called now."""
    entries, index = [], "1"
    cause: tuple[tuple[str, str], ...] = ()
    for number, reason in [*((each.number, each.reason) for each in diversions), (target, "")]:
        mapped = ";mp=" + index.rpartition(".")[0] if "." in index else ""
        entries.append(f"<{Uri('sip', number, domain, None, cause)}>;index={index}{mapped}")
        cause = (("cause", str(_CAUSES[reason])),) if reason in _CAUSES else ()  # type: ignore[index]
        index += ".1"
    return ", ".join(entries)


def _diverted(value: str) -> Diverted | None:
    try:
        address = NameAddr.parse(value)
    except ParseError:
        return None
    number = phone_number(address.uri)
    named = (address.parameter("reason") or "").strip('"').lower()
    reasons: list[Reason] = [known for known in _CAUSES if known == named]
    return Diverted(number, reasons[0] if reasons else "unknown") if number else None


def _history(values: Sequence[str]) -> tuple[Diverted, ...]:
    """All but the last entry, which is the one called; an entry's cause says why the one before it was left."""
    entries: list[tuple[str, str]] = []
    for value in values[: MAX_DIVERSIONS + 1]:
        try:
            uri = NameAddr.parse(value).uri
        except ParseError:
            continue
        entries.append((phone_number(uri), uri.parameter("cause") or ""))
    found = []
    for (number, _), (_, cause) in pairwise(entries):
        if number and cause.isascii() and cause.isdigit():
            found.append(Diverted(number, _REASONS.get(int(cause[:3]), "unknown")))
    return tuple(found)
