"""The state of one call and the few things that every step does with it: write events, open and end legs, ask, finish.

Invariant: `seq` has no gap from 1; a leg that was opened ends once, by `end_leg`; `CallEnded` is written once, by `finish`, after every
leg has ended and nothing more can be recorded, and nothing is written after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from carillon_contracts import call as events
from carillon_contracts.causes import Q850_BY_NAME
from carillon_contracts.envelope import EventData
from carillon_media.domain import outputs
from carillon_media.domain.causes import CALLER_GAVE_UP, NORMAL_CLEARING, RingResult, sip_status_for
from carillon_media.domain.facts import CallFacts, Contact, Limits, Reach
from carillon_media.domain.plain import NOT_KEPT
from carillon_media.domain.steps import (
    Carried,
    Conference,
    ConferenceResult,
    Gather,
    HangUp,
    Outcome,
    PickUp,
    Prompt,
    Record,
    Ring,
    RingOutcome,
    Supervise,
    TalkTape,
    Wait,
)
from carillon_media.domain.timetable import Timetable
from carillon_rtp.values import RecordedSides

Party = Literal["caller", "callee", "system"]
LegState = Literal["offered", "ringing", "answered", "ended"]
CALLER = "a"
#: Who decides where a call goes, unless it hands that over.
FIRST_APPLICATION = "routing"
#: Timers of the first seconds of a leg's audio, with the leg's id.
LISTENING = "listening-"
#: What is listened for in what a trunk says: of the one that calls, of one that is called.
_CALLING: tuple[events.ToneName, ...] = ("cng",)
_CALLED: tuple[events.ToneName, ...] = ("busy", "ced", "ringback", "sit")


@dataclass(slots=True)
class Leg:
    """One side of a call; `a` is the caller's."""

    leg_id: str
    party: str
    number: str
    state: LegState = "offered"
    held: bool = False
    #: It holds because somebody asked media to, not its phone.
    held_by_request: bool = False
    #: We called it; only the leg of a caller that called us is not.
    outgoing: bool = True
    #: The contact that was called.
    contact: str = ""

    @property
    def is_trunk(self) -> bool:
        """Its far end is out of the house."""
        return self.party.startswith("trunk:")


@dataclass(frozen=True, slots=True)
class Tape:
    """A recording that runs, or whose file is awaited; what is shorter than `min_ms` is thrown away."""

    recording_id: str
    leg_id: str
    min_ms: int
    labels: Mapping[str, str]
    #: It was told to end; its file is awaited.
    stopped: bool = False
    #: None: of a record step.
    talk: TalkTape | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """Leg `by` has sent the anchor to `destination`, which has not answered. `returning`: it does not, so `by`'s user is rung again."""

    by: str
    destination: str
    returning: bool = False


@dataclass(frozen=True, slots=True)
class New:
    """Nothing has happened."""


@dataclass(frozen=True, slots=True)
class Originating:
    """The devices of the user for whom the call is made ring; each is a leg. `prompts` are all that it is made for, if there are any;
    `application` decides what comes then if it is another one than for calls that come in, and is asked with `arguments`."""

    timer: str
    prompts: tuple[Prompt, ...] = ()
    application: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asking:
    """An application is thinking."""


@dataclass(frozen=True, slots=True)
class Ringing:
    """Targets ring."""

    step: Ring
    table: Timetable
    timer: str
    #: The leg that the caller hears already; empty: none.
    early: str = ""
    #: Legs that can be heard before they answer, in the order of saying so.
    audible: tuple[str, ...] = ()
    #: The caller, not yet answered, hears the step's melody.
    melody: bool = False


@dataclass(frozen=True, slots=True)
class Playing:
    """Prompts play to the caller."""

    play_id: str
    began: float
    prompts: tuple[Prompt, ...] = ()


@dataclass(frozen=True, slots=True)
class TakingLeave:
    """The caller hears something, then the call ends as the step says."""

    step: HangUp
    play_id: str


@dataclass(frozen=True, slots=True)
class Gathering:
    """Digits are awaited; `play_id` is empty when no prompt plays (any more)."""

    step: Gather
    play_id: str
    timer: str
    digits: str = ""


