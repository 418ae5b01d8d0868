"""Three replicas that write to one floor by turns and are killed at any point: what callers and agents live through, whatever happens.

The phones' side of it is kept here apart from the floor (`World`): who is there, which phones media rings, who talks. The floor is only
asked as media asks it, through the real `Floors`, and each event is looked at as it is stored.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import ManualClock
from carillon_kit.event_store import VersionConflict
from carillon_routing.domain.queues import commands as c
from carillon_routing.domain.queues import events as e
from carillon_routing.domain.queues.decide import Refused
from carillon_routing.domain.queues.floor import Floor, evolve, fold
from carillon_routing.handlers import floors as handler
from carillon_routing.handlers.floors import Floors
from carillon_routing.ports import CallGone
from carillon_routing.testing import small_company

pytestmark = pytest.mark.feature("R-10")
AGENTS = ("anna", "ben", "carl")
TENANT = "acme"
REPLICAS = 3
RING_SECONDS = 15
#: A deadline for what never waits.
FOR_EVER = 600.0
Fault = Literal["none", "before", "after"]


class Killed(Exception):
    """The process is gone in the middle of a write."""


@dataclass
class Log:
    """`ports.FloorLog` in memory. The next write dies before or after it is stored. Looks at each event as it comes."""

    events: list[e.FloorEvent] = field(default_factory=list)
    floor: Floor = field(default_factory=Floor)
    kept: tuple[Floor, int] = field(default_factory=lambda: (Floor(), 0))
    fault: Fault = "none"
    over: set[str] = field(default_factory=set)
    #: Users who talk in calls of no queue, as events have told.
    elsewhere: set[str] = field(default_factory=set)
    #: Calls whose end was told.
    ended: set[str] = field(default_factory=set)

    async def start(self, tenant: str) -> tuple[Floor, int]:
        return self.kept

    async def since(self, tenant: str, version: int) -> list[e.FloorEvent]:
        await asyncio.sleep(0)
        return self.events[version:]

    async def append(self, tenant: str, version: int, events: Sequence[e.FloorEvent]) -> None:
        await asyncio.sleep(0)
        if version != len(self.events):
            raise VersionConflict(tenant, version, len(self.events))
        fault, self.fault = self.fault, "none"
        if fault == "before":
            raise Killed
        for event in events:
            if isinstance(event, e.CallerJoined) and event.call_id in self.ended:
                raise CallGone(event.call_id)
        for event in events:
            self._look(event)
            self.floor = evolve(self.floor, event)
        self.events += events
        if fault == "after":
            raise Killed

    @asynccontextmanager
    async def turn(self, tenant: str) -> AsyncIterator["Turn"]:
        yield Turn(self)

    async def keep(self, tenant: str, floor: Floor, version: int) -> None:
        self.kept = (floor, version)

    async def tenants(self) -> list[str]:
        return [TENANT]

    async def busy(self, tenant: str, user_ids: Sequence[str]) -> frozenset[str]:
        await asyncio.sleep(0)
        return frozenset(self.elsewhere & set(user_ids))

    async def lease(self, holder: str, seconds: float) -> bool:
        return True

    def _look(self, event: e.FloorEvent) -> None:
        """The order of offers, and that nobody who is gone gets one."""
        if not isinstance(event, e.AgentsOffered):
            return
        caller = self.floor.callers[event.call_id]
        assert event.call_id not in self.over, "a caller who has gone is offered"
        assert all(not self.floor.agents[agent_id].call_id for agent_id in event.agent_ids), "an agent is offered twice"
        assert not self.elsewhere & set(event.agent_ids), "an agent who talks elsewhere is offered"
        before = [other for other in self.floor.callers.values() if other.waits and other.rank < caller.rank]
        assert not before, f"{event.call_id} is offered before {before}"


@dataclass(frozen=True)
class Turn:
    log: Log

    async def since(self, version: int) -> list[e.FloorEvent]:
        return await self.log.since(TENANT, version)

    async def append(self, version: int, events: Sequence[e.FloorEvent]) -> None:
        await self.log.append(TENANT, version, events)

    async def busy(self, user_ids: Sequence[str]) -> frozenset[str]:
        return await self.log.busy(TENANT, user_ids)


@dataclass
class Call:
    """A call as media knows it: until when it rings whom, what became of that, with whom its caller talks."""

    call_id: str
    joined_at: float
    priority: int
    there: bool = True
    #: Left for another reason than its end.
    left: bool = False
    rings: tuple[str, ...] = ()
    ring_until: float = 0.0
    talks_with: str = ""
    results: dict[str, str] = field(default_factory=dict)
    #: Events that were not delivered yet.
    unheard: list[c.Command] = field(default_factory=list)


class World:
    """Callers, phones, media and three replicas."""

    def __init__(self, strategy: str) -> None:
        members = [{"agent_id": agent} for agent in AGENTS]
        queue = {"id": "sales", "members": members, "strategy": strategy, "wrap_up_seconds": 5, "ring_seconds": RING_SECONDS}
        self.config: TenantConfig = small_company(agents=[{"id": agent, "user_id": agent} for agent in AGENTS], queues=[queue])
        self.clock = ManualClock()
        self.log = Log()
        self.replicas = [self._started() for _ in range(REPLICAS)]
        self.calls: dict[str, Call] = {}
        self.served: list[str] = []

    def _started(self) -> Floors:
        return Floors(self.log, lambda tenant: self.config, self.clock, "replica")

    @property
    def now(self) -> float:
        return self.clock.now().timestamp()

    async def execute(self, replica: int, command: c.Command, fault: Fault = "none", then: c.Command | None = None) -> Floor | None:
        """By one replica; when it dies, by the next, as media and the bus do. None: refused."""
        self.log.fault = fault
        try:
            return await self.replicas[replica].execute(TENANT, command, FOR_EVER, then=then)
        except Killed:
            self.replicas[replica] = self._started()
            return await self.execute((replica + 1) % REPLICAS, command, then=then)
        except Refused:
            return None
        finally:
            self.log.fault = "none"

    # -- what happens -------------------------------------------------------------------------------------------------

    async def asks(self, call: Call, replica: int, fault: Fault) -> None:
        """Media asks what comes next, as `QueueCalls.go_on` answers it."""
        self.rings_no_more()
        if call.left or call.rings or call.talks_with:
            return
        if call.results:
            await self.execute(replica, c.RingOver(call.call_id, dict(call.results)), fault)  # type: ignore[arg-type]
            call.results = {}
        floor = await self.execute(replica, c.Join(call.call_id, "sales", call.joined_at, call.priority), fault, c.Fetch(call.call_id))
        caller = floor.callers.get(call.call_id) if floor is not None else None
        if not call.there:
            return
        assert caller is not None, "a caller is lost"
        assert caller.joined_at == call.joined_at, "a caller has lost the place"
        if caller.released:
            await self.execute(replica, c.Leave(call.call_id, caller.released), fault)
            call.left = True
        elif caller.offered and caller.ring_until is not None:
            self.ring(call, caller.offered)

    def ring(self, call: Call, agents: tuple[str, ...]) -> None:
        """Media rings these phones now."""
        busy = [agent for other in self.calls.values() for agent in (*other.rings, other.talks_with)]
        assert not set(agents) & set(busy), "an agent is rung twice at once"
        call.rings, call.ring_until = agents, self.now + RING_SECONDS

    def rings_no_more(self) -> None:
        """Phones fall silent in time."""
        for call in self.calls.values():
            if call.rings and self.now >= call.ring_until:
                call.results, call.rings = dict.fromkeys(call.rings, "no_answer"), ()

    def picks_up(self, call: Call, which: int) -> None:
        """One of the phones that ring is answered; the others stop."""
        self.rings_no_more()
        if call.rings:
            agent = call.rings[which % len(call.rings)]
            call.rings, call.talks_with = (), agent
            call.unheard += [c.AgentAnswered(call.call_id, agent), c.Bridged(call.call_id, "b1")]
            self.served.append(call.call_id)

    def agent_hangs_up(self, call: Call) -> None:
        """The talk is over, the caller is still there; media asks next time with what became of the ringing."""
        if call.talks_with:
            call.results, call.talks_with = {call.talks_with: "answered"}, ""
            call.unheard.append(c.LegOver(call.call_id, "b1"))

    async def hangs_up_while_asking(self, call: Call, replica: int, after: int) -> None:
        """The end of the call is told while its question is under way, or before it comes."""
        if not call.there or call.unheard:
            return
        self.caller_hangs_up(call)

        async def told() -> None:
            for _ in range(after):
                await asyncio.sleep(0)
            await self.hears(call, (replica + 1) % REPLICAS, "none", False)

        await asyncio.gather(self.asks(call, replica, "none"), told())

    def caller_hangs_up(self, call: Call) -> None:
        """Everything of the call ends."""
        if call.there:
            call.there, call.rings, call.talks_with = False, (), ""
            call.unheard.append(c.CallOver(call.call_id))

    async def hears(self, call: Call, replica: int, fault: Fault, twice: bool) -> None:
        """The next event of the call is delivered, perhaps again."""
        if call.unheard:
            command = call.unheard.pop(0)
            if isinstance(command, c.CallOver):
                self.log.ended.add(call.call_id)
            for _ in range(1 + twice):
                await self.execute(replica, command, fault)
            if isinstance(command, c.CallOver):
                self.log.over.add(call.call_id)

    # -- the end ------------------------------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Anna answers whoever is left; everybody who is there gets her, in order."""
        for call in self.calls.values():
            self.rings_no_more()
            if call.talks_with or call.rings:
                self.caller_hangs_up(call)
            while call.unheard:
                await self.hears(call, 0, "none", False)
        for agent in AGENTS[1:]:
            await self.execute(0, c.LogOut(agent))
        # Nothing tells the floor: the next look sees it.
        self.log.elsewhere.clear()
        await self.execute(0, c.LogIn("anna"))
        self.clock.advance(60)
        await self.execute(0, c.Resume("anna"))
        waits = {call.call_id for call in self.calls.values() if call.there and not call.left and "answered" not in call.results.values()}
        self.served.clear()
        for _ in range(40 * (len(self.calls) + 1)):
            if set(self.served) >= waits and not self.log.floor.callers:
                break
            await self.execute(1, c.Tick())
            for call in self.calls.values():
                if call.there:
                    await self.asks(call, 2, "none")
                    self.picks_up(call, 0)
                    if call.talks_with:
                        self.caller_hangs_up(call)
                while call.unheard:
                    await self.hears(call, 0, "none", False)
            self.clock.advance(3)
        assert set(self.served) == waits, "a caller who waits is never served"
        assert not self.log.floor.callers
        assert not [agent for agent in self.log.floor.agents.values() if agent.call_id], "a ghost holds an agent"


