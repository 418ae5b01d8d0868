"""Hold: a leg that does not want to hear the other side lets it hear music.

Invariant: while two legs talk, a leg hears music exactly as long as the other one holds; whoever leaves the talk stops the music first.
"""

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs
from carillon_media.domain.state import CALLER, CallState, Phase, Talking


def on_reoffered(call: CallState, phase: Phase, given: inputs.LegReoffered) -> None:
    """A phone holds or resumes (RFC 3264 section 8.4), or only refreshes what it offered before."""
    leg = call.legs.get(given.leg_id)
    if leg is None or leg.state != "answered":
        return
    call.do(outputs.AcceptReoffer(leg.leg_id))
    if leg.held == given.on_hold:
        return
    leg.held = given.on_hold
    call.journal(events.LegHeld() if given.on_hold else events.LegResumed(), leg.leg_id)
    if isinstance(phase, Talking):
        other_id = other_than(phase, leg.leg_id)
        if given.on_hold:
            _play(call, other_id)
        else:
            call.do(outputs.StopPlay(other_id))


def other_than(phase: Talking, leg_id: str) -> str:
    """Who the leg talks with."""
    return CALLER if leg_id == phase.peer else phase.peer


def begin(call: CallState, phase: Talking) -> None:
    """Two legs were joined, one of which may hold already; or the media plane is a new process."""
    for leg_id in (CALLER, phase.peer):
        if call.legs[leg_id].held:
            _play(call, other_than(phase, leg_id))


def leave(call: CallState, phase: Talking) -> None:
    """The two legs part: nobody is left with music."""
    for leg_id in (CALLER, phase.peer):
        other = call.legs[other_than(phase, leg_id)]
        if call.legs[leg_id].held and other.state == "answered":
            call.do(outputs.StopPlay(other.leg_id))


def _play(call: CallState, leg_id: str) -> None:
    call.do(outputs.PlayMusic(leg_id, call.name("music")))
