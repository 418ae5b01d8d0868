"""Event package "presence" (RFC 3856): PIDF (RFC 3863) with the activities of RPID (RFC 4480).

Invariant: a document is always the whole state; there are no versions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from carillon_sip.xml_body import child, root, to_bytes

EVENT = "presence"
CONTENT_TYPE = "application/pidf+xml"
_NAMESPACE = "urn:ietf:params:xml:ns:pidf"
Activity: TypeAlias = Literal["", "on-the-phone", "away", "busy", "meeting", "vacation", "meal"]


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether somebody can be reached, at what, and what they do; `note` is shown to people."""

    open: bool
    contact: str = ""
    activity: Activity = ""
    note: str = ""


def pidf(entity: str, presences: Sequence[Presence]) -> bytes:
    """The document about `entity` (a `pres:` or `sip:` URI); one tuple for each way to reach it."""
    top = root("presence", _NAMESPACE, entity=entity)
    top.set("xmlns:dm", "urn:ietf:params:xml:ns:pidf:data-model")
    top.set("xmlns:rpid", "urn:ietf:params:xml:ns:pidf:rpid")
    for number, presence in enumerate(presences):
        made = child(top, "tuple", id=f"t{number}")
        child(child(made, "status"), "basic", "open" if presence.open else "closed")
        if presence.contact:
            child(made, "contact", presence.contact)
    for number, presence in enumerate(presences):
        if presence.activity or presence.note:
            person = child(top, "dm:person", id=f"p{number}")
            if presence.activity:
                child(child(person, "rpid:activities"), f"rpid:{presence.activity}")
            if presence.note:
                child(person, "dm:note", presence.note)
    return to_bytes(top)
