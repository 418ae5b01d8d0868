"""What a call wants of SIP: legs called, answered, refused, let go, and told how their transfers go.

Invariant: whatever SIP or the media plane refuses comes back as an input; a leg is in `actor.legs` from its INVITE on.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from carillon_media.domain import inputs, outputs
from carillon_media.domain.invitation import invitation
from carillon_media.domain.state import CALLER
from carillon_media.domain.trunk_invitation import trunk_invitation
from carillon_media.handlers import identifying, media_acts
from carillon_media.handlers.board import AnswerAgain
from carillon_media.handlers.legs import LegIo
from carillon_media.ports import Fields
from carillon_rtp.protocol import PlaneError
from carillon_sip.commands import Invite
from carillon_sip.errors import SipError

if TYPE_CHECKING:
    from carillon_media.handlers.actor import CallActor


async def offer_leg(actor: "CallActor", output: outputs.OfferLeg) -> None:
    contact, facts = output.contact, actor.call.facts
    if not actor.parts.trunks.begin(f"{facts.call_id}/{output.leg_id}", contact):
        actor.post(inputs.LegRefused(output.leg_id, 503, received=False))
        return
    leg = LegIo(output.leg_id, "", contact.flow, f"{facts.call_id}/{output.leg_id}", outgoing=True, urgent=contact.emergency)
    if contact.trunk is not None:
        leg.media_networks, leg.srtp = contact.trunk.trunk.media_networks, contact.trunk.trunk.srtp
    try:
        media = (await actor.ports.open(leg)).offering(actor.codecs)
    except PlaneError as error:
        actor.parts.quiet.warning("no media port", call_id=facts.call_id, error=str(error))
        actor.post(inputs.LegRefused(output.leg_id, 503, received=False))
        return
    leg.media, leg.again = media, lambda other: actor.parts.sip.invite(_invitation(actor, output, other.body))
    try:
        leg.session = actor.parts.sip.invite(_invitation(actor, output, media.body))
    except SipError as error:
        actor.parts.quiet.warning("contact cannot be invited", call_id=facts.call_id, contact=contact.uri, error=str(error))
        actor.closing.append(leg)
        actor.post(inputs.LegRefused(output.leg_id, 503, received=False))
        return
    actor.legs[output.leg_id] = leg
    actor.board.bind(leg.session, actor, output.leg_id)
    actor.parts.trunks.watch(contact, leg.session, partial(_silent, actor, leg))


def _invitation(actor: "CallActor", output: outputs.OfferLeg, body: bytes) -> Invite:
    contact, trunks = output.contact, actor.parts.trunks
    own = actor.parts.sip.own_address(contact.flow)
    number, name, forwards = output.caller_number, output.caller_name, actor.max_forwards
    if contact.trunk is None:
        name = actor.parts.directory.contact_name(actor.call.facts.tenant, contact.party, number) or name
        return invitation(
            contact, own, caller_number=number, caller_name=name, body=body, max_forwards=forwards, auto_answer=output.auto_answer
        )
    sent_on = trunks.diversions(actor.call.facts, actor.call.state.users_result)
    return trunk_invitation(
        contact, contact.trunk, own, caller_number=number, caller_name=name, diversions=sent_on, body=body, max_forwards=forwards
    )


def _silent(actor: "CallActor", leg: LegIo) -> None:
    """The far end has not even said 100: another is tried, and this one cancelled if it ever speaks."""
    actor.parts.sip.cancel(leg.session, "")
    actor.post(inputs.LegRefused(leg.leg_id, 408, received=False))


async def ring_caller(actor: "CallActor", output: outputs.RingCaller) -> None:
    actor.parts.sip.ring(actor.legs[CALLER].session, 180)


async def early_media(actor: "CallActor", output: outputs.EarlyMedia) -> None:
    caller = actor.legs[CALLER]
    if not caller.offer:
        actor.parts.sip.ring(caller.session, 180)
        return
    if await media_acts.join(actor, CALLER, output.leg_id) and caller.media is not None:
        actor.parts.sip.ring(caller.session, 183, caller.media.body)


async def answer_caller(actor: "CallActor", output: outputs.AnswerCaller) -> None:
    await _answer(actor, actor.legs[CALLER])


async def answer_leg(actor: "CallActor", output: outputs.AnswerLeg) -> None:
    leg = actor.legs.get(output.leg_id)
    if leg is None or leg.answered:
        return
    if actor.parts.sip.heard(leg.session) is None:
        actor.post(inputs.LegLeft(output.leg_id))
        return
    await _answer(actor, leg)


async def answer_again(actor: "CallActor", output: AnswerAgain) -> None:
    """A process before has died between the event and the 200."""
    leg = actor.legs.get(output.leg_id)
    if leg is not None and not leg.answered:
        await _answer(actor, leg)


async def adopt_leg(actor: "CallActor", output: outputs.AdoptLeg) -> None:
    """A far end that was another call's, or called to take this one, is a leg of this call."""
    leg = actor.board.claim(output.handle)
    if leg is None:
        actor.post(inputs.LegLeft(output.leg_id))
        return
    lent_by = actor.board.leg_of(leg.session)
    if lent_by is not None:
        lent_by[0].legs.pop(lent_by[1], None)
    leg.leg_id = output.leg_id
    actor.legs[output.leg_id] = leg
    actor.board.bind(leg.session, actor, output.leg_id)
    if actor.parts.sip.heard(leg.session) is None:
        # It has hung up while it was nobody's.
        actor.post(inputs.LegLeft(output.leg_id))


