"""What routing needs of the outside while it decides."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from pydantic import JsonValue

from carillon_routing.domain.asks import Ask
from carillon_routing.domain.facts import CallFacts
from carillon_routing.domain.queues.events import FloorEvent
from carillon_routing.domain.queues.floor import Floor


class FloorTurn(Protocol):
    """One tenant's floor while nobody else can write to it."""

    async def since(self, version: int) -> list[FloorEvent]:
        """Events after a version, in order."""

    async def append(self, version: int, events: Sequence[FloorEvent]) -> None:
        """All or none, stored at the end of the turn."""


class FloorLog(Protocol):
    """Where floors are kept; raises one of `carillon_kit.postgres.UNAVAILABLE` while it is away."""

    async def start(self, tenant: str) -> tuple[Floor, int]:
        """A floor to begin with, and its version."""

    async def since(self, tenant: str, version: int) -> list[FloorEvent]:
        """Events after a version, in order."""

    async def append(self, tenant: str, version: int, events: Sequence[FloorEvent]) -> None:
        """All or none; raises `carillon_kit.event_store.VersionConflict`."""

    def turn(self, tenant: str) -> AbstractAsyncContextManager[FloorTurn]:
        """The next turn of a writer that others were faster than."""

    async def keep(self, tenant: str, floor: Floor, version: int) -> None:
        """A floor to begin with."""

    async def tenants(self) -> list[str]:
        """Who has a floor."""

    async def lease(self, holder: str, seconds: float) -> bool:
        """Whether the holder runs the clock for so long."""


class CallBack(Protocol):
    """Calls people who did not want to wait."""

    async def __call__(self, tenant: str, user_id: str, number: str, ring_seconds: int, call_id: str) -> bool:
        """Have this user's phones rung and then the number called, in one call with that id; False: it is not done."""


class AttendanceAway(Exception):
    """Who is logged in at hunt groups can neither be read nor changed now."""


class Attendance(Protocol):
    """Who is logged in at hunt groups; everything raises `AttendanceAway`. `seconds`: what it may take."""

    async def record(self, tenant: str, user_id: str, hunt_group_ids: Sequence[str], *, logged_in: bool, seconds: float) -> None:
        """From now on, at all these groups or at none; the same twice keeps the time of the first."""

    async def read(self, tenant: str, seconds: float) -> dict[tuple[str, str], tuple[bool, datetime]]:
        """By group and user: whether logged in, and since when it is so. Who never logged in is not there."""


class FactFinder(Protocol):
    """Finds out what a decision must know."""

    async def find(self, call: CallFacts, ask: Ask) -> JsonValue:
        """The answer, see `domain.asks`; None when it could not be found out in time. Never raises."""
