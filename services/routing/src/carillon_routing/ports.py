"""What routing needs of the outside while it decides."""

from collections.abc import Sequence
from typing import Protocol

from carillon_routing.domain.queues.events import FloorEvent
from carillon_routing.domain.queues.floor import Floor


class FloorLog(Protocol):
    """Where floors are kept; raises one of `carillon_kit.postgres.UNAVAILABLE` while it is away."""

    async def start(self, tenant: str) -> tuple[Floor, int]:
        """A floor to begin with, and its version."""

    async def since(self, tenant: str, version: int) -> list[FloorEvent]:
        """Events after a version, in order."""

    async def append(self, tenant: str, version: int, events: Sequence[FloorEvent]) -> None:
        """All or none; raises `carillon_kit.event_store.VersionConflict`."""

    async def keep(self, tenant: str, floor: Floor, version: int) -> None:
        """A floor to begin with."""

    async def tenants(self) -> list[str]:
        """Who has a floor."""

    async def lease(self, holder: str, seconds: float) -> bool:
        """Whether the holder runs the clock for so long."""
