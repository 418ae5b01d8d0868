"""Calls of a process that died, taken up by this one: their machines, SIP sessions and media ports go on where they were.

Invariant: a far end hears nothing that a retransmission would not say; audio is not touched unless the media plane lost it; a leg that
cannot be taken up leaves its call as if it had fallen silent; whoever may still believe in a call that is over is told, and so is
an application that wanted to know that its caller gave up.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from carillon_kit.logs import get_logger
from carillon_media.domain import inputs, ringing
from carillon_media.domain.call import Call
from carillon_media.domain.causes import NODE_FAILURE
from carillon_media.domain.key_memory import after_a_kill
from carillon_media.domain.recovery import PastEvent
from carillon_media.domain.snapshots import SavedCall, SavedLeg
from carillon_media.domain.state import Gathering, Leg, Playing, Recording, Supervising, TakingLeave, Waiting, side_of
from carillon_media.handlers.actor import CallActor, tell
from carillon_media.handlers.board import AnswerAgain, Restore
from carillon_media.handlers.legs import LegIo, listened_for
from carillon_media.handlers.recovery import Found, Past
from carillon_media.handlers.switchboard import Switchboard
from carillon_rtp.values import SessionState
from carillon_sip.digest import Credentials
from carillon_sip.errors import ParseError

_log = get_logger(__name__)
#: 64*T1: whoever was not told by then has given up (RFC 3261 section 17).
FAREWELL = timedelta(seconds=32)
TRUNK = "trunk:"


class Resumption:
    """`take_up` before SIP is heard, then `go_on`."""

    def __init__(self, board: Switchboard, found: Found) -> None:
        self._board = board
        self._parts = board.parts
        self._found = found
        self._lost: dict[str, list[str]] = {}

    def take_up(self) -> int:
        """Have the calls and their sessions here; returns how many."""
        for past in self._found.open:
            if past.call is not None:
                self._take(past, past.call)
        return len(self._found.open)

    def _take(self, past: Past, saved: SavedCall) -> None:
        machine = Call.again(saved.state)
        actor = CallActor(machine, self._parts, self._board, max_forwards=saved.max_forwards, codecs=saved.codecs)
        actor.answered_at = saved.answered_at
        for leg in machine.legs.values():
            kept = past.legs.get(leg.leg_id)
            if leg.state != "ended" and (kept is None or not self._take_leg(actor, leg, kept)):
                self._lost.setdefault(past.call_id, []).append(leg.leg_id)
        self._board.take(actor)
        for leg_io in actor.legs.values():
            self._board.bind(leg_io.session, actor, leg_io.leg_id)
            under_way = leg_io.kept.session.inquiries if leg_io.kept is not None else ()
            self._board.keys.take_up(actor, leg_io, [transaction for transaction, _ in under_way])
        self._board.taps.happened(past.tenant, past.call_id, past.data)
        self._board.changed(actor)

    def _take_leg(self, actor: CallActor, leg: Leg, kept: SavedLeg) -> bool:
        credentials = self._credentials(actor.call.facts.tenant, kept.plane, leg.party)
        try:
            session = self._parts.sip.resume(kept.session, credentials)
        except ParseError as error:
            _log.error("a leg cannot be taken up", call_id=actor.call.facts.call_id, leg_id=leg.leg_id, error=str(error))
            return False
        now = self._parts.clock.monotonic()
        leg_io = actor.legs[leg.leg_id] = LegIo(
            leg.leg_id,
            session,
            kept.session.flow,
            kept.plane,
            media=kept.media,
            offer=b"" if kept.outgoing or kept.answered else kept.session.remote_body,
            answered=kept.answered,
            awaits_answer=kept.awaits_answer,
            outgoing=kept.outgoing,
            connected=kept.connected,
            refer=kept.refer,
            keys=after_a_kill(kept.keys, now - (self._parts.clock.now() - self._found.died_at).total_seconds(), now),
            kept=kept,
        )
        if leg.is_trunk:
            tenant, trunk_id = actor.call.facts.tenant, leg.party.removeprefix(TRUNK)
            leg_io.media_networks = self._parts.trunks.media_networks(tenant, trunk_id)
            leg_io.srtp = self._parts.trunks.srtp(tenant, trunk_id)
        leg_io.told = actor.ports.remote_of(leg_io) if kept.told else None
        leg_io.listening = listened_for(leg_io)
        return True

    def _credentials(self, tenant: str, leg: str, party: str) -> Credentials | None:
        return self._parts.trunks.again(leg, tenant, party.removeprefix(TRUNK)) if party.startswith(TRUNK) else None

    async def go_on(self) -> None:
        """Let the calls go on, and tell the far ends of those that are over. Raises PlaneError."""
        sessions = {state.session: state for state in await self._parts.plane.list_sessions()}
        wanted = set(self._board.media_ports())
        for name in sessions.keys() - wanted:
            await self._parts.plane.close(name)
        away = max(0, round((self._parts.clock.now() - self._found.died_at).total_seconds() * 1000))
        live = {leg.session for actor in self._board.calls.values() for leg in actor.legs.values()}
        for past in self._found.open:
            actor = self._board.calls.get(past.call_id)
            if actor is not None:
                self._go_on(actor, sessions, away)
        for past in (*self._found.open, *self._found.ended):
            self._say_farewell(past, live)
        for past in self._found.ended:
            self._tell_again(past)

    def _go_on(self, actor: CallActor, sessions: Mapping[str, SessionState], away_ms: int) -> None:
        by_plane = {leg.plane: leg for leg in actor.legs.values()}
        for leg in actor.legs.values():
            state = sessions.get(leg.plane)
            other = by_plane.get(state.bridged_with) if state is not None and state.bridged_with else None
            leg.bridged_with = other.leg_id if other is not None else ""
            self._board.keys.go_on(actor, leg)
        whole = all(leg.media is None or leg.plane in sessions for leg in actor.legs.values())
        if not whole:
            actor.post(Restore())
        actor.post(inputs.Resumed(away_ms))
        phase = actor.call.state.phase
        if isinstance(phase, Supervising) and phase.call_id:
            self._board.features.supervises(actor, phase.call_id, phase.leg_id)
        for leg in actor.legs.values():
            if not leg.outgoing and not leg.answered and actor.call.legs[leg.leg_id].state == "answered":
                actor.post(AnswerAgain(leg.leg_id))
        for leg_id in self._lost.get(actor.call.facts.call_id, ()):
            self._lose(actor, leg_id)
        if whole:
            self._ask_for_ends(actor, [sessions[leg.plane] for leg in actor.legs.values() if leg.plane in sessions])

    def _lose(self, actor: CallActor, leg_id: str) -> None:
        leg = actor.call.legs[leg_id]
        if leg.state == "answered":
            actor.post(inputs.LegLeft(leg_id, "timeout"))
        elif leg.outgoing:
            actor.post(inputs.LegUnsent(leg_id))
        else:
            actor.post(inputs.Stopped(NODE_FAILURE))

    def _ask_for_ends(self, actor: CallActor, sessions: Iterable[SessionState]) -> None:
        """What ended while nobody listened: its event may have been handed to the process that died."""
        phase = actor.call.state.phase
        playing = {state.play_id for state in sessions} - {None}
        recording = {state.recording_id for state in sessions} - {None}
        play_id = ""
        if isinstance(phase, Recording):
            play_id = phase.beep_id
        elif isinstance(phase, Playing | Gathering | Waiting | TakingLeave):
            play_id = phase.play_id
        if play_id and play_id not in playing:
            actor.post(inputs.PlayFinished(play_id, 0))
        elif not playing:
            actor.post(inputs.MediaRestored())
        for tape in actor.call.state.tapes:
            begins = isinstance(phase, Recording) and phase.recording_id == tape and phase.beep_id
            if tape not in recording and not begins:
                self._board.spawn(actor.weigh(tape, "stopped"))

    def _say_farewell(self, past: Past, live: set[str]) -> None:
        """Legs that ended shortly before the death: whether their far ends were told is not known."""
        ends = {event.leg_id: event for event in past.events if event.kind == "leg_ended"}
        for leg_id, kept in past.legs.items():
            end = ends.get(leg_id)
            if end is None or kept.session.id in live or not self._recent(end.at) or end.data.get("by") == side_of(leg_id):
                continue
            try:
                self._parts.sip.part(kept.session, _status(end), f'Q.850;text="{end.data.get("cause", "")}"')
            except ParseError as error:
                _log.warning("a far end is not told", call_id=past.call_id, leg_id=leg_id, error=str(error))

    def _tell_again(self, past: Past) -> None:
        """A caller gave up shortly before the death: whether the application was told is not known, and what it does it does once."""
        ended = next((event for event in past.events if event.kind == "ended"), None)
        if past.call is None or ended is None or ended.data.get("by") != "caller" or not self._recent(ended.at):
            return
        state = past.call.state
        if (owed := ringing.told_of_giving_up(state, state.phase)) is not None:
            self._board.spawn(tell(self._parts, state.facts, owed))

    def _recent(self, at: datetime) -> bool:
        return at > self._found.died_at - FAREWELL


def _status(end: PastEvent) -> int:
    status = int(end.data.get("sip_status", 0))
    return status if 300 <= status < 700 else 503