async def report_transfer(actor: "CallActor", output: outputs.ReportTransfer) -> None:
    leg = actor.legs.get(output.leg_id)
    if leg is None or not leg.refer:
        return
    if output.status == 100:
        actor.parts.sip.accept_refer(leg.refer)
    else:
        actor.parts.sip.notify_refer(leg.refer, output.status)
    if output.status >= 200:
        leg.refer = ""


async def _answer(actor: "CallActor", leg: LegIo) -> None:
    try:
        media = await actor.ports.agree(leg)
        await actor.ports.tell(leg)
    except (PlaneError, SipError) as error:
        actor.parts.quiet.warning("a caller cannot be answered", call_id=actor.call.facts.call_id, error=str(error))
        actor.post(inputs.MediaLost())
        return
    leg.answered = True
    leg.awaits_answer = not leg.offer
    actor.parts.sip.answer(leg.session, media.body, identifying.headers(leg))


async def close_leg(actor: "CallActor", output: outputs.CloseLeg) -> None:
    leg = actor.legs.get(output.leg_id)
    if leg is None:
        return
    sip = actor.parts.sip
    if output.how == "moved":
        del actor.legs[leg.leg_id]
        actor.board.hand_over(leg)
        return
    if output.how == "reject" or (output.how == "bye" and not leg.outgoing and not leg.answered):
        headers: Fields = (("Retry-After", str(output.retry_after)),) if output.retry_after else ()
        if output.reason:
            headers = (*headers, ("Reason", output.reason))
        sip.reject(leg.session, output.status or 503, headers)
    elif output.how == "bye":
        sip.bye(leg.session, output.reason)
    elif output.how == "cancel":
        sip.cancel(leg.session, output.reason)
    actor.board.claim(leg.session)
    actor.parts.trunks.end(leg.plane)
    actor.closing.append(leg)


async def accept_reoffer(actor: "CallActor", output: outputs.AcceptReoffer) -> None:
    leg = actor.legs.get(output.leg_id)
    if leg is None or leg.media is None or leg.reoffer is None:
        return
    leg.reoffer = None
    try:
        await actor.ports.tell(leg)
    except PlaneError:
        actor.parts.sip.reject_reinvite(leg.session, 500)
        return
    actor.parts.sip.accept_reinvite(leg.session, leg.media.body)


DO: Mapping[type, Callable[["CallActor", Any], Awaitable[None]]] = {
    outputs.OfferLeg: offer_leg,
    outputs.RingCaller: ring_caller,
    outputs.EarlyMedia: early_media,
    outputs.AnswerCaller: answer_caller,
    outputs.AnswerLeg: answer_leg,
    AnswerAgain: answer_again,
    outputs.AdoptLeg: adopt_leg,
    outputs.ReportTransfer: report_transfer,
    outputs.CloseLeg: close_leg,
    outputs.AcceptReoffer: accept_reoffer,
}
