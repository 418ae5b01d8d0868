"""Messages built from the grammar's pieces, a few of them wrong: every door takes or refuses them, and keeps its invariants."""

from hypothesis import given, settings
from hypothesis import strategies as st

from carillon_sip.testing import invariants

many = settings(max_examples=150, deadline=None)

#: What has a meaning somewhere in the grammar, or breaks lines, quotes and brackets.
NASTY = [
    "\r\n",
    "\r\n ",
    "\r",
    "\n",
    "\t",
    " ",
    '"',
    "\\",
    "\\\0",
    "\0",
    "<",
    ">",
    ";",
    ";;",
    ",",
    ",,",
    "=",
    ":",
    "@",
    "?",
    "%",
    "%00",
    "%ff",
    "[",
    "]",
    "*",
    "\udcff",
    "\u00e9",
    "\u2028",
    "\x85",
    "\x1b",
    "\x7f",
    "'",
    "`",
    "/",
    "//",
    "-1",
    "99999999999",
    "0",
    "sip:",
    ";tag=",
    ";branch=",
    "Digest ",
]


@st.composite
def broken(draw: st.DrawFn, valid: st.SearchStrategy[str]) -> str:
    """A valid text, mostly as it is; else with up to three things inserted, taken out, or said twice."""
    text = draw(valid)
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3]))):
        start = draw(st.integers(0, len(text)))
        stop = min(len(text), start + draw(st.integers(0, 12)))
        what = draw(st.sampled_from(["insert", "replace", "cut", "twice", "end"]))
        nasty = draw(st.sampled_from(NASTY))
        text = {
            "insert": text[:start] + nasty + text[start:],
            "replace": text[:start] + nasty + text[stop:],
            "cut": text[:start] + text[stop:],
            "twice": text[:stop] + text[start:],
            "end": text + nasty,
        }[what]
    return text


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


