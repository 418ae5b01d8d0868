"""A draft compared over 100,000 past calls: CPU of following them, what cdr's pages cost apart: `python benchmarks/routing_compare.py`."""

import argparse
import resource
import time
from typing import Any

import orjson
from routing_company import company, numbers

from carillon_contracts.config import Plan
from carillon_routing.domain.comparison import Comparison
from carillon_routing.domain.cursor import decode
from carillon_routing.domain.facts import Entered, Outcome, Rang, Ring
from carillon_routing.domain.made_of import MadeOf, as_read, encode
from carillon_routing.testing import SimulatedCall, World, config_of

KINDS = 500


def kept(call: SimulatedCall, outcomes: list[Outcome]) -> list[bytes]:
    """The decisions as the events of the ledger."""
    found, cursor = [], None
    for outcome, decision in zip(outcomes, call.advances, strict=True):
        made = MadeOf(call.facts, cursor, outcome, call.at, decision.config_seq, as_read(decision.read))
        rung = decision.step.targets if isinstance(decision.step, Ring) else ()
        targets = [{"target_id": each.target_id, "user_id": getattr(each, "user_id", "")} for each in rung]
        trace = [{"subject": x.subject, "matched": x.matched, "reason": x.reason, "next": x.next} for x in decision.trace]
        data = {"application": "routing", "inputs": orjson.loads(encode(made)), "details": {"targets": targets}, "trace": trace}
        found.append(orjson.dumps({"type": "carillon.call.routing_decided.v1", "data": data}))
        cursor = decode(decision.cursor) if decision.cursor else None
    return found


def main() -> None:
    """Half of the calls come by the plan, as many by others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    options = parser.parse_args()
    config = config_of(company())
    world, calls = World(), []
    for number in range(KINDS):
        dialled = numbers()[0] if number % 2 else numbers()[number]
        call = SimulatedCall.from_outside(config, dialled, "2026-01-06 10:00", f"+4179{number:07}", world=world, call_id=f"c{number}")
        outcomes: list[Outcome] = [Entered()]
        while isinstance(call.last.step, Ring) and len(outcomes) < 3:
            outcome = Rang("no_answer", {each.target_id: "no_answer" for each in call.last.step.targets})
            call.becomes(outcome)
            outcomes.append(outcome)
        calls.append(kept(call, outcomes))
    plan = config.plans["plan0"]
    nodes: list[Any] = [node.model_dump(exclude_none=True, exclude_defaults=True) for node in plan.nodes]
    changed = [({"id": "group", "mailbox": {"mailbox_id": "main"}} if node["id"] == "group" else node) for node in nodes]
    draft = Plan.model_validate({"id": plan.id, "entry": plan.entry, "nodes": changed})
    comparison = Comparison(config, draft, 3)
    size = sum(len(raw) for each in calls for raw in each)
    print(f"bytes of a call's decisions: {size / KINDS:.0f}; decisions a call: {sum(map(len, calls)) / KINDS:.1f}")
    wall, cpu = time.perf_counter(), time.process_time()
    for number in range(options.calls):
        comparison.add(f"c{number}", [orjson.loads(raw)["data"] for raw in calls[number % KINDS]])
    cpu = time.process_time() - cpu
    print(f"{options.calls} calls, {comparison.by_plan} by the plan, {comparison.elsewhere} elsewhere")
    print(f"{cpu:.1f} s of CPU ({time.perf_counter() - wall:.1f} s), {cpu / options.calls * 1e6:.0f} us a call")
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
