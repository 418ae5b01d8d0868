"""Subscriptions (RFC 6665) from SUBSCRIBE to the last NOTIFY: by hand, and over a rough network."""

from dataclasses import replace

import pytest

from carillon_sip import Flow, RequestReceived, Response, UserAgent
from carillon_sip.dialog_info import CONTENT_TYPE, WatchedDialog, dialog_info
from carillon_sip.message import Request
from carillon_sip.notifier import MAX_WAITING
from carillon_sip.outputs import Output, Send, StateWanted, SubscribeReceived, SubscriptionEnded
from carillon_sip.parser import parse_message
from carillon_sip.testing import Faults, Stranger, Tokens, VirtualNetwork, full_settings, request_text

pytestmark = pytest.mark.feature("M-6")
PACKAGES = ("dialog", "message-summary")


@pytest.fixture
def watcher() -> Stranger:
    """Somebody who subscribes by hand at a user agent with two packages."""
    return Stranger(UserAgent(full_settings(event_packages=PACKAGES), Tokens("bob")))


class Watcher:
    """Answers NOTIFYs of a stranger's one subscription."""

    def __init__(self, stranger: Stranger) -> None:
        self.stranger = stranger
        self.cseq = 1
        self.tag = ""

    def subscribe(self, extra: str = "", **changes: object) -> Response:
        """Send a SUBSCRIBE; returns its answer when it is answered at once."""
        self.cseq += 1
        values: dict[str, object] = {"branch": f"z9hG4bKs{self.cseq}", "cseq": self.cseq, "to_tag": self.tag, "extra": extra}
        (reply,) = self.stranger.send(request_text("SUBSCRIBE", **{**values, **changes}))[:1]  # type: ignore[arg-type]
        message = parse_message(reply)
        assert isinstance(message, Response)
        return message

    def begin(self, extra: str = "Event: dialog\r\nExpires: 600\r\n", body: bytes = b"<state/>") -> str:
        """A subscription that is active and whose first NOTIFY was answered."""
        name = self.ask(extra)
        self.stranger.agent.accept_subscription(name, body, CONTENT_TYPE, now=self.stranger.now)
        ok, notify = (parse_message(m) for m in self.stranger.collect())
        self.tag = ok.to_tag
        self.answer(notify)
        return name

    def ask(self, extra: str) -> str:
        self.cseq += 1
        sent = self.stranger.send(request_text("SUBSCRIBE", branch=f"z9hG4bKs{self.cseq}", cseq=self.cseq, extra=extra))
        assert sent == []
        event = self.stranger.last(SubscribeReceived)
        assert isinstance(event, SubscribeReceived)
        return event.subscription

    def answer(self, notify: Request | Response, status: int = 200, extra: str = "") -> list[bytes]:
        assert isinstance(notify, Request)
        lines = "".join(f"{name}: {notify.headers.get(name)}\r\n" for name in ("Via", "From", "To", "Call-ID", "CSeq"))
        return self.stranger.send(f"SIP/2.0 {status} x\r\n{lines}{extra}Content-Length: 0\r\n\r\n")

    def notified(self, messages: list[bytes]) -> Request:
        found = [m for m in map(parse_message, messages) if isinstance(m, Request) and m.method == "NOTIFY"]
        assert len(found) == 1
        return found[0]


def ended(stranger: Stranger) -> list[str]:
    return [e.reason for e in stranger.events if isinstance(e, SubscriptionEnded)]


def test_accepted_notified_and_ended_by_its_watcher(watcher: Stranger) -> None:
    hand = Watcher(watcher)
    name = hand.ask("Event: dialog;id=7\r\nExpires: 600\r\n")
    watcher.agent.accept_subscription(name, b"<one/>", CONTENT_TYPE, now=0.0)
    ok, notify = (parse_message(m) for m in watcher.collect())
    assert isinstance(ok, Response)
    assert isinstance(notify, Request)
    assert (ok.status, ok.expires, ok.contact is not None) == (200, 600, True)
    assert notify.headers.get("Event") == "dialog;id=7"
    assert notify.headers.get("Subscription-State") == "active;expires=600"
    assert (notify.content_type, notify.body, notify.uri) == (CONTENT_TYPE, b"<one/>", "sip:st@192.0.2.9:5060")
    assert notify.from_tag == ok.to_tag
    hand.tag = ok.to_tag
    hand.answer(notify)
    watcher.agent.notify(name, b"<two/>", CONTENT_TYPE, now=0.0)
    second = hand.notified(watcher.collect())
    assert (second.body, second.cseq.number) == (b"<two/>", notify.cseq.number + 1)
    hand.answer(second)
    sent = watcher.send(
        request_text("SUBSCRIBE", branch="z9hG4bKbye", cseq=9, to_tag=hand.tag, extra="Event: dialog;id=7\r\nExpires: 0\r\n")
    )
    last = hand.notified(sent)
    assert watcher.statuses(sent) == [200]
    assert (last.headers.get("Subscription-State"), last.body) == ("terminated;reason=timeout", b"<two/>")
    hand.answer(last)
    assert ended(watcher) == ["unsubscribed"]
    watcher.wait(100.0)
    assert watcher.agent.counts() == (0, 0, 0, 0, 0)
    assert hand.subscribe("Event: dialog;id=7\r\nExpires: 600\r\n").status == 481


