"""A registrar's rules (RFC 3261 section 10.3) as one pure function: bindings and a REGISTER in, new bindings and the answer out.

Invariant: either every Contact of a request is applied, or none; time is an argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from carillon_sip.errors import ParseError
from carillon_sip.flow import Flow
from carillon_sip.header_names import REASONS
from carillon_sip.message import Request
from carillon_sip.uri import NameAddr, Uri, unquote_string


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact of an address of record. `expires_at` in the clock of `now`; `flow` is where its phone is reached."""

    contact: str
    expires_at: float
    call_id: str
    cseq: int
    flow: Flow
    q: float = 1.0
    user_agent: str = ""
    instance: str = ""
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RegistrarSettings:
    """Limits of a registration, in seconds and bindings per address of record."""

    min_expires: int = 60
    max_expires: int = 3600
    default_expires: int = 3600
    max_bindings: int = 10


_DEFAULTS = RegistrarSettings()


@dataclass(frozen=True, slots=True)
class RegisterOutcome:
    """What to answer (status, headers) and the bindings as they are now; `added` and `removed` for events."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    bindings: tuple[Binding, ...]
    added: tuple[Binding, ...] = field(default=())
    removed: tuple[Binding, ...] = field(default=())
    refreshed: tuple[Binding, ...] = field(default=())


class _Refused(Exception):
    def __init__(self, status: int, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.status = status
        self.headers = headers


def register(
    request: Request, bindings: Sequence[Binding], flow: Flow, now: float, settings: RegistrarSettings = _DEFAULTS
) -> RegisterOutcome:
    """Apply an authenticated REGISTER (steps 6 to 8 of section 10.3); a status of 400, 403, 423 or 500 changes no binding.

    Bindings that have run out at `now` are left out and listed in `removed`.
    """
    live = [binding for binding in bindings if binding.expires_at > now]
    gone = [binding for binding in bindings if binding.expires_at <= now]
    try:
        change = _apply(request, live, flow, now, settings)
    except _Refused as refused:
        status, headers = refused.status, refused.headers
        return RegisterOutcome(status, REASONS.get(status, ""), headers, tuple(bindings))
    except ParseError:
        return RegisterOutcome(400, REASONS[400], (), tuple(bindings))
    kept = change.kept
    contacts = tuple(("Contact", f"<{b.contact}>;expires={max(0, round(b.expires_at - now))}") for b in kept)
    return RegisterOutcome(200, REASONS[200], contacts, tuple(kept), tuple(change.added), (*gone, *change.removed), tuple(change.refreshed))


@dataclass(slots=True)
class _Change:
    kept: list[Binding]
    added: list[Binding] = field(default_factory=list)
    removed: list[Binding] = field(default_factory=list)
    refreshed: list[Binding] = field(default_factory=list)


def _apply(request: Request, live: list[Binding], flow: Flow, now: float, settings: RegistrarSettings) -> _Change:
    values = request.headers.all("contact")
    if "*" in values:
        return _remove_all(request, values, live)
    change = _Change(list(live))
    for value in values:
        _apply_contact(request, NameAddr.parse(value), change, flow, now, settings)
    if len(change.kept) > settings.max_bindings:
        raise _Refused(403)
    return change


def _remove_all(request: Request, values: list[str], live: list[Binding]) -> _Change:
    # "If the request has additional Contact fields or an expiration time other than zero, ... the request is invalid" (step 6)
    if len(values) != 1 or request.expires != 0:
        raise _Refused(400)
    for binding in live:
        _in_order(request, binding)
    return _Change([], removed=live)


def _apply_contact(request: Request, contact: NameAddr, change: _Change, flow: Flow, now: float, settings: RegistrarSettings) -> None:
    seconds = _expires(request, contact, settings)
    instance = unquote_string(contact.parameter("+sip.instance") or "")
    known = next((b for b in change.kept if _same(b, contact, instance)), None)
    if known is not None:
        _in_order(request, known)
        change.kept.remove(known)
    if seconds == 0:
        if known is not None:
            change.removed.append(known)
        return
    binding = Binding(
        contact=str(contact.uri),
        expires_at=now + seconds,
        call_id=request.call_id,
        cseq=request.cseq.number,
        flow=flow,
        q=_q(contact.parameter("q")),
        user_agent=(request.headers.get("user-agent") or "")[:256],
        instance=instance,
        path=tuple(request.headers.all("path")),
    )
    change.kept.append(binding)
    (change.added if known is None else change.refreshed).append(binding)


def _expires(request: Request, contact: NameAddr, settings: RegistrarSettings) -> int:
    """Seconds asked for: the Contact's, else the header's, else our default; refuses too short ones with 423 (step 7)."""
    text = contact.parameter("expires")
    asked = request.expires if text is None else int(text) if text.isascii() and text.isdigit() and len(text) < 11 else None
    if asked is None:
        asked = settings.default_expires
    if 0 < asked < settings.min_expires:
        raise _Refused(423, (("Min-Expires", str(settings.min_expires)),))
    return min(asked, settings.max_expires)


def _same(binding: Binding, contact: NameAddr, instance: str) -> bool:
    """By instance when both have one (a phone that moved keeps one binding, RFC 5626), else by comparing URIs."""
    if instance and binding.instance:
        return instance == binding.instance
    return binding.contact == str(contact.uri) or Uri.parse(binding.contact).same_as(contact.uri)


def _in_order(request: Request, binding: Binding) -> None:
    """ "If the Call-ID agrees, the CSeq must be higher, else the update MUST be aborted and the request fails" (step 7): 500."""
    if binding.call_id == request.call_id and request.cseq.number <= binding.cseq:
        raise _Refused(500)


def _q(text: str | None) -> float:
    try:
        value = float(text) if text else 1.0
    except ValueError:
        return 1.0
    return value if 0.0 <= value <= 1.0 else 1.0
