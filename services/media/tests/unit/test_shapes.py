"""Our words against the contracts': steps, outcomes, envelopes."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from google.protobuf.json_format import MessageToDict

from carillon.common.v1 import call_application_pb2 as pb
from carillon_contracts import call as events
from carillon_contracts.envelope import Event, EventData
from carillon_media.adapters.applications import answer_of, call_facts, outcome_message, step_of
from carillon_media.domain.describe import describe
from carillon_media.domain.facts import CallFacts
from carillon_media.domain.steps import (
    Entered,
    GatherOutcome,
    HangUp,
    Outcome,
    PlayOutcome,
    RecordOutcome,
    RingOutcome,
    TargetOutcome,
)
from carillon_media.handlers.envelope import event_json
from carillon_media.ports import NoDecision

PROMPTS = [pb.Prompt(speech=pb.Speech(text="Bonjour", language="fr")), pb.Prompt(beep=True), pb.Prompt(silence_ms=200)]
STEPS = [
    pb.Step(
        ring=pb.Ring(
            targets=[
                pb.RingTarget(target_id="a", user_id="anne", stop_after_ms=20_000),
                pb.RingTarget(target_id="b", trunk=pb.TrunkTarget(trunk_id="t", number="+4179"), start_after_ms=5, stop_after_ms=9),
                pb.RingTarget(target_id="c", user_id="carl", caller=pb.ShownCaller(number="+4121", name="Dupont SA")),
                pb.RingTarget(target_id="d", user_id="dora", caller=pb.ShownCaller()),
            ],
            caller_number="101",
            caller_name="Bob",
            ask_after_answer=True,
            ringback_music_id="melody",
        )
    ),
    pb.Step(play=pb.Play(prompts=[*PROMPTS, pb.Prompt(recording="sha256-" + "0" * 64)])),
    pb.Step(
        gather=pb.Gather(prompts=PROMPTS, max_digits=4, finish_digits="#", first_digit_timeout_ms=5, inter_digit_timeout_ms=6, secret=True)
    ),
    pb.Step(record=pb.Record(beep=True, max_ms=7, silence_ms=8, min_ms=9, finish_digits="#", labels={"mailbox_id": "m"})),
    pb.Step(delegate=pb.Delegate(application="voicemail", arguments={"mailbox_id": "m"})),
    pb.Step(hang_up=pb.HangUp(cause=17, prompts=PROMPTS)),
    pb.Step(hang_up=pb.HangUp(cause=17, sip_status=486, reason="busy")),
]


@pytest.mark.parametrize("message", STEPS, ids=lambda step: str(step.WhichOneof("kind")))
def test_a_step_is_described_as_the_contracts_json(message: pb.Step) -> None:
    kind = message.WhichOneof("kind")
    assert kind is not None
    assert describe(step_of(message)) == MessageToDict(message, preserving_proto_field_name=True)[kind]


def test_long_texts_are_shortened_in_the_event_only() -> None:
    step = step_of(pb.Step(play=pb.Play(prompts=[pb.Prompt(speech=pb.Speech(text="x" * 500))])))
    assert len(describe(step)["prompts"][0]["speech"]["text"]) == 120
    assert "x" * 500 in repr(step)


@pytest.mark.parametrize(
    "message",
    [
        pb.Step(),
        pb.Step(ring=pb.Ring(targets=[pb.RingTarget(target_id="a")])),
        pb.Step(ring=pb.Ring(targets=[pb.RingTarget(target_id="a", user_id="x"), pb.RingTarget(target_id="a", user_id="y")])),
        pb.Step(ring=pb.Ring(targets=[pb.RingTarget(target_id=str(n), user_id="x") for n in range(101)])),
        pb.Step(play=pb.Play(prompts=[pb.Prompt(beep=True)] * 51)),
    ],
)
def test_what_cannot_be_done_is_no_decision(message: pb.Step) -> None:
    with pytest.raises(NoDecision):
        step_of(message)


def test_an_answer_brings_cursor_trace_and_version() -> None:
    trace = [pb.TraceEntry(subject="number", matched=True, reason="is ours", next="menu")]
    answer = answer_of(pb.NextResponse(step=STEPS[-1], cursor=b"c", trace=trace, config_seq=9))
    assert (answer.step, answer.cursor, answer.config_seq) == (HangUp(17, 486, "busy"), b"c", 9)
    assert answer.trace == (events.TraceLine(subject="number", matched=True, reason="is ours", next="menu"),)
    with pytest.raises(NoDecision):
        answer_of(pb.NextResponse(step=STEPS[-1], cursor=bytes(100_000)))


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (Entered({"a": "b"}), pb.Outcome(entered=pb.Entered(arguments={"a": "b"}))),
        (PlayOutcome(), pb.Outcome(play=pb.PlayOutcome())),
        (GatherOutcome("12", True), pb.Outcome(gather=pb.GatherOutcome(digits="12", timed_out=True))),
        (RecordOutcome("sha256-a", 5), pb.Outcome(record=pb.RecordOutcome(object="sha256-a", duration_ms=5))),
        (
            RingOutcome("busy", (TargetOutcome("t", "busy", 486),)),
            pb.Outcome(
                ring=pb.RingOutcome(
                    result=pb.RING_RESULT_BUSY,
                    targets=[pb.TargetOutcome(target_id="t", result=pb.RING_RESULT_BUSY, sip_status=486)],
                )
            ),
        ),
    ],
)
def test_outcomes(outcome: Outcome, message: pb.Outcome) -> None:
    assert outcome_message(outcome) == message


def test_facts() -> None:
    at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    message = call_facts(CallFacts("dupont", "c1", "inbound", "+4179", "Jean", None, "+4121", "carrier", at))
    assert (message.direction, message.caller_user_id, message.trunk_id) == (pb.DIRECTION_INBOUND, "", "carrier")
    assert message.started_at.ToDatetime(UTC) == at


@pytest.mark.parametrize(
    "data",
    [
        events.CallStarted(direction="inbound", caller="", dialled="101"),
        events.RoutingDecided(
            application="routing",
            step="ring",
            details={"targets": [{"user_id": "a"}]},
            trace=(events.TraceLine(subject="s", matched=True, reason="r"),),
        ),
        events.CallBridged(legs=("a", "b1")),
        events.DigitsGathered(digits=None, timed_out=True),
        events.RingEnded(result="busy", targets={"t": "busy"}),
    ],
    ids=lambda data: data.fact(),
)
@pytest.mark.feature("P-2")
def test_the_fast_envelope_is_the_contracts_envelope(data: EventData) -> None:
    at = datetime(2026, 3, 2, 9, 30, 1, 250_000, tzinfo=UTC)
    event = Event(
        id=UUID(int=7),
        source="carillon/media/n1",
        type=f"carillon.{data.TYPE}",
        subject="c1",
        time=at,
        data=data.model_dump(),
        tenantid="dupont",
        callid="c1",
        legid="a",
        seq=3,
        configseq=9,
    )
    raw = event_json(
        data,
        event_id=UUID(int=7),
        source="carillon/media/n1",
        tenant="dupont",
        subject="c1",
        at=at,
        call_id="c1",
        leg_id="a",
        seq=3,
        config_seq=9,
    )
    assert Event.from_json(raw).to_json() == event.to_json()
    assert type(data).model_validate(Event.from_json(raw).data) == data
