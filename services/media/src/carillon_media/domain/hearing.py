"""Tones in what trunks say, in the first seconds of each leg: of the network (busy, ringback, SIT) and of fax machines (CNG, CED).

Invariant: each tone that is heard is an event; a calling fax machine's (CNG) sends a call from a trunk to its number's fax destination
at most once, whatever step the call is in, out of a queue too, unless it is parked, sent elsewhere or in a conference.
"""

from dataclasses import replace

from carillon_contracts import call as events
from carillon_media.domain import holding, inputs, outputs, ringing, talk_recording, waiting
from carillon_media.domain.causes import NORMAL_CLEARING
from carillon_media.domain.state import (
    CALLER,
    LISTENING,
    Asking,
    CallState,
    Gathering,
    Leg,
    Phase,
    Playing,
    Recording,
    Ringing,
    Talking,
    Waiting,
)
from carillon_media.domain.steps import Entered

#: Longer than any recording: what is recorded of a fax machine is not kept.
_NOTHING_KEPT_MS = 1 << 40
#: The argument by which routing knows why it is asked again.
HEARD_FAX = {"heard": "cng"}


def on_timer(call: CallState, fired: inputs.TimerFired) -> None:
    """The first seconds of a leg are over."""
    leg = call.legs.get(fired.name.removeprefix(LISTENING))
    if leg is not None and leg.state != "ended":
        call.do(outputs.ListenTo(leg.leg_id, ()))


def restore(call: CallState) -> None:
    """The media plane is new: what is still listened to is listened to there."""
    for leg in call.legs.values():
        if f"{LISTENING}{leg.leg_id}" in call.timers and leg.state != "ended":
            call.listen_on(leg)


def on_tone(call: CallState, phase: Phase, given: inputs.ToneHeard) -> None:
    """An event, and perhaps the call's way to the fax."""
    leg = call.legs.get(given.leg_id)
    if leg is None or leg.state == "ended":
        return
    call.journal(events.ToneDetected(tone=given.tone), leg.leg_id)
    if given.tone == "cng" and _sends_to_fax(call, leg):
        if isinstance(phase, Asking):
            call.fax = "heard"
        elif _leaves(call, phase):
            switch(call)


def _sends_to_fax(call: CallState, leg: Leg) -> bool:
    facts, reach = call.facts, call.reach
    here = leg.leg_id == CALLER == call.anchor and facts.direction == "inbound" and call.transfer is None
    return here and not call.fax and not call.orphaned and reach is not None and reach.takes_faxes(facts.tenant, facts.dialled)


def switch(call: CallState) -> None:
    """Routing is asked anew, and says where the number's faxes go."""
    waiting.stop_music(call)
    call.fax, call.typed, call.patience = "switched", "", None
    call.ask_first(Entered(HEARD_FAX))


def _leaves(call: CallState, phase: Phase) -> bool:
    """End what the step does; False: it is one that is not left."""
    match phase:
        case Playing():
            call.journal(events.PlayEnded(duration_ms=max(0, round((call.now - phase.began) * 1000))))
            call.do(outputs.StopPlay(call.anchor))
        case Gathering():
            call.do(outputs.CancelTimer(phase.timer))
            call.do(outputs.StopPlay(call.anchor))
            call.journal(events.DigitsGathered(digits=None if phase.step.secret else phase.digits, timed_out=False))
        case Recording():
            _forget_tape(call, phase)
        case Waiting():
            waiting.leave(call, phase)
            call.do(outputs.StopPlay(call.anchor))
            call.music = False
            call.journal(events.WaitEnded(end="tone"))
        case Talking():
            _part(call, phase)
        case Ringing():
            ringing.give_up(call, phase)
        case _:
            return False
    return True


def _forget_tape(call: CallState, phase: Recording) -> None:
    call.do(outputs.CancelTimer(phase.timer))
    call.do(outputs.StopPlay(call.anchor))
    tape = call.tapes.get(phase.recording_id)
    if tape is not None:
        call.tapes[tape.recording_id] = replace(tape, min_ms=_NOTHING_KEPT_MS)
        call.stop_tapes(call.anchor)


def _part(call: CallState, phase: Talking) -> None:
    """Who answered the fax machine is let go."""
    holding.leave(call, phase)
    talk_recording.leave(call, phase, goes_on=False)
    call.end_leg(call.legs[phase.peer], NORMAL_CLEARING, "system")
    call.do(outputs.UnbridgeLeg(call.anchor))
