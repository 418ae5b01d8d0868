"""UPDATE (RFC 3311) both ways, before and after the answer; glare by table."""

from typing import Literal

import pytest

from carillon_sip import (
    InviteReceived,
    ReinviteAnswered,
    ReinviteFailed,
    SessionAnswered,
    SessionEnded,
    SessionReinvited,
    SessionRequest,
    WrongState,
)
from carillon_sip.outputs import SessionRefreshed
from carillon_sip.parser import parse_message
from carillon_sip.session import Session, SessionState
from carillon_sip.testing import SDP, Faults, Pair, Stranger, make_full_pair, request_text
from carillon_sip.updates import REFUSALS, Pending, glare_pause, pending

pytestmark = pytest.mark.feature("M-3")
Side = Literal["caller", "callee"]


def early(pair: Pair) -> tuple[str, str]:
    """A call whose offer was answered reliably, and that still rings."""
    mine = pair.invite(headers=(("Require", "100rel"),))
    theirs = pair.rings()
    pair.bob.agent.ring(theirs, 183, body=SDP, now=pair.network.now)
    pair.network.run(1.0)
    return mine, theirs


@pytest.mark.parametrize("by", ["caller", "callee"])
@pytest.mark.parametrize("when", ["early", "confirmed"])
def test_an_offer_in_an_update_is_answered(full_pair: Pair, by: Side, when: str) -> None:
    pair = full_pair
    mine, theirs = early(pair) if when == "early" else pair.established()
    (asker, session), (asked, other) = (pair.alice, mine), (pair.bob, theirs)
    if by == "callee":
        (asker, session), (asked, other) = (asked, other), (asker, session)
    asker.agent.update(session, b"moved", now=1.0)
    pair.network.run(2.0)
    (asked_again,) = asked.of_kind(SessionReinvited)
    assert isinstance(asked_again, SessionReinvited)
    assert (asked_again.session, asked_again.body, asked_again.method) == (other, b"moved", "UPDATE")
    asked.agent.accept_reinvite(other, b"fine", now=2.0)
    pair.network.run(3.0)
    assert asker.of_kind(ReinviteAnswered) == [ReinviteAnswered(session, b"fine", "UPDATE")]
    if when == "early":
        pair.bob.agent.answer(theirs, b"", now=3.0)
        pair.network.run(4.0)
        assert pair.alice.of_kind(SessionAnswered)
    pair.alice.agent.bye(mine, now=4.0)
    pair.network.run(5.0)
    assert pair.bob.of_kind(SessionEnded) == [SessionEnded(theirs, "remote", "")]
    pair.assert_idle()


def test_an_update_without_an_offer_is_answered_by_the_stack_and_moves_the_target(full_pair: Pair) -> None:
    pair = full_pair
    mine, theirs = pair.established()
    pair.alice.agent.update(mine, headers=(("Contact", "<sip:moved@192.0.2.1:5060>"), ("P-Asserted-Identity", "<sip:carol@x>")), now=1.0)
    pair.network.run(2.0)
    (refreshed,) = pair.bob.of_kind(SessionRefreshed)
    assert isinstance(refreshed, SessionRefreshed)
    assert refreshed.session == theirs
    assert refreshed.request.headers.get("P-Asserted-Identity") == "<sip:carol@x>"
    assert pair.alice.of_kind(ReinviteAnswered) == [ReinviteAnswered(mine, b"", "UPDATE")]
    dialog = pair.bob.agent.dialog(theirs)
    assert dialog is not None
    assert dialog.remote_target == "sip:moved@192.0.2.1:5060"


def test_a_refused_update_leaves_the_call_as_it_was(full_pair: Pair) -> None:
    mine, theirs = full_pair.established()
    full_pair.alice.agent.update(mine, b"video", now=1.0)
    full_pair.network.run(2.0)
    full_pair.bob.agent.reject_reinvite(theirs, 488, now=2.0)
    full_pair.network.run(3.0)
    assert full_pair.alice.of_kind(ReinviteFailed) == [ReinviteFailed(mine, 488, "UPDATE")]
    assert full_pair.alice.agent.counts().sessions == 1


def test_updates_with_offers_that_cross_are_both_491_and_say_how_long_to_wait(full_pair: Pair) -> None:
    mine, theirs = full_pair.established()
    full_pair.alice.agent.update(mine, b"a", now=1.0)
    full_pair.bob.agent.update(theirs, b"b", now=1.0)
    full_pair.network.run(2.0)
    (first,) = full_pair.alice.of_kind(ReinviteFailed)
    (second,) = full_pair.bob.of_kind(ReinviteFailed)
    assert isinstance(first, ReinviteFailed)
    assert isinstance(second, ReinviteFailed)
    assert (first.status, second.status) == (491, 491)
    assert 2.1 <= first.retry_after <= 4.0
    assert 0.0 <= second.retry_after <= 2.0


