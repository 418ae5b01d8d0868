"""Everything a call can want, as data. The shell appends the journalled events of a batch before it does anything else of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from carillon_contracts.call import ToneName
from carillon_contracts.envelope import EventData
from carillon_media.domain.facts import CallFacts, Contact
from carillon_media.domain.keys import KeyKind, Manner
from carillon_media.domain.steps import Conference, Outcome, Prompt, SuperviseMode
from carillon_rtp.values import RecordedSides


@dataclass(frozen=True, slots=True)
class Journal:
    """An event happened; `seq` is gap-free from 1."""

    seq: int
    event: EventData
    leg_id: str | None = None
    config_seq: int | None = None


@dataclass(frozen=True, slots=True)
class Remember:
    """A private fact for whoever folds the journal after a crash: a recording was begun with this least length and these labels."""

    recording_id: str
    leg_id: str
    min_ms: int
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OfferLeg:
    """Open a media port, invite the contact. Its answer comes back as LegProgressed, LegAccepted or LegRefused."""

    leg_id: str
    contact: Contact
    caller_number: str
    caller_name: str
    #: Its phone is asked to answer by itself.
    auto_answer: bool = False


@dataclass(frozen=True, slots=True)
class RingCaller:
    """180 to the caller."""


@dataclass(frozen=True, slots=True)
class EarlyMedia:
    """Let the caller hear this leg before it answers: bridge, and 183 with our session description."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class AnswerCaller:
    """200 with our session description to the caller."""


@dataclass(frozen=True, slots=True)
class AnswerLeg:
    """200 with our session description to a leg that called us to take a call over."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class AdoptLeg:
    """The far end of another call that was handed over under this name is leg `leg_id` from now on."""

    leg_id: str
    handle: str


@dataclass(frozen=True, slots=True)
class ReportTransfer:
    """Tell the leg that wanted a transfer how far it is (NOTIFY with this SIP status), if its phone asked to know."""

    leg_id: str
    status: int


@dataclass(frozen=True, slots=True)
class CloseLeg:
    """The leg is over: `reject` the caller's INVITE, `cancel` or `bye` a leg, or it is already `gone`; then close its media port.

    `moved`: it goes on as a leg of another call, with its port.
    """

    leg_id: str
    how: Literal["reject", "cancel", "bye", "gone", "moved"]
    status: int = 0
    #: Value of the Reason header (RFC 3326); empty: none.
    reason: str = ""
    #: Seconds for Retry-After; 0: none.
    retry_after: int = 0


@dataclass(frozen=True, slots=True)
class AcceptReoffer:
    """Answer the re-INVITE that the leg waits for."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class BridgeLegs:
    """Both hear each other."""

    a: str
    b: str


@dataclass(frozen=True, slots=True)
class UnbridgeLeg:
    """The leg hears nobody any more."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class PlayTo:
    """Play prompts to a leg; ends with PlayFinished. Empty prompts: ringback until stopped."""

    leg_id: str
    play_id: str
    prompts: tuple[Prompt, ...]
    barge_in: bool = False
    loop: bool = False


@dataclass(frozen=True, slots=True)
class PlayEarly:
    """Play prompts to a caller that is not answered: 183 with our session description. What does not loop ends with PlayFinished."""

    play_id: str
    prompts: tuple[Prompt, ...]
    loop: bool = False


@dataclass(frozen=True, slots=True)
class PlayMusic:
    """Music on hold to a leg, in place of the other side, until stopped: the playlist, or that of the user who holds (`whose`), or the
    tenant's."""

    leg_id: str
    play_id: str
    whose: str = ""
    playlist_id: str = ""


@dataclass(frozen=True, slots=True)
class StopPlay:
    """Stop whatever plays to the leg."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class RecordFrom:
    """Record what the leg says; ends with RecordingFinished."""

    leg_id: str
    recording_id: str
    max_ms: int
    silence_ms: int
    finish_digits: str
    #: What the leg says alone, or with what it hears, in one channel or two; `tone_ms`: both hear a tone so often, 0: never.
    sides: RecordedSides = "said"
    tone_ms: int = 0


@dataclass(frozen=True, slots=True)
class PauseRecording:
    """Nothing of the leg comes into the file until it goes on."""

    leg_id: str
    paused: bool


@dataclass(frozen=True, slots=True)
class StopRecording:
    """End the leg's recording; RecordingFinished follows."""

    leg_id: str
    recording_id: str


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Find the call that is meant and let it adopt the leg; ends with TookOver or NothingTaken."""

    leg_id: str
    user_ids: tuple[str, ...]
    slot: str


@dataclass(frozen=True, slots=True)
class FindTalk:
    """Find the call that the user talks in; comes back as TalkFound."""

    user_id: str


@dataclass(frozen=True, slots=True)
class TakePart:
    """The leg hears the talk of the other call's leg, and is heard as `mode` says, until the other leg ends (TalkEnded)."""

    leg_id: str
    other_call_id: str
    other_leg_id: str
    mode: SuperviseMode


