"""Many minutes of relayed calls: loss, memory and descriptors of the media plane over time, and what is left when the calls have ended.

    python benchmarks/media/soak.py --calls 500 --minutes 24

One line of JSON a minute, then the result; exit code 1 when a packet was lost, memory grew by more than 2 % after the first minute, or a
descriptor was left.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

from relay import PORTS, build, sessions, write

from carillon_rtp.client import PlaneClient, Remote
from carillon_rtp.testing import plane_process

GROWTH = 1.02


def held(pid: int) -> dict[str, int]:
    """Resident kilobytes and open descriptors of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    resident = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return {"resident_kb": int(resident), "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}


async def soak(folder: Path, calls: int, minutes: float) -> bool:
    """Whether nothing was lost and nothing left."""
    program = build(folder)
    async with plane_process(folder, "--cpus", "0", ports=PORTS) as plane:
        client = await PlaneClient.connect(plane.socket, deadline=20, within=30)
        pid = plane.pid
        before = held(pid)
        pinned = ("taskset", "-c", str((os.cpu_count() or 1) - 1))
        load = await asyncio.create_subprocess_exec(*pinned, str(program), "5", str(60 * minutes), stdin=PIPE, stdout=PIPE)
        assert load.stdin
        assert load.stdout
        ports = [int(port) for port in (await load.stdout.readline()).split()[1:]]
        legs = 2 * calls
        addresses = await sessions(client, legs, [Remote("127.0.0.1", port, "PCMA") for port in ports])
        await asyncio.gather(*(client.bridge(f"leg-{n}", f"leg-{n + 1}") for n in range(0, legs, 2)))
        load.stdin.writelines(f"{'AB'[n % 2]} {address.port}\n".encode() for n, address in enumerate(addresses))
        load.stdin.write(b"go\n")
        await load.stdin.drain()
        samples: list[int] = []
        watching = asyncio.create_task(watch(pid, samples))
        lines = [line async for line in load.stdout]
        watching.cancel()
        result = json.loads(lines[-1])
        during = held(pid)
        first = samples[0] if samples else 0
        await asyncio.gather(*(client.close(f"leg-{n}") for n in range(legs)))
        after = held(pid)
        await client.disconnect()
    figures: dict[str, Any] = {
        "calls": calls,
        "minutes": minutes,
        "sent": result["sent"],
        "lost": result["sent"] - result["got"],
        "delay_us": result["delay_us"],
        "load_late_ticks": result["late_ticks"],
        "resident_kb_after_a_minute": first,
        "resident_kb_at_the_end": during["resident_kb"],
        "kb_per_call": round((during["resident_kb"] - before["resident_kb"]) / calls, 1),
        "descriptors_left": after["descriptors"] - before["descriptors"],
    }
    write(figures)
    grown = bool(first) and during["resident_kb"] > GROWTH * first
    return not figures["lost"] and not grown and figures["descriptors_left"] <= 0


async def watch(pid: int, samples: list[int]) -> None:
    """A line a minute; resident kilobytes go to `samples`."""
    minute = 0
    while True:
        await asyncio.sleep(60)
        minute += 1
        now = held(pid)
        samples.append(now["resident_kb"])
        write({"minute": minute, **now})


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=24)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return 0 if await soak(Path(folder), options.calls, options.minutes) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