def test_an_update_the_user_forgets_is_504(full_pair: Pair) -> None:
    mine, _ = full_pair.established()
    full_pair.alice.agent.update(mine, b"hold", now=1.0)
    full_pair.network.run(20.0)
    assert full_pair.alice.of_kind(ReinviteFailed) == [ReinviteFailed(mine, 504, "UPDATE")]


def test_a_second_update_before_the_first_is_answered_is_500_with_retry_after(full_stranger: Stranger) -> None:
    stranger = full_stranger
    session = _answered(stranger)
    extra = "Content-Type: application/sdp\r\n"
    assert stranger.send(request_text("UPDATE", branch="z9hG4bK2", cseq=2, to_tag=session, extra=extra, body="x")) == []
    for number, text in ((3, "y"), (4, "")):
        (reply,) = stranger.send(request_text("UPDATE", branch=f"z9hG4bK{number}", cseq=number, to_tag=session, extra=extra, body=text))
        assert stranger.statuses([reply]) == [500]
        assert 0 <= int(parse_message(reply).headers.get("Retry-After") or "-1") <= 10
    (reply,) = stranger.send(request_text(branch="z9hG4bK5", cseq=5, to_tag=session, extra=extra, body="reinvite"))
    assert stranger.statuses([reply]) == [500]


def test_an_update_during_our_reinvite_is_491_and_during_theirs_500(full_stranger: Stranger) -> None:
    stranger, extra = full_stranger, "Content-Type: application/sdp\r\n"
    session = _answered(stranger)
    stranger.agent.reinvite(session, b"mine", now=0.0)
    assert stranger.statuses(stranger.send(request_text("UPDATE", branch="z9hG4bK2", cseq=2, to_tag=session, extra=extra, body="x"))) == [
        491
    ]
    session = _answered(stranger, "call-2")
    stranger.send(request_text(branch="z9hG4bK3", cseq=3, to_tag=session, extra=extra, body="theirs", call_id="call-2"))
    text = request_text("UPDATE", branch="z9hG4bK4", cseq=4, to_tag=session, extra=extra, body="x", call_id="call-2")
    assert stranger.statuses(stranger.send(text)) == [500]


def test_before_the_first_answer_an_offer_is_refused_but_a_refresh_taken(full_stranger: Stranger) -> None:
    stranger = full_stranger
    stranger.send(request_text(extra="Content-Type: application/sdp\r\n", body="offer"))
    event = stranger.last(InviteReceived)
    assert isinstance(event, InviteReceived)
    tag, extra = event.session, "Content-Type: application/sdp\r\n"
    assert stranger.statuses(stranger.send(request_text("UPDATE", branch="z9hG4bK2", cseq=2, to_tag=tag, extra=extra, body="x"))) == [500]
    assert stranger.statuses(stranger.send(request_text("UPDATE", branch="z9hG4bK3", cseq=3, to_tag=tag))) == [200]


def test_an_update_to_a_far_end_that_lost_the_call_ends_it(full_pair: Pair) -> None:
    mine, _ = full_pair.established()
    full_pair.bob.agent._context.sessions.clear()
    full_pair.alice.agent.update(mine, b"x", now=1.0)
    full_pair.network.run(2.0)
    assert full_pair.alice.of_kind(SessionEnded) == [SessionEnded(mine, "remote", "481")]


def test_without_any_early_dialog_there_is_nothing_to_update(full_pair: Pair) -> None:
    mine = full_pair.invite()
    with pytest.raises(WrongState):
        full_pair.alice.agent.update(mine, b"x", now=0.0)


def test_two_updates_at_once_are_held_back_here(full_pair: Pair) -> None:
    mine, _ = full_pair.established()
    full_pair.alice.agent.update(mine, b"x", now=1.0)
    full_pair.alice.agent.update(mine, now=1.0)
    full_pair.alice.agent.reinvite(mine, b"y", now=1.0)
    full_pair.network.settle()
    assert [(e.status, e.method) for e in full_pair.alice.of_kind(ReinviteFailed)] == [(491, "UPDATE"), (491, "INVITE")]  # type: ignore[union-attr]


@pytest.mark.parametrize("whose", Pending)
@pytest.mark.parametrize("offer", [False, True])
def test_every_glare(whose: Pending, offer: bool) -> None:
    expected = {("ours", True): 491, ("theirs", True): 500}
    assert REFUSALS.get((whose, offer)) == expected.get((str(whose), offer))