def test_a_refresh_moves_the_end_and_the_target_and_wants_the_state(watcher: Stranger) -> None:
    hand = Watcher(watcher)
    name = hand.begin()
    watcher.wait(500.0)
    hand.cseq = 20
    text = request_text("SUBSCRIBE", branch="z9hG4bKr", cseq=21, to_tag=hand.tag, extra="Event: dialog\r\nExpires: 600\r\n")
    sent = watcher.send(text.replace("sip:st@192.0.2.9:5060", "sip:moved@192.0.2.9:5070"))
    assert watcher.statuses(sent) == [200]
    assert watcher.last(StateWanted) == StateWanted(name)
    watcher.agent.notify(name, b"<all/>", CONTENT_TYPE, now=watcher.now)
    notify = hand.notified(watcher.collect())
    assert notify.uri == "sip:moved@192.0.2.9:5070"
    hand.answer(notify)
    watcher.wait(590.0)
    assert ended(watcher) == []
    last = hand.notified(watcher.wait(10.2))
    assert last.headers.get("Subscription-State") == "terminated;reason=timeout"
    assert ended(watcher) == ["timeout"]


@pytest.mark.parametrize(
    ("extra", "status", "header", "value"),
    [
        ("Event: presence\r\n", 489, "Allow-Events", "dialog, message-summary"),
        ("", 489, "Allow-Events", "dialog, message-summary"),
        ("Event: dialog\r\nExpires: 30\r\n", 423, "Min-Expires", "60"),
        ("Event: dialog\r\nExpires: soon\r\n", 400, "Expires", None),
    ],
)
def test_what_cannot_be_subscribed_to(watcher: Stranger, extra: str, status: int, header: str, value: str | None) -> None:
    answer = Watcher(watcher).subscribe(extra)
    assert (answer.status, answer.headers.get(header)) == (status, value)
    watcher.wait(60.0)
    assert watcher.agent.counts() == (0, 0, 0, 0, 0)


def test_a_user_may_refuse_or_forget_it(watcher: Stranger) -> None:
    hand = Watcher(watcher)
    watcher.agent.reject_subscription(hand.ask("Event: dialog\r\n"), 403, now=0.0)
    assert watcher.statuses(watcher.collect()) == [403]
    watcher.send(request_text("SUBSCRIBE", branch="z9hG4bKf", call_id="c2", extra="Event: dialog\r\n"))
    assert watcher.statuses(watcher.wait(20.0)) == [500]
    watcher.wait(60.0)
    assert ended(watcher) == ["timeout"]
    assert watcher.agent.counts() == (0, 0, 0, 0, 0)


def test_a_fetch_gets_the_state_once(watcher: Stranger) -> None:
    hand = Watcher(watcher)
    name = hand.ask("Event: dialog\r\nExpires: 0\r\n")
    watcher.agent.accept_subscription(name, b"<state/>", CONTENT_TYPE, now=0.0)
    ok, notify = (parse_message(m) for m in watcher.collect())
    assert ok.expires == 0
    assert (notify.body, notify.headers.get("Subscription-State")) == (b"<state/>", "terminated;reason=timeout")
    hand.answer(notify)
    assert ended(watcher) == ["fetched"]
    assert watcher.agent.counts().subscriptions == 0


