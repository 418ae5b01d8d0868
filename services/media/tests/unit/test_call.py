"""The call machine, sentence by sentence."""

from typing import Any

import pytest

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs
from carillon_media.domain.facts import Limits
from carillon_media.domain.ringing import COMPLETED_ELSEWHERE
from carillon_media.domain.steps import (
    Delegate,
    Entered,
    Gather,
    GatherOutcome,
    GaveUpOutcome,
    HangUp,
    Play,
    PlayOutcome,
    Record,
    RecordOutcome,
    Ring,
    RingOutcome,
    RingTarget,
    Silence,
    Speech,
    TargetOutcome,
    TrunkTarget,
)

HELLO = Speech("Hello", "en")


def ring(*targets: RingTarget, **options: Any) -> Ring:
    return Ring(targets, "100", "Anne Dumas", **options)


BOB = RingTarget("t1", "bob", 0, 20_000)
CAROL = RingTarget("t2", "carol", 0, 20_000)


@pytest.fixture
def talking(bench: Any) -> Any:
    bench.arrive().decide(ring(BOB)).feed(inputs.LegProgressed("b1", 180), inputs.LegAccepted("b1", "PCMA"))
    return bench


@pytest.mark.feature("P-10")
def test_a_call_from_ring_to_hang_up_tells_its_whole_story_in_order(talking: Any) -> None:
    talking.now += 61.5
    talking.feed(inputs.LegLeft("b1"))
    assert talking.events() == [
        ("started", "a"),
        ("routing_decided", None),
        ("leg_offered", "b1"),
        ("leg_ringing", "b1"),
        ("leg_answered", "b1"),
        ("ring_ended", None),
        ("leg_answered", "a"),
        ("bridged", None),
        ("leg_ended", "a"),
        ("leg_ended", "b1"),
        ("ended", None),
    ]
    ended = talking.event(events.CallEnded)
    assert (ended.cause, ended.by, ended.talk_ms, ended.total_ms) == ("normal_clearing", "callee", 61500, 61500)
    assert talking.closed() == {"a": "bye", "b1": "gone"}


def test_the_first_question_goes_to_routing_with_nothing_but_the_facts(bench: Any) -> None:
    bench.arrive()
    assert bench.asked() == outputs.Ask(1, "routing", b"", Entered())


def test_the_decision_is_an_event_with_the_configuration_that_decided(bench: Any) -> None:
    bench.arrive().decide(ring(BOB), config_seq=42)
    decided = bench.event(events.RoutingDecided)
    assert (decided.application, decided.step) == ("routing", "ring")
    assert [o.config_seq for o in bench.did(outputs.Journal) if o.event is decided] == [42]


@pytest.mark.feature("M-3")
def test_the_caller_hears_it_ring_once_whoever_rings(bench: Any) -> None:
    bench.arrive().decide(ring(BOB, CAROL))
    bench.feed(*(inputs.LegProgressed(leg, 180) for leg in ("b1", "b2", "b3", "b1")))
    assert len(bench.did(outputs.RingCaller)) == 1
    assert bench.events().count(("leg_ringing", "b1")) == 1


@pytest.mark.feature("M-3")
def test_the_first_answer_wins_and_the_others_are_told_so(bench: Any) -> None:
    bench.arrive().decide(ring(BOB, CAROL)).feed(inputs.LegProgressed("b2", 180), inputs.LegAccepted("b2", "PCMA"))
    cancelled = {o.leg_id: (o.how, o.reason) for o in bench.did(outputs.CloseLeg)}
    assert cancelled == {"b1": ("cancel", COMPLETED_ELSEWHERE), "b3": ("cancel", COMPLETED_ELSEWHERE)}
    assert bench.event(events.LegEnded, "b1").cause == "answered_elsewhere"
    assert bench.event(events.RingEnded).targets == {"t1": "unreachable", "t2": "answered"}
    assert bench.call.state.answered_by == "carol"


def test_bridging_comes_before_the_answer_that_lets_the_caller_speak(talking: Any) -> None:
    kinds = [type(o) for o in talking.out]
    assert kinds.index(outputs.BridgeLegs) < kinds.index(outputs.AnswerCaller)


def test_a_second_answer_after_the_first_changes_nothing(talking: Any) -> None:
    talking.feed(inputs.LegAccepted("b1"), inputs.LegRefused("b1", 486), inputs.LegProgressed("b1", 180))
    assert talking.last == []


@pytest.mark.parametrize(
    ("status", "rang", "result", "cause"),
    [
        (486, False, "busy", "user_busy"),
        (600, True, "busy", "user_busy"),
        (603, True, "rejected", "call_rejected"),
        (403, False, "rejected", "call_rejected"),
        (480, True, "no_answer", "no_answer"),
        (480, False, "unreachable", "no_user_responding"),
        (408, False, "unreachable", "no_user_responding"),
        (503, False, "congested", "temporary_failure"),
        (404, False, "unreachable", "unallocated_number"),
    ],
)
def test_what_a_refusal_means(bench: Any, status: int, rang: bool, result: Any, cause: str) -> None:
    bench.arrive().decide(ring(BOB))
    if rang:
        bench.feed(inputs.LegProgressed("b1", 180))
    bench.feed(inputs.LegRefused("b1", status))
    assert bench.asked().outcome == RingOutcome(result, (TargetOutcome("t1", result, status),))
    assert bench.event(events.LegEnded).cause == cause


