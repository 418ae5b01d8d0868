"""What a call wants of other calls: to take one over, to take part in one, to have something said elsewhere; and of doors.

Invariant: calls of one tenant meet only each other; a leg that is to go on in another call stays this call's until the other one has
adopted it.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from carillon_media.domain import inputs, outputs
from carillon_media.domain.state import CallState, Parked, Ringing, Talking
from carillon_media.handlers import media_acts
from carillon_media.handlers.legs import LegIo, codecs_offered
from carillon_rtp.protocol import PlaneError
from carillon_rtp.values import MUTED, PAGER

if TYPE_CHECKING:
    from carillon_media.handlers.actor import CallActor

Refuses = Callable[[CallState], str]
TOO_LATE = "somebody was quicker"


# -- taking over ------------------------------------------------------------------------------------------------------


async def take_over(actor: "CallActor", output: outputs.TakeOver) -> None:
    actor.board.spawn(_take_over(actor, output))


async def _take_over(actor: "CallActor", output: outputs.TakeOver) -> None:
    """One candidate after another, the one that has waited longest first."""
    leg, known = actor.legs.get(output.leg_id), actor.call.legs.get(output.leg_id)
    if leg is None or known is None:
        return
    found = _parked(actor, output.slot) if output.slot else _ringing(actor, output.user_ids)
    for other, rung, refuses in list(found):
        actor.board.lend(leg)
        codec = codec_of(actor, leg)
        wanted = inputs.PickedUp(rung, leg.session, known.party, known.number, codec, actor.call.facts.call_id)
        if not await other.request(wanted, refuses):
            actor.post(inputs.TookOver(other.call.facts.call_id, "picked_up" if rung else "retrieved"))
            return
        actor.board.claim(leg.session)
    actor.post(inputs.NothingTaken())


def codec_of(actor: "CallActor", leg: LegIo) -> str:
    """What the leg speaks, or will if it is answered."""
    if leg.media is not None and leg.media.codec:
        return leg.media.codec
    return next(iter(codecs_offered(actor.parts, leg.offer, leg.flow, leg.srtp)), "")


def _others(actor: "CallActor") -> Iterator["CallActor"]:
    """Calls of the same tenant, the oldest first."""
    tenant = actor.call.facts.tenant
    return (other for other in actor.board.features.calls.values() if other is not actor and other.call.facts.tenant == tenant)


def _ringing(actor: "CallActor", user_ids: tuple[str, ...]) -> Iterator[tuple["CallActor", str, Refuses]]:
    for other in _others(actor):
        rings = [leg for leg in other.call.legs.values() if leg.party in user_ids and leg.state in ("offered", "ringing") and leg.outgoing]
        if rings and isinstance(other.call.state.phase, Ringing):
            yield other, rings[0].leg_id, _rings_no_more(rings[0].leg_id)


def _rings_no_more(leg_id: str) -> Refuses:
    return lambda state: "" if isinstance(state.phase, Ringing) and state.phase.table.of_leg(leg_id) is not None else TOO_LATE


def _parked(actor: "CallActor", slot: str) -> Iterator[tuple["CallActor", str, Refuses]]:
    for other in _others(actor):
        phase = other.call.state.phase
        if isinstance(phase, Parked) and phase.slot == slot:
            yield other, "", lambda state: "" if isinstance(state.phase, Parked) and state.phase.slot == slot else TOO_LATE


# -- taking part ------------------------------------------------------------------------------------------------------


async def find_talk(actor: "CallActor", output: outputs.FindTalk) -> None:
    for other in _others(actor):
        phase = other.call.state.phase
        if isinstance(phase, Talking):
            talks = [leg for leg in (other.call.state.anchor, phase.peer) if other.call.legs[leg].party == output.user_id]
            if talks:
                actor.post(inputs.TalkFound(other.call.facts.call_id, talks[0]))
                return
    actor.post(inputs.TalkFound())


async def take_part(actor: "CallActor", output: outputs.TakePart) -> None:
    own, other = actor.legs.get(output.leg_id), actor.board.features.calls.get(output.other_call_id)
    target = other.legs.get(output.other_leg_id) if other is not None else None
    if own is None or other is None or target is None:
        actor.post(inputs.TalkEnded())
        return
    try:
        await actor.parts.plane.tap(own.plane, target.plane, output.mode)
    except PlaneError as error:
        actor.parts.quiet.warning("a talk cannot be supervised", call_id=actor.call.facts.call_id, error=str(error))
        actor.post(inputs.TalkEnded())
        return
    actor.board.features.supervises(actor, output.other_call_id, output.other_leg_id)


async def part_from(actor: "CallActor", output: outputs.PartFrom) -> None:
    leg = actor.legs.get(output.leg_id)
    if leg is not None:
        await media_acts.attempt(actor, actor.parts.plane.untap(leg.plane))


async def tell_supervised(actor: "CallActor", output: outputs.TellSupervised) -> None:
    other = actor.board.features.calls.get(output.call_id)
    if other is not None:
        other.post(inputs.Supervised(output.leg_id, actor.call.facts.call_id, output.supervisor, output.mode))
    actor.board.features.told(actor, output)


# -- paging -----------------------------------------------------------------------------------------------------------


async def address(actor: "CallActor", output: outputs.Address) -> None:
    speaker, listener = actor.legs.get(output.speaker), actor.legs.get(output.listener)
    if speaker is None or listener is None:
        return
    plane, room = actor.parts.plane, _room(actor)
    try:
        for leg in (speaker, listener):
            await actor.ports.agree(leg)
            await actor.ports.tell(leg)
        await plane.open_room(room, tell_talkers=False)
        await plane.join(speaker.plane, room, PAGER)
        await plane.join(listener.plane, room, MUTED)
    except PlaneError as error:
        actor.parts.quiet.warning("a phone cannot be paged", call_id=actor.call.facts.call_id, error=str(error))


async def end_page(actor: "CallActor", output: outputs.EndPage) -> None:
    await media_acts.attempt(actor, actor.parts.plane.close_room(_room(actor)))


def _room(actor: "CallActor") -> str:
    return f"page/{actor.call.facts.call_id}"


async def announce(actor: "CallActor", output: outputs.Announce) -> None:
    actor.board.features.announce(actor, output)


async def remind(actor: "CallActor", output: outputs.Remind) -> None:
    actor.board.features.remind(actor, output)


# -- digits -----------------------------------------------------------------------------------------------------------


async def send_digits(actor: "CallActor", output: outputs.SendDigits) -> None:
    leg = actor.legs.get(output.leg_id)
    if leg is not None:
        await actor.board.keys.press(actor, leg, output.digits_id, output.digits, output.manner)


async def pass_key(actor: "CallActor", output: outputs.PassKey) -> None:
    await actor.board.keys.pass_on(actor, output)


DO: Mapping[type, Callable[["CallActor", Any], Awaitable[None]]] = {
    outputs.TakeOver: take_over,
    outputs.FindTalk: find_talk,
    outputs.TakePart: take_part,
    outputs.PartFrom: part_from,
    outputs.TellSupervised: tell_supervised,
    outputs.Address: address,
    outputs.EndPage: end_page,
    outputs.Announce: announce,
    outputs.Remind: remind,
    outputs.SendDigits: send_digits,
    outputs.PassKey: pass_key,
}
