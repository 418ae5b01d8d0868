"""What a call remembers is read back as it was written, in every phase that a call can be in."""

import marshal
from datetime import UTC, datetime
from typing import Any

import pytest

from carillon_media.domain import inputs
from carillon_media.domain.media import LegMedia
from carillon_media.domain.plain import Writer, read
from carillon_media.domain.snapshots import SavedCall, SavedLeg
from carillon_media.domain.state import CallState
from carillon_media.domain.steps import Beep, Gather, GatherOutcome, Play, Record, Ring, RingTarget, Speech, TrunkTarget
from carillon_media.handlers.snapshots import Snapshots, writer
from carillon_rtp.values import AudioCodec, Remote, SrtpKeys
from carillon_sip import Flow
from carillon_sip.offer_answer import make_offer
from carillon_sip.outgoing import OutgoingRequest
from carillon_sip.peer import Peer
from carillon_sip.resuming import SavedBranch, SavedDialog, SavedProvisional, SavedSession
from carillon_sip.session import SessionState

pytestmark = pytest.mark.feature("M-13")
RING = Ring((RingTarget("bob", "bob"), RingTarget("out", TrunkTarget("carrier", "+41791234567"), 5000)), "100", "Anne")
FLOW = Flow("udp", ("127.0.0.1", 5060), ("192.0.2.7", 5062))


def same(state: CallState) -> None:
    """Written and read, and written again: the same."""
    saved = SavedCall(state, "boot", 68, ("PCMA",), datetime(2026, 3, 2, tzinfo=UTC))
    data = Writer().write(saved)
    again = read(SavedCall, data)
    assert Writer().write(again) == data
    for name in ("facts", "limits", "seq", "legs", "anchor", "tapes", "timers", "asked", "started", "answered", "cursor", "question"):
        assert getattr(again.state, name) == getattr(state, name), name
    assert type(again.state.phase) is type(state.phase)
    assert again.answered_at == saved.answered_at


def test_every_phase_of_a_call(make_bench: Any) -> None:
    for step in (
        None,
        RING,
        Play((Speech("Bonjour", "fr"), Beep())),
        Gather((Speech("Code", "fr"),), 4, "#", secret=True),
        Record(False, 60_000, 2000, 500, "#", {"mailbox_id": "main"}),
    ):
        bench = make_bench().arrive()
        same(bench.call.state)
        if step is not None:
            bench.decide(step)
            same(bench.call.state)
    bench = make_bench().arrive().decide(RING).feed(inputs.LegProgressed("b1", 180))
    same(bench.call.state)
    bench.feed(inputs.LegAccepted("b1", "PCMA"))
    same(bench.call.state)
    bench.feed(inputs.RecordRequested("olga", {"why": "training"}, 60_000))
    same(bench.call.state)
    bench.feed(inputs.LegLeft("a"))
    same(bench.call.state)  # closing: an event waits in it


def test_a_call_that_was_kept_goes_on_as_the_one_that_was_not(make_bench: Any) -> None:
    one = make_bench().arrive().decide(RING)
    other = make_bench().arrive().decide(RING)
    other.call.state = read(SavedCall, Writer().write(SavedCall(other.call.state, "boot"))).state
    for given in (
        inputs.LegProgressed("b1", 183, True),
        inputs.LegAccepted("b1", "PCMA"),
        inputs.LegReoffered("b1", True),
        inputs.LegLeft("a"),
    ):
        one.feed(given)
        other.feed(given)
        assert other.last == one.last


