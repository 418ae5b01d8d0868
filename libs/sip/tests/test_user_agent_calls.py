"""Calls between two user agents: set up, tear down, cancel, re-INVITE, and what races do to them."""

import pytest

from carillon_sip import (
    Credentials,
    InviteReceived,
    NameAddr,
    ReinviteAnswered,
    ReinviteFailed,
    RequestOut,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    SessionAcked,
    SessionAnswered,
    SessionCancelled,
    SessionEnded,
    SessionFailed,
    SessionProgress,
    SessionReinvited,
    SessionRequest,
    WrongState,
)
from carillon_sip.digest import Authenticator, Verdict, ha1
from carillon_sip.testing import SDP, Node, Pair

pytestmark = pytest.mark.feature("M-1")


def kinds(node: Node) -> list[str]:
    return [type(event).__name__ for _, event in node.events]


def test_a_call_rings_is_answered_and_ends(pair: Pair) -> None:
    mine = pair.invite()
    theirs = pair.rings()
    pair.bob.agent.ring(theirs, body=b"early", now=pair.network.now)
    pair.network.run(1.0)
    pair.bob.agent.answer(theirs, b"answer", now=1.0)
    pair.network.run(2.0)
    pair.alice.agent.bye(mine, 'Q.850;cause=16;text="done"', now=2.0)
    pair.network.run(3.0)
    assert pair.on_wire() == ["INVITE", "100", "180", "200", "ACK", "BYE", "200"]
    assert kinds(pair.alice) == ["SessionProgress", "SessionAnswered", "SessionEnded"]
    assert kinds(pair.bob) == ["InviteReceived", "SessionAcked", "SessionEnded"]
    (progress,) = pair.alice.of_kind(SessionProgress)
    (answered,) = pair.alice.of_kind(SessionAnswered)
    assert isinstance(progress, SessionProgress)
    assert isinstance(answered, SessionAnswered)
    assert (progress.response.status, progress.response.body, answered.response.body) == (180, b"early", b"answer")
    assert pair.alice.of_kind(SessionEnded) == [SessionEnded(mine, "local", "")]
    assert pair.bob.of_kind(SessionEnded) == [SessionEnded(theirs, "remote", 'Q.850;cause=16;text="done"')]
    pair.assert_idle()


@pytest.mark.feature("M-3")
def test_the_callee_may_hang_up_and_its_bye_waits_for_the_ack(pair: Pair) -> None:
    pair.invite()
    theirs = pair.rings()
    pair.bob.agent.answer(theirs, SDP, now=pair.network.now)
    pair.bob.agent.bye(theirs, now=pair.network.now)
    pair.network.run(1.0)
    assert pair.on_wire() == ["INVITE", "100", "200", "ACK", "BYE", "200"]
    assert kinds(pair.bob) == ["InviteReceived", "SessionAcked", "SessionEnded"]
    pair.assert_idle()


def test_a_refused_call_fails_with_status_and_reason(pair: Pair) -> None:
    mine = pair.invite()
    pair.bob.agent.reject(pair.rings(), 486, headers=[("Retry-After", "5")], now=pair.network.now)
    pair.network.run(1.0)
    (failed,) = pair.alice.of_kind(SessionFailed)
    assert isinstance(failed, SessionFailed)
    assert (failed.session, failed.status, failed.reason) == (mine, 486, "Busy Here")
    assert failed.response is not None
    assert failed.response.headers.get("Retry-After") == "5"
    assert pair.on_wire() == ["INVITE", "100", "486", "ACK"]
    pair.assert_idle()


def test_nobody_there_is_408_after_64_t1(pair: Pair) -> None:
    del pair.network.nodes[pair.bob.address]
    mine = pair.invite()
    pair.network.run(31.9)
    assert not pair.alice.events
    pair.network.run(32.1)
    assert pair.alice.of_kind(SessionFailed) == [SessionFailed(mine, 408, "Request Timeout")]
    assert pair.on_wire() == ["INVITE"] * 7  # Timer A at 0.5, 1.5, 3.5, 7.5, 15.5, 31.5