CALLS = st.sampled_from([f"c{n}" for n in range(5)])
FAULTS: st.SearchStrategy[Fault] = st.sampled_from(["none", "none", "none", "before", "after"])
OFTEN = ["asks", "asks", "asks", "picks_up", "agent_hangs_up", "caller_hangs_up", "hears", "hears", "hears_twice", "tick", "tick"]
WHAT = st.sampled_from(
    [*OFTEN, "log_in", "log_in", "hangs_up_while_asking", "log_out", "pause", "resume", "die", "snapshot", "elsewhere", "elsewhere"]
)
STEPS = st.lists(
    st.tuples(WHAT, CALLS, st.sampled_from(AGENTS), st.integers(0, REPLICAS - 1), FAULTS, st.sampled_from([0.0, 0.5, 4.0, 16.0])),
    max_size=50,
)


async def live(world: World, steps: list[tuple[str, str, str, int, Fault, float]]) -> None:
    for what, call_id, agent, replica, fault, seconds in steps:
        world.clock.advance(seconds)
        world.rings_no_more()
        call = world.calls.setdefault(call_id, Call(call_id, world.now, int(call_id[1]) % 3))
        agents: dict[str, c.Command] = {
            "log_in": c.LogIn(agent),
            "log_out": c.LogOut(agent),
            "pause": c.Pause(agent, "lunch"),
            "resume": c.Resume(agent),
        }
        match what:
            case "asks" if call.there:
                await world.asks(call, replica, fault)
            case "picks_up":
                world.picks_up(call, replica)
            case "agent_hangs_up":
                world.agent_hangs_up(call)
            case "caller_hangs_up":
                world.caller_hangs_up(call)
            case "hangs_up_while_asking":
                await world.hangs_up_while_asking(call, replica, int(seconds) + AGENTS.index(agent))
            case "hears" | "hears_twice":
                await world.hears(call, replica, fault, what == "hears_twice")
                if not call.there and not call.unheard:
                    # A question that was on its way when the caller hung up.
                    await world.asks(call, replica, fault)
            case "tick":
                await world.execute(replica, c.Tick(), fault)
            case "elsewhere":
                # The agent calls somebody, or that talk is over.
                world.log.elsewhere ^= {agent}
            case "die":
                world.replicas[replica] = world._started()
            case "snapshot":
                with patch.object(handler, "SNAPSHOT_EVERY", 3):
                    await world.replicas[replica].read(TENANT, FOR_EVER)
                    await world.replicas[replica]._snapshot(TENANT)
            case _ if what in agents:
                await world.execute(replica, agents[what], fault)
    assert fold(Floor(), world.log.events) == world.log.floor
    for each in world.replicas:
        assert await each.read(TENANT, FOR_EVER) == world.log.floor, "a replica believes something else than what is stored"
    await world.drain()


@settings(max_examples=100, deadline=None)
@given(STEPS, st.sampled_from(["longest_idle", "all", "round_robin", "fewest_calls"]))
def test_whatever_happens_and_whoever_is_killed(steps: list[tuple[str, str, str, int, Fault, float]], strategy: str) -> None:
    asyncio.run(live(World(strategy), steps))