def test_a_phone_whose_connection_is_gone_is_unreachable(bench: Any) -> None:
    bench.arrive().decide(ring(BOB)).feed(inputs.LegRefused("b1", 503, received=False))
    assert bench.asked().outcome == RingOutcome("unreachable", (TargetOutcome("t1", "unreachable", 0),))


def test_a_user_without_a_device_is_unreachable_at_once(bench: Any) -> None:
    bench.arrive().decide(ring(RingTarget("t1", "nobody", 0, 20_000)))
    assert bench.asked().outcome == RingOutcome("unreachable", (TargetOutcome("t1", "unreachable", 0),))
    assert bench.asked().cursor == b"cur"


def test_nobody_answers_within_the_timetable(bench: Any) -> None:
    bench.arrive().decide(ring(BOB)).feed(inputs.LegProgressed("b1", 180)).pass_time(19.9)
    assert bench.closed() == {}
    bench.pass_time(0.2)
    assert bench.closed() == {"b1": "cancel"}
    assert bench.asked().outcome.result == "no_answer"


def test_a_phone_that_never_said_a_word_is_unreachable_a_carrier_is_given_the_benefit(bench: Any) -> None:
    bench.arrive().decide(ring(BOB, RingTarget("t2", TrunkTarget("carrier", "+41791234567"), 0, 20_000))).pass_time(20)
    assert {t.target_id: t.result for t in bench.asked().outcome.targets} == {"t1": "unreachable", "t2": "no_answer"}


@pytest.mark.feature("M-3")
def test_a_sequential_timetable_rings_one_after_another(bench: Any) -> None:
    bench.arrive().decide(ring(RingTarget("t1", "bob", 0, 5000), RingTarget("t2", "alice", 5000, 10_000)))
    bench.feed(inputs.LegProgressed("b1", 180))
    assert [o.leg_id for o in bench.did(outputs.OfferLeg)] == ["b1"]
    bench.pass_time(5)
    assert [o.leg_id for o in bench.did(outputs.OfferLeg)] == ["b1", "b2"]
    assert bench.closed() == {"b1": "cancel"}


def test_when_nobody_rings_the_next_is_rung_at_once(bench: Any) -> None:
    bench.arrive().decide(ring(RingTarget("t1", "bob", 0, 5000), RingTarget("t2", "alice", 5000, 10_000)))
    bench.feed(inputs.LegRefused("b1", 486))
    assert [o.leg_id for o in bench.did(outputs.OfferLeg)] == ["b1", "b2"]
    bench.feed(inputs.LegProgressed("b2", 180)).pass_time(4.9)
    assert "b2" not in bench.closed()
    bench.pass_time(0.2)
    assert bench.closed()["b2"] == "cancel"
    assert bench.asked().outcome.result == "no_answer"


def test_a_progressive_timetable_lets_the_first_ring_on(bench: Any) -> None:
    bench.arrive().decide(ring(RingTarget("t1", "bob", 0, 30_000), RingTarget("t2", "alice", 5000, 30_000))).pass_time(6)
    assert [o.leg_id for o in bench.did(outputs.OfferLeg)] == ["b1", "b2"]
    assert bench.closed() == {}


def test_the_caller_gives_up(bench: Any) -> None:
    bench.arrive().decide(ring(BOB)).feed(inputs.LegProgressed("b1", 180), inputs.CallerCancelled())
    ended = bench.event(events.CallEnded)
    assert (ended.cause, ended.by, ended.talk_ms) == ("caller_gave_up", "caller", 0)
    assert bench.closed() == {"a": "gone", "b1": "cancel"}
    assert bench.event(events.LegEnded, "a").sip_status == 487


def test_the_caller_gives_up_while_routing_thinks_and_its_late_answer_is_nothing(bench: Any) -> None:
    bench.arrive().feed(inputs.CallerCancelled()).feed(inputs.Decided(1, ring(BOB), b""))
    assert bench.last == []
    assert bench.call.over


def test_early_media_of_a_single_carrier_is_passed_on(bench: Any) -> None:
    bench.arrive().decide(ring(RingTarget("t1", TrunkTarget("carrier", "+41791234567"), 0, 60_000)))
    bench.feed(inputs.LegProgressed("b1", 183, media=True), inputs.LegProgressed("b1", 180))
    assert bench.did(outputs.EarlyMedia) == [outputs.EarlyMedia("b1")]
    assert bench.did(outputs.RingCaller) == []


