"""The floors of all tenants: load, decide, store; and their clock.

Every replica may decide: a decision is stored at the version that it was made on, or made again on the newer floor. So a writer that is
killed is missed by nobody: what it had stored is the floor. One replica at a time, by lease, lets time pass (`run`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from carillon_contracts.config import Queue, Tenant
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import Clock
from carillon_kit.event_store import VersionConflict
from carillon_kit.ids import Ids, SystemIds
from carillon_kit.logs import get_logger
from carillon_kit.postgres import UNAVAILABLE
from carillon_routing.domain.queues.assign import passed_over
from carillon_routing.domain.queues.commands import CallOver, Command, Join, LogIn, Resume, StartCallback, Tick
from carillon_routing.domain.queues.decide import Refused, decide
from carillon_routing.domain.queues.events import FloorEvent
from carillon_routing.domain.queues.floor import Floor, fold
from carillon_routing.ports import CallBack, CallGone, FloorLog, OrdersAway

_log = get_logger(__name__)
SNAPSHOT_EVERY = 500
#: Pairs of agent and caller who are looked at for a call back at a time.
MOST_LINES = 200
#: What a call waits for the database within its own deadline.
DATABASE_SECONDS = 0.2
#: What a caller's command may take after the caller was told to wait for it, and how many may be in that state.
GO_ON_SECONDS = 5.0
MAX_GOING_ON = 1000
TICK_SECONDS = 1.0
LEASE_SECONDS = 5.0
#: How often what other replicas wrote is looked for while somebody waits.
REFRESH_SECONDS = 0.25


class FloorAway(Exception):
    """The database does not answer; the same command will do later."""


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Raises `FloorAway` after so long."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except UNAVAILABLE as error:
        raise FloorAway(str(error)) from error


@dataclass(slots=True)
class _Kept:
    floor: Floor = field(default_factory=Floor)
    version: int = 0
    loaded: bool = False
    snapshot: int = 0
    #: Users who talk or are rung, of those who were looked at last.
    busy: frozenset[str] = frozenset()
    looked_at: frozenset[str] = frozenset()
    no_line: frozenset[tuple[str, str]] = frozenset()
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class FloorsWhenUp:
    """The floors once there is a database; `expected`: there will be one."""

    def __init__(self, *, expected: bool) -> None:
        self.expected = expected
        self.ready = asyncio.Event()
        self._floors: Floors | None = None

    def adopt(self, floors: "Floors") -> None:
        """They are up."""
        self._floors = floors
        self.ready.set()

    def get(self) -> "Floors":
        """Raises `FloorAway` before they are up."""
        if self._floors is None:
            raise FloorAway("the database of the queues is not there yet" if self.expected else "routing has no database, and so no queues")
        return self._floors


#: Who of these users talks or is rung.
_Talking = Callable[[Sequence[str]], Awaitable[frozenset[str]]]


def _users(floor: Floor, config: TenantConfig) -> frozenset[str]:
    """Whose agents are logged in."""
    agents = config.agents
    return frozenset(agents[each.agent_id].user_id for each in floor.agents.values() if each.logged_in and each.agent_id in agents)


#: Told what happened on a tenant's floor, after it is stored by this replica.
Watcher = Callable[[str, Floor, Sequence[FloorEvent]], None]
#: Which of these users cannot be connected with these numbers now.
WithoutLine = Callable[[str, Collection[tuple[str, str]]], Awaitable[frozenset[tuple[str, str]]]]
Start = Callable[[Coroutine[Any, Any, None], str], object]


class Floors:
    """By tenant. `config` gives a tenant's configuration of now; `clock` is the machine's, never a test's; `start` runs a task."""

    def __init__(
        self,
        log: FloorLog,
        config: Callable[[str], TenantConfig | None],
        clock: Clock,
        holder: str,
        call_back: CallBack | None = None,
        ids: Ids | None = None,
        start: Start | None = None,
        without_line: WithoutLine | None = None,
    ) -> None:
        self._without_line = without_line
        self._call_back_by = call_back
        self._start = start
        self._going_on = 0
        self._ids = ids or SystemIds()
        self._log = log
        self._config = config
        self._clock = clock
        self._holder = holder
        self._kept: dict[str, _Kept] = {}
        self.watchers: list[Watcher] = []

    @property
    def calls_back(self) -> bool:
        """Whether callers can be called back."""
        return self._call_back_by is not None

    async def execute(self, tenant: str, command: Command, seconds: float = DATABASE_SECONDS, *, then: Command | None = None) -> Floor:
        """Do it, and `then` that; the floor after it. Raises `Refused`, and `FloorAway` when the database does not answer in time."""
        async with _within(seconds):
            return await self._execute(tenant, command, then)

    async def see_to(self, tenant: str, command: Command, seconds: float, *, then: Command | None = None) -> Floor:
        """`execute`, which goes on for `GO_ON_SECONDS` when `FloorAway` is raised: a disk that is slow for a moment loses nobody.

        Commands are asked again, and one that is done late or twice does no harm."""
        if self._start is None or self._going_on >= MAX_GOING_ON:
            return await self.execute(tenant, command, seconds, then=then)
        done: asyncio.Future[Floor] = asyncio.get_running_loop().create_future()
        self._going_on += 1
        self._start(self._go_on(tenant, command, then, done), "queue")
        await asyncio.wait({done}, timeout=max(0.0, seconds))
        if not done.done():
            raise FloorAway("the database takes longer; what was asked goes on")
        return done.result()

    async def _go_on(self, tenant: str, command: Command, then: Command | None, done: "asyncio.Future[Floor]") -> None:
        try:
            done.set_result(await self.execute(tenant, command, GO_ON_SECONDS, then=then))
        except Exception as error:  # noqa: BLE001 - the edge: who waits is told, if anybody does
            if not isinstance(error, FloorAway | Refused):
                _log.error("what a caller asked cannot be done", tenant=tenant, error=repr(error))
            done.set_exception(error)
            # Nobody may wait any more: then it is told here that it was looked at.
            done.exception()
        finally:
            self._going_on -= 1
            done.cancel()

    async def _execute(self, tenant: str, command: Command, then: Command | None) -> Floor:
        kept = self._kept.setdefault(tenant, _Kept())
        async with kept.lock:
            await self._look_who_talks(tenant, kept, command, self._talking(tenant))
            await self._store(tenant, kept, command, await self._decide_on_newest(tenant, kept, command))
            if then is not None:
                # On the floor that was the newest just now; what comes after that is seen by the next look.
                await self._store(tenant, kept, then, self._decide(tenant, kept, then))
            return kept.floor

    async def _store(self, tenant: str, kept: _Kept, command: Command, events: list[FloorEvent]) -> None:
        try:
            if events:
                await self._log.append(tenant, kept.version, events)
        except VersionConflict:
            events = await self._in_turn(tenant, kept, command)
        except CallGone as gone:
            raise Refused("unknown", "the call is over") from gone
        except BaseException:
            # It may have been stored or not: look before the next decision.
            kept.loaded = False
            raise
        self._advance(tenant, kept, events)

    async def _decide_on_newest(self, tenant: str, kept: _Kept, command: Command) -> list[FloorEvent]:
        """What is to be stored is stored only at the newest version; that nothing is to be done must be looked at again on it."""
        if kept.loaded:
            with suppress(Refused):
                if events := self._decide(tenant, kept, command):
                    return events
        await self._refresh(tenant, kept)
        if not _users(kept.floor, self._config_of(tenant)) <= kept.looked_at:
            await self._look_who_talks(tenant, kept, command, self._talking(tenant))
        return self._decide(tenant, kept, command)

    async def _in_turn(self, tenant: str, kept: _Kept, command: Command) -> list[FloorEvent]:
        """A writer that has just written knows the newest floor and would be faster for ever."""
        kept.loaded = False
        async with self._log.turn(tenant) as turn:
            self._advance(tenant, kept, await turn.since(kept.version), ours=False)
            await self._look_who_talks(tenant, kept, command, turn.busy)
            events = self._decide(tenant, kept, command)
            if events:
                try:
                    await turn.append(kept.version, events)
                except CallGone as gone:
                    raise Refused("unknown", "the call is over") from gone
        kept.loaded = True
        return events

    def _decide(self, tenant: str, kept: _Kept, command: Command) -> list[FloorEvent]:
        config = self._config_of(tenant)
        # Whoever came since the look is offered callers after the next one.
        busy = kept.busy | (_users(kept.floor, config) - kept.looked_at)
        return list(decide(kept.floor, command, config, self._clock.now().timestamp(), busy, kept.no_line))

    def _talking(self, tenant: str) -> _Talking:
        return lambda user_ids: self._log.busy(tenant, user_ids)

    async def _look_who_talks(self, tenant: str, kept: _Kept, command: Command, talking: _Talking) -> None:
        """Of who may be offered a caller after the command, if anybody waits or comes."""
        config, users = self._config_of(tenant), frozenset[str]()
        if kept.floor.callers or isinstance(command, Join):
            users = _users(kept.floor, config)
        if isinstance(command, LogIn | Resume) and (agent := config.agents.get(command.agent_id)) is not None:
            users |= {agent.user_id}
        kept.busy = await talking(sorted(users)) if users else frozenset()
        kept.looked_at = users

    def busy(self, tenant: str, queue: Queue) -> tuple[str, ...]:
        """Users among the queue's agents who would be offered callers if they did not talk or were rung elsewhere, as last looked."""
        kept = self._kept.get(tenant)
        if kept is None or not kept.busy:
            return ()
        return passed_over(kept.floor, self._config_of(tenant), queue, kept.busy, self._clock.now().timestamp())

    def _config_of(self, tenant: str) -> TenantConfig:
        config = self._config(tenant)
        return config if config is not None and config.get(Tenant, tenant) is not None else TenantConfig(tenant)

    async def _refresh(self, tenant: str, kept: _Kept) -> None:
        if not kept.version:
            kept.floor, kept.version = await self._log.start(tenant)
            kept.snapshot = kept.version
        events = await self._log.since(tenant, kept.version)
        kept.loaded = True
        self._advance(tenant, kept, events, ours=False)

    def _advance(self, tenant: str, kept: _Kept, events: Sequence[FloorEvent], *, ours: bool = True) -> None:
        if not events:
            return
        kept.floor, kept.version = fold(kept.floor, events), kept.version + len(events)
        changed, kept.changed = kept.changed, asyncio.Event()
        changed.set()
        if ours:
            for watcher in self.watchers:
                watcher(tenant, kept.floor, events)

    async def read(self, tenant: str, seconds: float = DATABASE_SECONDS) -> Floor:
        """The floor with what other replicas wrote. Raises `FloorAway`."""
        kept = self._kept.setdefault(tenant, _Kept())
        async with _within(seconds), kept.lock:
            await self._refresh(tenant, kept)
        return kept.floor

    async def forget(self, tenant: str) -> None:
        """What was stored reads otherwise now: the floor is loaded anew before it is used again."""
        kept = self._kept.get(tenant)
        if kept is not None:
            async with kept.lock:
                kept.floor, kept.version, kept.loaded = Floor(), 0, False

    def known(self, tenant: str) -> Floor | None:
        """The floor as this replica knows it, without a look; None: it was never looked at."""
        kept = self._kept.get(tenant)
        return kept.floor if kept is not None and kept.loaded else None

    async def until(self, tenant: str, condition: Callable[[Floor], bool], seconds: float) -> bool:
        """Wait until it holds; False after so long. Raises `FloorAway`."""
        deadline = self._clock.monotonic() + seconds
        while not condition(await self.read(tenant, 1.0)):
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return False
            await self._changed(tenant, min(left, REFRESH_SECONDS))
        return True

    async def _changed(self, tenant: str, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._kept[tenant].changed.wait()
        except TimeoutError:
            return

    async def run(self) -> None:
        """Let time pass on all floors while this replica holds the lease; until cancelled."""
        while True:
            try:
                if await self._log.lease(self._holder, LEASE_SECONDS):
                    await self.tick()
                else:
                    await self.look()
            except UNAVAILABLE as error:
                _log.warning("floors stand still", error=repr(error))
            except Exception as error:  # noqa: BLE001 - the edge: one bad floor must not stop the clock of the others
                _log.error("a floor cannot go on", error=repr(error))
            await asyncio.sleep(TICK_SECONDS)

    async def tick(self) -> None:
        """One look at every floor where somebody is."""
        for tenant in await self._log.tenants():
            try:
                floor = await self.read(tenant, 1.0)
                if floor.callers:
                    # Read a moment ago: only what is to be stored is worth another look.
                    async with _within(1.0):
                        await self._look_who_talks(tenant, self._kept[tenant], Tick(), self._talking(tenant))
                    await self._look_for_lines(tenant, self._kept[tenant])
                    if self._decide(tenant, self._kept[tenant], Tick()):
                        floor = await self.execute(tenant, Tick(), 1.0)
                    await self._call_back(tenant, floor)
                await self._snapshot(tenant)
            except (FloorAway, OrdersAway) as away:
                _log.warning("floor delayed", tenant=tenant, error=str(away))

    async def look(self) -> None:
        """While another replica lets time pass: what is decided here must know too who cannot be called back now."""
        for tenant, kept in list(self._kept.items()):
            if not any(caller.callback for caller in kept.floor.callers.values()):
                continue
            try:
                await self.read(tenant, 1.0)
                await self._look_for_lines(tenant, kept)
            except (FloorAway, OrdersAway) as away:
                _log.warning("nobody knows who can be called back", tenant=tenant, error=str(away))

    async def _look_for_lines(self, tenant: str, kept: _Kept) -> None:
        """For those who are to be called back, the first first, of all agents who are there: each may get free before the next look."""
        config, wanted = self._config_of(tenant), dict[tuple[str, str], None]()
        for caller in sorted(kept.floor.callers.values(), key=lambda caller: caller.rank):
            queue = config.queues.get(caller.queue_id)
            if queue is None or not caller.callback or caller.via or caller.agent_id:
                continue
            for agent_id in caller.offered or [member.agent_id for member in queue.members]:
                agent = kept.floor.agents.get(agent_id)
                if agent is not None and (agent.logged_in or agent_id in caller.offered) and agent_id in config.agents:
                    wanted[config.agents[agent_id].user_id, caller.number] = None
        looked = list(wanted)[:MOST_LINES]
        kept.no_line = await self._without_line(tenant, looked) if looked and self._without_line is not None else frozenset()

    async def _call_back(self, tenant: str, floor: Floor) -> None:
        """Whoever is to be called back, and has an agent. The call's id is stored first, so that a killed replica calls nobody twice."""
        if self._call_back_by is None:
            return
        config = self._config_of(tenant)
        for caller in floor.callers.values():
            if not caller.callback or caller.via or not caller.offered:
                continue
            agent, queue = config.agents.get(caller.offered[0]), config.queues.get(caller.queue_id)
            if agent is None or queue is None or (agent.user_id, caller.number) in self._kept[tenant].no_line:
                continue
            call_id = str(self._ids.uuid7())
            found = (await self.execute(tenant, StartCallback(caller.call_id, call_id), 1.0)).callers.get(caller.call_id)
            if found is None or found.via != call_id:
                continue
            if not await self._call_back_by(tenant, agent.user_id, found.number, queue.ring_seconds, call_id):
                await self.execute(tenant, CallOver(call_id), 1.0)

    async def _snapshot(self, tenant: str) -> None:
        kept = self._kept[tenant]
        if kept.version >= kept.snapshot + SNAPSHOT_EVERY:
            floor, version = kept.floor, kept.version
            await self._log.keep(tenant, floor, version)
            kept.snapshot = version
