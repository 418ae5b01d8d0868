"""One call alive: its inbox, its machine, and the carrying out of what the machine wants.

Invariant: inputs of a call are handled one after another; the events of a batch are on the disk before anything else of that batch is
done; calls do not wait for each other. What the world refuses (plane, prompts, applications) comes back as an input.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from carillon_contracts.call import LegAnswered, RecordingFinished
from carillon_kit.logs import get_logger
from carillon_media.domain import inputs, outputs
from carillon_media.domain.call import Call
from carillon_media.domain.describe import describe
from carillon_media.domain.invitation import invitation
from carillon_media.domain.state import CALLER, CallState, Closing, Gathering, Playing, Recording
from carillon_media.domain.trunk_invitation import trunk_invitation
from carillon_media.handlers.entries import entry_of
from carillon_media.handlers.legs import LegIo, MediaPorts, PortLost
from carillon_media.handlers.quality import with_quality
from carillon_media.handlers.timers import Timers
from carillon_media.ports import Entry, Fields, LogFailed, NoDecision, Parts
from carillon_rtp.protocol import PlaneError
from carillon_sip.commands import Invite
from carillon_sip.errors import SipError

_log = get_logger(__name__)
#: Inputs that may wait; a peer that sends more is not listened to.
MAX_INBOX = 1000
RecordingReason = Literal["silence", "length", "digit", "stopped", "node_failure"]


class Board(Protocol):
    """Who holds all calls."""

    def bind(self, session: str, actor: "CallActor", leg_id: str) -> None:
        """Outputs of this SIP session belong to this leg from now on."""

    def spawn(self, coroutine: Awaitable[None]) -> None:
        """Run in the background; ends with the service."""

    def gone(self, actor: "CallActor") -> None:
        """The call is over."""

    def hand_over(self, leg: LegIo) -> None:
        """The leg's far end waits, under the name of its session, for the call that adopts it."""

    def claim(self, handle: str) -> LegIo | None:
        """The far end that waits under this name."""

    def happened(self, actor: "CallActor", entries: Sequence[Entry]) -> None:
        """These are on the disk now."""


class Sync:
    """Not an input: what the legs agreed on has changed, tell the plane."""


class Restore:
    """Not an input: the media plane is a new process, set every port up again."""


@dataclass(slots=True)
class Request:
    """An input that may be refused: `refuses` is asked at its turn, and `done` gets its reason, or nothing once all of it is done."""

    given: inputs.Input
    refuses: Callable[[CallState], str]
    done: asyncio.Future[str]

    def answer(self, reason: str) -> None:
        """Tell who waits."""
        if not self.done.done():
            self.done.set_result(reason)


#: Seconds in which a call does what it is asked.
REQUEST_SECONDS = 5.0
DROPPED = "the call was dropped"


