"""Recording an announcement by phone, as its dialogue decides it."""

import pytest

from carillon_media.domain.recording_dialogue import MAX_TRIES, Decision, Task, advance, kept
from carillon_media.domain.recording_phrases import PHRASES
from carillon_media.domain.steps import Entered, Gather, GatherOutcome, HangUp, Play, PlayOutcome, Record, Recorded, RecordOutcome, Speech

pytestmark = pytest.mark.feature("M-8")
TASK = Task("en", 60_000, {"audio_id": "welcome"})
SAID = RecordOutcome("sha256-1", 2000)
NOTHING = GatherOutcome("", True)


def after(*outcomes: object, task: Task = TASK) -> Decision:
    """What is decided after these outcomes, from the beginning on."""
    decision = advance(task, b"", Entered())
    for outcome in outcomes:
        decision = advance(task, decision.cursor.to_bytes(), outcome)  # type: ignore[arg-type]
    return decision


def press(digit: str) -> GatherOutcome:
    return GatherOutcome(digit, False)


def test_it_is_said_what_to_do_then_recorded_under_its_labels() -> None:
    introduced = after().step
    assert isinstance(introduced, Gather)
    assert introduced.prompts == (Speech(PHRASES["en"].speak, "en"),)
    step = after(NOTHING).step
    assert isinstance(step, Record)
    assert (step.beep, step.max_ms, step.finish_digits, step.labels) == (True, 60_000, "#", {"audio_id": "welcome"})


def test_what_was_said_is_heard_and_heard_again() -> None:
    for decision in (after(NOTHING, SAID), after(NOTHING, SAID, press("2"))):
        assert isinstance(decision.step, Gather)
        assert decision.step.prompts[0] == Recorded("sha256-1")


def test_what_is_kept_is_what_was_said_last() -> None:
    again = after(NOTHING, SAID, press("3"), NOTHING, RecordOutcome("sha256-2", 900), press("1"))
    assert (again.step, again.keep) == (None, "sha256-2")
    assert after(NOTHING, SAID, press("3"), NOTHING).keep == ""


def test_the_caller_is_told_what_became_of_it() -> None:
    for error, words in (("", PHRASES["en"].kept), ("the disk is full", PHRASES["en"].not_kept)):
        decision = kept(TASK, error)
        assert decision.step == Play((Speech(words, "en"),))
        assert isinstance(advance(TASK, decision.cursor.to_bytes(), PlayOutcome()).step, HangUp)


def test_silence_and_other_keys_end_it_after_some_tries() -> None:
    silent = after(*[NOTHING, RecordOutcome("", 0)] * MAX_TRIES)
    pressed = after(NOTHING, SAID, *[press("7")] * MAX_TRIES)
    for decision in (silent, pressed):
        assert decision.step == Play((Speech(PHRASES["en"].not_kept, "en"),))
    assert isinstance(after(NOTHING, SAID, *[press("7")] * (MAX_TRIES - 1)).step, Gather)


def test_a_language_without_words_is_english_and_a_dialect_keeps_its_voice() -> None:
    assert after(task=Task("es", 1000, {})).step == Gather((Speech(PHRASES["en"].speak, "en"),), 1, first_digit_timeout_ms=100)
    assert after(task=Task("fr-CH", 1000, {})).step == Gather((Speech(PHRASES["fr"].speak, "fr-CH"),), 1, first_digit_timeout_ms=100)


def test_a_cursor_that_is_not_ours_is_refused_and_an_outcome_out_of_place_ends_the_call() -> None:
    with pytest.raises(ValueError):
        advance(TASK, b"[]", NOTHING)
    with pytest.raises(ValueError):
        advance(TASK, b'{"state": "dancing", "object": "", "tries": 0}', NOTHING)
    assert isinstance(after(SAID).step, HangUp)
