"""What a call knows of the place where all calls are, and what it is told beside the inputs of its machine."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from carillon_media.domain import inputs
from carillon_media.domain.state import CallState
from carillon_media.handlers.legs import LegIo
from carillon_media.ports import Entry

if TYPE_CHECKING:
    from carillon_media.handlers.actor import CallActor
    from carillon_media.handlers.features import Features
    from carillon_media.handlers.keys import Keys
    from carillon_media.handlers.rooms import Rooms


class Board(Protocol):
    """Who holds all calls."""

    @property
    def features(self) -> "Features":
        """What calls do to one another."""

    @property
    def rooms(self) -> "Rooms":
        """Conference rooms."""

    @property
    def keys(self) -> "Keys":
        """Keys told to far ends."""

    def bind(self, session: str, actor: "CallActor", leg_id: str) -> None:
        """Outputs of this SIP session belong to this leg from now on."""

    def spawn(self, coroutine: Awaitable[object]) -> None:
        """Run in the background; ends with the service."""

    def gone(self, actor: "CallActor") -> None:
        """The call is over."""

    def hand_over(self, leg: LegIo) -> None:
        """The leg's far end waits, under the name of its session, for the call that adopts it."""

    def lend(self, leg: LegIo) -> None:
        """As `hand_over`, but the leg stays this call's until another one claims it."""

    def leg_of(self, session: str) -> tuple["CallActor", str] | None:
        """Whose leg this SIP session is."""

    def claim(self, handle: str) -> LegIo | None:
        """The far end that waits under this name."""

    def happened(self, actor: "CallActor", entries: Sequence[Entry]) -> None:
        """These are on the disk now."""


class Sync:
    """Not an input: what the legs agreed on has changed, tell the plane."""


@dataclass(frozen=True, slots=True)
class AnswerAgain:
    """Not an input: this leg's answer is an event already, and was perhaps never sent."""

    leg_id: str


class Restore:
    """Not an input: the media plane is a new process, set every port up again."""


class Kept:
    """Not an input: what is kept of a leg has changed beside its call."""


KEPT = Kept()
#: What is no input of the machine, and waits its turn among them.
Aside = Sync | AnswerAgain | Restore | Kept


@dataclass(slots=True)
class Request:
    """An input that may be refused: `refuses` is asked at its turn, and `done` gets its reason, or nothing once all of it is done."""

    given: inputs.Input
    refuses: Callable[[CallState], str]
    done: asyncio.Future[str]

    def answer(self, reason: str) -> None:
        """Tell who waits."""
        if not self.done.done():
            self.done.set_result(reason)
