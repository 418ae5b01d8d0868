"""Calls go on when one of their two user agents is a new one that knows only what was saved of the old one."""

import pytest

from carillon_sip import (
    InviteReceived,
    ParseError,
    ProvisionalAcked,
    ReinviteAnswered,
    RequestOut,
    ResponseReceived,
    SessionAcked,
    SessionAnswered,
    SessionCancelled,
    SessionEnded,
    SessionFailed,
    SessionProgress,
    SessionRequest,
    UserAgent,
)
from carillon_sip.resuming import SavedSession
from carillon_sip.session import SessionState
from carillon_sip.testing import SDP, Node, Pair, Tokens, full_settings

pytestmark = [pytest.mark.feature("M-13"), pytest.mark.feature("M-3")]


def restart(pair: Pair, node: Node, session: str) -> SavedSession:
    """The node dies and is there again, with what it has saved of this session."""
    saved = node.agent.save(session)
    assert saved is not None
    node.agent = UserAgent(full_settings(user_agent=node.name), Tokens(f"{node.name}-again"))
    assert node.agent.resume(saved, now=pair.network.now) == session
    again = node.agent.save(session)
    assert again is not None
    pair.network.settle()
    return saved


def wait(pair: Pair, seconds: float = 1.0) -> float:
    pair.network.run(pair.network.now + seconds)
    return pair.network.now


@pytest.mark.parametrize("dead", ["alice", "bob"])
@pytest.mark.parametrize("by", ["alice", "bob"])
def test_a_call_that_is_up_goes_on_and_is_hung_up_by_either_side(full_pair: Pair, dead: str, by: str) -> None:
    pair = full_pair
    mine, theirs = pair.established()
    node = getattr(pair, dead)
    restart(pair, node, mine if dead == "alice" else theirs)
    now = wait(pair)
    pair.alice.agent.reinvite(mine, b"new ports", now=now)
    now = wait(pair)
    pair.bob.agent.accept_reinvite(theirs, b"fine", now=now)
    now = wait(pair)
    assert pair.alice.of_kind(ReinviteAnswered) == [ReinviteAnswered(mine, b"fine")]
    getattr(pair, by).agent.bye(mine if by == "alice" else theirs, now=now)
    wait(pair)
    assert pair.alice.of_kind(SessionEnded) == [SessionEnded(mine, "local" if by == "alice" else "remote", "")]
    assert pair.bob.of_kind(SessionEnded) == [SessionEnded(theirs, "local" if by == "bob" else "remote", "")]
    pair.assert_idle()


def test_a_caller_that_was_still_waiting_is_answered_by_the_new_one(full_pair: Pair) -> None:
    pair = full_pair
    mine = pair.invite()
    theirs = pair.rings()
    pair.bob.agent.ring(theirs, now=pair.network.now)
    now = wait(pair)
    assert restart(pair, pair.bob, theirs).state is SessionState.INCOMING
    pair.bob.agent.ring(theirs, 183, body=SDP, now=now)
    now = wait(pair)
    pair.bob.agent.answer(theirs, SDP, now=now)
    now = wait(pair)
    assert [event.response.status for event in pair.alice.of_kind(SessionProgress)] == [180, 183]  # type: ignore[union-attr]
    assert pair.alice.of_kind(SessionAnswered)
    assert pair.bob.of_kind(SessionAcked)
    pair.alice.agent.bye(mine, now=now)
    pair.assert_idle()


def test_a_caller_may_still_give_up(full_pair: Pair) -> None:
    pair = full_pair
    mine = pair.invite()
    theirs = pair.rings()
    restart(pair, pair.bob, theirs)
    pair.alice.agent.cancel(mine, now=pair.network.now)
    wait(pair)
    assert pair.bob.of_kind(SessionCancelled) == [SessionCancelled(theirs, "")]
    assert [event.status for event in pair.alice.of_kind(SessionFailed)] == [487]  # type: ignore[union-attr]
    pair.assert_idle()


def test_a_retransmitted_invite_is_no_second_call(full_pair: Pair) -> None:
    pair = full_pair
    pair.invite()
    theirs = pair.rings()
    (invite,) = [(flow, data) for _, flow, data in pair.network.sent if data.startswith(b"INVITE")]
    restart(pair, pair.bob, theirs)
    pair.bob.agent.receive(invite[1], pair.network.flow(pair.bob, pair.alice), pair.network.now)
    wait(pair)
    assert len(pair.bob.of_kind(InviteReceived)) == 1


def test_a_phone_that_rings_is_heard_when_it_answers(full_pair: Pair) -> None:
    pair = full_pair
    mine = pair.invite()
    theirs = pair.rings()
    pair.bob.agent.ring(theirs, now=pair.network.now)
    now = wait(pair)
    assert restart(pair, pair.alice, mine).state is SessionState.CALLING
    now = wait(pair)
    pair.bob.agent.answer(theirs, SDP, now=now)
    now = wait(pair)
    assert len(pair.alice.of_kind(SessionAnswered)) == 1
    assert len(pair.bob.of_kind(InviteReceived)) == 1
    pair.alice.agent.bye(mine, now=now)
    pair.assert_idle()


