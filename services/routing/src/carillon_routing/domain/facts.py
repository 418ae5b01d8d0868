"""What `advance` takes and gives: facts of the call, outcomes, steps and the trace; the words are those of call_application.proto."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from carillon_routing.domain.cursor import Cursor, Held, encode
from carillon_routing.domain.feature_steps import FeatureOutcome, FeatureStep
from carillon_routing.domain.queue_steps import EnterQueue, QueueOver, QueuePlace, QueueSeen

Direction = Literal["inbound", "from_user"]
RingResult = Literal["answered", "no_answer", "busy", "unreachable", "congested", "rejected"]


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known of a call when it arrives. Empty `caller_number`: withheld. `dialled` as it was dialled, or E.164 from a trunk."""

    tenant_id: str
    call_id: str
    direction: Direction
    dialled: str
    caller_number: str = ""
    caller_name: str = ""
    caller_user_id: str = ""
    trunk_id: str = ""
    #: The user wants this call to show no number, whatever it shows otherwise.
    withheld: bool = False
    #: The SIP credential that the calling phone proved; empty: none did.
    sip_credential_id: str = ""
    #: See `carillon_contracts.hops`.
    hops_spent: int = 0


@dataclass(frozen=True, slots=True)
class Entered:
    """The first question about a call, or about where a user sends it: then with the places that it held, see `Cursor`."""

    arguments: Mapping[str, str] = field(default_factory=dict)
    places: tuple[Held, ...] = ()
    visits: int = 0
    #: Where it waited, or talked with an agent.
    queue_id: str = ""


@dataclass(frozen=True, slots=True)
class Rang:
    """A ring step is over; `targets` by target id; `cause` (Q.850): what a single target was released with, 0 if there was none."""

    result: RingResult
    targets: Mapping[str, RingResult] = field(default_factory=dict)
    cause: int = 0


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The caller hung up during the step."""


@dataclass(frozen=True, slots=True)
class Played:
    """A play step is over."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A gather step is over."""

    digits: str
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record step is over; routing never asks for one."""


Outcome = Entered | Rang | GaveUp | Played | Gathered | Recorded | FeatureOutcome | QueueOver


@dataclass(frozen=True, slots=True)
class Phrase:
    """Text to be spoken in a language (BCP 47), or the audio file whose words it is."""

    text: str
    language: str
    audio_id: str = ""


@dataclass(frozen=True, slots=True)
class UserTarget:
    """Every device of a user, from `start_ms` to `stop_ms` of the step."""

    target_id: str
    user_id: str
    start_ms: int
    stop_ms: int


@dataclass(frozen=True, slots=True)
class TrunkTarget:
    """A number by a trunk; by the `further` ones, in order, when it is silent or cannot."""

    target_id: str
    trunk_id: str
    number: str
    start_ms: int
    stop_ms: int
    further: tuple[str, ...] = ()
    #: Number and name shown there; None: as the step says.
    caller: tuple[str, str] | None = None


RingTarget = UserTarget | TrunkTarget


@dataclass(frozen=True, slots=True)
class Recording:
    """How the talk is recorded; see `Recording` of the contract."""

    policy_id: str
    on_demand: bool
    announcement: tuple[Phrase, ...]
    tone: bool
    stereo: bool
    retention_days: int
    key: str
    never: bool = False
    from_tenant: bool = False
    sides: Literal["both", "caller", "called"] = "both"


@dataclass(frozen=True, slots=True)
class HoldReminder:
    """Who answered and holds is reminded so often; the phones say this when they are answered."""

    every_ms: int
    phrases: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True)
class Ring:
    """A timetable: the first to answer wins."""

    targets: tuple[RingTarget, ...]
    caller_number: str = ""
    caller_name: str = ""
    ask_after_answer: bool = False
    auto_answer: bool = False
    #: The music of a wait goes on while it rings.
    music: bool = False
    recording: Recording | None = None
    #: Ask also when the caller hangs up while it rings; nothing but notices comes of it.
    ask_after_giving_up: bool = False
    #: What the call is charged to.
    account_code: str = ""
    #: Heard in place of the ringing tone.
    ringback_music_id: str = ""
    reminder: HoldReminder | None = None
    #: Playlist of the `music`; empty: the tenant's.
    music_id: str = ""


@dataclass(frozen=True, slots=True)
class Play:
    """Speak, in order."""

    phrases: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True)
class Gather:
    """Speak and collect digits; the first one stops the speech."""

    phrases: tuple[Phrase, ...]
    max_digits: int
    first_digit_timeout_ms: int
    inter_digit_timeout_ms: int
    finish_digits: str = ""
    #: The digits are a PIN or a code: no event and no log shows them.
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Speak, then music, until the application signals, a digit leaves or the time is over."""

    phrases: tuple[Phrase, ...] = ()
    leave_digits: str = ""
    max_ms: int = 30_000
    signalled: bool = True
    #: No music begins, and a caller who is not answered is not answered for it, but hears the ringing tone.
    quiet: bool = False
    #: Playlist of the music; empty: the tenant's.
    music_id: str = ""


@dataclass(frozen=True, slots=True)
class Delegate:
    """Another application decides from here on."""

    application: str
    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class HangUp:
    """The end: Q.850 cause, and the SIP status for a call that was not answered; `music_id` is heard first."""

    cause: int
    sip_status: int
    reason: str
    music_id: str = ""


Step = Ring | Play | Gather | Delegate | HangUp | FeatureStep | EnterQueue | Wait


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One condition: what was looked at, whether it held, why with the values compared, and where it leads."""

    subject: str
    matched: bool
    reason: str
    next: str = ""


@dataclass(frozen=True, slots=True)
class FactRead:
    """What was not known from configuration, call and clock: what was asked, and the answer."""

    key: str
    value: JsonValue


@dataclass(frozen=True, slots=True)
class Advance:
    """The decision: what to do, where the call stands then (None: nothing follows), why, and the configuration that decided.

    `looked_at`: every plan (node empty) and node that the decision read; with others in their place nothing else would have been decided.
    """

    step: Step
    at: Cursor | None
    trace: tuple[TraceLine, ...]
    config_seq: int
    read: tuple[FactRead, ...] = ()
    looked_at: tuple[tuple[str, str], ...] = ()
    #: Said by a queue alone.
    place: QueuePlace | None = None
    seen: QueueSeen | None = None

    @property
    def cursor(self) -> bytes:
        """What to bring along with the outcome; empty if nothing follows."""
        return b"" if self.at is None else encode(self.at)
