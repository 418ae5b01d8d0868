"""SIP URIs and name-addr values (RFC 3261 sections 19.1 and 20.10), tel URIs (RFC 3966) as far as a user agent needs them.

Invariant: parsing is linear in the length of the text, raises only ParseError, and what was parsed can be written again.
No parsed value holds anything that UTF-8 cannot say.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import unquote

from carillon_sip.errors import ParseError

#: Name and value of a parameter; None when it has no "=".
Parameters: TypeAlias = tuple[tuple[str, str | None], ...]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+")
_FORBIDDEN = re.compile(r"[\x00-\x20<>\"\x7f]")
_USER_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()&=+$,;?/")
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
#: An address as nearly everybody writes it; anything else is read piece by piece.
_USUAL_ADDRESS = re.compile(r'(?:"([^"\\\x00-\x1f\x7f]*)" ?|([A-Za-z0-9]+) ?)?<([^<>" ]+)>((?:;[A-Za-z0-9]+(?:=[A-Za-z0-9._~!%*+-]+)?)*)')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Uri:
    """`scheme:user:password@host:port;parameters?headers`; a tel URI has its number as `user` and no host.

    `user` is unescaped. `port` is None when absent. Other schemes keep everything after the colon in `user`.
    """

    scheme: str
    user: str
    host: str
    port: int | None = None
    parameters: Parameters = ()
    headers: str = ""
    password: str = ""

    @classmethod
    def parse(cls, text: str) -> "Uri":
        """Read a URI; raises ParseError."""
        return _parse_known(text) if len(text) <= _KEPT_LENGTH else _parse_uri(text)

    def parameter(self, name: str) -> str | None:
        """Value of a URI parameter ("" when it has none), or None when absent."""
        return find_parameter(self.parameters, name)

    @property
    def address_of_record(self) -> str:
        """`scheme:user@host` in lower-case host, without port and parameters: the key of a registration."""
        return f"{self.scheme}:{escape_user(self.user)}@{self.host.lower()}"

    def same_as(self, other: "Uri") -> bool:
        """Whether both mean the same resource (RFC 3261 section 19.1.4)."""
        return _comparable(self, other) == _comparable(other, self)

    def __str__(self) -> str:
        if self.scheme not in ("sip", "sips"):
            user = self.user
            return f"{self.scheme}:{user}{format_parameters(self.parameters)}"
        user = escape_user(self.user)
        if self.password:
            user = f"{user}:{self.password}"
        at = "@" if user else ""
        port = f":{self.port}" if self.port is not None else ""
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{at}{self.host}{port}{format_parameters(self.parameters)}{headers}"


def _parse_uri(text: str) -> Uri:
    if _FORBIDDEN.search(text):
        raise ParseError("a URI holds a space, bracket, quote or control character")
    if not text.isascii():
        _utf8(text)
    scheme, colon, rest = text.partition(":")
    if not colon or not rest or not _SCHEME.fullmatch(scheme):
        raise ParseError("a URI has no scheme")
    scheme = scheme.lower()
    if scheme in ("sip", "sips"):
        return _parse_sip(scheme, rest)
    if scheme == "tel":
        number, _, parameters = rest.partition(";")
        return Uri(scheme, number, "", None, parse_parameters(parameters))
    return Uri(scheme, rest, "")


#: The same addresses come again and again, two of each phone that registers; values cannot change, so they are shared. Bounded in
#: number and length: 40 MB at most.
_KEPT_LENGTH = 128
_parse_known = lru_cache(maxsize=65_536)(_parse_uri)

#: Parameters that make two URIs differ even when only one of them has it (RFC 3261 section 19.1.4).
_TELLING = ("user", "ttl", "method", "maddr", "transport")


def _comparable(uri: Uri, other: Uri) -> tuple[object, ...]:
    theirs = {name.lower() for name, _ in other.parameters}
    kept = {name.lower(): (value or "").lower() for name, value in uri.parameters if name.lower() in theirs or name.lower() in _TELLING}
    return (
        uri.scheme,
        uri.user,
        uri.password,
        uri.host.lower(),
        uri.port,
        tuple(sorted(kept.items())),
        tuple(sorted(uri.headers.lower().split("&"))),
    )


def _parse_sip(scheme: str, rest: str) -> Uri:
    rest, _, headers = rest.partition("?") if "@" not in rest.partition("?")[2] else _split_headers(rest)
    userinfo, at, hostpart = rest.rpartition("@")
    if at and not userinfo:
        raise ParseError("a SIP URI has an empty user part")
    user, _, password = userinfo.partition(":")
    hostpart, _, parameters = hostpart.partition(";")
    host, port = parse_host_port(hostpart)
    return Uri(
        scheme,
        _utf8(unquote(user, errors="surrogateescape")) if "%" in user else user,
        host,
        port,
        parse_parameters(parameters),
        headers,
        password,
    )


def _utf8(text: str) -> str:
    """The same text; raises ParseError when it came from octets that are no UTF-8: nobody behind us could store or show it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ParseError("a URI is not UTF-8") from None
    return text