@pytest.mark.feature("M-7")
def test_keys_are_passed_on_before_the_answer_between_the_caller_and_who_is_heard(bench: Any) -> None:
    bench.arrive().decide(ring(RingTarget("t1", TrunkTarget("carrier", "+41791234567"), 0, 60_000)))
    bench.feed(inputs.DigitPressed("a", "1", "tones"))
    bench.feed(
        inputs.LegProgressed("b1", 183, media=True), inputs.DigitPressed("a", "2", "tones", 90), inputs.DigitPressed("b1", "3", "info")
    )
    passed = [(key.leg_id, key.key, key.heard, key.held_ms) for key in bench.did(outputs.PassKey)]
    assert passed == [("b1", "2", "tones", 90), ("a", "3", "info", 0)]


@pytest.mark.feature("R-18", "R-6")
def test_an_outside_member_of_a_group_is_called_by_the_next_trunk_when_one_cannot(bench: Any) -> None:
    outside = RingTarget("t2", TrunkTarget("carrier", "+41791234567", ("gone", "second", "third")), 0, 20_000, ("+41215550100", ""))
    bench.arrive().decide(ring(BOB, outside))
    assert [event.party for event in _offered(bench)] == ["bob", "trunk:carrier"]
    bench.feed(inputs.LegRefused("b2", 503, received=True))
    assert [event.party for event in _offered(bench)] == ["bob", "trunk:carrier", "trunk:second"]
    inside, *others = [(offer.caller_number, offer.caller_name) for offer in bench.did(outputs.OfferLeg)]
    assert inside != others[0]
    assert others == [("+41215550100", "")] * 2, "by whichever trunk"
    bench.feed(inputs.LegRefused("b3", 486, received=True))  # the called is busy, by whichever trunk
    assert [event.party for event in _offered(bench)] == ["bob", "trunk:carrier", "trunk:second"]
    bench.feed(inputs.LegAccepted("b1"))
    assert bench.events()[-1][0] == "bridged"


def _offered(bench: Any) -> list[events.LegOffered]:
    return [output.event for output in bench.out if isinstance(output, outputs.Journal) and isinstance(output.event, events.LegOffered)]


@pytest.mark.feature("R-3")
def test_who_wants_to_know_is_told_that_the_caller_gave_up_while_it_rang(bench: Any) -> None:
    bench.arrive().decide(ring(BOB, ask_after_giving_up=True), cursor=b"here").feed(inputs.CallerCancelled())
    assert bench.did(outputs.Tell) == [outputs.Tell("routing", b"here", GaveUpOutcome())]
    assert bench.call.over


@pytest.mark.feature("R-3")
def test_nobody_is_told_who_does_not_want_to_know_or_after_an_answer(bench: Any) -> None:
    bench.arrive().decide(ring(BOB, ask_after_giving_up=True)).feed(inputs.LegAccepted("b1"), inputs.LegLeft("a"))
    assert bench.call.over
    assert bench.did(outputs.Tell) == []


SEVERAL = ring(BOB, RingTarget("t2", TrunkTarget("carrier", "+41791234567"), 0, 60_000), RingTarget("t3", "alice", 0, 60_000))


@pytest.mark.feature("M-3")
def test_of_several_that_ring_the_first_that_can_be_heard_is_heard(bench: Any) -> None:
    bench.arrive().decide(SEVERAL).feed(inputs.LegProgressed("b1", 180))
    bench.feed(
        inputs.LegProgressed("b2", 183, media=True),
        inputs.LegProgressed("b3", 183, media=True),
        inputs.LegProgressed("b2", 183, media=True),
    )
    assert bench.did(outputs.EarlyMedia) == [outputs.EarlyMedia("b2")]
    assert len(bench.did(outputs.RingCaller)) == 1


@pytest.mark.feature("M-3")
def test_when_who_is_heard_goes_away_the_next_is_heard_and_then_the_phone_rings_again(bench: Any) -> None:
    bench.arrive().decide(SEVERAL)
    bench.feed(inputs.LegProgressed("b2", 183, media=True), inputs.LegProgressed("b3", 183, media=True), inputs.LegRefused("b2", 486))
    assert bench.did(outputs.EarlyMedia) == [outputs.EarlyMedia("b2"), outputs.EarlyMedia("b3")]
    assert bench.did(outputs.UnbridgeLeg) == [outputs.UnbridgeLeg("a")]
    bench.feed(inputs.LegRefused("b3", 486))
    assert len(bench.did(outputs.RingCaller, bench.last)) == 1
    bench.feed(inputs.LegProgressed("b1", 183, media=True))
    assert bench.did(outputs.EarlyMedia, bench.last) == [outputs.EarlyMedia("b1")]
    bench.feed(inputs.LegAccepted("b1", "PCMA"))
    assert bench.did(outputs.BridgeLegs, bench.last) == [outputs.BridgeLegs("a", "b1")]


