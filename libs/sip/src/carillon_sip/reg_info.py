"""Event package "reg" (RFC 3680): who is registered where.

Invariant: a watcher's versions go up by one from 0 with each NOTIFY; ids of registrations and contacts never change.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias
from xml.etree.ElementTree import Element

from carillon_sip.xml_body import child, root, to_bytes

EVENT = "reg"
CONTENT_TYPE = "application/reginfo+xml"
_NAMESPACE = "urn:ietf:params:xml:ns:reginfo"
RegistrationState: TypeAlias = Literal["init", "active", "terminated"]
ContactEvent: TypeAlias = Literal[
    "registered", "created", "refreshed", "shortened", "expired", "deactivated", "probation", "unregistered", "rejected"
]


@dataclass(frozen=True, slots=True)
class RegisteredContact:
    """One contact; `expires` seconds left. It is active until its `event` says that it is gone."""

    id: str
    uri: str
    event: ContactEvent
    expires: int | None = None
    q: float | None = None
    call_id: str = ""
    cseq: int | None = None
    display_name: str = ""


@dataclass(frozen=True, slots=True)
class Registration:
    """An address of record and its contacts."""

    id: str
    aor: str
    state: RegistrationState
    contacts: tuple[RegisteredContact, ...] = ()


_GONE = frozenset({"expired", "deactivated", "probation", "unregistered", "rejected"})


def reg_info(version: int, registrations: Iterable[Registration], *, full: bool = True) -> bytes:
    """The document."""
    top = root("reginfo", _NAMESPACE, version=str(version), state="full" if full else "partial")
    for registration in registrations:
        made = child(top, "registration", aor=registration.aor, id=registration.id, state=registration.state)
        for contact in registration.contacts:
            _contact(made, contact)
    return to_bytes(top)


def _contact(parent: Element, contact: RegisteredContact) -> None:
    made = child(
        parent,
        "contact",
        id=contact.id,
        state="terminated" if contact.event in _GONE else "active",
        event=contact.event,
        expires=_number(contact.expires),
        q="" if contact.q is None else f"{contact.q:.3g}",
        callid=contact.call_id,
        cseq=_number(contact.cseq),
    )
    child(made, "uri", contact.uri)
    if contact.display_name:
        child(made, "display-name", contact.display_name)


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