@dataclass(frozen=True, slots=True)
class Recording:
    """The caller is recorded; before that, `beep_id` plays."""

    step: Record
    recording_id: str
    beep_id: str
    timer: str
    #: A key that ends it was heard.
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """The caller waits for what the application will say; `play_id` is empty when no prompt plays (any more)."""

    step: Wait
    #: Also the name of the timer of its end.
    wait_id: str
    play_id: str


@dataclass(frozen=True, slots=True)
class Patience:
    """What is asked again, until when, while no application answers."""

    outcome: Outcome
    until: float
    timer: str


@dataclass(frozen=True, slots=True)
class Talking:
    """The anchor and `peer` hear each other."""

    peer: str
    ring: Ring
    outcome: RingOutcome


@dataclass(frozen=True, slots=True)
class Parked:
    """The anchor waits in a slot; `announced_to` hears its number by `play_id`, both empty when that is over."""

    slot: str
    parked_by: str
    timer: str
    announced_to: str = ""
    play_id: str = ""


@dataclass(frozen=True, slots=True)
class PickingUp:
    """Another call is looked for that the anchor is to take over."""

    step: PickUp
    timer: str


@dataclass(frozen=True, slots=True)
class Supervising:
    """The anchor takes part in a talk, which is another call; `call_id` and `leg_id` are empty until it is found."""

    step: Supervise
    timer: str
    call_id: str = ""
    leg_id: str = ""


@dataclass(frozen=True, slots=True)
class Paging:
    """Legs that answered hear the anchor; after the timer no more are waited for."""

    timer: str
    reached: int = 0


@dataclass(frozen=True, slots=True)
class Closing:
    """Every leg has ended; the files of recordings are awaited."""

    ended: events.CallEnded
    timer: str


@dataclass(frozen=True, slots=True)
class Over:
    """CallEnded was written."""


@dataclass(frozen=True, slots=True)
class Conferring:
    """The caller is in a conference room; `meeting_id` is empty until it was let in."""

    step: Conference
    timer: str
    meeting_id: str = ""


Phase = (
    Conferring
    | New
    | Originating
    | Asking
    | Ringing
    | Playing
    | TakingLeave
    | Gathering
    | Recording
    | Waiting
    | Talking
    | Parked
    | PickingUp
    | Supervising
    | Paging
    | Closing
    | Over
)