@pytest.mark.feature("M-3")
def test_cancel_carries_its_reason_and_ends_both_sides(pair: Pair) -> None:
    mine = pair.invite()
    theirs = pair.rings()
    pair.alice.agent.cancel(mine, 'SIP;cause=200;text="Call completed elsewhere"', now=pair.network.now)
    pair.network.run(1.0)
    assert pair.on_wire() == ["INVITE", "100", "CANCEL", "200", "487", "ACK"]
    assert pair.bob.of_kind(SessionCancelled) == [SessionCancelled(theirs, 'SIP;cause=200;text="Call completed elsewhere"')]
    (failed,) = pair.alice.of_kind(SessionFailed)
    assert isinstance(failed, SessionFailed)
    assert failed.status == 487
    pair.bob.agent.answer(theirs, SDP, now=1.0)  # too late: a normal race, ignored
    pair.assert_idle()


def test_cancel_before_any_provisional_response_is_held_back(pair: Pair) -> None:
    mine = pair.invite()
    pair.alice.agent.cancel(mine, now=0.0)
    pair.network.settle()
    assert pair.on_wire() == ["INVITE"]
    pair.network.run(1.0)
    assert pair.on_wire() == ["INVITE", "100", "CANCEL", "200", "487", "ACK"]
    pair.assert_idle()


def test_a_200_that_crosses_our_cancel_is_acknowledged_and_ended(pair: Pair) -> None:
    mine = pair.invite()
    theirs = pair.rings()
    pair.bob.agent.answer(theirs, SDP, now=pair.network.now)
    pair.alice.agent.cancel(mine, now=pair.network.now)
    pair.network.run(2.0)
    assert sorted(pair.on_wire()) == ["100", "200", "200", "200", "ACK", "BYE", "CANCEL", "INVITE"]
    assert kinds(pair.alice) == ["SessionFailed"]
    (failed,) = pair.alice.of_kind(SessionFailed)
    assert isinstance(failed, SessionFailed)
    assert (failed.session, failed.status) == (mine, 487)
    assert kinds(pair.bob) == ["InviteReceived", "SessionAcked", "SessionEnded"]
    pair.assert_idle()


def test_cancel_of_an_answered_call_hangs_up(pair: Pair) -> None:
    mine, _ = pair.established()
    pair.alice.agent.cancel(mine, now=pair.network.now)
    pair.network.run(1.0)
    assert pair.on_wire()[-2:] == ["BYE", "200"]
    assert pair.alice.of_kind(SessionEnded) == [SessionEnded(mine, "local", "")]


def test_cancel_that_nobody_answers_gives_up_after_64_t1(pair: Pair) -> None:
    mine = pair.invite()
    pair.rings()
    del pair.network.nodes[pair.bob.address]
    pair.alice.agent.cancel(mine, now=1.0)
    pair.network.run(40.0)
    assert pair.alice.of_kind(SessionFailed) == [SessionFailed(mine, 487, "Request Terminated")]
    pair.network.run(100.0)
    assert pair.alice.agent.counts()[:3] == (0, 0, 0)


def test_a_2xx_is_repeated_until_its_ack(pair: Pair) -> None:
    pair.network.passes = lambda flow, data: not data.startswith(b"ACK") or pair.network.now > 3.0
    pair.invite()
    pair.bob.agent.answer(pair.rings(), SDP, now=pair.network.now)
    pair.network.run(3.0)
    assert pair.on_wire() == ["INVITE", "100", "200", "ACK", "200", "ACK", "200", "ACK"]
    assert not pair.bob.of_kind(SessionAcked)
    pair.network.run(10.0)
    assert len(pair.bob.of_kind(SessionAcked)) == 1
    assert len(pair.alice.of_kind(SessionAnswered)) == 1


