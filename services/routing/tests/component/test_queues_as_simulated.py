"""A call in a queue of a running floor, and the same call in the simulator: same steps, same traces, at the same moments."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import zip_longest
from typing import Any

import pytest
from pydantic import JsonValue

from carillon_contracts.queue import AGENT_TARGET
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import ManualClock
from carillon_kit.ids import SystemIds
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.testing import postgres_dsn  # noqa: F401
from carillon_routing.adapters.floor_log import PostgresFloors
from carillon_routing.domain.asks import Ask
from carillon_routing.domain.assumed import Assumed, QueueAssumed, spoken_ms
from carillon_routing.domain.cursor import QueueWait
from carillon_routing.domain.cursor import decode as cursor_of
from carillon_routing.domain.facts import CallFacts, Entered, Outcome, Play, Played, Rang, Ring, Step, TraceLine, UserTarget, Wait
from carillon_routing.domain.queue_steps import Waited
from carillon_routing.domain.queue_turns import wait_ends
from carillon_routing.domain.queues import commands as c
from carillon_routing.domain.simulate import followed
from carillon_routing.domain.simulated_queues import SimulatedQueues
from carillon_routing.handlers import floors
from carillon_routing.handlers.deciding import Decider
from carillon_routing.handlers.floors import Floors, FloorsWhenUp
from carillon_routing.handlers.queue_calls import QueueCalls
from carillon_routing.handlers.slow_answers import SlowAnswers
from carillon_routing.testing import with_plan

pytestmark = pytest.mark.feature("R-10", "R-21")
AGENTS = [{"id": f"agent-{user_id}", "user_id": user_id} for user_id in ("anna", "ben")]
SAID = {"welcome": [{"text": "Welcome"}], "periodic": [{"text": "Hold"}, {"text": "Hold on"}], "position": True, "estimated_wait": True}
QUEUE: dict[str, Any] = {
    "id": "q",
    "members": [{"agent_id": each["id"]} for each in AGENTS],
    "announcements": {**SAID, "first_in_line": [{"text": "Next"}], "every_seconds": 20},
    "leave_key": "*",
    "callback_key": "1",
    "callback": {"offer_after_seconds": 30},
    "max_wait_seconds": 120,
    "left_by_key": {"queue_id": "r"},
    "missed_offers_to_pause": 2,
}
SECOND = {"id": "r", "members": QUEUE["members"], "max_size": 1, "full": {"mailbox_id": "main"}}
CALL = CallFacts("acme", "c", "inbound", "+41215550100", "+41791112233")
NODES: tuple[dict[str, Any], ...] = (
    {"id": "q", "queue": {"queue_id": "q", "ways": {"answered": "end", "waited_too_long": "box"}}},
    {"id": "end", "hang_up": {"reason": "normal"}},
    {"id": "box", "mailbox": {"mailbox_id": "main"}},
)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database of a loaded machine is waited for."""
    within = floors._within
    monkeypatch.setattr(floors, "_within", lambda seconds: within(60))


async def no_call_back(tenant: str, user_id: str, number: str, ring_seconds: int, call_id: str) -> bool:
    return False


class Nobody:
    """Nothing has to be found out."""

    async def find(self, call: CallFacts, ask: Ask) -> JsonValue:
        raise AssertionError(ask.key)

    async def keep(self, tenant: str, call_id: str, key: str, value: JsonValue) -> None:
        raise AssertionError(key)

    async def read(self, tenant: str, call_id: str, key: str) -> tuple[bool, JsonValue]:
        raise AssertionError(key)


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Any]:  # noqa: F811
    pool = await open_pool(postgres_dsn)
    await migrate(pool, "carillon_routing.migrations")
    yield pool
    await pool.close()


