"""Recording an announcement by phone: speak after the tone, hear it, keep it, hear it again, or speak anew.

Invariant: what is kept was heard by who kept it; who presses nothing, or hangs up, keeps nothing. Everything that the dialogue must
remember is in its cursor.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import orjson

from carillon_contracts.call import TraceLine
from carillon_media.domain.recording_phrases import RecordingPhrases, phrases_of
from carillon_media.domain.steps import (
    Gather,
    GatherOutcome,
    HangUp,
    Outcome,
    Play,
    Record,
    Recorded,
    RecordOutcome,
    Speech,
    Step,
)

KEEP, AGAIN, ANEW = "1", "2", "3"
FINISH = "#"
#: Times that nothing is said, or nothing that is known is pressed, before the call is ended.
MAX_TRIES = 3
#: What is shorter was no announcement.
MIN_MS = 500
#: Silence that ends a recording; longer than any pause for effect.
SILENCE_MS = 6000
CHOICE_MS = 8000
INTRODUCED_MS = 100
NORMAL_CLEARING = 16


class State(StrEnum):
    """Which outcome is awaited."""

    INTRODUCING = "introduced"
    RECORDING = "recorded"
    CHOOSING = "chosen"
    KEEPING = "kept"
    LEAVING = "left"


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be recorded. `labels` go into the recording's events."""

    language: str
    max_ms: int
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the dialogue is; `object`: what was said last."""

    state: State
    object: str = ""
    tries: int = 0

    def to_bytes(self) -> bytes:
        """JSON."""
        return orjson.dumps({"state": self.state, "object": self.object, "tries": self.tries})

    @classmethod
    def of(cls, raw: bytes) -> "Cursor":
        """What `to_bytes` made. Raises ValueError."""
        try:
            found = orjson.loads(raw)
            return cls(State(found["state"]), str(found["object"]), int(found["tries"]))
        except (KeyError, TypeError) as error:
            raise ValueError("not a cursor of this dialogue") from error


@dataclass(frozen=True, slots=True)
class Decision:
    """The next step; or `keep`, an object that is to be kept now, after which `kept` decides."""

    step: Step | None
    cursor: Cursor
    because: str
    keep: str = ""

    @property
    def trace(self) -> tuple[TraceLine, ...]:
        """Why, as the call's event has it."""
        return (TraceLine(subject="record by phone", matched=True, reason=self.because, next=self.cursor.state),)


def advance(task: Task, raw: bytes, outcome: Outcome) -> Decision:
    """What comes after this outcome; an outcome that does not belong here ends the call. Raises ValueError: the cursor is not ours."""
    language, words = phrases_of(task.language)
    if not raw:
        return _introduce(language, words, Cursor(State.INTRODUCING), "answered")
    cursor = Cursor.of(raw)
    match cursor.state, outcome:
        case State.INTRODUCING, GatherOutcome():
            return _record(task, cursor)
        case State.RECORDING, RecordOutcome(object=""):
            return _nothing_said(language, words, cursor)
        case State.RECORDING, RecordOutcome(object=found):
            return _choose(language, words, Cursor(State.CHOOSING, found), "recorded", hear=True)
        case State.CHOOSING, GatherOutcome(digits=digits):
            return _chosen(language, words, cursor, digits)
        case _:
            return Decision(HangUp(NORMAL_CLEARING), replace(cursor, state=State.LEAVING), "goodbye was said")


def kept(task: Task, error: str) -> Decision:
    """What was to be kept is kept; `error`: why it is not."""
    language, words = phrases_of(task.language)
    return _goodbye(language, words.not_kept if error else words.kept, f"not kept: {error}" if error else "kept")


def _introduce(language: str, words: RecordingPhrases, cursor: Cursor, because: str, before: str = "") -> Decision:
    said = tuple(Speech(text, language) for text in (before, words.speak) if text)
    # A gather, so that whoever knows it already presses any key.
    step = Gather(said, 1, first_digit_timeout_ms=INTRODUCED_MS)
    return Decision(step, replace(cursor, state=State.INTRODUCING), because)


def _record(task: Task, cursor: Cursor) -> Decision:
    step = Record(True, task.max_ms, SILENCE_MS, MIN_MS, FINISH, task.labels)
    return Decision(step, replace(cursor, state=State.RECORDING), "the tone")


def _nothing_said(language: str, words: RecordingPhrases, cursor: Cursor) -> Decision:
    tries = cursor.tries + 1
    if tries >= MAX_TRIES:
        return _goodbye(language, words.not_kept, f"nothing said {tries} times")
    return _introduce(language, words, replace(cursor, tries=tries), "nothing said", words.nothing)


def _choose(language: str, words: RecordingPhrases, cursor: Cursor, because: str, *, hear: bool) -> Decision:
    heard = (Recorded(cursor.object),) if hear else ()
    step = Gather((*heard, Speech(words.choose, language)), 1, first_digit_timeout_ms=CHOICE_MS)
    return Decision(step, cursor, because)


def _chosen(language: str, words: RecordingPhrases, cursor: Cursor, digits: str) -> Decision:
    if digits == KEEP:
        return Decision(None, replace(cursor, state=State.KEEPING), "to be kept", cursor.object)
    if digits == AGAIN:
        return _choose(language, words, replace(cursor, tries=0), "to be heard again", hear=True)
    if digits == ANEW:
        return _introduce(language, words, Cursor(State.INTRODUCING), "to be recorded anew")
    tries = cursor.tries + 1
    if tries >= MAX_TRIES:
        return _goodbye(language, words.not_kept, f"nothing chosen {tries} times")
    return _choose(language, words, replace(cursor, tries=tries), f"{digits or 'nothing'} pressed", hear=False)


def _goodbye(language: str, words: str, because: str) -> Decision:
    return Decision(Play((Speech(words, language),)), Cursor(State.LEAVING), because)