@pytest.mark.feature("M-13")
def test_a_leg_that_was_offered_by_a_process_that_died_before_its_invite_is_offered_again(make_bench: Any) -> None:
    bench = make_bench().arrive().decide(ring(BOB))
    (first,) = bench.did(outputs.OfferLeg)
    bench.feed(inputs.Resumed(900), inputs.LegUnsent("b1"))
    assert bench.did(outputs.OfferLeg, bench.last) == [first]
    assert [name for name, _ in bench.events(bench.last)] == ["resumed"]
    bench.feed(inputs.LegAccepted("b1", "PCMA"))
    bench.check()
    bench = make_bench().arrive().decide(ring(BOB))
    bench.world.devices = {}
    bench.feed(inputs.Resumed(900), inputs.LegUnsent("b1"))
    assert bench.did(outputs.OfferLeg, bench.last) == []
    assert ("leg_ended", "b1") in bench.events(bench.last)
    originated = make_bench().originate(2).feed(inputs.Resumed(900), inputs.LegUnsent("a2"))
    assert ("leg_ended", "a2") in originated.events(originated.last)


@pytest.mark.feature("M-13")
def test_another_process_arms_every_timer_and_asks_every_question_again(make_bench: Any) -> None:
    bench = make_bench().arrive()
    asked, timers = bench.asked(), bench.timers()
    bench.feed(inputs.Resumed(900))
    assert bench.did(outputs.Ask, bench.last) == [asked]
    assert {o.name: o.at for o in bench.did(outputs.SetTimer, bench.last)} == timers
    bench.decide(ring(BOB)).feed(inputs.LegProgressed("b1", 180))
    timers = bench.timers()
    bench.feed(inputs.Resumed(900))
    assert bench.did(outputs.Ask, bench.last) == []
    assert {o.name: o.at for o in bench.did(outputs.SetTimer, bench.last)} == timers
    bench.feed(inputs.LegAccepted("b1", "PCMA"), inputs.Resumed(900))
    assert bench.did(outputs.BridgeLegs, bench.last)[-1] == outputs.BridgeLegs("a", "b1")
    bench.check()


def test_refusals_by_cause(make_bench: Any) -> None:
    for cause, status, expected, name in [
        (17, 0, 486, "user_busy"),
        (1, 0, 404, "unallocated_number"),
        (21, 0, 603, "call_rejected"),
        (19, 0, 480, "no_answer"),
        (16, 410, 410, "normal_clearing"),
        (999, 0, 480, "normal_unspecified"),
    ]:
        bench = make_bench().arrive().decide(HangUp(cause, status))
        assert [(o.how, o.status) for o in bench.did(outputs.CloseLeg)] == [("reject", expected)]
        assert bench.event(events.CallEnded).cause == name
        bench.check()


def test_hang_up_of_an_answered_call_is_a_bye(bench: Any) -> None:
    bench.arrive().decide(Play((HELLO,))).feed(inputs.PlayFinished("play-1", 900)).decide(HangUp(16))
    assert bench.closed() == {"a": "bye"}
    assert bench.event(events.CallEnded).by == "system"


def test_play_answers_first_and_asks_again_afterwards(bench: Any) -> None:
    bench.arrive().decide(Play((HELLO,)))
    assert [type(o) for o in bench.last if isinstance(o, outputs.AnswerCaller | outputs.PlayTo)] == [outputs.AnswerCaller, outputs.PlayTo]
    bench.feed(inputs.PlayFinished("play-0", 1)).feed(inputs.PlayFinished("play-1", 900))
    assert bench.asked().outcome == PlayOutcome()
    assert bench.event(events.PlayEnded).duration_ms == 900


def test_the_first_word_after_the_answer_is_not_clipped(bench: Any) -> None:
    bench.arrive().decide(Play((HELLO,))).feed(inputs.PlayFinished("play-1", 900)).decide(Play((HELLO,)))
    assert [o.prompts for o in bench.did(outputs.PlayTo)] == [(Silence(200), HELLO), (HELLO,)]


def test_hanging_up_during_a_prompt_still_ends_the_play(bench: Any) -> None:
    bench.arrive().decide(Play((HELLO,)))
    bench.now += 0.5
    bench.feed(inputs.LegLeft("a"))
    assert bench.event(events.PlayEnded).duration_ms == 500
    assert bench.event(events.CallEnded).by == "caller"


GATHER = Gather((HELLO,), max_digits=3, finish_digits="#", first_digit_timeout_ms=5000, inter_digit_timeout_ms=2000)


def digits(text: str) -> list[inputs.Input]:
    return [inputs.DigitPressed("a", digit) for digit in text]


@pytest.mark.parametrize(
    ("pressed", "wait", "expected"),
    [
        ("123", 0.0, GatherOutcome("123", False)),
        ("12#", 0.0, GatherOutcome("12", False)),
        ("#", 0.0, GatherOutcome("", False)),
        ("12", 2.1, GatherOutcome("12", True)),
        ("", 5.1, GatherOutcome("", True)),
    ],
)
def test_gathering(bench: Any, pressed: str, wait: float, expected: GatherOutcome) -> None:
    bench.arrive().decide(GATHER).feed(inputs.PlayFinished("play-2", 800)).feed(*digits(pressed)).pass_time(wait)
    assert bench.asked().outcome == expected
    assert bench.event(events.DigitsGathered).digits == expected.digits


