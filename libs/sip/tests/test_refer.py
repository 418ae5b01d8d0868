"""REFER both ways (RFC 3515, 3892, 4488), its NOTIFYs, and INVITE with Replaces (RFC 3891)."""

import pytest

from carillon_sip import InviteReceived, NameAddr, Output, SessionAnswered, SessionEnded, SessionProgress
from carillon_sip.outputs import ReferAnswered, ReferProgress, ReferReceived
from carillon_sip.parser import parse_message
from carillon_sip.refer import SIPFRAG, Refer, read_sipfrag, sipfrag
from carillon_sip.replaces import Replaces, with_replaces
from carillon_sip.session import SessionState
from carillon_sip.testing import SDP, Faults, Node, Pair, Stranger, make_full_pair, request_text

pytestmark = pytest.mark.feature("M-4")
CAROL = NameAddr.of("sip:carol@example.com")
ALICE = NameAddr.of("sip:alice@example.com")
BOB = NameAddr.of("sip:bob@example.com")


def referred(pair: Pair) -> ReferReceived:
    event = pair.bob.of_kind(ReferReceived)[-1]
    assert isinstance(event, ReferReceived)
    return event


def progress(node: Node) -> list[tuple[int, bool]]:
    return [(e.status, e.ended) for e in node.of_kind(ReferProgress) if isinstance(e, ReferProgress)]


def outside(pair: Pair, **changes: object) -> str:
    values: dict[str, object] = {
        "refer_to": CAROL,
        "flow": pair.network.flow(pair.alice, pair.bob),
        "request_uri": "sip:bob@192.0.2.2",
        "from_": ALICE,
        "to": BOB,
        "contact": NameAddr.of("sip:alice@192.0.2.1:5060"),
    }
    return pair.alice.agent.refer(Refer(**{**values, **changes}), now=pair.network.now)  # type: ignore[arg-type]


def test_blind_transfer_tells_how_it_goes(full_pair: Pair) -> None:
    pair = full_pair
    mine, theirs = pair.established()
    asked = pair.alice.agent.refer(Refer(CAROL, session=mine, referred_by=ALICE), now=pair.network.now)
    pair.network.run(1.0)
    event = referred(pair)
    assert (event.session, str(event.refer_to), str(event.referred_by)) == (theirs, str(CAROL), str(ALICE))
    assert (event.replaces, event.subscribes) == (None, True)
    agent = pair.bob.agent
    agent.accept_refer(event.refer, now=1.0)
    pair.network.run(2.0)
    agent.notify_refer(event.refer, 180, now=2.0)
    pair.network.run(3.0)
    pair.alice.agent.bye(mine, now=3.0)  # the call may end before its transfer does
    pair.network.run(4.0)
    agent.notify_refer(event.refer, 200, now=4.0)
    agent.notify_refer(event.refer, 200, now=4.0)  # too late, ignored
    pair.network.run(5.0)
    assert pair.alice.of_kind(ReferAnswered) == [ReferAnswered(asked, 202, True)]
    assert progress(pair.alice) == [(100, False), (180, False), (200, True)]
    notifies = [parse_message(d) for _, _, d in pair.network.sent if d.startswith(b"NOTIFY")]
    assert [m.headers.get("Event") for m in notifies] == ["refer;id=2"] * 3
    assert notifies[0].headers.get("Subscription-State") == "active;expires=180"
    assert notifies[-1].headers.get("Subscription-State") == "terminated;reason=noresource"
    assert notifies[-1].headers.get("Content-Type") == SIPFRAG
    pair.assert_idle()
    assert pair.bob.agent.counts().subscriptions == 0


def test_outside_any_call(full_pair: Pair) -> None:
    pair = full_pair
    asked = outside(pair)
    pair.network.run(1.0)
    event = referred(pair)
    assert event.session is None
    pair.bob.agent.accept_refer(event.refer, now=1.0)
    pair.bob.agent.notify_refer(event.refer, 503, now=1.0)
    pair.network.run(2.0)
    assert pair.alice.of_kind(ReferAnswered) == [ReferAnswered(asked, 202, True)]
    assert progress(pair.alice) == [(100, False), (503, True)]
    pair.assert_idle()


def test_a_declined_refer_ends_at_once(full_pair: Pair) -> None:
    asked = outside(full_pair)
    full_pair.network.run(1.0)
    full_pair.bob.agent.decline_refer(referred(full_pair).refer, now=1.0)
    full_pair.network.run(2.0)
    assert full_pair.alice.of_kind(ReferAnswered) == [ReferAnswered(asked, 603, False)]
    full_pair.assert_idle()


def test_without_a_subscription_nothing_follows_the_202(full_pair: Pair) -> None:
    asked = outside(full_pair, subscribe=False)
    full_pair.network.run(0.2)
    event = referred(full_pair)
    assert not event.subscribes
    full_pair.bob.agent.accept_refer(event.refer, now=1.0)
    full_pair.bob.agent.notify_refer(event.refer, 200, now=1.0)
    full_pair.network.run(2.0)
    assert full_pair.alice.of_kind(ReferAnswered) == [ReferAnswered(asked, 202, False)]
    assert full_pair.on_wire() == ["REFER", "202"]
    full_pair.assert_idle()


