"""The call machine: one input, `now` and how targets can be reached in; events, commands, questions and timers out.

Which input matters in which phase is the table at the end; what is not in it changes nothing, because peers, planes and applications
may always be late. No input in any phase raises.
"""

from collections.abc import Callable, Mapping
from typing import Any, Self, get_args

from carillon_contracts import call as events
from carillon_contracts.rights import ways_in
from carillon_media.domain import (
    conferring,
    control,
    deflecting,
    hearing,
    holding,
    inputs,
    originating,
    outputs,
    paging,
    parking,
    pressing,
    prompting,
    reminding,
    ringing,
    supervising,
    taking_leave,
    taking_over,
    talk_recording,
    taping,
    transferring,
    waiting,
)
from carillon_media.domain.causes import (
    CALLER_GAVE_UP,
    NODE_FAILURE,
    NORMAL_CLEARING,
    RTP_TIMEOUT,
    cause_name,
    cause_of_status,
    sip_status_for,
)
from carillon_media.domain.facts import CallFacts, Limits, Reach
from carillon_media.domain.state import (
    CALLER,
    FIRST_APPLICATION,
    LISTENING,
    PHASE_NAMES,
    Asking,
    CallState,
    Closing,
    Conferring,
    Gathering,
    Leg,
    New,
    Originating,
    Over,
    Paging,
    Parked,
    Party,
    Phase,
    PickingUp,
    Playing,
    Recording,
    Ringing,
    Supervising,
    TakingLeave,
    Talking,
    Waiting,
    side_of,
)
from carillon_media.domain.steps import (
    STEP_NAMES,
    Conference,
    Delegate,
    Entered,
    Gather,
    HangUp,
    Page,
    Park,
    PickUp,
    Play,
    Record,
    Ring,
    Step,
    Supervise,
    Wait,
    entered,
)

MAX_DURATION = "max_duration"
RETRY_AFTER_SECONDS = 5


class Call:
    """One call from its INVITE to `CallEnded`."""

    __slots__ = ("state",)

    def __init__(self, facts: CallFacts, limits: Limits | None = None) -> None:
        self.state = CallState(facts, limits or Limits())

    @classmethod
    def again(cls, state: CallState) -> Self:
        """A call that was kept."""
        call = cls(state.facts, state.limits)
        call.state = state
        return call

    def feed(self, given: inputs.Input, now: float, reach: Reach) -> list[outputs.Output]:
        """Handle one input at `now` (monotonic seconds); returns what is to be done, in order."""
        call = self.state
        handler = _TABLE.get((type(call.phase), type(given))) or _ANYWHERE.get(type(given))
        if handler is None or isinstance(call.phase, Over):
            return []
        call.out, call.now, call.reach = [], now, reach
        if isinstance(given, inputs.TimerFired):
            call.timers.pop(given.name, None)
        elif isinstance(given, inputs.Decided | inputs.Undecided):
            call.unanswered = call.asked.pop(given.question, None)
        handler(call, call.phase, given)
        return call.out

    @property
    def facts(self) -> CallFacts:
        """Who calls whom."""
        return self.state.facts

    @property
    def over(self) -> bool:
        """Nothing will happen any more."""
        return isinstance(self.state.phase, Over)

    @property
    def legs(self) -> Mapping[str, Leg]:
        """By id, in the order of being offered."""
        return self.state.legs

    @property
    def doing(self) -> str:
        """In the words of `LiveCall.state`."""
        name = PHASE_NAMES[type(self.state.phase)]
        held = name == "talking" and any(leg.held and leg.state == "answered" for leg in self.state.legs.values())
        return "held" if held else name


def _arrived(call: CallState, phase: New, given: inputs.Arrived) -> None:
    facts = call.facts
    call.started = call.now
    call.legs[CALLER] = Leg(CALLER, facts.caller_user_id or f"trunk:{facts.trunk_id}", facts.caller, outgoing=False)
    call.journal(
        events.CallStarted(
            direction=facts.direction,
            caller=facts.caller,
            caller_name=facts.caller_name,
            caller_user_id=facts.caller_user_id,
            dialled=facts.dialled,
            trunk_id=facts.trunk_id,
            sip_call_id=facts.sip_call_id,
            node=facts.node,
        ),
        CALLER,
    )
    if given.refuse_status:
        call.finish(cause_of_status(given.refuse_status), "system", status=given.refuse_status)
        return
    call.do(outputs.SetTimer(MAX_DURATION, call.now + call.limits.max_call_seconds))
    call.ask(Entered())


