"""Session timers (RFC 4028) both ways: what is agreed, who refreshes and how, and the end of a call that nobody refreshes."""

import pytest

from carillon_sip import InviteReceived, Output, ReinviteAnswered, SessionAnswered, SessionEnded, SessionFailed, SessionReinvited, UserAgent
from carillon_sip.commands import CORE_METHODS, UserAgentSettings
from carillon_sip.message import Headers, Request
from carillon_sip.outputs import SessionRefreshed
from carillon_sip.parser import parse_message
from carillon_sip.session_interval import LEAST, REFRESHERS, TimerOffer, agree, margin, read_timer, too_small
from carillon_sip.testing import SDP, Faults, Node, Pair, Stranger, Tokens, full_settings, make_full_pair, make_pair, request_text

pytestmark = pytest.mark.feature("M-3")


def headers(pair: Pair, start: bytes, name: str) -> list[str | None]:
    return [parse_message(data).headers.get(name) for _, _, data in pair.network.sent if data.startswith(start)]


def answering(node: Node, output: Output, now: float) -> None:
    if isinstance(output, InviteReceived):
        node.agent.answer(output.session, SDP, now=now)
    elif isinstance(output, SessionReinvited):
        node.agent.accept_reinvite(output.session, SDP, now=now)


def test_both_agree_and_the_caller_refreshes_by_update_for_hours() -> None:
    pair = make_full_pair()
    pair.bob.handler = answering
    mine = pair.invite()
    pair.network.run(7200.0)
    assert headers(pair, b"INVITE", "Session-Expires") == ["1800"]
    assert headers(pair, b"SIP/2.0 200", "Session-Expires")[0] == "1800;refresher=uac"
    assert headers(pair, b"SIP/2.0 200", "Require")[0] == "timer"
    updates = [at for at, _, data in pair.network.sent if data.startswith(b"UPDATE")]
    assert len(updates) == 7
    assert 899 < updates[0] < 902
    assert headers(pair, b"UPDATE", "Session-Expires")[0] == "1800;refresher=uac"
    assert [type(e) for _, e in pair.alice.events] == [SessionAnswered]
    assert {type(e) for _, e in pair.bob.events[2:]} == {SessionRefreshed}
    pair.alice.agent.bye(mine, now=pair.network.now)
    pair.assert_idle()


def test_a_callee_that_does_not_take_update_is_refreshed_by_reinvite_with_the_same_offer() -> None:
    bob = full_settings(user_agent="bob", methods=CORE_METHODS)
    pair = make_pair(alice=full_settings(user_agent="alice"), bob=bob)
    pair.bob.handler = answering
    pair.invite()
    pair.network.run(2000.0)
    offers = [parse_message(data).body for _, _, data in pair.network.sent if data.startswith(b"INVITE")]
    assert offers == [SDP, SDP, SDP]
    assert len(pair.bob.of_kind(SessionReinvited)) == 2
    assert not pair.alice.of_kind(ReinviteAnswered)
    assert not pair.alice.of_kind(SessionEnded)


def test_for_a_caller_without_timers_the_callee_refreshes() -> None:
    pair = make_pair(bob=full_settings(user_agent="bob"))
    pair.alice.handler, pair.bob.handler = answering, answering
    pair.invite()
    pair.network.run(1000.0)
    assert headers(pair, b"SIP/2.0 200", "Session-Expires")[0] == "1800;refresher=uas"
    assert headers(pair, b"SIP/2.0 200", "Require")[0] is None
    assert len(pair.alice.of_kind(SessionReinvited)) == 1


@pytest.mark.parametrize("dies", ["alice", "bob"])
def test_a_dead_phone_ends_the_call(dies: str) -> None:
    pair = make_full_pair()
    pair.bob.handler = answering
    pair.invite()
    pair.network.run(100.0)
    left = pair.bob if dies == "alice" else pair.alice
    gone = pair.alice if dies == "alice" else pair.bob
    del pair.network.nodes[gone.address]
    pair.network.run(1900.0)
    (ended,) = left.of_kind(SessionEnded)
    assert isinstance(ended, SessionEnded)
    assert ended.by == "timeout"
    assert ended.reason == ("session timer" if dies == "alice" else "408")
    if dies == "alice":
        at = next(at for at, output in left.events if output is ended)
        assert 1800 - 33 < at < 1800 - 31


