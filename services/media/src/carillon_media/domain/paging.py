"""Paging: phones answer by themselves and let the anchor be heard.

Invariant: who talks already is not disturbed; nobody hears a paged phone; the page is over with its anchor, or when nobody listens.
"""

from dataclasses import replace

from carillon_contracts import call as events
from carillon_media.domain import inputs, outputs
from carillon_media.domain.causes import cause_of_status
from carillon_media.domain.state import CallState, Paging, Party
from carillon_media.domain.steps import Beep, Page, PageOutcome, Ring


def begin(call: CallState, step: Page) -> None:
    """Call every phone that is free."""
    call.answer_caller()
    call.phase = Paging(call.name("page"))
    call.do(outputs.SetTimer(call.phase.timer, call.now + step.answer_within_ms / 1000))
    call.do(outputs.PlayTo(call.anchor, call.name("beep"), (Beep(),)))
    shown = Ring((), step.caller_number, step.caller_name, auto_answer=True)
    reach, tenant, own = call.reach, call.facts.tenant, call.legs[call.anchor].party
    if reach is not None:
        for user_id in dict.fromkeys(step.user_ids):
            if user_id == own or reach.talks(tenant, user_id):
                continue
            for contact in reach.contacts_of_user(tenant, user_id):
                if len(call.legs) <= call.limits.max_ring_legs:
                    call.offer_leg(contact, f"page:{user_id}", shown)
    _over_if_nobody(call, call.phase)


def on_progress(call: CallState, phase: Paging, progress: inputs.LegProgressed) -> None:
    """A phone that rings does not know how to answer by itself, or takes a moment."""
    leg = call.legs.get(progress.leg_id)
    if leg is not None and leg.leg_id != call.anchor and leg.state == "offered":
        leg.state = "ringing"
        call.journal(events.LegRinging(sip_status=progress.status), leg.leg_id)


def on_accepted(call: CallState, phase: Paging, accepted: inputs.LegAccepted) -> None:
    """One more listens."""
    leg = call.legs.get(accepted.leg_id)
    if leg is None or leg.leg_id == call.anchor or leg.state not in ("offered", "ringing"):
        return
    leg.state = "answered"
    call.phase = replace(phase, reached=phase.reached + 1)
    call.journal(events.LegAnswered(codec=accepted.codec), leg.leg_id)
    call.do(outputs.Address(call.anchor, leg.leg_id))


def on_refused(call: CallState, phase: Paging, refused: inputs.LegRefused) -> None:
    """One less."""
    leg = call.legs.get(refused.leg_id)
    if leg is not None and leg.state in ("offered", "ringing") and leg.leg_id != call.anchor:
        by: Party = "callee" if refused.received else "system"
        call.end_leg(leg, cause_of_status(refused.status), by, status=refused.status, gone=True)
        _over_if_nobody(call, phase)


def on_timer(call: CallState, phase: Paging, fired: inputs.TimerFired) -> None:
    """Phones that have not answered are left alone."""
    if fired.name == phase.timer:
        for leg in list(call.legs.values()):
            if leg.leg_id != call.anchor and leg.state in ("offered", "ringing"):
                call.end_leg(leg, "no_answer", "system")
        _over_if_nobody(call, phase)


def on_left(call: CallState, phase: Paging) -> None:
    """A listener hung up."""
    _over_if_nobody(call, phase)


def on_restored(call: CallState, phase: Paging, given: inputs.MediaRestored) -> None:
    """Everybody listens again on the new plane."""
    for leg in call.legs.values():
        if leg.leg_id != call.anchor and leg.state == "answered":
            call.do(outputs.Address(call.anchor, leg.leg_id))


def _over_if_nobody(call: CallState, phase: Paging) -> None:
    if any(leg.state != "ended" for leg in call.legs.values() if leg.leg_id != call.anchor):
        return
    call.do(outputs.CancelTimer(phase.timer))
    call.journal(events.PageEnded(reached=phase.reached))
    call.do(outputs.EndPage())
    call.ask(PageOutcome(phase.reached))
