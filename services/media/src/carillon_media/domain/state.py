"""The state of one call and the few things that every step does with it: write events, open and end legs, ask, finish.

Invariant: `seq` has no gap from 1; a leg that was opened ends once, by `end_leg`; `CallEnded` is written once, by `finish`, after every
leg has ended and nothing more can be recorded, and nothing is written after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from carillon_contracts import call as events
from carillon_contracts.envelope import EventData
from carillon_media.domain import outputs
from carillon_media.domain.causes import CALLER_GAVE_UP, Q850_BY_NAME, RingResult, sip_status_for
from carillon_media.domain.facts import CallFacts, Contact, Limits, Reach
from carillon_media.domain.steps import Gather, Outcome, Record, Ring, RingOutcome
from carillon_media.domain.timetable import Timetable

Party = Literal["caller", "callee", "system"]
LegState = Literal["offered", "ringing", "answered", "ended"]
CALLER = "a"


@dataclass(slots=True)
class Leg:
    """One side of a call; `a` is the caller's."""

    leg_id: str
    party: str
    number: str
    state: LegState = "offered"
    held: bool = False


@dataclass(frozen=True, slots=True)
class New:
    """Nothing has happened."""


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


@dataclass(frozen=True, slots=True)
class Playing:
    """Prompts play to the caller."""

    play_id: str
    began: float


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


@dataclass(frozen=True, slots=True)
class Talking:
    """The caller and `peer` hear each other."""

    peer: str
    ring: Ring
    outcome: RingOutcome


@dataclass(frozen=True, slots=True)
class Closing:
    """Every leg has ended; the recording's file is awaited."""

    step: Record
    recording_id: str
    ended: events.CallEnded
    timer: str


@dataclass(frozen=True, slots=True)
class Over:
    """CallEnded was written."""


Phase = New | Asking | Ringing | Playing | Gathering | Recording | Talking | Closing | Over


@dataclass(slots=True)
class CallState:
    """Everything that is known of a call while it lasts. `out`, `now` and `reach` belong to the input that is being handled."""

    facts: CallFacts
    limits: Limits
    out: list[outputs.Output] = field(default_factory=list)
    now: float = 0.0
    reach: Reach | None = None
    phase: Phase = field(default_factory=New)
    seq: int = 0
    legs: dict[str, Leg] = field(default_factory=dict)
    application: str = "routing"
    cursor: bytes = b""
    question: int = 0
    steps: int = 0
    numbers: int = 0
    #: No application is asked any more: media decides alone.
    orphaned: bool = False
    rang_caller: bool = False
    started: float = 0.0
    answered: float | None = None
    config_seq: int | None = None
    answered_by: str = ""
    #: What became of the last ring step that rang users; None: there was none.
    users_result: RingResult | None = None
    #: Digits of the caller that no step has taken yet; a gather that comes next takes them.
    typed: str = ""
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

    def name(self, kind: str) -> str:
        """A name that is new in this call: `play-3`."""
        self.numbers += 1
        return f"{kind}-{self.numbers}"

    # -- legs ----------------------------------------------------------------------------------------------------------

    def offer_leg(self, contact: Contact, target_id: str, step: Ring) -> Leg:
        """Ring one device."""
        leg = Leg(f"b{len(self.legs)}", contact.party, contact.number)
        self.legs[leg.leg_id] = leg
        self.journal(
            events.LegOffered(party=leg.party, number=leg.number, contact=contact.uri, target_id=target_id),
            leg.leg_id,
        )
        self.do(outputs.OfferLeg(leg.leg_id, contact, step.caller_number, step.caller_name))
        return leg

    def answer_caller(self) -> bool:
        """Answer leg `a`; False: it was answered before."""
        leg = self.legs[CALLER]
        if leg.state not in ("offered", "ringing"):
            return False
        leg.state = "answered"
        self.answered = self.now
        self.journal(events.LegAnswered(), CALLER)
        self.do(outputs.AnswerCaller())
        return True

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
            how = "reject" if leg.leg_id == CALLER else "cancel"
        leg.state = "ended"
        self.journal(events.LegEnded(cause=cause, sip_status=status, by=by), leg.leg_id)
        self.do(outputs.CloseLeg(leg.leg_id, how, status, reason, retry_after))

    # -- applications --------------------------------------------------------------------------------------------------

    def ask(self, outcome: Outcome) -> None:
        """Ask the application what comes next."""
        self.question += 1
        self.phase = Asking()
        self.do(outputs.Ask(self.question, self.application, self.cursor, outcome))

    # -- the end -------------------------------------------------------------------------------------------------------

    def finish(self, cause: str, by: Party, *, status: int = 0, gone: str = "", retry_after: int = 0) -> None:
        """End the call: whatever goes on, every leg, and (once a recording's file is there) the call itself.

        `gone` is the leg whose far end ended it; `status` refuses a caller that was not answered, 0: derived from the cause.
        """
        phase = self.phase
        self._leave(phase)
        status = status or sip_status_for(Q850_BY_NAME.get(cause, 41))
        caller = self.legs[CALLER]
        given_up = gone == CALLER and caller.state != "answered"
        for leg in self.legs.values():
            answered = leg.state == "answered"
            leg_status = 0 if answered else 487 if given_up else status if leg is caller else 0
            self.end_leg(leg, cause, by, status=leg_status, gone=leg.leg_id == gone, reason=_reason(cause), retry_after=retry_after)
        ended = events.CallEnded(cause=cause, by=by, talk_ms=self._since(self.answered), total_ms=self._since(self.started))
        if isinstance(phase, Recording) and not phase.beep_id:
            self.phase = Closing(phase.step, phase.recording_id, ended, phase.timer)
            self.do(outputs.SetTimer(phase.timer, self.now + self.limits.closing_seconds))
        else:
            self.conclude(ended)

    def conclude(self, ended: events.CallEnded) -> None:
        """The last event of the call."""
        self.journal(ended)
        self.phase = Over()
        self.do(outputs.Finished())

    def _leave(self, phase: Phase) -> None:
        if isinstance(phase, Playing):
            self.journal(events.PlayEnded(duration_ms=self._since(phase.began)))
        elif isinstance(phase, Recording) and not phase.beep_id:
            self.do(outputs.StopRecording(CALLER, phase.recording_id))

    def _since(self, then: float | None) -> int:
        return 0 if then is None else max(0, round((self.now - then) * 1000))


def _reason(cause: str) -> str:
    """Reason header (RFC 3326) for the far ends of a call that ends."""
    if cause == CALLER_GAVE_UP:
        return ""
    number = Q850_BY_NAME.get(cause)
    return f'Q.850;cause={number};text="{cause}"' if number else ""


#: What a live call is doing, in the words of `LiveCall.state`.
PHASE_NAMES: Mapping[type[Phase], str] = {
    New: "routing",
    Asking: "routing",
    Ringing: "ringing",
    Playing: "playing",
    Gathering: "gathering",
    Recording: "recording",
    Talking: "talking",
    Closing: "recording",
    Over: "talking",
}