@dataclass(slots=True)
class CallState:
    """Everything that is known of a call while it lasts. `out`, `now` and `reach` belong to the input that is being handled."""

    facts: CallFacts
    limits: Limits
    out: list[outputs.Output] = field(default_factory=list, metadata=NOT_KEPT)
    now: float = field(default=0.0, metadata=NOT_KEPT)
    reach: Reach | None = field(default=None, metadata=NOT_KEPT)
    phase: Phase = field(default_factory=New)
    seq: int = 0
    legs: dict[str, Leg] = field(default_factory=dict)
    #: The leg that steps are done with: the caller's, or who stays behind when the caller has sent it elsewhere.
    anchor: str = CALLER
    tapes: dict[str, Tape] = field(default_factory=dict)
    transfer: Transfer | None = None
    #: The recording of the talk is paused.
    tape_paused: bool = False
    #: Talks of this call that were recorded, and legs that have heard so.
    tape_parts: int = 0
    told_of_tape: tuple[str, ...] = ()
    carried: Carried = field(default_factory=Carried)
    #: Questions about where a phone's 3xx leads: what stands in the timetable for the leg, and in whose name it is asked.
    deflections: dict[int, tuple[str, CallFacts]] = field(default_factory=dict)
    deflected: int = 0
    #: Who asks where the call goes next, when it is not the caller any more: a user who has sent it elsewhere.
    asks_as: CallFacts | None = None
    application: str = FIRST_APPLICATION
    cursor: bytes = b""
    question: int = 0
    steps: int = 0
    numbers: int = 0
    #: Queues, groups and mailboxes that it came through: `queue/support`.
    ways: tuple[str, ...] = ()
    #: No application is asked any more: media decides alone.
    orphaned: bool = False
    #: Timers that run, questions without an answer, waits for a signal: set and asked again by a process that takes the call up.
    timers: dict[str, float] = field(default_factory=dict)
    asked: dict[int, outputs.Ask] = field(default_factory=dict)
    #: The question to which the input that is being handled belongs.
    unanswered: outputs.Ask | None = field(default=None, metadata=NOT_KEPT)
    awaited: dict[str, outputs.AwaitSignal] = field(default_factory=dict)
    #: The caller's own phone rings, as it was told last.
    rang_caller: bool = False
    #: The caller's fax tone: not heard, heard while an application thought, or it has led to the fax.
    fax: Literal["", "heard", "switched"] = ""
    #: The anchor hears the music of a wait.
    music: bool = False
    music_id: str = ""
    patience: Patience | None = None
    started: float = 0.0
    answered: float | None = None
    config_seq: int | None = None
    answered_by: str = ""
    #: What became of the last ring step that rang users; None: there was none.
    users_result: RingResult | None = None
    #: Digits of the caller that no step has taken yet; a gather that comes next takes them.
    typed: str = ""
    #: What a leg pressed last while it talks, and when: codes are found in it.
    pressed: tuple[str, str, float] = ("", "", 0.0)
    #: Digits that only end what was typed before, while they come until then: the `#` after the last digit that was wanted.
    trailing: str = ""
    trailing_until: float = 0.0

    # -- words ---------------------------------------------------------------------------------------------------------

    def journal(self, event: EventData, leg_id: str | None = None) -> None:
        """Write an event."""
        self.seq += 1
        self.out.append(outputs.Journal(self.seq, event, leg_id, self.config_seq))

    def do(self, output: outputs.Output) -> None:
        """Want something done."""
        self.out.append(output)
        if isinstance(output, outputs.SetTimer):
            self.timers[output.name] = output.at
        elif isinstance(output, outputs.CancelTimer):
            self.timers.pop(output.name, None)
        elif isinstance(output, outputs.Ask):
            self.asked[output.question] = output
        elif isinstance(output, outputs.AwaitSignal):
            self.awaited[output.wait_id] = output
        elif isinstance(output, outputs.StopAwaiting):
            self.awaited.pop(output.wait_id, None)

    def name(self, kind: str) -> str:
        """A name that is new in this call: `play-3`."""
        self.numbers += 1
        return f"{kind}-{self.numbers}"

    def journal_supervised(self, phase: Supervising, mode: Literal["listen", "whisper", "barge", "ended"]) -> None:
        """How the anchor takes part in a talk from now on; whose talk it is is told too."""
        by = self.legs[self.anchor].party
        self.journal(
            events.CallSupervised(supervisor=by, supervised=phase.step.user_id, mode=mode, other_call_id=phase.call_id), self.anchor
        )
        self.do(outputs.TellSupervised(phase.call_id, phase.leg_id, by, mode))

    # -- legs ----------------------------------------------------------------------------------------------------------

    def offer_leg(self, contact: Contact, target_id: str, step: Ring) -> Leg:
        """Ring one device."""
        leg = self.add_leg(contact.party, contact.number, contact=contact.uri, target_id=target_id)
        self.do(self.invitation(leg, contact, step))
        return leg

    def invitation(self, leg: Leg, contact: Contact, step: Ring) -> outputs.OfferLeg:
        """The leg's INVITE. A caller that withholds its number is shown to nobody but who is called for help."""
        hidden = self.facts.withheld and self.anchor == CALLER and not contact.emergency
        number, name = ("", "") if hidden else (step.caller_number, step.caller_name)
        return outputs.OfferLeg(leg.leg_id, contact, number, name, step.auto_answer)

    def add_leg(self, party: str, number: str, *, contact: str = "", target_id: str = "") -> Leg:
        """One more called leg."""
        called = sum(leg_id.startswith("b") for leg_id in self.legs)
        leg = Leg(f"b{called + 1}", party, number, contact=contact)
        self.legs[leg.leg_id] = leg
        self.journal(events.LegOffered(party=party, number=number, contact=contact, target_id=target_id), leg.leg_id)
        return leg

    def answer_caller(self) -> bool:
        """Answer leg `a`; False: it was answered before."""
        leg = self.legs[self.anchor]
        if leg.state not in ("offered", "ringing"):
            return False
        leg.state = "answered"
        self.answered = self.now
        self.journal(events.LegAnswered(), CALLER)
        self.do(outputs.AnswerCaller())
        self.listen(leg)
        return True

    def listen(self, leg: Leg) -> None:
        """For tones in what the trunk says, for some seconds from now."""
        if leg.is_trunk and self.limits.tone_seconds:
            self.listen_on(leg)
            self.do(outputs.SetTimer(f"{LISTENING}{leg.leg_id}", self.now + self.limits.tone_seconds))

    def listen_on(self, leg: Leg) -> None:
        """As long as it was to be."""
        self.do(outputs.ListenTo(leg.leg_id, _CALLED if leg.outgoing else _CALLING))

    def end_leg(
        self, leg: Leg, cause: str, by: Party, *, status: int = 0, gone: bool = False, reason: str = "", retry_after: int = 0
    ) -> None:
        """End a leg that has not ended. `gone`: its far end knows already."""
        if leg.state == "ended":
            return
        how: Literal["reject", "cancel", "bye", "gone"]
        if gone:
            how = "gone"
        elif leg.state == "answered":
            how = "bye"
        else:
            how = "cancel" if leg.outgoing else "reject"
        leg.state = "ended"
        self.stop_tapes(leg.leg_id)
        self.journal(events.LegEnded(cause=cause, sip_status=status, by=by), leg.leg_id)
        self.do(outputs.CloseLeg(leg.leg_id, how, status, reason, retry_after))

    def leave_room(self, phase: Conferring, result: ConferenceResult) -> None:
        """Out of the conference."""
        self.journal(events.ConferenceLeft(room_id=phase.step.room_id, meeting_id=phase.meeting_id, result=result), self.anchor)
        self.do(outputs.LeaveRoom(self.anchor))

    def move_leg(self, leg: Leg, cause: str, by: Party) -> None:
        """The leg ends here and goes on in another call."""
        leg.state = "ended"
        self.stop_tapes(leg.leg_id)
        self.journal(events.LegEnded(cause=cause, by=by), leg.leg_id)
        self.do(outputs.CloseLeg(leg.leg_id, "moved"))

    # -- recordings ----------------------------------------------------------------------------------------------------

    def pause_tapes(self, paused: bool) -> None:
        """Recordings that run pause, or go on."""
        self.tape_paused = paused
        for tape in self.running_tapes:
            self.do(outputs.PauseRecording(tape.leg_id, paused))

    @property
    def running_tapes(self) -> tuple[Tape, ...]:
        """Recordings that were not told to end."""
        return tuple(tape for tape in self.tapes.values() if not tape.stopped)

    def start_talk_tape(self, tape: Tape, wanted: TalkTape) -> None:
        """Record the leg's talk from now on."""
        self.tapes[tape.recording_id] = replace(tape, talk=wanted)
        sides: RecordedSides = wanted.sides if wanted.sides in ("mix", "stereo") else "said"
        self.do(outputs.RecordFrom(tape.leg_id, tape.recording_id, wanted.max_ms, 0, "", sides, wanted.tone_ms))

    def start_tape(self, tape: Tape, max_ms: int, silence_ms: int = 0, finish_digits: str = "") -> None:
        """Record what the leg says from now on."""
        self.tapes[tape.recording_id] = tape
        self.do(outputs.RecordFrom(tape.leg_id, tape.recording_id, max_ms, silence_ms, finish_digits))

    def stop_tapes(self, leg_id: str) -> None:
        """Stop what records the leg; the files come later."""
        for tape in self.running_tapes:
            if tape.leg_id == leg_id:
                self.tapes[tape.recording_id] = replace(tape, stopped=True)
                self.do(outputs.StopRecording(leg_id, tape.recording_id))

    # -- applications --------------------------------------------------------------------------------------------------

    def ask(self, outcome: Outcome) -> None:
        """Ask the application what comes next."""
        self.question += 1
        self.phase = Asking()
        self.do(outputs.Ask(self.question, self.application, self.cursor, outcome, self.asks_as))

    def ask_first(self, outcome: Outcome) -> None:
        """Ask the first application anew; what its cursor counts goes on."""
        if self.application != FIRST_APPLICATION:
            self.application, self.cursor = FIRST_APPLICATION, b""
        self.ask(outcome)

    # -- transfers -----------------------------------------------------------------------------------------------------

    def end_transfer(self, result: Literal["answered", "returned", "given_up"], status: int) -> None:
        """The transfer under way came to something; the leg that wanted it is told, if it is still there."""
        transfer, self.transfer = self.transfer, None
        if transfer is not None:
            self.journal(events.TransferEnded(result=result, sip_status=status), transfer.by)
            self.do(outputs.ReportTransfer(transfer.by, status))

    def transfer_answered(self) -> None:
        """Somebody, or something, answered who was sent away: who sent it is let go."""
        if self.transfer is not None:
            by = self.legs[self.transfer.by]
            self.end_transfer("returned" if self.transfer.returning else "answered", 200)
            self.end_leg(by, NORMAL_CLEARING, "system")

    def shown(self, number: str, name: str) -> tuple[str, str]:
        """Whose number and name the house's phones show: those of who waits for the answer, whoever sent it there."""
        if self.asks_as is None:
            return number, name
        if self.anchor == CALLER:
            return self.facts.caller, self.facts.caller_name
        return self.legs[self.anchor].number, ""

    # -- the end -------------------------------------------------------------------------------------------------------

    def finish(self, cause: str, by: Party, *, status: int = 0, gone: str = "", retry_after: int = 0) -> None:
        """End the call: whatever goes on, every leg, and (once a recording's file is there) the call itself.

        `gone` is the leg whose far end ended it; `status` refuses a caller that was not answered, 0: derived from the cause.
        """
        if isinstance(self.phase, Playing):
            self.journal(events.PlayEnded(duration_ms=self._since(self.phase.began)))
        elif isinstance(self.phase, Parked):
            self.journal(events.ParkEnded(slot=self.phase.slot, result="given_up"))
        elif isinstance(self.phase, Supervising) and self.phase.call_id:
            self.journal_supervised(self.phase, "ended")
        elif isinstance(self.phase, Conferring) and self.phase.meeting_id:
            self.leave_room(self.phase, "left")
        elif isinstance(self.phase, Paging):
            self.journal(events.PageEnded(reached=self.phase.reached))
            self.do(outputs.EndPage())
        self.music = False
        if isinstance(self.phase, Waiting) and self.phase.step.signalled:
            self.do(outputs.StopAwaiting(self.phase.wait_id))
        if self.transfer is not None:
            self.end_transfer("given_up", 487)
        status = status or sip_status_for(Q850_BY_NAME.get(cause, 41))
        caller = self.legs[CALLER]
        given_up = gone == CALLER and caller.state != "answered"
        for leg in self.legs.values():
            answered = leg.state == "answered"
            leg_status = 0 if answered else 487 if given_up else status if leg is caller else 0
            self.end_leg(leg, cause, by, status=leg_status, gone=leg.leg_id == gone, reason=_reason(cause), retry_after=retry_after)
        ended = events.CallEnded(cause=cause, by=by, talk_ms=self._since(self.answered), total_ms=self._since(self.started))
        if self.tapes:
            timer = self.name("closing")
            self.phase = Closing(ended, timer)
            self.do(outputs.SetTimer(timer, self.now + self.limits.closing_seconds))
        else:
            self.conclude(ended)

    def conclude(self, ended: events.CallEnded) -> None:
        """The last event of the call."""
        self.journal(ended)
        self.phase = Over()
        self.do(outputs.Finished())

    def _since(self, then: float | None) -> int:
        return 0 if then is None else max(0, round((self.now - then) * 1000))


def side_of(leg_id: str) -> Party:
    """Who a leg is in the words of `ended_by`; devices of a caller for whom the call was made are `a`, `a2`, ..."""
    return "caller" if leg_id.startswith(CALLER) else "callee"


def _reason(cause: str) -> str:
    """Reason header (RFC 3326) for the far ends of a call that ends."""
    if cause == CALLER_GAVE_UP:
        return ""
    number = Q850_BY_NAME.get(cause)
    return f'Q.850;cause={number};text="{cause}"' if number else ""


#: What a live call is doing, in the words of `LiveCall.state`.
PHASE_NAMES: Mapping[type[Phase], str] = {
    Conferring: "talking",
    New: "routing",
    Originating: "ringing",
    Asking: "routing",
    Ringing: "ringing",
    Playing: "playing",
    TakingLeave: "playing",
    Gathering: "gathering",
    Recording: "recording",
    Waiting: "waiting",
    Talking: "talking",
    Parked: "parked",
    PickingUp: "routing",
    Supervising: "supervising",
    Paging: "paging",
    Closing: "recording",
    Over: "talking",
}
