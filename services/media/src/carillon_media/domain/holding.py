"""Hold: a leg that does not want to hear the other side lets it hear music.

Invariant: while two legs talk, a leg hears music exactly as long as the other one holds; whoever leaves the talk stops the music first.
"""

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs, reminding
from carillon_media.domain.state import CALLER, CallState, Leg, Phase, Talking


def on_reoffered(call: CallState, phase: Phase, given: inputs.LegReoffered) -> None:
    """A phone holds or resumes (RFC 3264 section 8.4), or only refreshes what it offered before."""
    leg = call.legs.get(given.leg_id)
    if leg is None or leg.state != "answered":
        return
    turns = leg.held != given.on_hold and not leg.held_by_request
    if turns:
        _turn(call, leg, given.on_hold)
    listener = other_than(call, phase, leg.leg_id) if turns and isinstance(phase, Talking) else None
    if listener is not None and not given.on_hold:
        # Before the 200: the first word after it must not fall under the music.
        call.do(outputs.StopPlay(listener))
    call.do(outputs.AcceptReoffer(leg.leg_id))
    if listener is not None and given.on_hold:
        _play(call, listener, leg)
    if turns and isinstance(phase, Talking):
        reminding.turned(call, phase, leg)


def hold(call: CallState, phase: Talking, leg: Leg) -> None:
    """As if the leg's phone held, though it knows nothing of it: it hears silence, the other side music."""
    leg.held_by_request = True
    _turn(call, leg, True)
    call.do(outputs.UnbridgeLeg(leg.leg_id))
    _music(call, phase, leg)
    reminding.turned(call, phase, leg)


def resume(call: CallState, phase: Talking, leg: Leg) -> None:
    """The end of `hold`."""
    leg.held_by_request = False
    _turn(call, leg, False)
    _music(call, phase, leg)
    reminding.turned(call, phase, leg)
    call.do(outputs.BridgeLegs(call.anchor, phase.peer))


def _turn(call: CallState, leg: Leg, held: bool) -> None:
    leg.held = held
    call.journal(events.LegHeld() if held else events.LegResumed(), leg.leg_id)


def _music(call: CallState, phase: Talking, leg: Leg) -> None:
    other_id = other_than(call, phase, leg.leg_id)
    if leg.held:
        _play(call, other_id, leg)
    else:
        call.do(outputs.StopPlay(other_id))


def other_than(call: CallState, phase: Talking, leg_id: str) -> str:
    """Who the leg talks with."""
    return call.anchor if leg_id == phase.peer else phase.peer


def begin(call: CallState, phase: Talking) -> None:
    """Two legs were joined, one of which may hold already; or the media plane is a new process."""
    for leg_id in (call.anchor, phase.peer):
        if call.legs[leg_id].held:
            _play(call, other_than(call, phase, leg_id), call.legs[leg_id])
            reminding.turned(call, phase, call.legs[leg_id])


def leave(call: CallState, phase: Talking) -> None:
    """The two legs part: nobody is left with music, or reminded."""
    reminding.leave(call, phase)
    for leg_id in (call.anchor, phase.peer):
        other = call.legs[other_than(call, phase, leg_id)]
        if call.legs[leg_id].held and other.state == "answered":
            call.do(outputs.StopPlay(other.leg_id))
        if call.legs[leg_id].held_by_request:
            call.legs[leg_id].held_by_request = False
            _turn(call, call.legs[leg_id], False)


def _play(call: CallState, leg_id: str, holder: Leg) -> None:
    whose = call.facts.caller_user_id if holder.leg_id == CALLER else holder.party
    call.do(outputs.PlayMusic(leg_id, call.name("music"), whose or ""))