def test_without_any_ack_the_call_ends_by_timeout(pair: Pair) -> None:
    pair.network.passes = lambda flow, data: not data.startswith(b"ACK")
    pair.invite()
    theirs = pair.rings()
    pair.bob.agent.answer(theirs, SDP, now=pair.network.now)
    pair.network.run(40.0)
    assert pair.bob.of_kind(SessionEnded) == [SessionEnded(theirs, "timeout", "no ACK")]
    assert pair.on_wire()[-2:] == ["BYE", "200"]
    pair.assert_idle()


def test_a_bye_that_nobody_answers_still_ends_the_call(pair: Pair) -> None:
    mine, _ = pair.established()
    del pair.network.nodes[pair.bob.address]
    pair.alice.agent.bye(mine, now=pair.network.now)
    pair.network.run(60.0)
    assert pair.alice.of_kind(SessionEnded) == [SessionEnded(mine, "local", "timeout")]


def test_byes_that_cross_end_the_call_once_on_each_side(pair: Pair) -> None:
    mine, theirs = pair.established()
    pair.alice.agent.bye(mine, now=pair.network.now)
    pair.bob.agent.bye(theirs, now=pair.network.now)
    pair.network.run(2.0)
    assert pair.alice.of_kind(SessionEnded) == [SessionEnded(mine, "local", "")]
    assert pair.bob.of_kind(SessionEnded) == [SessionEnded(theirs, "local", "")]
    pair.assert_idle()


@pytest.mark.feature("M-3")
@pytest.mark.parametrize("by", ["alice", "bob"])
def test_reinvite_both_ways(pair: Pair, by: str) -> None:
    mine, theirs = pair.established()
    (asker, asked), (session, other) = (
        ((pair.alice, pair.bob), (mine, theirs)) if by == "alice" else ((pair.bob, pair.alice), (theirs, mine))
    )
    asker.agent.reinvite(session, b"hold", now=pair.network.now)
    pair.network.run(1.0)
    (event,) = asked.of_kind(SessionReinvited)
    assert isinstance(event, SessionReinvited)
    assert (event.session, event.body) == (other, b"hold")
    asked.agent.accept_reinvite(other, b"held", now=1.0)
    pair.network.run(2.0)
    assert asker.of_kind(ReinviteAnswered) == [ReinviteAnswered(session, b"held")]
    assert kinds(asked) == ["SessionReinvited"]
    asked.agent.bye(other, now=2.0)
    pair.network.run(3.0)
    assert kinds(asker)[-1] == "SessionEnded"
    pair.assert_idle()


def test_reinvites_that_cross_are_both_491(pair: Pair) -> None:
    mine, theirs = pair.established()
    pair.alice.agent.reinvite(mine, b"a", now=pair.network.now)
    pair.bob.agent.reinvite(theirs, b"b", now=pair.network.now)
    pair.network.run(2.0)
    assert pair.alice.of_kind(ReinviteFailed) == [ReinviteFailed(mine, 491)]
    assert pair.bob.of_kind(ReinviteFailed) == [ReinviteFailed(theirs, 491)]
    pair.alice.agent.reinvite(mine, b"again", now=2.0)
    pair.network.run(3.0)
    (event,) = pair.bob.of_kind(SessionReinvited)
    assert isinstance(event, SessionReinvited)
    assert (event.session, event.body) == (theirs, b"again")


def test_a_refused_reinvite_leaves_the_call_as_it_was(pair: Pair) -> None:
    mine, theirs = pair.established()
    pair.alice.agent.reinvite(mine, b"video", now=pair.network.now)
    pair.network.run(1.0)
    pair.bob.agent.reject_reinvite(theirs, 488, now=1.0)
    pair.network.run(2.0)
    assert pair.alice.of_kind(ReinviteFailed) == [ReinviteFailed(mine, 488)]
    assert pair.alice.agent.counts().sessions == 1


def test_a_reinvite_the_user_forgets_is_answered_500(pair: Pair) -> None:
    mine, _ = pair.established()
    pair.alice.agent.reinvite(mine, b"hold", now=pair.network.now)
    pair.network.run(60.0)
    assert pair.alice.of_kind(ReinviteFailed) == [ReinviteFailed(mine, 500)]