class CallActor:
    """A call and its legs."""

    __slots__ = (
        "_closing",
        "_codecs",
        "_media",
        "_timers",
        "answered_at",
        "board",
        "busy",
        "call",
        "inbox",
        "legs",
        "max_forwards",
        "parts",
        "recordings",
    )

    def __init__(
        self, call: Call, parts: Parts, board: Board, caller: LegIo | None = None, *, max_forwards: int = 70, codecs: Sequence[str] = ()
    ) -> None:
        self.call = call
        self.parts = parts
        self.board = board
        self.legs: dict[str, LegIo] = {} if caller is None else {caller.leg_id: caller}
        self.max_forwards = max_forwards
        self.inbox: deque[inputs.Input | Sync | Restore | Request] = deque()
        self.busy = False
        self._codecs = codecs
        self._media = MediaPorts(parts.plane, parts.clock, parts.srtp)
        self._timers = Timers(parts.clock, self._fire)
        self._closing: list[LegIo] = []
        self.answered_at: datetime | None = None
        #: Recordings weighed and not yet released: recording id to object name.
        self.recordings: dict[str, str] = {}

    # -- in -----------------------------------------------------------------------------------------------------------

    async def request(self, given: inputs.Input, refuses: Callable[[CallState], str]) -> str:
        """Do something that may be refused; returns why it was, or nothing when it is done."""
        request = Request(given, refuses, asyncio.get_running_loop().create_future())
        self.post(request)
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                return await request.done
        except TimeoutError:
            return f"not done within {REQUEST_SECONDS:g} s"

    def post(self, given: inputs.Input | Sync | Restore | Request) -> None:
        """Hand an input in; it is handled after those that wait."""
        if len(self.inbox) >= MAX_INBOX:
            if isinstance(given, Request):
                given.answer("the call has too much to do")
            return
        self.inbox.append(given)
        if not self.busy:
            self.busy = True
            self.board.spawn(self._drain())

    async def _drain(self) -> None:
        try:
            while self.inbox:
                await self._turn()
        except LogFailed as error:
            _log.error("call dropped: the journal takes nothing", call_id=self.call.facts.call_id, error=str(error))
            await self._abandon()
        except Exception:  # noqa: BLE001 - the edge of a call: one call's fault ends that call and no other
            _log.exception("call dropped", call_id=self.call.facts.call_id)
            await self._abandon()
        finally:
            self.busy = False

    async def _turn(self) -> None:
        """Feed all that waits, journal, act."""
        done: list[Request] = []
        try:
            await self._act(self._feed(done))
        except BaseException:
            for request in done:
                request.answer(DROPPED)
            raise
        for request in done:
            request.answer("")

    def _feed(self, done: list[Request]) -> list[outputs.Output | Sync | Restore]:
        """What all that waits leads to; `done` gets the requests that will be done with it."""
        batch: list[outputs.Output | Sync | Restore] = []
        now = self.parts.clock.monotonic()
        while self.inbox:
            given = self.inbox.popleft()
            if isinstance(given, Sync | Restore):
                batch.append(given)
                continue
            if isinstance(given, Request):
                if reason := given.refuses(self.call.state):
                    given.answer(reason)
                    continue
                done.append(given)
                given = given.given
            batch.extend(self.call.feed(given, now, self.parts.directory))
        return batch

    async def _act(self, batch: list[outputs.Output | Sync | Restore]) -> None:
        facts = self.call.facts
        batch = await with_quality(batch, self.legs, self.parts.plane)
        entries = [entry_of(output, facts, self.parts) for output in batch if isinstance(output, outputs.Journal | outputs.Remember)]
        if entries:
            await self.parts.log.append(facts.tenant, facts.call_id, entries)
            self.board.happened(self, entries)
        for output in batch:
            await _DO[type(output)](self, output)
        closing, self._closing = self._closing, []
        if closing:
            await asyncio.gather(*(self._close_media(leg) for leg in closing))

    async def _abandon(self) -> None:
        """Hang everything up without another word in the journal; recovery closes the record."""
        for leg in self.legs.values():
            if not leg.outgoing and not leg.answered:
                self.parts.sip.reject(leg.session, 503, (("Retry-After", "5"),))
            elif leg.answered:
                self.parts.sip.bye(leg.session, "")
            else:
                self.parts.sip.cancel(leg.session, "")
        await asyncio.gather(*(self._close_media(leg) for leg in self.legs.values()))
        for given in self.inbox:
            if isinstance(given, Request):
                given.answer(DROPPED)
        self._finish()

    def _fire(self, name: str) -> None:
        self.post(inputs.TimerFired(name))

    # -- out: SIP -----------------------------------------------------------------------------------------------------

    async def _journalled(self, output: outputs.Journal) -> None:
        """It is on the disk already; a recording that has its event may be uploaded."""
        event = output.event
        if isinstance(event, RecordingFinished):
            named = [recording_id for recording_id, name in self.recordings.items() if name == event.object]
            if named:
                del self.recordings[named[0]]
                self.parts.spool.release(named[0], event.object)
        elif isinstance(event, LegAnswered) and (output.leg_id or "").startswith(CALLER):
            self.answered_at = self.answered_at or self.parts.clock.now()

    async def _offer_leg(self, output: outputs.OfferLeg) -> None:
        contact, facts = output.contact, self.call.facts
        if not self.parts.trunks.begin(f"{facts.call_id}/{output.leg_id}", contact):
            self.post(inputs.LegRefused(output.leg_id, 503, received=False))
            return
        leg = LegIo(output.leg_id, "", contact.flow, f"{facts.call_id}/{output.leg_id}", outgoing=True)
        try:
            media = (await self._media.open(leg)).offering(self._codecs)
        except PlaneError as error:
            self.parts.quiet.warning("no media port", call_id=facts.call_id, error=str(error))
            self.post(inputs.LegRefused(output.leg_id, 503, received=False))
            return
        leg.media, leg.again = media, lambda other: self.parts.sip.invite(self._invitation(output, other.body))
        try:
            leg.session = self.parts.sip.invite(self._invitation(output, media.body))
        except SipError as error:
            self.parts.quiet.warning("contact cannot be invited", call_id=facts.call_id, contact=contact.uri, error=str(error))
            self._closing.append(leg)
            self.post(inputs.LegRefused(output.leg_id, 503, received=False))
            return
        self.legs[output.leg_id] = leg
        self.board.bind(leg.session, self, output.leg_id)
        self.parts.trunks.watch(contact, leg.session, partial(self._silent, leg))

    def _invitation(self, output: outputs.OfferLeg, body: bytes) -> Invite:
        contact, trunks = output.contact, self.parts.trunks
        own = self.parts.sip.own_address(contact.flow)
        number, name, forwards = output.caller_number, output.caller_name, self.max_forwards
        if contact.trunk is None:
            return invitation(contact, own, caller_number=number, caller_name=name, body=body, max_forwards=forwards)
        sent_on = trunks.diversions(self.call.facts, self.call.state.users_result)
        return trunk_invitation(
            contact, contact.trunk, own, caller_number=number, caller_name=name, diversions=sent_on, body=body, max_forwards=forwards
        )

    def insist(self, leg_id: str) -> bool:
        """A leg refused our media: if it was offered SRTP besides RTP it may take SRTP alone, once. Whether it is called anew."""
        leg, known = self.legs[leg_id], self.call.legs.get(leg_id)
        again, leg.again = leg.again, None
        if again is None or leg.media is None or leg.media.secrecy != "offered" or known is None or known.state == "ended":
            return False
        leg.media = leg.media.offering(self._codecs, srtp_only=True)
        try:
            leg.session = again(leg.media)
        except SipError:
            return False
        self.board.bind(leg.session, self, leg_id)
        return True

    def _silent(self, leg: LegIo) -> None:
        """The carrier has not even said 100: another is tried, and this one cancelled if it ever speaks."""
        self.parts.sip.cancel(leg.session, "")
        self.post(inputs.LegRefused(leg.leg_id, 408, received=False))

    async def _ring_caller(self, output: outputs.RingCaller) -> None:
        self.parts.sip.ring(self.legs[CALLER].session, 180)

    async def _early_media(self, output: outputs.EarlyMedia) -> None:
        caller = self.legs[CALLER]
        if not caller.offer:
            self.parts.sip.ring(caller.session, 180)
            return
        if await self._bridge(CALLER, output.leg_id) and caller.media is not None:
            self.parts.sip.ring(caller.session, 183, caller.media.body)

    async def _answer_caller(self, output: outputs.AnswerCaller) -> None:
        await self._answer(self.legs[CALLER])

    async def _answer_leg(self, output: outputs.AnswerLeg) -> None:
        await self._answer(self.legs[output.leg_id])

    async def _adopt_leg(self, output: outputs.AdoptLeg) -> None:
        """A far end that was another call's, or called to take this one, is a leg of this call."""
        leg = self.board.claim(output.handle)
        if leg is None:
            self.post(inputs.LegLeft(output.leg_id))
            return
        leg.leg_id = output.leg_id
        self.legs[output.leg_id] = leg
        self.board.bind(leg.session, self, output.leg_id)

    async def _report_transfer(self, output: outputs.ReportTransfer) -> None:
        leg = self.legs.get(output.leg_id)
        if leg is None or not leg.refer:
            return
        if output.status == 100:
            self.parts.sip.accept_refer(leg.refer)
        else:
            self.parts.sip.notify_refer(leg.refer, output.status)
        if output.status >= 200:
            leg.refer = ""

    async def _answer(self, leg: LegIo) -> None:
        try:
            media = await self._media.agree(leg)
            await self._media.tell(leg)
        except (PlaneError, SipError) as error:
            self.parts.quiet.warning("a caller cannot be answered", call_id=self.call.facts.call_id, error=str(error))
            self.post(inputs.MediaLost())
            return
        leg.answered = True
        leg.awaits_answer = not leg.offer
        self.parts.sip.answer(leg.session, media.body)

    async def _close_leg(self, output: outputs.CloseLeg) -> None:
        leg = self.legs.get(output.leg_id)
        if leg is None:
            return
        sip = self.parts.sip
        if output.how == "moved":
            del self.legs[leg.leg_id]
            self.board.hand_over(leg)
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
        self.parts.trunks.end(leg.plane)
        self._closing.append(leg)

    async def _accept_reoffer(self, output: outputs.AcceptReoffer) -> None:
        leg = self.legs.get(output.leg_id)
        if leg is None or leg.media is None or leg.reoffer is None:
            return
        leg.reoffer = None
        try:
            await self._media.tell(leg)
        except PlaneError:
            self.parts.sip.reject_reinvite(leg.session, 500)
            return
        self.parts.sip.accept_reinvite(leg.session, leg.media.body)

    # -- out: media ---------------------------------------------------------------------------------------------------

    async def _bridge_legs(self, output: outputs.BridgeLegs) -> None:
        if not await self._bridge(output.a, output.b):
            self.post(inputs.MediaLost())

    async def _bridge(self, a: str, b: str) -> bool:
        one, other = self.legs.get(a), self.legs.get(b)
        if one is None or other is None:
            return False
        try:
            await self._media.agree(one, _codec_of(other))
            await self._media.agree(other, _codec_of(one))
            await self._media.join(one, other)
        except (PlaneError, SipError) as error:
            self.parts.quiet.warning("legs cannot be joined", call_id=self.call.facts.call_id, error=str(error))
            return False
        return True

    async def _unbridge(self, output: outputs.UnbridgeLeg) -> None:
        leg = self.legs.get(output.leg_id)
        if leg is not None:
            await self._try(self._media.part(leg, self.legs.get(leg.bridged_with)))

    async def _play(self, output: outputs.PlayTo) -> None:
        prompts, leg = self.parts.prompts, self.legs[output.leg_id]
        try:
            files: list[Path] = await prompts.files(output.prompts) if output.prompts else [prompts.ringback()]
            await self.parts.plane.play(leg.plane, output.play_id, files, loop=output.loop, barge_in=output.barge_in)
        except (PlaneError, OSError) as error:
            self.parts.quiet.warning("prompts cannot be played", call_id=self.call.facts.call_id, error=str(error))
            self.post(inputs.PlayFinished(output.play_id, 0))

    async def _play_music(self, output: outputs.PlayMusic) -> None:
        leg, music = self.legs[output.leg_id], self.parts.prompts.hold_music()
        try:
            await self.parts.plane.play(leg.plane, output.play_id, [music], loop=True)
        except PlaneError as error:
            self.parts.quiet.warning("no music on hold", call_id=self.call.facts.call_id, error=str(error))

    async def _stop_play(self, output: outputs.StopPlay) -> None:
        await self._try(self.parts.plane.stop_play(self.legs[output.leg_id].plane))

    async def _record(self, output: outputs.RecordFrom) -> None:
        path = self.parts.spool.path_for(output.recording_id)
        try:
            await self.parts.plane.record(
                self.legs[output.leg_id].plane,
                output.recording_id,
                path,
                max_ms=output.max_ms,
                silence_ms=output.silence_ms,
                finish_digits=output.finish_digits,
            )
        except PlaneError as error:
            self.parts.quiet.warning("nothing can be recorded", call_id=self.call.facts.call_id, error=str(error))
            self.post(inputs.RecordingFinished(output.recording_id, "", 0, 0, "stopped"))

    async def _stop_recording(self, output: outputs.StopRecording) -> None:
        await self._try(self.parts.plane.stop_record(self.legs[output.leg_id].plane))

    async def _close_media(self, leg: LegIo) -> None:
        if leg.media is not None:
            await self._try(self.parts.plane.close(leg.plane))

    async def _try(self, command: Awaitable[object]) -> None:
        """A command whose refusal changes nothing: what it ends is gone already."""
        try:
            await command
        except PlaneError as error:
            _log.debug("media plane", call_id=self.call.facts.call_id, error=str(error))

    async def _sync(self, output: Sync) -> None:
        for leg in self.legs.values():
            try:
                await self._media.tell(leg)
            except PlaneError as error:
                self.parts.quiet.warning("media plane", call_id=self.call.facts.call_id, error=str(error))

    async def _restore(self, output: Restore) -> None:
        """Same ports, same far ends, same bridges; what played or was recorded is over."""
        try:
            await self._media.restore(leg for leg in self.legs.values() if self._lives(leg))
        except (PlaneError, PortLost) as error:
            self.parts.quiet.warning("a call lost its audio", call_id=self.call.facts.call_id, error=str(error))
            self.post(inputs.MediaLost())
            return
        await self._resume()

    def _lives(self, leg: LegIo) -> bool:
        known = self.call.legs.get(leg.leg_id)
        return known is not None and known.state != "ended"

    async def _resume(self) -> None:
        """Let the machine go on from what the old plane process will never finish."""
        phase = self.call.state.phase
        if isinstance(phase, Playing | Gathering) and phase.play_id:
            self.post(inputs.PlayFinished(phase.play_id, 0))
        elif isinstance(phase, Recording) and phase.beep_id:
            self.post(inputs.PlayFinished(phase.beep_id, 0))
        elif not isinstance(phase, Closing):
            self.post(inputs.MediaRestored())
        for recording_id in tuple(self.call.state.tapes):
            await self.weigh(recording_id, "node_failure")

    async def weigh(self, recording_id: str, reason: RecordingReason) -> None:
        """The file is complete: name it, and say so."""
        spool = self.parts.spool
        try:
            file = await spool.weigh(recording_id)
        except (OSError, ValueError) as error:
            self.parts.quiet.warning("a recording is unusable", call_id=self.call.facts.call_id, error=str(error))
            self.post(inputs.RecordingFinished(recording_id, "", 0, 0, reason))
            return
        self.recordings[recording_id] = file.object
        self.post(inputs.RecordingFinished(recording_id, file.object, file.duration_ms, file.bytes, reason))

    # -- out: applications, timers, the end -----------------------------------------------------------------------------

    async def _ask(self, output: outputs.Ask) -> None:
        self.board.spawn(self._asked(output))

    async def _asked(self, output: outputs.Ask) -> None:
        facts, parts = self.call.facts, self.parts
        try:
            answer = await parts.applications.ask(output.application, output.facts or facts, output.cursor, output.outcome)
        except NoDecision as error:
            self.parts.quiet.warning("application does not decide", application=output.application, call_id=facts.call_id, error=str(error))
            step, config_seq = parts.directory.fallback(facts)
            self.post(inputs.Undecided(output.question, step, describe(step) if step else None, config_seq))
            return
        self.post(inputs.Decided(output.question, answer.step, answer.cursor, answer.trace, answer.config_seq, answer.details))

    async def _set_timer(self, output: outputs.SetTimer) -> None:
        self._timers.set(output.name, output.at)

    async def _cancel_timer(self, output: outputs.CancelTimer) -> None:
        self._timers.cancel(output.name)

    async def _finished(self, output: outputs.Finished) -> None:
        self._finish()

    def _finish(self) -> None:
        self._timers.clear()
        for recording_id in self.recordings:
            self.parts.spool.discard(recording_id)
        self.recordings.clear()
        self.board.gone(self)

    async def _nothing(self, output: object) -> None:
        """Done by being journalled."""


