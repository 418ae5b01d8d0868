"""REFER as phones send it, and the NOTIFY that tells them how their transfer goes (RFC 3515, RFC 3891).

Invariant: what is read from a Refer-To is a number or short name that could have been dialled, and names of dialogs; never an address.
"""

from dataclasses import dataclass
from urllib.parse import unquote

from carillon_media.domain.identity import dialled
from carillon_sip.commands import RequestOut
from carillon_sip.errors import ParseError
from carillon_sip.uri import NameAddr

#: Seconds that a subscription made by REFER lasts at most; a transfer rings no longer.
SUBSCRIPTION_SECONDS = 180
_PHRASES = {100: "Trying", 180: "Ringing", 200: "OK", 408: "Request Timeout", 480: "Temporarily Unavailable", 486: "Busy Here"}


@dataclass(frozen=True, slots=True)
class Replaces:
    """A dialog of ours, as its far end names it: the tag that is ours comes first among `tags`."""

    call_id: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Referral:
    """Where to; `replaces` when the other side is to be joined with a call that the phone has already."""

    destination: str
    replaces: Replaces | None = None


def read_refer_to(value: str) -> Referral:
    """Raises ParseError."""
    uri = NameAddr.parse(value).uri
    replaces = None
    for field in uri.headers.split("&"):
        name, equals, text = field.partition("=")
        if equals and name.strip().lower() == "replaces":
            replaces = read_replaces(unquote(text))
    return Referral(dialled(f"{uri.scheme}:{uri.user}@{uri.host}"), replaces)


def read_replaces(value: str) -> Replaces:
    """RFC 3891 section 6.1: the receiver's tag is `to-tag`. Raises ParseError."""
    call_id, *parameters = (part.strip() for part in value.split(";"))
    named = {name.strip().lower(): tag.strip() for name, _, tag in (parameter.partition("=") for parameter in parameters)}
    tags = tuple(named[name] for name in ("to-tag", "from-tag") if named.get(name))
    if not call_id or not tags:
        raise ParseError("Replaces without a dialog")
    return Replaces(call_id, tags)


def transfer_report(session: str, status: int) -> RequestOut:
    """NOTIFY within the session's dialog; the subscription ends with a final status (RFC 3515 section 2.4.5)."""
    state = f"active;expires={SUBSCRIPTION_SECONDS}" if status < 200 else "terminated;reason=noresource"
    phrase = _PHRASES.get(status, "Failure" if status >= 300 else "Progress")
    return RequestOut(
        "NOTIFY",
        session=session,
        headers=(("Event", "refer"), ("Subscription-State", state)),
        body=f"SIP/2.0 {status} {phrase}\r\n".encode(),
        content_type="message/sipfrag;version=2.0",
    )