def _split_headers(rest: str) -> tuple[str, str, str]:
    """A user part may hold "?", so headers start at the first "?" after the last "@"."""
    at = rest.rfind("@")
    mark = rest.find("?", at)
    return (rest, "", "") if mark < 0 else (rest[:mark], "?", rest[mark + 1 :])


def parse_host_port(text: str) -> tuple[str, int | None]:
    """`host`, `host:port` or `[v6]:port`; raises ParseError."""
    found = _HOST.match(text)
    if not found:
        raise ParseError("a host name or address is missing or wrong")
    host, rest = found.group(), text[found.end() :].strip()
    if not rest:
        return host, None
    port = rest[1:].strip()
    if rest[0] != ":" or not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65535:
        raise ParseError("a port is wrong")
    return host, int(port)


def parse_parameters(text: str) -> Parameters:
    """`a=1;b;c="x;y"` without the first semicolon; quoted values are kept with their quotes."""
    if not text:
        return ()
    parts = text.split(";") if '"' not in text else split_outside_quotes(text, ";")
    found: list[tuple[str, str | None]] = []
    for part in parts:
        name, equals, value = part.partition("=")
        name = name.strip()
        if name:
            found.append((name, value.strip() if equals else None))
    return tuple(found)


def format_parameters(parameters: Parameters) -> str:
    """Each parameter with its leading semicolon."""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in parameters)


def find_parameter(parameters: Parameters, name: str) -> str | None:
    """Value of the first parameter of that name ("" when it has none), or None; names are case-insensitive."""
    for key, value in parameters:
        if key == name or key.lower() == name:
            return value or ""
    return None


def escape_user(user: str) -> str:
    """Percent-encode what a user part may not hold (RFC 3261 section 25.1)."""
    if _TOKEN.fullmatch(user) and "%" not in user and "`" not in user:
        return user
    octets = user.encode("utf-8", "surrogateescape")
    return "".join(chr(o) if o < 128 and chr(o) in _USER_SAFE else f"%{o:02X}" for o in octets)


def split_outside_quotes(text: str, separator: str) -> list[str]:
    """Split at `separator` where it stands outside of quoted strings and angle brackets; one pass."""
    parts: list[str] = []
    start = 0
    quoted = bracketed = False
    skip = False
    for position, character in enumerate(text):
        if skip:
            skip = False
        elif quoted:
            if character == "\\":
                skip = True
            elif character == '"':
                quoted = False
        elif character == '"':
            quoted = True
        elif character == "<":
            bracketed = True
        elif character == ">":
            bracketed = False
        elif character == separator and not bracketed:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    return parts