def test_a_reinvite_to_a_far_end_that_lost_the_call_ends_it(pair: Pair) -> None:
    mine, _ = pair.established()
    pair.bob.agent._context.sessions.clear()
    pair.alice.agent.reinvite(mine, b"hold", now=pair.network.now)
    pair.network.run(5.0)
    assert pair.alice.of_kind(ReinviteFailed) == [ReinviteFailed(mine, 481)]
    assert pair.alice.of_kind(SessionEnded) == [SessionEnded(mine, "remote", "481")]


@pytest.mark.feature("M-3")
def test_delayed_offer_the_answer_goes_in_the_ack(pair: Pair) -> None:
    mine = pair.invite(body=b"")
    pair.bob.agent.answer(pair.rings(), b"offer", now=pair.network.now)
    pair.network.run(1.0)
    (answered,) = pair.alice.of_kind(SessionAnswered)
    assert isinstance(answered, SessionAnswered)
    assert answered.response.body == b"offer"
    assert not pair.bob.of_kind(SessionAcked)
    pair.alice.agent.ack(mine, b"answer", now=1.0)
    pair.network.run(2.0)
    (acked,) = pair.bob.of_kind(SessionAcked)
    assert isinstance(acked, SessionAcked)
    assert acked.body == b"answer"
    pair.alice.agent.bye(mine, now=2.0)
    pair.assert_idle()


def test_info_within_the_call_and_its_answer(pair: Pair) -> None:
    mine, theirs = pair.established()
    asked = pair.alice.agent.request(
        RequestOut("INFO", session=mine, body=b"Signal=5\r\n", content_type="application/dtmf-relay"), now=pair.network.now
    )
    pair.network.run(1.0)
    (event,) = pair.bob.of_kind(SessionRequest)
    assert isinstance(event, SessionRequest)
    assert (event.session, event.request.method, event.request.content_type) == (theirs, "INFO", "application/dtmf-relay")
    pair.bob.agent.respond(event.transaction, 200, now=1.0)
    pair.network.run(2.0)
    (response,) = pair.alice.of_kind(ResponseReceived)
    assert isinstance(response, ResponseReceived)
    assert (response.transaction, response.response.status) == (asked, 200)


def options(pair: Pair, method: str = "OPTIONS", **changes: object) -> str:
    request = RequestOut(
        method,
        pair.network.flow(pair.alice, pair.bob),
        "sip:bob@192.0.2.2",
        NameAddr.of("sip:alice@example.com"),
        NameAddr.of("sip:alice@example.com"),
        **changes,  # type: ignore[arg-type]
    )
    return pair.alice.agent.request(request, now=pair.network.now)


def test_options_outside_a_dialog(pair: Pair) -> None:
    asked = options(pair)
    pair.network.run(1.0)
    (event,) = pair.bob.of_kind(RequestReceived)
    assert isinstance(event, RequestReceived)
    pair.bob.agent.respond(event.transaction, 200, headers=[("Accept", "application/sdp")], now=1.0)
    pair.bob.agent.respond(event.transaction, 500, now=1.0)  # one final response; the second is ignored
    pair.network.run(2.0)
    (response,) = pair.alice.of_kind(ResponseReceived)
    assert isinstance(response, ResponseReceived)
    assert (response.transaction, response.response.status) == (asked, 200)
    assert response.response.headers.get("Accept") == "application/sdp"
    pair.assert_idle()


def test_a_request_that_nobody_answers_times_out_and_leaves_nothing(pair: Pair) -> None:
    asked = options(pair)
    pair.network.run(40.0)
    assert pair.alice.of_kind(RequestTimedOut) == [RequestTimedOut(asked, "timeout")]
    pair.assert_idle()


