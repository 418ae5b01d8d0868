"""Search over a tenant of 50,000 users: time to index it, and percentiles of a query.

.venv/bin/python benchmarks/search.py [--users 50000]
"""

import argparse
import random
import time
import tracemalloc

from carillon_contracts.config import ConfigChanged
from carillon_directory.domain.search import SearchIndex

FIRST = ("Élise", "Alain", "Denise", "Jörg", "Maria", "Luca", "Sven", "Anna", "Noëlle", "Peter")
SYLLABLES = ("mar", "du", "lam", "ber", "mul", "ros", "ni", "ko", "van", "de", "sch", "mor", "tin", "pont", "ler", "si")


def user(number: int, rng: random.Random) -> dict[str, str]:
    """Somebody."""
    first, last = rng.choice(FIRST), "".join(rng.choices(SYLLABLES, k=3)).capitalize()
    return {
        "id": f"u{number}",
        "first_name": first,
        "last_name": last,
        "email": f"{last.lower()}.{number}@example.com",
        "mobile": f"+4179{number:07d}",
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=50_000)
    count = parser.parse_args().users
    rng = random.Random(1)
    users = {each["id"]: each for each in (user(number, rng) for number in range(count))}
    tracemalloc.start()
    began = time.perf_counter()
    index = SearchIndex()
    index.begin(1, {"user": users})
    made = time.perf_counter() - began
    memory = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    queries = ["e", "ma", "mar", "elise mar", "dupont", "0791234", "+4179000", "joerg", "noelle lam", "x" * 20]
    queries += [f"{each['first_name']} {each['last_name'][:4]}" for each in rng.sample(list(users.values()), 500)]
    times = []
    for query in queries * 4:
        began = time.perf_counter()
        index.find(query, 20)
        times.append(time.perf_counter() - began)
    times.sort()
    began = time.perf_counter()
    for number in range(1000):
        index.apply(
            2 + number, ConfigChanged(resource="user", resource_id=f"u{number}", action="updated", after=user(number, rng), actor="x")
        )
    changed = (time.perf_counter() - began) / 1000
    shares = "/".join(f"{1000 * times[int(len(times) * share)]:.2f}" for share in (0.5, 0.95, 0.99))
    print(f"{count} users: indexed in {made:.1f} s (with tracing), {memory:.0f} MB; a change {1e6 * changed:.0f} us")
    print(f"query ms p50/p95/p99 {shares}, worst {1000 * times[-1]:.2f}")


if __name__ == "__main__":
    main()
