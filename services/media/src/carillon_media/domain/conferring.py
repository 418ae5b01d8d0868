"""A call whose caller is in a conference room; the room itself is the node's, see `conference`.

Invariant: whoever has come in is told to have left, once, whatever ends it.
"""

from dataclasses import replace

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs
from carillon_media.domain.state import CallState, Conferring
from carillon_media.domain.steps import Conference, ConferenceOutcome

PATIENCE = 6.0


def begin(call: CallState, step: Conference) -> None:
    """Answer, ask to be let in."""
    call.answer_caller()
    call.phase = Conferring(step, call.name("room"))
    call.do(outputs.SetTimer(call.phase.timer, call.now + PATIENCE))
    call.do(outputs.EnterRoom(call.anchor, step))


def on_entered(call: CallState, phase: Conferring, given: inputs.RoomEntered) -> None:
    """In it; once more after the media plane was away."""
    if phase.meeting_id:
        return
    call.do(outputs.CancelTimer(phase.timer))
    call.phase = replace(phase, meeting_id=given.meeting_id)
    joined = events.ConferenceJoined(
        room_id=phase.step.room_id,
        meeting_id=given.meeting_id,
        display_name=phase.step.display_name,
        party=phase.step.party_name or call.legs[call.anchor].number,
        number=call.legs[call.anchor].number,
        creator=phase.step.creator,
        labels=dict(phase.step.labels),
    )
    call.journal(joined, call.anchor)


def on_out(call: CallState, phase: Conferring, given: inputs.RoomLeft) -> None:
    """Not let in, put out, or the room is closed: the application says what follows."""
    if phase.meeting_id:
        call.leave_room(phase, given.result)
    else:
        call.do(outputs.CancelTimer(phase.timer))
    call.ask(ConferenceOutcome(given.result))


def on_digit(call: CallState, phase: Conferring, pressed: inputs.DigitPressed) -> None:
    """Keys are the room's affair."""
    if pressed.leg_id == call.anchor and phase.meeting_id:
        call.do(outputs.PressInRoom(call.anchor, pressed.digit))


def on_timer(call: CallState, phase: Conferring, fired: inputs.TimerFired) -> None:
    """Nothing was heard of the room."""
    if fired.name == phase.timer and not phase.meeting_id:
        call.do(outputs.LeaveRoom(call.anchor))
        call.ask(ConferenceOutcome("failed"))


def on_restored(call: CallState, phase: Conferring, given: inputs.MediaRestored) -> None:
    """The new plane knows no rooms."""
    call.do(outputs.EnterRoom(call.anchor, phase.step, silent=True))
