"""The ring step: targets by timetable, the first answer wins, the others are told that the call was completed elsewhere."""

from dataclasses import replace

from carillon_contracts import call as events
from carillon_media.domain import holding, inputs, outputs, talk_recording, waiting
from carillon_media.domain.causes import (
    ANSWERED_ELSEWHERE,
    CAUSE_BY_RESULT,
    RingResult,
    cause_name,
    cause_of_status,
    fails_over,
    flow_failed,
    of_trunk,
    result_of_status,
    sip_status_for,
)
from carillon_media.domain.facts import Contact
from carillon_media.domain.state import CallState, Leg, Ringing, Talking
from carillon_media.domain.steps import GaveUpOutcome, Music, Ring, RingOutcome, RingTarget, TrunkTarget
from carillon_media.domain.timetable import Target, Timetable, given_up

#: RFC 3326 section 2: phones show no missed call.
COMPLETED_ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
RINGBACK = "ringback"


def begin(call: CallState, step: Ring) -> None:
    """Start the timetable; a caller that was answered already hears ringback."""
    timer = call.name("ring")
    table = Timetable.of(step, call.now, call.limits.max_ring_seconds)
    call.phase = Ringing(step, table, timer)
    play_ringback(call, step)
    _go_on(call, call.phase)


def play_ringback(call: CallState, step: Ring) -> None:
    """The ringing tone, or the music of a wait, for a caller that was answered; others hear their own phone's."""
    if call.legs[call.anchor].state != "answered":
        if isinstance(call.phase, Ringing) and call.phase.melody:
            _play_early(call, step)
        return
    if step.music:
        waiting.play_music(call, step.music_id)
    elif step.ringback_music_id:
        call.do(outputs.PlayTo(call.anchor, call.name(RINGBACK), (Music(step.ringback_music_id),), loop=True))
    else:
        call.do(outputs.PlayTo(call.anchor, call.name(RINGBACK), (), loop=True))


def _play_early(call: CallState, step: Ring) -> None:
    call.do(outputs.PlayEarly(call.name(RINGBACK), (Music(step.ringback_music_id),), loop=True))
    call.rang_caller = False


def on_timer(call: CallState, phase: Ringing, fired: inputs.TimerFired) -> None:
    """The time of a start or a stop has come."""
    if fired.name != phase.timer:
        return
    for target in phase.table.stopping(call.now):
        for leg_id in tuple(target.legs):
            _end(call, leg_id, "no_answer")
            phase.table.leg_over(leg_id, given_up(target))
    _go_on(call, _change_over(call, phase))


def on_progress(call: CallState, phase: Ringing, progress: inputs.LegProgressed) -> None:
    """The first 180 of a leg is an event; the caller hears it ring, or hears the first that can be heard."""
    leg = call.legs.get(progress.leg_id)
    if leg is None or leg.leg_id == call.anchor or leg.state not in ("offered", "ringing"):
        return
    phase.table.leg_rang(leg.leg_id, progress.status)
    if leg.state == "offered":
        leg.state = "ringing"
        call.journal(events.LegRinging(sip_status=progress.status), leg.leg_id)
        if call.transfer is not None:
            call.do(outputs.ReportTransfer(call.transfer.by, 180))
    caller = call.legs[call.anchor]
    if caller.state == "answered":
        return
    if phase.step.ringback_music_id:
        # The melody is what is heard, whatever a phone or carrier has to say before it answers.
        caller.state = "ringing"
        if not phase.melody:
            call.phase = replace(phase, melody=True)
            _play_early(call, phase.step)
        return
    if progress.media and leg.leg_id not in phase.audible:
        call.listen(leg)
        phase = call.phase = replace(phase, audible=(*phase.audible, leg.leg_id))
    if phase.early:
        return
    if progress.media:
        _hear(call, phase, leg.leg_id)
    elif not call.rang_caller:
        _ring_caller(call)
    caller.state = "ringing"


def _ring_caller(call: CallState) -> None:
    """The caller's own phone rings; after audio that it heard before the answer it is told so anew."""
    call.do(outputs.RingCaller())
    call.rang_caller = True


