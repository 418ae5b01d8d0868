"""Many calls over a network that loses, doubles and reorders: every call ends on both sides, and nothing is left behind."""

import pytest

from carillon_sip import (
    InviteReceived,
    Output,
    SessionAcked,
    SessionAnswered,
    SessionCancelled,
    SessionEnded,
    SessionFailed,
    SessionProgress,
    SessionReinvited,
)
from carillon_sip.testing import SDP, Faults, Node, Pair, make_full_pair, make_pair

ROUGH = Faults(loss=0.15, duplicate=0.1, delay_min=0.005, delay_max=0.4)
LAST = (SessionFailed, SessionEnded, SessionCancelled)


def answers(node: Node, output: Output, now: float) -> None:
    """Bob rings and answers three of four calls, refuses one; takes re-INVITEs; hangs up every other call."""
    agent = node.agent
    if isinstance(output, InviteReceived):
        number = int(output.request.call_id.rpartition("-")[2])
        if number % 4 == 3:
            agent.reject(output.session, 486, now=now)
        else:
            agent.ring(output.session, now=now)
            agent.answer(output.session, SDP, now=now)
    elif isinstance(output, SessionReinvited):
        agent.accept_reinvite(output.session, SDP, now=now)
    elif isinstance(output, SessionAcked) and len(node.events) % 2:
        agent.bye(output.session, now=now)


def calls(node: Node, output: Output, now: float) -> None:
    """Alice cancels some calls at the first ringing, re-INVITEs and hangs up what is answered."""
    agent = node.agent
    if isinstance(output, SessionProgress) and len(node.events) % 5 == 0:
        agent.cancel(output.session, now=now)
    elif isinstance(output, SessionAnswered):
        if len(node.events) % 3 == 0:
            agent.reinvite(output.session, SDP, now=now)
        agent.bye(output.session, now=now)


def rough_run(seed: int, count: int, faults: Faults = ROUGH) -> tuple[Pair, list[str]]:
    pair = make_pair(seed, faults)
    pair.alice.handler, pair.bob.handler = calls, answers
    sessions = []
    for number in range(count):
        sessions.append(pair.invite(call_id=f"call-{number}"))
        if number % 7 == 6:
            pair.alice.agent.cancel(sessions[-1], now=pair.network.now)
        pair.network.run(pair.network.now + 0.3)
    return pair, sessions


@pytest.mark.feature("M-1")
@pytest.mark.feature("M-3")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_hundreds_of_calls_over_a_rough_network_all_end_once_and_leave_nothing(seed: int) -> None:
    pair, sessions = rough_run(seed, 150)
    pair.assert_idle()
    for node, expected in ((pair.alice, set(sessions)), (pair.bob, {e.session for e in pair.bob.of_kind(InviteReceived)})):  # type: ignore[union-attr]
        ended = [e.session for _, e in node.events if isinstance(e, LAST)]
        refused = {e.session for e in pair.bob.of_kind(InviteReceived) if int(e.request.call_id[5:]) % 4 == 3}  # type: ignore[union-attr]
        assert len(ended) == len(set(ended)), node.name
        assert expected - refused <= set(ended) <= expected, node.name
    answered = len(pair.alice.of_kind(SessionAnswered))
    assert answered > 50, "the run must have real calls in it"


@pytest.mark.slow
@pytest.mark.feature("M-3")
@pytest.mark.parametrize("seed", range(10))
def test_ten_thousand_calls_over_a_rough_network_all_end_once_and_leave_nothing(seed: int) -> None:
    """Ten runs of a thousand, half of the agents with every extension; nothing is left on either side at the end of each."""
    pair = make_full_pair(seed, ROUGH) if seed % 2 else make_pair(seed, ROUGH)
    pair.alice.handler, pair.bob.handler = calls, answers
    sessions = []
    for number in range(1000):
        headers = (("Require", "100rel"),) if seed % 2 and number % 3 == 0 else ()
        sessions.append(pair.invite(call_id=f"call-{number}", headers=headers))
        if number % 7 == 6:
            pair.alice.agent.cancel(sessions[-1], now=pair.network.now)
        pair.network.run(pair.network.now + 0.3)
    pair.assert_idle()
    ended = [e.session for _, e in pair.alice.events if isinstance(e, LAST)]
    assert sorted(ended) == sorted(sessions)
    assert len(pair.alice.of_kind(SessionAnswered)) > 400


def test_a_run_of_one_seed_is_always_the_same() -> None:
    first, second = (rough_run(5, 30)[0].network.sent for _ in range(2))
    assert first == second
    assert first != rough_run(6, 30)[0].network.sent


def test_a_good_network_loses_no_call() -> None:
    pair, sessions = rough_run(1, 40, Faults())
    pair.assert_idle()
    failed = {e.session: e.status for e in pair.alice.of_kind(SessionFailed)}  # type: ignore[union-attr]
    assert set(failed.values()) <= {486, 487}
    assert len(failed) + len(pair.alice.of_kind(SessionEnded)) == len(sessions)


def test_with_every_extension_the_same_calls_all_end_once_and_leave_nothing() -> None:
    pair = make_full_pair(7, ROUGH)
    pair.alice.handler, pair.bob.handler = calls, answers
    sessions = []
    for number in range(150):
        headers = (("Require", "100rel"),) if number % 3 == 0 else ()
        sessions.append(pair.invite(call_id=f"call-{number}", headers=headers))
        if number % 7 == 6:
            pair.alice.agent.cancel(sessions[-1], now=pair.network.now)
        pair.network.run(pair.network.now + 0.3)
    pair.assert_idle()
    ended = [e.session for _, e in pair.alice.events if isinstance(e, LAST)]
    assert sorted(ended) == sorted(sessions)
    assert len(pair.alice.of_kind(SessionAnswered)) > 50
