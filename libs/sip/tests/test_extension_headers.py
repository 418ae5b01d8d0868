"""Whatever stands in the headers of the extensions: nothing raises, every request is answered or told to the user."""

from contextlib import suppress

from hypothesis import example, given, settings
from hypothesis import strategies as st

from carillon_sip import Invite, InviteReceived, NameAddr, UserAgent
from carillon_sip.errors import ParseError
from carillon_sip.parser import parse_message
from carillon_sip.refer import read_sipfrag
from carillon_sip.replaces import Replaces
from carillon_sip.subscription import read_event
from carillon_sip.testing import SDP, Stranger, Tokens, full_settings, request_text

NAMES = (
    "RAck", "RSeq", "Session-Expires", "Min-SE", "Refer-To", "Referred-By", "Refer-Sub", "Replaces", "Event", "Expires", "Contact",
    "Subscription-State", "Retry-After", "Supported", "Require", "Allow",
)  # fmt: skip
METHODS = ("PRACK", "UPDATE", "REFER", "SUBSCRIBE", "NOTIFY", "MESSAGE", "INVITE", "INFO")
VALUES = st.one_of(
    st.sampled_from(
        [
            "100rel", "timer", "replaces", "1 1 INVITE", "90;refresher=uac", "<sip:a@x>", "<sip:a@x?Replaces=a%3Bto-tag%3D1>", "dialog",
            "0", "a;to-tag=1;from-tag=2", "terminated", "active;expires=9", "9" * 5000, "-1", ";", "",
        ]
    ),
    st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=40),
)  # fmt: skip
FIELDS = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=6)


def lines(fields: list[tuple[str, str]]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in fields)


def full() -> Stranger:
    return Stranger(UserAgent(full_settings(event_packages=("dialog",)), Tokens("bob")))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(METHODS), FIELDS, st.booleans())
@example("NOTIFY", [("Event", "refer;id=" + "9" * 5000)], True)
def test_requests(method: str, fields: list[tuple[str, str]], within: bool) -> None:
    stranger, tag = full(), ""
    stranger.send(request_text(extra="Supported: 100rel\r\n"))
    if within:
        event = stranger.last(InviteReceived)
        assert isinstance(event, InviteReceived)
        tag = event.session
        stranger.agent.ring(tag, reliable=True, now=0.0)
        stranger.collect()
    told = len(stranger.events)
    text = request_text(method, branch="z9hG4bKx", cseq=2, to_tag=tag, call_id="call-1" if within else "call-2", extra=lines(fields))
    answers = stranger.send(text)
    assert answers or len(stranger.events) > told
    stranger.wait(700.0)
    assert stranger.agent.counts() == (0, 0, 0, 0, 0)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([180, 183, 200, 302, 422, 491]), FIELDS)
def test_responses_to_our_invite(status: int, fields: list[tuple[str, str]]) -> None:
    stranger = full()
    who = NameAddr.of("sip:x@192.0.2.9")
    session = stranger.agent.invite(Invite(stranger.flow, "sip:x@192.0.2.9", who, who, NameAddr.of("sip:bob@192.0.2.2"), SDP), now=0.0)
    invite = parse_message(stranger.collect()[0])
    copied = lines([(name, invite.headers.get(name) or "") for name in ("Via", "From", "Call-ID", "CSeq")])
    stranger.send(f"SIP/2.0 {status} x\r\n{copied}To: <sip:x@x>;tag=t\r\n{lines(fields)}Content-Length: 0\r\n\r\n")
    stranger.agent.cancel(session, now=stranger.now)
    stranger.collect()
    stranger.wait(2000.0)
    assert stranger.agent.counts()[:4] == (0, 0, 0, 0)


@given(st.text(max_size=80))
def test_values(text: str) -> None:
    read_event(text)
    read_sipfrag(text.encode("utf-8", "replace"))
    with suppress(ParseError):
        assert Replaces.parse(str(Replaces.parse(text))) == Replaces.parse(text)