def test_an_answer_that_nobody_heard_is_heard_by_the_new_one(full_pair: Pair) -> None:
    pair = full_pair
    mine = pair.invite()
    theirs = pair.rings()
    wait(pair)
    saved = pair.alice.agent.save(mine)
    assert saved is not None
    pair.network.passes = lambda flow, data: flow.remote != pair.alice.address
    pair.bob.agent.answer(theirs, SDP, now=pair.network.now)
    wait(pair)
    pair.network.passes = lambda flow, data: True
    pair.alice.agent = UserAgent(full_settings(user_agent="alice"), Tokens("alice-again"))
    pair.alice.agent.resume(saved, now=pair.network.now)
    now = wait(pair, 5.0)
    assert len(pair.alice.of_kind(SessionAnswered)) == 1
    pair.bob.agent.bye(theirs, now=now)
    pair.assert_idle()


def test_a_call_that_was_given_up_is_given_up_again(full_pair: Pair) -> None:
    pair = full_pair
    mine = pair.invite()
    theirs = pair.rings()
    wait(pair)
    pair.network.passes = lambda flow, data: not data.startswith(b"CANCEL")
    pair.alice.agent.cancel(mine, now=pair.network.now)
    pair.network.settle()
    pair.network.passes = lambda flow, data: True
    assert restart(pair, pair.alice, mine).state is SessionState.CANCELLING
    wait(pair)
    assert pair.bob.of_kind(SessionCancelled) == [SessionCancelled(theirs, "")]
    pair.assert_idle()


def test_our_answer_is_repeated_until_its_ack(full_pair: Pair) -> None:
    pair = full_pair
    mine = pair.invite()
    theirs = pair.rings()
    pair.network.passes = lambda flow, data: not data.startswith(b"SIP/2.0 200")
    pair.bob.agent.answer(theirs, SDP, now=pair.network.now)
    pair.network.settle()
    pair.network.passes = lambda flow, data: True
    assert restart(pair, pair.bob, theirs).state is SessionState.ANSWERED
    now = wait(pair)
    assert pair.alice.of_kind(SessionAnswered)
    assert pair.bob.of_kind(SessionAcked)
    pair.bob.agent.bye(theirs, now=now)
    wait(pair)
    assert pair.alice.of_kind(SessionEnded) == [SessionEnded(mine, "remote", "")]
    pair.assert_idle()


def test_a_bye_without_an_answer_is_sent_again(full_pair: Pair) -> None:
    pair = full_pair
    mine, theirs = pair.established()
    pair.network.passes = lambda flow, data: not data.startswith(b"BYE")
    pair.alice.agent.bye(mine, now=pair.network.now)
    pair.network.settle()
    pair.network.passes = lambda flow, data: True
    assert restart(pair, pair.alice, mine).state is SessionState.ENDING
    wait(pair)
    assert pair.bob.of_kind(SessionEnded) == [SessionEnded(theirs, "remote", "")]
    pair.assert_idle()


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_a_request_within_a_dialog_is_asked_once_and_answered_to_the_new_one(full_pair: Pair, lost: str) -> None:
    """Whether it has arrived nobody knows: it is the same one, with the same branch and CSeq; what comes after it is ahead of both."""
    pair = full_pair
    mine, _ = pair.established()
    pair.network.passes = lambda flow, data: lost == "answer" and data.startswith(b"INFO")
    info = RequestOut("INFO", session=mine, body=b"5", content_type="application/dtmf")
    asked = pair.alice.agent.request(info, now=pair.network.now)
    wait(pair)
    if lost == "answer":
        (arrived,) = pair.bob.of_kind(SessionRequest)
        assert isinstance(arrived, SessionRequest)
        pair.bob.agent.respond(arrived.transaction, 200, now=pair.network.now)
        wait(pair)
    assert pair.alice.of_kind(ResponseReceived) == []
    pair.network.passes = lambda flow, data: True
    restart(pair, pair.alice, mine)
    wait(pair)
    (arrived,) = pair.bob.of_kind(SessionRequest)
    assert isinstance(arrived, SessionRequest)
    if lost == "request":
        pair.bob.agent.respond(arrived.transaction, 200, now=pair.network.now)
        wait(pair)
    (told,) = pair.alice.of_kind(ResponseReceived)
    assert isinstance(told, ResponseReceived)
    assert (told.transaction, told.response.status) == (asked, 200)
    saved = pair.alice.agent.save(mine)
    assert saved is not None
    assert saved.inquiries == ()
    pair.alice.agent.bye(mine, now=wait(pair))
    wait(pair)
    pair.assert_idle()


