"""A registrar's rules (RFC 3261 section 10.3, RFC 3327, RFC 5626 section 6, RFC 5627 section 5) as one pure function: bindings and a
REGISTER in, new bindings and the answer out.

Invariant: either every Contact of a request is applied, or none; time is an argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from carillon_sip.errors import ParseError
from carillon_sip.flow import Flow
from carillon_sip.gruu import OPTION, MakeGruus, instance_of, urn_of
from carillon_sip.header_names import REASONS
from carillon_sip.message import Request
from carillon_sip.uri import NameAddr, Uri, quote, unquote_string


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact of an address of record. `expires_at` in the clock of `now`; `flow` is where its phone is reached.

    `path` is the route to it (RFC 3327). A phone with several flows at once numbers them by `reg_id` (RFC 5626), else it is 0.
    """

    contact: str
    expires_at: float
    call_id: str
    cseq: int
    flow: Flow
    q: float = 1.0
    user_agent: str = ""
    instance: str = ""
    path: tuple[str, ...] = ()
    reg_id: int = 0

    @property
    def key(self) -> str:
        """What the binding is known by within its address of record."""
        return f"{self.instance};reg-id={self.reg_id}" if self.reg_id else self.contact


@dataclass(frozen=True, slots=True)
class RegistrarSettings:
    """Limits of a registration, in seconds and bindings per address of record.

    `max_connection_expires`: over a connection of the phone's own, which may die with our process without its noticing before it refreshes.
    `flow_timer`: within this a phone with outbound sends keep-alives, so that it notices (RFC 5626 section 4.4.1); it may have
    `max_flow_expires`.
    """

    min_expires: int = 60
    max_expires: int = 3600
    default_expires: int = 3600
    max_bindings: int = 10
    max_connection_expires: int = 60
    max_flow_expires: int = 120
    flow_timer: int = 30


_DEFAULTS = RegistrarSettings()
#: A URN of a UUID has 45 characters.
_INSTANCE_LENGTH = 256


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
    request: Request,
    bindings: Sequence[Binding],
    flow: Flow,
    now: float,
    settings: RegistrarSettings = _DEFAULTS,
    gruus: MakeGruus | None = None,
) -> RegisterOutcome:
    """Apply an authenticated REGISTER (steps 6 to 8 of section 10.3); a status of 400, 403, 423, 439 or 500 changes no binding.

    Bindings that have run out at `now` are left out and listed in `removed`. With `gruus`, phones that ask for GRUUs get them.
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
    made = gruus if OPTION in _option_tags(request, "supported") else None
    headers = (*(("Contact", _listed(binding, now, made)) for binding in kept), *_extensions(request, change, settings))
    return RegisterOutcome(200, REASONS[200], headers, tuple(kept), tuple(change.added), (*gone, *change.removed), tuple(change.refreshed))


def _listed(binding: Binding, now: float, gruus: MakeGruus | None) -> str:
    """A binding as the answer has it."""
    urn = urn_of(binding.instance) if gruus is not None else ""
    gruu = gruus(urn, binding.call_id, binding.cseq).contact_parameters() if gruus is not None and urn else ""
    instance = f";+sip.instance={quote(binding.instance)}" if binding.instance else ""
    reg_id = f";reg-id={binding.reg_id}" if binding.reg_id else ""
    return f"<{binding.contact}>;expires={max(0, round(binding.expires_at - now))}{instance}{reg_id}{gruu}"


def _extensions(request: Request, change: "_Change", settings: RegistrarSettings) -> list[tuple[str, str]]:
    """The path that was kept (RFC 3327 section 5.3), and that outbound was done (RFC 5626 section 6)."""
    supported = _option_tags(request, "supported")
    headers = [("Path", value) for value in request.headers.raw("path")] if "path" in supported else []
    if "outbound" in supported and any(binding.reg_id for binding in (*change.added, *change.refreshed)):
        headers += [("Require", "outbound"), ("Flow-Timer", str(settings.flow_timer))]
    return headers


def _option_tags(request: Request, header: str) -> frozenset[str]:
    return frozenset(value.lower() for value in request.headers.all(header))


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
    contacts = [NameAddr.parse(value) for value in values]
    outbound = _is_outbound(request, contacts, settings)
    for contact in contacts:
        _apply_contact(request, contact, outbound, change, flow, now, settings)
    if len(change.kept) > settings.max_bindings:
        raise _Refused(403)
    return change


def _is_outbound(request: Request, contacts: Sequence[NameAddr], settings: RegistrarSettings) -> bool:
    """Whether the bindings are of flows (RFC 5626 section 6): the phone says instance and reg-id, and its first hop keeps flows."""
    numbered = [contact for contact in contacts if contact.parameter("reg-id") is not None and contact.parameter("+sip.instance")]
    if not numbered:
        return False
    if len([contact for contact in contacts if _expires(request, contact, settings)]) > 1:
        raise _Refused(400)  # A request registers one flow: the one that it came over.
    path = request.headers.all("path")
    vias = request.headers.all("via")
    keeps = NameAddr.parse(path[-1]).uri.parameter("ob") is not None if path else len(vias) == 1
    if not keeps and "outbound" in _option_tags(request, "supported"):
        raise _Refused(439)
    return keeps


def _remove_all(request: Request, values: list[str], live: list[Binding]) -> _Change:
    # "If the request has additional Contact fields or an expiration time other than zero, ... the request is invalid" (step 6)
    if len(values) != 1 or request.expires != 0:
        raise _Refused(400)
    for binding in live:
        _in_order(request, binding)
    return _Change([], removed=live)


def _apply_contact(
    request: Request, contact: NameAddr, outbound: bool, change: _Change, flow: Flow, now: float, settings: RegistrarSettings
) -> None:
    seconds = _expires(request, contact, settings)
    if flow.reliable and "path" not in request.headers:
        seconds = min(seconds, settings.max_flow_expires if outbound else settings.max_connection_expires)
    if seconds and instance_of(contact.uri) is not None and contact.uri.host.lower() == request.to.uri.host.lower():
        raise _Refused(403)  # A GRUU of ours as Contact would lead back to itself (RFC 5627 section 5.1).
    instance = unquote_string(contact.parameter("+sip.instance") or "")[:_INSTANCE_LENGTH]
    reg_id = _reg_id(contact) if outbound and instance else 0
    known = next((b for b in change.kept if _same(b, contact, instance, reg_id)), None)
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
        reg_id=reg_id,
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


def _reg_id(contact: NameAddr) -> int:
    """1 to 2**31 - 1 (RFC 5626 section 4.2)."""
    text = contact.parameter("reg-id")
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or not 1 <= int(text) < 2**31:
        raise _Refused(400)
    return int(text)


def _same(binding: Binding, contact: NameAddr, instance: str, reg_id: int) -> bool:
    """By instance and reg-id when both have one, so that a new flow takes the place of the old (RFC 5626 section 6); by instance when
    none has a reg-id (a phone that moved keeps one binding); else by comparing URIs."""
    if reg_id or binding.reg_id:
        return (instance, reg_id) == (binding.instance, binding.reg_id)
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
