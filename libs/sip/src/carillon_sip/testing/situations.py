"""Sessions brought into every situation that the network can find them in, and everything that it may say to them there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from carillon_sip.commands import Invite
from carillon_sip.outputs import InviteReceived, Output, ReferReceived, SessionRequest
from carillon_sip.parser import parse_message
from carillon_sip.testing.scenarios import SDP, STRANGERS_FLOW, Stranger, first_word, full_settings, request_text
from carillon_sip.testing.virtual_network import Tokens
from carillon_sip.uri import NameAddr
from carillon_sip.user_agent import UserAgent

OFFER = SDP.decode()
DESCRIBED = "Content-Type: application/sdp\r\n"
RELIABLE = "Require: 100rel\r\nRSeq: 7\r\n"


def agent() -> Stranger:
    """Somebody with every method and extension, and a stranger who writes to him."""
    return Stranger(UserAgent(full_settings(user_agent="bob", ring_seconds=180.0), Tokens("bob")))


@dataclass
class Situation:
    """A session of the agent, and what the stranger's messages of its dialog need."""

    stranger: Stranger
    session: str
    call_id: str
    #: Our INVITE (or re-INVITE, UPDATE, BYE) that has no final answer.
    ours: bytes = b""
    cseq: int = 10

    def request(self, method: str, extra: str = "", body: str = "", *, branch: str = "", cseq: int = 0) -> list[bytes]:
        """Within the dialog, with the next CSeq."""
        self.cseq += 1
        described = DESCRIBED if body else ""
        text = request_text(
            method,
            branch=branch or f"z9hG4bKx{self.cseq}",
            cseq=cseq or self.cseq,
            to_tag=self.session,
            call_id=self.call_id,
            extra=extra + described,
            body=body,
        )
        return self.stranger.send(text)

    def respond(self, status: int, extra: str = "", body: str = "") -> list[bytes]:
        """To our request."""
        asked = parse_message(self.ours)
        to = asked.headers.get("To") or ""
        head = (
            f"SIP/2.0 {status} Whatever\r\nVia: {asked.headers.get('Via')}\r\nFrom: {asked.headers.get('From')}\r\n"
            f"To: {to if ';tag=' in to or status == 100 else to + ';tag=st'}\r\nCall-ID: {asked.headers.get('Call-ID')}\r\n"
            f"CSeq: {asked.headers.get('CSeq')}\r\nContact: <sip:st@192.0.2.9:5060>\r\n"
        )
        described = DESCRIBED if body else ""
        return self.stranger.send(f"{head}{extra}{described}Content-Length: {len(body)}\r\n\r\n{body}")


# -- situations -------------------------------------------------------------------------------------------------------


def incoming() -> Situation:
    stranger = agent()
    stranger.send(request_text(extra=DESCRIBED, body=OFFER))
    event = stranger.last(InviteReceived)
    assert isinstance(event, InviteReceived)
    return Situation(stranger, event.session, "call-1")


def answered() -> Situation:
    here = incoming()
    here.stranger.agent.answer(here.session, SDP, now=0.0)
    here.stranger.collect()
    return here


def leaving() -> Situation:
    here = answered()
    here.stranger.agent.bye(here.session, now=0.0)
    here.stranger.collect()
    return here


def up() -> Situation:
    here = answered()
    here.request("ACK", cseq=1)
    return here


def asked() -> Situation:
    """Their re-INVITE has no answer."""
    here = up()
    here.request("INVITE", body=OFFER, branch="z9hG4bKre")
    return here


def offered() -> Situation:
    """Their UPDATE has no answer."""
    here = up()
    here.request("UPDATE", body=OFFER)
    return here


def _sent(here: Situation) -> Situation:
    here.ours = here.stranger.collect()[-1]
    return here


def asking() -> Situation:
    here = up()
    here.stranger.agent.reinvite(here.session, SDP, now=0.0)
    return _sent(here)


def updating() -> Situation:
    here = up()
    here.stranger.agent.update(here.session, SDP, now=0.0)
    return _sent(here)


def ending() -> Situation:
    here = up()
    here.stranger.agent.bye(here.session, now=0.0)
    return _sent(here)


def over() -> Situation:
    here = ending()
    here.respond(200)
    return here


def calling(acks: bool = True) -> Situation:
    stranger = agent()
    address, contact = NameAddr.of("sip:st@example.com"), NameAddr.of("sip:bob@192.0.2.2")
    invite = Invite(STRANGERS_FLOW, "sip:st@example.com", NameAddr.of("sip:bob@example.com"), address, contact, SDP, acks=acks)
    session = stranger.agent.invite(invite, now=0.0)
    sent = stranger.collect()[0]
    return Situation(stranger, session, parse_message(sent).call_id, sent)


def ringing() -> Situation:
    here = calling()
    here.respond(180)
    return here


def cancelling() -> Situation:
    """The CANCEL is sent; the INVITE has no final answer yet."""
    here = ringing()
    here.stranger.agent.cancel(here.session, now=0.0)
    here.stranger.collect()
    return here


