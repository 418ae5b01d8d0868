"""Recording of a talk as its ring step wants it: announced, begun at once or by a key, paused and gone on with by the same key.

Invariant: a talk has one recording of both sides at most; the key of a phone that is not a user's does nothing.
"""

from carillon_contracts import call as events
from carillon_media.domain import outputs, taping
from carillon_media.domain.state import CallState, Leg, Talking

MAX_MS = 2 * 3_600_000
#: Between two tones where the policy wants them.
TONE_MS = 15_000


def begin(call: CallState, phase: Talking) -> None:
    """Two have begun to talk."""
    plan = phase.ring.recording
    if plan is None or plan.on_demand or call.tapes:
        return
    _start(call, phase)
    for leg_id in (call.anchor, phase.peer) if plan.announcement else ():
        call.do(outputs.PlayTo(leg_id, call.name("announce"), plan.announcement))


def is_key(phase: Talking, leg: Leg, pressed: str) -> bool:
    """Whether a user has just pressed the key of the recording."""
    plan = phase.ring.recording
    return plan is not None and bool(plan.key) and pressed.endswith(plan.key) and not leg.party.startswith("trunk:")


def on_key(call: CallState, phase: Talking, leg: Leg) -> None:
    """Begin, pause, or go on."""
    if not call.tapes:
        call.journal(events.CallControlled(action="start_recording", requested_by=leg.party), leg.leg_id)
        _start(call, phase)
        return
    action: events.ControlAction = "resume_recording" if call.tape_paused else "pause_recording"
    call.journal(events.CallControlled(action=action, requested_by=leg.party), leg.leg_id)
    call.pause_tapes(not call.tape_paused)


def _start(call: CallState, phase: Talking) -> None:
    plan = phase.ring.recording
    assert plan is not None
    labels = dict(plan.labels)
    if plan.retention_days:
        labels["retention_days"] = str(plan.retention_days)
    call.tape_paused = False
    tape = taping.prepare(call, call.anchor, labels, 0)
    call.start_talk_tape(tape, MAX_MS, stereo=plan.stereo, tone_ms=TONE_MS if plan.tone else 0)
