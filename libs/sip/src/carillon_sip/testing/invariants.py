"""What must hold for any octets whatever: one check for each door of the library, for generated and for coverage-guided tests.

Invariant: a check raises AssertionError when the library is wrong, and what the library should never raise comes through;
ParseError and NotAcceptable are the right answers to nonsense and are caught here.
"""

from collections.abc import Callable
from contextlib import suppress

from carillon_sip.commands import UserAgentSettings
from carillon_sip.digest import Authenticator, Credentials, Verdict, answer_challenges, ha1, parse_authorization
from carillon_sip.errors import ParseError
from carillon_sip.flow import Flow
from carillon_sip.message import Headers, Message, Request, Response, Via, parse_cseq, tag_of
from carillon_sip.offer_answer import NotAcceptable, answer_offer, read_answer
from carillon_sip.outputs import InviteReceived, RequestReceived, SessionReinvited, SessionRequest
from carillon_sip.parser import StreamFramer, parse_message
from carillon_sip.reply import ReplyHead
from carillon_sip.sdp import SessionDescription
from carillon_sip.testing.scenarios import SDP, STRANGERS_FLOW, Stranger, full_settings, request_text
from carillon_sip.testing.virtual_network import Tokens
from carillon_sip.uri import NameAddr, Uri, split_outside_quotes, well_formed
from carillon_sip.user_agent import UserAgent

_TCP = Flow("tcp", ("192.0.2.2", 5060), ("192.0.2.9", 40000))


def message(data: bytes) -> None:
    """A message is read or refused; what was read is the same when written and read again; no reply holds more lines than it should."""
    try:
        read = parse_message(data)
    except ParseError as error:
        if error.request is not None:
            _one_reply(error.request)
        return
    typed(read)
    f"{read.call_id}{read.from_tag}{read.to_tag}{read.cseq}".encode()
    again = parse_message(read.to_bytes())
    assert type(again) is type(read)
    assert (again.call_id, again.cseq, again.from_tag, again.to_tag, again.body) == (
        read.call_id,
        read.cseq,
        read.from_tag,
        read.to_tag,
        read.body,
    )
    if isinstance(read, Request):
        assert isinstance(again, Request)
        assert (again.method, again.uri) == (read.method, read.uri)
        f"{read.method} {read.uri}".encode()
        _one_reply(read)


def _one_reply(request: Request) -> None:
    reply = ReplyHead(request, STRANGERS_FLOW).make(400, None, "")
    top, *others = request.headers.raw("Via")
    vias = len(split_outside_quotes(top, ",")) + len(others)
    assert reply.count(b"\r\n\r\n") == 1
    assert reply.count(b"\n") == reply.count(b"\r") == vias + 7
    assert b"\0" not in reply


def typed(read: Message) -> None:
    """Every typed value is there or is a ParseError."""
    readers: list[Callable[[], object]] = [
        lambda: (read.from_, read.to, read.contacts, read.contact),
        lambda: read.expires,
        lambda: read.via_top.parameters,
        lambda: read.max_forwards if isinstance(read, Request) else None,
    ]
    for reader in readers:
        with suppress(ParseError):
            reader()
    _ = read.content_type, read.accepts("application/sdp")
    for name, values in read.headers.index().items():
        for value in [*values, *read.headers.all(name), read.headers.get(name) or ""]:
            assert not set("\r\n\0") & set(value)
        "".join([read.headers.get(name) or "", *read.headers.all(name)]).encode()
    with suppress(ParseError):
        for address in (read.from_, read.to, *read.contacts):
            assert address.display_name.isprintable() or not address.display_name.isascii()
            address.display_name.encode()
            str(address).encode()


def stream(data: bytes) -> None:
    """However a stream is cut, the same messages come out, and each is exactly what the parser takes it for.

    The first octet says how it is cut.
    """
    step, data = (data[0] % 61 or 61) if data else 1, data[1:]
    whole, broken = _framed([data])
    assert (whole, broken) == _framed([data[at : at + step] for at in range(0, len(data), step)])
    for one in whole:
        head, end, body = one.partition(b"\r\n\r\n")
        assert end or not one
        with suppress(ParseError):
            assert not one or parse_message(one).body == body, head


def _framed(chunks: list[bytes]) -> tuple[list[bytes], bool]:
    framer, found = StreamFramer(), list[bytes]()
    for chunk in chunks:
        try:
            found += framer.feed(chunk)
        except ParseError:
            return found, True
    return found, framer.error is not None


def sdp(data: bytes) -> None:
    """A description is read or refused; writing and reading it again changes nothing; its answer has as many streams."""
    try:
        read = SessionDescription.parse(data)
    except ParseError:
        return
    assert SessionDescription.parse(read.to_bytes()) == read
    with suppress(ParseError):
        _ = read.audio
    with suppress(NotAcceptable):
        local = answer_offer(read, "192.0.2.2", 4000, session_id=1).local
        assert len(local.media) == len(read.media)
        assert SessionDescription.parse(local.to_bytes()) == local
    with suppress(NotAcceptable):
        read_answer(SessionDescription.parse(SDP), read)


