"""The Replaces header (RFC 3891) and addresses that carry headers, as Refer-To does (RFC 3261 section 19.1.1).

Invariant: what was read can be written again; nothing but ParseError is raised by reading.
"""

from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from carillon_sip.errors import ParseError
from carillon_sip.uri import NameAddr, Uri, find_parameter, parse_parameters

#: Headers in a URI; more is nobody's transfer.
_MAX_HEADERS = 32


@dataclass(frozen=True, slots=True)
class Replaces:
    """A dialog by Call-ID and tags as its recipient sees it: `to_tag` is the recipient's, `from_tag` the other end's."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, value: str) -> "Replaces":
        """Read a header value; raises ParseError."""
        call_id, _, rest = value.partition(";")
        parameters = parse_parameters(rest)
        to_tag, from_tag = find_parameter(parameters, "to-tag"), find_parameter(parameters, "from-tag")
        # "A Replaces header field MUST contain exactly one to-tag and exactly one from-tag" (section 6.1)
        once = [name.lower() for name, _ in parameters if name.lower() in ("to-tag", "from-tag")]
        if not call_id.strip() or not to_tag or not from_tag or len(once) != 2 or "," in call_id:
            raise ParseError("Replaces needs a Call-ID, one to-tag and one from-tag")
        return cls(call_id.strip(), to_tag, from_tag, find_parameter(parameters, "early-only") is not None)

    def __str__(self) -> str:
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{';early-only' if self.early_only else ''}"


def uri_headers(uri: Uri) -> tuple[tuple[str, str], ...]:
    """The headers of a URI, unescaped; raises ParseError when there are too many or one has no name."""
    if not uri.headers:
        return ()
    parts = uri.headers.split("&")
    if len(parts) > _MAX_HEADERS:
        raise ParseError("a URI has too many headers")
    found = [(unquote(name), unquote(value)) for name, _, value in (part.partition("=") for part in parts)]
    if not all(name for name, _ in found):
        raise ParseError("a header of a URI has no name")
    return tuple(found)


def without_headers(address: NameAddr) -> NameAddr:
    """The address to call: the URI without its headers."""
    return replace(address, uri=replace(address.uri, headers=""))


def with_replaces(address: NameAddr, replaces: Replaces) -> NameAddr:
    """A Refer-To that makes its reader's INVITE replace a dialog (RFC 3891 section 7.1)."""
    return replace(address, uri=replace(address.uri, headers=f"Replaces={quote(str(replaces), safe='')}"))


def replaces_in(address: NameAddr) -> Replaces | None:
    """The Replaces of a Refer-To, or None; raises ParseError."""
    for name, value in uri_headers(address.uri):
        if name.lower() == "replaces":
            return Replaces.parse(value)
    return None
