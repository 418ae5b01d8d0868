"""The wait step: prompts once, then music until the application signals, a digit leaves, or the time is over.

Invariant: from one wait step to the next, and to a ring step with music, the music goes on without a new beginning; while nobody answers
what comes after a wait, the caller waits on and it is asked again, for `PATIENCE_SECONDS`; after other steps, and at the beginning of a
call, for some seconds if no replica of the application is there: one that was killed comes back.
"""

from dataclasses import replace
from typing import Literal

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs
from carillon_media.domain.state import Asking, CallState, Patience, Waiting
from carillon_media.domain.steps import Outcome, Ring, Silence, Step, Wait, WaitOutcome

#: An application that wants less would be asked all the time.
_MIN_WAIT_MS = 500
#: How long a caller who waits is not given up when no replica of the application answers, and how often one is asked.
PATIENCE_SECONDS = 120.0
AGAIN_SECONDS = 1.0
#: The same for a call under way that does not wait, and for one that begins.
GOING_ON_SECONDS = 30.0
BEGINNING_SECONDS = 5.0
_SETTLING = Silence(200)


def begin(call: CallState, step: Wait) -> None:
    """Answer if need be; prompts, then music; the signal is waited for meanwhile. A quiet step does neither."""
    answered_now = False if step.quiet else call.answer_caller()
    prompts = (_SETTLING, *step.prompts) if answered_now and step.prompts else step.prompts
    wait_id, play_id = call.name("wait"), ""
    if step.quiet:
        _ring_unanswered(call)
    elif prompts:
        play_id, call.music = call.name("play"), False
        call.do(outputs.PlayTo(call.anchor, play_id, prompts))
    else:
        play_music(call, step.music_id)
    call.phase = Waiting(step, wait_id, play_id)
    call.do(outputs.SetTimer(wait_id, call.now + max(step.max_ms, _MIN_WAIT_MS) / 1000))
    if step.signalled:
        call.do(outputs.AwaitSignal(wait_id, call.application, call.cursor, call.asks_as))


def _ring_unanswered(call: CallState) -> None:
    """Who is not answered hears its phone's ringing tone, once it has it."""
    caller = call.legs[call.anchor]
    if caller.state != "answered" and not call.rang_caller:
        call.do(outputs.RingCaller())
        call.rang_caller, caller.state = True, "ringing"


def play_music(call: CallState, playlist_id: str) -> None:
    """Unless it plays already; empty: the tenant's."""
    if not call.music or call.music_id != playlist_id:
        call.music, call.music_id = True, playlist_id
        call.do(outputs.PlayMusic(call.anchor, call.name("music"), playlist_id=playlist_id))


def before(call: CallState, step: Step) -> None:
    """Another step begins: the music ends with the waiting."""
    call.patience = None
    if call.music and not isinstance(step, Wait) and not (isinstance(step, Ring) and step.music):
        stop_music(call)


def stop_music(call: CallState) -> None:
    """If it plays."""
    if call.music:
        call.music = False
        call.do(outputs.StopPlay(call.anchor))


def on_played(call: CallState, phase: Waiting, played: inputs.PlayFinished) -> None:
    """After the prompts, music."""
    if phase.play_id and played.play_id == phase.play_id:
        call.phase = replace(phase, play_id="")
        play_music(call, phase.step.music_id)


def on_digit(call: CallState, phase: Waiting, pressed: inputs.DigitPressed) -> None:
    """Digits that do not leave are not for anybody."""
    if pressed.leg_id == call.anchor and pressed.digit in phase.step.leave_digits:
        _over(call, phase, "digit", pressed.digit)


def on_signalled(call: CallState, phase: Waiting, given: inputs.Signalled) -> None:
    """The application wants to be asked."""
    if given.wait_id == phase.wait_id:
        _over(call, phase, "signalled")


def on_timer(call: CallState, phase: Waiting, fired: inputs.TimerFired) -> None:
    """The step's time is over."""
    if fired.name == phase.wait_id:
        _over(call, phase, "timed_out")


def _over(call: CallState, phase: Waiting, end: Literal["timed_out", "signalled", "digit"], digit: str = "") -> None:
    leave(call, phase)
    call.journal(events.WaitEnded(end=end, digit=digit))
    ask_patiently(call, WaitOutcome(end, digit))


def leave(call: CallState, phase: Waiting) -> None:
    """Nothing is waited for any more."""
    call.do(outputs.CancelTimer(phase.wait_id))
    if phase.step.signalled:
        call.do(outputs.StopAwaiting(phase.wait_id))


def ask_patiently(call: CallState, outcome: Outcome) -> None:
    """Ask what comes next; if nobody answers, again."""
    call.patience = Patience(outcome, call.now + PATIENCE_SECONDS, call.name("patience"))
    call.ask(outcome)


def again_later(call: CallState, *, passing: bool) -> bool:
    """Nobody has answered: whether the caller waits on. Who was sent here by a transfer goes back to who sent it instead."""
    if call.patience is None and passing and call.unanswered is not None and call.transfer is None:
        seconds = GOING_ON_SECONDS if call.steps else BEGINNING_SECONDS
        call.patience = Patience(call.unanswered.outcome, call.now + seconds, call.name("patience"))
    if call.patience is None or call.now >= call.patience.until:
        return False
    call.do(outputs.SetTimer(call.patience.timer, call.now + AGAIN_SECONDS))
    return True


def on_patience(call: CallState, phase: Asking, fired: inputs.TimerFired) -> None:
    """Ask again."""
    if call.patience is not None and fired.name == call.patience.timer:
        call.ask(call.patience.outcome)


def restore(call: CallState) -> None:
    """The media plane is new: what was heard begins again, prompts excepted."""
    playlist_id = call.music_id
    if isinstance(call.phase, Waiting) and not call.phase.step.quiet:
        call.phase, playlist_id = replace(call.phase, play_id=""), call.phase.step.music_id
    elif not call.music:
        return
    call.music = False
    play_music(call, playlist_id)