def held_back() -> Situation:
    """Their 2xx waits for the user to acknowledge it."""
    here = calling(acks=False)
    here.respond(200, body=OFFER)
    return here


def called() -> Situation:
    """As up, but we called."""
    here = calling()
    here.respond(200, body=OFFER)
    return here


SITUATIONS: Mapping[str, Callable[[], Situation]] = {
    made.__name__: made
    for made in (
        incoming,
        answered,
        leaving,
        up,
        asked,
        offered,
        asking,
        updating,
        ending,
        over,
        calling,
        ringing,
        cancelling,
        held_back,
        called,
    )
}

# -- inputs -----------------------------------------------------------------------------------------------------------

Act = Callable[[Situation], list[bytes]]


def _cancel(here: Situation) -> list[bytes]:
    """Of the INVITE or re-INVITE that is, or was, the last."""
    if here.call_id != "call-1":
        return here.request("CANCEL")
    first = here.cseq == 10
    return here.stranger.send(request_text("CANCEL")) if first else here.request("CANCEL", branch="z9hG4bKre", cseq=here.cseq)


def _lost(here: Situation) -> list[bytes]:
    here.stranger.agent.flow_failed(STRANGERS_FLOW, here.stranger.now)
    return here.stranger.collect()


REQUESTS: Mapping[str, Act] = {
    "ACK": lambda here: here.request("ACK", cseq=1),
    "CANCEL": _cancel,
    "BYE": lambda here: here.request("BYE"),
    "re-INVITE": lambda here: here.request("INVITE", body=OFFER),
    "UPDATE": lambda here: here.request("UPDATE"),
    "UPDATE with offer": lambda here: here.request("UPDATE", body=OFFER),
    "PRACK": lambda here: here.request("PRACK", "RAck: 7 1 INVITE\r\n"),
    "INFO": lambda here: here.request("INFO"),
    "REFER": lambda here: here.request("REFER", "Refer-To: <sip:carol@example.com>\r\n"),
    "NOTIFY": lambda here: here.request("NOTIFY", "Event: refer\r\nSubscription-State: active\r\n"),
    "OPTIONS": lambda here: here.request("OPTIONS"),
    "unknown method": lambda here: here.request("FOO"),
    "old CSeq": lambda here: here.request("INFO", cseq=1),
    "connection lost": _lost,
    "silence": lambda here: here.stranger.wait(400.0),
}
RESPONSES: Mapping[str, Act] = {
    "100": lambda here: here.respond(100),
    "180": lambda here: here.respond(180),
    "183 reliable": lambda here: here.respond(183, RELIABLE, OFFER),
    "200": lambda here: here.respond(200, body=OFFER),
    "302": lambda here: here.respond(302),
    "401": lambda here: here.respond(401, 'WWW-Authenticate: Digest realm="r", nonce="n"\r\n'),
    "404": lambda here: here.respond(404),
    "408": lambda here: here.respond(408),
    "422": lambda here: here.respond(422, "Min-SE: 3600\r\n"),
    "481": lambda here: here.respond(481),
    "487": lambda here: here.respond(487),
    "491": lambda here: here.respond(491),
    "500": lambda here: here.respond(500, "Retry-After: 3\r\n"),
    "600": lambda here: here.respond(600),
}
#: Our requests that are under way in these, so that a response can answer something.
AWAITING = ("asking", "updating", "ending", "calling", "ringing", "cancelling", "held_back", "called")


def said(messages: list[bytes]) -> list[str]:
    """Statuses and methods, each once with how often."""
    words = [first_word(message) for message in messages]
    return [word if words.count(word) == 1 else f"{word}*{words.count(word)}" for word in dict.fromkeys(words)]


def told(event: Output) -> str:
    """Kind and what distinguishes it."""
    name = type(event).__name__
    details = [str(getattr(event, field)) for field in ("status", "by", "method") if isinstance(getattr(event, field, None), int | str)]
    return f"{name}({','.join(filter(None, details))})" if any(details) else name


def settle(here: Situation) -> None:
    """The user answers what waits for him and leaves, and time goes by."""
    agent, now = here.stranger.agent, here.stranger.now
    for event in here.stranger.events:
        if isinstance(event, SessionRequest):
            agent.respond(event.transaction, 481, now=now)
        elif isinstance(event, ReferReceived):
            agent.decline_refer(event.refer, 603, now=now)
    saved = agent.save(here.session)
    if saved is not None and saved.state == "incoming":
        agent.reject(here.session, 480, now=now)
    elif saved is not None and saved.state in ("calling", "cancelling"):
        agent.cancel(here.session, now=now)
    elif saved is not None:
        agent.bye(here.session, now=now)
    here.stranger.collect()
    here.stranger.wait(1000.0)


def outcome(here: Situation, act: Act) -> str:
    """What is sent; what the user is told; the state after."""
    here.stranger.events.clear()
    sent = said(act(here))
    events = [told(event) for event in here.stranger.events]
    saved = here.stranger.agent.save(here.session)
    return f"{' '.join(sent)}; {' '.join(events)}; {saved.state if saved is not None else 'over'}"
