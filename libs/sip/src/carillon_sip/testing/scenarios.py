"""Scenarios for tests: two user agents that call each other, and a stranger that writes its messages by hand.

Invariant: no clock, no network: time passes when the test says so.
"""

from dataclasses import dataclass, field

from carillon_sip.commands import FULL_EXTENSIONS, FULL_METHODS, Invite, UserAgentSettings
from carillon_sip.flow import Flow
from carillon_sip.outputs import InviteReceived, Output, Send
from carillon_sip.testing.virtual_network import Faults, Node, Tokens, VirtualNetwork
from carillon_sip.uri import NameAddr
from carillon_sip.user_agent import UserAgent

STRANGERS_FLOW = Flow("udp", ("192.0.2.2", 5060), ("192.0.2.9", 5060))
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"


def first_word(message: bytes) -> str:
    """The status of a response, the method of a request."""
    return message.partition(b"\r\n")[0].removeprefix(b"SIP/2.0 ").split(b" ")[0].decode()


@dataclass
class Pair:
    """Alice calls Bob."""

    network: VirtualNetwork
    alice: Node
    bob: Node

    def invite(self, body: bytes = SDP, **changes: object) -> str:
        """Alice's INVITE; returns her session."""
        values: dict[str, object] = {
            "flow": self.network.flow(self.alice, self.bob),
            "request_uri": "sip:bob@192.0.2.2",
            "from_": NameAddr.of("sip:alice@example.com", "Alice"),
            "to": NameAddr.of("sip:bob@example.com"),
            "contact": NameAddr.of("sip:alice@192.0.2.1:5060"),
            "body": body,
        }
        return self.alice.agent.invite(Invite(**{**values, **changes}), now=self.network.now)  # type: ignore[arg-type]

    def rings(self) -> str:
        """Carry the INVITE to Bob; returns his session."""
        self.network.run(self.network.now + 0.1)
        (event,) = self.bob.of_kind(InviteReceived)
        assert isinstance(event, InviteReceived)
        return event.session

    def established(self, **changes: object) -> tuple[str, str]:
        """An answered call; returns both sessions."""
        mine = self.invite(**changes)  # type: ignore[arg-type]
        theirs = self.rings()
        self.bob.agent.answer(theirs, SDP, now=self.network.now)
        self.network.run(self.network.now + 0.1)
        self.alice.events.clear()
        self.bob.events.clear()
        return mine, theirs

    def on_wire(self) -> list[str]:
        """First words of all messages sent so far."""
        return [first_word(data) for _, _, data in self.network.sent]

    def assert_idle(self) -> None:
        """In the end nothing is left."""
        self.network.run_until_idle()
        for node in (self.alice, self.bob):
            assert node.agent.counts()[:3] == (0, 0, 0), node.name
            assert node.agent.next_timer() is None


def make_pair(
    seed: int = 0, faults: Faults | None = None, alice: UserAgentSettings | None = None, bob: UserAgentSettings | None = None
) -> Pair:
    """Alice at 192.0.2.1 and Bob at 192.0.2.2; settings of each, else the usual ones."""
    network = VirtualNetwork(seed, faults)
    one = UserAgent(alice or UserAgentSettings(user_agent="alice"), Tokens("alice"))
    two = UserAgent(bob or UserAgentSettings(user_agent="bob"), Tokens("bob"))
    return Pair(network, network.add("alice", one, ("192.0.2.1", 5060)), network.add("bob", two, ("192.0.2.2", 5060)))


def full_settings(**changes: object) -> UserAgentSettings:
    """Every method and extension; `changes` are further settings."""
    values: dict[str, object] = {"methods": FULL_METHODS, "extensions": FULL_EXTENSIONS, **changes}
    return UserAgentSettings(**values)  # type: ignore[arg-type]


def make_full_pair(seed: int = 0, faults: Faults | None = None, **changes: object) -> Pair:
    """Alice and Bob with every method and extension."""
    return make_pair(seed, faults, full_settings(user_agent="alice", **changes), full_settings(user_agent="bob", **changes))


@dataclass
class Stranger:
    """Writes messages by hand to one user agent and reads what it sends back; no transactions of its own."""

    agent: UserAgent
    flow: Flow = STRANGERS_FLOW
    now: float = 0.0
    events: list[Output] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)

    def send(self, data: bytes | str) -> list[bytes]:
        """Deliver bytes; returns what comes back at once."""
        self.agent.receive(data.encode() if isinstance(data, str) else data, self.flow, self.now)
        return self.collect()

    def collect(self) -> list[bytes]:
        """Drain: bytes are returned (and kept in `sent`), events kept."""
        out: list[bytes] = []
        for output in self.agent.drain():
            if isinstance(output, Send):
                out.append(output.data)
                self.flows.append(output.flow)
            else:
                self.events.append(output)
        self.sent += out
        return out

    def wait(self, seconds: float) -> list[bytes]:
        """Let time pass, firing timers in order."""
        end, out = self.now + seconds, list[bytes]()
        while (timer := self.agent.next_timer()) is not None and timer <= end:
            self.now = timer
            self.agent.handle_timer(timer)
            out += self.collect()
        self.now = end
        return out

    def statuses(self, messages: list[bytes]) -> list[int]:
        """Statuses of the responses among these."""
        return [int(message[8:11]) for message in messages if message.startswith(b"SIP/2.0 ")]

    def last(self, kind: type) -> Output:
        """The last event of a type."""
        return [event for event in self.events if isinstance(event, kind)][-1]


def request_text(
    method: str = "INVITE",
    *,
    branch: str = "z9hG4bK1",
    cseq: int = 1,
    to_tag: str = "",
    from_tag: str = "st",
    call_id: str = "call-1",
    extra: str = "",
    body: str = "",
    uri: str = "sip:bob@192.0.2.2",
    via: str = "SIP/2.0/UDP 192.0.2.9:5060",
    max_forwards: int = 70,
) -> str:
    """A request as text; `extra` are whole lines with CRLF."""
    to = f"<sip:bob@example.com>{';tag=' + to_tag if to_tag else ''}"
    return (
        f"{method} {uri} SIP/2.0\r\nVia: {via};branch={branch}\r\nMax-Forwards: {max_forwards}\r\n"
        f"From: <sip:st@example.com>;tag={from_tag}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n"
        f"Contact: <sip:st@192.0.2.9:5060>\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}"
    )