def test_a_request_that_was_made_before_the_ack_of_our_answer_is_asked_again_beside_it(full_pair: Pair) -> None:
    pair = full_pair
    pair.invite()
    theirs = pair.rings()
    pair.network.passes = lambda flow, data: not data.startswith((b"ACK", b"INFO"))
    pair.bob.agent.answer(theirs, SDP, now=pair.network.now)
    info = RequestOut("INFO", session=theirs, body=b"5", content_type="application/dtmf")
    asked = pair.bob.agent.request(info, now=wait(pair))
    wait(pair)
    pair.network.passes = lambda flow, data: True
    assert restart(pair, pair.bob, theirs).state is SessionState.ANSWERED
    wait(pair)
    (arrived,) = pair.alice.of_kind(SessionRequest)
    assert isinstance(arrived, SessionRequest)
    pair.alice.agent.respond(arrived.transaction, 200, now=pair.network.now)
    wait(pair)
    (told,) = pair.bob.of_kind(ResponseReceived)
    assert isinstance(told, ResponseReceived)
    assert (told.transaction, told.response.status) == (asked, 200)
    assert pair.bob.of_kind(SessionAcked)
    pair.bob.agent.bye(theirs, now=wait(pair))
    wait(pair)
    pair.assert_idle()


def test_a_reliable_provisional_response_is_repeated_until_its_prack_and_the_next_has_the_next_number(full_pair: Pair) -> None:
    pair = full_pair
    pair.invite(headers=(("Require", "100rel"),))
    theirs = pair.rings()
    pair.network.passes = lambda flow, data: not data.startswith(b"SIP/2.0 180")
    pair.bob.agent.ring(theirs, now=pair.network.now)
    pair.network.settle()
    pair.network.passes = lambda flow, data: True
    restart(pair, pair.bob, theirs)
    now = wait(pair)
    assert [event.status for event in pair.bob.of_kind(ProvisionalAcked)] == [180]  # type: ignore[union-attr]
    restart(pair, pair.bob, theirs)
    pair.bob.agent.ring(theirs, 183, now=now)
    now = wait(pair)
    assert [event.status for event in pair.bob.of_kind(ProvisionalAcked)] == [180, 183]  # type: ignore[union-attr]
    pair.bob.agent.answer(theirs, SDP, now=now)
    now = wait(pair)
    pair.bob.agent.bye(theirs, now=now)
    pair.assert_idle()


def test_what_is_not_whole_is_refused(full_pair: Pair) -> None:
    _, theirs = full_pair.established()
    saved = full_pair.bob.agent.save(theirs)
    assert saved is not None
    for state in SessionState:
        torn = SavedSession(saved.id, state, saved.flow, saved.contact, outgoing=False, request=b"nonsense")
        with pytest.raises(ParseError):
            full_pair.bob.agent.resume(torn, now=1.0)


def test_nothing_is_saved_of_a_session_that_is_over(full_pair: Pair) -> None:
    assert full_pair.bob.agent.save("nobody") is None


def test_an_answer_is_acknowledged_when_its_user_has_noted_it(full_pair: Pair) -> None:
    pair = full_pair
    mine = pair.invite(acks=False)
    theirs = pair.rings()
    pair.bob.agent.answer(theirs, SDP, now=pair.network.now)
    now = wait(pair)
    assert len(pair.alice.of_kind(SessionAnswered)) == 1
    assert "ACK" not in pair.on_wire()
    pair.alice.agent.ack(mine, b"", now=now)
    now = wait(pair)
    assert pair.on_wire().count("ACK") == 1
    pair.bob.agent.bye(theirs, now=now)
    wait(pair)
    assert pair.alice.of_kind(SessionEnded) == [SessionEnded(mine, "remote", "")]
    pair.assert_idle()


def test_an_answer_that_was_noted_and_perhaps_not_acknowledged_is_acknowledged_by_the_new_one(full_pair: Pair) -> None:
    pair = full_pair
    mine = pair.invite(acks=False)
    theirs = pair.rings()
    pair.bob.agent.answer(theirs, SDP, now=pair.network.now)
    wait(pair)
    assert restart(pair, pair.alice, mine).state is SessionState.OFFERED
    now = wait(pair)
    assert pair.bob.of_kind(SessionAcked) == [SessionAcked(theirs, b"")]
    pair.alice.agent.bye(mine, now=now)
    pair.assert_idle()


def test_an_answer_that_nobody_wants_any_more_gets_ack_and_bye(full_pair: Pair) -> None:
    pair = full_pair
    mine = pair.invite(acks=False)
    theirs = pair.rings()
    pair.bob.agent.answer(theirs, SDP, now=pair.network.now)
    now = wait(pair)
    pair.alice.agent.cancel(mine, now=now)
    wait(pair)
    assert pair.bob.of_kind(SessionEnded) == [SessionEnded(theirs, "remote", "")]
    pair.assert_idle()
