"""What people and programs ask of a call that is up: answer, hang up, hold, transfer, park, send digits, play, record, open a door.

Invariant: a request is refused with a reason and changes nothing, or is done and is an event that says who asked; digits are in no event.
"""

from collections.abc import Callable, Mapping
from typing import Any

from carillon_contracts import call as events
from carillon_media.domain import holding, inputs, outputs, pressing, ringing, talk_recording, transferring
from carillon_media.domain.state import CallState, Leg, Over, Phase, Ringing, Talking
from carillon_media.domain.steps import TalkTape

NOT_TALKING = "nobody talks in this call now"
NOT_RECORDED = "the call is not recorded"
Refusal = str


def refusal(call: CallState, given: inputs.Request) -> Refusal:
    """Why it cannot be done now; empty: it can. An unknown leg is the caller of this function's affair."""
    if isinstance(call.phase, Over):
        return "the call is over"
    match given:
        case inputs.HangUpRequested():
            return ""
        case inputs.StopRecordRequested():
            return "" if call.running_tapes else NOT_RECORDED
    phase = call.phase
    if isinstance(given, inputs.AnswerRequested):
        rung = call.legs.get(given.leg_id)
        rings = isinstance(phase, Ringing) and rung is not None and rung.state == "ringing" and not rung.is_trunk
        return "" if rings else f"leg {given.leg_id} is no phone that rings"
    if not isinstance(phase, Talking):
        return NOT_TALKING
    match given:
        case inputs.PauseRecordRequested():
            state = "is" if given.paused else "is not"
            return NOT_RECORDED if not call.running_tapes else "" if call.tape_paused != given.paused else f"the recording {state} paused"
        case inputs.RecordRequested():
            return "the call is recorded already" if call.running_tapes else ""
        case inputs.PlayRequested(leg_id=""):
            return "a side of the call is on hold" if _any_held(call, phase) else ""
    leg = call.legs.get(given.leg_id)
    if leg is None or leg.leg_id not in (call.anchor, phase.peer):
        return f"leg {given.leg_id} does not talk"
    return _refuses(call, phase, leg, given)


def _refuses(
    call: CallState,
    phase: Talking,
    leg: Leg,
    given: inputs.HoldRequested
    | inputs.TransferRequested
    | inputs.ParkRequested
    | inputs.DigitsRequested
    | inputs.PlayRequested
    | inputs.OpenDoorRequested,
) -> Refusal:
    match given:
        case inputs.HoldRequested(on=True):
            return f"leg {leg.leg_id} holds already" if leg.held else ""
        case inputs.HoldRequested():
            return "" if leg.held_by_request else f"leg {leg.leg_id} is not on hold by request"
        case inputs.TransferRequested() | inputs.ParkRequested():
            by = call.legs[holding.other_than(call, phase, leg.leg_id)]
            return "" if transferring.transfers(call, phase, by) else f"leg {by.leg_id} is no user in whose name the call could go on"
        case _:
            return "a side of the call is on hold" if _any_held(call, phase) else ""


def _any_held(call: CallState, phase: Talking) -> bool:
    return call.legs[call.anchor].held or call.legs[phase.peer].held


def on_request(call: CallState, phase: Phase, given: inputs.Request) -> None:
    """Do it, unless it is refused."""
    if refusal(call, given):
        return
    action, details = _described(given)
    leg_id = getattr(given, "leg_id", "") or None
    call.journal(events.CallControlled(action=action, requested_by=given.requested_by, details=details), leg_id)
    _DO[type(given)](call, phase, given)


def _described(given: inputs.Request) -> tuple[events.ControlAction, dict[str, str]]:
    match given:
        case inputs.HangUpRequested():
            return "hang_up", {"cause": given.cause}
        case inputs.HoldRequested():
            return "hold" if given.on else "resume", {}
        case inputs.TransferRequested():
            return "transfer", {"destination": given.destination}
        case inputs.DigitsRequested():
            return "send_digits", {"count": str(len(given.digits))}
        case inputs.PlayRequested():
            return "play", {}
        case inputs.RecordRequested():
            return "start_recording", dict(given.labels)
        case inputs.StopRecordRequested():
            return "stop_recording", {}
        case inputs.PauseRecordRequested():
            return "pause_recording" if given.paused else "resume_recording", {}
        case inputs.AnswerRequested():
            return "answer", {}
        case inputs.ParkRequested():
            return "park", {"destination": given.destination}
        case inputs.OpenDoorRequested():
            return "open_door", {}


def _hang_up(call: CallState, phase: Phase, given: inputs.HangUpRequested) -> None:
    call.finish(given.cause, "system")


def _hold(call: CallState, phase: Talking, given: inputs.HoldRequested) -> None:
    (holding.hold if given.on else holding.resume)(call, phase, call.legs[given.leg_id])


def _transfer(call: CallState, phase: Talking, given: inputs.TransferRequested) -> None:
    by = call.legs[holding.other_than(call, phase, given.leg_id)]
    transferring.begin(call, phase, by, given.destination, given.requested_by, release=True)


def _digits(call: CallState, phase: Talking, given: inputs.DigitsRequested) -> None:
    call.do(outputs.SendDigits(given.leg_id, call.name("digits"), given.digits, given.manner))


def _answer(call: CallState, phase: Ringing, given: inputs.AnswerRequested) -> None:
    ringing.answer_by_itself(call, phase, call.legs[given.leg_id])


def _park(call: CallState, phase: Talking, given: inputs.ParkRequested) -> None:
    by = call.legs[holding.other_than(call, phase, given.leg_id)]
    transferring.begin(call, phase, by, given.destination, given.requested_by, release=False)


def _open_door(call: CallState, phase: Talking, given: inputs.OpenDoorRequested) -> None:
    pressing.open_door(call, call.legs[given.leg_id], given.lock_digits, given.requested_by)


def _play(call: CallState, phase: Talking, given: inputs.PlayRequested) -> None:
    for leg_id in (given.leg_id,) if given.leg_id else (call.anchor, phase.peer):
        call.do(outputs.PlayTo(leg_id, call.name("say"), given.prompts))


def _record(call: CallState, phase: Talking, given: inputs.RecordRequested) -> None:
    talk_recording.start(
        call, phase, TalkTape(given.labels, given.max_ms, given.sides, talk_recording.TONE_MS if given.tone else 0, asked=True)
    )


def _pause_recording(call: CallState, phase: Phase, given: inputs.PauseRecordRequested) -> None:
    call.pause_tapes(given.paused)


def _stop_recording(call: CallState, phase: Phase, given: inputs.StopRecordRequested) -> None:
    for tape in call.running_tapes:
        call.stop_tapes(tape.leg_id)


_DO: Mapping[type, Callable[[CallState, Any, Any], None]] = {
    inputs.HangUpRequested: _hang_up,
    inputs.HoldRequested: _hold,
    inputs.TransferRequested: _transfer,
    inputs.DigitsRequested: _digits,
    inputs.PlayRequested: _play,
    inputs.RecordRequested: _record,
    inputs.StopRecordRequested: _stop_recording,
    inputs.PauseRecordRequested: _pause_recording,
    inputs.AnswerRequested: _answer,
    inputs.ParkRequested: _park,
    inputs.OpenDoorRequested: _open_door,
}
