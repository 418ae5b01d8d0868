"""Deflection: a called phone answers 3xx, and what it names is called in its user's name, in its place.

Invariant: the phone's word is only dialled, never followed as an address; the rest of the timetable goes on meanwhile; phones that send a
call round in circles run into `Limits.max_deflections`.
"""

from dataclasses import replace

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs, ringing
from carillon_media.domain.state import FIRST_APPLICATION, CallState, Ringing
from carillon_media.domain.steps import Entered, HangUp, Ring, Step

#: Why a leg ended whose phone named another destination.
DEFLECTED = "deflected"
#: What a phone's 3xx means when nobody is called instead.
REFUSED_STATUS = 480


def on_deflected(call: CallState, phase: Ringing, given: inputs.LegDeflected) -> None:
    """Ask where what the phone named leads to, or take the answer as a refusal."""
    leg, target = call.legs.get(given.leg_id), phase.table.of_leg(given.leg_id)
    if leg is None or target is None or leg.state == "ended":
        return
    returning = call.transfer is not None and call.transfer.returning
    user = bool(leg.party) and not leg.is_trunk
    if not user or returning or call.orphaned or call.deflected >= call.limits.max_deflections:
        ringing.on_refused(call, phase, inputs.LegRefused(leg.leg_id, REFUSED_STATUS))
        return
    call.deflected += 1
    call.question += 1
    place = f"deflection-{call.question}"
    phase.table.hand_on(leg.leg_id, place)
    call.journal(events.LegDeflected(destination=given.destination, party=leg.party, kept_number=call.facts.caller), leg.leg_id)
    call.end_leg(leg, DEFLECTED, "callee", status=given.status, gone=True)
    facts = replace(
        call.facts,
        direction="from_user",
        caller=leg.number,
        caller_name="",
        caller_user_id=leg.party,
        dialled=given.destination,
        trunk_id=None,
        device_user="",
        device="",
    )
    call.deflections[call.question] = (place, facts)
    call.do(outputs.Ask(call.question, FIRST_APPLICATION, b"", Entered({"deflected_by": leg.party}), facts))


def takes_over(phase: Ringing, place: str, step: Step) -> bool:
    """Whether the step can take the place of the whole: it goes somewhere, and nobody else rings or is still to ring."""
    lines = [target for target in phase.table.targets if target.state != "done"]
    return not isinstance(step, HangUp) and [tuple(target.legs) for target in lines] == [(place,)]


def instead(call: CallState, phase: Ringing, place: str, step: Step) -> None:
    """The step in place of one leg; only who can be rung beside others is."""
    if isinstance(step, Ring):
        ringing.ring_in_place(call, phase, place, step)
    else:
        ringing.lead_nowhere(call, phase, place, "rejected")


def on_undecided(call: CallState, phase: Ringing, given: inputs.Undecided) -> None:
    """Nobody says where it leads."""
    place, _ = call.deflections.pop(given.question, ("", None))
    if phase.table.of_leg(place) is not None:
        ringing.lead_nowhere(call, phase, place, "congested")