def test_register_with_digest_by_the_stack(pair: Pair) -> None:
    door = Authenticator(b"key")
    known = {"alice": {"SHA-256": ha1("alice", "example.com", "secret", "SHA-256")}}

    def answer(node: Node, output: object, now: float) -> None:
        if isinstance(output, RequestReceived):
            values = output.request.headers.all("Authorization")
            verdict, user = door.verify(values, "REGISTER", "example.com", known.get, now)  # type: ignore[arg-type]
            if verdict is Verdict.OK and user == "alice":
                node.agent.respond(output.transaction, 200, now=now)
            else:
                challenges = [("WWW-Authenticate", value) for value in door.challenges("example.com", now)]
                node.agent.respond(output.transaction, 401, headers=challenges, now=now)

    pair.bob.handler = answer
    options(pair, "REGISTER", credentials=Credentials("alice", "secret"))
    options(pair, "REGISTER", credentials=Credentials("alice", "wrong"))
    pair.network.run(2.0)
    statuses = [event.response.status for event in pair.alice.of_kind(ResponseReceived) if isinstance(event, ResponseReceived)]
    assert statuses == [200, 401]
    assert pair.on_wire().count("REGISTER") == 4


def test_an_invite_answers_one_challenge_with_the_same_call_id_and_the_next_cseq(pair: Pair) -> None:
    mine = pair.invite(credentials=Credentials("alice", "secret"))
    first = pair.rings()
    door = Authenticator(b"key")
    challenges = [("Proxy-Authenticate", value) for value in door.challenges("example.com", 0.0)]
    pair.bob.agent.reject(first, 407, headers=challenges, now=pair.network.now)
    pair.network.run(1.0)
    one, two = (event.request for event in pair.bob.of_kind(InviteReceived) if isinstance(event, InviteReceived))
    assert one.call_id == two.call_id
    assert (one.cseq.number, two.cseq.number) == (1, 2)
    assert one.via_top.branch != two.via_top.branch
    stored = {"SHA-256": ha1("alice", "example.com", "secret", "SHA-256")}
    verdict, _ = door.verify(two.headers.all("Proxy-Authorization"), "INVITE", "example.com", lambda user: stored, 1.0)  # type: ignore[arg-type,return-value]
    assert verdict is Verdict.OK
    assert not pair.alice.events
    second = pair.bob.of_kind(InviteReceived)[1]
    assert isinstance(second, InviteReceived)
    pair.bob.agent.answer(second.session, SDP, now=1.0)
    pair.network.run(2.0)
    assert [type(e) for _, e in pair.alice.events] == [SessionAnswered]
    pair.alice.agent.bye(mine, now=2.0)
    pair.assert_idle()


def test_the_users_mistakes_raise_and_change_nothing(pair: Pair) -> None:
    mine, theirs = pair.established()
    with pytest.raises(WrongState):
        pair.bob.agent.answer(theirs, SDP, now=1.0)
    with pytest.raises(WrongState):
        pair.bob.agent.cancel(pair_session := _unanswered(pair), now=1.0)
    with pytest.raises(WrongState):
        pair.bob.agent.bye(pair_session, now=1.0)
    with pytest.raises(ValueError, match="line break"):
        pair.alice.agent.bye(mine, "x\r\nEvil: yes", now=1.0)
    with pytest.raises(ValueError, match="line break"):
        pair.invite(headers=(("Subject", "a\nb"),))
    with pytest.raises(ValueError, match="own command"):
        options(pair, "BYE")
    pair.network.run(2.0)
    assert pair.alice.agent.counts().sessions == 2
    pair.alice.agent.bye(mine, now=2.0)
    pair.network.run(3.0)
    assert pair.bob.of_kind(SessionEnded)


def _unanswered(pair: Pair) -> str:
    pair.invite()
    pair.network.run(pair.network.now + 0.1)
    event = pair.bob.of_kind(InviteReceived)[-1]
    assert isinstance(event, InviteReceived)
    return event.session


def test_a_call_nobody_answers_is_given_up_by_the_setting(pair: Pair) -> None:
    mine = pair.invite()
    theirs = pair.rings()
    pair.network.run(700.0)
    assert [type(e) for _, e in pair.bob.events] == [InviteReceived, SessionCancelled]
    assert pair.bob.of_kind(SessionCancelled)[0].session == theirs  # type: ignore[union-attr]
    assert pair.alice.of_kind(SessionFailed)[0].session == mine  # type: ignore[union-attr]
    pair.assert_idle()


