"""A draft compared over 100,000 past calls: CPU of following them, what cdr's pages cost apart: `python benchmarks/routing_compare.py`."""

import argparse
import resource
import time

import orjson
from routing_company import company, past_calls

from carillon_routing.domain.comparison import Comparison, Counts
from carillon_routing.testing import config_of


def main() -> None:
    """Half of the calls come by the plan, as many by others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    options = parser.parse_args()
    config = config_of(company())
    calls = past_calls(config)
    comparison = Comparison(config, config.plan_drafts["draft"].plan(config.plans["plan0"]), 3)
    size = sum(len(raw) for each in calls for raw in each)
    print(f"bytes of a call's decisions: {size / len(calls):.0f}; decisions a call: {sum(map(len, calls)) / len(calls):.1f}")
    wall, cpu = time.perf_counter(), time.process_time()
    counts = Counts()
    for number in range(options.calls):
        counts += comparison.add(number, f"c{number}", [orjson.loads(raw)["data"] for raw in calls[number % len(calls)]])
    cpu = time.process_time() - cpu
    print(f"{options.calls} calls, {counts.by_plan} by the plan, {counts.elsewhere} elsewhere")
    print(f"{cpu:.1f} s of CPU ({time.perf_counter() - wall:.1f} s), {cpu / options.calls * 1e6:.0f} us a call")
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