def _decided(call: CallState, phase: Asking, given: inputs.Decided) -> None:
    if given.question != call.question:
        return
    call.cursor = given.cursor
    call.config_seq = given.config_seq or None
    if not isinstance(given.step, Wait):
        call.steps += 1
    _journal_decision(call, given.step, call.application, given.details, given.trace, given.inputs)
    if call.steps > call.limits.max_steps:
        call.finish("recovery_on_timer_expiry", "system", status=483)
        return
    if call.fax == "heard":
        hearing.switch(call)
        return
    _begin(call, given.step)


def _deflection_decided(call: CallState, phase: Ringing, given: inputs.Decided) -> None:
    """Where a phone's 3xx leads: in the leg's place, or in place of the whole step when nothing else is left of it."""
    place, facts = call.deflections.pop(given.question, ("", None))
    if phase.table.of_leg(place) is None:
        return
    call.config_seq = given.config_seq or None
    call.steps += 1
    _journal_decision(call, given.step, FIRST_APPLICATION, given.details, given.trace, given.inputs)
    if deflecting.takes_over(phase, place, given.step):
        call.asks_as, call.application, call.cursor = facts, FIRST_APPLICATION, given.cursor
        ringing.replace_step(call, phase)
        _begin(call, given.step)
    else:
        deflecting.instead(call, phase, place, given.step)


def _undecided(call: CallState, phase: Asking, given: inputs.Undecided) -> None:
    """Nobody answers: at its beginning a call may still go where media's own projection says; else it is asked again for a while."""
    if given.question != call.question:
        return
    first = call.steps == 0 and call.application == FIRST_APPLICATION
    alone = given.fallback if first else None
    if alone is None and waiting.again_later(call, passing=given.passing):
        return
    step = alone or HangUp(41, 503)
    call.orphaned = True
    call.config_seq = given.config_seq or None
    trace = events.TraceLine(subject=f"application {call.application}", matched=False, reason="no answer within its deadline")
    details = given.details if step is given.fallback else {"cause": 41, "sip_status": 503}
    _journal_decision(call, step, "media", details, (trace,))
    _begin(call, step)


def _journal_decision(
    call: CallState,
    step: Step,
    application: str,
    details: Mapping[str, Any] | None,
    trace: tuple[events.TraceLine, ...],
    made_of: Mapping[str, Any] | None = None,
) -> None:
    kept = None if made_of is None else dict(made_of)
    call.ways = tuple(sorted(ways_in(line.subject for line in trace).union(call.ways)))
    name = STEP_NAMES[type(step)]
    call.journal(events.RoutingDecided(application=application, step=name, details=dict(details or {}), trace=trace, inputs=kept))
    call.config_seq = None


def _begin(call: CallState, step: Step) -> None:
    waiting.before(call, step)
    if isinstance(step, Ring | Record | HangUp | Wait):
        call.typed = ""
    if call.transfer is not None and isinstance(step, Play | Gather | Record | Supervise | Page | Wait | Conference):
        call.transfer_answered()
    match step:
        case Ring():
            ringing.begin(call, step)
        case Play():
            prompting.begin_play(call, step)
        case Gather():
            prompting.begin_gather(call, step)
        case Record():
            prompting.begin_record(call, step)
        case Wait():
            waiting.begin(call, step)
        case Delegate():
            call.application, call.cursor = step.application, b""
            call.ask(entered(step.arguments))
        case Park():
            parking.begin(call, step)
        case PickUp():
            taking_over.begin(call, step)
        case Supervise():
            supervising.begin(call, step)
        case Conference():
            conferring.begin(call, step)
        case Page():
            paging.begin(call, step)
        case HangUp():
            _hang_up(call, step)


def _hang_up(call: CallState, step: HangUp) -> None:
    if call.transfer is not None and not call.transfer.returning:
        transferring.come_back(call, step.sip_status or sip_status_for(step.cause))
    elif step.prompts:
        taking_leave.begin(call, step)
    else:
        retry = RETRY_AFTER_SECONDS if step.sip_status == 503 else 0
        status = step.sip_status if 300 <= step.sip_status <= 699 else 0
        call.finish(cause_name(step.cause), "system", status=status, retry_after=retry)


def _cancelled(call: CallState, phase: Phase, given: inputs.CallerCancelled) -> None:
    ringing.tell_given_up(call, phase)
    call.finish(CALLER_GAVE_UP, "caller", gone=CALLER)


