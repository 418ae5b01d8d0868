"""What phones ask for beyond their own leg: REFER with and without Replaces, and INVITE with Replaces that takes a call over.

Invariant: only a user of the same tenant touches a call, and joins only calls that are its own; a REFER is accepted, declined, or ended by
a last progress, whatever becomes of the calls.
"""

from collections.abc import Callable

from carillon_kit.logs import get_logger
from carillon_media.domain import holding, inputs, talk_recording, transferring
from carillon_media.domain.causes import NORMAL_CLEARING
from carillon_media.domain.facts import CallFacts
from carillon_media.domain.identity import dialled_by
from carillon_media.domain.state import CallState, Parked, Ringing, Talking
from carillon_media.handlers.actor import CallActor
from carillon_media.handlers.device_uris import DeviceGruus, NamedDevice
from carillon_media.handlers.joining import Board, Joining
from carillon_media.handlers.legs import LegIo, codecs_offered
from carillon_rtp.protocol import PlaneError
from carillon_sip.errors import ParseError
from carillon_sip.flow import Flow
from carillon_sip.message import Request
from carillon_sip.outputs import ReferReceived
from carillon_sip.replaces import Replaces

_log = get_logger(__name__)
NOT_POSSIBLE = "the call is in no state for it"


class Transfers:
    """Phones' transfers and pick-ups on this node."""

    def __init__(self, board: Board) -> None:
        self._board = board
        #: Calls of other nodes; None: there are none.
        self.joining: Joining | None = None
        #: What phones are called besides numbers; None: nothing.
        self.gruus: DeviceGruus | None = None

    # -- REFER --------------------------------------------------------------------------------------------------------

    def referred(self, actor: CallActor, leg_id: str, refer: ReferReceived) -> None:
        """A phone sends the other side of its call somewhere."""
        decline = self._board.parts.sip.decline_refer
        if refer.replaces is not None:
            other = self._leg_of(refer.replaces)
            if other is None:
                sessions = {refer.replaces.to_tag, refer.replaces.from_tag}
                self._board.spawn(self._join_there(actor, leg_id, sessions, refer.refer))
            elif not _same_user(actor, leg_id, *other):
                decline(refer.refer, 403)
            else:
                self._board.spawn(self._join(actor, leg_id, *other, refer.refer))
            return
        named = self._named(actor, refer)
        destination = named.number if isinstance(named, NamedDevice) else dialled_by(refer.refer_to.uri)
        if isinstance(named, int):
            decline(refer.refer, named)
        elif destination:
            device = (named.user_id, named.instance) if named is not None else ("", "")
            self._board.spawn(self._blind(actor, leg_id, destination, refer.refer, device))
        else:
            decline(refer.refer, 484)

    def _leg_of(self, replaces: Replaces) -> tuple[CallActor, str] | None:
        """Our tag is the name of a session; phones do not agree on which of the two tags is whose."""
        found = self._board.leg_of(replaces.to_tag) or self._board.leg_of(replaces.from_tag)
        return found if found is not None and found[1] in found[0].legs else None

    async def join(self, actor: CallActor, leg_id: str, other: CallActor, other_leg: str) -> str:
        """As by a phone's REFER, which nobody waits for; returns why it cannot be, or nothing."""
        return await self._join(actor, leg_id, other, other_leg, "")

    async def join_there(self, actor: CallActor, leg_id: str, session: str) -> str:
        """As `join`, with the call of another node in which this is the leg's user's session."""
        return await self._join_there(actor, leg_id, {session}, "")

    async def _join_there(self, actor: CallActor, leg_id: str, sessions: set[str], refer: str) -> str:
        joining = self.joining
        if joining is None:
            return self._decline(refer, NOT_POSSIBLE, 481)
        there = await joining.find(actor, leg_id, sessions)
        if isinstance(there, int):
            return self._decline(refer, NOT_POSSIBLE, there)
        if reason := _cannot(actor.call.state, leg_id):
            return self._decline(refer, reason)
        settled = await joining.settled(actor, there)
        if isinstance(settled, str):
            return await self._blind(actor, leg_id, settled, refer)
        joined = await joining.join(actor, leg_id, settled) if settled is not None else 481
        if isinstance(joined, int):
            return self._decline(refer, NOT_POSSIBLE, joined)
        return await self._adopt(actor, joined, refer)

    async def _adopt(self, actor: CallActor, adopted: inputs.LegAdopted, refer: str) -> str:
        """The last step: the far end is nobody's at this moment."""
        if refer:
            self._board.parts.sip.accept_refer(refer)
        if (own := actor.legs.get(adopted.leg_id)) is not None:
            own.refer = refer
        if reason := await actor.request(adopted, lambda state: _cannot(state, adopted.leg_id)):
            _log.warning("a transfer lost one side", call_id=actor.call.facts.call_id, reason=reason)
            if refer:
                self._board.parts.sip.notify_refer(refer, 481)
            await self._let_go(adopted.handle)
            return reason
        return ""

    # -- another node joins one of its calls with one of ours --------------------------------------------------------------

    def joins(self, session: str, request: Request, flow: Flow) -> bool:
        """Whether this INVITE is no call of its own but another node's, whose call is joined with one of ours."""
        found = self.joining.invited(session, request, flow) if self.joining is not None else None
        if isinstance(found, int):
            self._board.parts.sip.reject(session, found)
        elif found is not None:
            self._board.spawn(self._joined_by(*found))
        return found is not None

    async def _joined_by(self, actor: CallActor, leg: LegIo, adopted: inputs.LegAdopted) -> None:
        await self._take_in(actor, leg, adopted, lambda state: _cannot(state, adopted.leg_id))

    async def _take_in(self, actor: CallActor, leg: LegIo, given: inputs.Input, refuses: Callable[[CallState], str]) -> None:
        """Who calls comes into a call that is there, or is refused."""
        self._board.hand_over(leg)
        if await actor.request(given, refuses):
            self._board.claim(leg.session)
            self._board.parts.sip.reject(leg.session, 481)

    def _decline(self, refer: str, reason: str, status: int = 603) -> str:
        if refer:
            self._board.parts.sip.decline_refer(refer, status)
        return reason

    def _named(self, actor: CallActor, refer: ReferReceived) -> NamedDevice | int | None:
        """The phone that the Refer-To names by its GRUU."""
        try:
            return self.gruus.named(actor.call.facts.tenant, str(refer.refer_to.uri)) if self.gruus is not None else None
        except ParseError:
            return 400

    async def _blind(self, actor: CallActor, leg_id: str, destination: str, refer: str, device: tuple[str, str] = ("", "")) -> str:
        leg = actor.legs.get(leg_id)
        if leg is None:  # It went while another node was waited for.
            return self._decline(refer, NOT_POSSIBLE)
        leg.refer = refer
        if reason := await actor.request(inputs.LegRefers(leg_id, destination, *device), lambda state: _cannot(state, leg_id)):
            leg.refer = ""
            return self._decline(refer, reason)
        return ""

    async def _join(self, actor: CallActor, leg_id: str, other: CallActor, other_leg: str, refer: str) -> str:
        """Attended: the far end of the other call takes the leg's place in this one. While it only rings there: a blind transfer."""
        phase, call_id = other.call.state.phase, actor.call.facts.call_id
        if actor is other or not isinstance(actor.call.state.phase, Talking):
            return self._decline(refer, NOT_POSSIBLE)
        if not isinstance(phase, Talking):
            # Who has called the parking lot itself parks the other one in the slot that it was told.
            destination = phase.slot if isinstance(phase, Parked) else other.call.facts.dialled
            await other.request(inputs.HangUpRequested("phone", NORMAL_CLEARING), lambda state: "")
            return await self._blind(actor, leg_id, destination, refer)
        moved = other.call.legs[holding.other_than(other.call.state, phase, other_leg)]
        moved_io, recorded = other.legs[moved.leg_id], talk_recording.of_talk(other.call.state, phase)
        if reason := await other.request(inputs.LegHandedOver(other_leg, call_id), lambda state: _cannot(state, other_leg)):
            return self._decline(refer, reason)
        codec = moved_io.media.codec if moved_io.media else ""
        call_id_there = other.call.facts.call_id
        adopted = inputs.LegAdopted(leg_id, moved_io.session, moved.party, moved.number, codec, call_id_there, recorded)
        return await self._adopt(actor, adopted, refer)

    async def _let_go(self, handle: str) -> None:
        """The call that should have adopted it is gone."""
        leg = self._board.claim(handle)
        if leg is None:
            return
        if leg.unacknowledged:
            self._board.parts.sip.ack(leg.session)
        self._board.parts.sip.bye(leg.session, "")
        try:
            await self._board.parts.plane.close(leg.plane)
        except PlaneError as error:
            _log.debug("media plane", error=str(error))

    # -- INVITE with Replaces -------------------------------------------------------------------------------------------

    def takes_over(self, session: str, request: Request, flow: Flow, facts: CallFacts) -> bool:
        """Whether this INVITE is not a call of its own but takes over what rings at another phone, or its user's talk (RFC 3891)."""
        values = request.headers.raw("Replaces")
        if not values:
            return False
        sip = self._board.parts.sip
        try:
            found = self._leg_of(Replaces.parse(values[0]))
        except ParseError:
            sip.reject(session, 400)
            return True
        if found is None or found[0].call.facts.tenant != facts.tenant or facts.caller_user_id is None:
            sip.reject(session, 481)
        elif self._forbidden(*found, facts):
            sip.reject(session, 403)
        elif request.body and not codecs_offered(self._board.parts, request.body, flow):
            sip.reject(session, 488)
        else:
            leg = LegIo("", session, flow, f"{facts.call_id}/a", offer=request.body)
            self._board.spawn(self._pick_up(*found, leg, facts))
        return True

    def _forbidden(self, actor: CallActor, rung: str, facts: CallFacts) -> bool:
        """A talk is taken over by another phone of the same user only; where only groups may pick up, who is in none with whose phone rings
        must not."""
        leg = actor.call.legs.get(rung)
        if leg is not None and isinstance(actor.call.state.phase, Talking):
            return leg.party != facts.caller_user_id
        may = self._board.parts.directory.may_pick_up
        return leg is not None and not may(facts.tenant, facts.caller_user_id or "", leg.party)

    async def _pick_up(self, actor: CallActor, rung: str, leg: LegIo, facts: CallFacts) -> None:
        codec = next(iter(codecs_offered(self._board.parts, leg.offer, leg.flow)), "")
        taken = inputs.PickedUp(rung, leg.session, facts.caller_user_id or "", facts.caller, codec)
        talks = isinstance(actor.call.state.phase, Talking)
        await self._take_in(actor, leg, taken, lambda state: _cannot(state, rung) if talks else _not_ringing(state, rung))


def _same_user(actor: CallActor, leg_id: str, other: CallActor, other_leg: str) -> bool:
    one, two = actor.call.legs.get(leg_id), other.call.legs.get(other_leg)
    same_tenant = actor.call.facts.tenant == other.call.facts.tenant
    return one is not None and two is not None and same_tenant and one.party == two.party and not one.is_trunk


def _cannot(state: CallState, leg_id: str) -> str:
    leg, phase = state.legs.get(leg_id), state.phase
    fits = leg is not None and isinstance(phase, Talking) and transferring.transfers(state, phase, leg)
    return "" if fits else NOT_POSSIBLE


def _not_ringing(state: CallState, leg_id: str) -> str:
    return "" if isinstance(state.phase, Ringing) and state.phase.table.of_leg(leg_id) is not None else NOT_POSSIBLE
