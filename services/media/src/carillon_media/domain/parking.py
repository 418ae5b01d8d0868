"""Parking: the anchor waits in a slot with music until somebody takes the call back.

Invariant: a slot holds one call; who parks a call is let go once it has heard the slot; a call leaves its slot by one `ParkEnded`.
"""

from dataclasses import replace
from typing import Literal

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs, talk_recording
from carillon_media.domain.state import CallState, Parked, Talking
from carillon_media.domain.steps import Park, ParkOutcome, Prompt, Ring, RingOutcome, Silence, Speech

#: Between two digits of a slot, so that it is spoken digit by digit.
_SPOKEN = ", "
_SETTLING = Silence(200)


def begin(call: CallState, step: Park) -> None:
    """Take the first free slot, or say that there is none."""
    taken = call.reach.taken_slots(call.facts.tenant) if call.reach is not None else ()
    slot = next((each for each in step.slots if each not in taken), "")
    if not slot:
        call.ask(ParkOutcome("no_slot"))
        return
    answered_now = call.answer_caller()
    by = call.legs[call.transfer.by] if call.transfer is not None else call.legs[call.anchor]
    call.journal(events.CallParked(slot=slot, parked_by="" if by.is_trunk else by.party), call.anchor)
    timer = call.name("park")
    call.do(outputs.SetTimer(timer, call.now + step.timeout_ms / 1000))
    listens = by.state == "answered" and not by.held and bool(step.announcement)
    call.phase = Parked(slot, by.party, timer, by.leg_id if listens else "", call.name("slot") if listens else "")
    if not listens or by.leg_id != call.anchor:
        _music(call)
    if listens:
        prompts = said(step.announcement, slot)
        call.do(outputs.PlayTo(by.leg_id, call.phase.play_id, (_SETTLING, *prompts) if answered_now else prompts))
    else:
        call.transfer_answered()
    if step.page_user_ids and step.page_prompts:
        call.do(outputs.Announce(step.page_user_ids, said(step.page_prompts, slot), slot))


def said(prompts: tuple[Prompt, ...], slot: str) -> tuple[Prompt, ...]:
    """The prompts with the slot's digits in place of `{slot}`."""
    spoken = _SPOKEN.join(slot)
    return tuple(replace(each, text=each.text.replace("{slot}", spoken)) if isinstance(each, Speech) else each for each in prompts)


def _music(call: CallState) -> None:
    call.do(outputs.PlayMusic(call.anchor, call.name("music")))


def on_played(call: CallState, phase: Parked, played: inputs.PlayFinished) -> None:
    """Who parked the call has heard where it is: it is let go, or waits there itself."""
    if played.play_id == phase.play_id:
        _announced(call, phase)


def on_restored(call: CallState, phase: Parked, given: inputs.MediaRestored) -> None:
    """What played on the old plane is over."""
    if phase.announced_to:
        _announced(call, phase)
    if phase.announced_to != call.anchor:
        _music(call)


def _announced(call: CallState, phase: Parked) -> None:
    call.phase = replace(phase, announced_to="", play_id="")
    if phase.announced_to == call.anchor:
        _music(call)
    call.transfer_answered()


def on_timer(call: CallState, phase: Parked, fired: inputs.TimerFired) -> None:
    """Nobody has taken the call back."""
    if fired.name != phase.timer:
        return
    _leave(call, phase, "timed_out")
    call.ask(ParkOutcome("timed_out", phase.slot))


def on_taken(call: CallState, phase: Parked, given: inputs.PickedUp) -> None:
    """Somebody takes it back."""
    leg = call.add_leg(given.party, given.number)
    call.do(outputs.AdoptLeg(leg.leg_id, given.handle))
    leg.state = "answered"
    call.journal(events.LegAnswered(codec=given.codec), leg.leg_id)
    _leave(call, phase, "retrieved", given.party)
    call.answered_by = given.party
    call.do(outputs.BridgeLegs(call.anchor, leg.leg_id))
    call.journal(events.CallBridged(legs=(call.anchor, leg.leg_id)))
    call.phase = Talking(leg.leg_id, Ring((), recording=call.carried.plan), RingOutcome("answered", ()))
    call.do(outputs.AnswerLeg(leg.leg_id))
    talk_recording.begin(call, call.phase)


def _leave(call: CallState, phase: Parked, result: Literal["retrieved", "timed_out"], by: str = "") -> None:
    call.do(outputs.CancelTimer(phase.timer))
    call.do(outputs.StopPlay(call.anchor))
    call.journal(events.ParkEnded(slot=phase.slot, result=result, by=by), call.anchor)
    call.transfer_answered()


def on_parker_left(call: CallState, phase: Parked) -> None:
    """Who parked the call hung up before it had heard the slot to its end."""
    if phase.announced_to and call.legs[phase.announced_to].state == "ended":
        _announced(call, phase)