def _hear(call: CallState, phase: Ringing, leg_id: str) -> Ringing:
    """The caller hears this leg before it answers: the first that can be heard."""
    call.phase = replace(phase, early=leg_id)
    call.do(outputs.EarlyMedia(leg_id))
    call.rang_caller = False
    return call.phase


def _change_over(call: CallState, phase: Ringing) -> Ringing:
    """Whom the caller heard may have gone: the next that can be heard takes its place, or its own phone rings again."""
    if not phase.early or call.legs[phase.early].state != "ended":
        return phase
    call.do(outputs.UnbridgeLeg(call.anchor))
    phase = call.phase = replace(phase, early="")
    others = [leg_id for leg_id in phase.audible if call.legs[leg_id].state != "ended"]
    if others:
        return _hear(call, phase, others[0])
    if any(phase.table.active_legs()):
        _ring_caller(call)
    return phase


def on_accepted(call: CallState, phase: Ringing, accepted: inputs.LegAccepted) -> None:
    """The first answer wins."""
    leg = call.legs.get(accepted.leg_id)
    if leg is None or leg.leg_id == call.anchor or leg.state not in ("offered", "ringing"):
        return
    call.journal(events.LegAnswered(codec=accepted.codec), leg.leg_id)
    _win(call, phase, leg)


def on_picked_up(call: CallState, phase: Ringing, given: inputs.PickedUp) -> None:
    """Somebody takes the call that rings at another's phone (RFC 3891 section 3, early dialogs): it answers in that phone's place."""
    rung = call.legs.get(given.leg_id)
    target = phase.table.of_leg(given.leg_id)
    if rung is None or target is None:
        return
    leg = call.add_leg(given.party, given.number, target_id=target.plan.target_id)
    phase.table.leg_offered(target, leg.leg_id)
    call.do(outputs.AdoptLeg(leg.leg_id, given.handle))
    call.journal(
        events.CallPickedUp(by=given.party, rung=given.leg_id, rung_party=rung.party, other_call_id=given.from_call_id), leg.leg_id
    )
    call.journal(events.LegAnswered(codec=given.codec), leg.leg_id)
    _win(call, phase, leg)
    call.do(outputs.AnswerLeg(leg.leg_id))


def _win(call: CallState, phase: Ringing, leg: Leg) -> None:
    """The leg answered: the others stop ringing, it is joined with who waits for it."""
    leg.state = "answered"
    call.answered_by = leg.number if leg.is_trunk else leg.party
    for other_id in phase.table.active_legs():
        if other_id != leg.leg_id:
            target = phase.table.of_leg(other_id)
            _end(call, other_id, ANSWERED_ELSEWHERE, COMPLETED_ELSEWHERE)
            if target is not None:
                phase.table.leg_over(other_id, given_up(target))
    phase.table.leg_over(leg.leg_id, "answered", 200)
    outcome = _ring_ended(call, phase, phase.table.outcome())
    _silence(call)
    call.do(outputs.BridgeLegs(call.anchor, leg.leg_id))
    call.answer_caller()
    call.journal(events.CallBridged(legs=(call.anchor, leg.leg_id)))
    call.listen(leg)
    call.phase = Talking(leg.leg_id, phase.step, outcome)
    call.transfer_answered()
    holding.begin(call, call.phase)
    talk_recording.begin(call, call.phase)


def on_unsent(call: CallState, phase: Ringing, given: inputs.LegUnsent) -> None:
    """Ring the leg's device, if it is still there."""
    leg, target = call.legs.get(given.leg_id), phase.table.of_leg(given.leg_id)
    found = _contact_of(call, target, leg) if leg and target else None
    if leg is None or target is None or found is None:
        on_refused(call, phase, inputs.LegRefused(given.leg_id, 503, received=False))
        return
    call.do(call.invitation(leg, found, _shown(call, found, phase.step, target.plan)))


