"""An attended transfer whose two calls are at two nodes: the node that is asked calls the other one, and takes the leg's place there.

Each node keeps its call, one leg of which is the other node from then on: the INVITE names the leg whose place it takes, sealed.

Invariant: seals are made with the installation's key, so only nodes join calls; a leg is replaced only for its own user, within its tenant.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from carillon_kit.sealing import SealBroken, Sealer
from carillon_media.domain import holding, inputs, talk_recording
from carillon_media.domain.causes import NORMAL_CLEARING
from carillon_media.domain.elsewhere import NodeCall
from carillon_media.domain.facts import Contact
from carillon_media.domain.invitation import invitation
from carillon_media.domain.media_sources import BETWEEN_NODES
from carillon_media.domain.state import Leg, Talking
from carillon_media.domain.steps import Carried, RecordingPlan
from carillon_media.handlers.actor import CallActor
from carillon_media.handlers.cluster import Cluster
from carillon_media.handlers.elsewhere import Elsewhere
from carillon_media.handlers.legs import LegIo, codecs_offered
from carillon_media.handlers.media_acts import close_media
from carillon_media.ports import Parts
from carillon_rtp.protocol import PlaneError
from carillon_sip import outputs as sip
from carillon_sip.commands import HeaderFields
from carillon_sip.errors import SipError
from carillon_sip.flow import Flow, host_port
from carillon_sip.message import Request

HEADER = "X-Carillon-Join"
#: Most of it are the announcements of a recording policy.
_LONGEST = 8000
#: What the other node is told of the recording is its business from then on: a talk has one.
_THERE = Carried(RecordingPlan(never=True))
#: Seconds within which the other node answers, and how long a seal is good for, whatever the nodes' clocks say.
ANSWER_SECONDS, SEAL_SECONDS = 8.0, 60.0


@dataclass(frozen=True, slots=True)
class Join:
    """Whose leg's place is taken (`session`, of `user_id`), and who takes it; `call_id` is that one's call. `at`: seconds since 1970.
    `recorded`: what that one's talk says of the recording of the joined one, which is made by the node that is told so, and by no other."""

    tenant: str
    session: str
    user_id: str
    party: str
    number: str
    call_id: str
    at: float
    recorded: Carried = field(default_factory=Carried)


_JOIN = TypeAdapter(Join)


@dataclass(frozen=True, slots=True)
class There:
    """A call of another node, and which of its sessions is the leg's own."""

    node: str
    call: NodeCall
    session: str


class Board(Protocol):
    """All calls, as far as transfers need them."""

    parts: Parts

    def leg_of(self, session: str) -> tuple[CallActor, str] | None: ...
    def hand_over(self, leg: LegIo) -> None: ...
    def claim(self, handle: str) -> LegIo | None: ...
    def spawn(self, coroutine: Awaitable[object]) -> None: ...


