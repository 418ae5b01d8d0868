"""Every row of the media plane's targets, one after another, in about six minutes on two quiet cores; a table with goals at the end.

    python benchmarks/media/targets.py            # `make bench-plane`
    python benchmarks/media/targets.py --short    # sizes and times of a smoke run, which say little

Each step is one of `relay.py` or `peers.py` with its own line of JSON: loss, delay and spacing percentiles. The floor is a bare relay
without any logic, in the same run; rtpengine too where it is installed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LIMIT = 400  # seconds for one step
Figures = list[dict[str, Any]]


@dataclass(frozen=True)
class Row:
    """A step; `short`: its arguments in a smoke run; what is read from its lines of JSON, and the goal."""

    name: str
    script: str
    arguments: Sequence[str]
    short: Sequence[str]
    read: Callable[[Figures], str]
    goal: str


def relayed(lines: Figures) -> str:
    best = max(line["per_core_at_this_cost"] for line in lines)
    return f"{best} calls a core; " + "; ".join(f"{line['calls']}: {line['us_per_packet']} us, {loss_and_delay(line)}" for line in lines)


def loss_and_delay(line: dict[str, Any]) -> str:
    return f"loss {line['loss_percent']} %, delay p50/p99 {line['delay_us']['p50']}/{line['delay_us']['p99']} us"


def mixed(lines: Figures) -> str:
    return "; ".join(f"{2 * line['calls']}: {line['us_per_packet']} us, {loss_and_delay(line)}" for line in lines)


def played(lines: Figures) -> str:
    return "; ".join(f"{line.get('prompts') or 2 * line['calls']}: {line['us_per_packet']} us, {cost_and_spacing(line)}" for line in lines)


def cost_and_spacing(line: dict[str, Any]) -> str:
    spacing = "/".join(str(line["spacing_us"][share]) for share in ("p1", "p50", "p99"))
    return f"{line['core_share']:.0%} of a core, {line['late_ticks']} late ticks, spacing p1/p50/p99 {spacing} us"


def secured(lines: Figures) -> str:
    return "; ".join(f"{line['suite']} {line['ratio']} x" for line in lines if "ratio" in line)


def transcoded(lines: Figures) -> str:
    return "; ".join(f"{line['codec']} {line['cpu_ms_per_second_of_call']} ms/s, {line['calls_per_core']} calls a core" for line in lines)


def beside_peers(lines: Figures) -> str:
    return json.dumps(lines[-1])


ROWS = (
    Row(
        "relay, the floor, rtpengine",
        "peers.py",
        ("--calls", "500", "--rounds", "3"),
        ("--calls", "50", "--rounds", "1"),
        beside_peers,
        "rtpengine >= 2 x",
    ),
    Row(
        "relay of G.711",
        "relay.py",
        ("--calls", "500", "1000", "2000"),
        ("--calls", "50"),
        relayed,
        ">= 2,400 calls a core, delay p99 <= 5 ms",
    ),
    Row(
        "SRTP on both legs",
        "relay.py",
        ("--calls", "300", "--srtp", "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"),
        ("--calls", "30", "--srtp", "AEAD_AES_128_GCM"),
        secured,
        "<= 1.6 x",
    ),
    Row(
        "transcoding to G.711",
        "relay.py",
        ("--calls", "50", "--codec", "G722", "opus"),
        ("--calls", "5", "--codec", "G722"),
        transcoded,
        "none set",
    ),
    *(
        Row(
            f"rooms of {size}{', one speaks' * bool(one)}",
            "relay.py",
            ("--calls", "300", "--room", size, *one),
            ("--calls", "50", "--room", size, *one),
            mixed if one else played,
            "nothing lost" if one else "linear in parties",
        )
        for size in ("10", "100")
        for one in ((), ("--one",))
    ),
    Row("recording both sides", "relay.py", ("--calls", "500", "--record"), ("--calls", "50", "--record"), relayed, "none set"),
    Row(
        "prompts beside a bare sender",
        "peers.py",
        ("--prompts", "1000", "--rounds", "3"),
        ("--prompts", "100", "--rounds", "1"),
        beside_peers,
        "what the kernel's send costs",
    ),
    Row("prompts at once", "relay.py", ("--prompts", "1000", "2700", "5400"), ("--prompts", "100"), played, "5,400, spacing p99 <= 23 ms"),
)


def measure(row: Row, options: argparse.Namespace) -> str:
    """The row's figures; what went wrong is told in their place."""
    arguments = [*(row.short if options.short else row.arguments), *(["--first"] if options.first else [])]
    if options.short:
        arguments += ["--warm", "1", "--measure", "2"]
    command = [sys.executable, str(HERE / row.script), *arguments]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return f"not within {LIMIT} s"
    sys.stdout.write(done.stdout)
    sys.stdout.flush()
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return row.read(lines) if done.returncode == 0 and lines else f"failed with {done.returncode}"


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--short", action="store_true", help="a smoke run")
    options.add_argument("--first", action="store_true", help="real-time priority, where others use the machine too")
    options.add_argument("--only", default="", metavar="TEXT", help="rows with this in their name")
    arguments = options.parse_args()
    found = [(row, measure(row, arguments)) for row in ROWS if arguments.only in row.name]
    sys.stdout.write("\n" + "\n".join(f"{row.name}\n  goal      {row.goal}\n  measured  {told}" for row, told in found) + "\n")
    return int(any(told.startswith(("failed", "not within")) for _, told in found))


if __name__ == "__main__":
    raise SystemExit(main())
