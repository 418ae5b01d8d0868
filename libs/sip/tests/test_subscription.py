"""Every state and input of a subscription at its notifier, as RFC 6665 section 4.2 is read by eye."""

import pytest

from carillon_sip import Flow
from carillon_sip.dialog import Dialog
from carillon_sip.subscription import Effect, Input, State, Subscription, read_event

pytestmark = pytest.mark.feature("M-6")

TABLE = """
    asked      ACCEPT         active     OK NOTIFY
    asked      ACCEPT_PENDING pending    OK NOTIFY
    asked      FETCH          terminated OK LAST ENDED
    asked      REJECT         terminated REFUSE FORGET
    asked      TIMER_USER     terminated REFUSE FORGET ENDED
    pending    ACCEPT         active     NOTIFY
    pending    REFRESH        pending    OK WANT_STATE
    pending    UNSUBSCRIBE    terminated OK LAST ENDED
    pending    NOTIFY         pending    NOTIFY
    pending    TERMINATE      terminated LAST
    pending    NOTIFY_FAILED  terminated FORGET ENDED
    pending    TIMER_EXPIRES  terminated LAST ENDED
    active     REFRESH        active     OK WANT_STATE
    active     UNSUBSCRIBE    terminated OK LAST ENDED
    active     NOTIFY         active     NOTIFY
    active     TERMINATE      terminated LAST
    active     NOTIFY_FAILED  terminated FORGET ENDED
    active     TIMER_EXPIRES  terminated LAST ENDED
"""
EXPECTED = {(State(row[0]), Input[row[1]]): (State(row[2]), row[3:]) for row in (line.split() for line in TABLE.strip().splitlines())}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Input)
def test_every_input_does_what_the_rfc_says(state: State, event: Input) -> None:
    flow = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.2", 5060))
    dialog = Dialog("call", "ours", "theirs", "<sip:a@x>", "<sip:b@x>", "sip:b@x", (), 1)
    made = Subscription("s1", dialog, flow, "<sip:a@x>", "dialog", "", lambda reason, now: None, lambda now: None, state)
    effects = made.feed(event)
    after, does = EXPECTED.get((state, event), (state, []))
    assert (made.state, effects) == (after, tuple(Effect[name] for name in does))


@pytest.mark.parametrize(
    ("value", "read"),
    [("dialog", ("dialog", "")), (" Dialog ; ID=7;x", ("dialog", "7")), (None, ("", "")), ("a;id", ("a", ""))],
)
def test_event_headers(value: str | None, read: tuple[str, str]) -> None:
    assert read_event(value) == read
