"""All calls of this node: which SIP session and which media port belongs to which leg of which call.

Invariant: a session that belongs to no leg is hung up as soon as it is answered; a call is listed from its INVITE to `CallEnded`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from carillon_contracts.hops import HOPS
from carillon_kit.logs import get_logger
from carillon_media.domain import inputs
from carillon_media.domain.call import Call
from carillon_media.domain.facts import CallFacts, Limits
from carillon_media.domain.identity import dialled_by
from carillon_media.domain.keys import KeyKind
from carillon_media.domain.state import CALLER
from carillon_media.handlers import identifying
from carillon_media.handlers.actor import CallActor
from carillon_media.handlers.board import Restore, Sync
from carillon_media.handlers.features import Features
from carillon_media.handlers.keys import Keys
from carillon_media.handlers.legs import LegIo, codecs_offered, has_keys_in_audio, key_counts
from carillon_media.handlers.rooms import Rooms
from carillon_media.handlers.taps import Taps
from carillon_media.handlers.transfers import Transfers
from carillon_media.ports import Entry, Parts
from carillon_rtp.values import DigitPressed, Event, LoadChanged, PartyTalking, PlaneRestarted, PlayEnded, RecordingEnded, ToneDetected
from carillon_sip import outputs as sip
from carillon_sip.errors import SipError
from carillon_sip.flow import Flow
from carillon_sip.message import Request

_log = get_logger(__name__)
#: Not acceptable here, or anywhere: what phones say to RTP when they must have SRTP.
_MEDIA_REFUSED = frozenset({488, 606})
_DTMF_SIGNALS = frozenset("0123456789*#ABCD")


class Switchboard:
    """Calls begin with `begin`, and end by themselves or by `stop`."""

    def __init__(self, parts: Parts, limits: Limits, max_calls: int) -> None:
        self.parts = parts
        self.limits = limits
        self.max_calls = max_calls
        self.calls: dict[str, CallActor] = {}
        self._sessions: dict[str, tuple[CallActor, str]] = {}
        self._planes: dict[str, tuple[CallActor, str]] = {}
        self._handed_over: dict[str, LegIo] = {}
        #: Who watches what happens in calls.
        self.taps = Taps()
        #: Told of every call in which something happened, and that is over.
        self.changed: Callable[[CallActor], None] = lambda actor: None
        self.transfers = Transfers(self)
        self.features = Features(self)
        self.rooms = Rooms(parts, self.spawn)
        self.keys = Keys(self)
        self._tasks: set[asyncio.Future[object]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    # -- Board --------------------------------------------------------------------------------------------------------

    def bind(self, session: str, actor: CallActor, leg_id: str) -> None:
        """Outputs of this SIP session belong to this leg from now on."""
        self._sessions[session] = (actor, leg_id)
        leg = actor.legs.get(leg_id)
        if leg is not None and leg.plane != f"{actor.call.facts.call_id}/{leg_id}":
            self._planes[leg.plane] = (actor, leg_id)

    def hand_over(self, leg: LegIo) -> None:
        """The leg's far end waits, under the name of its session, for the call that adopts it."""
        self._sessions.pop(leg.session, None)
        leg.bridged_with, leg.refer = "", ""
        self._handed_over[leg.session] = leg

    def lend(self, leg: LegIo) -> None:
        """As `hand_over`, but the leg stays this call's until another one claims it."""
        self._handed_over[leg.session] = leg

    def claim(self, handle: str) -> LegIo | None:
        """The far end that waits under this name."""
        return self._handed_over.pop(handle, None)

    def leg_of(self, session: str) -> tuple[CallActor, str] | None:
        """Whose leg this SIP session is."""
        return self._sessions.get(session)

    def happened(self, actor: CallActor, entries: Sequence[Entry]) -> None:
        """These are on the disk now."""
        facts = actor.call.facts
        self.taps.happened(facts.tenant, facts.call_id, [entry.data for entry in entries if entry.kind == "event"])
        self.features.changed(actor)
        self.changed(actor)

    def spawn(self, coroutine: Awaitable[object]) -> None:
        """Run in the background; `stop` waits for it."""
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def gone(self, actor: CallActor) -> None:
        """The call is over."""
        self.calls.pop(actor.call.facts.call_id, None)
        if self.rooms.holds(actor):
            self.spawn(self.rooms.leave(actor))
        self.taps.over(actor.call.facts.tenant, actor.call.facts.call_id)
        for leg in actor.legs.values():
            self._sessions.pop(leg.session, None)
            self.parts.trunks.end(leg.plane)
            self._planes.pop(leg.plane, None)
        self.features.changed(actor)
        self.changed(actor)
        if not self.calls:
            self._idle.set()

    # -- calls --------------------------------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """No call is taken any more."""
        return len(self.calls) >= self.max_calls

    def uses(self, flow: Flow) -> bool:
        """Whether a call lives on this connection."""
        return any(leg.flow == flow for actor in self.calls.values() for leg in actor.legs.values())

    def begin(self, session: str, request: Request, flow: Flow, facts: CallFacts) -> None:
        """A caller was let in: the call exists from here on, unless it takes over one that is there already."""
        if self.transfers.takes_over(session, request, flow, facts):
            return
        body = request.body
        srtp = self.parts.trunks.srtp(facts.tenant, facts.trunk_id or "")
        codecs = codecs_offered(self.parts, body, flow, srtp)
        urgent = self.parts.directory.calls_for_help(facts)
        caller = LegIo(CALLER, session, flow, f"{facts.call_id}/{CALLER}", offer=body, urgent=urgent)
        caller.srtp = srtp
        caller.media_networks = self.parts.trunks.media_networks(facts.tenant, facts.trunk_id or "")
        actor = CallActor(Call(facts, self.limits), self.parts, self, caller, max_forwards=HOPS - facts.hops_spent, codecs=codecs)
        self.take(actor)
        self.bind(session, actor, CALLER)
        actor.let_in()
        refuse = 488 if body and not codecs else 483 if actor.max_forwards < 1 else 0
        actor.post(inputs.Arrived(refuse))

    def originate(self, facts: CallFacts, given: inputs.Originated) -> None:
        """A call that we make ourselves."""
        actor = CallActor(Call(facts, self.limits), self.parts, self)
        self.take(actor)
        actor.post(given)

    def take(self, actor: CallActor) -> None:
        """A call that is up from here on."""
        self.calls[actor.call.facts.call_id] = actor
        self._idle.clear()

    async def drain(self, within: float) -> None:
        """Wait for calls to end by themselves."""
        try:
            async with asyncio.timeout(within):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("calls are cut", calls=len(self.calls))

    async def stop(self, within: float) -> None:
        """End every call, let their last events reach the journal."""
        for actor in tuple(self.calls.values()):
            actor.post(inputs.Stopped("temporary_failure"))
        try:
            async with asyncio.timeout(within):
                await self._idle.wait()
                while self._tasks:
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            _log.warning("calls were still up at the end", calls=len(self.calls))
            for task in tuple(self._tasks):
                task.cancel()

    # -- from the SIP stack -------------------------------------------------------------------------------------------

    def session_output(self, output: sip.Output) -> None:
        """An output that belongs to a session."""
        session = getattr(output, "session", "")
        found = self._sessions.get(session)
        if found is None:
            if self.transfers.joining is not None and self.transfers.joining.heard(session, output):
                return
            if isinstance(output, sip.ReferReceived):
                self.parts.sip.decline_refer(output.refer, 403)
            elif isinstance(output, sip.SessionReinvited):
                self.parts.sip.reject_reinvite(session, 481)
            elif isinstance(output, sip.SessionRequest):
                self.parts.sip.respond(output.transaction, 481)
            elif isinstance(output, sip.SessionAnswered):
                self.parts.sip.bye(session, "")
            return
        actor, leg_id = found
        match output:
            case sip.SessionProgress():
                self._progress(actor, leg_id, output)
            case sip.SessionAnswered():
                self._answered(actor, leg_id, output)
            case sip.SessionFailed():
                del self._sessions[session]
                self._refused(actor, leg_id, output)
            case sip.SessionCancelled():
                del self._sessions[session]
                actor.post(inputs.CallerCancelled() if leg_id == CALLER else inputs.LegLeft(leg_id))
            case sip.SessionEnded():
                del self._sessions[session]
                actor.post(inputs.LegLeft(leg_id, "timeout" if output.by == "timeout" else "bye"))
            case sip.SessionReinvited():
                self._reinvited(actor, leg_id, output)
            case sip.SessionAcked():
                self._acked(actor, leg_id, output.body)
            case sip.ReferReceived():
                self.transfers.referred(actor, leg_id, output)
            case sip.SessionRequest():
                self._request(actor, leg_id, output)
            case sip.ReinviteFailed():
                identifying.refused(actor, leg_id, output)
            case sip.ReinviteAnswered(body=body) if body:
                self._described_anew(actor, leg_id, body)
            case _:
                pass

    def _refused(self, actor: CallActor, leg_id: str, output: sip.SessionFailed) -> None:
        """A phone's 3xx names what to dial instead; where that is we find out ourselves."""
        destination = next((number for contact in output.contacts[:5] if (number := dialled_by(contact.uri))), "")
        if destination:
            actor.post(inputs.LegDeflected(leg_id, output.status, destination))
        elif output.status not in _MEDIA_REFUSED or not actor.insist(leg_id):
            actor.post(inputs.LegRefused(leg_id, output.status, received=output.response is not None))

    def _progress(self, actor: CallActor, leg_id: str, output: sip.SessionProgress) -> None:
        leg, body, media = actor.legs[leg_id], output.response.body, False
        if body and leg.media is not None:
            try:
                leg.media = leg.media.answered(body)
                media = True
            except SipError:
                media = False
        actor.post(inputs.LegProgressed(leg_id, output.response.status, media))

    def _answered(self, actor: CallActor, leg_id: str, output: sip.SessionAnswered) -> None:
        leg, body = actor.legs[leg_id], output.response.body
        leg.answered = leg.unacknowledged = True
        try:
            if leg.media is None:
                raise SipError("no media port")
            if body or leg.media.remote is None:
                leg.media = leg.media.answered(body)
            actor.ports.heard_of(leg)
        except SipError as error:
            _log.warning("unusable answer", call_id=actor.call.facts.call_id, error=str(error))
            leg.unacknowledged = False
            self.parts.sip.bye(output.session, 'Q.850;cause=88;text="incompatible_destination"')
            actor.post(inputs.LegRefused(leg_id, 488))
            return
        if leg_id.startswith(CALLER):
            # Who was called first, as its caller, may hear the system before anybody else.
            actor.post(Sync())
        actor.post(inputs.LegAccepted(leg_id, leg.media.codec))

    def _acked(self, actor: CallActor, leg_id: str, body: bytes) -> None:
        leg = actor.legs[leg_id]
        if not leg.awaits_answer or leg.media is None:
            actor.post(Sync())
            return
        leg.awaits_answer = False
        try:
            leg.media = leg.media.answered(body)
        except SipError as error:
            _log.warning("unusable answer in ACK", call_id=actor.call.facts.call_id, error=str(error))
            self.parts.sip.bye(leg.session, 'Q.850;cause=88;text="incompatible_destination"')
            return
        actor.post(Sync())

    def _described_anew(self, actor: CallActor, leg_id: str, body: bytes) -> None:
        """What we offered again is answered: its phone may have moved its audio. What cannot be used changes nothing."""
        leg = actor.legs[leg_id]
        if leg.media is None:
            return
        try:
            leg.media = leg.media.answered(body)
        except SipError as error:
            _log.debug("unusable answer", call_id=actor.call.facts.call_id, error=str(error))
            return
        actor.post(Sync())

    def _reinvited(self, actor: CallActor, leg_id: str, output: sip.SessionReinvited) -> None:
        leg = actor.legs[leg_id]
        leg.flow = output.flow or leg.flow
        if leg.media is None or actor.call.legs[leg_id].state != "answered":
            # Media offered anew before the answer (RFC 3311): what was offered first still stands.
            self.parts.sip.reject_reinvite(output.session, 500 if leg.media is None else 488)
            return
        try:
            if output.body:
                leg.media = leg.media.answering(output.body)
            else:
                leg.media = leg.media.offering((leg.media.codec,))
                leg.awaits_answer = True
        except SipError:
            self.parts.sip.reject_reinvite(output.session, 488)
            return
        leg.reoffer = output.body
        actor.post(inputs.LegReoffered(leg_id, leg.media.on_hold))

    def _request(self, actor: CallActor, leg_id: str, output: sip.SessionRequest) -> None:
        """INFO with a digit (as phones without RFC 4733 send it); anything else is politely ignored."""
        request = output.request
        if request.method != "INFO":
            self.parts.sip.respond(output.transaction, 501)
            return
        digit = _digit_of(request)
        if request.body and not digit:
            self.parts.sip.respond(output.transaction, 415)
            return
        self.parts.sip.respond(output.transaction, 200)
        if digit:
            self._pressed(actor, leg_id, digit, "info")

    # -- from the media plane -----------------------------------------------------------------------------------------

    def plane_event(self, event: Event) -> None:
        """Something happened on a media port."""
        if isinstance(event, PlaneRestarted):
            _log.warning("the media plane was restarted", calls=len(self.calls))
            self.rooms.plane_died()
            for actor in tuple(self.calls.values()):
                actor.post(Restore())
            return
        if isinstance(event, PartyTalking):
            self.rooms.talking(event)
            return
        if isinstance(event, LoadChanged):
            return
        found, leg_id = self._of_plane(event.session)
        if found is None:
            if isinstance(event, RecordingEnded) and not self.rooms.recorded(event.recording_id):
                self.parts.spool.discard(event.recording_id)
            return
        match event:
            case DigitPressed():
                leg = found.legs.get(leg_id)
                heard: KeyKind = "tones" if leg is not None and has_keys_in_audio(leg) else "events"
                self._pressed(found, leg_id, event.digit, heard, event.duration_ms)
            case ToneDetected(tone=tone) if tone != "dtmf":
                found.post(inputs.ToneHeard(leg_id, tone))
            case PlayEnded():
                found.post(inputs.PlayFinished(event.play_id, event.played_ms))
            case RecordingEnded():
                self.spawn(found.weigh(event.recording_id, event.reason))
            case _:
                pass

    def _pressed(self, actor: CallActor, leg_id: str, digit: str, heard: KeyKind, held_ms: int = 0) -> None:
        now, held = self.parts.clock.monotonic(), held_ms / 1000
        if key_counts(actor.legs.get(leg_id), digit, now, by_info=heard == "info", held=held):
            actor.post(inputs.DigitPressed(leg_id, digit, heard, held_ms))

    def _of_plane(self, session: str) -> tuple[CallActor | None, str]:
        """A port keeps its name when its leg goes on in another call."""
        adopted = self._planes.get(session)
        if adopted is not None:
            return adopted
        call_id, _, leg_id = session.rpartition("/")
        return self.calls.get(call_id), leg_id

    def media_ports(self) -> Iterable[str]:
        """Media sessions that belong to a call."""
        return [leg.plane for actor in self.calls.values() for leg in actor.legs.values()]


def _digit_of(request: Request) -> str:
    """The digit of an INFO: `Signal=5` (application/dtmf-relay) or `5` (application/dtmf); empty if there is none."""
    kind = request.content_type.partition(";")[0].strip().lower()
    text = request.body[:200].decode("ascii", "replace")
    if kind == "application/dtmf":
        value = text.strip()
    elif kind == "application/dtmf-relay":
        pairs = (line.partition("=") for line in text.splitlines())
        value = next((after.strip() for name, _, after in pairs if name.strip().lower() == "signal"), "")
    else:
        return ""
    return value.upper() if value.upper() in _DTMF_SIGNALS else ""