@dataclass
class Live:
    """A call that is decided by the handlers of live calls, on the clock that also drives the floor; people do what is said here."""

    floors: Floors
    clock: ManualClock
    config: TenantConfig
    #: What happens on the floor, by second; which key is pressed as soon as it counts, from when on; who does not answer.
    happens: list[tuple[int, c.Command]]
    call: CallFacts = CALL
    key: tuple[int, str] = (0, "")
    silent: tuple[str, ...] = ()
    answers_after: int = 0
    talks: int = 0
    told: list[tuple[datetime, Step, tuple[TraceLine, ...]]] = field(default_factory=list)
    began: datetime = field(init=False)

    @property
    def second(self) -> int:
        return round((self.clock.now() - self.began).total_seconds())

    async def run(self) -> None:
        """Until the call stays somewhere."""
        self.began = self.clock.now()
        up = FloorsWhenUp(expected=True)
        up.adopt(self.floors)
        slow = SlowAnswers(Nobody(), Nobody(), lambda work, name: work.close(), self.clock)
        decider = Decider(self.clock, QueueCalls(up, self.clock), Nobody(), slow)
        await self._pass(0)
        decided = await decider.decide(self.config, self.call, None, Entered())
        while decided.cursor:
            self.told.append((self.clock.now(), decided.step, decided.trace))
            cursor = cursor_of(decided.cursor)
            assert isinstance(cursor.wait, QueueWait)
            outcome = await self._outcome(decided.step, cursor.wait)
            decided = await decider.decide(self.config, self.call, cursor, outcome)
        self.told.append((self.clock.now(), decided.step, decided.trace))

    async def _outcome(self, step: Step, wait: QueueWait) -> Outcome | Waited:
        match step:
            case Wait():
                for _ in range(step.max_ms // 1000):
                    if self.key[1] and self.second >= self.key[0] and self.key[1] in step.leave_digits:
                        return Waited(self.key[1])
                    await self._pass(1)
                    floor = self.floors.known(self.call.tenant_id)
                    if floor is None or wait_ends(floor, self.call.call_id, wait):
                        break
                return Waited()
            case Ring((UserTarget() as target,)) if target.user_id in self.silent:
                await self._pass(target.stop_ms // 1000)
                return Rang("no_answer", {target.target_id: "no_answer"})
            case Ring((UserTarget() as target,)):
                await self._pass(self.answers_after)
                await self.floors.execute(
                    self.call.tenant_id, c.AgentAnswered(self.call.call_id, target.target_id.removeprefix(AGENT_TARGET))
                )
                await self._pass(self.talks)
                return Rang("answered", {target.target_id: "answered"})
            case Play(phrases):
                self.clock.advance(spoken_ms(self.config, phrases) / 1000)
                return Played()
        raise AssertionError(step)

    async def _pass(self, seconds: int) -> None:
        """Second by second."""
        for turn in range(seconds + 1):
            for each in [each for each in self.happens if each[0] <= self.second]:
                self.happens.remove(each)
                await self.floors.execute(self.call.tenant_id, each[1])
            await self.floors.tick()
            if turn < seconds:
                self.clock.advance(1)


def paused(*resumed: tuple[int, str]) -> list[tuple[int, c.Command]]:
    """Both agents are logged in and pause, until they resume."""
    begin: list[c.Command] = [each for agent in AGENTS for each in (c.LogIn(agent["id"]), c.Pause(agent["id"], ""))]
    return [*((0, each) for each in begin), *((second, c.Resume(agent_id)) for second, agent_id in resumed)]


def before(queue_id: str, count: int) -> list[tuple[int, c.Command]]:
    return [(0, c.Join(f"{queue_id} {number}", queue_id, ManualClock().now().timestamp())) for number in range(count)]


@pytest.mark.parametrize(
    ("live", "assumed", "turns"),
    [
        pytest.param(
            {"happens": paused((50, "agent-anna"), (50, "agent-ben")), "silent": ("anna",), "answers_after": 4, "talks": 30},
            Assumed({"anna": "no_answer"}, queue_seconds=50, answer_seconds=4, talk_seconds=30),
            ["wait"] * 3 + ["ring", "ring", "hangup"],
            id="answered",
        ),
        pytest.param(
            {"happens": [*paused(), *before("r", 1)], "key": (37, "*")},
            Assumed(queue="left_by_key", queue_seconds=37, queues={"r": QueueAssumed(waiting=1, idle=0)}),
            ["wait", "wait", "wait", "delegate"],
            id="by key, and past a full queue",
        ),
        pytest.param(
            {"happens": [*paused(), *before("q", 2)]},
            Assumed(queues={"q": QueueAssumed(waiting=2, idle=0)}),
            ["wait"] * 8 + ["delegate"],
            id="too long",
        ),
        pytest.param(
            {"happens": paused(), "key": (10, "1")},
            Assumed(queue="called_back", queue_seconds=10),
            ["wait", "wait", "wait", "play", "hangup"],
            id="called back",
        ),
    ],
)
async def test_every_step_of_a_live_call_is_that_of_the_simulated_one(
    pool: Any, live: dict[str, Any], assumed: Assumed, turns: list[str]
) -> None:
    tenant = SystemIds().token().lower()
    config = with_plan(*NODES, tenant={"id": tenant, "realm": f"{tenant}.example", "language": "en"}, queues=[QUEUE, SECOND], agents=AGENTS)
    clock = ManualClock()
    one = Live(Floors(PostgresFloors(pool, SystemIds()), lambda _: config, clock, "1", no_call_back), clock, config, **live)
    one.call = replace(CALL, tenant_id=tenant)
    await one.run()
    world = followed(config, one.call, one.began, assumed, queues=SimulatedQueues(config, one.call, assumed))
    simulated = [(turn.at, turn.decided.step, turn.decided.trace) for turn in world]
    assert [type(step).__name__.lower() for _, step, _ in one.told] == turns
    for was, would_be in zip_longest(one.told, simulated):
        assert was == would_be