def _left(call: CallState, phase: Phase, given: inputs.LegLeft) -> None:
    """A leg hung up. The anchor's end ends the call; the other's does unless the application wants to be asked."""
    leg = call.legs.get(given.leg_id)
    if leg is None or leg.state != "answered":
        return
    cause, by = _why(leg, given)
    if leg.leg_id == call.anchor:
        ringing.tell_given_up(call, phase)
        call.finish(cause, by, gone="" if given.how == "media" else leg.leg_id)
    elif isinstance(phase, Talking) and phase.peer == leg.leg_id:
        if phase.ring.ask_after_answer and not call.orphaned:
            holding.leave(call, phase)
            talk_recording.leave(call, phase, goes_on=False)
            call.end_leg(leg, cause, by, gone=given.how != "media")
            call.do(outputs.UnbridgeLeg(call.anchor))
            call.ask(phase.outcome)
        else:
            call.finish(cause, by, gone="" if given.how == "media" else leg.leg_id)
    elif call.transfer is not None and call.transfer.by == leg.leg_id:
        call.end_leg(leg, cause, by, gone=given.how != "media")
        if isinstance(phase, Parked):
            parking.on_parker_left(call, phase)
    elif isinstance(phase, Paging):
        call.end_leg(leg, cause, by, gone=given.how != "media")
        paging.on_left(call, phase)


def _why(leg: Leg, given: inputs.LegLeft) -> tuple[str, Party]:
    if given.how == "bye":
        return NORMAL_CLEARING, side_of(leg.leg_id)
    return RTP_TIMEOUT if given.how == "media" else "recovery_on_timer_expiry", "system"


def _media_lost(call: CallState, phase: Phase, given: inputs.MediaLost) -> None:
    call.finish(NODE_FAILURE, "system", status=503)


def _media_restored(call: CallState, phase: Phase, given: inputs.MediaRestored) -> None:
    """What is heard begins again, what is listened to goes on; everything else ended with the old plane."""
    hearing.restore(call)
    if isinstance(phase, Talking):
        holding.begin(call, phase)
    elif isinstance(phase, Ringing):
        ringing.play_ringback(call, phase.step)
    elif isinstance(phase, Parked):
        parking.on_restored(call, phase, given)
    elif isinstance(phase, Supervising):
        supervising.go_on(call, phase)
    elif isinstance(phase, Paging):
        paging.on_restored(call, phase, given)
    elif isinstance(phase, Conferring):
        conferring.on_restored(call, phase, given)
    elif isinstance(phase, Playing):
        prompting.play_again(call, phase)
    elif isinstance(phase, Gathering):
        prompting.ask_again(call, phase)
    elif isinstance(phase, TakingLeave):
        taking_leave.begin_again(call, phase)
    else:
        waiting.restore(call)


def _resumed(call: CallState, phase: Phase, given: inputs.Resumed) -> None:
    """What only the process before knew is set and asked again; everything else goes on where it was."""
    call.journal(events.CallResumed(away_ms=given.away_ms))
    for name, at in tuple(call.timers.items()):
        call.do(outputs.SetTimer(name, at))
    for asked in tuple(call.asked.values()):
        call.do(asked)
    for awaited in tuple(call.awaited.values()):
        call.do(awaited)
    if isinstance(phase, Talking) and not any(call.legs[leg_id].held_by_request for leg_id in (call.anchor, phase.peer)):
        call.do(outputs.BridgeLegs(call.anchor, phase.peer))
    elif isinstance(phase, Supervising):
        supervising.go_on(call, phase)


def _unsent(call: CallState, phase: Phase, given: inputs.LegUnsent) -> None:
    """Outside of a ring step nobody waits for the leg."""
    handler = _TABLE.get((type(phase), inputs.LegRefused), _nothing)
    handler(call, phase, inputs.LegRefused(given.leg_id, 503, received=False))


def _stopped(call: CallState, phase: Phase, given: inputs.Stopped) -> None:
    call.finish(given.cause, "system", status=503)


def _nothing(call: CallState, phase: Phase, given: inputs.Input) -> None:
    """What does not matter in this phase."""


