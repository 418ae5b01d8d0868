"""Call set-ups per second and CPU per call of the whole system, with SIPp on both sides.

Starts `carillon up --demo` in a temporary folder, registers SIPp as one user's phone, lets SIPp call it as another (digest,
routing asked, events journalled before each step, records written) at growing rates, and prints for each rate: failures,
set-up delay (INVITE with credentials to 200) percentiles, and CPU milliseconds a call by process. A second of CPU does less on a
machine that does other things too (caches, hyper-threads, clock): `yardstick` is the CPU that a fixed piece of Python took
meanwhile, so that two runs can be compared.

    .venv/bin/python benchmarks/calls.py [--rates 50,100,200] [--seconds 10] [--hold 3]
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carillon_kit.embedded import free_port

ROOT = Path(__file__).resolve().parent.parent
SIPP = ROOT / "tests/integration/sipp"
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Round:
    """What one rate gave: counts, set-up delays in ms, CPU seconds by process."""

    rate: int
    calls: int
    failed: int
    delays: list[float]
    cpu: dict[str, float]
    #: CPU milliseconds of a fixed piece of work meanwhile.
    yardstick: float


class Yardstick:
    """A fixed piece of work, done again and again beside what is measured; a two-hundredth of a core."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(0.4):
            start = time.thread_time()
            table = {number: str(number) for number in range(5000)}
            sum(len(table[number]) for number in range(5000))
            self.took.append(1000 * (time.thread_time() - start))

    def end(self) -> float:
        """Mean of CPU milliseconds."""
        self._ended.set()
        self._thread.join()
        return statistics.fmean(self.took or [float("nan")])


def cpu_seconds(processes: dict[str, int]) -> dict[str, float]:
    """User and system seconds of each process so far, with its children, also those that have ended."""
    times: dict[int, float] = {}
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            times[int(folder.name)] = sum(map(int, fields[11:15])) / TICK
            parents[int(folder.name)] = int(fields[1])
    return {name: times.get(pid, 0.0) + sum(t for p, t in times.items() if parents.get(p) == pid) for name, pid in processes.items()}


def sipp(scenario: str, target: str, port: int, keys: dict[str, str], *options: str) -> list[str]:
    """The command line of one SIPp."""
    pairs = [part for key, value in keys.items() for part in ("-key", key, value)]
    base = ["sipp", target, "-sf", str(SIPP / scenario), "-i", "127.0.0.1", "-p", str(port), "-nostdin", "-trace_err"]
    return [*base, *pairs, *options]


def run_round(run: dict[str, Any], rate: int, seconds: int, hold: float, folder: Path) -> Round:
    """Place `rate * seconds` calls."""
    tenant = run["tenants"]["dupont"]
    caller, callee = tenant["users"][0], tenant["users"][-1]
    target, realm = run["sip"]["udp"], tenant["realm"]
    calls = rate * seconds
    answer_port, call_port = free_port(), free_port()
    callee_keys = {"user": callee["sip_user"], "realm": realm, "expires": "3600"}
    callee_login = ["-au", callee["sip_user"], "-ap", callee["sip_password"]]
    register = sipp("register.xml", target, answer_port, callee_keys, "-m", "1", "-timeout", "10", *callee_login)
    subprocess.run(register, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    answer = subprocess.Popen(sipp("answer.xml", target, answer_port, {}, "-d", "1"), cwd=folder, stdout=subprocess.DEVNULL)
    try:
        before, yardstick = cpu_seconds(run["processes"]), Yardstick()
        keys = {"user": caller["sip_user"], "realm": realm, "dest": callee["extension"]}
        login = ["-au", caller["sip_user"], "-ap", caller["sip_password"]]
        pace = ["-r", str(rate), "-m", str(calls), "-l", str(calls), "-d", str(int(hold * 1000)), "-timeout", f"{seconds + 60}s"]
        call = sipp(
            "call_with_authentication.xml",
            target,
            call_port,
            keys,
            *login,
            *pace,
            "-trace_rtt",
            "-rtt_freq",
            "1",
            "-trace_stat",
            "-fd",
            "1",
        )
        caller_process = subprocess.Popen(call, cwd=folder, stdout=subprocess.DEVNULL)
        caller_process.wait(seconds + hold + 90)
        time.sleep(1.5)
        yard = yardstick.end()
        after = cpu_seconds(run["processes"])
    finally:
        answer.send_signal(signal.SIGKILL)
        answer.wait()
        # Or the next round would ring this round's phone too.
        leave = sipp("register.xml", target, answer_port, callee_keys | {"expires": "0"}, "-m", "1", "-timeout", "10", *callee_login)
        subprocess.run(leave, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    stem = f"call_with_authentication_{caller_process.pid}_"
    answered = folder / f"{stem}rtt.csv"
    lines = answered.read_text().splitlines()[1:] if answered.exists() else []
    delays = [float(line.split(";")[1]) for line in lines if line.count(";") >= 2]
    header, *rows = [line.split(";") for line in (folder / f"{stem}.csv").read_text().splitlines() if line]
    failed = int(rows[-1][header.index("FailedCall(C)")])
    return Round(rate, calls, failed, sorted(delays), {name: after[name] - before[name] for name in after}, yard)


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def report(result: Round) -> None:
    total = sum(result.cpu.values())
    parts = "  ".join(f"{name} {1000 * used / result.calls:.2f}" for name, used in sorted(result.cpu.items(), key=lambda item: -item[1]))
    delays = "/".join(f"{percentile(result.delays, share):.0f}" for share in (0.5, 0.95, 0.99))
    print(f"{result.rate:5d}/s  calls {result.calls}  failed {result.failed}  set-up ms p50/p95/p99 {delays}")
    print(f"         CPU ms/call {1000 * total / result.calls:.2f}: {parts}  (yardstick {result.yardstick:.2f} ms)", flush=True)


@contextmanager
def running(folder: Path, *options: str, program: Sequence[str] = (str(ROOT / ".venv/bin/carillon"),)) -> Iterator[dict[str, Any]]:
    """`carillon up --demo` in the folder, and its run.json; raises RuntimeError with its log when it does not come up."""
    folder.chmod(0o755)
    data = folder / "data"
    ports = ("--ports", "auto", "--rtp-ports", "10000-31999")
    command = [*program, "up", "--demo", *ports, "--data", str(data), *options]
    with (folder / "up.log").open("wb") as log:
        up = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not (data / "run.json").exists():
            if up.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "up.log").read_text())
            time.sleep(0.1)
        yield json.loads((data / "run.json").read_text())
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(60)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", default="50,100,200")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--hold", type=float, default=3.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="carillon-bench-") as name:
        folder = Path(name)
        with running(folder) as run:
            for rate in (int(part) for part in options.rates.split(",")):
                report(run_round(run, rate, options.seconds, options.hold, folder))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
