"""Appends per second and their delay: `python services/media/benchmarks/journal.py [FOLDER]`; the folder's disk is what is measured."""

# ruff: noqa: T201

import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

from carillon_media.adapters.journal import Journal, JournalRecord

EVENT = b"x" * 800


async def load(folder: Path, calls: int, seconds: float) -> None:
    """So many calls at once, each appending its next event when the last one is on the disk, and forgotten after eight."""
    journal, _ = Journal.open(folder)
    delays: list[float] = []
    until = time.perf_counter() + seconds
    cpu = time.process_time()

    async def call(number: int) -> None:
        turn = 0
        while time.perf_counter() < until:
            turn += 1
            name = f"{number}-{turn}-0191b0d2-0000-7000-8000"
            for seq in range(1, 9):
                start = time.perf_counter()
                await journal.append([JournalRecord("event", "dupont", name, seq, EVENT)])
                delays.append(time.perf_counter() - start)
            done.append(("dupont", name))

    async def forget() -> None:
        while time.perf_counter() < until:
            await asyncio.sleep(1)
            gone, done[:] = done[:], []
            await journal.forget(gone)

    done: list[tuple[str, str]] = []
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(forget())
        for number in range(calls):
            tasks.create_task(call(number))
    cpu = time.process_time() - cpu
    await journal.close()
    delays.sort()
    count = len(delays)
    print(
        f"{calls:5} calls at once: {count / seconds:8.0f} events/s, {count / journal.batches:6.1f} a sync,"
        f" p50 {delays[count // 2] * 1000:6.2f} ms, p99 {delays[count * 99 // 100] * 1000:6.2f} ms,"
        f" {cpu / count * 1e6:5.1f} us CPU an event"
    )


def main() -> None:
    """Measure from one call to a thousand."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        for calls in (1, 10, 100, 1000):
            asyncio.run(load(Path(folder) / str(calls), calls, 3.0))
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB at most")


if __name__ == "__main__":
    main()