Handler = Callable[[CallState, Any, Any], None]
_TABLE: Mapping[tuple[type[Phase], type[inputs.Input]], Handler] = {
    (New, inputs.Arrived): _arrived,
    (New, inputs.CallerCancelled): _nothing,
    (New, inputs.TimerFired): _nothing,
    (New, inputs.MediaLost): _nothing,
    (New, inputs.Stopped): _nothing,
    **{(phase, kind): _nothing for phase in (New, Closing) for kind in get_args(inputs.Request)},
    (New, inputs.Originated): originating.begin,
    (Originating, inputs.LegProgressed): originating.on_progress,
    (Originating, inputs.LegAccepted): originating.on_accepted,
    (Originating, inputs.LegRefused): originating.on_refused,
    (Asking, inputs.Decided): _decided,
    (Asking, inputs.Undecided): _undecided,
    (Asking, inputs.DigitPressed): prompting.on_typed_ahead,
    (Ringing, inputs.LegProgressed): ringing.on_progress,
    (Ringing, inputs.LegAccepted): ringing.on_accepted,
    (Ringing, inputs.LegRefused): ringing.on_refused,
    (Ringing, inputs.LegUnsent): ringing.on_unsent,
    (Ringing, inputs.LegDeflected): deflecting.on_deflected,
    (Ringing, inputs.Decided): _deflection_decided,
    (Ringing, inputs.Undecided): deflecting.on_undecided,
    (Playing, inputs.PlayFinished): prompting.on_played,
    (Playing, inputs.DigitPressed): prompting.on_typed_ahead,
    (TakingLeave, inputs.PlayFinished): lambda call, phase, given: taking_leave.on_played(call, phase, given, _hang_up),
    (Gathering, inputs.PlayFinished): prompting.on_gather_played,
    (Gathering, inputs.DigitPressed): prompting.on_digit,
    (Recording, inputs.PlayFinished): prompting.on_beeped,
    (Recording, inputs.DigitPressed): prompting.on_record_digit,
    (Recording, inputs.RecordingFinished): prompting.on_recorded,
    (Waiting, inputs.PlayFinished): waiting.on_played,
    (Waiting, inputs.DigitPressed): waiting.on_digit,
    (Waiting, inputs.Signalled): waiting.on_signalled,
    (Ringing, inputs.PickedUp): ringing.on_picked_up,
    (Ringing, inputs.DigitPressed): pressing.before_answer,
    (Talking, inputs.DigitPressed): pressing.on_digit,
    (Talking, inputs.RecordingFinished): talk_recording.on_finished,
    (Parked, inputs.PlayFinished): parking.on_played,
    (Parked, inputs.PickedUp): parking.on_taken,
    (Talking, inputs.PickedUp): transferring.on_replaced,
    (PickingUp, inputs.TookOver): taking_over.on_took_over,
    (PickingUp, inputs.NothingTaken): taking_over.on_nothing,
    (Supervising, inputs.TalkFound): supervising.on_found,
    (Supervising, inputs.TalkEnded): supervising.on_ended,
    (Supervising, inputs.DigitPressed): supervising.on_digit,
    (Conferring, inputs.RoomEntered): conferring.on_entered,
    (Conferring, inputs.RoomLeft): conferring.on_out,
    (Conferring, inputs.DigitPressed): conferring.on_digit,
    (Paging, inputs.LegProgressed): paging.on_progress,
    (Paging, inputs.LegAccepted): paging.on_accepted,
    (Paging, inputs.LegRefused): paging.on_refused,
    (Talking, inputs.LegRefers): transferring.on_refer,
    (Talking, inputs.LegHandedOver): transferring.on_handed_over,
    (Talking, inputs.LegAdopted): transferring.on_adopted,
    (Closing, inputs.RecordingFinished): taping.on_closing_recorded,
    (Closing, inputs.CallerCancelled): _nothing,
    (Closing, inputs.MediaLost): _nothing,
    (Closing, inputs.Stopped): _nothing,
    (Closing, inputs.TimerFired): taping.on_closing_timer,
}
_TIMERS: Mapping[type[Phase], Handler] = {
    Originating: originating.on_timer,
    Ringing: ringing.on_timer,
    TakingLeave: lambda call, phase, given: taking_leave.on_timer(call, phase, given, _hang_up),
    Gathering: prompting.on_gather_timer,
    Recording: prompting.on_record_timer,
    Parked: parking.on_timer,
    PickingUp: taking_over.on_timer,
    Supervising: supervising.on_timer,
    Paging: paging.on_timer,
    Conferring: conferring.on_timer,
    Waiting: waiting.on_timer,
    Asking: waiting.on_patience,
}


def _any_timer(call: CallState, phase: Phase, given: inputs.TimerFired) -> None:
    if given.name == MAX_DURATION:
        call.finish("recovery_on_timer_expiry", "system")
    elif given.name == reminding.REMINDER:
        reminding.on_timer(call, phase)
    elif given.name.startswith(LISTENING):
        hearing.on_timer(call, given)
    elif (handler := _TIMERS.get(type(phase))) is not None:
        handler(call, phase, given)


#: Inputs that mean the same in every phase that has no line of its own above.
_ANYWHERE: Mapping[type[inputs.Input], Handler] = {
    inputs.CallerCancelled: _cancelled,
    inputs.LegLeft: _left,
    inputs.LegReoffered: holding.on_reoffered,
    inputs.TimerFired: _any_timer,
    inputs.MediaLost: _media_lost,
    inputs.MediaRestored: _media_restored,
    inputs.Resumed: _resumed,
    inputs.LegUnsent: _unsent,
    inputs.Stopped: _stopped,
    inputs.RecordingFinished: taping.on_finished,
    inputs.ToneHeard: hearing.on_tone,
    inputs.Supervised: supervising.on_supervised,
    **dict.fromkeys(get_args(inputs.Request), control.on_request),
}
