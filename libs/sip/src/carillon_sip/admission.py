"""Which requests a user agent takes at all (RFC 3261 section 8.2): pure checks of one request against the settings.

Invariant: a request that passes has addresses, a Request-URI and limits that the rest may rely on.
"""

from typing import NamedTuple

from carillon_sip.commands import UserAgentSettings
from carillon_sip.message import Request
from carillon_sip.uri import Uri

#: Methods that RFCs name; one of them that we do not take gets 405, any other 501 (sections 8.2.1 and 21.5.2).
KNOWN_METHODS = frozenset(
    {
        "INVITE",
        "ACK",
        "CANCEL",
        "BYE",
        "OPTIONS",
        "REGISTER",
        "INFO",
        "UPDATE",
        "PRACK",
        "SUBSCRIBE",
        "NOTIFY",
        "REFER",
        "MESSAGE",
        "PUBLISH",
    }
)
#: Methods that mean nothing outside a dialog.
_WITHIN_ONLY = frozenset({"BYE", "INFO", "UPDATE", "PRACK"})

#: Methods whose body is a session description.
_DESCRIBED = frozenset({"INVITE", "UPDATE", "PRACK"})


class Refusal(NamedTuple):
    """A status with the header fields that explain it."""

    status: int
    fields: tuple[tuple[str, str], ...] = ()


def refuse_any(request: Request, settings: UserAgentSettings) -> Refusal | None:
    """Checks of every request: method (405, 501), Require (420), Content-Encoding and -Type (415), an INVITE's Accept (406)."""
    if request.method not in settings.methods:
        return Refusal(405 if request.method in KNOWN_METHODS else 501, (("Allow", ", ".join(settings.methods)),))
    index = request.headers.index()
    if "require" in index:
        unsupported = [tag for tag in request.headers.all("require") if tag not in settings.extensions]
        if unsupported:
            return Refusal(420, (("Unsupported", ", ".join(unsupported)),))
    if "content-encoding" in index and index["content-encoding"][0].lower() != "identity":
        return Refusal(415, (("Accept-Encoding", "identity"),))
    if request.body and request.method in _DESCRIBED and request.content_type != "application/sdp":
        return Refusal(415, (("Accept", "application/sdp"),))
    if request.method == "INVITE" and not request.accepts("application/sdp"):
        return Refusal(406, (("Accept", "application/sdp"),))
    return None


def refuse_outside(request: Request, settings: UserAgentSettings) -> Refusal | None:
    """Checks of a request outside any dialog, after its addresses were read; raises ParseError when they are wrong."""
    _ = request.from_, request.to
    uri = Uri.parse(request.uri)
    refusal = refuse_any(request, settings)
    if refusal is not None:
        return refusal
    if uri.scheme not in ("sip", "sips", "tel"):
        return Refusal(416)
    if request.max_forwards == 0 and request.method not in ("OPTIONS", "REGISTER"):
        return Refusal(483)
    if request.method in _WITHIN_ONLY:
        return Refusal(481)
    return None
