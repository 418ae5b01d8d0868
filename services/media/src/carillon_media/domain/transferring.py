"""Transfers: one of two that talk sends the other one to a destination, or joins it with whom it talks to in another call.

Invariant: a transfer under way ends once, by `CallState.end_transfer`; who stays behind is the anchor and is never without somebody, a
ringing tone or an ending call. A destination that does not answer gives the call back to who sent it away.
"""

from dataclasses import replace

from carillon_contracts import call as events
from carillon_media.domain import holding, inputs, outputs, ringing, talk_recording
from carillon_media.domain.causes import NORMAL_CLEARING
from carillon_media.domain.describe import describe
from carillon_media.domain.state import CALLER, CallState, Leg, Talking, Transfer, side_of
from carillon_media.domain.steps import Entered, RecordingPlan, Ring, RingOutcome, RingTarget

RETURN_RING_MS = 30_000
RETURN_TARGET = "transferor"
#: Why a leg ended that goes on in another call.
MOVED = "transferred"


def begin(
    call: CallState, phase: Talking, by: Leg, destination: str, requested_by: str, *, release: bool, device: tuple[str, str] = ("", "")
) -> None:
    """Leg `by` sends the other one to a dialled destination, or one phone of a user there (`device_user` and `device` of `CallFacts`).

    `release`: `by` is hung up at once, its phone has not asked for progress.
    """
    kept_id = holding.other_than(call, phase, by.leg_id)
    side = {"sent_by": "caller"} if by.leg_id == call.anchor else {}
    arguments = {"transferred_by": by.party, **side, **_who_stays(call.legs[kept_id], phase.ring.recording)}
    kept = call.legs[kept_id]
    call.journal(
        events.LegTransferred(kept=kept_id, destination=destination, requested_by=requested_by, party=by.party, kept_number=kept.number),
        by.leg_id,
    )
    holding.leave(call, phase)
    talk_recording.leave(call, phase)
    call.do(outputs.UnbridgeLeg(kept_id))
    call.anchor = kept_id
    call.transfer = Transfer(by.leg_id, destination)
    call.asks_as = replace(
        call.facts,
        direction="from_user",
        caller=by.number,
        caller_name=call.facts.caller_name if by.leg_id == CALLER else "",
        caller_user_id=by.party,
        dialled=destination,
        trunk_id=None,
        device_user=device[0],
        device=device[1],
    )
    call.orphaned = False
    call.do(outputs.ReportTransfer(by.leg_id, 100))
    if release:
        call.end_leg(by, NORMAL_CLEARING, "system")
    call.ask_first(Entered(arguments))


def _who_stays(kept: Leg, plan: RecordingPlan | None) -> dict[str, str]:
    """For the recording of the talk that follows: the user who stays, and the policy of the talk that ends."""
    user = {} if kept.is_trunk else {"stays": kept.party}
    policy_id = "" if plan is None or plan.never or plan.from_tenant else plan.labels.get(talk_recording.POLICY, "")
    return {**user, "recorded_by": policy_id} if policy_id else user


def on_refer(call: CallState, phase: Talking, given: inputs.LegRefers) -> None:
    """A phone sends the other side away (RFC 3515)."""
    leg = call.legs.get(given.leg_id)
    if leg is not None and transfers(call, phase, leg):
        begin(call, phase, leg, given.destination, "phone", release=False, device=(given.device_user, given.device))


def transfers(call: CallState, phase: Talking, leg: Leg) -> bool:
    """Whether this leg may send the other one away: it talks, and it is a user, because calls that follow are made in its name."""
    return leg.leg_id in (call.anchor, phase.peer) and leg.state == "answered" and bool(leg.party) and not leg.is_trunk


