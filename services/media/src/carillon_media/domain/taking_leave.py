"""The end of a call that is told why first: music or words before the refusal, without an answer where there was none.

Invariant: the call ends as its step says, whatever becomes of what is played, within `MAX_SECONDS`.
"""

from collections.abc import Callable
from dataclasses import replace

from carillon_media.domain import inputs, outputs
from carillon_media.domain.state import CallState, TakingLeave
from carillon_media.domain.steps import HangUp

MAX_SECONDS = 30.0
End = Callable[[CallState, HangUp], None]


def begin(call: CallState, step: HangUp) -> None:
    """Play; the call ends afterwards."""
    play_id = call.name("leave")
    call.phase = TakingLeave(step, play_id)
    call.do(outputs.SetTimer(play_id, call.now + MAX_SECONDS))
    if call.legs[call.anchor].state == "answered":
        call.do(outputs.PlayTo(call.anchor, play_id, step.prompts))
    else:
        call.do(outputs.PlayEarly(play_id, step.prompts))


def begin_again(call: CallState, phase: TakingLeave) -> None:
    """The media plane is new."""
    call.do(outputs.CancelTimer(phase.play_id))
    begin(call, phase.step)


def on_played(call: CallState, phase: TakingLeave, played: inputs.PlayFinished, end: End) -> None:
    """It was heard, or cannot be."""
    if played.play_id == phase.play_id:
        _over(call, phase, end)


def on_timer(call: CallState, phase: TakingLeave, fired: inputs.TimerFired, end: End) -> None:
    """Long enough."""
    if fired.name == phase.play_id:
        _over(call, phase, end)


def _over(call: CallState, phase: TakingLeave, end: End) -> None:
    call.do(outputs.CancelTimer(phase.play_id))
    end(call, replace(phase.step, prompts=()))
