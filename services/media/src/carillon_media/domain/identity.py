"""Who calls whom, read from the first INVITE: numbers and names as they may be believed, never as a phone claims.

Invariant: what is returned as a number is digits with perhaps a plus sign, a name of at most 64 harmless characters, or empty.
"""

import re

from carillon_sip.errors import ParseError
from carillon_sip.message import Request
from carillon_sip.uri import NameAddr, Uri

_SEPARATORS = re.compile(r"[ ()./-]")
_NUMBER = re.compile(r"\+?[0-9*#]{1,32}")
_NAME = re.compile(r"[A-Za-z0-9._+*#-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MAX_DISPLAY = 80


def dialled(request_uri: str) -> str:
    """What was dialled: digits without visual separators, or a short name; empty if the request URI holds neither. Raises ParseError."""
    uri = Uri.parse(request_uri)
    user = uri.user.partition(";")[0]
    digits = _SEPARATORS.sub("", user)
    if _NUMBER.fullmatch(digits):
        return digits
    return user if _NAME.fullmatch(user) else ""


def dialled_by(uri: Uri) -> str:
    """What a phone that names this URI wants dialled; empty if nothing can be."""
    try:
        return dialled(f"sip:{uri.user}@{uri.host or 'localhost'}")
    except ParseError:
        return ""


def is_dialable(text: str) -> bool:
    """Whether a phone could dial this as it stands."""
    return _NUMBER.fullmatch(text) is not None or _NAME.fullmatch(text) is not None


def caller_from_trunk(request: Request) -> tuple[str, str]:
    """Number (as the carrier writes it) and name: P-Asserted-Identity (RFC 3325) first, then From; both empty when withheld."""
    asserted = request.headers.all("P-Asserted-Identity")
    addresses = [address for value in asserted if (address := _address(value))] or [request.from_]
    anonymous = request.from_.uri.user.lower() == "anonymous"
    if withholds(request) or (anonymous and not asserted):
        return "", ""
    name = next((address.display_name for address in addresses if address.display_name), "")
    number = phone_number(addresses[0].uri)
    return number, clean_name(name if name != number else "")


def withholds(request: Request) -> bool:
    """Whether the caller wants to stay unknown (RFC 3323, RFC 3325 section 9.3)."""
    privacy = (request.headers.get("Privacy") or "").lower()
    if any(token.strip() in ("id", "user", "header") for token in privacy.split(";")):
        return True
    # RFC 3323 section 4.1.1.3: this host alone says so, whatever is asserted beside it.
    return request.from_.uri.host.lower() == "anonymous.invalid"


def phone_number(uri: Uri) -> str:
    """The number of a SIP or tel URI, without visual separators and parameters; empty if it has none."""
    number = _SEPARATORS.sub("", uri.user.partition(";")[0])
    return number if _NUMBER.fullmatch(number) else ""


def clean_name(name: str) -> str:
    """A display name without control characters, not too long."""
    return _CONTROL.sub(" ", name).strip()[:MAX_DISPLAY]


def _address(value: str) -> NameAddr | None:
    try:
        return NameAddr.parse(value)
    except ParseError:
        return None
