"""Who is offered to whom: the highest priority first, then who has waited longest, by each queue's own strategy."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice

from carillon_contracts.config import Agent, Queue, QueueSkill
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.disturbing import left_alone
from carillon_routing.domain.facts import CallFacts
from carillon_routing.domain.queues.events import AgentsOffered
from carillon_routing.domain.queues.floor import AgentState, Caller, Floor

#: Users, and numbers of callers who want to be called back, that cannot be connected now.
NoLine = Collection[tuple[str, str]]
#: Who are told of in a trace.
MOST_BUSY = 10


def assign(
    floor: Floor, config: TenantConfig, now: float, busy: Collection[str] = (), no_line: NoLine = frozenset()
) -> list[AgentsOffered]:
    """Every offer that can be made now; no agent stands in two of them. `busy`: users who talk or are rung, in whatever calls."""
    agents = config.agents
    free = {
        agent.agent_id: agent
        for agent in floor.agents.values()
        if agent.free(now) and agent.agent_id in agents and agents[agent.agent_id].user_id not in busy
    }
    offers: list[AgentsOffered] = []
    if not free:
        return offers
    last: dict[str, str] = {}
    spares = _spared_once(config, now)
    for caller in sorted((c for c in floor.callers.values() if c.waits and c.not_before <= now), key=lambda c: c.rank):
        queue = config.queues.get(caller.queue_id)
        if queue is None:
            continue
        reached = {each: free[each] for each in free if (agents[each].user_id, caller.number) not in no_line} if caller.callback else free
        chosen = choose(config, queue, caller, reached, last.get(queue.id, floor.queue(queue.id).last), now, spares)
        if chosen:
            offers.append(AgentsOffered(at=now, call_id=caller.call_id, agent_ids=chosen))
            last[queue.id] = chosen[-1]
            for agent_id in chosen:
                del free[agent_id]
            if not free:
                break
    return offers


#: Why a queue does not offer an agent a caller with this number; empty: it may.
Spares = Callable[[Queue, Agent, str], str]


def passed_over(floor: Floor, config: TenantConfig, queue: Queue, busy: Collection[str], now: float) -> tuple[str, ...]:
    """Users among the queue's agents who would be offered callers if they were not `busy`; not all, if they are many."""
    agents = (floor.agents.get(member.agent_id) for member in queue.members)
    free = (config.agents[agent.agent_id].user_id for agent in agents if agent and agent.free(now) and agent.agent_id in config.agents)
    return tuple(islice((user_id for user_id in free if user_id in busy), MOST_BUSY))


def choose(
    config: TenantConfig, queue: Queue, caller: Caller, free: Mapping[str, AgentState], last: str, now: float, spares: Spares
) -> tuple[str, ...]:
    """Whom of the free agents the caller is offered; nobody: none of them is able, or may be disturbed."""
    waited, agents = now - caller.joined_at, config.agents
    able = [
        m
        for m in queue.members
        if m.agent_id in free
        and is_able(queue, agents[m.agent_id], waited)
        and has_asked(caller, agents[m.agent_id], waited)
        and not spares(queue, agents[m.agent_id], caller.number)
    ]
    if not able:
        return ()
    tier = min(member.tier for member in able)
    first = [member.agent_id for member in able if member.tier == tier]
    if queue.strategy == "all" and not caller.callback:
        return tuple(first)
    return (_STRATEGIES[queue.strategy](first, free, queue, last),)


def _spared_once(config: TenantConfig, now: float) -> Spares:
    """`spared`, worked out once for an agent (and caller, if the agent lists callers): many may wait for many who are left alone."""
    known: dict[tuple[str, bool, str], str] = {}

    def spares(queue: Queue, agent: Agent, number: str) -> str:
        user = config.users.get(agent.user_id)
        key = (agent.id, queue.through_do_not_disturb, number if user is not None and user.screening else "")
        if key not in known:
            known[key] = spared(config, queue, agent, number, now)
        return known[key]

    return spares


def spared(config: TenantConfig, queue: Queue, agent: Agent, number: str, now: float) -> str:
    """Why the agent is not offered a caller with this number by wishes of the agent's own; empty: is."""
    user = config.users.get(agent.user_id)
    if user is None or not (user.screening or user.do_not_disturb or user.quiet_hours):
        return ""
    call = CallFacts(config.tenant_id, "", "inbound", "", number)
    return left_alone(config, call, datetime.fromtimestamp(now, UTC), user, through=queue.through_do_not_disturb)[0]


def is_able(queue: Queue, agent: Agent, waited: float) -> bool:
    """Whether the agent's skills are enough for a caller who has waited so many seconds."""
    return all(agent.level(skill.name) >= wanted_level(skill, waited) for skill in queue.skills)


def has_asked(caller: Caller, agent: Agent, waited: float) -> bool:
    """Whether the agent knows what was asked for this caller alone."""
    if caller.skills_for and waited >= caller.skills_for:
        return True
    return all(agent.level(name) >= level for name, level in caller.skills.items())


def wanted_level(skill: QueueSkill, waited: float) -> int:
    """The longer the wait, the less is asked."""
    reached = [step.min_level for step in skill.widenings if step.after_seconds <= waited]
    return reached[-1] if reached else skill.min_level


Strategy = Callable[[Sequence[str], Mapping[str, AgentState], Queue, str], str]


def _longest_idle(able: Sequence[str], free: Mapping[str, AgentState], queue: Queue, last: str) -> str:
    return min(able, key=lambda agent_id: (free[agent_id].idle_since, agent_id))


def _fewest_calls(able: Sequence[str], free: Mapping[str, AgentState], queue: Queue, last: str) -> str:
    return min(able, key=lambda agent_id: (free[agent_id].calls, free[agent_id].idle_since, agent_id))


def _round_robin(able: Sequence[str], free: Mapping[str, AgentState], queue: Queue, last: str) -> str:
    """The next of the members after the last one who was offered."""
    order = [member.agent_id for member in queue.members]
    start = order.index(last) + 1 if last in order else 0
    turn = [*order[start:], *order[:start]]
    return min(able, key=turn.index)


_STRATEGIES: Mapping[str, Strategy] = {
    "longest_idle": _longest_idle,
    "fewest_calls": _fewest_calls,
    "round_robin": _round_robin,
    # A call-back rings one agent.
    "all": _longest_idle,
}
