"""The steps in which the caller hears prompts: play, gather, record.

What the caller presses while no gather listens is kept for the next one, so that whoever knows a menu may type ahead; any other step
that takes the caller's time forgets it. Digits are in no event before the gather that takes them says whether they are secret.
"""

from dataclasses import replace

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs, taping
from carillon_media.domain.causes import NORMAL_CLEARING
from carillon_media.domain.state import CallState, Gathering, Phase, Playing, Recording, Tape
from carillon_media.domain.steps import (
    Beep,
    Gather,
    GatherOutcome,
    Outcome,
    Play,
    PlayOutcome,
    Prompt,
    Record,
    RecordOutcome,
    Silence,
)

_MIN_TIMEOUT_MS = 100
_MAX_DIGITS = 64
#: Digits typed ahead that are kept; more are not.
MAX_TYPED = 32
#: Seconds in which a finish digit still belongs to digits that were complete without it.
TRAILING_SECONDS = 1.5

#: Between our 200 and its ACK a phone may not listen yet: no first word is clipped.
_SETTLING = Silence(200)


def _answer(call: CallState, prompts: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
    """Answer if need be; the prompts as they are to be played now."""
    return (_SETTLING, *prompts) if call.answer_caller() and prompts else prompts


def begin_play(call: CallState, step: Play) -> None:
    """Answer, then play."""
    prompts = _answer(call, step.prompts)
    play_id = call.name("play")
    call.phase = Playing(play_id, call.now, prompts)
    call.do(outputs.PlayTo(call.anchor, play_id, prompts))


def on_played(call: CallState, phase: Playing, played: inputs.PlayFinished) -> None:
    """The prompts are over."""
    if played.play_id == phase.play_id:
        call.journal(events.PlayEnded(duration_ms=played.played_ms))
        _next(call, PlayOutcome())


def play_again(call: CallState, phase: Playing) -> None:
    """The media plane is new: from the beginning."""
    if not phase.prompts:
        on_played(call, phase, inputs.PlayFinished(phase.play_id, 0))
        return
    play_id = call.name("play")
    call.phase = replace(phase, play_id=play_id)
    call.do(outputs.PlayTo(call.anchor, play_id, phase.prompts))


def begin_gather(call: CallState, step: Gather) -> None:
    """Answer, take what was typed ahead, else play; wait for digits."""
    prompts = _answer(call, step.prompts)
    timer = call.name("gather")
    if call.typed:
        _take_typed(call, Gathering(step, "", timer))
    elif prompts:
        play_id = call.name("play")
        call.phase = Gathering(step, play_id, timer)
        call.do(outputs.PlayTo(call.anchor, play_id, prompts, barge_in=True))
    else:
        call.phase = Gathering(step, "", timer)
        _arm(call, timer, step.first_digit_timeout_ms)


def on_gather_played(call: CallState, phase: Gathering, played: inputs.PlayFinished) -> None:
    """The time for the first digit runs from the end of the prompts."""
    if played.play_id == phase.play_id:
        call.phase = replace(phase, play_id="")
        if not phase.digits:
            _arm(call, phase.timer, phase.step.first_digit_timeout_ms)


def ask_again(call: CallState, phase: Gathering) -> None:
    """The media plane is new: what was being said is said from the beginning."""
    if phase.play_id:
        play_id = call.name("play")
        call.phase = replace(phase, play_id=play_id)
        call.do(outputs.PlayTo(call.anchor, play_id, phase.step.prompts, barge_in=True))


def _take_typed(call: CallState, phase: Gathering) -> None:
    """As if they were pressed now; what is left over waits for the gather after this one."""
    listening: Phase = phase
    while call.typed and isinstance(listening, Gathering):
        digit, call.typed = call.typed[0], call.typed[1:]
        _press(call, listening, digit)
        listening = call.phase


def on_typed_ahead(call: CallState, phase: Phase, pressed: inputs.DigitPressed) -> None:
    """A digit of the caller while nobody listens for one."""
    if pressed.leg_id == call.anchor and len(call.typed) < MAX_TYPED and not _is_trailing(call, pressed.digit):
        call.typed += pressed.digit


def on_digit(call: CallState, phase: Gathering, pressed: inputs.DigitPressed) -> None:
    """A digit of the caller; the first one stops the prompts."""
    if pressed.leg_id == call.anchor and not _is_trailing(call, pressed.digit):
        _press(call, phase, pressed.digit)


def _is_trailing(call: CallState, digit: str) -> bool:
    """The habitual `#` after digits that were complete already; the first digit of whatever kind ends the wait for it."""
    expected, call.trailing = call.trailing, ""
    return digit in expected and call.now <= call.trailing_until


def _press(call: CallState, phase: Gathering, digit: str) -> None:
    step = phase.step
    if phase.play_id:
        call.do(outputs.StopPlay(call.anchor))
    if digit in step.finish_digits:
        _gathered(call, phase, phase.digits, timed_out=False)
        return
    digits = phase.digits + digit
    if len(digits) >= min(max(1, step.max_digits), _MAX_DIGITS):
        if len(digits) > 1:
            call.trailing, call.trailing_until = step.finish_digits, call.now + TRAILING_SECONDS
        _gathered(call, phase, digits, timed_out=False)
        return
    call.phase = replace(phase, digits=digits, play_id="")
    _arm(call, phase.timer, step.inter_digit_timeout_ms)


def on_gather_timer(call: CallState, phase: Gathering, fired: inputs.TimerFired) -> None:
    """No more digits come."""
    if fired.name == phase.timer:
        _gathered(call, phase, phase.digits, timed_out=True)


def _gathered(call: CallState, phase: Gathering, digits: str, *, timed_out: bool) -> None:
    call.do(outputs.CancelTimer(phase.timer))
    call.journal(events.DigitsGathered(digits=None if phase.step.secret else digits, timed_out=timed_out))
    _next(call, GatherOutcome(digits, timed_out))


def begin_record(call: CallState, step: Record) -> None:
    """Answer, beep, record."""
    beep = _answer(call, (Beep(),))
    call.stop_tapes(call.anchor)
    tape = taping.prepare(call, call.anchor, step.labels, step.min_ms)
    recording_id, timer = tape.recording_id, call.name("record")
    if step.beep:
        beep_id = call.name("play")
        call.phase = Recording(step, recording_id, beep_id, timer)
        call.do(outputs.PlayTo(call.anchor, beep_id, beep))
    else:
        _record(call, Recording(step, recording_id, "", timer))


def on_beeped(call: CallState, phase: Recording, played: inputs.PlayFinished) -> None:
    """The beep is over: now they may speak."""
    if phase.beep_id and played.play_id == phase.beep_id:
        _record(call, replace(phase, beep_id=""))


def _record(call: CallState, phase: Recording) -> None:
    step = phase.step
    call.phase = phase
    tape = Tape(phase.recording_id, call.anchor, step.min_ms, step.labels)
    call.start_tape(tape, step.max_ms, step.silence_ms, step.finish_digits)
    call.do(outputs.SetTimer(phase.timer, call.now + step.max_ms / 1000 + call.limits.grace_seconds))


def on_record_digit(call: CallState, phase: Recording, pressed: inputs.DigitPressed) -> None:
    """A key that ends the recording. The plane has ended it already if it was in the audio; of one by INFO it knows nothing."""
    if pressed.leg_id == call.anchor and pressed.digit in phase.step.finish_digits and not phase.beep_id:
        call.phase = replace(phase, finished=True)
        call.stop_tapes(call.anchor)


def on_recorded(call: CallState, phase: Recording, finished: inputs.RecordingFinished) -> None:
    """The recording ended while the caller is there."""
    if phase.finished and finished.reason == "stopped":
        finished = replace(finished, reason="digit")
    kept = taping.keep(call, finished)
    if finished.recording_id == phase.recording_id and not phase.beep_id:
        call.do(outputs.CancelTimer(phase.timer))
        if finished.reason == "digit" and not phase.finished:
            # The plane ends the recording at the digit's beginning, and tells the digit at its end.
            call.trailing, call.trailing_until = phase.step.finish_digits, call.now + TRAILING_SECONDS
        _next(call, RecordOutcome(kept, finished.duration_ms))


def on_record_timer(call: CallState, phase: Recording, fired: inputs.TimerFired) -> None:
    """The plane never said that the recording ended: go on without it."""
    if fired.name == phase.timer:
        call.do(outputs.StopRecording(call.anchor, phase.recording_id))
        call.tapes.pop(phase.recording_id, None)
        _next(call, RecordOutcome("", 0))


def _next(call: CallState, outcome: Outcome) -> None:
    if call.orphaned:
        call.finish(NORMAL_CLEARING, "system")
    else:
        call.ask(outcome)


def _arm(call: CallState, timer: str, timeout_ms: int) -> None:
    call.do(outputs.SetTimer(timer, call.now + max(timeout_ms, _MIN_TIMEOUT_MS) / 1000))
