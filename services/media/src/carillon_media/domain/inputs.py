"""Everything that can happen to a call, as data. The shell makes these from SIP, the media plane, the applications and its clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from carillon_contracts.call import ToneName, TraceLine
from carillon_media.domain.facts import Contact
from carillon_media.domain.keys import KeyKind, Manner
from carillon_media.domain.steps import Carried, ConferenceResult, Prompt, Step, TapeSides


@dataclass(frozen=True, slots=True)
class Arrived:
    """The caller's INVITE was accepted as a call. `refuse_status`: end it at once with that (0: do not), as for an unusable offer."""

    refuse_status: int = 0


@dataclass(frozen=True, slots=True)
class Decided:
    """The application answered question `question`."""

    question: int
    step: Step
    cursor: bytes
    trace: tuple[TraceLine, ...] = ()
    config_seq: int = 0
    #: The step as the contract's JSON, for the event.
    details: Mapping[str, Any] | None = None
    #: What the decision was made of, for deciding it again.
    inputs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Undecided:
    """Nobody answered question `question` in time; `fallback` is what media would do alone at the beginning of a call.

    `passing`: no replica was there, which may be otherwise in a moment; else it would be the same again.
    """

    question: int
    fallback: Step | None = None
    details: Mapping[str, Any] | None = None
    config_seq: int = 0
    passing: bool = False


@dataclass(frozen=True, slots=True)
class LegProgressed:
    """A called leg sent a provisional response above 100; `media`: with a session description that we could use."""

    leg_id: str
    status: int
    media: bool = False


@dataclass(frozen=True, slots=True)
class LegAccepted:
    """A called leg answered, and its session description is usable."""

    leg_id: str
    codec: str = ""


@dataclass(frozen=True, slots=True)
class LegRefused:
    """A called leg is over before it was answered. `received`: the status came from the far end, not from our own stack."""

    leg_id: str
    status: int
    received: bool = True


@dataclass(frozen=True, slots=True)
class LegDeflected:
    """A called leg's phone refused with a 3xx `status`, and named what to dial instead."""

    leg_id: str
    status: int
    destination: str


@dataclass(frozen=True, slots=True)
class LegLeft:
    """An answered leg hung up (`bye`), or was not heard of any more (`timeout`, `media`: its audio stopped)."""

    leg_id: str
    how: Literal["bye", "timeout", "media"] = "bye"


@dataclass(frozen=True, slots=True)
class CallerCancelled:
    """CANCEL before the call was answered; the stack has answered it."""


@dataclass(frozen=True, slots=True)
class LegReoffered:
    """A re-INVITE came; `on_hold`: its sender does not want to hear the other side now."""

    leg_id: str
    on_hold: bool


@dataclass(frozen=True, slots=True)
class Originated:
    """The call is made for a user: `contacts` are its devices, which ring first and show who is called.

    `prompts`: whoever answers hears these and nothing else. `application`: what decides then, if it is not the first one.
    `shown`: what the phones show in place of what was dialled. `arguments`: of the first question.
    """

    contacts: tuple[Contact, ...]
    callee_name: str
    requested_by: str
    ring_seconds: float
    auto_answer: bool = False
    prompts: tuple[Prompt, ...] = ()
    application: str = ""
    shown: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LegRefers:
    """The leg's phone sends the other side to what it would dial itself; `device` as in `CallFacts`: to one phone of that user."""

    leg_id: str
    destination: str
    device_user: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class LegHandedOver:
    """The leg's phone joins whom it talks to here with its call `to_call_id`."""

    leg_id: str
    to_call_id: str


@dataclass(frozen=True, slots=True)
class LegAdopted:
    """The far end of the leg's other call is here under the name `handle`, to take the leg's place; `answer`: it calls, and is answered."""

    leg_id: str
    handle: str
    party: str
    number: str
    codec: str
    from_call_id: str
    recorded: Carried = field(default_factory=Carried)
    answer: bool = False


@dataclass(frozen=True, slots=True)
class PickedUp:
    """A user whose call is here under the name `handle` takes what rings at `leg_id`, or (empty) what is parked."""

    leg_id: str
    handle: str
    party: str
    number: str
    codec: str
    #: The call by which the user asked; empty: an INVITE with Replaces.
    from_call_id: str = ""


@dataclass(frozen=True, slots=True)
class TookOver:
    """Another call has adopted the anchor."""

    call_id: str
    how: Literal["picked_up", "retrieved"]


@dataclass(frozen=True, slots=True)
class NothingTaken:
    """There is no such call, or somebody was quicker."""


@dataclass(frozen=True, slots=True)
class TalkFound:
    """The leg of another call that is to be supervised; empty: the user does not talk."""

    call_id: str = ""
    leg_id: str = ""


@dataclass(frozen=True, slots=True)
class TalkEnded:
    """The supervised leg is over, or cannot be heard."""


@dataclass(frozen=True, slots=True)
class Supervised:
    """Somebody takes part in this call's talk, in another way, or no more."""

    leg_id: str
    by_call_id: str
    supervisor: str
    mode: Literal["listen", "whisper", "barge", "ended"]


