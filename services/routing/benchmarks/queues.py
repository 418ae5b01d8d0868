"""Decisions of a floor: 200 callers wait, 50 agents answer and hang up; in memory, without storing.

.venv/bin/python services/routing/benchmarks/queues.py
"""

import sys
import time

from carillon_routing.domain.queues import commands as c
from carillon_routing.domain.queues.decide import decide
from carillon_routing.domain.queues.floor import Floor, fold
from carillon_routing.testing import small_company

CALLERS, AGENTS, ROUNDS = 200, 50, 2000


def main() -> None:
    """Print decisions a second, and the slowest of a hundred."""
    names = [f"agent{n}" for n in range(AGENTS)]
    config = small_company(
        users=[{"id": name, "last_name": name} for name in names],
        extensions=[],
        numbers=[],
        agents=[{"id": name, "user_id": name} for name in names],
        queues=[{"id": "q", "members": [{"agent_id": name} for name in names], "max_size": 5000}],
    )
    floor, now, took = Floor(), 0.0, list[float]()

    def do(command: c.Command) -> None:
        nonlocal floor, now
        now += 0.01
        began = time.perf_counter()
        floor = fold(floor, decide(floor, command, config, now))
        took.append(time.perf_counter() - began)

    for n in range(CALLERS + AGENTS):
        do(c.Join(f"c{n}", "q", now))
    for name in names:
        do(c.LogIn(name))
    took.clear()
    for n in range(CALLERS + AGENTS, CALLERS + AGENTS + ROUNDS):
        caller = next(caller for caller in floor.callers.values() if caller.offered)
        do(c.Fetch(caller.call_id))
        do(c.AgentAnswered(caller.call_id, caller.offered[0]))
        do(c.CallOver(caller.call_id))
        do(c.Join(f"c{n}", "q", now))
    took.sort()
    sys.stdout.write(f"{len(took)} decisions with {CALLERS} waiting and {AGENTS} agents: {len(took) / sum(took):.0f} a second, ")
    sys.stdout.write(f"p50 {took[len(took) // 2] * 1e6:.0f} us, p99 {took[len(took) * 99 // 100] * 1e6:.0f} us\n")


if __name__ == "__main__":
    main()