def test_the_first_digit_stops_the_prompt_and_its_late_end_does_not_restart_the_clock(bench: Any) -> None:
    bench.arrive().decide(GATHER).feed(*digits("1"))
    assert bench.did(outputs.StopPlay)
    bench.pass_time(1.9).feed(inputs.PlayFinished("play-2", 100)).pass_time(0.2)
    assert bench.asked().outcome == GatherOutcome("1", True)


def test_the_first_digit_is_not_awaited_while_the_prompt_plays(bench: Any) -> None:
    bench.arrive().decide(GATHER).pass_time(60)
    assert isinstance(bench.asked().outcome, Entered)


def test_secret_digits_are_in_no_event(bench: Any) -> None:
    bench.arrive().decide(Gather((), 4, secret=True)).feed(*digits("1234"))
    assert bench.event(events.DigitsGathered).digits is None
    assert bench.asked().outcome == GatherOutcome("1234", False)


MENU = Gather((HELLO,), max_digits=1)
SHORT_RECORD = Record(False, 60_000, 0, 0)


@pytest.mark.feature("R-11")
def test_what_is_typed_while_the_application_thinks_goes_to_the_next_gather_and_no_prompt_is_heard(bench: Any) -> None:
    bench.arrive().decide(MENU).feed(*digits("2")).feed(*digits("31"))
    bench.decide(MENU)
    assert bench.did(outputs.PlayTo, bench.last) == []
    assert bench.asked().outcome == GatherOutcome("3", False)
    bench.decide(MENU)
    assert bench.asked().outcome == GatherOutcome("1", False)
    bench.decide(MENU)
    assert bench.did(outputs.PlayTo, bench.last)


@pytest.mark.feature("R-11")
def test_what_is_typed_over_an_announcement_goes_to_the_menu_behind_it(bench: Any) -> None:
    bench.arrive().decide(Play((HELLO,))).feed(*digits("12")).feed(inputs.PlayFinished("play-1", 900)).decide(GATHER)
    assert bench.did(outputs.PlayTo, bench.last) == []
    bench.pass_time(2.1)
    assert bench.asked().outcome == GatherOutcome("12", True)


def test_a_finish_digit_typed_ahead_ends_the_gather_at_its_place(bench: Any) -> None:
    bench.arrive().decide(Play((HELLO,))).feed(*digits("12#9")).feed(inputs.PlayFinished("play-1", 900)).decide(GATHER)
    assert bench.asked().outcome == GatherOutcome("12", False)
    bench.decide(MENU)
    assert bench.asked().outcome == GatherOutcome("9", False)


def test_another_application_gets_what_was_typed_for_its_menu(bench: Any) -> None:
    bench.arrive().decide(MENU).feed(*digits("51")).decide(Delegate("voicemail")).feed(*digits("2")).decide(Gather((), 2))
    assert bench.asked().outcome == GatherOutcome("12", False)


@pytest.mark.parametrize("step", [ring(BOB), SHORT_RECORD], ids=["ring", "record"])
def test_what_was_typed_before_another_step_is_forgotten(bench: Any, step: Any) -> None:
    bench.arrive().decide(MENU).feed(*digits("12")).decide(step)
    if step is SHORT_RECORD:
        bench.feed(recorded(bench))
    else:
        bench.feed(inputs.LegRefused("b1", 486))
    bench.decide(MENU)
    assert bench.did(outputs.PlayTo, bench.last)


def test_what_is_typed_ahead_is_bounded_and_only_the_callers(bench: Any) -> None:
    bench.arrive().decide(Play((HELLO,))).feed(inputs.DigitPressed("b1", "7"), *digits("1" * 50)).feed(inputs.PlayFinished("play-1", 9))
    bench.decide(Gather((), 64)).pass_time(4)
    assert bench.asked().outcome == GatherOutcome("1" * 32, True)


def test_a_secret_typed_ahead_is_in_no_event(bench: Any) -> None:
    bench.arrive().decide(Play((HELLO,))).feed(*digits("4711")).feed(inputs.PlayFinished("play-1", 9)).decide(Gather((), 4, secret=True))
    assert bench.asked().outcome == GatherOutcome("4711", False)
    assert bench.event(events.DigitsGathered).digits is None
    assert not [o for o in bench.did(outputs.Journal) if "4711" in repr(o)]


def test_the_hash_after_the_last_digit_wanted_is_not_the_answer_to_the_next_question(bench: Any) -> None:
    bench.arrive().decide(GATHER).feed(*digits("123")).feed(*digits("#")).decide(GATHER)
    assert bench.did(outputs.PlayTo, bench.last)
    bench.feed(*digits("456")).decide(GATHER).feed(*digits("#"))
    assert bench.asked().outcome == GatherOutcome("456", False)
    bench.feed(*digits("#"))
    assert bench.asked().outcome == GatherOutcome("", False)


