"""A registrar's rules (RFC 3261 section 10.3) as one pure function: bindings and a REGISTER in, new bindings and the answer out.

Invariant: either every Contact of a request is applied, or none; time is an argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from carillon_sip.flow import Flow
from carillon_sip.message import Request


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


def register(
    request: Request, bindings: Sequence[Binding], flow: Flow, now: float, settings: RegistrarSettings = RegistrarSettings()
) -> RegisterOutcome:
    """Apply an authenticated REGISTER; a status of 400, 403, 423 or 500 leaves the bindings as they were."""
    raise NotImplementedError