def come_back(call: CallState, status: int) -> None:
    """Nobody answered: to who sent it away, whose leg may still be there, or whose devices ring again."""
    transfer = call.transfer
    assert transfer is not None
    by = call.legs[transfer.by]
    call.orphaned = True
    if by.state == "answered":
        call.do(outputs.BridgeLegs(call.anchor, by.leg_id))
        call.end_transfer("returned", status)
        call.journal(events.CallBridged(legs=(call.anchor, by.leg_id)))
        call.phase = Talking(by.leg_id, Ring((), recording=call.carried.plan), RingOutcome("answered", ()))
        holding.begin(call, call.phase)
        talk_recording.begin(call, call.phase)
        return
    call.transfer = replace(transfer, returning=True)
    number, name = call.shown("", "")
    step = Ring((RingTarget(RETURN_TARGET, by.party, 0, RETURN_RING_MS),), number, name, recording=call.carried.plan)
    reason = f"{transfer.destination} did not answer (SIP {status})"
    trace = events.TraceLine(subject=f"transfer to {transfer.destination}", matched=False, reason=reason, next=by.party)
    call.journal(events.RoutingDecided(application="media", step="ring", details=describe(step), trace=(trace,)))
    ringing.begin(call, step)


def on_handed_over(call: CallState, phase: Talking, given: inputs.LegHandedOver) -> None:
    """The leg joins whom it talks to here with the other call: that far end goes on there, this call is over."""
    leg = call.legs.get(given.leg_id)
    if leg is None or not transfers(call, phase, leg):
        return
    moved = call.legs[holding.other_than(call, phase, leg.leg_id)]
    call.journal(events.CallTransferred(other_call_id=given.to_call_id, moved=moved.leg_id, goes_on=False), leg.leg_id)
    holding.leave(call, phase)
    call.do(outputs.UnbridgeLeg(moved.leg_id))
    by = side_of(leg.leg_id)
    call.move_leg(moved, MOVED, by)
    call.finish(NORMAL_CLEARING, by)


def on_adopted(call: CallState, phase: Talking, given: inputs.LegAdopted) -> None:
    """The other side of the leg's other call takes the leg's place in this one."""
    leg = call.legs.get(given.leg_id)
    if leg is None or not transfers(call, phase, leg):
        return
    kept_id, new = _take_place(call, phase, leg, given)
    call.journal(events.CallTransferred(other_call_id=given.from_call_id, moved=new.leg_id, goes_on=True), leg.leg_id)
    call.carried = talk_recording.joined(call.carried, given.recorded)
    _talk(call, kept_id, new)
    if given.answer:
        call.do(outputs.AnswerLeg(new.leg_id))
    call.do(outputs.ReportTransfer(leg.leg_id, 200))
    call.end_leg(leg, NORMAL_CLEARING, "system")


def on_replaced(call: CallState, phase: Talking, given: inputs.PickedUp) -> None:
    """Another phone of the leg's user takes its talk over (RFC 3891 section 3, confirmed dialogs)."""
    leg = call.legs.get(given.leg_id)
    if leg is None or not transfers(call, phase, leg) or leg.party != given.party:
        return
    kept_id, new = _take_place(call, phase, leg, given)
    call.journal(events.LegReplaced(replaced_by=new.leg_id), leg.leg_id)
    talk_recording.same_person(call, leg, new)
    _talk(call, kept_id, new)
    call.do(outputs.AnswerLeg(new.leg_id))
    call.end_leg(leg, NORMAL_CLEARING, "system")


def _take_place(call: CallState, phase: Talking, leg: Leg, given: inputs.LegAdopted | inputs.PickedUp) -> tuple[str, Leg]:
    """A far end that was not this call's is a leg of it; returns who stays, and the leg."""
    kept_id = holding.other_than(call, phase, leg.leg_id)
    holding.leave(call, phase)
    talk_recording.leave(call, phase)
    call.do(outputs.UnbridgeLeg(kept_id))
    new = call.add_leg(given.party, given.number)
    call.do(outputs.AdoptLeg(new.leg_id, given.handle))
    new.state = "answered"
    call.journal(events.LegAnswered(codec=given.codec), new.leg_id)
    return kept_id, new


def _talk(call: CallState, kept_id: str, new: Leg) -> None:
    call.anchor = kept_id
    call.do(outputs.BridgeLegs(kept_id, new.leg_id))
    call.journal(events.CallBridged(legs=(kept_id, new.leg_id)))
    call.phase = Talking(new.leg_id, Ring((), recording=call.carried.plan), RingOutcome("answered", ()))
    holding.begin(call, call.phase)
    talk_recording.begin(call, call.phase)