def on_refused(call: CallState, phase: Ringing, refused: inputs.LegRefused) -> None:
    """A device said no, or does not answer at all."""
    leg = call.legs.get(refused.leg_id)
    target = phase.table.of_leg(refused.leg_id)
    if leg is None or target is None or leg.state == "ended":
        return
    rang = leg.state == "ringing"
    result = result_of_status(refused.status, rang=rang, answered_by_peer=refused.received)
    if leg.is_trunk:
        result = of_trunk(result, refused.status)
    cause = "no_answer" if result == "no_answer" else cause_of_status(refused.status)
    call.end_leg(leg, cause, "callee" if refused.received else "system", status=refused.status, gone=True)
    spare = target.spare.pop(leg.leg_id, ())
    tried_on = fails_over if leg.is_trunk else flow_failed
    if spare and not rang and tried_on(refused.status, answered_by_peer=refused.received):
        _try_on(call, phase, target, spare)
    phase.table.leg_over(leg.leg_id, result, refused.status if refused.received else 0)
    _go_on(call, _change_over(call, phase))


def answer_by_itself(call: CallState, phase: Ringing, leg: Leg) -> None:
    """Call the leg's phone anew in a way that makes it answer, in the place of the call that it rings for."""
    target = phase.table.of_leg(leg.leg_id)
    if target is None:
        return
    contact = _contact_of(call, target, leg)
    if contact is None:
        return
    _end(call, leg.leg_id, ANSWERED_ELSEWHERE, COMPLETED_ELSEWHERE)
    again = call.offer_leg(contact, target.plan.target_id, replace(_shown(call, contact, phase.step, target.plan), auto_answer=True))
    phase.table.leg_offered(target, again.leg_id)
    phase.table.forget(leg.leg_id)


def _end(call: CallState, leg_id: str, cause: str, reason: str = "") -> None:
    """End a leg; what only asks where it goes has none."""
    if leg_id in call.legs:
        call.end_leg(call.legs[leg_id], cause, "system", reason=reason)


def _silence(call: CallState) -> None:
    """Whatever a caller that was answered hears meanwhile ends."""
    call.music = False
    melody = isinstance(call.phase, Ringing) and call.phase.melody
    if melody or call.legs[call.anchor].state == "answered":
        call.do(outputs.StopPlay(call.anchor))


def tell_given_up(call: CallState, phase: object) -> None:
    """The caller hangs up; an application that wants to know while it rings is told."""
    if (told := told_of_giving_up(call, phase)) is not None:
        call.do(told)


def told_of_giving_up(call: CallState, phase: object) -> outputs.Tell | None:
    """What the application is told when the caller hangs up in this phase; None: nothing."""
    if not isinstance(phase, Ringing) or not phase.step.ask_after_giving_up or call.orphaned:
        return None
    return outputs.Tell(call.application, call.cursor, GaveUpOutcome(), call.asks_as)


def replace_step(call: CallState, phase: Ringing) -> None:
    """Another step takes the place of this one, of which nobody rings any more."""
    _silence(call)
    _ring_ended(call, phase, phase.table.outcome())


def give_up(call: CallState, phase: Ringing) -> None:
    """Nobody is to answer any more: another step takes the place of this one."""
    for leg_id in tuple(phase.table.active_legs()):
        _end(call, leg_id, "no_answer")
        target = phase.table.of_leg(leg_id)
        if target is not None:
            phase.table.leg_over(leg_id, given_up(target))
    call.do(outputs.CancelTimer(phase.timer))
    replace_step(call, phase)


def ring_in_place(call: CallState, phase: Ringing, place: str, step: Ring) -> None:
    """Ring whom a step says in place of one leg of this step, within that leg's time."""
    target = phase.table.of_leg(place)
    if target is None:
        return
    room = max(0, call.limits.max_ring_legs + 1 - len(call.legs))
    contacts = [(contact, plan) for plan in step.targets for contact in _contacts(call, plan.whom)][:room]
    for contact, plan in contacts:
        leg = call.offer_leg(contact, target.plan.target_id, _shown(call, contact, step, plan))
        phase.table.leg_offered(target, leg.leg_id)
    if contacts:
        phase.table.forget(place)
    lead_nowhere(call, phase, place, "unreachable")


def lead_nowhere(call: CallState, phase: Ringing, place: str, result: RingResult) -> None:
    """Nobody rings in the leg's place."""
    phase.table.leg_over(place, result)
    _go_on(call, phase)


