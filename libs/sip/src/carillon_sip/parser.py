"""From bytes to messages: one datagram, or a stream cut into messages (RFC 3261 sections 7 and 18.3).

Invariant: nothing but ParseError is raised, work is linear in the number of bytes, and every size has a limit.
"""

import re
from collections.abc import Generator
from dataclasses import dataclass

from carillon_sip.errors import ParseError
from carillon_sip.header_names import canonical_name
from carillon_sip.message import Headers, Request, Response, parse_cseq, parse_via_top, tag_of
from carillon_sip.uri import well_formed

_BREAKS = (b"\r", b"\n")
_METHOD = re.compile(r"[A-Za-z0-9.!%*_+`'~-]{1,64}")
_USUAL_METHODS = frozenset({"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO"})
_NOT_IN_URI = re.compile(r"[ \t<\udc80-\udcff]")
_VERSION = re.compile(r"SIP/\d{1,4}\.\d{1,4}", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:", re.IGNORECASE)
#: Separators with nothing between them: no Via may have that (RFC 4475 section 3.1.2.1).
_NOTHING = re.compile(r"(?:[;,][ \t]*)+(?=[;,]|$)")
#: Headers that stand once in a message; two of them are a contradiction (RFC 4475 section 3.3.8).
_SINGLE = ("from", "to", "call-id", "cseq", "max-forwards", "content-length", "content-type", "expires")
_MANDATORY = ("via", "from", "to", "call-id", "cseq")


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes and header lines; above them a message is refused."""

    message_bytes: int = 65_536
    line_bytes: int = 8_192
    headers: int = 256


DEFAULT_LIMITS = Limits()


def parse_message(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Request | Response:
    """Read one whole message; bytes after Content-Length are cut off. Raises ParseError with `request` when it can be answered."""
    if len(data) > limits.message_bytes:
        raise ParseError("the message is too large", status=513)
    if data[:1] in _BREAKS:
        data = data.lstrip(b"\r\n")
    head, end, body = data.partition(b"\r\n\r\n")
    message = _parse_head(head if end else head.rstrip(b"\r\n"), limits)
    try:
        if not end:
            raise ParseError("the header does not end")
        _check(message, body)
    except ParseError as error:
        if type(message) is not Request:
            raise
        raise ParseError(str(error), status=error.status, request=_answerable(message)) from None
    return message


def _parse_head(head: bytes, limits: Limits) -> Request | Response:
    if b"\0" in head:
        # A quoted NUL is well formed (RFC 4475 section 3.1.1.2), but nothing behind us can keep one: it is read as a space.
        head = head.replace(b"\\\0", b"\\ ")
    lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    breaks = len(lines) - 1
    # "\r" and "\n" alone would end a header line for others, and every reply copies lines: such a message is not answered.
    if len(head.translate(None, b"\r\n\0")) + 2 * breaks != len(head):
        raise ParseError("a line break or NUL where none may be")
    start = lines.pop(0)
    if breaks > limits.headers:
        raise ParseError("too many headers")
    if len(head) > limits.line_bytes and (len(start) > limits.line_bytes or max(map(len, lines), default=0) > limits.line_bytes):
        raise ParseError("a line is too long")
    return _start_line(start, Headers(lines))


def _start_line(start: str, headers: Headers) -> Request | Response:
    if start.startswith("SIP/2.0 "):
        status = start[8:11]
        if not (status.isascii() and status.isdigit()) or start[11:12] not in ("", " ") or not 100 <= int(status) <= 699:
            raise ParseError("the status is not a number from 100 to 699")
        return Response(int(status), well_formed(start[12:]), headers)
    if start.endswith(" SIP/2.0"):
        method, _, uri = start[:-8].partition(" ")
        if method in _USUAL_METHODS and uri and not _NOT_IN_URI.search(uri):
            return Request(method, uri, headers)
    # "An element that is liberal in what it accepts may ignore these extra SP characters" (RFC 4475 section 3.1.2.10).
    method, _, rest = start.rstrip(" \t").partition(" ")
    uri, _, version = rest.rpartition(" ")
    if not _METHOD.fullmatch(method) or not uri or not _VERSION.fullmatch(version):
        raise ParseError("the first line is no SIP")
    request = Request(method, uri, headers)
    if version.upper() != "SIP/2.0":
        raise ParseError("another version of SIP", status=505, request=_answerable(request))
    if _NOT_IN_URI.search(uri):
        raise ParseError("the Request-URI is no URI", request=_answerable(request))
    return request


def _check(message: Request | Response, body: bytes) -> None:
    """What every message must have: the five headers once, values that can be read, the body that Content-Length says."""
    index = message.headers.index()
    try:
        via, from_, to = index["via"][0], index["from"][0], index["to"][0]
        call_id, cseq = index["call-id"][0], index["cseq"][0]
    except KeyError as missing:
        raise ParseError(f"no {missing.args[0]} header") from None
    if len(index) != len(message.headers.lines):
        for name in _SINGLE:
            if len(index.get(name, ())) > 1:
                raise ParseError(f"more than one {name} header")
    message.via_top = parse_via_top(via)
    if '"' not in via and _NOTHING.search(via):
        raise ParseError("a Via with nothing between separators")
    message.from_tag, message.to_tag = tag_of(from_), tag_of(to)
    message.cseq = parse_cseq(cseq)
    message.call_id = call_id
    if not call_id:
        raise ParseError("an empty Call-ID")
    if not (call_id.isascii() and message.from_tag.isascii() and message.to_tag.isascii()):
        raise ParseError("a Call-ID or tag is not ASCII")
    if type(message) is Request and message.cseq.method != message.method:
        raise ParseError("the method of CSeq is another")
    length = index.get("content-length")
    message.body = body if length is None else _body(length[0], body)


def _body(value: str, body: bytes) -> bytes:
    """The body as long as Content-Length says; "If there are additional bytes ... they MUST be discarded" (section 18.3)."""
    if not (value.isascii() and value.isdigit()) or len(value) > 9:
        raise ParseError("Content-Length is not a number")
    length = int(value)
    if length > len(body):
        raise ParseError("the body is shorter than Content-Length says")
    return body if length == len(body) else body[:length]


def _answerable(request: Request) -> Request | None:
    """The request when a reply can copy what it must (Via, From, To, Call-ID, CSeq) and it is no ACK, else None."""
    readable = Request(request.method, request.uri, Headers(_readable(request.headers.lines)))
    try:
        index = readable.headers.index()
        _ = readable.via_top, readable.to_tag
    except ParseError:
        return None
    complete = all(index.get(name) and index[name][0] for name in _MANDATORY)
    return readable if complete and request.method != "ACK" else None


def _readable(lines: list[str]) -> list[str]:
    """The lines that are headers, with the lines that go on with them; a Via without its empty parts."""
    kept: list[str] = []
    whole = False
    for line in lines:
        if line[:1] not in (" ", "\t"):
            name, colon, value = line.partition(":")
            try:
                known = canonical_name(name)
            except ParseError:
                known = ""
            whole = bool(known and colon)
            if known == "via" and '"' not in value:
                line = f"Via: {_NOTHING.sub('', value)}"
        if whole:
            kept.append(line)
    return kept


class StreamFramer:
    """Cuts a stream into messages (RFC 3261 section 18.3); a framing error raises ParseError and ends the stream.

    `feed` returns whole messages; an empty one is a keep-alive ping, CRLF CRLF (RFC 5626 section 4.4.1). When whole messages
    stand before the error in the same bytes, they are returned, `error` says what followed, and the next `feed` raises it.
    `messages` counts those that were no pings.
    """

    __slots__ = ("_buffer", "_frames", "_ready", "error", "messages")

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.error: ParseError | None = None
        self.messages = 0
        self._ready: list[bytes] = []
        self._buffer = bytearray()
        self._frames = _frames(self._buffer, self._ready, limits)
        next(self._frames)

    @property
    def pending(self) -> int:
        """Bytes of a message that is not whole yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The next bytes; the messages they complete, in order."""
        if self.error is not None:
            raise self.error
        try:
            self._frames.send(data)
        except StopIteration:
            raise ParseError("the stream has ended") from None
        except ParseError as error:
            self.error = error
            if not self._ready:
                raise
        ready = self._ready[:]
        self._ready.clear()
        self.messages += sum(map(bool, ready))
        return ready


def _frames(buffer: bytearray, ready: list[bytes], limits: Limits) -> Generator[None, bytes, None]:
    """Yield for more bytes; append whole messages to `ready`. What was searched once is not searched again."""
    while True:
        while not buffer:
            buffer += yield
        if buffer[0] in b"\r\n":
            while len(buffer) < 4 and b"\r\n\r\n".startswith(buffer):
                buffer += yield
            if buffer.startswith(b"\r\n\r\n"):
                ready.append(b"")
                del buffer[:4]
            else:
                del buffer[: 2 if buffer.startswith(b"\r\n") else 1]
            continue
        searched = 0
        while (end := buffer.find(b"\r\n\r\n", searched)) < 0:
            if len(buffer) > limits.message_bytes:
                raise ParseError("the header is too large", status=513)
            searched = max(0, len(buffer) - 3)
            buffer += yield
        try:
            total = end + 4 + _content_length(buffer, end + 2)
            if total > limits.message_bytes:
                raise ParseError("the message is too large", status=513)
        except ParseError as error:
            raise ParseError(str(error), status=error.status, request=_asked(bytes(memoryview(buffer)[:end]), limits)) from None
        while len(buffer) < total:
            buffer += yield
        ready.append(bytes(memoryview(buffer)[:total]))
        del buffer[:total]


def _content_length(buffer: bytearray, end: int) -> int:
    """The one Content-Length of the header that ends at `end`, its last line break included."""
    found = [match.end() for match in _LENGTH.finditer(buffer, 0, end)]
    if len(found) != 1:
        # "The Content-Length header field MUST be used with stream oriented transports." Of two, the peer may mean either: what
        # one of us takes for a body, the other would take for a request.
        raise ParseError("no Content-Length on a stream" if not found else "more than one content-length header")
    stop = buffer.find(b"\r\n", found[0])
    while buffer[stop + 2] in b" \t":
        stop = buffer.find(b"\r\n", stop + 2)
    value = bytes(memoryview(buffer)[found[0] : stop]).strip()
    if not value.isdigit() or len(value) > 9:
        raise ParseError("Content-Length is not a number")
    return int(value)


def _asked(head: bytes, limits: Limits) -> Request | None:
    """The request whose header broke the framing, when it can be answered."""
    try:
        message = _parse_head(head, limits)
    except ParseError as error:
        return error.request
    return _answerable(message) if isinstance(message, Request) else None
