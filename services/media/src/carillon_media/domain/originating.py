"""A call that is made for a user: the user's own devices ring first; whichever answers is the caller from then on.

Invariant: the devices are the legs `a`, `a2`, ...; the first to answer becomes the anchor, the others end as answered elsewhere.
"""

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs, prompting
from carillon_media.domain.causes import ANSWERED_ELSEWHERE, cause_of_status
from carillon_media.domain.ringing import COMPLETED_ELSEWHERE
from carillon_media.domain.state import CALLER, CallState, Leg, New, Originating
from carillon_media.domain.steps import Play, entered

MAX_DURATION = "max_duration"


def begin(call: CallState, phase: New, given: inputs.Originated) -> None:
    """The call starts with its user's devices ringing."""
    facts = call.facts
    call.started = call.now
    for number, contact in enumerate(given.contacts[: call.limits.max_ring_legs], 1):
        leg_id = CALLER if number == 1 else f"{CALLER}{number}"
        call.legs[leg_id] = Leg(leg_id, contact.party, facts.caller)
    if not call.legs:
        call.legs[CALLER] = Leg(CALLER, facts.caller_user_id or "", facts.caller)
    call.journal(
        events.CallStarted(
            direction=facts.direction,
            caller=facts.caller,
            caller_name=facts.caller_name,
            caller_user_id=facts.caller_user_id,
            dialled=facts.dialled,
            node=facts.node,
            requested_by=given.requested_by,
        ),
        CALLER,
    )
    if not given.contacts:
        call.finish("subscriber_absent", "system")
        return
    call.phase = Originating(call.name("ring"), given.prompts, given.application, given.arguments)
    call.do(outputs.SetTimer(MAX_DURATION, call.now + call.limits.max_call_seconds))
    call.do(outputs.SetTimer(call.phase.timer, call.now + given.ring_seconds))
    for leg, contact in zip(call.legs.values(), given.contacts, strict=False):
        call.journal(events.LegOffered(party=leg.party, number=leg.number, contact=contact.uri), leg.leg_id)
        call.do(outputs.OfferLeg(leg.leg_id, contact, given.shown or facts.dialled, given.callee_name, given.auto_answer))


def on_progress(call: CallState, phase: Originating, progress: inputs.LegProgressed) -> None:
    """A device rings."""
    leg = call.legs.get(progress.leg_id)
    if leg is not None and leg.state == "offered":
        leg.state = "ringing"
        call.journal(events.LegRinging(sip_status=progress.status), leg.leg_id)


def on_accepted(call: CallState, phase: Originating, accepted: inputs.LegAccepted) -> None:
    """The user picked up: now the destination is called as if it had dialled it."""
    leg = call.legs.get(accepted.leg_id)
    if leg is None or leg.state == "ended":
        return
    leg.state = "answered"
    call.anchor, call.answered = leg.leg_id, call.now
    call.do(outputs.CancelTimer(phase.timer))
    call.journal(events.LegAnswered(codec=accepted.codec), leg.leg_id)
    for other in call.legs.values():
        if other is not leg:
            call.end_leg(other, ANSWERED_ELSEWHERE, "system", reason=COMPLETED_ELSEWHERE)
    if phase.prompts:
        call.orphaned = True
        prompting.begin_play(call, Play(phase.prompts))
    else:
        call.application = phase.application or call.application
        call.ask(entered(phase.arguments))


def on_refused(call: CallState, phase: Originating, refused: inputs.LegRefused) -> None:
    """A device said no; the call ends with the last of them."""
    leg = call.legs.get(refused.leg_id)
    if leg is None or leg.state == "ended":
        return
    cause = cause_of_status(refused.status)
    call.end_leg(leg, cause, "caller" if refused.received else "system", status=refused.status, gone=True)
    if all(other.state == "ended" for other in call.legs.values()):
        call.finish(cause, "caller" if refused.received else "system")


def on_timer(call: CallState, phase: Originating, fired: inputs.TimerFired) -> None:
    """The user does not pick up."""
    if fired.name == phase.timer:
        call.finish("no_answer", "system")
