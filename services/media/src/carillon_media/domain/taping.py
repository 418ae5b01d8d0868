"""Recordings of a leg: those of a record step, and those that somebody asked for while the call goes on.

Invariant: a recording that was begun is in `tapes` until its file came, or the call gave up waiting for it; the call does not end before.
"""

from collections.abc import Mapping

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs
from carillon_media.domain.state import CallState, Closing, Phase, Tape


def prepare(call: CallState, leg_id: str, labels: Mapping[str, str], min_ms: int) -> Tape:
    """Announce a recording that begins now or after a beep."""
    tape = Tape(f"{call.facts.call_id}-{call.name('rec')}", leg_id, min_ms, labels)
    call.journal(events.RecordingStarted(labels=dict(labels)), leg_id)
    call.do(outputs.Remember(tape.recording_id, leg_id, min_ms, labels))
    return tape


def keep(call: CallState, finished: inputs.RecordingFinished, *, hung_up: bool = False) -> str:
    """A file is complete: its object name, or empty when there is nothing worth keeping."""
    tape = call.tapes.pop(finished.recording_id, None)
    if tape is None or not finished.object or finished.duration_ms < tape.min_ms:
        return ""
    ended_by = "hang_up" if hung_up or (finished.reason == "stopped" and _left(call, tape)) else finished.reason
    call.journal(
        events.RecordingFinished(
            object=finished.object,
            duration_ms=finished.duration_ms,
            bytes=finished.bytes,
            ended_by=ended_by,
            labels=dict(tape.labels),
        ),
        tape.leg_id,
    )
    return finished.object


def _left(call: CallState, tape: Tape) -> bool:
    return call.legs[tape.leg_id].state == "ended"


def on_finished(call: CallState, phase: Phase, finished: inputs.RecordingFinished) -> None:
    """A recording ended beside whatever the call does."""
    keep(call, finished)


def on_closing_recorded(call: CallState, phase: Closing, finished: inputs.RecordingFinished) -> None:
    """The last file is what a call that is over waited for."""
    keep(call, finished, hung_up=True)
    if not call.tapes:
        call.do(outputs.CancelTimer(phase.timer))
        call.conclude(phase.ended)


def on_closing_timer(call: CallState, phase: Closing, fired: inputs.TimerFired) -> None:
    """The files do not come."""
    if fired.name == phase.timer:
        call.conclude(phase.ended)