def test_too_short_an_interval_is_422_and_asked_again_with_the_callees_minimum() -> None:
    pair = make_pair(alice=full_settings(session_expires=100), bob=full_settings(min_se=600))
    pair.bob.handler = answering
    pair.invite()
    pair.network.run(10.0)
    assert pair.on_wire()[:3] == ["INVITE", "422", "ACK"]
    assert headers(pair, b"SIP/2.0 422", "Min-SE") == ["600"]
    assert headers(pair, b"INVITE", "Session-Expires") == ["100", "600"]
    assert headers(pair, b"INVITE", "Min-SE") == ["90", "600"]
    assert [m.cseq.number for m in (parse_message(d) for _, _, d in pair.network.sent if d.startswith(b"INVITE"))] == [1, 2]
    assert len(pair.bob.of_kind(InviteReceived)) == 1
    assert pair.alice.of_kind(SessionAnswered)


def test_a_callee_that_always_says_422_is_given_up(full_stranger: Stranger) -> None:
    from carillon_sip import Invite, NameAddr

    stranger = full_stranger
    who = NameAddr.of("sip:x@192.0.2.9")
    stranger.agent.invite(Invite(stranger.flow, "sip:x@192.0.2.9", who, who, NameAddr.of("sip:bob@192.0.2.2"), SDP), now=0.0)
    stranger.collect()
    for least in (2000, 3000, 4000, 5000):
        invite = parse_message([m for m in stranger.sent if m.startswith(b"INVITE")][-1])
        lines = "".join(f"{name}: {invite.headers.get(name)}\r\n" for name in ("Via", "From", "Call-ID", "CSeq"))
        stranger.send(f"SIP/2.0 422 Small\r\n{lines}To: <sip:x@x>;tag=t\r\nMin-SE: {least}\r\nContent-Length: 0\r\n\r\n")
    assert len([m for m in stranger.sent if m.startswith(b"INVITE")]) == 3
    failed = stranger.last(SessionFailed)
    assert isinstance(failed, SessionFailed)
    assert failed.status == 422


@pytest.mark.parametrize(
    ("extra", "statuses"),
    [
        ("Supported: timer\r\nSession-Expires: 60\r\n", [422]),
        ("Session-Expires: 60\r\n", [100]),  # who does not support timers would not understand 422
        ("Supported: timer\r\nSession-Expires: soon\r\n", [400]),
        ("Supported: timer\r\nSession-Expires: 1800;refresher=me\r\n", [400]),
        ("Supported: timer\r\nx: 1800;refresher=uas\r\n", [100]),
    ],
)
def test_what_an_invite_may_ask(full_stranger: Stranger, extra: str, statuses: list[int]) -> None:
    assert full_stranger.statuses(full_stranger.send(request_text(extra=extra))) == statuses
    full_stranger.wait(700.0)
    assert full_stranger.agent.counts()[:3] == (0, 0, 0)


def test_off_by_setting_no_line_is_sent() -> None:
    pair = make_full_pair(session_expires=0)
    pair.bob.handler = answering
    pair.invite()
    pair.network.run(4000.0)
    assert headers(pair, b"INVITE", "Session-Expires") == [None]
    assert headers(pair, b"SIP/2.0 200", "Session-Expires") == [None]
    assert pair.on_wire() == ["INVITE", "100", "200", "ACK"]


def test_the_running_default_has_no_timer(pair: Pair) -> None:
    pair.bob.handler = answering
    pair.invite()
    pair.network.run(4000.0)
    assert pair.on_wire() == ["INVITE", "100", "200", "ACK"]
    assert UserAgentSettings().extensions == ()


def test_over_a_rough_network_calls_stay_up_for_a_day() -> None:
    pair = make_full_pair(4, Faults(loss=0.2, duplicate=0.1, delay_min=0.005, delay_max=0.4), session_expires=600)
    pair.alice.handler, pair.bob.handler = answering, answering
    for _ in range(5):
        pair.invite()
    pair.network.run(86_400.0)
    assert not pair.alice.of_kind(SessionEnded)
    assert not pair.bob.of_kind(SessionEnded)
    assert len(pair.bob.of_kind(SessionRefreshed)) > 1000