def test_a_hash_that_comes_late_is_an_answer(bench: Any) -> None:
    bench.arrive().decide(GATHER).feed(*digits("123")).decide(GATHER).pass_time(1.6).feed(*digits("#"))
    assert bench.asked().outcome == GatherOutcome("", False)


RECORD = Record(beep=True, max_ms=60_000, silence_ms=4000, min_ms=1000, finish_digits="#", labels={"mailbox_id": "main"})


def recorded(bench: Any, name: str = "sha256-ab", duration_ms: int = 5000, reason: Any = "silence") -> inputs.RecordingFinished:
    started = bench.did(outputs.RecordFrom)[0]
    return inputs.RecordingFinished(started.recording_id, name, duration_ms, 40_058, reason)


def test_a_recording_beeps_first_and_tells_its_labels(bench: Any) -> None:
    bench.arrive().decide(RECORD)
    assert bench.did(outputs.RecordFrom) == []
    bench.feed(inputs.PlayFinished("play-3", 250))
    assert len(bench.did(outputs.RecordFrom)) == 1
    bench.feed(recorded(bench))
    finished = bench.event(events.RecordingFinished)
    assert (finished.object, finished.duration_ms, finished.ended_by, finished.labels) == (
        "sha256-ab",
        5000,
        "silence",
        {"mailbox_id": "main"},
    )
    assert bench.asked().outcome == RecordOutcome("sha256-ab", 5000)


def test_the_digit_that_ended_a_recording_is_not_the_next_gathers(bench: Any) -> None:
    bench.arrive().decide(RECORD).feed(inputs.PlayFinished("play-3", 250)).feed(recorded(bench, reason="digit")).decide(MENU)
    bench.feed(*digits("#1"))
    assert bench.asked().outcome == GatherOutcome("1", False)


def test_a_digit_by_info_of_which_the_plane_knows_nothing_ends_a_recording(bench: Any) -> None:
    bench.arrive().decide(RECORD).feed(*digits("#"))
    assert bench.did(outputs.StopRecording) == []
    bench.feed(inputs.PlayFinished("play-3", 250)).feed(*digits("5#"))
    assert len(bench.did(outputs.StopRecording)) == 1
    bench.feed(recorded(bench, reason="stopped"))
    assert bench.event(events.RecordingFinished).ended_by == "digit"
    bench.decide(MENU).feed(*digits("#"))
    assert bench.asked().outcome == GatherOutcome("#", False), "the next hash is the next gather's"


def test_a_recording_too_short_is_thrown_away(bench: Any) -> None:
    bench.arrive().decide(RECORD).feed(inputs.PlayFinished("play-3", 250)).feed(recorded(bench, duration_ms=900))
    assert bench.asked().outcome == RecordOutcome("", 900)
    assert ("recording_finished", "a") not in bench.events()


def test_a_caller_who_hangs_up_while_recorded_leaves_a_message_before_the_call_ends(bench: Any) -> None:
    bench.arrive().decide(RECORD).feed(inputs.PlayFinished("play-3", 250)).feed(inputs.LegLeft("a"))
    assert not bench.call.over
    assert bench.did(outputs.StopRecording)
    bench.feed(recorded(bench, reason="stopped"))
    assert bench.events()[-3:] == [("leg_ended", "a"), ("recording_finished", "a"), ("ended", None)]
    assert bench.event(events.RecordingFinished).ended_by == "hang_up"


def test_a_recording_whose_file_never_comes_does_not_hold_the_call(bench: Any) -> None:
    bench.arrive().decide(RECORD).feed(inputs.PlayFinished("play-3", 250)).feed(inputs.LegLeft("a")).pass_time(5.1)
    assert bench.call.over


def test_hanging_up_during_the_beep_leaves_nothing(bench: Any) -> None:
    bench.arrive().decide(RECORD).feed(inputs.LegLeft("a"))
    assert bench.call.over


def test_a_delegate_is_asked_with_its_arguments_and_without_a_cursor(bench: Any) -> None:
    bench.arrive().decide(Delegate("voicemail", {"mailbox_id": "main", "look_up": "call"}))
    assert bench.asked() == outputs.Ask(2, "voicemail", b"", Entered({"mailbox_id": "main"}))
    bench.decide(Play((HELLO,)), cursor=b"vm").feed(inputs.PlayFinished("play-1", 1))
    assert bench.asked() == outputs.Ask(3, "voicemail", b"vm", PlayOutcome())


def test_a_step_for_an_older_question_is_nothing(bench: Any) -> None:
    bench.arrive().decide(Delegate("voicemail")).feed(inputs.Decided(1, HangUp(16), b""))
    assert bench.last == []