@pytest.mark.feature("M-1")
def test_a_call_over_tcp_sends_nothing_twice_and_leaves_no_linger(pair: Pair) -> None:
    flow = pair.network.flow(pair.alice, pair.bob, "tcp")
    mine = pair.invite(flow=flow)
    pair.bob.agent.answer(pair.rings(), SDP, now=pair.network.now)
    pair.network.run(1.0)
    pair.alice.agent.bye(mine, now=1.0)
    pair.network.run(5.0)
    assert pair.on_wire() == ["INVITE", "100", "200", "ACK", "BYE", "200"]
    pair.assert_idle()


def test_a_failed_connection_fails_what_waits_for_it(pair: Pair) -> None:
    flow = pair.network.flow(pair.alice, pair.bob, "tcp")
    mine = pair.invite(flow=flow)
    theirs = pair.rings()
    pair.alice.agent.flow_failed(flow, 1.0)
    pair.bob.agent.flow_failed(pair.network.flow(pair.bob, pair.alice, "tcp"), 1.0)
    pair.network.settle()
    assert pair.alice.of_kind(SessionFailed) == [SessionFailed(mine, 503, "Service Unavailable")]
    assert pair.bob.of_kind(SessionCancelled) == [SessionCancelled(theirs, "transport")]
    pair.assert_idle()


def test_a_challenged_request_within_the_call_is_sent_again_with_the_next_cseq(pair: Pair) -> None:
    mine, theirs = pair.established(credentials=Credentials("alice", "secret"))
    door = Authenticator(b"key")
    pair.alice.agent.request(RequestOut("INFO", session=mine), now=pair.network.now)
    pair.network.run(1.0)
    first = pair.bob.of_kind(SessionRequest)[0]
    assert isinstance(first, SessionRequest)
    challenges = [("WWW-Authenticate", value) for value in door.challenges("example.com", 1.0)]
    pair.bob.agent.respond(first.transaction, 401, headers=challenges, now=1.0)
    pair.network.run(2.0)
    second = pair.bob.of_kind(SessionRequest)[1]
    assert isinstance(second, SessionRequest)
    assert "Authorization" in second.request.headers
    assert second.request.cseq.number == first.request.cseq.number + 1
    pair.bob.agent.respond(second.transaction, 200, now=2.0)
    pair.alice.agent.bye(mine, now=2.0)
    pair.network.run(3.0)
    assert pair.bob.of_kind(SessionEnded) == [SessionEnded(theirs, "remote", "")]


def test_a_reinvite_whose_answer_never_comes_ends_the_call(pair: Pair) -> None:
    mine, _ = pair.established()
    pair.alice.agent.reinvite(mine, b"hold", now=pair.network.now)
    pair.network.run(1.0)
    assert pair.on_wire()[-1] == "100"
    del pair.network.nodes[pair.bob.address]
    pair.network.run(100.0)
    assert pair.alice.of_kind(ReinviteFailed) == [ReinviteFailed(mine, 408)]
    assert pair.alice.of_kind(SessionEnded) == [SessionEnded(mine, "timeout", "408")]


def test_a_reinvite_cut_short_by_a_bye_leaves_no_transaction(pair: Pair) -> None:
    mine, theirs = pair.established()
    pair.alice.agent.reinvite(mine, b"hold", now=pair.network.now)
    pair.network.run(1.0)
    pair.network.passes = lambda flow, data: not data.startswith(b"SIP/2.0 200") or b"BYE" in data
    pair.bob.agent.accept_reinvite(theirs, b"held", now=1.0)
    pair.network.settle()
    pair.alice.agent.bye(mine, now=1.0)
    pair.network.run(2.0)
    assert pair.bob.of_kind(SessionEnded) == [SessionEnded(theirs, "remote", "")]
    pair.assert_idle()
