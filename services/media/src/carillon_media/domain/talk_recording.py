"""Recording of talks as their ring steps want it: announced, begun at once or by a key, paused and gone on with by the same key.

Invariant: a talk has one recording at most, which ends with it; who talks after a transfer is recorded anew, as the policy of the new talk
says; the key of a phone that is not a user's does nothing.
"""

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs, taping
from carillon_media.domain.state import CALLER, CallState, Leg, Talking
from carillon_media.domain.steps import Carried, RecordingPlan, TalkTape, TapeSides

MAX_MS = 2 * 3_600_000
#: Between two tones where the policy wants them.
TONE_MS = 15_000
#: Label of a recording: which of its call's recorded talks it is, from 1.
PART = "part"
#: Label of a plan: the policy that it is of.
POLICY = "recording_policy_id"


def begin(call: CallState, phase: Talking) -> None:
    """Two have begun to talk: what the policy says, or what somebody had begun before a transfer goes on."""
    plan, before = phase.ring.recording, call.carried.tape
    call.carried = Carried()
    if plan is not None and not plan.never and not plan.on_demand:
        _start(call, phase, plan, asked=False)
    elif before is not None and (plan is None or not plan.never):
        start(call, phase, before)


def leave(call: CallState, phase: Talking, *, goes_on: bool = True) -> None:
    """The two part, and what records them ends; `goes_on`: one of them is sent to somebody else."""
    call.carried = of_talk(call, phase) if goes_on else Carried()
    for tape in call.running_tapes:
        call.stop_tapes(tape.leg_id)
    call.tape_paused = False


def of_talk(call: CallState, phase: Talking) -> Carried:
    """What a talk that goes on in another call says about the recording there."""
    asked = [tape.talk for tape in call.running_tapes if tape.talk is not None and tape.talk.asked and not call.tape_paused]
    return Carried(phase.ring.recording, asked[0] if asked else None)


def joined(one: Carried, other: Carried) -> Carried:
    """Of two talks that become one: what somebody nearer than the tenant says, and of that first what forbids, then what demands."""
    plans = [each.plan for each in (one, other) if each.plan is not None]
    return Carried(min(plans, key=lambda plan: (plan.from_tenant, not plan.never, plan.on_demand), default=None), one.tape or other.tape)


def same_person(call: CallState, leg: Leg, new: Leg) -> None:
    """Who had the leg goes on with the new one, and needs not to be told again."""
    if leg.leg_id in call.told_of_tape:
        call.told_of_tape += (new.leg_id,)


def on_finished(call: CallState, phase: Talking, finished: inputs.RecordingFinished) -> None:
    """A file is whole; where the media plane died under the recording it goes on in another one."""
    tape = call.tapes.get(finished.recording_id)
    taping.keep(call, finished)
    if tape is None or tape.stopped or tape.talk is None or finished.reason != "node_failure":
        return
    if tape.leg_id in (call.anchor, phase.peer):
        _roll(call, tape.leg_id, tape.talk)
        if call.tape_paused:
            call.do(outputs.PauseRecording(tape.leg_id, True))


def is_key(phase: Talking, leg: Leg, pressed: str) -> bool:
    """Whether a user has just pressed the key of the recording."""
    plan = phase.ring.recording
    return plan is not None and not plan.never and bool(plan.key) and pressed.endswith(plan.key) and not leg.is_trunk


def on_key(call: CallState, phase: Talking, leg: Leg) -> None:
    """Begin, pause, or go on."""
    plan = phase.ring.recording
    if not call.running_tapes:
        assert plan is not None
        call.journal(events.CallControlled(action="start_recording", requested_by=leg.party), leg.leg_id)
        _start(call, phase, plan, asked=True)
        return
    action: events.ControlAction = "resume_recording" if call.tape_paused else "pause_recording"
    call.journal(events.CallControlled(action=action, requested_by=leg.party), leg.leg_id)
    call.pause_tapes(not call.tape_paused)


def _start(call: CallState, phase: Talking, plan: RecordingPlan, *, asked: bool) -> None:
    labels = dict(plan.labels)
    if plan.retention_days:
        labels["retention_days"] = str(plan.retention_days)
    sides: TapeSides = plan.only or ("stereo" if plan.stereo else "mix")
    start(call, phase, TalkTape(labels, MAX_MS, sides, TONE_MS if plan.tone else 0, asked))


def start(call: CallState, phase: Talking, wanted: TalkTape) -> None:
    """Record the two, who are told so where their policy wants it."""
    call.tape_paused = False
    call.tape_parts += 1
    for leg_id in _taped(call, phase, wanted.sides):
        _roll(call, leg_id, wanted)
    announcement = phase.ring.recording.announcement if phase.ring.recording is not None else ()
    for leg_id in (call.anchor, phase.peer) if announcement else ():
        if leg_id not in call.told_of_tape:
            call.told_of_tape += (leg_id,)
            call.do(outputs.PlayTo(leg_id, call.name("announce"), announcement))


def _taped(call: CallState, phase: Talking, sides: TapeSides) -> tuple[str, ...]:
    """The legs that are recorded; whose recording has both sides is the first one."""
    match sides:
        case "said":
            return call.anchor, phase.peer
        case "called" if phase.peer != CALLER:
            return (phase.peer,)
        case "caller" if phase.peer == CALLER:
            return (phase.peer,)
        case _:
            return (call.anchor,)


def _roll(call: CallState, leg_id: str, wanted: TalkTape) -> None:
    labels = {**wanted.labels, PART: str(call.tape_parts)}
    if wanted.sides not in ("mix", "stereo"):
        labels["leg_id"] = leg_id
    call.start_talk_tape(taping.prepare(call, leg_id, labels, 0), wanted)