def test_steps_without_end_end(make_bench: Any) -> None:
    bench = make_bench(limits=Limits(max_steps=10)).arrive()
    for _ in range(20):
        bench.decide(Delegate("routing"))
    assert bench.event(events.CallEnded).cause == "recovery_on_timer_expiry"
    bench.check()


def test_nobody_decides_and_media_rings_the_extension_alone(bench: Any) -> None:
    bench.arrive().feed(inputs.Undecided(1, ring(BOB), {"x": 1}, 9)).feed(inputs.LegRefused("b1", 486))
    assert bench.event(events.RoutingDecided).application == "media"
    assert bench.event(events.CallEnded).cause == "user_busy"
    assert [o.status for o in bench.did(outputs.CloseLeg) if o.leg_id == "a"] == [486]


@pytest.mark.feature("M-3", "M-8")
@pytest.mark.parametrize("heard", ["melody", "carrier"])
def test_after_audio_before_the_answer_the_phone_rings_by_itself_again_in_the_next_step(bench: Any, heard: str) -> None:
    first = (
        ring(BOB, ringback_music_id="melody") if heard == "melody" else ring(RingTarget("t1", TrunkTarget("carrier", "+4179"), 0, 60_000))
    )
    bench.arrive().decide(first).feed(inputs.LegProgressed("b1", 183, media=True))
    assert bench.did(outputs.RingCaller) == []
    bench.feed(inputs.LegRefused("b1", 486)).decide(ring(RingTarget("t2", "alice", 0, 60_000)))
    bench.feed(inputs.LegProgressed("b2", 180), inputs.LegProgressed("b2", 180))
    assert len(bench.did(outputs.RingCaller)) == 1


def test_nobody_decides_and_nothing_can_be_done(bench: Any) -> None:
    bench.arrive().feed(inputs.Undecided(1))
    assert [(o.status, o.retry_after) for o in bench.did(outputs.CloseLeg)] == [(503, 5)]
    assert bench.event(events.CallEnded).cause == "temporary_failure"


def test_nobody_decides_later_in_the_call_and_the_fallback_is_not_taken(bench: Any) -> None:
    bench.arrive().decide(Play((HELLO,))).feed(inputs.PlayFinished("play-1", 1)).feed(inputs.Undecided(2, ring(BOB)))
    assert bench.event(events.CallEnded).cause == "temporary_failure"


def test_ask_after_answer_asks_when_the_callee_has_hung_up(bench: Any) -> None:
    bench.arrive().decide(ring(BOB, ask_after_answer=True)).feed(inputs.LegAccepted("b1"), inputs.LegLeft("b1"))
    assert bench.asked().outcome.result == "answered"
    assert bench.closed() == {"b1": "gone"}
    bench.decide(Play((HELLO,))).feed(inputs.PlayFinished("play-2", 1)).decide(HangUp(16))
    assert bench.call.over


def test_an_answered_caller_hears_ringback_until_somebody_answers(bench: Any) -> None:
    bench.arrive().decide(Play((HELLO,))).feed(inputs.PlayFinished("play-1", 1)).decide(ring(BOB))
    assert [(o.prompts, o.loop) for o in bench.did(outputs.PlayTo)][-1] == ((), True)
    bench.feed(inputs.LegProgressed("b1", 180), inputs.LegAccepted("b1"))
    assert bench.did(outputs.StopPlay) == [outputs.StopPlay("a")]
    assert bench.did(outputs.RingCaller) == []


@pytest.mark.feature("M-4")
def test_hold_and_back_are_events_once_each(talking: Any) -> None:
    talking.feed(*(inputs.LegReoffered("b1", held) for held in (True, True, False, False)))
    assert [kind for kind, leg in talking.events() if leg == "b1"][-2:] == ["leg_held", "leg_resumed"]
    assert len(talking.did(outputs.AcceptReoffer)) == 4


@pytest.mark.feature("M-4")
def test_the_held_side_hears_music_until_it_is_taken_back(talking: Any) -> None:
    talking.feed(inputs.LegReoffered("b1", True))
    assert talking.music() == {"a"}
    talking.feed(inputs.LegReoffered("b1", True))
    assert len(talking.did(outputs.PlayMusic)) == 1
    talking.feed(inputs.LegReoffered("b1", False))
    assert talking.music() == set()


def test_both_may_hold_and_each_resumes_for_itself(talking: Any) -> None:
    talking.feed(inputs.LegReoffered("a", True), inputs.LegReoffered("b1", True))
    assert talking.music() == {"a", "b1"}
    talking.feed(inputs.LegReoffered("a", False))
    assert talking.music() == {"a"}


def test_a_caller_who_holds_while_it_rings_lets_the_callee_hear_music_at_once(bench: Any) -> None:
    bench.arrive().decide(Play((HELLO,))).feed(inputs.LegReoffered("a", True)).feed(inputs.PlayFinished("play-1", 1)).decide(ring(BOB))
    assert bench.music() == set()
    bench.feed(inputs.LegAccepted("b1"))
    assert bench.music() == {"b1"}