def test_a_refer_nobody_answers_is_500_and_one_nobody_hears_408(full_pair: Pair) -> None:
    first = outside(full_pair)
    full_pair.network.run(20.0)
    assert full_pair.alice.of_kind(ReferAnswered) == [ReferAnswered(first, 500, False)]
    del full_pair.network.nodes[full_pair.bob.address]
    second = outside(full_pair)
    full_pair.network.run(60.0)
    assert full_pair.alice.of_kind(ReferAnswered)[1] == ReferAnswered(second, 408, False)


def test_progress_that_never_comes_ends_by_timeout(full_pair: Pair) -> None:
    full_pair.network.passes = lambda flow, data: not data.startswith(b"NOTIFY")
    asked = outside(full_pair)
    full_pair.network.run(1.0)
    full_pair.bob.agent.accept_refer(referred(full_pair).refer, now=1.0)
    full_pair.network.run(100.0)
    assert full_pair.alice.of_kind(ReferProgress) == [ReferProgress(asked, 408, "timeout", True)]
    full_pair.assert_idle()


def test_progress_that_is_never_final_expires(full_pair: Pair) -> None:
    outside(full_pair)
    full_pair.network.run(1.0)
    full_pair.bob.agent.accept_refer(referred(full_pair).refer, now=1.0)
    full_pair.network.run(300.0)
    assert progress(full_pair.alice) == [(100, False), (100, True)]
    full_pair.assert_idle()


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ("", 400),
        ("Refer-To: <sip:a@x>\r\nRefer-To: <sip:b@x>\r\n", 400),
        ("Refer-To: <sip:a@x>, <sip:b@x>\r\n", 400),
        ("Refer-To: <sip:a@x?Replaces=nonsense>\r\n", 400),
        ("Refer-To: <sip:a@x>\r\nReferred-By: \r\n", 400),
    ],
)
def test_what_is_no_refer_is_400(full_stranger: Stranger, extra: str, status: int) -> None:
    (reply,) = full_stranger.send(request_text("REFER", extra=extra if "By" not in extra else extra.replace("By: ", "By: <x")))
    assert full_stranger.statuses([reply]) == [status]
    assert not full_stranger.events


def test_a_notify_that_fits_no_refer_is_481(full_stranger: Stranger) -> None:
    text = request_text("NOTIFY", to_tag="nobody", extra="Event: refer\r\nSubscription-State: active\r\n")
    assert full_stranger.statuses(full_stranger.send(text)) == [481]


def test_sipfrags() -> None:
    assert sipfrag(180) == b"SIP/2.0 180 Ringing\r\n"
    assert read_sipfrag(b"SIP/2.0 486 Busy Here\r\nServer: x\r\n") == (486, "Busy Here")
    assert read_sipfrag(b"SIP/2.0 200") == (200, "")
    assert read_sipfrag(b"hello") == (0, "")
    with pytest.raises(ValueError, match="line break"):
        sipfrag(200, "a\r\nb")


def test_attended_transfer_names_the_call_to_replace(full_pair: Pair) -> None:
    pair = full_pair
    mine, theirs = pair.established()
    dialog = pair.bob.agent.dialog(theirs)
    assert dialog is not None
    replaces = Replaces(dialog.call_id, dialog.local_tag, dialog.remote_tag)
    pair.alice.agent.refer(Refer(with_replaces(CAROL, replaces), session=mine), now=pair.network.now)
    pair.network.run(1.0)
    assert referred(pair).replaces == replaces
    pair.invite(headers=(("Replaces", str(replaces)),))
    pair.network.run(2.0)
    event = pair.bob.of_kind(InviteReceived)[-1]
    assert isinstance(event, InviteReceived)
    assert event.replaces == theirs
    pair.bob.agent.answer(event.session, SDP, now=2.0)
    pair.bob.agent.bye(theirs, now=2.0)
    pair.network.run(3.0)
    assert pair.bob.of_kind(SessionEnded) == [SessionEnded(theirs, "local", "")]


def replacing(pair: Pair, value: str) -> list[str]:
    """Alice's INVITE with this Replaces: what comes back."""
    before = len(pair.network.sent)
    pair.invite(headers=(("Replaces", value),))
    pair.network.run(pair.network.now + 0.3)
    return [w for w in pair.on_wire()[before:] if w.isdigit() and w != "100"]


