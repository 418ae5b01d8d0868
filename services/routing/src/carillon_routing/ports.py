"""What routing needs of the outside while it decides."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Literal, Protocol

from pydantic import JsonValue

from carillon_contracts.call_order import Blocked
from carillon_routing.domain.asks import Ask
from carillon_routing.domain.call_orders import Kind, Missed, Order, Over
from carillon_routing.domain.facts import CallFacts
from carillon_routing.domain.queues.events import FloorEvent
from carillon_routing.domain.queues.floor import Floor


class CallGone(Exception):
    """A caller cannot come on a floor: the call has ended."""


class FloorTurn(Protocol):
    """One tenant's floor while nobody else can write to it."""

    async def since(self, version: int) -> list[FloorEvent]:
        """Events after a version, in order."""

    async def append(self, version: int, events: Sequence[FloorEvent]) -> None:
        """All or none, stored at the end of the turn; raises `CallGone`."""

    async def busy(self, user_ids: Sequence[str]) -> frozenset[str]:
        """As `FloorLog`."""


class FloorLog(Protocol):
    """Where floors are kept; raises one of `carillon_kit.postgres.UNAVAILABLE` while it is away."""

    async def start(self, tenant: str) -> tuple[Floor, int]:
        """A floor to begin with, and its version."""

    async def since(self, tenant: str, version: int) -> list[FloorEvent]:
        """Events after a version, in order."""

    async def append(self, tenant: str, version: int, events: Sequence[FloorEvent]) -> None:
        """All or none; raises `carillon_kit.event_store.VersionConflict`, and `CallGone` when somebody joins whose call's end was told.

        An end that is told while this is under way is told after it, of a caller who is on the floor then."""

    def turn(self, tenant: str) -> AbstractAsyncContextManager[FloorTurn]:
        """The next turn of a writer that others were faster than."""

    async def keep(self, tenant: str, floor: Floor, version: int) -> None:
        """A floor to begin with."""

    async def tenants(self) -> list[str]:
        """Who has a floor."""

    async def busy(self, tenant: str, user_ids: Sequence[str]) -> frozenset[str]:
        """Who of these users talks or is rung, in whatever call, as far as events of calls have told."""

    async def lease(self, holder: str, seconds: float) -> bool:
        """Whether the holder runs the clock for so long."""


class CallBack(Protocol):
    """Calls people who did not want to wait."""

    async def __call__(self, tenant: str, user_id: str, number: str, ring_seconds: int, call_id: str) -> bool:
        """Have this user's phones rung and then the number called, in one call with that id; False: it is not done."""


class CallMaker(CallBack, Protocol):
    """Calls people for other reasons too."""

    async def tell(self, tenant: str, phone: str, arguments: Mapping[str, str], ring_seconds: int, call_id: str) -> bool:
        """Have this phone (E.164) rung in a call with that id; who answers hears what the arguments mean to us. False: it is not done."""


class Lines(Protocol):
    """How a tenant's trunks stand."""

    async def __call__(self, tenant: str) -> Mapping[str, tuple[int, bool]] | None:
        """By trunk: calls now, and whether calls out can go by it; None: nobody says."""


class OrdersAway(Exception):
    """Calls that routing is to make later can neither be read nor kept now."""


class Orders(Protocol):
    """Calls that routing makes itself, later; everything raises `OrdersAway`. `seconds`: what it may take; None: what such
    work usually may."""

    @property
    def up(self) -> bool:
        """Whether orders can be kept."""

    async def add(
        self,
        tenant: str,
        kind: Kind,
        who: str,
        number: str,
        caused_by: str,
        *,
        seconds: float | None = None,
        blocked: Blocked | Literal[""] = "",
        watched: str = "",
        words: str = "",
        language: str = "",
    ) -> bool:
        """Keep one; True: it is kept, now or before. False: there are too many. `caused_by`: the call that it came from."""

    async def open(self, tenant: str = "", seconds: float | None = None) -> list[Order]:
        """Those of a tenant (empty: all) that are not over, notices first, then the oldest."""

    async def start(self, order: Order, via: str, seconds: float | None = None) -> bool:
        """Its next try is this call, if none is under way."""

    async def accepted(self, order: Order, via: str, seconds: float | None = None) -> None:
        """Media says that it has begun this call, which is the order's try."""

    async def settle(self, found: Missed | Over, seconds: float | None = None) -> bool:
        """As it says, unless another replica was faster."""

    async def words(self, tenant: str, order_id: str, seconds: float | None = None) -> tuple[str, str] | None:
        """What a phone is told, and in which language; None: no such notice."""

    async def acknowledge(self, tenant: str, order_id: str, seconds: float | None = None) -> bool:
        """Nothing more is done for it; whether that is so because it was acknowledged, now or before."""

    async def busy(self, tenant: str, user_ids: Iterable[str], seconds: float | None = None) -> set[str]:
        """Who of them talks or is being rung."""

    async def freed(self, tenant: str, trunk_ids: Sequence[str], since: datetime, seconds: float | None = None) -> dict[str, datetime]:
        """When the last answered call out by each of the trunks ended, where one did after `since`."""

    async def standing(self, tenant: str, counters: Sequence[str], seconds: float | None = None) -> dict[str, tuple[int, int]]:
        """How many calls hold a place at each of the counters of limits, and how many began there in the last minute."""

    def clock_turn(self) -> AbstractAsyncContextManager[bool]:
        """Whether this replica looks after all orders while the context is; one does at a time."""

    async def sweep(self) -> None:
        """Forget what was over long ago."""


class AttendanceAway(Exception):
    """Who is logged in at hunt groups can neither be read nor changed now."""


class Attendance(Protocol):
    """Who is logged in at hunt groups; everything raises `AttendanceAway`. `seconds`: what it may take."""

    async def record(self, tenant: str, user_id: str, hunt_group_ids: Sequence[str], *, logged_in: bool, seconds: float) -> None:
        """From now on, at all these groups or at none; the same twice keeps the time of the first."""

    async def read(self, tenant: str, seconds: float) -> dict[tuple[str, str], tuple[bool, datetime]]:
        """By group and user: whether logged in, and since when it is so. Who never logged in is not there."""


class Answers(Protocol):
    """Late answers of web addresses, for whichever replica goes on with the call; nothing raises."""

    async def keep(self, tenant: str, call_id: str, key: str, value: JsonValue) -> None:
        """For an hour, if the database is there."""

    async def read(self, tenant: str, call_id: str, key: str) -> tuple[bool, JsonValue]:
        """Whether it is there, and the answer."""


class FactFinder(Protocol):
    """Finds out what a decision must know."""

    async def find(self, call: CallFacts, ask: Ask) -> JsonValue:
        """The answer, see `domain.asks`; None when it could not be found out in time. Never raises."""
