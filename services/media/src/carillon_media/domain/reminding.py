"""Who holds a caller that another user waits for is reminded: its phones ring for a moment, and say it if they are answered.

Invariant: the reminder's timer runs exactly while the side that was called holds in a talk whose ring step wants reminders.
"""

from carillon_media.domain import outputs
from carillon_media.domain.state import CallState, Leg, Talking

REMINDER = "hold reminder"


def turned(call: CallState, phase: Talking, leg: Leg) -> None:
    """The leg holds now, or has resumed."""
    if phase.ring.reminder is None or leg.leg_id != phase.peer:
        return
    call.do(outputs.SetTimer(REMINDER, call.now + phase.ring.reminder.every_ms / 1000) if leg.held else outputs.CancelTimer(REMINDER))


def leave(call: CallState, phase: Talking) -> None:
    """The two part."""
    if phase.ring.reminder is not None and call.legs[phase.peer].held:
        call.do(outputs.CancelTimer(REMINDER))


def on_timer(call: CallState, phase: object) -> None:
    """The caller waits still."""
    if not isinstance(phase, Talking) or phase.ring.reminder is None or not call.legs[phase.peer].held:
        return
    leg = call.legs[phase.peer]
    call.do(outputs.Remind(leg.party, phase.ring.reminder.prompts, phase.ring.caller_number, phase.ring.caller_name))
    turned(call, phase, leg)