def test_a_held_caller_whose_callee_hangs_up_hears_no_more_music(bench: Any) -> None:
    bench.arrive().decide(ring(BOB, ask_after_answer=True)).feed(inputs.LegAccepted("b1"), inputs.LegReoffered("b1", True))
    assert bench.music() == {"a"}
    bench.feed(inputs.LegLeft("b1"))
    assert bench.music() == set()


def test_a_new_media_plane_plays_what_loops_again(talking: Any) -> None:
    talking.feed(inputs.LegReoffered("b1", True)).feed(inputs.MediaRestored())
    assert [o.leg_id for o in talking.did(outputs.PlayMusic)] == ["a", "a"]
    assert len({o.play_id for o in talking.did(outputs.PlayMusic)}) == 2


def test_a_new_media_plane_rings_on_for_a_caller_that_was_answered(bench: Any) -> None:
    bench.arrive().decide(Play((HELLO,))).feed(inputs.PlayFinished("play-1", 1)).decide(ring(BOB)).feed(inputs.MediaRestored())
    assert [o.loop for o in bench.did(outputs.PlayTo)] == [False, True, True]


def test_a_new_media_plane_says_an_announcement_from_its_beginning(bench: Any) -> None:
    bench.arrive().decide(Play((HELLO,))).feed(inputs.MediaRestored())
    first, again = bench.did(outputs.PlayTo)
    assert again.prompts == first.prompts
    assert again.play_id != first.play_id
    bench.feed(inputs.PlayFinished(first.play_id, 400))
    assert len(bench.did(outputs.Ask)) == 1
    bench.feed(inputs.PlayFinished(again.play_id, 900)).decide(HangUp(16))
    assert bench.event(events.PlayEnded).duration_ms == 900


def test_a_new_media_plane_asks_for_digits_again_unless_they_were_being_pressed(bench: Any) -> None:
    bench.arrive().decide(GATHER).feed(inputs.MediaRestored())
    again = bench.did(outputs.PlayTo)[-1]
    assert (again.prompts, again.barge_in, len(bench.did(outputs.PlayTo))) == (GATHER.prompts, True, 2)
    bench.feed(inputs.PlayFinished(again.play_id, 800)).feed(inputs.MediaRestored(), *digits("1"), inputs.MediaRestored())
    assert len(bench.did(outputs.PlayTo)) == 2
    bench.feed(*digits("2#"))
    assert bench.event(events.DigitsGathered).digits == "12"


@pytest.mark.parametrize("answered", [True, False])
def test_a_new_media_plane_takes_leave_from_the_beginning(bench: Any, answered: bool) -> None:
    bench.arrive()
    if answered:
        bench.decide(Play((HELLO,))).feed(inputs.PlayFinished("play-1", 1))
    bench.decide(HangUp(17, 486, prompts=(HELLO,)))
    kind: Any = outputs.PlayTo if answered else outputs.PlayEarly
    first = bench.did(kind)[-1]
    bench.feed(inputs.MediaRestored(), inputs.PlayFinished(first.play_id, 1))
    again = bench.did(kind)[-1]
    assert again.play_id != first.play_id
    assert not bench.closed()
    bench.feed(inputs.PlayFinished(again.play_id, 900))
    assert bench.closed() == {"a": "bye" if answered else "reject"}
    assert not bench.timers()


def test_a_held_call_is_called_held(talking: Any) -> None:
    assert talking.call.doing == "talking"
    talking.feed(inputs.LegReoffered("a", True))
    assert talking.call.doing == "held"


def test_silence_of_a_leg_ends_the_call_with_its_cause(talking: Any) -> None:
    talking.feed(inputs.LegLeft("b1", "media"))
    assert talking.event(events.CallEnded).cause == "rtp_timeout"
    assert talking.closed() == {"a": "bye", "b1": "bye"}


def test_no_ack_ends_the_call(talking: Any) -> None:
    talking.feed(inputs.LegLeft("a", "timeout"))
    assert talking.event(events.CallEnded).cause == "recovery_on_timer_expiry"


def test_a_call_does_not_last_for_ever(talking: Any) -> None:
    talking.pass_time(12 * 3600 + 1)
    assert talking.event(events.CallEnded).by == "system"


def test_an_unusable_offer_is_refused_and_recorded(bench: Any) -> None:
    bench.feed(inputs.Arrived(488))
    assert [(o.how, o.status) for o in bench.did(outputs.CloseLeg)] == [("reject", 488)]
    assert bench.event(events.CallEnded).cause == "incompatible_destination"


def test_a_lost_plane_ends_the_call(talking: Any) -> None:
    talking.feed(inputs.MediaLost())
    assert talking.event(events.CallEnded).cause == "node_failure"


def test_more_devices_than_the_limit_are_not_rung(make_bench: Any) -> None:
    bench = make_bench(devices={"bob": 100}, limits=Limits(max_ring_legs=5)).arrive().decide(ring(BOB))
    assert len(bench.did(outputs.OfferLeg)) == 5
