"""100rel and PRACK (RFC 3262) between two user agents and against messages written by hand."""

import pytest

from carillon_sip import (
    InviteReceived,
    Output,
    ReinviteAnswered,
    SessionAcked,
    SessionAnswered,
    SessionCancelled,
    SessionEnded,
    SessionFailed,
    SessionProgress,
    SessionReinvited,
    WrongState,
)
from carillon_sip.message import Request, Response
from carillon_sip.outputs import ProvisionalAcked
from carillon_sip.parser import parse_message
from carillon_sip.testing import SDP, Faults, Node, Pair, Stranger, make_full_pair, request_text

pytestmark = pytest.mark.feature("M-3")
REQUIRED = (("Require", "100rel"),)


def test_a_caller_that_requires_it_gets_reliable_ringing_and_acknowledges_it(full_pair: Pair) -> None:
    pair = full_pair
    mine = pair.invite(headers=REQUIRED)
    theirs = pair.rings()
    pair.bob.agent.ring(theirs, 183, body=SDP, now=pair.network.now)
    pair.bob.agent.ring(theirs, 180, now=pair.network.now)
    pair.network.run(1.0)
    assert pair.on_wire() == ["INVITE", "100", "183", "PRACK", "200", "180", "PRACK", "200"]
    assert [e.status for e in pair.bob.of_kind(ProvisionalAcked)] == [183, 180]  # type: ignore[union-attr]
    pair.bob.agent.answer(theirs, b"", now=1.0)
    pair.network.run(2.0)
    pair.alice.agent.bye(mine, now=2.0)
    pair.network.run(3.0)
    assert pair.on_wire()[8:] == ["200", "ACK", "BYE", "200"]
    assert [type(e) for _, e in pair.alice.events] == [SessionProgress, SessionProgress, SessionAnswered, SessionEnded]
    pair.assert_idle()


def test_a_caller_that_only_supports_it_gets_it_when_the_user_asks(full_pair: Pair) -> None:
    pair = full_pair
    pair.invite()
    theirs = pair.rings()
    pair.bob.agent.ring(theirs, now=pair.network.now)
    pair.network.run(1.0)
    assert pair.on_wire() == ["INVITE", "100", "180"]
    pair.bob.agent.ring(theirs, 183, body=SDP, reliable=True, now=1.0)
    pair.network.run(2.0)
    assert pair.on_wire()[3:] == ["183", "PRACK", "200"]


def test_a_caller_without_it_never_gets_it(pair: Pair) -> None:
    pair.invite()
    pair.bob.agent.ring(pair.rings(), 183, body=SDP, reliable=True, now=pair.network.now)
    pair.network.run(5.0)
    assert pair.on_wire() == ["INVITE", "100", "183"]


def test_the_2xx_waits_for_the_prack_of_a_description(full_pair: Pair) -> None:
    pair = full_pair
    pair.network.passes = lambda flow, data: not data.startswith(b"PRACK") or pair.network.now > 2.0
    pair.invite(headers=REQUIRED)
    theirs = pair.rings()
    pair.bob.agent.ring(theirs, 183, body=SDP, now=pair.network.now)
    pair.bob.agent.answer(theirs, b"", now=pair.network.now)
    with pytest.raises(WrongState):
        pair.bob.agent.answer(theirs, b"", now=pair.network.now)
    pair.network.run(2.0)
    assert "200" not in pair.on_wire()
    pair.network.run(10.0)
    assert len(pair.bob.of_kind(SessionAcked)) == 1
    assert len(pair.alice.of_kind(SessionProgress)) == 1


def test_hanging_up_while_the_2xx_waits_refuses_the_call(full_pair: Pair) -> None:
    pair = full_pair
    pair.network.passes = lambda flow, data: not data.startswith(b"PRACK")
    mine = pair.invite(headers=REQUIRED)
    theirs = pair.rings()
    pair.bob.agent.ring(theirs, 183, body=SDP, now=pair.network.now)
    pair.bob.agent.answer(theirs, b"", now=pair.network.now)
    pair.bob.agent.bye(theirs, now=pair.network.now)
    pair.network.run(40.0)
    assert pair.bob.of_kind(SessionEnded) == [SessionEnded(theirs, "local", "")]
    (failed,) = pair.alice.of_kind(SessionFailed)
    assert isinstance(failed, SessionFailed)
    assert (failed.session, failed.status) == (mine, 480)
    pair.assert_idle()


