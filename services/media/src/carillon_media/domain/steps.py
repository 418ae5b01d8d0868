"""Steps that applications decide and media carries out, and their outcomes; `carillon.common.v1` in our own words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from carillon_media.domain.causes import RingResult

SuperviseMode = Literal["listen", "whisper", "barge"]


@dataclass(frozen=True, slots=True)
class Speech:
    """Text to speak; language by BCP 47."""

    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Beep:
    """1000 Hz, 250 ms."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing, for that long."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class AudioFile:
    """A file of the tenant's; the text is spoken when it cannot be had."""

    audio_id: str
    text: str = ""
    language: str = ""


SpokenKind = Literal["number", "position", "digits", "date", "time", "amount", "duration"]


@dataclass(frozen=True, slots=True)
class Spoken:
    """Said by a language's grammar. `values`: the number; year, month, day; hour, minute; hundredths; seconds. `currency` of an amount."""

    kind: SpokenKind
    values: tuple[int, ...]
    language: str
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Music:
    """A playlist once through, at most so long (0: to its end); no playlist: the tenant's hold music."""

    playlist_id: str = ""
    max_ms: int = 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a record step of the call has recorded."""

    object: str


Prompt = Speech | Beep | Silence | AudioFile | Spoken | Music | Recorded


@dataclass(frozen=True, slots=True)
class TrunkTarget:
    """A number behind a trunk, or behind the next one when that is silent or cannot."""

    trunk_id: str
    number: str
    further: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RingTarget:
    """One line of a ring step's timetable; times in ms from the step's beginning."""

    target_id: str
    whom: str | TrunkTarget
    start_after_ms: int = 0
    stop_after_ms: int = 0
    #: Number (empty: withheld) and name of who is shown there; None: as the step says.
    caller: tuple[str, str] | None = None


#: One of the two who talk; after a transfer the caller is who was there before.
TalkSide = Literal["", "caller", "called"]
TapeSides = Literal["said", "mix", "stereo", "caller", "called"]


@dataclass(frozen=True, slots=True)
class RecordingPlan:
    """How a talk is recorded: at once, or when a user of the tenant presses the key or somebody asks for it."""

    on_demand: bool = False
    announcement: tuple[Prompt, ...] = ()
    tone: bool = False
    stereo: bool = False
    #: Only that side is recorded; empty: both.
    only: TalkSide = ""
    retention_days: int = 0
    key: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Nothing is recorded, whatever was of a talk before.
    never: bool = False
    #: Nobody nearer than the tenant says so.
    from_tenant: bool = False


@dataclass(frozen=True, slots=True)
class TalkTape:
    """A recording of a talk as it is begun; "said": each side into a file of its own; `asked`: somebody wanted it, not the policy."""

    labels: Mapping[str, str]
    max_ms: int
    sides: TapeSides
    tone_ms: int = 0
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Carried:
    """What a talk that was left by a transfer says about the recording of the next one."""

    plan: RecordingPlan | None = None
    tape: TalkTape | None = None


@dataclass(frozen=True, slots=True)
class HoldReminder:
    """Who answered and holds is reminded so often, and hears the prompts."""

    every_ms: int
    prompts: tuple[Prompt, ...] = ()


@dataclass(frozen=True, slots=True)
class Ring:
    """Ring targets by timetable; the first to answer wins."""

    targets: tuple[RingTarget, ...]
    caller_number: str = ""
    caller_name: str = ""
    ask_after_answer: bool = False
    auto_answer: bool = False
    #: A caller that was answered hears music meanwhile, not ringback.
    music: bool = False
    recording: RecordingPlan | None = None
    #: What the call is charged to.
    account_code: str = ""
    #: The application wants to know when the caller hangs up while it rings.
    ask_after_giving_up: bool = False
    #: Playlist in place of the ringing tone.
    ringback_music_id: str = ""
    reminder: HoldReminder | None = None
    #: Playlist of the `music`; empty: the tenant's hold music.
    music_id: str = ""


@dataclass(frozen=True, slots=True)
class Play:
    """Answer if need be and play the prompts."""

    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class Gather:
    """Play prompts and gather digits; the first digit stops the prompts."""

    prompts: tuple[Prompt, ...]
    max_digits: int
    finish_digits: str = ""
    first_digit_timeout_ms: int = 5000
    inter_digit_timeout_ms: int = 3000
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """Record the caller."""

    beep: bool
    max_ms: int
    silence_ms: int
    min_ms: int
    finish_digits: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delegate:
    """Another application decides from here on."""

    application: str
    arguments: Mapping[str, str] = field(default_factory=dict)


ConferenceResult = Literal["left", "kicked", "closed", "full", "locked", "failed"]


@dataclass(frozen=True, slots=True)
class Conference:
    """Into a room with all others that were sent to it."""

    room_id: str
    display_name: str = ""
    creator: bool = False
    party_name: str = ""
    language: str = ""
    announcement: Literal["", "sound", "name"] = ""
    record: bool = False
    max_parties: int = 200
    music_id: str = ""
    idle_seconds: int = 120
    retention_days: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Until a creator has come the others hear music.
    wait_for_creator: bool = False


@dataclass(frozen=True, slots=True)
class HangUp:
    """The call ends."""

    #: Q.850.
    cause: int
    sip_status: int = 0
    reason: str = ""
    #: Heard first.
    prompts: tuple[Prompt, ...] = ()


@dataclass(frozen=True, slots=True)
class Park:
    """Wait with music in the first free slot until somebody takes the call back; `{slot}` in the prompts stands for the slot."""

    slots: tuple[str, ...]
    timeout_ms: int
    announcement: tuple[Prompt, ...] = ()
    page_user_ids: tuple[str, ...] = ()
    page_prompts: tuple[Prompt, ...] = ()


@dataclass(frozen=True, slots=True)
class PickUp:
    """Take over a call that rings at one of the users, or the one parked in the slot."""

    user_ids: tuple[str, ...] = ()
    slot: str = ""


@dataclass(frozen=True, slots=True)
class Supervise:
    """Take part in the call that the user talks in; the caller may change to an allowed mode by digit."""

    user_id: str
    mode: SuperviseMode
    allowed: tuple[SuperviseMode, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Let phones that answer by themselves hear the caller."""

    user_ids: tuple[str, ...]
    caller_number: str = ""
    caller_name: str = ""
    answer_within_ms: int = 5000


