"""Steps and outcomes of what phones do by code; the words are those of call_application.proto."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from carillon_routing.domain.facts import Phrase

SuperviseMode = Literal["listen", "whisper", "barge"]


@dataclass(frozen=True, slots=True)
class Park:
    """Wait in the first free slot; `{slot}` in the phrases stands for it."""

    slots: tuple[str, ...]
    timeout_ms: int
    announcement: "tuple[Phrase, ...]" = ()
    page_user_ids: tuple[str, ...] = ()
    page_phrases: "tuple[Phrase, ...]" = ()


@dataclass(frozen=True, slots=True)
class PickUp:
    """Take over what rings at one of the users, or what is parked in the slot."""

    user_ids: tuple[str, ...] = ()
    slot: str = ""


@dataclass(frozen=True, slots=True)
class Supervise:
    """Take part in the call that the user talks in."""

    user_id: str
    mode: SuperviseMode
    allowed: tuple[SuperviseMode, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Be heard at phones that answer by themselves."""

    user_ids: tuple[str, ...]
    caller_number: str
    caller_name: str
    answer_within_ms: int


@dataclass(frozen=True, slots=True)
class ParkOver:
    """A park step is over; the slot that it was in."""

    result: Literal["timed_out", "no_slot"]
    slot: str = ""


@dataclass(frozen=True, slots=True)
class NothingTaken:
    """There was nothing to take over."""


@dataclass(frozen=True, slots=True)
class SuperviseOver:
    """A supervise step is over."""

    took_part: bool


@dataclass(frozen=True, slots=True)
class PageOver:
    """A page step is over."""

    reached: int


FeatureStep = Park | PickUp | Supervise | Page
FeatureOutcome = ParkOver | NothingTaken | SuperviseOver | PageOver