def test_without_a_prack_it_is_repeated_ever_slower_and_the_call_refused_with_504(full_stranger: Stranger) -> None:
    stranger = full_stranger
    stranger.send(request_text(extra="Require: 100rel\r\n"))
    event = stranger.last(InviteReceived)
    assert isinstance(event, InviteReceived)
    stranger.agent.ring(event.session, now=0.0)
    assert stranger.statuses(stranger.collect()) == [180]
    times = []
    for _ in range(132):
        if 180 in stranger.statuses(stranger.wait(0.25)):
            times.append(stranger.now)
    assert times == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert 504 in stranger.statuses(stranger.sent)
    assert stranger.last(SessionCancelled) == SessionCancelled(event.session, "no PRACK")
    stranger.wait(60.0)
    assert stranger.agent.counts()[:3] == (0, 0, 0)


def test_a_prack_that_fits_nothing_is_481_and_one_without_rack_400(full_stranger: Stranger) -> None:
    stranger = full_stranger
    stranger.send(request_text(extra="Require: 100rel\r\n"))
    event = stranger.last(InviteReceived)
    assert isinstance(event, InviteReceived)
    stranger.agent.ring(event.session, now=0.0)
    ringing = parse_message(stranger.collect()[0])
    assert ringing.headers.get("Require") == "100rel"
    rseq = int(ringing.headers.get("RSeq") or "")

    def prack(cseq: int, rack: str) -> list[int]:
        text = request_text("PRACK", branch=f"z9hG4bKp{cseq}", cseq=cseq, to_tag=event.session, extra=rack)
        return stranger.statuses(stranger.send(text))

    assert prack(2, f"RAck: {rseq + 1} 1 INVITE\r\n") == [481]
    assert prack(3, f"RAck: {rseq} 7 INVITE\r\n") == [481]
    assert prack(4, f"RAck: {rseq} 1 UPDATE\r\n") == [481]
    assert prack(5, "") == [400]
    assert prack(6, f"RAck: {rseq} 1 INVITE\r\n") == [200]
    assert prack(6, f"RAck: {rseq} 1 INVITE\r\n") == [200]  # a retransmission gets the same answer
    assert prack(7, f"RAck: {rseq} 1 INVITE\r\n") == [481]
    assert stranger.statuses(stranger.wait(40.0)) == []


def test_delayed_offer_offer_in_183_answer_in_prack(full_pair: Pair) -> None:
    pair = full_pair
    mine = pair.invite(body=b"", headers=REQUIRED)
    theirs = pair.rings()
    pair.bob.agent.ring(theirs, 183, body=b"offer", now=pair.network.now)
    pair.network.run(1.0)
    (progress,) = pair.alice.of_kind(SessionProgress)
    assert isinstance(progress, SessionProgress)
    assert (progress.wants_answer, progress.response.body) == (True, b"offer")
    pair.alice.agent.prack(mine, b"answer", now=1.0)
    pair.network.run(2.0)
    assert pair.bob.of_kind(ProvisionalAcked) == [ProvisionalAcked(theirs, 183, b"answer")]
    pair.bob.agent.answer(theirs, b"", now=2.0)
    pair.network.run(3.0)
    (acked,) = pair.bob.of_kind(SessionAcked)
    assert isinstance(acked, SessionAcked)
    assert acked.body == b""  # the stack sent it by itself: offer and answer are done
    pair.alice.agent.bye(mine, now=3.0)
    pair.assert_idle()


def test_an_offer_in_a_prack_is_answered_by_the_user(full_stranger: Stranger) -> None:
    stranger = full_stranger
    stranger.send(request_text(extra="Require: 100rel\r\nContent-Type: application/sdp\r\n", body="offer"))
    event = stranger.last(InviteReceived)
    assert isinstance(event, InviteReceived)
    stranger.agent.ring(event.session, 183, body=b"answer", now=0.0)
    rseq = parse_message(stranger.collect()[0]).headers.get("RSeq")
    extra = f"RAck: {rseq} 1 INVITE\r\nContent-Type: application/sdp\r\n"
    assert stranger.send(request_text("PRACK", branch="z9hG4bK2", cseq=2, to_tag=event.session, extra=extra, body="second")) == []
    assert stranger.last(SessionReinvited) == SessionReinvited(event.session, b"second", "PRACK")
    stranger.agent.accept_reinvite(event.session, b"fine", now=0.0)
    ok = parse_message(stranger.collect()[0])
    assert isinstance(ok, Response)
    assert (ok.status, ok.cseq.method, ok.body) == (200, "PRACK", b"fine")