def test_a_pending_one_becomes_active_and_a_shorter_time_is_granted(watcher: Stranger) -> None:
    hand = Watcher(watcher)
    name = hand.ask("Event: dialog\r\nExpires: 90000\r\n")
    watcher.agent.accept_subscription(name, b"", "", pending=True, expires=120, now=0.0)
    ok, notify = (parse_message(m) for m in watcher.collect())
    assert (ok.expires, notify.headers.get("Subscription-State"), notify.body) == (120, "pending;expires=120", b"")
    hand.answer(notify)
    watcher.agent.accept_subscription(name, b"<now/>", CONTENT_TYPE, now=0.0)
    assert hand.notified(watcher.collect()).headers.get("Subscription-State") == "active;expires=120"


def test_one_notify_at_a_time_and_a_full_state_replaces_what_waits(watcher: Stranger) -> None:
    hand = Watcher(watcher)
    name = hand.begin()
    for number in range(3):
        watcher.agent.notify(name, b"<%d/>" % number, CONTENT_TYPE, full=False, now=0.0)
    first = hand.notified(watcher.collect())
    assert first.body == b"<0/>"
    assert hand.notified(hand.answer(first)).body == b"<1/>"
    watcher.agent.notify(name, b"<all/>", CONTENT_TYPE, now=0.0)
    assert watcher.collect() == []
    requests = [m for m in map(parse_message, watcher.sent) if isinstance(m, Request)]
    assert hand.notified(hand.answer(requests[-1])).body == b"<all/>"


def test_too_many_partial_states_are_dropped_for_a_full_one(watcher: Stranger) -> None:
    hand = Watcher(watcher)
    name = hand.begin()
    for _ in range(MAX_WAITING + 2):
        watcher.agent.notify(name, b"<part/>", CONTENT_TYPE, full=False, now=0.0)
    watcher.collect()
    assert watcher.last(StateWanted) == StateWanted(name)


@pytest.mark.parametrize("status", [404, 481, 500])
def test_a_refused_notify_ends_the_subscription(watcher: Stranger, status: int) -> None:
    hand = Watcher(watcher)
    name = hand.begin()
    watcher.agent.notify(name, b"<x/>", CONTENT_TYPE, now=0.0)
    hand.answer(hand.notified(watcher.collect()), status)
    assert ended(watcher) == [str(status)]
    assert watcher.agent.counts().subscriptions == 0
    watcher.agent.notify(name, b"<y/>", CONTENT_TYPE, now=0.0)
    assert watcher.collect() == []


def test_a_notify_nobody_answers_ends_the_subscription(watcher: Stranger) -> None:
    hand = Watcher(watcher)
    watcher.agent.notify(hand.begin(), b"<x/>", CONTENT_TYPE, now=0.0)
    watcher.wait(40.0)
    assert ended(watcher) == ["timeout"]
    watcher.wait(20.0)
    assert watcher.agent.counts() == (0, 0, 0, 0, 0)


def test_a_watcher_that_asks_for_time_gets_the_newest_state_later_but_not_for_ever(watcher: Stranger) -> None:
    hand = Watcher(watcher)
    name = hand.begin()
    watcher.agent.notify(name, b"<old/>", CONTENT_TYPE, now=0.0)
    hand.answer(hand.notified(watcher.collect()), 503, "Retry-After: 5\r\n")
    watcher.agent.notify(name, b"<new/>", CONTENT_TYPE, now=0.0)
    assert watcher.collect() == []
    again = hand.notified(watcher.wait(5.1))
    assert again.body == b"<new/>"
    for _ in range(2):
        hand.answer(again, 503, "Retry-After: 5\r\n")
        again = hand.notified(watcher.wait(5.1))
    hand.answer(again, 503, "Retry-After: 5\r\n")
    assert ended(watcher) == ["503"]


def test_the_user_ends_it_with_a_reason(watcher: Stranger) -> None:
    hand = Watcher(watcher)
    watcher.agent.terminate_subscription(hand.begin(), "deactivated", now=0.0)
    last = hand.notified(watcher.collect())
    assert (last.headers.get("Subscription-State"), last.body) == ("terminated;reason=deactivated", b"<state/>")
    hand.answer(last)
    assert ended(watcher) == []
    assert watcher.agent.counts().subscriptions == 0


def test_the_number_of_subscriptions_is_bounded() -> None:
    stranger = Stranger(UserAgent(full_settings(event_packages=PACKAGES, max_subscriptions=1), Tokens("bob")))
    Watcher(stranger).begin()
    (reply,) = stranger.send(request_text("SUBSCRIBE", branch="z9hG4bKx", call_id="c2", extra="Event: dialog\r\n"))
    assert stranger.statuses([reply]) == [503]


