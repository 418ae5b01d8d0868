"""What the dialogues of a mailbox ask media to do, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

#: Q.850.
NORMAL_CLEARING = 16


@dataclass(frozen=True, slots=True)
class Speech:
    """A phrase to be spoken; `audio_id`: a file of the tenant's that says it."""

    text: str
    language: str
    audio_id: str = ""


@dataclass(frozen=True, slots=True)
class Voice:
    """What somebody said, by the name of its object."""

    object: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """As the grammar of the language says it: a number; a date (year, 0: not said, month, day); a time (hour, minute)."""

    kind: Literal["number", "date", "time"]
    values: tuple[int, ...]
    language: str


Prompt = Speech | Voice | Spoken


@dataclass(frozen=True, slots=True)
class Play:
    """Speak, then ask again."""

    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class Gather:
    """Speak and take digits, then ask again; milliseconds, counted from the end of the prompts. `secret`: they are in no event."""

    prompts: tuple[Prompt, ...]
    max_digits: int = 1
    finish_digits: str = ""
    first_ms: int = 5000
    next_ms: int = 5000
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """Beep, record, then ask again; milliseconds."""

    max_ms: int
    silence_ms: int
    min_ms: int
    finish_digits: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Dial:
    """Routing goes on as if the caller had dialled the number: with their rights, or not at all."""

    number: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """The end."""

    cause: int = NORMAL_CLEARING


Step = Play | Gather | Record | Dial | HangUp


@dataclass(frozen=True, slots=True)
class Entered:
    """The call was handed over with these arguments."""

    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Played:
    """A play step is over."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A gather step is over; no digits: none came in time."""

    digits: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record step is over; `object` is empty when nothing was kept."""

    object: str


@dataclass(frozen=True, slots=True)
class Other:
    """An outcome that no step of ours has."""

    kind: str


Outcome = Entered | Played | Gathered | Recorded | Other


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known of the caller."""

    caller_number: str = ""
    caller_name: str = ""
    dialled: str = ""
    #: Empty: somebody outside.
    user_id: str = ""
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """One condition that was looked at."""

    subject: str
    matched: bool
    reason: str
    next: str = ""