class Joining:
    """Of one node."""

    def __init__(self, board: Board, cluster: Cluster, elsewhere: Elsewhere, key: bytes) -> None:
        self._board = board
        self._cluster = cluster
        self._elsewhere = elsewhere
        self._sealer = Sealer(key, "calls of two nodes joined")
        self._calling: dict[str, asyncio.Future[sip.SessionAnswered | None]] = {}
        elsewhere.ends = self._end

    # -- the node that is asked -----------------------------------------------------------------------------------------

    async def find(self, actor: CallActor, leg_id: str, sessions: set[str]) -> There | int:
        """The call of another node that has one of these sessions, which is the leg's user's; 481 or 403: there is none."""
        found = await self._elsewhere.with_session(actor.call.facts.tenant, sessions)
        if found is None:
            return 481
        node, call = found
        session = next(iter(sessions & set(call.sessions)))
        known, own = call.leg(session), actor.call.legs.get(leg_id)
        same = known is not None and own is not None and known.party == own.party and not own.is_trunk
        return There(node, call, session) if same else 403

    async def settled(self, actor: CallActor, there: There) -> There | str | None:
        """The talk there; or, when nobody talks there yet, where the other side is to go: that call is ended. None: neither."""
        if there.call.other_than(there.session) is not None:
            return there
        now = await self._elsewhere.end(actor.call.facts.tenant, there.call.call_id, there.session)
        if isinstance(now, NodeCall):
            return replace(there, call=now)
        return None if now is None else there.call.slot or there.call.dialled

    async def join(self, actor: CallActor, leg_id: str, there: There) -> inputs.LegAdopted | int:
        """Call the other node; how its leg is to be adopted in the place of `leg_id`, or with what status it was refused."""
        phase, far = actor.call.state.phase, there.call.other_than(there.session)
        peer = self._cluster.peers.get(there.node)
        if peer is None or far is None or not isinstance(phase, Talking):
            return 481
        moved = actor.call.legs[holding.other_than(actor.call.state, phase, leg_id)]
        contact = Contact(f"sip:join@{host_port(peer)}", self._cluster.flow_to(peer), far.party, far.number, "")
        leg = LegIo("", "", contact.flow, f"{BETWEEN_NODES}{self._board.parts.ids.uuid7()}", outgoing=True)
        seal, recorded = self._seal(actor, leg_id, moved, there, talk_recording.of_talk(actor.call.state, phase)), _THERE
        if len(seal) > _LONGEST:  # Each node records by itself then, as its own policy says.
            seal, recorded = self._seal(actor, leg_id, moved, there, Carried()), Carried()
        answered = await self._answered(actor, leg, contact, moved, seal)
        if answered is None:
            await close_media(actor, (leg,))
            return 480
        assert leg.media is not None
        self._board.hand_over(leg)
        return inputs.LegAdopted(leg_id, leg.session, far.party, far.number, leg.media.codec, there.call.call_id, recorded)

    def _seal(self, actor: CallActor, leg_id: str, moved: Leg, there: There, recorded: Carried) -> str:
        facts, now = actor.call.facts, self._board.parts.clock.now().timestamp()
        user_id = actor.call.legs[leg_id].party
        join = Join(facts.tenant, there.session, user_id, moved.party, moved.number, facts.call_id, now, recorded)
        return self._sealer.seal(_JOIN.dump_json(join).decode())

    async def _answered(self, actor: CallActor, leg: LegIo, contact: Contact, moved: Leg, seal: str) -> sip.SessionAnswered | None:
        parts, spoken = self._board.parts, actor.legs[moved.leg_id].media
        headers: HeaderFields = ((HEADER, seal),)
        try:
            media = (await actor.ports.open(leg)).offering((spoken.codec,) if spoken is not None else ())
            leg.session = parts.sip.invite(
                invitation(
                    contact,
                    parts.sip.own_address(contact.flow),
                    caller_number=moved.number,
                    caller_name="",
                    body=media.body,
                    max_forwards=actor.max_forwards,
                    headers=headers,
                )
            )
        except (PlaneError, SipError) as error:
            parts.quiet.warning("a call of another node cannot be joined", call_id=actor.call.facts.call_id, error=str(error))
            return None
        answered = await self._final(leg.session)
        if answered is None:
            parts.sip.cancel(leg.session, "")
            return None
        leg.answered = leg.unacknowledged = True
        try:
            leg.media = media.answered(answered.response.body)
        except SipError:
            parts.sip.ack(leg.session)
            parts.sip.bye(leg.session, 'Q.850;cause=88;text="incompatible_destination"')
            return None
        return answered

    async def _final(self, session: str) -> sip.SessionAnswered | None:
        done = self._calling[session] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answered: sip.SessionAnswered | None = await done
                return answered
        except TimeoutError:
            return None
        finally:
            del self._calling[session]

    def heard(self, session: str, output: sip.Output) -> bool:
        """An output of a session that is no call's; whether it was for us."""
        done = self._calling.get(session)
        if done is not None and not done.done() and isinstance(output, sip.SessionAnswered | sip.SessionFailed | sip.SessionEnded):
            done.set_result(output if isinstance(output, sip.SessionAnswered) else None)
        return done is not None

    # -- the node that has the other call ------------------------------------------------------------------------------

    def invited(self, session: str, request: Request, flow: Flow) -> tuple[CallActor, LegIo, inputs.LegAdopted] | int | None:
        """What another node's INVITE joins, and how; a status: it is refused; None: it is an INVITE like others."""
        values = request.headers.raw(HEADER)
        if not values or not self._cluster.is_peer(flow.remote):
            return None
        join = self._opened(values[0])
        found = self._board.leg_of(join.session) if join is not None else None
        if join is None:
            return 403
        if found is None or found[0].call.facts.tenant != join.tenant or (known := found[0].call.legs.get(found[1])) is None:
            return 481
        codecs = codecs_offered(self._board.parts, request.body, flow)
        if known.party != join.user_id or not codecs:
            return 403 if codecs else 488
        leg = LegIo("", session, flow, f"{BETWEEN_NODES}{self._board.parts.ids.uuid7()}", offer=request.body)
        whose = (join.party, join.number, codecs[0], join.call_id, join.recorded)
        return found[0], leg, inputs.LegAdopted(found[1], session, *whose, answer=True)

    def _end(self, actor: CallActor) -> None:
        """Another node asks for it, in the name of the call's own phone; what has come to a talk meanwhile is to be joined."""
        ended = actor.request(
            inputs.HangUpRequested("phone", NORMAL_CLEARING), lambda state: "somebody talks" if isinstance(state.phase, Talking) else ""
        )
        self._board.spawn(ended)

    def _opened(self, value: str) -> Join | None:
        try:
            join = _JOIN.validate_json(self._sealer.open(value)) if len(value) <= _LONGEST else None
        except (SealBroken, ValidationError):
            return None
        late = join is None or abs(self._board.parts.clock.now().timestamp() - join.at) > SEAL_SECONDS
        return None if late else join
