"""Pickup and unpark by dialling: the caller of this call takes the place of who is waited for in another one.

Invariant: the other call adopts the caller's leg first, then this call ends; when there is nothing to take the application is asked.
"""

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs
from carillon_media.domain.state import CallState, PickingUp, side_of
from carillon_media.domain.steps import PickUp, PickUpOutcome

#: Why a leg ended whose far end took another call over.
TOOK_OVER = "took_over"
#: Seconds after which a take-over of which nothing is heard has not happened.
PATIENCE = 6.0


def begin(call: CallState, step: PickUp) -> None:
    """Look for it."""
    call.phase = PickingUp(step, call.name("take"))
    call.do(outputs.SetTimer(call.phase.timer, call.now + PATIENCE))
    call.do(outputs.TakeOver(call.anchor, step.user_ids, step.slot))


def on_took_over(call: CallState, phase: PickingUp, given: inputs.TookOver) -> None:
    """The caller goes on there."""
    call.do(outputs.CancelTimer(phase.timer))
    leg = call.legs[call.anchor]
    call.journal(events.CallTookOver(other_call_id=given.call_id, how=given.how), leg.leg_id)
    call.transfer_answered()
    call.move_leg(leg, TOOK_OVER, side_of(leg.leg_id))
    call.finish(TOOK_OVER, "caller", status=200)


def on_nothing(call: CallState, phase: PickingUp, given: inputs.NothingTaken) -> None:
    """There is nothing to take."""
    call.do(outputs.CancelTimer(phase.timer))
    call.ask(PickUpOutcome())


def on_timer(call: CallState, phase: PickingUp, fired: inputs.TimerFired) -> None:
    """Nothing was heard of it."""
    if fired.name == phase.timer:
        call.ask(PickUpOutcome())
