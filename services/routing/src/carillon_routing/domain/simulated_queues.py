"""The queues that a simulated call comes to: a floor of its own, with agents and callers as they are assumed, on the call's clock.

Always: `decide` says what happens on it and `queue_turns` what the call does, as they do of live calls; only what people do is assumed. Who
waits before the call is answered as it would be: agents talk as long with them.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from math import inf
from typing import cast

from carillon_contracts.config import Queue
from carillon_contracts.queue import AGENT_TARGET, agents_of
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.assumed import Assumed, Became, timetable
from carillon_routing.domain.cursor import Cursor, QueueWait
from carillon_routing.domain.facts import Advance, CallFacts, Outcome, Ring, UserTarget, Wait
from carillon_routing.domain.queue_steps import EnterQueue, QueueOver, Waited
from carillon_routing.domain.queue_turns import Asking, Command, Turn, turn, wait_ends
from carillon_routing.domain.queues import commands as c
from carillon_routing.domain.queues.assign import passed_over
from carillon_routing.domain.queues.decide import Refused, decide
from carillon_routing.domain.queues.floor import AgentState, Caller, Floor, fold

#: Callers before the call who are followed.
MOST_AHEAD = 100
#: Media waits at least so long.
_MIN_WAIT_MS = 200
_TICK_MS = 1_000
#: What is due at a moment is due, however its seconds are rounded.
_BREATH = 1e-6
#: Reasons for which only a caller leaves whom nobody answers.
_UNANSWERED = ("waited_too_long", "left_by_key", "called_back", "removed")

Engine = Callable[[Cursor | None, Outcome, datetime], Advance]


class SimulatedQueues:
    """Of one simulated call. `is_over`: it has taken long enough, and waits lead to nothing any more."""

    def __init__(self, config: TenantConfig, call: CallFacts, assumed: Assumed, is_over: Callable[[], bool] = lambda: False) -> None:
        self._config, self._call, self._assumed = config, call, assumed
        self._is_over = is_over
        self._floor = Floor()
        #: Milliseconds since 1970.
        self._ms = self._ticked = 0
        #: What people will do, and when.
        self._coming: list[tuple[int, c.Command]] = []
        self._found: set[str] = set()

    @property
    def _now(self) -> float:
        return self._ms / 1000

    def decide(self, engine: Engine, cursor: Cursor | None, outcome: Outcome | Waited, now: datetime) -> Advance:
        """`engine` decides outside of queues. What leads into a queue or out of one is one decision with what follows, as live."""
        self._pass(round(now.timestamp() * 1000))
        if cursor is not None and isinstance(cursor.wait, QueueWait):
            said = self._turn(cursor, outcome)
            if isinstance(said, Advance):
                return said
            cursor = replace(cursor, wait=replace(cursor.wait, queue_id=said.queue_id or cursor.wait.queue_id))
            outcome = said
        assert not isinstance(outcome, Waited)
        found = engine(cursor, outcome, now)
        while isinstance(found.step, EnterQueue) and found.at is not None:
            said = self._turn(found.at, None)
            after = said if isinstance(said, Advance) else engine(found.at, said, now)
            found = replace(after, trace=found.trace + after.trace, looked_at=found.looked_at + after.looked_at)
            if isinstance(said, Advance):
                break
        return found

    def became(self, step: Wait, at: Cursor) -> Became:
        """What a wait in a queue leads to, and when."""
        wait, began = cast(QueueWait, at.wait), self._ms
        until = began + max(step.max_ms, _MIN_WAIT_MS)
        pressed = self._key(wait, step)
        presses = max(began, wait.since + self._assumed.queue_seconds * 1000) if pressed else until + 1
        for _ in self._moments(min(until, presses)):
            if wait_ends(self._floor, self._call.call_id, wait):
                return Became("signalled", Waited(), self._ms - began)
        ms = self._ms - began
        if self._ms < min(until, presses):
            return Became("not_followed", None, ms)
        if pressed and presses <= until:
            return Became("digits", Waited(pressed), ms, values={"digits": pressed})
        return Became("waited", Waited(), ms, values={"seconds": f"{ms / 1000:g}"})

    def answers(self, ring: Ring, found: Became) -> None:
        """What became of ringing agents for the call: whoever answered talks from then on."""
        who = next(
            (each for each in ring.targets if isinstance(each, UserTarget) and f"user/{each.user_id}" == found.values.get("who")), None
        )
        if found.kind == "answered" and who is not None:
            agent_id = who.target_id.removeprefix(AGENT_TARGET)
            self._coming.append((self._ms + found.ms, c.AgentAnswered(self._call.call_id, agent_id)))

    def _key(self, wait: QueueWait, step: Wait) -> str:
        queue = self._config.queues[wait.queue_id]
        key = {"left_by_key": queue.leave_key, "called_back": queue.callback_key}.get(self._assumed.queue, "")
        return key if key and key in step.leave_digits else ""

    def _turn(self, cursor: Cursor, outcome: Outcome | Waited | None) -> Advance | QueueOver:
        wait = cast(QueueWait, cursor.wait)
        queue = self._config.queues.get(wait.queue_id)
        if queue is None:
            return QueueOver("no_agents")
        if outcome is None:
            self._find(queue, wait)
        asks = Asking(self._config, self._call, cursor, queue, lambda: self._now, calls_back=True, busy=self._busy)
        said = self._run(turn(asks, outcome))
        if isinstance(said, QueueOver):
            # Who waits on there stands before the call no more.
            self._floor = replace(self._floor, callers={name: each for name, each in self._floor.callers.items() if not each.waits})
        return said

    def _busy(self, queue: Queue) -> tuple[str, ...]:
        return passed_over(self._floor, self._config, queue, self._assumed.busy, self._now)

    def _run(self, asked: Turn) -> Advance | QueueOver:
        try:
            wanted = next(asked)
            while True:
                try:
                    self._carry_out(wanted)
                except Refused as refused:
                    wanted = asked.throw(refused)
                else:
                    wanted = asked.send(self._floor)
        except StopIteration as over:
            said: Advance | QueueOver = over.value
            return said

    def _carry_out(self, wanted: Command) -> None:
        for command in (wanted.command, wanted.then):
            if command is not None:
                self._do(command)

    def _do(self, command: c.Command) -> None:
        """Raises `Refused`."""
        self._floor = fold(self._floor, decide(self._floor, command, self._config, self._now + _BREATH, self._assumed.busy))
        mine = self._call.call_id
        if any(each.released and name != mine for name, each in self._floor.callers.items()):
            left = {name: each for name, each in self._floor.callers.items() if name == mine or not each.released}
            self._floor = replace(self._floor, callers=left)
        self._ring_for_others()

    def _ring_for_others(self) -> None:
        rings = [e for e in self._floor.callers.values() if e.offered and e.ring_until is None and e.call_id != self._call.call_id]
        for each in rings:
            self._floor = fold(self._floor, decide(self._floor, c.Fetch(each.call_id), self._config, self._now, self._assumed.busy))
            stop = self._config.queues[each.queue_id].ring_seconds * 1000
            users = {agent_id: self._config.agents[agent_id].user_id for agent_id in each.offered}
            targets = [UserTarget(f"{AGENT_TARGET}{agent_id}", user_id, 0, stop) for agent_id, user_id in users.items()]
            results, ms, answerer = timetable(targets, self._assumed)
            at = self._ms + ms
            if answerer is None:
                self._coming.append((at, c.RingOver(each.call_id, agents_of(results))))
                continue
            agent_id = answerer.target_id.removeprefix(AGENT_TARGET)
            self._coming.append((at, c.AgentAnswered(each.call_id, agent_id)))
            if (talks := self._assumed.talk_seconds) is not None:
                self._coming.append((at + talks * 1000, c.RingOver(each.call_id, {agent_id: "answered"})))

    def _pass(self, until: int) -> None:
        if self._found:
            for _ in self._moments(until):
                pass
        self._ms = until

    def _moments(self, until: int) -> Iterator[None]:
        """Let time pass: now, at every moment that may change something, and at the end. Nothing is due while the call talks."""
        while True:
            self._due()
            yield
            if self._ms >= until or self._is_over():
                return
            mine = self._floor.callers.get(self._call.call_id)
            ticks = max(self._ms, self._ticked + _TICK_MS) if mine is not None and not mine.agent_id else until + 1
            self._ms = min(until, ticks, *(at for at, _ in self._coming))
            if self._ms >= ticks:
                self._ticked = self._ms
                self._do(c.Tick())

    def _due(self) -> None:
        while due := [each for each in self._coming if each[0] <= self._ms]:
            first = min(due, key=lambda each: each[0])
            self._coming.remove(first)
            try:
                self._do(first[1])
            except Refused:
                continue

    def _find(self, queue: Queue, wait: QueueWait) -> None:
        """Agents, and those who wait there already, as the call finds them."""
        if not self._found:
            self._ticked = self._ms
            self._floor = Floor(agents=_agents(self._config, self._assumed, self._now))
        if queue.id in self._found:
            return
        self._found.add(queue.id)
        assumed = self._assumed.queues.get(queue.id)
        waiting = assumed.waiting if assumed is not None else queue.size_limit if self._assumed.queue == "full" else 0
        ahead = min(waiting, queue.size_limit)
        names = [f"ahead {number} in {queue.id}" for number in range(1, ahead + 1)]
        known = self._floor.joined
        callers = {name: Caller(name, queue.id, wait.since / 1000, known + number) for number, name in enumerate(names, 1)}
        self._floor = replace(self._floor, callers={**self._floor.callers, **callers}, joined=known + ahead)
        if ahead and ahead < queue.size_limit:
            self._do(c.Tick())
        if self._assumed.queue == "removed":
            self._coming.append((self._ms + self._assumed.queue_seconds * 1000, c.Remove(self._call.call_id)))


def _agents(config: TenantConfig, assumed: Assumed, now: float) -> dict[str, AgentState]:
    """All of the tenant: logged in and idle, if nothing else is said."""
    queues = [config.queues[queue_id] for queue_id in assumed.queues if queue_id in config.queues]
    told = {queue.id: [each.agent_id for each in queue.members if each.agent_id in config.agents] for queue in queues}
    of_told = {agent_id for members in told.values() for agent_id in members}
    away = {agent.id for agent in config.agents.values() if agent.user_id in assumed.logged_out}
    away |= config.agents.keys() - of_told if assumed.queue == "no_agents" else set()
    busy = set(config.agents) - of_told if assumed.queue in _UNANSWERED else set[str]()
    for queue_id, members in told.items():
        here = [agent_id for agent_id in members if agent_id not in away]
        away |= set(_beyond(here, assumed.queues[queue_id].logged_in))
        busy |= set(_beyond(here, assumed.queues[queue_id].idle))
    found = {}
    for agent in config.agents.values():
        talks = float(max(assumed.queue_seconds if assumed.queue == "answered" else 0, assumed.talks.get(agent.user_id, 0)))
        since = now - assumed.idle.get(agent.user_id, 0)
        until = inf if agent.id in busy and agent.user_id not in assumed.talks else now + talks if talks else 0.0
        found[agent.id] = AgentState(agent.id, agent.id not in away, idle_since=since, wrap_up_until=until)
    return found


def _beyond(members: list[str], count: int | None) -> list[str]:
    return [] if count is None else members[count:]