@dataclass(frozen=True, slots=True)
class HangUpRequested:
    """Somebody with the right to do so ends the call; `cause` by name."""

    requested_by: str
    cause: str


@dataclass(frozen=True, slots=True)
class HoldRequested:
    """The leg is to hold (`on`), or to hear and be heard again."""

    requested_by: str
    leg_id: str
    on: bool


@dataclass(frozen=True, slots=True)
class TransferRequested:
    """The leg is to be sent to a dialled destination, in the name of the other one."""

    requested_by: str
    leg_id: str
    destination: str


@dataclass(frozen=True, slots=True)
class DigitsRequested:
    """The leg is to hear digits."""

    requested_by: str
    leg_id: str
    digits: str
    manner: Manner = "auto"


@dataclass(frozen=True, slots=True)
class PlayRequested:
    """The leg (empty: both) is to hear prompts in place of the other side."""

    requested_by: str
    leg_id: str
    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class RecordRequested:
    """The talk is to be recorded, with a tone now and then for both if it is so wanted."""

    requested_by: str
    labels: Mapping[str, str]
    max_ms: int
    sides: TapeSides = "said"
    tone: bool = False


@dataclass(frozen=True, slots=True)
class StopRecordRequested:
    """Recordings of the call are to stop."""

    requested_by: str


@dataclass(frozen=True, slots=True)
class PauseRecordRequested:
    """Recordings of the call are to pause, or to go on."""

    requested_by: str
    paused: bool


@dataclass(frozen=True, slots=True)
class AnswerRequested:
    """The ringing leg's phone is to answer by itself."""

    requested_by: str
    leg_id: str


@dataclass(frozen=True, slots=True)
class ParkRequested:
    """The leg is to be parked, in the name of the other one; `destination` is what a phone would send it to."""

    requested_by: str
    leg_id: str
    destination: str


@dataclass(frozen=True, slots=True)
class OpenDoorRequested:
    """The door phone is to open; `lock_digits` is what it must hear."""

    requested_by: str
    leg_id: str
    lock_digits: str


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """A digit, once: in which kind it came, and for how long it was held (0: it does not say)."""

    leg_id: str
    digit: str
    heard: KeyKind = "events"
    held_ms: int = 0


@dataclass(frozen=True, slots=True)
class ToneHeard:
    """A tone began in what the leg says."""

    leg_id: str
    tone: ToneName


@dataclass(frozen=True, slots=True)
class PlayFinished:
    """Prompts were played to their end or stopped."""

    play_id: str
    played_ms: int = 0


@dataclass(frozen=True, slots=True)
class RecordingFinished:
    """A recording's file is complete. `object` is its content hash; empty when there is no usable file."""

    recording_id: str
    object: str
    duration_ms: int
    bytes: int
    reason: Literal["silence", "length", "digit", "stopped", "node_failure"]


@dataclass(frozen=True, slots=True)
class Signalled:
    """The application ends the wait."""

    wait_id: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer that this call had set."""

    name: str


@dataclass(frozen=True, slots=True)
class MediaLost:
    """The media plane lost this call's ports."""


@dataclass(frozen=True, slots=True)
class MediaRestored:
    """The media plane is a new process with this call's ports; what played on the old one is over."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """Another process has taken the call up; `away_ms`: for how long nobody looked after it."""

    away_ms: int


@dataclass(frozen=True, slots=True)
class LegUnsent:
    """A leg was offered, as the journal says, by a process that died before anything was known of its INVITE."""

    leg_id: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """This node ends the call, for a reason of its own (`cause` by name)."""

    cause: str


#: What people and programs with the right to do so ask of a call; `control.refusal` says why it cannot be done.
Request = (
    HangUpRequested
    | HoldRequested
    | TransferRequested
    | DigitsRequested
    | PlayRequested
    | RecordRequested
    | StopRecordRequested
    | PauseRecordRequested
    | AnswerRequested
    | ParkRequested
    | OpenDoorRequested
)


@dataclass(frozen=True, slots=True)
class RoomEntered:
    """The caller is in the conference room."""

    meeting_id: str


@dataclass(frozen=True, slots=True)
class RoomLeft:
    """It is out of the room, or was not let in."""

    result: ConferenceResult


Input = (
    Arrived
    | Decided
    | Undecided
    | LegProgressed
    | LegAccepted
    | LegRefused
    | LegDeflected
    | LegLeft
    | CallerCancelled
    | LegReoffered
    | Originated
    | LegRefers
    | LegHandedOver
    | LegAdopted
    | PickedUp
    | TookOver
    | NothingTaken
    | TalkFound
    | TalkEnded
    | Supervised
    | Request
    | DigitPressed
    | ToneHeard
    | PlayFinished
    | RecordingFinished
    | Signalled
    | RoomEntered
    | RoomLeft
    | TimerFired
    | MediaLost
    | MediaRestored
    | Resumed
    | LegUnsent
    | Stopped
)
