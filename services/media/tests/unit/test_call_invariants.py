"""Whatever comes in whatever order: no input raises, and a call that is ended is ended whole."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carillon_media.domain import inputs, outputs
from carillon_media.domain.steps import (
    Beep,
    Delegate,
    Gather,
    HangUp,
    Page,
    Park,
    PickUp,
    Play,
    Record,
    RecordingPlan,
    Ring,
    RingTarget,
    Speech,
    Supervise,
    TrunkTarget,
    Wait,
)

LEGS = st.sampled_from(["a", "a2", "b1", "b2", "b3", "b4", "b9"])
TARGETS = st.sampled_from(["alice", "bob", "carol", "nobody", TrunkTarget("carrier", "+41791234567"), TrunkTarget("gone", "+4179")])
STEPS = st.one_of(
    st.builds(
        lambda whom, times, ask, music, recording: Ring(
            tuple(RingTarget(f"t{n}", w, min(t), max(t)) for n, (w, t) in enumerate(zip(whom, times, strict=False))),
            ask_after_answer=ask,
            music=music,
            recording=recording,
        ),
        st.lists(TARGETS, max_size=4),
        st.lists(st.tuples(st.integers(0, 30_000), st.integers(0, 60_000)), min_size=4, max_size=4),
        st.booleans(),
        st.booleans(),
        st.sampled_from([None, RecordingPlan(), RecordingPlan(never=True), RecordingPlan(on_demand=True, key="1", announcement=(Beep(),))]),
    ),
    st.builds(Wait, st.sampled_from([(), (Beep(),)]), st.sampled_from(["", "1*"]), st.integers(0, 60_000), st.booleans()),
    st.just(Play((Beep(),))),
    st.builds(Gather, st.sampled_from([(), (Beep(),)]), st.integers(0, 4), st.sampled_from(["", "#"]), secret=st.booleans()),
    st.builds(Record, st.booleans(), st.integers(1, 60_000), st.integers(0, 5000), st.integers(0, 3000)),
    st.just(Delegate("voicemail", {"mailbox_id": "m"})),
    st.builds(Park, st.just(("701", "702")), st.integers(5000, 60_000), st.sampled_from([(), (Speech("at {slot}", "en"),)])),
    st.builds(PickUp, st.sampled_from([(), ("bob",)]), st.sampled_from(["", "701"])),
    st.builds(Supervise, st.just("bob"), st.sampled_from(["listen", "barge"]), st.just(("listen", "whisper"))),
    st.builds(Page, st.lists(st.sampled_from(["alice", "carol", "nobody"]), max_size=3).map(tuple)),
    st.builds(HangUp, st.sampled_from([0, 1, 16, 17, 999]), st.sampled_from([0, 200, 486, 503, 900])),
)
MOVES = st.one_of(
    st.tuples(st.just("decide"), STEPS),
    st.tuples(st.just("undecided"), st.one_of(st.none(), STEPS)),
    st.tuples(st.just("wait"), st.floats(0, 90)),
    st.tuples(st.just("play ended"), st.integers(0, 9000)),
    st.tuples(
        st.just("recorded"),
        st.tuples(st.sampled_from(["", "sha256-aa"]), st.integers(0, 9000), st.sampled_from(["silence", "stopped", "node_failure"])),
    ),
    st.tuples(
        st.just("feed"),
        st.one_of(
            st.builds(inputs.LegProgressed, LEGS, st.sampled_from([180, 183]), st.booleans()),
            st.builds(inputs.LegAccepted, LEGS),
            st.builds(inputs.LegRefused, LEGS, st.sampled_from([404, 408, 480, 486, 487, 503, 603, 302]), st.booleans()),
            st.builds(inputs.LegLeft, LEGS, st.sampled_from(["bye", "timeout", "media"])),
            st.builds(inputs.LegReoffered, LEGS, st.booleans()),
            st.builds(inputs.DigitPressed, LEGS, st.sampled_from("0123456789*#")),
            st.just(inputs.CallerCancelled()),
            st.builds(inputs.Signalled, st.sampled_from(["wait-1", "wait-2", "wait-5"])),
            st.just(inputs.MediaLost()),
            st.just(inputs.MediaRestored()),
            st.builds(inputs.LegDeflected, LEGS, st.just(302), st.just("103")),
            st.builds(inputs.LegRefers, LEGS, st.just("103")),
            st.builds(inputs.LegHandedOver, LEGS, st.just("c2")),
            st.builds(inputs.LegAdopted, LEGS, st.just("h"), st.just("carol"), st.just("103"), st.just("PCMA"), st.just("c2")),
            st.builds(inputs.PickedUp, LEGS, st.just("h"), st.just("carol"), st.just("103"), st.just("PCMA")),
            st.builds(inputs.PickedUp, st.just(""), st.just("h"), st.just("carol"), st.just("103"), st.just("PCMA"), st.just("c2")),
            st.just(inputs.TookOver("c2", "retrieved")),
            st.just(inputs.NothingTaken()),
            st.just(inputs.TalkFound("c2", "b1")),
            st.just(inputs.TalkFound()),
            st.just(inputs.TalkEnded()),
            st.builds(inputs.Supervised, LEGS, st.just("c3"), st.just("eve"), st.just("listen")),
            st.builds(inputs.AnswerRequested, st.just("admin"), LEGS),
            st.builds(inputs.ParkRequested, st.just("admin"), LEGS, st.just("*7")),
            st.builds(inputs.OpenDoorRequested, st.just("admin"), LEGS, st.just("12#")),
            st.just(inputs.HangUpRequested("admin", "normal_clearing")),
            st.builds(inputs.HoldRequested, st.just("admin"), LEGS, st.booleans()),
            st.builds(inputs.TransferRequested, st.just("admin"), LEGS, st.just("103")),
            st.builds(inputs.DigitsRequested, st.just("admin"), LEGS, st.just("12")),
            st.builds(inputs.PlayRequested, st.just("admin"), st.one_of(LEGS, st.just("")), st.just((Beep(),))),
            st.just(inputs.RecordRequested("admin", {"case": "7"}, 60_000)),
            st.just(inputs.StopRecordRequested("admin")),
            st.builds(inputs.PauseRecordRequested, st.just("admin"), st.booleans()),
            st.just(inputs.Stopped("temporary_failure")),
            st.just(inputs.TimerFired("ring-9")),
            st.just(inputs.Arrived()),
        ),
    ),
)


def play(bench: Any, move: tuple[str, Any]) -> None:
    kind, value = move
    match kind:
        case "decide":
            bench.decide(value)
        case "undecided":
            bench.feed(inputs.Undecided(bench.question, value))
        case "wait":
            bench.pass_time(value)
        case "play ended":
            played = bench.did(outputs.PlayTo)
            bench.feed(inputs.PlayFinished(played[-1].play_id if played else "play-1", value))
        case "recorded":
            begun = bench.did(outputs.RecordFrom)
            bench.feed(inputs.RecordingFinished(begun[-1].recording_id if begun else "r", value[0], value[1], 99, value[2]))
        case _:
            bench.feed(value)


@pytest.mark.feature("P-10")
@settings(max_examples=400, deadline=None)
@given(moves=st.lists(MOVES, max_size=40), begins=st.sampled_from(["", "arrives", "originated", "talks"]))
def test_a_call_ends_whole_whatever_happens(make_bench: Any, moves: list[tuple[str, Any]], begins: str) -> None:
    bench = make_bench()
    if begins == "originated":
        bench.originate(2)
    elif begins:
        bench.arrive()
    if begins == "talks":
        bench.decide(Ring((RingTarget("t", "bob"),))).feed(inputs.LegAccepted("b1"))
    for move in moves:
        play(bench, move)
        bench.check()
    if not bench.call.legs:
        return
    bench.feed(inputs.Stopped("temporary_failure")).pass_time(13 * 3600)
    assert bench.call.over
    bench.check()
