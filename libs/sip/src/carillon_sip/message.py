"""SIP requests and responses (RFC 3261 section 7): header lines kept as text, values found and typed on demand.

Invariant: a message is never changed after it was made; typed values raise ParseError when the header is absent or wrong.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from carillon_sip.errors import ParseError
from carillon_sip.header_names import CANONICAL, LISTS, canonical_name
from carillon_sip.uri import NameAddr, Parameters, find_parameter, parse_host_port, parse_parameters, split_outside_quotes, well_formed

HeaderFields: TypeAlias = Sequence[tuple[str, str]]


_FOLDED = (" ", "\t")


class Headers:
    """The header lines of a message in order, as they came; an index by name is made at the first look-up."""

    __slots__ = ("_index", "lines")

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self._index: dict[str, list[str]] | None = None

    @classmethod
    def of(cls, fields: Iterable[tuple[str, str]]) -> "Headers":
        """From (name, value) pairs; raises ValueError on line breaks."""
        return cls([header_line(name, value) for name, value in fields])

    def index(self) -> dict[str, list[str]]:
        """Values (one per header line, stripped) by canonical name; raises ParseError when a line is no header."""
        found = self._index
        if found is None:
            found = {}
            values: list[str] = []
            known = CANONICAL
            for line in self.lines:
                name, colon, value = line.partition(":")
                key = known.get(name)
                if key is None:
                    if line[:1] in _FOLDED and found:
                        # "each extra line by at least one SP or HTAB" (section 7.3.1): it goes on with the line before.
                        values[-1] = f"{values[-1]} {line.strip()}".strip()
                        continue
                    key = canonical_name(name)
                if not colon:
                    raise ParseError("a header line has no colon")
                if key in found:
                    values = found[key]
                    values.append(value.strip())
                else:
                    values = found[key] = [value.strip()]
            self._index = found
        return found

    def get(self, name: str) -> str | None:
        """The first line's value, or None, octets that are no UTF-8 as U+FFFD. A list header's line may hold several values: see `all`."""
        values = self.index().get(CANONICAL.get(name) or canonical_name(name))
        return well_formed(values[0]) if values else None

    def raw(self, name: str) -> list[str]:
        """The values line by line, as they came."""
        return self.index().get(CANONICAL.get(name) or canonical_name(name), [])

    def all(self, name: str) -> list[str]:
        """All values in order; for headers that are lists, each element by itself; octets that are no UTF-8 as U+FFFD."""
        key = CANONICAL.get(name) or canonical_name(name)
        values = [well_formed(value) for value in self.index().get(key, ())]
        if key not in LISTS:
            return values
        found: list[str] = []
        for value in values:
            if "," in value:
                found += [part.strip() for part in split_outside_quotes(value, ",") if part.strip()]
            elif value:
                found.append(value)
        return found

    def __contains__(self, name: str) -> bool:
        return (CANONICAL.get(name) or canonical_name(name)) in self.index()


def header_line(name: str, value: str) -> str:
    """`Name: value`; raises ValueError when either could end the line and smuggle in another header."""
    line = f"{name}: {value}"
    if "\r" in line or "\n" in line or "\0" in line:
        raise ValueError(f"header {name!r} holds a line break")
    return line


class CSeq(NamedTuple):
    """Number and method (RFC 3261 section 20.16)."""

    number: int
    method: str


#: A Via as nearly everybody writes it; anything else is read piece by piece.
_USUAL_VIA = re.compile(r"SIP/2\.0/([A-Z]+) ([A-Za-z0-9.-]+)(?::([0-9]{1,4}))?((?:;[A-Za-z]+(?:=[A-Za-z0-9._~!%*+:-]+)?)*)")

_VERSION = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}")


class Via:
    """One Via value (RFC 3261 section 20.42); `transport` in upper case, `port` None when absent, `branch` "" when absent."""

    __slots__ = ("_parameters", "branch", "host", "port", "text", "transport")

    def __init__(self, transport: str, host: str, port: int | None, text: str) -> None:
        self.transport = transport
        self.host = host
        self.port = port
        self.text = text
        self._parameters: Parameters | None = None
        start = text.find(";branch=")
        if start >= 0 and '"' not in text:
            end = text.find(";", start + 8)
            self.branch = (text[start + 8 :] if end < 0 else text[start + 8 : end]).strip()
        else:
            self.branch = self.parameter("branch") or ""

    @classmethod
    def parse(cls, text: str) -> "Via":
        """Read one value; raises ParseError."""
        usual = _USUAL_VIA.fullmatch(text)
        if usual is not None:
            transport, host, port, rest = usual.groups()
            return cls(transport, host, int(port) if port else None, rest)
        text = text.replace("\t", " ")
        protocol, _, rest = text.partition(" ") if "/ " not in text and " /" not in text else _loose_protocol(text)
        parts = protocol.split("/")
        # Another version must be readable to be answered 505 (RFC 4475 section 3.1.2.16).
        if len(parts) != 3 or parts[0].upper() != "SIP" or not _VERSION.fullmatch(parts[1]) or not parts[2]:
            raise ParseError("a Via has no SIP/2.0/transport")
        sent_by, semicolon, parameters = rest.strip().partition(";")
        host, number = parse_host_port(sent_by.strip())
        return cls(parts[2].upper(), host, number, semicolon + parameters)

    @property
    def parameters(self) -> Parameters:
        """All parameters."""
        if self._parameters is None:
            self._parameters = parse_parameters(self.text[1:])
        return self._parameters

    def parameter(self, name: str) -> str | None:
        """Value of a parameter ("" when it has none), or None when absent."""
        return find_parameter(self.parameters, name)

    @property
    def wants_rport(self) -> bool:
        """Whether the client asks for replies to the port it sent from (RFC 3581)."""
        start = self.text.find(";rport")
        if start >= 0 and self.text[start + 6 : start + 7] in ("", ";", "="):
            return True
        return "rport" in self.text.lower() and self.parameter("rport") is not None


def _loose_protocol(text: str) -> tuple[str, str, str]:
    """`SIP / 2.0 / UDP host`: white space around the slashes is allowed."""
    parts = [part.strip() for part in text.split("/", 2)]
    transport, _, rest = parts[-1].partition(" ")
    return "/".join([*parts[:-1], transport]), " ", rest


def tag_of(value: str) -> str:
    """The tag of a From or To value, or "": without reading the rest when it is written as usual."""
    close = value.rfind(">")
    rest = value[close + 1 :]
    if value.find(">") != close or (close < 0) is ("<" in value) or '"' in rest or rest.lower().count("tag") > 1:
        return NameAddr.parse(value).tag
    start = rest.find(";tag=")
    if start < 0:
        return NameAddr.parse(value).tag if "tag" in rest.lower() else ""
    end = rest.find(";", start + 5)
    return (rest[start + 5 :] if end < 0 else rest[start + 5 : end]).strip()


class Message:
    """What requests and responses share; the values that every message has are read when first asked for, and kept.

    `call_id`; `cseq` (number below 2**31 and method); `via_top`, the first Via; `from_`, `to`, the addresses, and their
    tags or ""; `contacts`, all addresses (`*` is none: see `headers.get("Contact")`). Each raises ParseError.
    """

    __slots__ = ("body", "call_id", "contacts", "cseq", "from_", "from_tag", "headers", "to", "to_tag", "via_top")

    headers: Headers
    body: bytes
    call_id: str
    cseq: CSeq
    via_top: Via
    from_: NameAddr
    to: NameAddr
    from_tag: str
    to_tag: str
    contacts: list[NameAddr]

    def __init__(self, headers: Headers, body: bytes = b"") -> None:
        self.headers = headers
        self.body = body

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """A slot that was not read yet; one that was costs a plain attribute."""
            reader = _READERS.get(name)
            if reader is None:
                raise AttributeError(name)
            value = reader(self.headers)
            setattr(self, name, value)
            return value

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact address, or None."""
        contacts = self.contacts
        return contacts[0] if contacts else None

    @property
    def expires(self) -> int | None:
        """Expires in seconds, or None when absent."""
        return self._number("expires", 2**32 - 1)

    @property
    def content_type(self) -> str:
        """Content-Type in lower case without parameters, or ""."""
        return (self.headers.get("content-type") or "").partition(";")[0].strip().lower()

    def accepts(self, content_type: str) -> bool:
        """Whether a body of this type (lower case) may come back; without Accept only application/sdp (RFC 3261 section 20.1)."""
        if "accept" not in self.headers:
            return content_type == "application/sdp"
        ranges = {value.partition(";")[0].strip().lower() for value in self.headers.all("accept")}
        return not ranges.isdisjoint({content_type, f"{content_type.partition('/')[0]}/*", "*/*"})

    def _number(self, name: str, most: int) -> int | None:
        value = self.headers.get(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit()) or len(value) > 10:
            raise ParseError(f"{name} is not a number")
        return min(int(value), most)

    def _bytes(self, start_line: str) -> bytes:
        head = "\r\n".join([start_line, *_without_length(self.headers.lines), f"Content-Length: {len(self.body)}", "", ""])
        return head.encode("utf-8", "surrogateescape") + self.body