@dataclass(frozen=True, slots=True)
class PartFrom:
    """The leg takes part in no talk any more."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class TellSupervised:
    """The other call is to know who takes part in its talk, and how."""

    call_id: str
    leg_id: str
    supervisor: str
    mode: Literal["listen", "whisper", "barge", "ended"]


@dataclass(frozen=True, slots=True)
class Address:
    """The listener hears the speaker, and nobody hears the listener."""

    speaker: str
    listener: str


@dataclass(frozen=True, slots=True)
class EndPage:
    """Nobody hears the speaker any more."""


@dataclass(frozen=True, slots=True)
class SendDigits:
    """The leg's far end gets the digits, "auto": in the kind that it understands."""

    leg_id: str
    digits_id: str
    digits: str
    manner: Manner = "auto"


@dataclass(frozen=True, slots=True)
class PassKey:
    """The other side (`by`) has pressed a key, in that kind: the leg is told it in its own, unless it has it already."""

    leg_id: str
    key_id: str
    key: str
    heard: KeyKind
    held_ms: int
    by: str


@dataclass(frozen=True, slots=True)
class ListenTo:
    """Exactly these tones are listened for in what the leg says; they come back as ToneHeard."""

    leg_id: str
    tones: tuple[ToneName, ...]


@dataclass(frozen=True, slots=True)
class Announce:
    """Phones of these users are to say something by themselves."""

    user_ids: tuple[str, ...]
    prompts: tuple[Prompt, ...]
    slot: str


@dataclass(frozen=True, slots=True)
class Remind:
    """The user's phones ring for a moment, showing who waits, and say this if they are answered."""

    user_id: str
    prompts: tuple[Prompt, ...]
    caller_number: str
    caller_name: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the application; comes back as Decided or Undecided with the same number."""

    question: int
    application: str
    cursor: bytes
    outcome: Outcome
    #: Who asks; None: the caller, as the call began.
    facts: CallFacts | None = None


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the application what became of its step; what it answers is not carried out, and nobody waits for it."""

    application: str
    cursor: bytes
    outcome: Outcome
    facts: CallFacts | None = None


@dataclass(frozen=True, slots=True)
class AwaitSignal:
    """Ask the application whether the wait is to end, until it is (Signalled) or `StopAwaiting`."""

    wait_id: str
    application: str
    cursor: bytes
    facts: CallFacts | None = None


@dataclass(frozen=True, slots=True)
class StopAwaiting:
    """The wait is over."""

    wait_id: str


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Send TimerFired(name) at `at` (monotonic seconds); replaces a timer of that name."""

    name: str
    at: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Forget the timer."""

    name: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing comes after."""


@dataclass(frozen=True, slots=True)
class EnterRoom:
    """Let the leg into the step's room; comes back as RoomEntered or RoomLeft. `silent`: it was in it before."""

    leg_id: str
    step: Conference
    silent: bool = False


@dataclass(frozen=True, slots=True)
class LeaveRoom:
    """The leg is out of its room."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class PressInRoom:
    """The leg pressed a key in its room."""

    leg_id: str
    digit: str


Output = (
    EnterRoom
    | LeaveRoom
    | PressInRoom
    | PauseRecording
    | Journal
    | Remember
    | OfferLeg
    | PlayEarly
    | RingCaller
    | EarlyMedia
    | AnswerCaller
    | AnswerLeg
    | AdoptLeg
    | ReportTransfer
    | CloseLeg
    | AcceptReoffer
    | BridgeLegs
    | UnbridgeLeg
    | PlayTo
    | PlayMusic
    | StopPlay
    | RecordFrom
    | StopRecording
    | TakeOver
    | FindTalk
    | TakePart
    | PartFrom
    | TellSupervised
    | Address
    | EndPage
    | SendDigits
    | PassKey
    | ListenTo
    | Announce
    | Remind
    | Ask
    | Tell
    | AwaitSignal
    | StopAwaiting
    | SetTimer
    | CancelTimer
    | Finished
)
