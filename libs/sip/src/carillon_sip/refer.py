"""REFER (RFC 3515) in values: what it asks, and the sipfrag (RFC 3420) that tells how it goes.

Invariant: reading raises only ParseError; a status line is all that is taken from a sipfrag.
"""

import re
from dataclasses import dataclass

from carillon_sip.commands import HeaderFields
from carillon_sip.digest import Credentials
from carillon_sip.errors import ParseError
from carillon_sip.flow import Flow
from carillon_sip.header_names import REASONS
from carillon_sip.message import Request
from carillon_sip.replaces import Replaces, replaces_in
from carillon_sip.uri import NameAddr

SIPFRAG = "message/sipfrag;version=2.0"
_STATUS_LINE = re.compile(rb"SIP/2\.0 ([1-6]\d\d)(?: ([^\r\n]*))?")


@dataclass(frozen=True, slots=True)
class Refer:
    """A REFER to send: within `session`, or outside any dialog with `flow`, `request_uri`, `from_`, `to`, `contact`.

    `subscribe` False asks for no NOTIFYs (RFC 4488); the far end may send them nevertheless.
    """

    refer_to: NameAddr
    session: str | None = None
    flow: Flow | None = None
    request_uri: str = ""
    from_: NameAddr | None = None
    to: NameAddr | None = None
    contact: NameAddr | None = None
    referred_by: NameAddr | None = None
    subscribe: bool = True
    headers: HeaderFields = ()
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a REFER asks: `replaces` is that of the Refer-To; `subscribes` False: no NOTIFYs are wanted."""

    refer_to: NameAddr
    referred_by: NameAddr | None
    replaces: Replaces | None
    subscribes: bool


def read_refer(request: Request) -> Asked:
    """Read a REFER; raises ParseError."""
    values = request.headers.raw("refer-to")
    # "A REFER request ... MUST contain exactly one Refer-To header field value." (RFC 3515 section 2.4.1)
    if len(values) != 1:
        raise ParseError("a REFER has exactly one Refer-To")
    refer_to = NameAddr.parse(values[0])
    by = request.headers.get("referred-by")
    subscribes = (request.headers.get("refer-sub") or "").partition(";")[0].strip().lower() != "false"
    return Asked(refer_to, NameAddr.parse(by) if by else None, replaces_in(refer_to), subscribes)


def sipfrag(status: int, reason: str | None = None) -> bytes:
    """A body that tells a status; raises ValueError when the reason holds a line break."""
    text = f"SIP/2.0 {status} {reason if reason is not None else REASONS.get(status, '')}"
    if "\r" in text or "\n" in text:
        raise ValueError("a line break in a reason phrase")
    return f"{text}\r\n".encode("utf-8", "surrogateescape")


def read_sipfrag(body: bytes) -> tuple[int, str]:
    """Status and reason of a sipfrag; (0, "") when it has no status line."""
    found = _STATUS_LINE.match(body[:512])
    return (int(found[1]), (found[2] or b"").decode("utf-8", "replace")) if found else (0, "")