@pytest.mark.parametrize("supported", [False, True])
@pytest.mark.parametrize("refresher", ["", "uac", "uas"])
def test_who_refreshes(supported: bool, refresher: str) -> None:
    """Table 2 of section 9; where it leaves a choice the caller does it."""
    assert REFRESHERS[supported, refresher] == ("uac" if supported and refresher != "uas" else "uas")


def test_what_is_agreed() -> None:
    assert agree(TimerOffer(3600, "", LEAST, True), 1800, 90).interval == 1800
    assert agree(TimerOffer(600, "", LEAST, True), 1800, 90).interval == 600
    assert agree(TimerOffer(None, "", 2400, True), 1800, 90).interval == 2400
    assert agree(TimerOffer(60, "", LEAST, False), 1800, 90).interval == 90
    assert (margin(1800), margin(90)) == (32.0, 30.0)
    assert too_small(TimerOffer(89, "", LEAST, True), 90)
    assert not too_small(TimerOffer(90, "", LEAST, True), 90)


def test_compact_form_and_parameters_are_read() -> None:
    request = Request("INVITE", "sip:x", Headers(["x: 4000 ; refresher=UAS", "Min-SE: 120;x=y", "k: a, timer"]))
    assert read_timer(request) == TimerOffer(4000, "uas", 120, True)


def test_an_early_update_leaves_the_timer_to_the_answer() -> None:
    pair = make_full_pair()
    mine = pair.invite(headers=(("Require", "100rel"),))
    theirs = pair.rings()
    pair.bob.agent.ring(theirs, 183, body=SDP, now=pair.network.now)
    pair.network.run(1.0)
    pair.alice.agent.update(mine, now=1.0)
    pair.network.run(2.0)
    assert headers(pair, b"UPDATE", "Session-Expires") == [None]
    assert pair.alice.agent.session_timer(mine) is None
    pair.bob.agent.answer(theirs, b"", now=2.0)
    pair.network.run(3.0)
    assert (pair.alice.agent.session_timer(mine), pair.bob.agent.session_timer(theirs)) == ((1800, True), (1800, False))


def test_a_timer_goes_on_after_a_restart_and_refreshes_by_update() -> None:
    pair = make_full_pair()
    pair.bob.handler = answering
    mine = pair.invite()
    pair.network.run(100.0)
    kept = pair.alice.agent.save(mine)
    assert kept is not None
    pair.alice.agent = UserAgent(full_settings(user_agent="alice"), Tokens("alice-again"))
    pair.alice.agent.resume(kept._replace(local_body=b""), now=100.0)
    pair.network.run(1100.0)
    assert len(pair.bob.of_kind(SessionRefreshed)) == 1
    assert not pair.bob.of_kind(SessionEnded)


def test_a_refresh_that_is_422_asks_for_more_the_next_time(full_stranger: Stranger) -> None:
    stranger = full_stranger
    stranger.send(request_text(extra="Allow: UPDATE\r\nSupported: timer\r\nSession-Expires: 100;refresher=uas\r\n"))
    event = stranger.last(InviteReceived)
    assert isinstance(event, InviteReceived)
    stranger.agent.answer(event.session, SDP, now=0.0)
    stranger.send(request_text("ACK", branch="z9hG4bKack", to_tag=event.session))
    (first,) = [parse_message(m) for m in stranger.wait(50.1) if m.startswith(b"UPDATE")]
    lines = "".join(f"{name}: {first.headers.get(name)}\r\n" for name in ("Via", "From", "To", "Call-ID", "CSeq"))
    stranger.send(f"SIP/2.0 422 Small\r\n{lines}Min-SE: 300\r\nContent-Length: 0\r\n\r\n")
    (second,) = [parse_message(m) for m in stranger.wait(5.2) if m.startswith(b"UPDATE")]
    assert second.headers.get("Session-Expires") == "300;refresher=uac"