def test_without_packages_it_is_a_request_like_any_other(full_stranger: Stranger) -> None:
    full_stranger.send(request_text("SUBSCRIBE", extra="Event: dialog\r\n"))
    assert isinstance(full_stranger.last(RequestReceived), RequestReceived)


def test_a_subscription_is_taken_up_after_a_restart(watcher: Stranger) -> None:
    hand = Watcher(watcher)
    facts = watcher.agent.subscription(hand.begin())
    assert facts is not None
    watcher.agent = UserAgent(full_settings(event_packages=PACKAGES), Tokens("bob-again"))
    watcher.now = 100.0
    kept = facts._replace(dialog=replace(facts.dialog, local_cseq=facts.dialog.local_cseq + 100))
    name = watcher.agent.adopt_subscription(kept, now=100.0)
    watcher.agent.notify(name, b"<again/>", CONTENT_TYPE, now=100.0)
    notify = hand.notified(watcher.collect())
    assert (notify.headers.get("Subscription-State"), notify.cseq.number) == ("active;expires=500", 102)
    hand.answer(notify)
    hand.cseq = 30
    assert hand.subscribe("Event: dialog\r\nExpires: 0\r\n").status == 200


def test_thousands_of_watchers_get_their_states() -> None:
    stranger = Stranger(UserAgent(full_settings(event_packages=PACKAGES), Tokens("bob")))
    names = []
    for number in range(2000):
        extra = "Event: dialog\r\nExpires: 600\r\n"
        text = request_text("SUBSCRIBE", branch=f"z9hG4bK{number}", call_id=f"c{number}", extra=extra)
        stranger.agent.receive(text.encode(), stranger.flow, 0.0)
        (event,) = stranger.agent.drain()
        assert isinstance(event, SubscribeReceived)
        names.append(event.subscription)
    document = dialog_info("sip:bob@x", 0, [WatchedDialog("d1", "confirmed", "recipient")])
    for name in names:
        stranger.agent.accept_subscription(name, document, CONTENT_TYPE, now=0.0)
    assert len(stranger.collect()) == 4000
    assert stranger.agent.counts().subscriptions == 2000
    stranger.wait(700.0)
    assert stranger.agent.counts() == (0, 0, 0, 0, 0)


class NotifyTaker(UserAgent):
    """A watcher without a stack: answers every NOTIFY 200, and keeps each state once, in the order of their coming."""

    def __init__(self) -> None:
        super().__init__(full_settings(), Tokens("watcher"))
        self.states: dict[str, bytes] = {}
        self.out: list[Output] = []

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        message = parse_message(data)
        if isinstance(message, Request):
            self.states.setdefault(message.via_top.branch, message.body)
            lines = "".join(f"{name}: {message.headers.get(name)}\r\n" for name in ("Via", "From", "To", "Call-ID", "CSeq"))
            self.out.append(Send(flow, f"SIP/2.0 200 OK\r\n{lines}Content-Length: 0\r\n\r\n".encode()))

    def drain(self) -> list[Output]:
        out, self.out = self.out, []
        return out


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_over_a_rough_network_the_last_state_arrives(seed: int) -> None:
    network = VirtualNetwork(seed, Faults(loss=0.2, duplicate=0.1, delay_min=0.005, delay_max=0.4))
    bob = network.add("bob", UserAgent(full_settings(event_packages=PACKAGES), Tokens("bob")), ("192.0.2.2", 5060))
    taker = NotifyTaker()
    phone = network.add("watcher", taker, ("192.0.2.9", 5060))
    subscribe = request_text("SUBSCRIBE", extra="Event: dialog\r\nExpires: 3600\r\n")
    bob.agent.receive(subscribe.encode(), network.flow(bob, phone), 0.0)
    network.settle()
    (event,) = bob.of_kind(SubscribeReceived)
    assert isinstance(event, SubscribeReceived)
    bob.agent.accept_subscription(event.subscription, b"<state n='0'/>", CONTENT_TYPE, now=0.0)
    for number in range(1, 40):
        network.run(network.now + 2.0)
        bob.agent.notify(event.subscription, b"<state n='%d'/>" % number, CONTENT_TYPE, now=network.now)
    network.run(network.now + 60.0)
    states = list(taker.states.values())
    assert states[-1] == b"<state n='39'/>"
    assert states == sorted(states, key=lambda state: int(state.split(b"'")[1]))
    assert not bob.of_kind(SubscriptionEnded)