def test_replaces_is_refused_as_the_rfc_says(full_pair: Pair) -> None:
    pair = full_pair
    _, theirs = pair.established()
    dialog = pair.bob.agent.dialog(theirs)
    assert dialog is not None
    good = f"{dialog.call_id};to-tag={dialog.local_tag};from-tag={dialog.remote_tag}"
    assert replacing(pair, "x;to-tag=a") == ["400"]
    assert replacing(pair, f"{good};to-tag=again") == ["400"]
    assert replacing(pair, f"other;to-tag={dialog.local_tag};from-tag={dialog.remote_tag}") == ["481"]
    assert replacing(pair, f"{dialog.call_id};to-tag={dialog.local_tag};from-tag=other") == ["481"]
    assert replacing(pair, f"{good};early-only") == ["486"]
    assert not pair.bob.of_kind(InviteReceived)
    assert replacing(pair, good) == []
    assert len(pair.bob.of_kind(InviteReceived)) == 1


@pytest.mark.feature("M-5")
def test_a_ringing_call_is_picked_up_by_what_its_watchers_know(full_pair: Pair) -> None:
    """Alice rings Bob; a third party sends Alice an INVITE whose Replaces is Bob's view of that dialog, or Alice's own."""
    pair = full_pair
    mine = pair.invite()
    theirs = pair.rings()
    pair.bob.agent.ring(theirs, now=pair.network.now)
    pair.network.run(1.0)
    (rings,) = pair.alice.of_kind(SessionProgress)
    assert isinstance(rings, SessionProgress)
    call_id = rings.response.call_id
    for number, tags in enumerate((f"to-tag={theirs};from-tag={mine}", f"to-tag={mine};from-tag={theirs}")):
        text = request_text(branch=f"z9hG4bKp{number}", call_id=f"pick-{number}", extra=f"Replaces: {call_id};{tags};early-only\r\n")
        pair.alice.agent.receive(text.encode(), pair.network.flow(pair.alice, pair.bob), 1.0)
        pair.network.settle()
        event = pair.alice.of_kind(InviteReceived)[-1]
        assert isinstance(event, InviteReceived)
        assert event.replaces == mine
    callee = request_text(branch="z9hG4bKq", call_id="pick-q", extra=f"Replaces: {call_id};to-tag={theirs};from-tag={mine}\r\n")
    pair.bob.agent.receive(callee.encode(), pair.network.flow(pair.bob, pair.alice), 1.0)
    pair.network.settle()
    assert len(pair.bob.of_kind(InviteReceived)) == 1  # 481: an early dialog that Bob did not initiate


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize("early_only", [False, True])
def test_what_replaces_finds_in_every_state(full_pair: Pair, state: SessionState, early_only: bool) -> None:
    from carillon_sip.message import Headers, Request
    from carillon_sip.replacing import replaced

    mine, theirs = full_pair.established()
    sessions = full_pair.alice.agent._context.sessions
    session = sessions[mine]
    assert session.dialog is not None
    session.state = state
    value = str(Replaces(session.dialog.call_id, mine, theirs, early_only))
    found = replaced(Request("INVITE", "sip:x", Headers([f"Replaces: {value}"])), sessions)
    confirmed = state in (SessionState.ANSWERED, SessionState.LEAVING, SessionState.OFFERED, SessionState.UP)
    if confirmed:
        assert found == (486 if early_only else session)
    elif state is SessionState.CALLING:
        assert found is session
    else:
        assert found == 481


@pytest.mark.parametrize("text", ["a@b;to-tag=1;from-tag=2", "a@b;to-tag=1;from-tag=2;early-only"])
def test_replaces_values_are_read_and_written(text: str) -> None:
    assert str(Replaces.parse(text)) == text


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_over_a_rough_network_every_refer_ends_once(seed: int) -> None:
    pair = make_full_pair(seed, Faults(loss=0.15, duplicate=0.1, delay_min=0.005, delay_max=0.4))

    def bob(node: Node, output: Output, now: float) -> None:
        if isinstance(output, ReferReceived):
            node.agent.accept_refer(output.refer, now=now)
            node.agent.notify_refer(output.refer, 180, now=now)
            node.agent.notify_refer(output.refer, 200, now=now)
        elif isinstance(output, InviteReceived):
            node.agent.answer(output.session, SDP, now=now)

    def alice(node: Node, output: Output, now: float) -> None:
        if isinstance(output, SessionAnswered):
            names.append(node.agent.refer(Refer(CAROL, session=output.session), now=now))
            node.agent.bye(output.session, now=now)

    names: list[str] = []
    pair.alice.handler, pair.bob.handler = alice, bob
    for number in range(60):
        if number % 2:
            names.append(outside(pair))
        else:
            pair.invite()
        pair.network.run(pair.network.now + 0.3)
    pair.assert_idle()
    ended = [e.refer for e in pair.alice.of_kind(ReferProgress) if isinstance(e, ReferProgress) and e.ended]
    ended += [e.refer for e in pair.alice.of_kind(ReferAnswered) if isinstance(e, ReferAnswered) and not e.subscribed]
    assert sorted(ended) == sorted(names)
    assert pair.bob.agent.counts().subscriptions == 0