def maybe(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(st.just(""), part)


def some(*choices: str) -> st.SearchStrategy[str]:
    return st.sampled_from(choices)


SPACE = some("", "", "", " ", "\t", "\r\n ", "  \r\n\t")
TOKENS = some("a", "z9hG4bKx", "tag", "x-y.!%*_+`'~", "INVITE", "0", "7", "4294967295", "00000001")
QUOTED = some('""', '"Bob"', '"a\\"b\\\\"', '"<sip:x@y>;tag=1"', '"\u0431\u043e\u0431"', '"a,b;c"', '"\\\0"')
NAMES = some(
    "tag", "branch", "lr", "transport", "expires", "q", "received", "rport", "maddr", "ttl", "user", "TAG", "x", "+sip.instance", "reg-id"
)
PARAMETERS = st.lists(
    joined(SPACE, st.just(";"), SPACE, NAMES, maybe(joined(SPACE, st.just("="), SPACE, st.one_of(TOKENS, QUOTED)))), max_size=4
).map("".join)
HOSTS = some("example.com", "192.0.2.1", "[2001:db8::1]", "[::ffff:192.0.2.1]", "localhost", "a_b.c", "x-1.y.")
USERS = some("alice", "+33123456789", "a;b=c", "%61%62", "a%40b", "*98", "(1)", "&=+$,;?/", "null-%00", "%C3%A9", "a:secret")
URIS = st.one_of(
    joined(
        some("sip:", "sips:", "SIP:"),
        maybe(joined(USERS, st.just("@"))),
        HOSTS,
        maybe(some(":5060", ":65535", ":0")),
        PARAMETERS,
        maybe(some("?Subject=x", "?Route=%3Csip:x%3E&a=b")),
    ),
    some("tel:+33123", "tel:110;phone-context=+33", "urn:service:sos", "http://example.com/", "isbn:1", "*"),
)
ADDRESSES = st.one_of(
    joined(maybe(st.one_of(QUOTED, TOKENS)), SPACE, st.just("<"), SPACE, URIS, st.just(">"), PARAMETERS),
    joined(URIS, PARAMETERS),
    st.just("*"),
)
VIAS = joined(
    some("SIP/2.0/UDP", "SIP / 2.0 / TCP", "sip/2.0/tls", "SIP/7.0/X"),
    some(" ", "\t", "  "),
    HOSTS,
    maybe(some(":5060", " : 5060", ":1")),
    PARAMETERS,
)
NUMBERS = some("0", "70", "0068", "255", "300", "4294967295", "99999999999999999999", "-1", "1.5", "")
DIGESTS = joined(
    some("Digest ", "digest  ", "Basic "),
    st.lists(
        some(
            'username="alice"',
            'realm="realm"',
            'nonce="n"',
            'uri="sip:x"',
            'response="0"',
            "algorithm=MD5",
            "algorithm=SHA-256",
            "qop=auth",
            'qop="auth,auth-int"',
            "nc=00000001",
            'cnonce="c"',
            'opaque="o\\""',
            "stale=true",
            "x=",
            'username="\u00e9"',
        ),
        max_size=11,
    ).map(", ".join),
)
LISTS = st.lists(some("100rel", "timer", "application/sdp", "*/*", "text/plain;q=0.5", "gzip", "foo"), max_size=3).map(", ".join)


def values(name: str) -> st.SearchStrategy[str]:
    """Values of a header."""
    if name in ("Via", "v"):
        return st.lists(VIAS, min_size=1, max_size=3).map(", ".join)
    if name in ("From", "To", "f", "t", "Referred-By"):
        return ADDRESSES
    if name in ("Contact", "m", "Route", "Record-Route", "Path", "P-Asserted-Identity", "Diversion"):
        return st.lists(ADDRESSES, min_size=1, max_size=3).map(" , ".join)
    if name in ("Authorization", "Proxy-Authorization", "WWW-Authenticate"):
        return DIGESTS
    if name in ("Max-Forwards", "Expires", "Session-Expires", "Min-SE", "RSeq", "Content-Length", "l"):
        return NUMBERS
    if name in ("Require", "Supported", "Accept", "Content-Encoding", "Content-Type", "Allow"):
        return LISTS
    return st.one_of(TOKENS, QUOTED, ADDRESSES)


OTHERS = [
    "Contact",
    "m",
    "Route",
    "Record-Route",
    "Path",
    "Max-Forwards",
    "Expires",
    "Session-Expires",
    "Min-SE",
    "RSeq",
    "Require",
    "Supported",
    "Accept",
    "Content-Encoding",
    "Content-Type",
    "Allow",
    "Authorization",
    "Proxy-Authorization",
    "P-Asserted-Identity",
    "Diversion",
    "Referred-By",
    "Subject",
    "Replaces",
    "RAck",
    "Reason",
    "Privacy",
    "Event",
    "X-Odd",
    "Via",
    "Content-Length",
    "From",
    "Call-ID",
]


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A message with its five headers, some more, and a body; each piece may be broken."""
    method = draw(some("INVITE", "INVITE", "OPTIONS", "REGISTER", "BYE", "CANCEL", "ACK", "INFO", "UPDATE", "PRACK", "SUBSCRIBE", "DANCE"))
    start = draw(
        broken(
            st.one_of(
                joined(st.just(f"{method} "), URIS, st.just(" SIP/2.0")), some("SIP/2.0 200 OK", "SIP/2.0 183 ", "SIP/2.0 486 \u0431")
            )
        )
    )
    call_id = draw(broken(some("a@b", "word%ZK-!.*_+'@word`~)(><:\\/\"][?}{", "1")))
    cseq = draw(broken(joined(some("1", "0009", "2147483647", "4294967296"), some(" ", "\t", "\r\n "), st.just(method))))
    lines = [f"Call-ID: {call_id}", f"CSeq: {cseq}"]
    for name in [*draw(st.permutations(["Via", "From", "To"])), *draw(st.lists(st.sampled_from(OTHERS), max_size=5))]:
        lines.append(f"{name}{draw(some(':', ': ', ' :', ':  '))}{draw(broken(values(name)))}")
    body = draw(st.one_of(st.just(""), descriptions()))
    octets = body.encode("utf-8", "surrogateescape")
    lines.append(f"Content-Length: {draw(st.sampled_from([len(octets)] * 6 + [0, len(octets) + 5, max(0, len(octets) - 3)]))}")
    return "\r\n".join([start, *draw(st.permutations(lines)), "", ""]).encode("utf-8", "surrogateescape") + octets


@st.composite
def descriptions(draw: st.DrawFn) -> str:
    """A session description of a few streams."""
    lines = ["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0"]
    for _ in range(draw(st.integers(0, 3))):
        lines.append(
            draw(
                some(
                    "m=audio 4000 RTP/AVP 0 8 101",
                    "m=audio 0 RTP/AVP 8",
                    "m=video 4002/2 RTP/AVP 31",
                    "m=audio 4000 RTP/SAVP 0",
                    "m=image 1 udptl t38",
                )
            )
        )
        lines += draw(
            st.lists(
                some(
                    "a=rtpmap:101 telephone-event/8000",
                    "a=rtpmap:8 PCMA/8000/1",
                    "a=fmtp:101 0-15",
                    "a=sendonly",
                    "a=inactive",
                    "a=ptime:20",
                    "c=IN IP6 2001:db8::1",
                    "c=IN IP4 0.0.0.0",
                    "c=IN IP4 224.2.1.1/127",
                    "c=IN IP4 example.com",
                    "a=rtcp:4001",
                    "b=AS:64",
                    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x",
                ),
                max_size=4,
            )
        )
    return "".join(f"{draw(broken(st.just(line)))}{draw(some(chr(13) + chr(10), chr(10)))}" for line in lines)


def octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@given(messages())
@many
def test_a_message_is_read_or_refused(data: bytes) -> None:
    invariants.message(data)


@given(st.lists(st.one_of(messages(), st.sampled_from([b"\r\n\r\n", b"\r\n", b"\r"])), max_size=4).map(b"".join), st.integers(1, 60))
@many
def test_a_stream_is_cut_into_the_same_messages_however_it_comes(data: bytes, step: int) -> None:
    invariants.stream(bytes([step]) + data)


@given(
    st.lists(messages(), min_size=1, max_size=3).map(b"\n--\n".join),
    st.sampled_from([b"\x00", b"\x01", b"\x02", b"\xfc", b"\xfd", b"\xfe"]),
)
@many
def test_a_user_agent_takes_it_and_answers_the_next(data: bytes, kind: bytes) -> None:
    invariants.user_agent(kind + data)


@given(descriptions())
@many
def test_a_session_description_is_read_or_refused(text: str) -> None:
    invariants.sdp(octets(text))


@given(broken(st.one_of(URIS, ADDRESSES)))
@many
def test_an_address_is_the_same_when_written_and_read_again(text: str) -> None:
    invariants.uri(octets(text))


@given(st.one_of(broken(DIGESTS), broken(some("MD5", 'SHA-256, nc=00000001, cnonce="x"'))))
@many
def test_nobody_passes_without_the_password(text: str) -> None:
    invariants.digest(octets(text))


@given(broken(st.one_of(*(values(name) for name in ["Via", "From", "Contact", "Max-Forwards", "Accept", "Authorization"]))))
@many
def test_a_header_is_read_or_refused(text: str) -> None:
    invariants.headers(octets(text))