def _without_length(lines: list[str]) -> list[str]:
    """All lines but Content-Length, however it is written."""
    kept: list[str] = []
    length = False
    for line in lines:
        if line[:1] not in _FOLDED:
            length = canonical_name(line.partition(":")[0]) == "content-length"
        if not length:
            kept.append(line)
    return kept


def _one(headers: Headers, name: str) -> str:
    values = headers.index().get(name)
    if not values:
        raise ParseError(f"no {name} header")
    return values[0]


def parse_cseq(value: str) -> CSeq:
    """`number method`; raises ParseError."""
    number, _, method = value.replace("\t", " ").partition(" ")
    if not (number.isascii() and number.isdigit()) or len(number) > 10 or int(number) >= 2**31:
        raise ParseError("CSeq is not a number below 2**31")
    return CSeq(int(number), method.strip() if " " in method else method)


def parse_via_top(value: str) -> Via:
    """The first Via of a header line; raises ParseError."""
    return Via.parse(split_outside_quotes(value, ",")[0].strip() if "," in value else value)


_READERS: Mapping[str, Callable[[Headers], object]] = {
    "call_id": lambda headers: _one(headers, "call-id"),
    "cseq": lambda headers: parse_cseq(_one(headers, "cseq")),
    "via_top": lambda headers: parse_via_top(_one(headers, "via")),
    "from_": lambda headers: NameAddr.parse(_one(headers, "from")),
    "to": lambda headers: NameAddr.parse(_one(headers, "to")),
    "from_tag": lambda headers: tag_of(_one(headers, "from")),
    "to_tag": lambda headers: tag_of(_one(headers, "to")),
    "contacts": lambda headers: [NameAddr.parse(value) for value in headers.all("contact") if value != "*"],
}


class Request(Message):
    """A request; `uri` is the Request-URI as text."""

    __slots__ = ("method", "uri")

    def __init__(self, method: str, uri: str, headers: Headers, body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        self.method = method
        self.uri = uri

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards (255 at most), or None when absent."""
        return self._number("max-forwards", 255)

    def to_bytes(self) -> bytes:
        """The message as sent; Content-Length is made from the body."""
        return self._bytes(f"{self.method} {self.uri} SIP/2.0")

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri}>"


class Response(Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, headers: Headers, body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        self.status = status
        self.reason = reason

    def to_bytes(self) -> bytes:
        """The message as sent; Content-Length is made from the body."""
        return self._bytes(f"SIP/2.0 {self.status} {self.reason}")

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}>"
