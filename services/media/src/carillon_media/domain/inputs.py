"""Everything that can happen to a call, as data. The shell makes these from SIP, the media plane, the applications and its clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from carillon_contracts.call import TraceLine
from carillon_media.domain.steps import Step


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


@dataclass(frozen=True, slots=True)
class Undecided:
    """Nobody answered question `question` in time; `fallback` is what media would do alone at the beginning of a call."""

    question: int
    fallback: Step | None = None
    details: Mapping[str, Any] | None = None
    config_seq: int = 0


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
class DigitPressed:
    """A digit, once."""

    leg_id: str
    digit: str


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
class Stopped:
    """This node ends the call, for a reason of its own (`cause` by name)."""

    cause: str


Input = (
    Arrived
    | Decided
    | Undecided
    | LegProgressed
    | LegAccepted
    | LegRefused
    | LegLeft
    | CallerCancelled
    | LegReoffered
    | DigitPressed
    | PlayFinished
    | RecordingFinished
    | TimerFired
    | MediaLost
    | MediaRestored
    | Stopped
)