#: Whose offer waits in each state of a plain session, by whether our INVITE (their INVITE) had an offer.
PENDING = {
    SessionState.INCOMING: ("theirs", "theirs"),
    SessionState.ANSWERED: ("nobody's", "ours"),
    SessionState.LEAVING: ("nobody's", "ours"),
    SessionState.CALLING: ("ours", "ours"),
    SessionState.CANCELLING: ("ours", "ours"),
    SessionState.OFFERED: ("nobody's", "theirs"),
    SessionState.UP: ("nobody's", "nobody's"),
    SessionState.ENDING: ("nobody's", "nobody's"),
    SessionState.OVER: ("nobody's", "nobody's"),
}


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize("delayed", [False, True])
def test_whose_offer_waits_in_every_state(full_pair: Pair, state: SessionState, delayed: bool) -> None:
    flow = full_pair.network.flow(full_pair.alice, full_pair.bob)
    session = Session("tag", state, flow, "<sip:a@x>", outgoing=True, delayed_offer=delayed)
    assert pending(session) == PENDING[state][delayed]
    assert 2.1 <= glare_pause(session) <= 4.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_updates_over_a_rough_network_all_get_an_outcome(seed: int) -> None:
    pair = make_full_pair(seed, Faults(loss=0.2, duplicate=0.1, delay_min=0.005, delay_max=0.4))

    def accepts(node: object, output: object, now: float) -> None:
        if isinstance(output, SessionReinvited):
            pair.bob.agent.accept_reinvite(output.session, b"fine", now=now)
        if isinstance(output, InviteReceived):
            pair.bob.agent.answer(output.session, SDP, now=now)

    pair.bob.handler = accepts
    mine = pair.invite()
    pair.network.run(60.0)
    for number in range(20):
        pair.alice.agent.update(mine, b"offer %d" % number, now=pair.network.now)
        pair.network.run(pair.network.now + 40.0)
    outcomes = len(pair.alice.of_kind(ReinviteAnswered)) + len(pair.alice.of_kind(ReinviteFailed))
    assert outcomes == 20
    assert len(pair.alice.of_kind(ReinviteAnswered)) >= 19


def _answered(stranger: Stranger, call_id: str = "call-1") -> str:
    stranger.send(request_text(call_id=call_id, branch=f"z9hG4bK{call_id}"))
    event = stranger.last(InviteReceived)
    assert isinstance(event, InviteReceived)
    stranger.agent.answer(event.session, SDP, now=stranger.now)
    stranger.collect()
    stranger.send(request_text("ACK", branch="z9hG4bKack", to_tag=event.session, call_id=call_id))
    return event.session


def test_a_callee_that_does_not_know_update_gets_the_request_as_before(pair: Pair) -> None:
    """Without UPDATE among the methods it is refused with 405 and the user sees nothing."""
    mine, _ = pair.established()
    pair.alice.agent.update(mine, b"x", now=1.0)
    pair.network.run(2.0)
    assert pair.alice.of_kind(ReinviteFailed) == [ReinviteFailed(mine, 405, "UPDATE")]
    assert not pair.bob.of_kind(SessionRequest)


def test_what_is_new_is_told_by_update_or_by_the_same_offer_again(pair: Pair, full_pair: Pair) -> None:
    shown = (("P-Asserted-Identity", "<sip:carol@x>"),)
    mine, theirs = full_pair.established()
    full_pair.alice.agent.tell(mine, shown, now=1.0)
    full_pair.network.run(2.0)
    (refreshed,) = full_pair.bob.of_kind(SessionRefreshed)
    assert isinstance(refreshed, SessionRefreshed)
    assert (refreshed.session, refreshed.request.headers.get("P-Asserted-Identity")) == (theirs, "<sip:carol@x>")
    mine, theirs = pair.established()
    pair.alice.agent.tell(mine, shown, now=1.0)
    pair.alice.agent.tell(mine, shown, now=1.0)
    pair.network.run(2.0)
    (asked,) = pair.bob.of_kind(SessionReinvited)
    assert isinstance(asked, SessionReinvited)
    assert (asked.session, asked.body) == (theirs, SDP)
    assert pair.alice.of_kind(ReinviteFailed) == [ReinviteFailed(mine, 491)]
    pair.bob.agent.accept_reinvite(theirs, b"moved", now=2.0)
    pair.network.run(3.0)
    assert pair.alice.of_kind(ReinviteAnswered) == [ReinviteAnswered(mine, b"moved")]