def end_by_result(call: CallState, result: RingResult) -> None:
    """Nobody can be asked what comes next: the call ends as its ring step did."""
    cause = CAUSE_BY_RESULT[result]
    call.finish(cause_name(cause), "system", status=sip_status_for(cause))


def _go_on(call: CallState, phase: Ringing) -> None:
    """Start who is due, until somebody rings or nobody is left."""
    table = phase.table
    while starting := table.take_starting(call.now):
        for target in starting:
            _start(call, phase, target)
        if any(target.state == "active" for target in table.targets):
            break
    if table.over:
        _unanswered(call, phase)
        return
    at = table.next_at()
    if at is not None:
        call.do(outputs.SetTimer(phase.timer, at))


def _start(call: CallState, phase: Ringing, target: Target) -> None:
    room = call.limits.max_ring_legs + 1 - len(call.legs)
    contacts = _contacts(call, target.plan.whom)[: max(0, room)]
    for contact in contacts:
        _offer(call, phase, target, contact)
    if not contacts:
        phase.table.nobody_there(target)


def _offer(call: CallState, phase: Ringing, target: Target, contact: Contact) -> None:
    leg = call.offer_leg(contact, target.plan.target_id, _shown(call, contact, phase.step, target.plan))
    phase.table.leg_offered(target, leg.leg_id)
    target.spare[leg.leg_id] = contact.spare


def _shown(call: CallState, contact: Contact, step: Ring, plan: RingTarget) -> Ring:
    """The step as this contact is to see it."""
    if plan.caller is not None:
        step = replace(step, caller_number=plan.caller[0], caller_name=plan.caller[1])
    if contact.is_trunk:
        return step
    number, name = call.shown(step.caller_number, step.caller_name)
    return replace(step, caller_number=number, caller_name=name)


def _try_on(call: CallState, phase: Ringing, target: Target, spare: tuple[Contact, ...]) -> None:
    """The same number by the next server of the same trunk, or by the next trunk; the same phone over its next flow. Within the target's
    own time."""
    if len(call.legs) <= call.limits.max_ring_legs and call.now < target.stop:
        _offer(call, phase, target, replace(spare[0], spare=spare[1:]))


def _contacts(call: CallState, whom: str | TrunkTarget) -> tuple[Contact, ...]:
    reach, facts = call.reach, call.facts
    if reach is None:
        return ()
    if isinstance(whom, TrunkTarget):
        trunks = (reach.contact_of_trunk(facts.tenant, trunk, whom.number, facts.call_id) for trunk in (whom.trunk_id, *whom.further))
        found = [each for trunk in trunks if trunk is not None for each in (trunk, *trunk.spare)]
        return (replace(found[0], spare=tuple(found[1:])),) if found else ()
    contacts = tuple(reach.contacts_of_user(facts.tenant, whom))
    named = call.asks_as or facts
    if named.device and whom == named.device_user:
        return tuple(contact for contact in contacts if contact.device == named.device)
    return contacts


def _contact_of(call: CallState, target: Target, leg: Leg) -> Contact | None:
    """Where the leg rings; None: that is registered no more."""
    contacts = (each for contact in _contacts(call, target.plan.whom) for each in (contact, *contact.spare))
    return next((each for each in contacts if each.uri == leg.contact), None)


def _unanswered(call: CallState, phase: Ringing) -> None:
    if not call.music:
        _silence(call)
    outcome = _ring_ended(call, phase, phase.table.outcome())
    if call.orphaned:
        end_by_result(call, outcome.result)
    elif phase.step.music:
        waiting.ask_patiently(call, outcome)
    else:
        call.ask(outcome)


def _ring_ended(call: CallState, phase: Ringing, outcome: RingOutcome) -> RingOutcome:
    call.do(outputs.CancelTimer(phase.timer))
    if not any(isinstance(target.whom, TrunkTarget) for target in phase.step.targets):
        call.users_result = outcome.result
    call.journal(events.RingEnded(result=outcome.result, targets={target.target_id: target.result for target in outcome.targets}))
    return outcome
