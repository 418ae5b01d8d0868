"""Supervision: the caller of this call takes part in the talk of another one.

Invariant: whoever takes part is told in both calls, each time that it changes, and once that it is over; digits change to what is allowed.
"""

from collections.abc import Mapping
from dataclasses import replace

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs
from carillon_media.domain.state import CallState, Phase, Supervising
from carillon_media.domain.steps import Supervise, SuperviseMode, SuperviseOutcome

#: What the supervisor presses to change.
MODES: Mapping[str, SuperviseMode] = {"4": "listen", "5": "whisper", "6": "barge"}
PATIENCE = 6.0


def begin(call: CallState, step: Supervise) -> None:
    """Answer, look for the talk."""
    call.answer_caller()
    call.phase = Supervising(step, call.name("supervise"))
    call.do(outputs.SetTimer(call.phase.timer, call.now + PATIENCE))
    call.do(outputs.FindTalk(step.user_id))


def on_found(call: CallState, phase: Supervising, found: inputs.TalkFound) -> None:
    """Take part in it."""
    if phase.call_id:
        return
    call.do(outputs.CancelTimer(phase.timer))
    if not found.call_id:
        call.ask(SuperviseOutcome(False))
        return
    call.phase = replace(phase, call_id=found.call_id, leg_id=found.leg_id)
    _take_part(call, call.phase)


def _take_part(call: CallState, phase: Supervising) -> None:
    call.journal_supervised(phase, phase.step.mode)
    call.do(outputs.TakePart(call.anchor, phase.call_id, phase.leg_id, phase.step.mode))


def on_digit(call: CallState, phase: Supervising, pressed: inputs.DigitPressed) -> None:
    """Another way of taking part."""
    mode = MODES.get(pressed.digit)
    if pressed.leg_id != call.anchor or not phase.call_id or mode is None or mode == phase.step.mode or mode not in phase.step.allowed:
        return
    call.phase = replace(phase, step=replace(phase.step, mode=mode))
    _take_part(call, call.phase)


def on_ended(call: CallState, phase: Supervising, given: inputs.TalkEnded) -> None:
    """The talk is over, or cannot be heard."""
    if phase.call_id:
        call.journal_supervised(phase, "ended")
        call.do(outputs.PartFrom(call.anchor))
        call.ask(SuperviseOutcome(True))


def on_timer(call: CallState, phase: Supervising, fired: inputs.TimerFired) -> None:
    """Nothing was heard of the talk."""
    if fired.name == phase.timer and not phase.call_id:
        call.ask(SuperviseOutcome(False))


def go_on(call: CallState, phase: Supervising) -> None:
    """The media plane, or this process, is a new one: it knows of nobody who takes part."""
    if phase.call_id:
        call.do(outputs.TakePart(call.anchor, phase.call_id, phase.leg_id, phase.step.mode))


def on_supervised(call: CallState, phase: Phase, given: inputs.Supervised) -> None:
    """In the talk: somebody takes part, in another way, or no more."""
    leg = call.legs.get(given.leg_id)
    if leg is not None:
        supervised = events.CallSupervised(
            supervisor=given.supervisor, supervised=leg.party, mode=given.mode, other_call_id=given.by_call_id
        )
        call.journal(supervised, leg.leg_id)