def uri(data: bytes) -> None:
    """A URI or an address is read or refused; written and read again it is the same, and is one line of UTF-8."""
    text = data.decode("utf-8", "surrogateescape")
    with suppress(ParseError):
        one = Uri.parse(text)
        assert Uri.parse(str(one)) == one
        assert one.same_as(one)
        assert str(one).isprintable() or not str(one).isascii()
        _ = one.address_of_record
    if set(text).isdisjoint("\r\n\0"):
        with suppress(ParseError):
            address = NameAddr.parse(text)
            again = NameAddr.parse(str(address))
            assert (again.uri, again.display_name.strip()) == (address.uri, address.display_name.strip())
            assert well_formed(tag_of(text)) == address.tag


def digest(data: bytes) -> None:
    """Whatever a peer says, nobody who knows no password passes; a challenge that we answer is answered in its own words."""
    text = data.decode("utf-8", "surrogateescape")
    server = Authenticator(b"key")
    (_, challenge) = server.challenges("realm", 100.0)
    credentials = Credentials("alice", "secret")
    stored = {"MD5": ha1("alice", "realm", "secret", "MD5")}
    for value in (text, f"Digest {text}", challenge.replace("MD5", text), f'{challenge}, username="alice", uri="sip:x", {text}'):
        verdict, _ = server.verify([value], "INVITE", "realm", lambda _: stored, 100.0)  # type: ignore[arg-type, return-value]
        assert verdict is not Verdict.OK
        authorization = parse_authorization(value)
        if authorization is not None:
            repr(authorization).encode()
        if set(text).isdisjoint("\r\n\0"):
            ours = answer_challenges([value], credentials, "INVITE", "sip:x", "cnonce")
            if ours is not None:
                assert "\r" not in ours
                assert "\n" not in ours
                mine = parse_authorization(ours)
                assert mine is not None
                assert mine.username == "alice"


def headers(data: bytes) -> None:
    """Header lines and single values: read or refused, never anything else."""
    text = data.decode("utf-8", "surrogateescape").replace("\0", "")
    given = [line.replace("\r", "").replace("\n", "") for line in text.split("\r\n")]
    found = Headers(given)
    with suppress(ParseError):
        for name in list(found.index()):
            assert found.get(name) is not None
            assert name in found
            assert found.raw(name) or found.all(name) is not None
    for read in (Via.parse, parse_cseq, tag_of, NameAddr.parse):
        with suppress(ParseError):
            read(text)
    lines = request_text("REGISTER").split("\r\n", 1)[1].removesuffix("\r\n\r\n")
    with suppress(ParseError):
        typed(Response(200, "", Headers([*(line for line in lines.split("\r\n") if not line.startswith("Contact")), *given])))


def user_agent(data: bytes) -> None:
    """Datagrams or streams, nothing is raised, the next request is answered, and in the end nothing is left.

    The first octet says which, whether a call that comes is answered, and whether every method and extension is on (then whoever
    would answer them is missing, and what waits for him is left). Lines of -- part what comes one after the other; $TAG in them is
    our tag of the call.
    """
    kind = data[0] if data else 0
    full = bool(kind & 2)
    stranger = Stranger(UserAgent(full_settings() if full else UserAgentSettings(), Tokens("bob")))
    stranger.flow = _TCP if kind < 128 else STRANGERS_FLOW
    for part in data[1:].split(b"\n--\n")[:8]:
        tags = [event.session for event in stranger.events if isinstance(event, InviteReceived)] or ["none"]
        known = len(stranger.events)
        stranger.send(part.replace(b"$TAG", tags[-1].encode()))
        _decide(stranger, known, answer=kind % 2 == 0)
    stranger.flow = STRANGERS_FLOW
    known = len(stranger.events)
    stranger.send(request_text("OPTIONS", branch="z9hG4bKnext", call_id="next", from_tag="next"))
    assert isinstance(stranger.events[-1], RequestReceived)
    _decide(stranger, known, answer=False)
    assert stranger.statuses(stranger.sent[-1:]) == [200]
    stranger.wait(2000.0)
    for event in stranger.events:
        if isinstance(event, InviteReceived):
            stranger.agent.bye(event.session, now=stranger.now)
    stranger.collect()
    stranger.wait(200.0)
    assert full or stranger.agent.counts()[:3] == (0, 0, 0), stranger.agent.counts()


def _decide(stranger: Stranger, known: int, *, answer: bool) -> None:
    agent, now = stranger.agent, stranger.now
    for event in stranger.events[known:]:
        if isinstance(event, RequestReceived | SessionRequest):
            agent.respond(event.transaction, 200, now=now)
        elif isinstance(event, SessionReinvited):
            agent.accept_reinvite(event.session, SDP, now=now)
        elif isinstance(event, InviteReceived) and answer:
            agent.answer(event.session, SDP, now=now)
        elif isinstance(event, InviteReceived):
            agent.reject(event.session, 486, now=now)
    stranger.collect()