@dataclass(frozen=True, slots=True)
class Wait:
    """Prompts once, then music, until the application signals (if it is `signalled`), a digit leaves or the time is over."""

    prompts: tuple[Prompt, ...] = ()
    leave_digits: str = ""
    max_ms: int = 30_000
    signalled: bool = False
    #: No music begins, and the caller is not answered for it.
    quiet: bool = False
    #: Playlist; empty: the tenant's hold music.
    music_id: str = ""


Step = Ring | Play | Gather | Record | Delegate | HangUp | Park | PickUp | Supervise | Page | Wait | Conference
STEP_NAMES: Mapping[type[Step], str] = {
    Ring: "ring",
    Play: "play",
    Gather: "gather",
    Record: "record",
    Delegate: "delegate",
    HangUp: "hang_up",
    Conference: "conference",
    Park: "park",
    PickUp: "pick_up",
    Supervise: "supervise",
    Page: "page",
    Wait: "wait",
}


@dataclass(frozen=True, slots=True)
class Entered:
    """An application is asked for the first time."""

    arguments: Mapping[str, str] = field(default_factory=dict)


#: The argument of a question before there is a call, which nobody else gives: `call`, or why the phones are wanted.
LOOK_UP = "look_up"


def entered(given: Mapping[str, str]) -> Entered:
    """With what somebody gave, but for the reserved argument: a call must not pass for the look-up of phones."""
    return Entered({name: value for name, value in given.items() if name != LOOK_UP})


@dataclass(frozen=True, slots=True)
class TargetOutcome:
    """What became of one target; status 0: never reached."""

    target_id: str
    result: RingResult
    sip_status: int = 0


@dataclass(frozen=True, slots=True)
class RingOutcome:
    """What became of a ring step."""

    result: RingResult
    targets: tuple[TargetOutcome, ...]


@dataclass(frozen=True, slots=True)
class GaveUpOutcome:
    """The caller hung up while it rang; what is answered is not carried out."""


@dataclass(frozen=True, slots=True)
class PlayOutcome:
    """The prompts were played."""


@dataclass(frozen=True, slots=True)
class GatherOutcome:
    """The digits that came."""

    digits: str
    timed_out: bool


@dataclass(frozen=True, slots=True)
class RecordOutcome:
    """The recording's object name; empty when it was shorter than the minimum."""

    object: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class ParkOutcome:
    """Nobody took the call back, or there was no slot for it."""

    result: Literal["timed_out", "no_slot"]
    slot: str = ""


@dataclass(frozen=True, slots=True)
class PickUpOutcome:
    """There was nothing to take."""


@dataclass(frozen=True, slots=True)
class SuperviseOutcome:
    """The supervised call is over, or there was none."""

    took_part: bool


@dataclass(frozen=True, slots=True)
class PageOutcome:
    """Nobody listens any more; so many phones did."""

    reached: int


@dataclass(frozen=True, slots=True)
class WaitOutcome:
    """Why a wait is over; the digit that left."""

    end: Literal["timed_out", "signalled", "digit"]
    digit: str = ""


@dataclass(frozen=True, slots=True)
class ConferenceOutcome:
    """How the caller came out of the room, or why it was not let in."""

    result: ConferenceResult


Outcome = (
    Entered
    | RingOutcome
    | GaveUpOutcome
    | PlayOutcome
    | GatherOutcome
    | RecordOutcome
    | ParkOutcome
    | PickUpOutcome
    | SuperviseOutcome
    | PageOutcome
    | WaitOutcome
    | ConferenceOutcome
)
