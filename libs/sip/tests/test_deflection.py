"""3xx both ways: where a call is sent instead (RFC 3261 sections 8.1.3.4 and 21.3)."""

import pytest

from carillon_sip import NameAddr, SessionFailed
from carillon_sip.testing import Pair

pytestmark = pytest.mark.feature("M-4")


def failed(pair: Pair) -> SessionFailed:
    (event,) = pair.alice.of_kind(SessionFailed)
    assert isinstance(event, SessionFailed)
    return event


def test_contacts_come_in_the_order_of_q(pair: Pair) -> None:
    pair.invite()
    contacts = [NameAddr.parse(v) for v in ("<sip:low@x>;q=0.1", "<sip:high@x>", "<sip:mid@x>;q=0.5", "<sip:mid2@x>;q=0.5")]
    pair.bob.agent.redirect(pair.rings(), contacts, now=pair.network.now)
    pair.network.run(1.0)
    event = failed(pair)
    assert (event.status, event.reason) == (302, "Moved Temporarily")
    assert [c.uri.user for c in event.contacts] == ["high", "mid", "mid2", "low"]
    assert pair.on_wire() == ["INVITE", "100", "302", "ACK"]
    pair.assert_idle()


@pytest.mark.parametrize(
    ("contact", "users"),
    [("<sip:ok@x>, nonsense, <sip:two@x>;q=9", ["ok", "two"]), ("", []), (", ".join(f"<sip:u{n}@x>" for n in range(100)), None)],
)
def test_contacts_that_cannot_be_read_are_left_out_and_too_many_cut(pair: Pair, contact: str, users: list[str] | None) -> None:
    pair.invite()
    pair.bob.agent.reject(pair.rings(), 301, headers=[("Contact", contact)] if contact else [], now=pair.network.now)
    pair.network.run(1.0)
    found = [c.uri.user for c in failed(pair).contacts]
    assert found == users if users is not None else len(found) == 16


def test_other_refusals_have_no_contacts(pair: Pair) -> None:
    pair.invite()
    pair.bob.agent.reject(pair.rings(), 486, headers=[("Contact", "<sip:x@x>")], now=pair.network.now)
    pair.network.run(1.0)
    assert failed(pair).contacts == ()


def test_a_redirection_is_3xx_and_has_a_contact(pair: Pair) -> None:
    pair.invite()
    theirs = pair.rings()
    with pytest.raises(ValueError, match="3xx"):
        pair.bob.agent.redirect(theirs, [], now=1.0)
    with pytest.raises(ValueError, match="3xx"):
        pair.bob.agent.redirect(theirs, [NameAddr.of("sip:x@x")], 486, now=1.0)