def leg(**changes: Any) -> SavedLeg:
    dialog = SavedDialog("c@x", "ours", "theirs", "<sip:a@x>;tag=ours", "<sip:b@y>;tag=theirs", "sip:b@192.0.2.7", ("<sip:p;lr>",), 7, 3)
    session = SavedSession(
        "ours",
        SessionState.CALLING,
        FLOW,
        "<sip:carillon@127.0.0.1>",
        True,
        dialog=dialog,
        request=b"INVITE \xff",
        invite=OutgoingRequest("INVITE", "sip:b@y", FLOW, "z9hG4bK1", "<sip:a@x>", "<sip:b@y>", "c@x", 1),
        branches=(SavedBranch(dialog, 4, True, ""),),
        reliable=SavedProvisional(9, 183, b"v=0", b"SIP/2.0 183"),
        peer=Peer(frozenset({"UPDATE", "INVITE"}), frozenset({"timer"})),
        timer=(1800, True),
    )
    keys = SrtpKeys("AES_CM_128_HMAC_SHA1_80", bytes(30), bytes(range(30)), 1.5)
    remote = Remote("192.0.2.7", 4000, AudioCodec("OPUS", 107, 48000), 101, crypto=keys)
    media = LegMedia("127.0.0.1", 20000, 5, 2, make_offer("127.0.0.1", 20000, session_id=5), remote, "OPUS", "answered", b"s" * 32)
    return SavedLeg(**{"leg_id": "b1", "plane": "c1/b1", "session": session, "media": media, "told": True, **changes})


def test_a_leg_with_all_that_it_can_have() -> None:
    assert read(SavedLeg, Writer().write(leg())) == leg()
    assert read(SavedLeg, Writer().write(leg(media=None))) == leg(media=None)


def test_a_part_that_lasts_is_written_as_it_is_now(make_bench: Any) -> None:
    state, its, media = make_bench().arrive().decide(RING).call.state, writer(), leg().media
    assert media is not None
    for saved in (leg(), leg(media=media), leg(media=media.offering()), leg(media=media), leg(media=None)):
        assert its.write(saved) == Writer().write(saved)
        assert its.write(SavedCall(state, "boot")) == Writer().write(SavedCall(state, "boot"))
        state.legs["a"].held = not state.legs["a"].held


def test_snapshots_are_sealed_for_their_call() -> None:
    snapshots = Snapshots(b"k" * 40)
    entry = snapshots.leg("c1", leg(), writer())
    assert b"z9hG4bK1" not in entry.data
    assert snapshots.open("c1", entry.data) == leg()
    for call_id, data, key in (("c2", entry.data, b"k" * 40), ("c1", entry.data[:-1] + b"x", b"k" * 40), ("c1", entry.data, b"z" * 40)):
        with pytest.raises(ValueError):
            Snapshots(key).open(call_id, data)
    assert snapshots.open("c1", b'{"recording_id": "r"}') is None


def test_what_is_of_another_version_is_refused(make_bench: Any) -> None:
    version, call = marshal.loads(Writer().write(SavedCall(make_bench().arrive().call.state, "boot")))
    assert read(SavedCall, marshal.dumps((version, call))).boot == "boot"
    whole = call["values"]
    others: list[Any] = [
        [],
        {},
        {None: "SavedCall"},
        {"$": "SavedCall", "values": whole},
        {None: "Nobody", "values": whole},
        {None: "SavedCall", "values": whole[:-1]},
        {None: "SavedCall", "values": [*whole, 1]},
        {None: "SavedCall", "values": [7, *whole[1:]]},
    ]
    for other in others:
        with pytest.raises(ValueError):
            read(SavedCall, marshal.dumps((version, other)))
    for data in (marshal.dumps((version + 1, call)), marshal.dumps(call), b"", b"no"):
        with pytest.raises(ValueError):
            read(SavedCall, data)


def test_a_mapping_may_have_any_text_as_a_key(make_bench: Any) -> None:
    """Labels and arguments are whatever somebody has sent."""
    labels = {"$": "SavedCall", "values": "data", "": "x", "None": "y"}
    bench = make_bench().arrive().decide(RING).feed(inputs.LegAccepted("b1", "PCMA"), inputs.RecordRequested("olga", labels, 60_000))
    same(bench.call.state)
    tapes = read(SavedCall, Writer().write(SavedCall(bench.call.state, "boot"))).state.tapes.values()
    assert tapes
    assert all(labels.items() <= tape.labels.items() for tape in tapes)


def test_a_text_of_a_class_of_its_own_is_a_text() -> None:
    class Shout(str):
        __slots__ = ()

    own = leg(plane=Shout("c1/b1"), connected=(Shout("102"), "Bob"))
    assert read(SavedLeg, Writer().write(own)) == own


def test_what_has_no_plain_form_is_not_written() -> None:
    with pytest.raises(TypeError):
        Writer().write(GatherOutcome(object(), False))  # type: ignore[arg-type]
