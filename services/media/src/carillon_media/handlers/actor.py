"""One call alive: its inbox, its machine, and the carrying out of what the machine wants.

Invariant: inputs of a call are handled one after another; the events of a batch are on the disk before anything else of that batch is
done; calls do not wait for each other. What the world refuses (plane, prompts, applications) comes back as an input.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from carillon_contracts.call import LegAnswered, RecordingFinished
from carillon_kit.logs import get_logger
from carillon_media.domain import inputs, outputs
from carillon_media.domain.backlog import Stage
from carillon_media.domain.call import Call
from carillon_media.domain.describe import describe
from carillon_media.domain.facts import CallFacts
from carillon_media.domain.media import LegMedia
from carillon_media.domain.snapshots import SavedCall, SavedLeg
from carillon_media.domain.state import CALLER, CallState
from carillon_media.handlers import awaiting, feature_acts, media_acts, room_acts, sip_acts
from carillon_media.handlers.board import Aside, Board, Kept, Request
from carillon_media.handlers.entries import entry_of
from carillon_media.handlers.legs import LegIo, MediaPorts
from carillon_media.handlers.quality import with_quality
from carillon_media.handlers.snapshots import writer
from carillon_media.handlers.timers import Timers
from carillon_media.ports import Entry, LogFailed, NoDecision, Parts
from carillon_rtp.protocol import PlaneError
from carillon_sip.errors import SipError

_log = get_logger(__name__)
#: Inputs that may wait; a peer that sends more is not listened to.
MAX_INBOX = 1000
RecordingReason = Literal["silence", "length", "digit", "stopped", "node_failure"]
#: Seconds in which a call does what it is asked.
REQUEST_SECONDS = 5.0
DROPPED = "the call was dropped"


class CallActor:
    """A call and its legs."""

    __slots__ = (
        "_timers",
        "answered_at",
        "awaits",
        "board",
        "busy",
        "call",
        "closing",
        "codecs",
        "inbox",
        "legs",
        "max_forwards",
        "parts",
        "ports",
        "recordings",
        "setting_up",
        "writer",
    )

    def __init__(
        self, call: Call, parts: Parts, board: Board, caller: LegIo | None = None, *, max_forwards: int = 70, codecs: Sequence[str] = ()
    ) -> None:
        self.call = call
        self.parts = parts
        self.board = board
        self.legs: dict[str, LegIo] = {} if caller is None else {caller.leg_id: caller}
        self.max_forwards = max_forwards
        self.inbox: deque[inputs.Input | Aside | Request] = deque()
        self.busy = False
        self.codecs = codecs
        self.ports = MediaPorts(parts.plane, parts.clock, parts.srtp, parts.sources, parts.comfort_noise, parts.families)
        self._timers = Timers(parts.clock, self._fire)
        self.closing: list[LegIo] = []
        self.answered_at: datetime | None = None
        #: Recordings weighed and not yet released: recording id to object name.
        self.recordings: dict[str, str] = {}
        self.writer = writer()
        #: How far the set-up of a call is that came to us; None: it is over, or it is a call of ours.
        self.setting_up: Stage | None = None
        #: Waits that the application is asked about.
        self.awaits: set[str] = set()

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

    def post(self, given: inputs.Input | Aside | Request) -> None:
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
        decided = any(isinstance(given, inputs.Decided) for given in self.inbox)
        try:
            await self._act(self._feed(done))
        except BaseException:
            for request in done:
                request.answer(DROPPED)
            raise
        for request in done:
            request.answer("")
        if decided:
            self._set_up()

    # -- how many are in set-up ---------------------------------------------------------------------------------------------

    def let_in(self) -> None:
        """Its set-up begins, which it waits for together with all others that are in theirs."""
        self.setting_up = "new"
        self.parts.backlog.began(self.parts.clock.monotonic())

    def _set_up(self) -> None:
        if self.setting_up is not None:
            self.parts.backlog.through(self.setting_up)
            self.setting_up = None

    def _feed(self, done: list[Request]) -> list[outputs.Output | Aside]:
        """What all that waits leads to; `done` gets the requests that will be done with it."""
        batch: list[outputs.Output | Aside] = []
        now = self.parts.clock.monotonic()
        while self.inbox:
            given = self.inbox.popleft()
            if isinstance(given, Aside):
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

    async def _act(self, batch: list[outputs.Output | Aside]) -> None:
        facts = self.call.facts
        batch = await with_quality(batch, self.legs, self.parts.plane)
        entries = [entry_of(output, facts, self.parts) for output in batch if isinstance(output, outputs.Journal | outputs.Remember)]
        if entries:
            await self.parts.log.append(facts.tenant, facts.call_id, [*entries, *self._snapshot()])
            self.board.happened(self, entries)
        for output in batch:
            await _DO[type(output)](self, output)
        # Of a call that is over, what was kept before its end tells the far ends of it again.
        if not self.call.over and (legs := self._changed_legs()):
            self.parts.log.note(facts.tenant, facts.call_id, legs)
        closing, self.closing = self.closing, []
        if closing:
            await media_acts.close_media(self, closing)

    # -- for another process that takes the call up ------------------------------------------------------------------------

    def _snapshot(self) -> list[Entry]:
        """Of the call, after its events, and of legs that have changed."""
        if self.call.over:
            return []
        saved = SavedCall(self.call.state, self.parts.boot, self.max_forwards, tuple(self.codecs), self.answered_at)
        return [*self._changed_legs(), self.parts.snapshots.call(self.call.facts.call_id, saved, self.writer)]

    def _changed_legs(self) -> list[Entry]:
        """Snapshots of the legs that are not as they were kept last."""
        entries = []
        for leg in self.legs.values():
            saved = self._saved(leg)
            if saved is not None and saved != leg.kept:
                leg.kept = saved
                entries.append(self.parts.snapshots.leg(self.call.facts.call_id, saved, self.writer))
        return entries

    def _saved(self, leg: LegIo) -> SavedLeg | None:
        session = self.parts.sip.save(leg.session)
        if session is None:
            return None
        told = leg.media is not None and leg.told == self.ports.remote_of(leg)
        return SavedLeg(
            leg.leg_id,
            leg.plane,
            session,
            leg.media,
            told,
            leg.answered,
            leg.awaits_answer,
            leg.bridged_with,
            leg.outgoing,
            leg.connected,
            leg.refer,
            leg.keys,
        )

    async def _abandon(self) -> None:
        """Hang everything up without another word in the journal; recovery closes the record."""
        for leg in self.legs.values():
            if not leg.outgoing and not leg.answered:
                self.parts.sip.reject(leg.session, 503, (("Retry-After", "5"),))
            elif leg.answered:
                self.parts.sip.bye(leg.session, "")
            else:
                self.parts.sip.cancel(leg.session, "")
        await media_acts.close_media(self, self.legs.values())
        for given in self.inbox:
            if isinstance(given, Request):
                given.answer(DROPPED)
        self._finish()

    def _fire(self, name: str) -> None:
        self.post(inputs.TimerFired(name))

    # -- out -------------------------------------------------------------------------------------------------------------

    async def _journalled(self, output: outputs.Journal) -> None:
        """It is on the disk already; a recording that has its event may be uploaded."""
        event = output.event
        if isinstance(event, RecordingFinished):
            named = [recording_id for recording_id, name in self.recordings.items() if name == event.object]
            if named:
                del self.recordings[named[0]]
                self.parts.spool.release(named[0], event.object)
        elif isinstance(event, LegAnswered):
            leg = self.legs.get(output.leg_id or "")
            if leg is not None and leg.unacknowledged:
                leg.unacknowledged = False
                self.parts.sip.ack(leg.session)
            if (output.leg_id or "").startswith(CALLER):
                self.answered_at = self.answered_at or self.parts.clock.now()

    def insist(self, leg_id: str) -> bool:
        """A leg refused our media: it may take SRTP alone, or RTP alone where SRTP was tried first, and audio over the other IP version
        where that of its SIP is none for it (RFC 6157 section 4), each once. Whether it is called anew."""
        leg = self.legs[leg_id]
        if leg.again is None or leg.media is None or not self._is_called(leg):
            return False
        if (other := leg.media.otherwise(self.codecs)) is not None:
            return self._call_again(leg, other)
        if not self.ports.may_turn(leg):
            return False
        self.board.spawn(self._offer_other_version(leg))
        return True

    def _is_called(self, leg: LegIo) -> bool:
        known = self.call.legs.get(leg.leg_id)
        return known is not None and known.state != "ended"

    def _call_again(self, leg: LegIo, media: LegMedia) -> bool:
        leg.media = media
        if leg.again is None:
            return False
        try:
            leg.session = leg.again(media)
        except SipError:
            return False
        self.board.bind(leg.session, self, leg.leg_id)
        return True

    async def _offer_other_version(self, leg: LegIo) -> None:
        try:
            media = (await self.ports.turn(leg)).offering(self.codecs)
        except PlaneError as error:
            self.parts.quiet.warning("no media port", call_id=self.call.facts.call_id, error=str(error))
            self.post(inputs.LegRefused(leg.leg_id, 488))
            return
        if not self._is_called(leg):
            await media_acts.close_media(self, (leg,))
        elif not self._call_again(leg, media):
            self.post(inputs.LegRefused(leg.leg_id, 488))

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

    # -- applications, timers, the end ----------------------------------------------------------------------------------

    async def _ask(self, output: outputs.Ask) -> None:
        self.board.spawn(self._asked(output))

    async def _asked(self, output: outputs.Ask) -> None:
        facts, parts = self.call.facts, self.parts
        if self.setting_up == "new":
            self.setting_up = "away"
            parts.backlog.left()
        try:
            answer = await parts.applications.ask(output.application, output.facts or facts, output.cursor, output.outcome)
        except NoDecision as error:
            self.parts.quiet.warning("application does not decide", application=output.application, call_id=facts.call_id, error=str(error))
            step, config_seq = parts.directory.fallback(facts)
            self.post(inputs.Undecided(output.question, step, describe(step) if step else None, config_seq, error.passing))
            return
        if self.setting_up == "away":
            self.setting_up = "back"
            parts.backlog.returned()
        found = (answer.step, answer.cursor, answer.trace, answer.config_seq, answer.details, answer.inputs)
        self.post(inputs.Decided(output.question, *found))

    async def _tell(self, output: outputs.Tell) -> None:
        self.board.spawn(tell(self.parts, self.call.facts, output))

    async def _set_timer(self, output: outputs.SetTimer) -> None:
        self._timers.set(output.name, output.at)

    async def _cancel_timer(self, output: outputs.CancelTimer) -> None:
        self._timers.cancel(output.name)

    async def _finished(self, output: outputs.Finished) -> None:
        self._finish()

    def _finish(self) -> None:
        self._set_up()
        self._timers.clear()
        self.awaits.clear()
        for recording_id in self.recordings:
            self.parts.spool.discard(recording_id)
        self.recordings.clear()
        self.board.gone(self)

    async def _nothing(self, output: object) -> None:
        """Done by being journalled, or kept."""


async def tell(parts: Parts, facts: CallFacts, output: outputs.Tell) -> None:
    """Tell an application of a call; what it answers is not carried out."""
    try:
        await parts.applications.ask(output.application, output.facts or facts, output.cursor, output.outcome)
    except NoDecision as error:
        parts.quiet.warning("application was not told", application=output.application, call_id=facts.call_id, error=str(error))


_DO: Mapping[type, Callable[[CallActor, Any], Awaitable[None]]] = {
    **sip_acts.DO,
    **media_acts.DO,
    **feature_acts.DO,
    **room_acts.DO,
    outputs.Journal: CallActor._journalled,
    outputs.Remember: CallActor._nothing,
    outputs.Ask: CallActor._ask,
    outputs.Tell: CallActor._tell,
    outputs.AwaitSignal: awaiting.begin,
    outputs.StopAwaiting: awaiting.end,
    outputs.SetTimer: CallActor._set_timer,
    outputs.CancelTimer: CallActor._cancel_timer,
    outputs.Finished: CallActor._finished,
    Kept: CallActor._nothing,
}