def _codec_of(leg: LegIo) -> str:
    """What the leg speaks already; empty: nothing yet."""
    return leg.media.codec if leg.media is not None else ""


_DO: Mapping[type, Callable[[CallActor, Any], Awaitable[None]]] = {
    outputs.Journal: CallActor._journalled,
    outputs.Remember: CallActor._nothing,
    outputs.OfferLeg: CallActor._offer_leg,
    outputs.RingCaller: CallActor._ring_caller,
    outputs.EarlyMedia: CallActor._early_media,
    outputs.AnswerCaller: CallActor._answer_caller,
    outputs.AnswerLeg: CallActor._answer_leg,
    outputs.AdoptLeg: CallActor._adopt_leg,
    outputs.ReportTransfer: CallActor._report_transfer,
    outputs.CloseLeg: CallActor._close_leg,
    outputs.AcceptReoffer: CallActor._accept_reoffer,
    outputs.BridgeLegs: CallActor._bridge_legs,
    outputs.UnbridgeLeg: CallActor._unbridge,
    outputs.PlayTo: CallActor._play,
    outputs.PlayMusic: CallActor._play_music,
    outputs.StopPlay: CallActor._stop_play,
    outputs.RecordFrom: CallActor._record,
    outputs.StopRecording: CallActor._stop_recording,
    outputs.Ask: CallActor._ask,
    outputs.SetTimer: CallActor._set_timer,
    outputs.CancelTimer: CallActor._cancel_timer,
    outputs.Finished: CallActor._finished,
    Sync: CallActor._sync,
    Restore: CallActor._restore,
}