@dataclass(frozen=True, slots=True)
class NameAddr:
    """`"Display" <uri>;parameters`: the value of From, To, Contact, Route (RFC 3261 section 20.10)."""

    uri: Uri
    display_name: str = ""
    parameters: Parameters = ()

    @classmethod
    def of(cls, uri: "str | Uri", display_name: str = "") -> "NameAddr":
        """From a URI as text or value; raises ParseError."""
        return cls(Uri.parse(uri) if isinstance(uri, str) else uri, display_name)

    @classmethod
    def parse(cls, text: str) -> "NameAddr":
        """Read a name-addr or addr-spec with header parameters; raises ParseError."""
        usual = _USUAL_ADDRESS.fullmatch(text)
        if usual is not None:
            quoted, bare, address, rest = usual.groups()
            return cls(Uri.parse(address), _text(quoted) if quoted else bare or "", parse_parameters(rest[1:]) if rest else ())
        text = text.strip()
        display = ""
        if text.startswith('"'):
            display, text = _quoted(text)
            if not text.startswith("<"):
                raise ParseError("a display name is not followed by <")
        start = text.find("<")
        if start < 0:
            # "If the URI is not enclosed in angle brackets, any semicolon-delimited parameters are header-parameters."
            address, _, parameters = text.partition(";")
            if "?" in address or "," in address:
                raise ParseError("an address with ? or , must stand in angle brackets")
            return cls(Uri.parse(address.strip()), "", parse_parameters(well_formed(parameters)))
        end = text.find(">", start)
        if end < 0:
            raise ParseError("an address has no closing >")
        display = display or text[:start].strip()
        rest = text[end + 1 :].strip()
        if rest and not rest.startswith(";"):
            raise ParseError("text after an address")
        return cls(Uri.parse(text[start + 1 : end].strip()), _text(display), parse_parameters(well_formed(rest[1:])))

    @property
    def tag(self) -> str:
        """The tag parameter, or ""."""
        return find_parameter(self.parameters, "tag") or ""

    def parameter(self, name: str) -> str | None:
        """Value of a header parameter ("" when it has none), or None when absent."""
        return find_parameter(self.parameters, name)

    def with_tag(self, tag: str) -> "NameAddr":
        """The same address with this tag (none when empty)."""
        others = tuple(p for p in self.parameters if p[0].lower() != "tag")
        return NameAddr(self.uri, self.display_name, (*others, ("tag", tag)) if tag else others)

    def __str__(self) -> str:
        name = f"{quote(self.display_name)} " if self.display_name else ""
        return f"{name}<{self.uri}>{format_parameters(self.parameters)}"


def address_uri(value: str) -> str:
    """The URI of a name-addr or addr-spec as text, its parts not looked at; raises ParseError."""
    rest = _quoted(value)[1] if value.startswith('"') else value
    start = rest.find("<")
    if start >= 0:
        end = rest.find(">", start)
        uri = rest[start + 1 : end] if end > 0 else ""
    else:
        uri = rest.partition(";")[0].strip()
    if ":" not in uri or _FORBIDDEN.search(uri):
        raise ParseError("an address holds no URI")
    return uri


def quote(text: str) -> str:
    """A quoted string (RFC 3261 section 25.1); control characters become spaces, so no header can be smuggled in."""
    text = _CONTROL.sub(" ", text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _text(name: str) -> str:
    """A display name that can be shown and stored: control characters are spaces."""
    return well_formed(_CONTROL.sub(" ", name))


def well_formed(text: str) -> str:
    """The same text; octets that were no UTF-8 become U+FFFD."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def unquote_string(text: str) -> str:
    """The content of a quoted string; text without quotes as it is."""
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def _quoted(text: str) -> tuple[str, str]:
    """The leading quoted string's content, and what follows it."""
    skip = False
    for position in range(1, len(text)):
        if skip:
            skip = False
        elif text[position] == "\\":
            skip = True
        elif text[position] == '"':
            return unquote_string(text[: position + 1]), text[position + 1 :].lstrip()
    raise ParseError("a quoted string does not end")