def test_out_of_order_and_repeated_provisional_responses_are_not_acknowledged(full_stranger: Stranger) -> None:
    from carillon_sip import Invite, NameAddr

    stranger = full_stranger
    who = NameAddr.of("sip:x@192.0.2.9")
    stranger.agent.invite(Invite(stranger.flow, "sip:x@192.0.2.9", who, who, NameAddr.of("sip:bob@192.0.2.2"), SDP), now=0.0)
    invite = parse_message(stranger.collect()[0])

    def progress(rseq: int, tag: str = "one") -> list[str]:
        lines = "".join(f"{name}: {invite.headers.get(name)}\r\n" for name in ("Via", "From", "Call-ID", "CSeq"))
        text = (
            f"SIP/2.0 180 Ringing\r\n{lines}To: <sip:x@x>;tag={tag}\r\nContact: <sip:{tag}@192.0.2.9>\r\n"
            f"Require: 100rel\r\nRSeq: {rseq}\r\nContent-Length: 0\r\n\r\n"
        )
        pracks = [parse_message(m) for m in stranger.send(text)]
        return [p.headers.get("RAck") or "" for p in pracks if isinstance(p, Request)]

    assert progress(500) == ["500 1 INVITE"]
    assert progress(500) == []
    assert progress(502) == []
    assert progress(501) == ["501 1 INVITE"]
    assert progress(7, "two") == ["7 1 INVITE"]  # each branch of a fork counts by itself
    assert len([e for e in stranger.events if isinstance(e, SessionProgress)]) == 3


def test_the_bye_after_pracks_has_a_higher_cseq_than_they_had(full_pair: Pair) -> None:
    pair = full_pair
    mine = pair.invite(headers=REQUIRED)
    theirs = pair.rings()
    pair.bob.agent.ring(theirs, now=pair.network.now)
    pair.network.run(1.0)
    pair.bob.agent.answer(theirs, SDP, now=1.0)
    pair.network.run(2.0)
    pair.alice.agent.reinvite(mine, SDP, now=2.0)
    pair.network.run(3.0)
    pair.bob.agent.accept_reinvite(theirs, SDP, now=3.0)
    pair.network.run(4.0)
    assert pair.alice.of_kind(ReinviteAnswered)
    requests = [parse_message(data) for _, flow, data in pair.network.sent if not data.startswith(b"SIP/2.0")]
    assert [(r.cseq.number, r.cseq.method) for r in requests] == [(1, "INVITE"), (2, "PRACK"), (1, "ACK"), (3, "INVITE"), (3, "ACK")]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_over_a_rough_network_every_call_ends_once(seed: int) -> None:
    pair = make_full_pair(seed, Faults(loss=0.15, duplicate=0.1, delay_min=0.005, delay_max=0.4))

    def bob(node: Node, output: Output, now: float) -> None:
        if isinstance(output, InviteReceived):
            node.agent.ring(output.session, 183, body=SDP, now=now)
            node.agent.ring(output.session, 180, now=now)
            node.agent.answer(output.session, b"", now=now)

    def alice(node: Node, output: Output, now: float) -> None:
        if isinstance(output, SessionAnswered):
            node.agent.bye(output.session, now=now)

    pair.alice.handler, pair.bob.handler = alice, bob
    sessions = []
    for _ in range(80):
        sessions.append(pair.invite(headers=REQUIRED))
        pair.network.run(pair.network.now + 0.3)
    pair.assert_idle()
    last = [e.session for _, e in pair.alice.events if isinstance(e, SessionEnded | SessionFailed)]
    assert sorted(last) == sorted(sessions)
    assert len(pair.alice.of_kind(SessionAnswered)) > 70
